/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/support/tree.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

int tree_setup(void **state) {
        struct tree *t = calloc(1, sizeof(*t));

        assert_non_null(t);
        (void) snprintf(t->path, sizeof(t->path), "/tmp/tierd-test-XXXXXX");
        assert_non_null(mkdtemp(t->path));
        t->root = open(t->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(t->root >= 0);
        *state = t;
        return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st;
        (void) type;
        (void) ftw;
        return remove(path);
}

int tree_teardown(void **state) {
        struct tree *t = *state;

        (void) close(t->root);
        (void) nftw(t->path, remove_entry, 32, FTW_DEPTH | FTW_PHYS);
        free(t);
        return 0;
}

/* The directories above the last component. */
static void make_parents(const struct tree *t, const char *path) {
        char parent[512];

        for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                assert_true((size_t) (slash - path) < sizeof(parent));
                memcpy(parent, path, (size_t) (slash - path));
                parent[slash - path] = '\0';
                (void) mkdirat(t->root, parent, 0755);
        }
}

void tree_put_bytes(const struct tree *t, const char *path, const void *data, unsigned long len) {
        int fd;

        make_parents(t, path);
        fd = openat(t->root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, len), (ssize_t) len);
        (void) close(fd);
}

void tree_put(const struct tree *t, const char *path, const char *format, ...) {
        va_list ap;
        char *text;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        assert_true(n >= 0);
        tree_put_bytes(t, path, text, (size_t) n);
        free(text);
}

void tree_mkdir(const struct tree *t, const char *path) {
        make_parents(t, path);
        (void) mkdirat(t->root, path, 0755);
}

void tree_link(const struct tree *t, const char *path, const char *target) {
        make_parents(t, path);
        assert_int_equal(symlinkat(target, t->root, path), 0);
}

void tree_remove(const struct tree *t, const char *path) {
        char full[640];

        (void) snprintf(full, sizeof(full), "%s/%s", t->path, path);
        (void) nftw(full, remove_entry, 32, FTW_DEPTH | FTW_PHYS);
}
