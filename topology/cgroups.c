/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/cgroups.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*
 * A group has a memory controller of its own where it has this file: of the memory controller's files it alone is there in
 * every group of both versions of cgroups, the root included (memory_files[] in mm/memcontrol.c).
 */
#define MEMORY_FILE "memory.stat"

/* A list under construction, and where it is read from. */
struct expansion {
        int root;
        const char *mount;              /* below the root */
        struct cgroup_list *list;
        struct diag *reterr;
};

struct cgroup_list *cgroup_list_free(struct cgroup_list *l) {
        if (!l)
                return NULL;
        (void) names_free(l->paths, l->n_paths);
        free(l->ids);
        free(l);
        return NULL;
}

bool cgroup_list_equal(const struct cgroup_list *a, const struct cgroup_list *b) {
        if (!a || !b)
                return a == b;
        if (a->n_paths != b->n_paths)
                return false;
        for (size_t i = 0; i < a->n_paths; i++)
                if (strcmp(a->paths[i], b->paths[i]) != 0 || a->ids[i] != b->ids[i])
                        return false;
        return true;
}

/* Where the memory controller's hierarchy is: cgroup2's, or one of its own as before cgroup2. NULL: nowhere to be seen. */
static const char *find_mount(int root) {
        static const char *const mounts[] = { "sys/fs/cgroup", "sys/fs/cgroup/memory" };
        char path[PATH_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(mounts); i++)
                if (path_format(path, sizeof(path), "%s/" MEMORY_FILE, mounts[i]) == 0 && file_exists(root, path) > 0)
                        return mounts[i];
        return NULL;
}

static bool is_root(const char *group) {
        return strcmp(group, "/") == 0;
}

static int out_of_memory(const struct expansion *x) {
        return diag_set(x->reterr, -ENOMEM, "out of memory");
}

/* "sys/fs/cgroup/db.slice", or a file of it. */
static int path_of(const struct expansion *x, const char *group, const char *file, char **ret) {
        if (asprintf(ret, "%s%s%s%s", x->mount, is_root(group) ? "" : group, file ? "/" : "", file ? file : "") < 0) {
                *ret = NULL;
                return out_of_memory(x);
        }
        return 0;
}

/* 1 or 0. */
static int group_has(const struct expansion *x, const char *group, const char *file) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = path_of(x, group, file, &path);
        if (r < 0)
                return r;
        r = file_exists(x->root, path);
        /* Longer than any path that a group could have been made by. */
        if (r == -ENAMETOOLONG)
                return 0;
        return r < 0 ? diag_set(x->reterr, r, "/%s: cannot look at it: %s", path, strerror(-r)) : r;
}

static bool list_has(const struct cgroup_list *l, const char *group) {
        for (size_t i = 0; i < l->n_paths; i++)
                if (strcmp(l->paths[i], group) == 0)
                        return true;
        return false;
}

/* Adds a group that is not in the list. */
static int add(struct expansion *x, const char *group) {
        struct cgroup_list *l = x->list;
        char *copy;

        if (list_has(l, group))
                return 0;
        if (l->n_paths >= CGROUPS_MAX)
                return diag_set(x->reterr, -E2BIG,
                                "exclude: the cgroups that it names hold more than %d groups, each of them a filter of every "
                                "scheme; name smaller ones, or exclude a type of memory instead",
                                CGROUPS_MAX);
        copy = strdup(group);
        if (!copy)
                return out_of_memory(x);
        l->paths[l->n_paths++] = copy;
        return 0;
}

/* Adds the groups right below one. A group without the controller has none below it that has it. */
static int add_children(struct expansion *x, const char *group) {
        _cleanup_free_ char *path = NULL;
        char **names = NULL;
        size_t n = 0;
        int r;

        r = path_of(x, group, NULL, &path);
        if (r < 0)
                return r;
        r = dir_read_directories(x->root, path, &names, &n);
        /* It went meanwhile. */
        if (r == -ENOENT || r == -ENODEV)
                return 0;
        if (r < 0)
                return diag_set(x->reterr, r, "/%s: cannot read: %s", path, strerror(-r));

        for (size_t i = 0; i < n && r >= 0; i++) {
                _cleanup_free_ char *child = NULL;

                /* The kernel makes no such group; a directory of a captured machine may be called anything. */
                if (strchr(names[i], '\n'))
                        continue;
                if (asprintf(&child, "%s/%s", is_root(group) ? "" : group, names[i]) < 0) {
                        child = NULL;
                        r = out_of_memory(x);
                        break;
                }
                r = group_has(x, child, MEMORY_FILE);
                if (r > 0)
                        r = add(x, child);
        }
        (void) names_free(names, n);
        return MIN(r, 0);
}

/*
 * A group that is there without a memory controller of its own: its memory counts as that of the nearest group above it
 * that has one, so that one stands in for it.
 */
static int add_stand_in(struct expansion *x, const char *group) {
        _cleanup_free_ char *above = NULL;
        int r;

        r = group_has(x, group, "cgroup.procs");
        if (r <= 0)
                return r;
        above = strdup(group);
        if (!above)
                return out_of_memory(x);
        do {
                char *slash = strrchr(above, '/');

                slash[slash == above] = '\0';
                r = group_has(x, above, MEMORY_FILE);
        } while (r == 0 && !is_root(above));
        return r > 0 ? add(x, above) : r;
}

static int expand(struct expansion *x, const char *const *names, size_t n_names) {
        int r;

        for (size_t i = 0; i < n_names; i++) {
                r = group_has(x, names[i], MEMORY_FILE);
                if (r > 0)
                        r = add(x, names[i]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < x->list->n_paths; i++) {
                r = add_children(x, x->list->paths[i]);
                if (r < 0)
                        return r;
        }
        /* Last, since what is below a stand-in is not meant. */
        for (size_t i = 0; i < n_names; i++) {
                if (list_has(x->list, names[i]))
                        continue;
                r = add_stand_in(x, names[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int identify(struct expansion *x) {
        for (size_t i = 0; i < x->list->n_paths; i++) {
                _cleanup_free_ char *path = NULL;
                struct stat st;
                int r;

                r = path_of(x, x->list->paths[i], NULL, &path);
                if (r < 0)
                        return r;
                if (fstatat(x->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
                        x->list->ids[i] = st.st_ino;
        }
        return 0;
}

static int compare_paths(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

int cgroups_expand(int root, const char *const *names, size_t n_names, struct cgroup_list **ret, struct diag *reterr) {
        _cleanup_cgroup_list_ struct cgroup_list *l = NULL;
        struct expansion x = { .root = root, .mount = find_mount(root), .reterr = reterr };
        int r;

        if (!x.mount && n_names > 0) {
                *ret = NULL;
                return CGROUPS_UNKNOWN;
        }
        l = calloc(1, sizeof(*l));
        if (l) {
                l->paths = calloc(CGROUPS_MAX, sizeof(*l->paths));
                l->ids = calloc(CGROUPS_MAX, sizeof(*l->ids));
        }
        if (!l || !l->paths || !l->ids)
                return out_of_memory(&x);
        x.list = l;
        r = n_names > 0 ? expand(&x, names, n_names) : 0;
        if (r < 0)
                return r;
        qsort(l->paths, l->n_paths, sizeof(*l->paths), compare_paths);
        r = identify(&x);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}
