/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "damon/apply.h"
#include "damon/capability.h"
#include "tests/support/scratch.h"

#include <string.h>

static struct capability from(const char *release) {
        struct capability c;

        assert_int_equal(capability_from_release(release, &c, NULL), 0);
        return c;
}

static void test_releases(void **state) {
        struct capability c;

        (void) state;
        c = from("5.17");
        assert_false(c.present);
        c = from("6.1.192-1-amd64");
        assert_true(c.present && c.paddr);
        assert_false(c.migrate || c.filters_dir || c.user_goals || c.apply_interval || c.first_window_unlimited);
        c = from("6.1.192-tierd");
        assert_true(c.migrate && c.filters_dir && c.young_filter && c.silent_commit);
        assert_false(c.anon_filter || c.memcg_filter || c.filter_allow || c.user_goals || c.apply_interval);
        c = from("6.12.117-tierd+1");
        assert_true(c.node_goals && c.anon_filter && c.silent_commit);
        assert_false(c.first_window_unlimited || c.ops_filters);
        c = from("6.12.117-tierdown");
        assert_true(c.first_window_unlimited && !c.node_goals);
        c = from("6.2.0-tierd");
        assert_false(c.migrate);
        c = from("6.13.1-tierd");
        assert_true(c.first_window_unlimited && !c.node_goals);
        c = from("6.10.14");
        assert_true(c.young_filter && c.user_goals);
        assert_false(c.migrate);
        c = from("6.11");
        assert_true(c.migrate && c.first_window_unlimited && c.silent_commit);
        c = from("6.14.0-rc1");
        assert_true(c.filter_allow && c.silent_commit);
        assert_false(c.first_window_unlimited || c.ops_filters);
        c = from("6.16.3");
        assert_true(c.node_goals && c.intervals_goal && c.ops_filters && c.hugepage_filter);
        assert_false(c.silent_commit || c.dests || c.refresh_ms);
        c = from("6.19");
        assert_true(c.obsolete_target && c.addr_unit && c.dests);
        assert_false(c.max_nr_snapshots || c.goal_tuner);
        c = from("7.2.13+deb14-amd64");
        assert_true(c.goal_tuner && c.fail_charge && c.pause && c.max_nr_snapshots);
        assert_string_equal(c.release, "7.2.13+deb14-amd64");
        assert_int_equal(c.major, 7);
        assert_int_equal(c.minor, 2);
        c = from("10.0");
        assert_true(c.pause && c.migrate);
}

static void test_no_releases(void **state) {
        static const char *const bad[] = { "",      "6",     "6.",    ".12",   "6.x",         "six.12",
                                           "6.12x", "v6.12", " 6.12", "6.12 ", "123456789.1", "-6.1" };
        char endless[200] = "6.12.";
        struct capability c;
        struct diag d;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                d = (struct diag){};
                assert_int_equal(capability_from_release(bad[i], &c, &d), -EINVAL);
                assert_non_null(strstr(d.text, "is not a kernel release"));
        }
        memset(endless + 5, '1', sizeof(endless) - 6);
        assert_int_equal(capability_from_release(endless, &c, NULL), -EINVAL);
}

static void test_read_release(void **state) {
        struct scratch *s = scratch_new(SCRATCH_6_12);
        char buf[80];
        struct diag d = {};

        (void) state;
        assert_int_equal(capability_read_release(s->root, buf, sizeof(buf), &d), 0);
        assert_string_equal(buf, "6.12.117+deb12-amd64");
        assert_int_equal(capability_read_release(s->root, buf, 5, &d), -EBADMSG);
        scratch_put(s, "proc/version", "Linux");
        assert_int_equal(capability_read_release(s->root, buf, sizeof(buf), &d), -EBADMSG);
        scratch_put(s, "proc/version", "Linux version ");
        assert_int_equal(capability_read_release(s->root, buf, sizeof(buf), &d), -EBADMSG);
        scratch_put(s, "proc/version", "Plan 9 version 4");
        assert_int_equal(capability_read_release(s->root, buf, sizeof(buf), &d), -EBADMSG);
        scratch_remove(s, "proc");
        assert_int_equal(capability_read_release(s->root, buf, sizeof(buf), &d), -ENOENT);
        scratch_free(s);
}

static struct scratch *with_slot(enum scratch_kernel kernel) {
        struct scratch *s = scratch_new(kernel);

        APPLY_PATIENCE = (struct apply_patience){ .tries = 5, .pause_us = 0 };
        assert_int_equal(scratch_store(s, "sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds", "1"), 0);
        return s;
}

/* What is found by trying is what the table says, and nothing is left behind. */
static void test_probe_agrees_with_the_table(void **state) {
        (void) state;
        for (enum scratch_kernel k = 0; k < _SCRATCH_KERNEL_MAX; k++) {
                struct scratch *s = with_slot(k);
                struct capability probed, listed;
                char release[80];
                struct diag d = {};

                assert_int_equal(capability_read_release(s->root, release, sizeof(release), &d), 0);
                listed = from(release);
                if (capability_probe(s->root, &probed, &d) < 0)
                        fail_msg("%s: %s", release, d.text);
                assert_memory_equal(&probed, &listed, sizeof(probed));
                assert_true(scratch_slot_is_empty(s, 0));
                scratch_free(s);
        }
}

static void test_probe_under_faults(void **state) {
        struct scratch *s = with_slot(SCRATCH_7_2);
        struct capability c;
        struct diag d = {};
        size_t writes, reads;

        (void) state;
        scratch_reset_faults(s);
        assert_int_equal(capability_probe(s->root, &c, &d), 0);
        writes = s->writes;
        reads = s->reads;
        for (size_t i = 0; i < writes; i++) {
                scratch_reset_faults(s);
                s->fault_at = i;
                s->fault_error = -EIO;
                s->fault_times = 1;
                assert_int_equal(capability_probe(s->root, &c, &d), -EIO);
                if (i + 1 < writes)
                        assert_true(scratch_slot_is_empty(s, 0));

                scratch_reset_faults(s);
                s->fault_at = i;
                s->fault_error = -EBUSY;
                s->fault_times = 3;
                assert_int_equal(capability_probe(s->root, &c, &d), 0);
        }
        for (size_t i = 0; i < reads; i++) {
                scratch_reset_faults(s);
                s->read_fault_at = i;
                s->read_fault_error = -EIO;
                s->read_fault_times = 1;
                assert_int_equal(capability_probe(s->root, &c, &d), -EIO);
                assert_true(scratch_slot_is_empty(s, 0));
        }
        scratch_free(s);
}

static void test_probe_refuses(void **state) {
        struct scratch *s = with_slot(SCRATCH_7_2);
        struct capability c;
        struct diag d = {};

        (void) state;
        scratch_make(s, "sys/kernel/mm/damon/admin/kdamonds/0/state", "on", 0600);
        scratch_reset_faults(s);
        assert_int_equal(capability_probe(s->root, &c, &d), -EBUSY);
        assert_int_equal(s->writes, 0);
        scratch_remove(s, "sys/kernel");
        assert_int_equal(capability_probe(s->root, &c, &d), -ENOENT);
        scratch_free(s);
}

static void test_without_paddr(void **state) {
        struct scratch *s = with_slot(SCRATCH_6_12);
        struct capability c;

        (void) state;
        s->no_paddr = true;
        assert_int_equal(capability_probe(s->root, &c, NULL), 0);
        assert_false(c.paddr);
        assert_true(c.migrate);
        assert_false(capability_features(&c).migrate);
        scratch_free(s);
}

/* A kernel that has the name of a patched one, and nothing else of it. */
static void test_name_alone(void **state) {
        struct scratch *s = with_slot(SCRATCH_6_12);
        struct capability c;

        (void) state;
        scratch_put(s, "proc/version", "Linux version 6.12.117-tierd (builder@host) (gcc) #1 SMP");
        assert_int_equal(capability_probe(s->root, &c, NULL), 0);
        assert_false(c.node_goals);
        assert_true(c.first_window_unlimited);
        scratch_free(s);
}

static void test_features(void **state) {
        struct capability c = from("6.12");
        struct plan_features f = capability_features(&c);

        (void) state;
        assert_true(f.migrate && f.user_goals && f.young_filter);
        assert_false(f.node_goals || f.intervals_goal || f.hugepage_filter);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_releases),           cmocka_unit_test(test_no_releases),
                cmocka_unit_test(test_read_release),       cmocka_unit_test(test_probe_agrees_with_the_table),
                cmocka_unit_test(test_probe_under_faults), cmocka_unit_test(test_probe_refuses),
                cmocka_unit_test(test_without_paddr),      cmocka_unit_test(test_name_alone),
                cmocka_unit_test(test_features),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
