/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/support/scratch.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "damon/ops.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct scratch *active;

/* A helper of tests gives up loudly: there is no machine to protect. */
static void must(bool ok, const char *what, const char *path) {
        if (ok)
                return;
        fprintf(stderr, "scratch: %s %s: %s\n", what, path, strerror(errno));
        abort();
}

static const struct {
        unsigned version;
        const char *release;
} KERNELS[_SCRATCH_KERNEL_MAX] = {
        [SCRATCH_6_1] = { 601, "6.1.192-tierd" },
        [SCRATCH_6_12] = { 612, "6.12.117+deb12-amd64" },
        [SCRATCH_6_18] = { 618, "6.18.44" },
        [SCRATCH_7_2] = { 702, "7.2.13+deb14-amd64" },
};

static void make_parents(struct scratch *s, const char *path) {
        char dir[PATH_SIZE];

        for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
                must(path_format(dir, sizeof(dir), "%.*s", (int) (p - path), path) == 0, "path", path);
                must(mkdirat(s->root, dir, 0755) == 0 || errno == EEXIST, "mkdir", dir);
        }
}

void scratch_make(struct scratch *s, const char *path, const char *text, unsigned mode) {
        char line[512];
        int fd, n;

        n = snprintf(line, sizeof(line), "%s\n", text);
        must(n > 0 && (size_t) n < sizeof(line), "text", path);
        fd = openat(s->root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        if (fd < 0 && errno == ENOENT) {
                make_parents(s, path);
                fd = openat(s->root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        }
        if (fd < 0 && errno == EACCES) {
                /* The kernel writes its read-only files all the same. */
                must(fchmodat(s->root, path, 0600, 0) == 0, "chmod", path);
                fd = openat(s->root, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
                must(fd < 0 || fchmod(fd, mode) == 0, "chmod", path);
        }
        must(fd >= 0, "create", path);
        must(write(fd, line, (size_t) n) == n, "write", path);
        (void) close(fd);
}

void scratch_put(struct scratch *s, const char *path, const char *text) {
        scratch_make(s, path, text, 0644);
}

const char *scratch_get(struct scratch *s, const char *path) {
        static char buffers[4][512];
        static unsigned next;
        char *buf = buffers[next++ % ELEMENTSOF(buffers)];
        ssize_t n;
        int fd;

        buf[0] = '\0';
        fd = openat(s->root, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return buf;
        n = read(fd, buf, sizeof(buffers[0]) - 1);
        (void) close(fd);
        must(n >= 0, "read", path);
        buf[n] = '\0';
        buf[strcspn(buf, "\n")] = '\0';
        return buf;
}

const char *scratch_getf(struct scratch *s, const char *format, ...) {
        char path[PATH_SIZE];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(path, sizeof(path), format, ap);
        va_end(ap);
        return scratch_get(s, path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st;
        (void) type;
        (void) ftw;
        return remove(path);
}

void scratch_remove(struct scratch *s, const char *path) {
        char whole[PATH_SIZE];

        must(path_format(whole, sizeof(whole), "%s/%s", s->path, path) == 0, "path", path);
        if (nftw(whole, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0)
                must(errno == ENOENT, "remove", whole);
}

void scratch_reset_faults(struct scratch *s) {
        s->writes = s->reads = 0;
        s->fault_at = s->read_fault_at = SIZE_MAX;
        s->fault_error = s->read_fault_error = 0;
        s->fault_times = s->read_fault_times = 0;
        s->fault_sticks = false;
        s->fault_path[0] = s->fault_value[0] = '\0';
        s->replaces = 0;
        s->replace_fault_at = SIZE_MAX;
        s->replace_fault_error = 0;
        s->replace_fault_times = 0;
        s->commit_kills = false;
        s->exit_at = SIZE_MAX;
}

struct scratch *scratch_new(enum scratch_kernel kernel) {
        struct scratch *s = calloc(1, sizeof(*s));
        /* In memory where there is such a place: a start makes some 300 files, and the tests start thousands of times. */
        const char *tmp = getenv("TMPDIR") ? getenv("TMPDIR") : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        char version[160];

        must(s != NULL && !active, "one at a time", "");
        (void) snprintf(s->path, sizeof(s->path), "%.40s/tierd-test-XXXXXX", tmp);
        must(mkdtemp(s->path) != NULL, "mkdtemp", s->path);
        s->root = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        must(s->root >= 0, "open", s->path);
        s->kernel = kernel;
        s->version = KERNELS[kernel].version;
        scratch_reset_faults(s);
        for (unsigned nid = 0; nid < 3; nid++)
                idset_add(&s->memory, nid);

        (void) snprintf(version, sizeof(version), "Linux version %s (builder@host) (gcc) #1 SMP", KERNELS[kernel].release);
        scratch_put(s, "proc/version", version);
        scratch_make(s, DAMON_ADMIN "/nr_kdamonds", "0", 0600);
        scratch_put(s, "sys/module/damon_reclaim/parameters/enabled", "N");
        scratch_put(s, "sys/fs/cgroup/memory.stat", "0");
        scratch_put(s, "sys/fs/cgroup/db.slice/memory.stat", "0");
        active = s;
        return s;
}

struct scratch *scratch_free(struct scratch *s) {
        if (!s)
                return NULL;
        scratch_remove(s, "");
        (void) close(s->root);
        active = NULL;
        free(s);
        return NULL;
}

void scratch_occupy(struct scratch *s, unsigned n) {
        char text[16];

        (void) snprintf(text, sizeof(text), "%u", n);
        must(scratch_store(s, DAMON_ADMIN "/nr_kdamonds", text) == 0, "occupy", text);
        scratch_make(s, DAMON_ADMIN "/0/state", "on", 0600);
        scratch_make(s, DAMON_ADMIN "/0/pid", "123", 0400);
}

bool scratch_slot_is_empty(struct scratch *s, int slot) {
        return strcmp(scratch_getf(s, DAMON_ADMIN "/%d/state", slot), "off") == 0 &&
               strcmp(scratch_getf(s, DAMON_ADMIN "/%d/contexts/nr_contexts", slot), "0") == 0;
}

static struct {
        FILE *out;
        size_t prefix;
} snapshot;

static int show_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        const char *name = path + snapshot.prefix;

        (void) ftw;
        if (type == FTW_SL)
                return 0;
        /* Only what a machine has: a test may keep other things beside it. */
        if (strncmp(name, "/sys", 4) != 0 && strncmp(name, "/proc", 5) != 0)
                return 0;
        if (S_ISREG(st->st_mode))
                (void) fprintf(snapshot.out, "%s %s\n", name, scratch_get(active, name + 1));
        else
                (void) fprintf(snapshot.out, "%s/\n", name);
        return 0;
}

static int compare_lines(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

char *scratch_snapshot(struct scratch *s) {
        char *text = NULL, *sorted = NULL, *rest, *line, **lines;
        size_t len = 0, n = 0;

        snapshot.out = open_memstream(&text, &len);
        must(snapshot.out != NULL, "open_memstream", "");
        snapshot.prefix = strlen(s->path);
        must(nftw(s->path, show_one, 16, FTW_PHYS) == 0, "walk", s->path);
        (void) fclose(snapshot.out);

        /* By name: a directory's order changes as its entries come and go. */
        lines = calloc(len + 1, sizeof(*lines));
        must(lines != NULL, "calloc", "");
        for (rest = text; (line = strsep(&rest, "\n"));)
                lines[n++] = line;
        qsort(lines, n, sizeof(*lines), compare_lines);
        snapshot.out = open_memstream(&sorted, &len);
        must(snapshot.out != NULL, "open_memstream", "");
        for (size_t i = 0; i < n; i++)
                (void) fprintf(snapshot.out, "%s\n", lines[i]);
        (void) fclose(snapshot.out);
        free(lines);
        free(text);
        return sorted;
}

/* Of the kernel's own modules, `enabled` is as exclusive as a start is. */
static int store_module(struct scratch *s, const char *path, const char *value) {
        if (strcmp(value, "Y") == 0)
                for (int i = 0; i < SCRATCH_SLOTS_MAX; i++)
                        if (strcmp(scratch_getf(s, DAMON_ADMIN "/%d/state", i), "on") == 0)
                                return -EBUSY;
        scratch_make(s, path, value, 0644);
        return 0;
}

/* An attribute outside DAMON: takes what it is given, whole. */
static int store_other(struct scratch *s, const char *path, const char *value) {
        struct stat st;

        if (fstatat(s->root, path, &st, 0) < 0)
                return -errno;
        if (strncmp(path, "sys/module/damon_", 17) == 0)
                return store_module(s, path, value);
        scratch_make(s, path, value, 0644);
        return 0;
}

static bool is_faulty(struct scratch *s, const char *path, const char *value) {
        bool again = s->fault_sticks && s->fault_path[0] != '\0';

        if (s->fault_times == 0 || (again ? strcmp(s->fault_path, path) != 0 : s->writes != s->fault_at))
                return false;
        s->fault_times--;
        if (!again) {
                (void) snprintf(s->fault_path, sizeof(s->fault_path), "%s", path);
                (void) snprintf(s->fault_value, sizeof(s->fault_value), "%s", value);
        }
        return true;
}

/* The linker's names for the calls that every object makes, and for base/'s own. */
int __real_file_write(int root, const char *path, const char *value);
int __wrap_file_write(int root, const char *path, const char *value);
int __real_file_replace(int root, const char *path, const char *data, size_t len);
int __wrap_file_replace(int root, const char *path, const char *data, size_t len);
int __real_file_read_line(int root, const char *path, char *buf, size_t size);
int __wrap_file_read_line(int root, const char *path, char *buf, size_t size);

int __wrap_file_write(int root, const char *path, const char *value) {
        struct scratch *s = active;

        if (!s || root != s->root)
                return __real_file_write(root, path, value);
        if (is_faulty(s, path, value))
                return s->fault_error;
        if (s->writes == s->exit_at)
                _exit(0);
        if (s->before_write)
                s->before_write(s);
        s->writes++;
        return strncmp(path, DAMON_ADMIN "/", strlen(DAMON_ADMIN) + 1) == 0 ? scratch_store(s, path, value)
                                                                            : store_other(s, path, value);
}

int __wrap_file_read_line(int root, const char *path, char *buf, size_t size) {
        struct scratch *s = active;

        if (s && root == s->root) {
                if (s->reads == s->read_fault_at && s->read_fault_times > 0) {
                        s->read_fault_times--;
                        return s->read_fault_error;
                }
                s->reads++;
        }
        return __real_file_read_line(root, path, buf, size);
}

int __wrap_file_replace(int root, const char *path, const char *data, size_t len) {
        struct scratch *s = active;

        if (s && s->replaces == s->replace_fault_at && s->replace_fault_times > 0) {
                s->replace_fault_times--;
                return s->replace_fault_error;
        }
        if (s)
                s->replaces++;
        return __real_file_replace(root, path, data, len);
}
