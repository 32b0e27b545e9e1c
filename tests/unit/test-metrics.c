/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "tests/support/namespace.h"
#include "tests/support/openmetrics.h"
#include "tests/support/statuses.h"
#include "tests/support/tree.h"
#include "tierd/metrics.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void format(const struct made_status *m, enum metrics_format how, char **ret) {
        assert_int_equal(metrics_format(&m->s, how, ret), 0);
}

/* -- the formats -- */

/*
 * The text of a machine at work is tests/monitoring/metrics.{om,prom}, which tests/promtool looks at too. After a change:
 * UPDATE_GOLDEN=1 build/tests/test-metrics, and a look at the difference.
 */
static void check_golden(enum metrics_format how, const char *path) {
        _cleanup_free_ struct made_status *m = calloc(1, sizeof(*m));
        _cleanup_free_ char *text = NULL, *golden = NULL;
        _cleanup_close_ int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        static const char version[] = "{version=\"" TIERD_VERSION "\"}";
        size_t len, at;

        assert_non_null(m);
        made_status_at_work(m);
        format(m, how, &text);
        /* A new release is no change here. */
        assert_non_null(strstr(text, version));
        at = (size_t) (strstr(text, version) - text) + strlen("{version=\"");
        memmove(text + at + 1, text + at + strlen(TIERD_VERSION), strlen(text + at + strlen(TIERD_VERSION)) + 1);
        text[at] = '0';
        if (getenv("UPDATE_GOLDEN"))
                assert_int_equal(file_replace(here, path, text, strlen(text)), 0);
        assert_int_equal(file_read_alloc(here, path, 1 << 20, &golden, &len), 0);
        assert_string_equal(text, golden);
}

static void test_golden(void **state) {
        (void) state;
        check_golden(METRICS_OPENMETRICS, "tests/monitoring/metrics.om");
        check_golden(METRICS_TEXT, "tests/monitoring/metrics.prom");
}

static void assert_valid(const struct made_status *m) {
        _cleanup_free_ char *om = NULL, *text = NULL;
        char why[256];

        format(m, METRICS_OPENMETRICS, &om);
        format(m, METRICS_TEXT, &text);
        if (!openmetrics_check(om, why, sizeof(why)))
                fail_msg("%s", why);
        if (!metrics_text_check(text, why, sizeof(why)))
                fail_msg("%s", why);
}

static void test_valid(void **state) {
        _cleanup_free_ struct made_status *m = calloc(1, sizeof(*m));

        (void) state;
        assert_non_null(m);
        made_status_at_work(m);
        assert_valid(m);
        made_status_init(m);
        assert_valid(m);
        m->s.tuner = TUNER_KERNEL;
        for (int i = 0; i < 3; i++)
                m->nodes[i].has_view = m->nodes[i].has_free = false;
        m->schemes[0].current_bp = -1;
        assert_valid(m);
        m->s.state = STATUS_IDLE;
        m->s.n_schemes = m->s.n_nodes = 0;
        assert_valid(m);
}

/* What is not known has no sample, rather than a 0. */
static void test_unknown(void **state) {
        _cleanup_free_ struct made_status *m = calloc(1, sizeof(*m));
        _cleanup_free_ char *text = NULL;

        (void) state;
        assert_non_null(m);
        made_status_init(m);
        m->s.tuner = TUNER_KERNEL;
        m->nodes[1].has_view = m->nodes[1].has_free = false;
        m->nodes[1].has_kdamond = false;
        m->schemes[DEMOTE_0_1].current_bp = -1;
        format(m, METRICS_TEXT, &text);
        assert_null(strstr(text, "tierd_scheme_reason"));
        assert_null(strstr(text, "tierd_node_free_bytes{node=\"1\"}"));
        assert_null(strstr(text, "tierd_node_hot_bytes{node=\"1\"}"));
        assert_null(strstr(text, "tierd_kdamond_cpu_seconds_total{node=\"1\"}"));
        assert_null(strstr(text, "tierd_node_memory_bytes{node=\"3\"}"));
        assert_null(strstr(text, "tierd_scheme_current_ratio{direction=\"demote\",source=\"0\",target=\"1\"}"));
        assert_non_null(strstr(text, "tierd_node_free_bytes{node=\"0\"} 858993459\n"));
        assert_non_null(strstr(text, "tierd_node_info{node=\"3\",tier=\"none\",kind=\"unknown\"} 1\n"));
}

static void test_values(void **state) {
        _cleanup_free_ struct made_status *m = calloc(1, sizeof(*m));
        _cleanup_free_ char *text = NULL;

        (void) state;
        assert_non_null(m);
        made_status_init(m);
        (void) snprintf(m->s.release, sizeof(m->s.release), "7.2\"\\\n{x}");
        m->schemes[0].total.sz_tried = UINT64_MAX;
        m->schemes[0].ceiling_bytes = UINT64_MAX;
        m->schemes[0].ceiling_interval_us = 1;
        m->schemes[1].ceiling_interval_us = 0;
        m->schemes[2].goal_bp = 10000;
        m->schemes[3].goal_bp = 1;
        m->nodes[0].cpu_us = 1;
        m->nodes[1].cpu_us = 2500000;
        m->nodes[2].cpu_us = 3000000;
        assert_valid(m);
        format(m, METRICS_TEXT, &text);
        assert_non_null(strstr(text, "{kernel=\"7.2\\\"\\\\\\n{x}\",tuner=\"direct\""));
        assert_non_null(strstr(text, "tierd_scheme_tried_bytes_total{direction=\"demote\",source=\"0\",target=\"1\"} "
                                     "18446744073709551615\n"));
        assert_non_null(strstr(text, "tierd_scheme_ceiling_bytes_per_second{direction=\"demote\",source=\"0\",target=\"1\"} "
                                     "18446744073709551615\n"));
        assert_non_null(strstr(text, "tierd_scheme_ceiling_bytes_per_second{direction=\"demote\",source=\"1\",target=\"2\"} "
                                     "0\n"));
        assert_non_null(strstr(text, "tierd_scheme_goal_ratio{direction=\"promote\",source=\"1\",target=\"0\"} 1\n"));
        assert_non_null(strstr(text, "tierd_scheme_goal_ratio{direction=\"promote\",source=\"2\",target=\"1\"} 0.0001\n"));
        assert_non_null(strstr(text, "tierd_kdamond_cpu_seconds_total{node=\"0\"} 0.000001\n"));
        assert_non_null(strstr(text, "tierd_kdamond_cpu_seconds_total{node=\"1\"} 2.5\n"));
        assert_non_null(strstr(text, "tierd_kdamond_cpu_seconds_total{node=\"2\"} 3\n"));
        assert_non_null(strstr(text, "tierd_start_time_seconds 1800000000\n"));
}

/* Both formats say the same. */
static void test_same_samples(void **state) {
        _cleanup_free_ struct made_status *m = calloc(1, sizeof(*m));
        _cleanup_free_ char *om = NULL, *text = NULL;
        char *a, *b, *rest_a = NULL, *rest_b = NULL;
        unsigned samples = 0;

        (void) state;
        assert_non_null(m);
        made_status_at_work(m);
        format(m, METRICS_OPENMETRICS, &om);
        format(m, METRICS_TEXT, &text);
        a = strtok_r(om, "\n", &rest_a);
        b = strtok_r(text, "\n", &rest_b);
        while (a || b) {
                if (a && *a == '#')
                        a = strtok_r(NULL, "\n", &rest_a);
                else if (b && *b == '#')
                        b = strtok_r(NULL, "\n", &rest_b);
                else {
                        assert_non_null(a);
                        assert_non_null(b);
                        assert_string_equal(a, b);
                        a = strtok_r(NULL, "\n", &rest_a);
                        b = strtok_r(NULL, "\n", &rest_b);
                        samples++;
                }
        }
        assert_in_range(samples, 100, 200);
}

/* The checker can say no. */
static void test_checker(void **state) {
        static const char *const right[] = {
                "# EOF\n",
                "# TYPE a gauge\n# HELP a x \\\" \\\\ \\n\na 1\n# EOF\n",
                "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1.5\n# EOF\n",
                "# TYPE a counter\na_total{x=\"\\\\\\\"\\n\",y=\"\"} 1\na_total{x=\"\",y=\"\"} 1\n# EOF\n",
                "# HELP a_total x\na_total 1\nb 2\n# EOF\n",
        };
        static const char *const wrong[] = {
                "", "a 1\n", "# EOF", "# EOF\n# EOF\n", "# EOF\na 1\n", "\n# EOF\n", "a 1\n\n# EOF\n", "# comment\n# EOF\n",
                "#TYPE a gauge\n# EOF\n", "# TYPE a gorge\n# EOF\n", "# TYPE a\n# EOF\n", "# TYPE 1a gauge\n# EOF\n",
                "# TYPE a gauge\n# TYPE a gauge\n# EOF\n", "# HELP a x\n# HELP a x\n# EOF\n", "# HELP a\n# EOF\n",
                "# HELP a \\x\n# EOF\n", "# HELP a x\\\n# EOF\n",
                "a 1\n# TYPE a gauge\n# EOF\n", "# TYPE a gauge\na 1\n# HELP a x\n# EOF\n",
                "# UNIT a_seconds seconds\na_seconds 1\n# UNIT a_seconds seconds\n# EOF\n",
                "# UNIT a seconds\na 1\n# EOF\n", "# UNIT a_seconds second\n# EOF\n", "# UNIT seconds seconds\n# EOF\n",
                "a 1\nb 1\na 1\n# EOF\n", "# TYPE a gauge\n# TYPE b gauge\na 1\n# EOF\n",
                "# TYPE a gauge\nb 1\n# TYPE a gauge\na 1\n# EOF\n",
                "# TYPE a counter\na 1\n# EOF\n", "# TYPE a_total counter\na_total 1\n# EOF\n",
                "# TYPE a counter\na_total 1\na_total 2\n# EOF\n", "# TYPE a counter\na_total -1\n# EOF\n",
                "# TYPE a counter\n# HELP a_total x\na_total 1\n# EOF\n",
                "# TYPE a gauge\na_total 1\n# TYPE a_total gauge\n# EOF\n",
                "a{} 1\n# EOF\n", "a{x=\"1\",} 1\n# EOF\n", "a{x=\"1\" } 1\n# EOF\n", "a{x=1} 1\n# EOF\n",
                "a{x=\"1} 1\n# EOF\n", "a{x=\"\\t\"} 1\n# EOF\n", "a{1=\"1\"} 1\n# EOF\n", "a{x=\"1\",x=\"2\"} 1\n# EOF\n",
                "a{x=\"1\"}1\n# EOF\n", "a{x=\"1\"}  1\n# EOF\n", "a 1 \n# EOF\n", "a  1\n# EOF\n", "a\n# EOF\n",
                "a one\n# EOF\n", "a 1 2 3\n# EOF\n", "a{x=\"1\"} 1\na{x=\"1\"} 2\n# EOF\n",
                "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n# EOF\n",
                "a \xff\n# EOF\n", "a{x=\"\xff\"} 1\n# EOF\n", "a 1\r\n# EOF\n",
        };
        char why[256];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(right); i++)
                if (!openmetrics_check(right[i], why, sizeof(why)))
                        fail_msg("%zu: %s", i, why);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                if (openmetrics_check(wrong[i], why, sizeof(why)))
                        fail_msg("%s is wrong", wrong[i]);
        assert_true(metrics_text_check("# HELP a_total x\n# TYPE a_total counter\na_total 1\n", why, sizeof(why)));
        assert_false(metrics_text_check("# HELP a x\n# TYPE a counter\na 1\n", why, sizeof(why)));
        assert_false(metrics_text_check("# HELP a_total x\n# TYPE a_total gauge\na_total 1\n", why, sizeof(why)));
        assert_false(metrics_text_check("# TYPE a gauge\na 1\n", why, sizeof(why)));
        assert_false(metrics_text_check("# HELP a x\na 1\n", why, sizeof(why)));
        assert_false(metrics_text_check("# HELP a x\n# TYPE a gauge\na 1\n# EOF\n", why, sizeof(why)));
}

/* -- the file -- */

static char *text_at_work(void) {
        _cleanup_free_ struct made_status *m = calloc(1, sizeof(*m));
        char *text = NULL;

        assert_non_null(m);
        made_status_at_work(m);
        assert_int_equal(metrics_format(&m->s, METRICS_TEXT, &text), 0);
        return text;
}

static void write_to(const struct tree *t, const char *name, int expected) {
        _cleanup_free_ char *text = text_at_work();
        char path[PATH_SIZE];
        struct diag d = {};

        (void) snprintf(path, sizeof(path), "%s/%s", t->path, name);
        assert_int_equal(metrics_write_file(text, path, &d), expected);
        if (expected < 0)
                assert_non_null(strstr(d.text, path));
        else
                assert_int_equal(d.error, 0);
}

/* The directory holds this, and nothing else. */
static void assert_holds(const struct tree *t, const char *directory, const char *expected) {
        _cleanup_closedir_ DIR *dir = fdopendir(openat(t->root, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        char names[1024] = "";
        struct dirent *entry;

        assert_non_null(dir);
        while ((entry = readdir(dir)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        (void) snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s ", entry->d_name);
        assert_string_equal(names, expected);
}

static void assert_metrics(const struct tree *t, const char *name) {
        _cleanup_free_ char *text = NULL;
        char why[256];
        struct stat st;
        size_t len;

        assert_int_equal(fstatat(t->root, name, &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISREG(st.st_mode));
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(file_read_alloc(t->root, name, 1 << 20, &text, &len), 0);
        assert_true(metrics_text_check(text, why, sizeof(why)));
        assert_non_null(strstr(text, "\ntierd_scheme_quota_exceeded_total{direction=\"promote\",source=\"2\",target=\"1\"} "
                                     "13\n"));
}

static void test_file(void **state) {
        struct tree *t = *state;
        mode_t before = umask(0077);

        tree_mkdir(t, "d");
        write_to(t, "d/tierd.prom", 0);
        assert_metrics(t, "d/tierd.prom");
        assert_holds(t, "d", "tierd.prom ");
        /* Again, over the old one; and what a crash left is gone. */
        tree_put(t, "d/tierd.prom", "old");
        tree_put(t, "d/.tierd.prom.new", "half");
        write_to(t, "d/tierd.prom", 0);
        assert_metrics(t, "d/tierd.prom");
        assert_holds(t, "d", "tierd.prom ");
        (void) umask(before);
}

static void test_file_removed(void **state) {
        struct tree *t = *state;
        char path[PATH_SIZE];
        struct diag d = {};

        tree_mkdir(t, "d");
        write_to(t, "d/tierd.prom", 0);
        (void) snprintf(path, sizeof(path), "%s/d/tierd.prom", t->path);
        assert_int_equal(metrics_remove_file(path, &d), 0);
        assert_holds(t, "d", "");
        assert_int_equal(metrics_remove_file(path, &d), 0);
        (void) snprintf(path, sizeof(path), "%s/d", t->path);
        assert_int_equal(metrics_remove_file(path, &d), -EISDIR);
        assert_non_null(strstr(d.text, path));
}

/* A symbolic link in its place, or in the temporary file's, is replaced; what it leads to is left alone. */
static void test_file_links(void **state) {
        struct tree *t = *state;
        char line[64];

        tree_mkdir(t, "d");
        tree_put(t, "victim", "precious");
        tree_link(t, "d/tierd.prom", "../victim");
        tree_link(t, "d/.tierd.prom.new", "../victim");
        write_to(t, "d/tierd.prom", 0);
        assert_metrics(t, "d/tierd.prom");
        assert_holds(t, "d", "tierd.prom ");
        assert_int_equal(file_read_line(t->root, "victim", line, sizeof(line)), 8);
        assert_string_equal(line, "precious");
        /* A hard link likewise. */
        assert_int_equal(linkat(t->root, "victim", t->root, "d/.tierd.prom.new", 0), 0);
        write_to(t, "d/tierd.prom", 0);
        assert_int_equal(file_read_line(t->root, "victim", line, sizeof(line)), 8);
        /* The directory may be reached by a link. */
        tree_link(t, "e", "d");
        write_to(t, "e/tierd.prom", 0);
        assert_metrics(t, "d/tierd.prom");
}

static void test_file_errors(void **state) {
        struct tree *t = *state;
        char name[300], path[PATH_SIZE * 2];
        struct diag d = {};

        tree_mkdir(t, "d");
        write_to(t, "nowhere/tierd.prom", -ENOENT);
        tree_put(t, "file", "x");
        write_to(t, "file/tierd.prom", -ENOTDIR);
        write_to(t, "d/", -EINVAL);
        tree_mkdir(t, "d/tierd.prom");
        write_to(t, "d/tierd.prom", -EISDIR);
        assert_holds(t, "d", "tierd.prom ");
        tree_mkdir(t, "d/.other.prom.new");
        write_to(t, "d/other.prom", -EISDIR);
        memset(name, 'x', sizeof(name));
        (void) snprintf(path, sizeof(path), "d/%.*s", 251, name);
        write_to(t, path, -ENAMETOOLONG);
        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(metrics_write_file("x", path, &d), -ENAMETOOLONG);
        assert_int_equal(metrics_write_file("x", "tierd.prom", &d), -EINVAL);
        assert_int_equal(metrics_write_file("x", "", &d), -EINVAL);
}

static void test_file_read_only(void **state) {
        struct tree *t = *state;
        uid_t before = geteuid();

        tree_mkdir(t, "d");
        assert_int_equal(fchmodat(t->root, "d", 0555, 0), 0);
        assert_int_equal(chmod(t->path, 0755), 0);
        if (before == 0)
                assert_int_equal(seteuid(65534), 0);
        write_to(t, "d/tierd.prom", -EACCES);
        assert_int_equal(seteuid(before), 0);
        assert_holds(t, "d", "");
        assert_int_equal(fchmodat(t->root, "d", 0755, 0), 0);
}

/* The write itself fails, after a part of it: the file is as it was before, and nothing else is there. */
static void test_file_cut(void **state) {
        struct tree *t = *state;
        struct rlimit before, limit;
        char line[64];

        tree_mkdir(t, "d");
        tree_put(t, "d/tierd.prom", "old");
        assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        limit = before;
        limit.rlim_cur = 1000;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        write_to(t, "d/tierd.prom", -EFBIG);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_holds(t, "d", "tierd.prom ");
        assert_int_equal(file_read_line(t->root, "d/tierd.prom", line, sizeof(line)), 3);
}

/* A file system of two pages, one of which is taken. */
static int write_to_full(void *userdata) {
        struct tree t = *(const struct tree *) userdata;
        _cleanup_free_ char *text = NULL;
        char path[PATH_SIZE], line[64];
        struct diag d = {};

        (void) snprintf(path, sizeof(path), "%s/d", t.path);
        if (!namespace_enter() || mount("none", path, "tmpfs", 0, "size=8k") < 0)
                return NAMESPACE_NONE;
        /* As it is mounted here. */
        t.root = open(t.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        tree_put(&t, "d/tierd.prom", "old");
        text = text_at_work();
        (void) snprintf(path, sizeof(path), "%s/d/tierd.prom", t.path);
        if (metrics_write_file(text, path, &d) != -ENOSPC)
                return 1;
        assert_holds(&t, "d", "tierd.prom ");
        return file_read_line(t.root, "d/tierd.prom", line, sizeof(line)) != 3 || strcmp(line, "old") != 0 ? 2 : 0;
}

static void test_file_full(void **state) {
        struct tree *t = *state;
        int status;

        tree_mkdir(t, "d");
        status = namespace_run(write_to_full, t);
        if (status == NAMESPACE_NONE)
                skip();
        assert_int_equal(status, 0);
}

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, tree_setup, tree_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_golden),
                cmocka_unit_test(test_valid),
                cmocka_unit_test(test_unknown),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_same_samples),
                cmocka_unit_test(test_checker),
                WITH_TREE(test_file),
                WITH_TREE(test_file_removed),
                WITH_TREE(test_file_links),
                WITH_TREE(test_file_errors),
                WITH_TREE(test_file_read_only),
                WITH_TREE(test_file_cut),
                WITH_TREE(test_file_full),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
