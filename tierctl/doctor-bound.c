/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "base/parse.h"
#include "tierctl/doctor-internal.h"
#include "topology/numa-maps.h"

#include <errno.h>
#include <string.h>

/* A line for each mapping, of which a process may have 65530 (vm.max_map_count) or, told so, many more. */
#define NUMA_MAPS_MAX (UINT64_C(64) << 20)
#define CGROUP_FILE_MAX 65536

/* So many are named; the rest is a number. */
#define SHOWN 4

struct process {
        uint64_t pid, bytes;
        enum bind_policy policy;        /* that of most of it */
        char name[64];
        char *cgroup;                   /* as /proc/PID/cgroup shows it; NULL: it does not */
};

struct processes {
        struct process *items;
        size_t n, unread;
        uint64_t bytes;
};

static void processes_done(struct processes *l) {
        for (size_t i = 0; i < l->n; i++)
                free(l->items[i].cgroup);
        free(l->items);
}

/* What schemes would move memory from. */
static struct idset managed_nodes(const struct plan *p) {
        struct idset nodes = {};

        for (size_t i = 0; i < p->n_kdamonds; i++)
                idset_add(&nodes, (unsigned) p->kdamonds[i].nid);
        return nodes;
}

static bool excludes(const struct config *c, enum exclude_type type) {
        for (size_t i = 0; c && i < c->n_excludes; i++)
                if (c->excludes[i].type == type)
                        return true;
        return false;
}

/* Whether the group or one above it is excluded. */
static bool is_excluded(const struct config *c, const char *cgroup) {
        for (size_t i = 0; c && cgroup && i < c->n_excludes; i++) {
                const struct exclude *e = &c->excludes[i];
                size_t n = e->type == EXCLUDE_CGROUP && strcmp(e->cgroup, "/") != 0 ? strlen(e->cgroup) : 0;

                if (e->type == EXCLUDE_CGROUP && strncmp(cgroup, e->cgroup, n) == 0 && (cgroup[n] == '\0' || cgroup[n] == '/'))
                        return true;
        }
        return false;
}

/*
 * The group that memory is counted for: of "ID:CONTROLLERS:PATH" lines the one with the memory controller, where it has a
 * hierarchy of its own, or cgroup2's, "0::PATH". NULL when none is there.
 */
static char *read_cgroup(int root, uint64_t pid) {
        _cleanup_free_ char *text = NULL;
        char path[PATH_SIZE], *rest, *line;
        const char *found = NULL;
        size_t len;

        (void) path_format(path, sizeof(path), "proc/%llu/cgroup", (unsigned long long) pid);
        if (file_read_alloc(root, path, CGROUP_FILE_MAX, &text, &len) < 0)
                return NULL;
        for (rest = text; (line = strsep(&rest, "\n"));) {
                char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;

                if (!group)
                        continue;
                *group++ = '\0';
                if (strcmp(controllers, ":memory") == 0 || (strcmp(line, "0:") == 0 && !found))
                        found = group;
        }
        return found && found[0] == '/' ? strdup(found) : NULL;
}

static void describe(int root, struct process *p) {
        char path[PATH_SIZE];

        (void) path_format(path, sizeof(path), "proc/%llu/comm", (unsigned long long) p->pid);
        if (file_read_line(root, path, p->name, sizeof(p->name)) < 0 || p->name[0] == '\0')
                (void) snprintf(p->name, sizeof(p->name), "a process");
        p->cgroup = read_cgroup(root, p->pid);
}

/* Adds the process when memory of it is bound and would move. 0, or why its policies cannot be told. */
static int look_at_process(const struct patient *p, const struct idset *nodes, uint64_t pid, struct processes *l) {
        _cleanup_free_ char *text = NULL;
        struct process found = { .pid = pid }, *items;
        struct bound_bytes bytes = {};
        char path[PATH_SIZE];
        uint64_t most = 0;
        size_t len;
        int r;

        (void) path_format(path, sizeof(path), "proc/%llu/numa_maps", (unsigned long long) pid);
        r = file_read_alloc(p->root, path, NUMA_MAPS_MAX, &text, &len);
        if (r >= 0)
                r = numa_maps_parse(text, len, nodes, &bytes);
        if (r < 0)
                return r;
        for (size_t i = 0; i < _BIND_POLICY_MAX; i++) {
                uint64_t n = (excludes(p->config, EXCLUDE_ANON) ? 0 : bytes.anon[i]) +
                             (excludes(p->config, EXCLUDE_FILE) ? 0 : bytes.file[i]);

                found.bytes += n;
                if (n > most) {
                        most = n;
                        found.policy = (enum bind_policy) i;
                }
        }
        if (found.bytes == 0)
                return 0;
        describe(p->root, &found);
        /* tierd itself prefers the top tier, so that it waits for nothing that it manages. */
        if (is_excluded(p->config, found.cgroup) || strcmp(found.name, "tierd") == 0) {
                free(found.cgroup);
                return 0;
        }
        items = reallocarray(l->items, l->n + 1, sizeof(*items));
        if (!items) {
                free(found.cgroup);
                return -ENOMEM;
        }
        l->items = items;
        items[l->n++] = found;
        l->bytes += found.bytes;
        return 0;
}

static int compare_bytes(const void *a, const void *b) {
        const struct process *x = a, *y = b;

        return x->bytes != y->bytes ? (x->bytes > y->bytes ? -1 : 1) : x->pid < y->pid ? -1 : 1;
}

/* "postgres (pid 812, cgroup /db.slice): 1.50 GiB (bind); …; and 3 more" */
static void name_processes(const struct processes *l, char *buf, size_t size) {
        size_t len = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < MIN(l->n, (size_t) SHOWN) && len < size; i++) {
                const struct process *p = &l->items[i];
                char bytes[FORMAT_MAX];

                len += (size_t) snprintf(buf + len, size - len, "%s%s (pid %llu, cgroup %.128s): %s (%s)", i > 0 ? "; " : "",
                                         p->name, (unsigned long long) p->pid, p->cgroup ? p->cgroup : "unknown",
                                         format_size(p->bytes, bytes, sizeof(bytes)), bind_policy_to_string(p->policy));
        }
        if (l->n > SHOWN && len < size)
                (void) snprintf(buf + len, size - len, "; and %zu more", l->n - SHOWN);
}

/* "{cgroup: /a}, {cgroup: /b}": the groups of those named, each once, without the root, which holds everybody. */
static size_t name_groups(const struct processes *l, char *buf, size_t size) {
        size_t len = 0, n = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < MIN(l->n, (size_t) SHOWN) && len < size; i++) {
                const char *group = l->items[i].cgroup;
                bool seen = !group || strcmp(group, "/") == 0;

                for (size_t k = 0; k < i && !seen; k++)
                        seen = l->items[k].cgroup && strcmp(l->items[k].cgroup, group) == 0;
                if (seen)
                        continue;
                len += (size_t) snprintf(buf + len, size - len, "%s{cgroup: %s}", n++ > 0 ? ", " : "", group);
        }
        return n;
}

static void tell(struct check *k, const struct processes *l) {
        char names[1024], groups[1024], bytes[FORMAT_MAX], unread[64] = "";

        if (l->unread > 0)
                (void) snprintf(unread, sizeof(unread), "; of %zu process%s it could not be read", l->unread,
                                l->unread == 1 ? "" : "es");
        if (l->n == 0) {
                k->state = l->unread > 0 ? CHECK_UNKNOWN : CHECK_OK;
                check_summary(k, "no process has memory bound to managed nodes that would move%s", unread);
                if (l->unread > 0)
                        check_action(k, "Run tierctl doctor as root: others' policies may only be read by root.");
                return;
        }
        k->state = CHECK_WARNING;
        check_summary(k, "%zu process%s %s of memory bound to managed nodes%s", l->n, l->n == 1 ? " has" : "es have",
                      format_size(l->bytes, bytes, sizeof(bytes)), unread);
        name_processes(l, names, sizeof(names));
        check_meaning(k, "Migration heeds neither mbind nor cpusets: tierd would move it as any other memory. %s.", names);
        if (name_groups(l, groups, sizeof(groups)) > 0)
                check_action(k, "Where it must stay, write into tierd.yaml: exclude: [%s]", groups);
        else
                check_action(k, "Where it must stay, run the process in a cgroup of its own and name that under exclude: in "
                                "tierd.yaml.");
}

void look_at_bound_memory(struct patient *p) {
        _cleanup_(processes_done) struct processes found = {};
        _cleanup_free_ uint64_t *pids = NULL;
        struct idset nodes;
        size_t n = 0, looked = 0;

        if (!p->plan || p->plan->n_kdamonds == 0 || dir_read_numbers(p->root, "proc", "", &pids, &n) < 0)
                return;
        nodes = managed_nodes(p->plan);
        for (size_t i = 0; i < n; i++) {
                int r = look_at_process(p, &nodes, pids[i], &found);

                if (r == -ENOMEM) {
                        p->c->error = r;
                        return;
                }
                /* It has ended, or a capture does not hold it, or the kernel has no policies. */
                if (r == -ENOENT || r == -ESRCH)
                        continue;
                looked++;
                found.unread += r < 0;
        }
        if (looked == 0)
                return;
        if (found.n > 0)
                qsort(found.items, found.n, sizeof(*found.items), compare_bytes);
        tell(checkup_add(p->c, "bound-memory", CHECK_OK), &found);
}
