/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/tree.h"
#include "topology/cgroups.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CGROUP "sys/fs/cgroup"

/* A group as the kernel shows it, with a memory controller of its own or without. */
static void put_group(const struct tree *t, const char *path, bool memory) {
        char file[300];

        (void) snprintf(file, sizeof(file), CGROUP "%s/cgroup.procs", path);
        tree_put(t, file, "1\n");
        (void) snprintf(file, sizeof(file), CGROUP "%s/memory.stat", path);
        if (memory)
                tree_put(t, file, "anon 0\n");
}

static void put_root(const struct tree *t) {
        put_group(t, "", true);
        tree_put(t, CGROUP "/cgroup.controllers", "cpu memory\n");
}

/* The list as one string: "/a /b". */
static void assert_expanded(const struct tree *t, const char *const *names, size_t n, const char *expected) {
        _cleanup_cgroup_list_ struct cgroup_list *l = NULL;
        char text[1024] = "";
        struct diag d = {};
        size_t len = 0;

        if (cgroups_expand(t->root, names, n, &l, &d) != 0)
                fail_msg("%s", d.text);
        assert_non_null(l);
        for (size_t i = 0; i < l->n_paths; i++)
                len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? " " : "", l->paths[i]);
        assert_string_equal(text, expected);
}
#define ASSERT_EXPANDED(t, expected, ...) \
        assert_expanded(t, (const char *const[]){ __VA_ARGS__ }, ELEMENTSOF(((const char *const[]){ __VA_ARGS__ })), expected)

static void test_what_is_below(void **state) {
        const struct tree *t = *state;

        put_root(t);
        put_group(t, "/db.slice", true);
        put_group(t, "/db.slice/b.service", true);
        put_group(t, "/db.slice/a.service", true);
        put_group(t, "/db.slice/a.service/worker", true);
        put_group(t, "/db.slice/.hidden", true);
        /* The name of another one begins with its name. */
        put_group(t, "/db.slice2", true);
        put_group(t, "/other", true);

        ASSERT_EXPANDED(t, "/db.slice /db.slice/.hidden /db.slice/a.service /db.slice/a.service/worker /db.slice/b.service",
                        "/db.slice");
        ASSERT_EXPANDED(t, "/db.slice/a.service /db.slice/a.service/worker", "/db.slice/a.service");
        ASSERT_EXPANDED(t, "/db.slice/b.service /other", "/other", "/db.slice/b.service");

        /* Each once, however often it is named, and by whichever name. */
        ASSERT_EXPANDED(t, "/db.slice/a.service /db.slice/a.service/worker", "/db.slice/a.service/worker",
                        "/db.slice/a.service", "/db.slice/a.service");
        assert_expanded(t, NULL, 0, "");
}

static void test_what_is_not_there(void **state) {
        const struct tree *t = *state;

        put_root(t);
        put_group(t, "/db.slice", true);
        ASSERT_EXPANDED(t, "", "/gone");
        ASSERT_EXPANDED(t, "", "/gone/deeper");
        ASSERT_EXPANDED(t, "/db.slice", "/gone", "/db.slice", "/db.slice/gone");
}

/* Where the controller is not enabled for a group, the kernel counts its memory as that of one above it. */
static void test_without_controller(void **state) {
        const struct tree *t = *state;

        put_root(t);
        put_group(t, "/a", true);
        put_group(t, "/a/with", true);
        put_group(t, "/a/without", false);
        put_group(t, "/a/without/deep", false);
        put_group(t, "/b", false);
        put_group(t, "/b/deep", false);

        ASSERT_EXPANDED(t, "/a /a/with", "/a");
        /* What is below the one that stands in is not meant. */
        ASSERT_EXPANDED(t, "/a", "/a/without");
        ASSERT_EXPANDED(t, "/a", "/a/without/deep");
        ASSERT_EXPANDED(t, "/a /a/with", "/a/without", "/a/with");
        ASSERT_EXPANDED(t, "/ /a/with", "/b/deep", "/a/with");
        ASSERT_EXPANDED(t, "/ /a /a/with", "/");
}

/* Links, other files and odd names of a captured machine. */
static void test_odd_entries(void **state) {
        const struct tree *t = *state;

        put_root(t);
        put_group(t, "/a", true);
        put_group(t, "/a/x y", true);
        put_group(t, "/a/line\nfeed", true);
        tree_link(t, CGROUP "/a/loop", "../a");
        tree_link(t, CGROUP "/a/out", "/etc");
        tree_put(t, CGROUP "/a/file", "memory.stat\n");
        ASSERT_EXPANDED(t, "/a /a/x y", "/a");
        /* A name that leads out of the root leads nowhere. */
        ASSERT_EXPANDED(t, "", "/../../../etc");
}

static void test_own_hierarchy(void **state) {
        const struct tree *t = *state;
        struct cgroup_list *l = (struct cgroup_list *) 1;
        struct diag d = {};

        /* No memory controller anywhere: nothing can be said. */
        assert_int_equal(cgroups_expand(t->root, (const char *const[]){ "/a" }, 1, &l, &d), CGROUPS_UNKNOWN);
        assert_null(l);
        put_group(t, "", false);
        put_group(t, "/a", false);
        assert_int_equal(cgroups_expand(t->root, (const char *const[]){ "/a" }, 1, &l, &d), CGROUPS_UNKNOWN);
        assert_null(l);

        put_group(t, "/memory", true);
        put_group(t, "/memory/a", true);
        put_group(t, "/memory/a/b", true);
        ASSERT_EXPANDED(t, "/a /a/b", "/a");
}

static void test_too_many(void **state) {
        const struct tree *t = *state;
        struct cgroup_list *l = NULL;
        struct diag d = {};
        char path[64];

        put_root(t);
        put_group(t, "/a", true);
        for (int i = 0; i < CGROUPS_MAX - 1; i++) {
                (void) snprintf(path, sizeof(path), "/a/%d", i);
                put_group(t, path, true);
        }
        assert_int_equal(cgroups_expand(t->root, (const char *const[]){ "/a" }, 1, &l, &d), 0);
        assert_int_equal(l->n_paths, CGROUPS_MAX);
        l = cgroup_list_free(l);

        put_group(t, "/a/more", true);
        assert_int_equal(cgroups_expand(t->root, (const char *const[]){ "/a" }, 1, &l, &d), -E2BIG);
        assert_null(l);
        assert_int_equal(d.error, -E2BIG);
        assert_non_null(strstr(d.text, "more than 256 groups"));
        /* The diagnosis is optional. */
        assert_int_equal(cgroups_expand(t->root, (const char *const[]){ "/a" }, 1, &l, NULL), -E2BIG);
}

static void test_deep(void **state) {
        const struct tree *t = *state;
        _cleanup_cgroup_list_ struct cgroup_list *l = NULL;
        struct diag d = {};
        char path[256];

        put_root(t);
        for (size_t i = 0; i < 60; i++) {
                (void) snprintf(path + 2 * i, sizeof(path) - 2 * i, "/g");
                put_group(t, path, true);
        }
        assert_int_equal(cgroups_expand(t->root, (const char *const[]){ "/g" }, 1, &l, &d), 0);
        assert_int_equal(l->n_paths, 60);
        assert_string_equal(l->paths[59], path);
}

/* A group made anew at the same path is another. */
static void test_identity(void **state) {
        const struct tree *t = *state;
        _cleanup_cgroup_list_ struct cgroup_list *before = NULL, *same = NULL, *more = NULL;
        const char *const names[] = { "/a" };
        struct diag d = {};

        put_root(t);
        put_group(t, "/a", true);
        put_group(t, "/a/b", true);
        assert_int_equal(cgroups_expand(t->root, names, 1, &before, &d), 0);
        assert_int_equal(cgroups_expand(t->root, names, 1, &same, &d), 0);
        assert_true(before->ids[0] > 0 && before->ids[1] > 0 && before->ids[0] != before->ids[1]);
        assert_true(cgroup_list_equal(before, same));
        same->ids[1]++;
        assert_false(cgroup_list_equal(before, same));
        put_group(t, "/a/c", true);
        assert_int_equal(cgroups_expand(t->root, names, 1, &more, &d), 0);
        assert_false(cgroup_list_equal(before, more));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_what_is_below, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_what_is_not_there, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_without_controller, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_odd_entries, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_own_hierarchy, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_too_many, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_deep, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_identity, tree_setup, tree_teardown),
        };

        assert_null(cgroup_list_free(NULL));
        return cmocka_run_group_tests(tests, NULL, NULL);
}
