/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "damon/apply.h"
#include "damon/observe.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"

#include <string.h>

#define MEMINFO "sys/devices/system/node/node0/meminfo"
#define SCHEMES DAMON_ADMIN "/0/contexts/0/schemes"

static struct scratch *running(enum scratch_kernel kernel, struct capability *ret) {
        struct scratch *s = scratch_new(kernel);
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct slot_map m = slots_for(2);

        APPLY_PATIENCE = (struct apply_patience){ .tries = 5, .pause_us = 0 };
        assert_int_equal(damon_claim(s->root, &m, NULL), 0);
        assert_int_equal(capability_probe(s->root, ret, NULL), 0);
        assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[0], ret, NULL, NULL), 0);
        return s;
}

static void put_counters(struct scratch *s) {
        scratch_make(s, SCHEMES "/0/stats/nr_tried", "3", 0400);
        scratch_make(s, SCHEMES "/0/stats/sz_tried", "18446744073709551615", 0400);
        scratch_make(s, SCHEMES "/0/stats/nr_applied", "2", 0400);
        scratch_make(s, SCHEMES "/0/stats/sz_applied", "8192", 0400);
        scratch_make(s, SCHEMES "/0/stats/qt_exceeds", "1", 0400);
        scratch_make(s, SCHEMES "/0/quotas/effective_bytes", "4096", 0400);
        scratch_make(s, SCHEMES "/3/stats/sz_tried", "77", 0400);
}

static void test_stats(void **state) {
        struct scheme_stats stats;
        struct capability c;
        struct scratch *s = running(SCRATCH_6_12, &c);
        struct diag d = {};

        (void) state;
        put_counters(s);
        assert_int_equal(kdamond_refresh(s->root, 0, true, &d), 0);
        assert_int_equal(kdamond_read_stats(s->root, 0, 0, STATS_WITH_QUOTA, &stats, &d), 0);
        assert_int_equal(stats.nr_tried, 3);
        assert_true(stats.sz_tried == UINT64_MAX);
        assert_int_equal(stats.nr_applied, 2);
        assert_int_equal(stats.sz_applied, 8192);
        assert_int_equal(stats.qt_exceeds, 1);
        assert_int_equal(stats.effective_bytes, 4096);
        assert_int_equal(kdamond_read_stats(s->root, 0, 3, STATS_SHOWN, &stats, &d), 0);
        assert_int_equal(stats.sz_tried, 77);
        scratch_free(s);
}

/* What was not asked for is not even opened. */
static void test_stats_sets(void **state) {
        struct scheme_stats stats;
        struct capability c;
        struct scratch *s = running(SCRATCH_7_2, &c);
        struct diag d = {};

        (void) state;
        put_counters(s);
        scratch_make(s, SCHEMES "/0/quotas/effective_bytes", "rubbish", 0400);
        assert_int_equal(kdamond_read_stats(s->root, 0, 0, STATS_WITH_QUOTA, &stats, &d), -EBADMSG);
        assert_int_equal(kdamond_read_stats(s->root, 0, 0, STATS_SHOWN, &stats, &d), 0);
        assert_int_equal(stats.qt_exceeds, 1);
        assert_int_equal(stats.effective_bytes, 0);

        scratch_make(s, SCHEMES "/0/stats/nr_tried", "rubbish", 0400);
        scratch_make(s, SCHEMES "/0/stats/nr_applied", "rubbish", 0400);
        scratch_make(s, SCHEMES "/0/stats/qt_exceeds", "rubbish", 0400);
        assert_int_equal(kdamond_read_stats(s->root, 0, 0, STATS_SHOWN, &stats, &d), -EBADMSG);
        assert_int_equal(kdamond_read_stats(s->root, 0, 0, STATS_TUNED_BY, &stats, &d), 0);
        assert_int_equal(stats.sz_applied, 8192);
        assert_int_equal(stats.qt_exceeds, 0);

        scratch_make(s, SCHEMES "/0/stats/sz_applied", "rubbish", 0400);
        assert_int_equal(kdamond_read_stats(s->root, 0, 0, STATS_TUNED_BY, &stats, &d), -EBADMSG);
        assert_int_equal(kdamond_read_stats(s->root, 0, 0, STATS_TRIED, &stats, &d), 0);
        assert_true(stats.sz_tried == UINT64_MAX);
        assert_int_equal(stats.sz_applied, 0);
        scratch_free(s);
}

/* A failure is not zero bytes, and leaves the last values alone. */
static void test_stats_fail(void **state) {
        struct scheme_stats stats = { .nr_tried = 42 };
        struct capability c;
        struct scratch *s = running(SCRATCH_7_2, &c);
        struct diag d = {};

        (void) state;
        assert_int_equal(kdamond_read_stats(s->root, 0, 4, STATS_SHOWN, &stats, &d), -ENOENT);
        assert_non_null(strstr(d.text, "/schemes/4/stats/sz_tried"));
        scratch_make(s, SCHEMES "/0/stats/qt_exceeds", "lots", 0400);
        assert_int_equal(kdamond_read_stats(s->root, 0, 0, STATS_SHOWN, &stats, &d), -EBADMSG);
        assert_int_equal(stats.nr_tried, 42);

        assert_int_equal(kdamond_refresh(s->root, 1, false, &d), -EINVAL);
        assert_int_equal(kdamond_refresh(s->root, 9, false, &d), -ENOENT);
        scratch_free(s);
}

static void test_meminfo(void **state) {
        static const char *const bad[] = {
                "",
                "Node 0 MemTotal: 1 kB",
                "Node 0 MemTotal:       16 kB\nNode 0 MemFree:        x kB",
                "Node 0 MemTotal:       16 MB\nNode 0 MemFree:        8 kB",
                "Node 0 MemTotal:       18446744073709551615 kB\nNode 0 MemFree:        8 kB",
                "Node 1 MemTotal:       16 kB\nNode 1 MemFree:        8 kB",
        };
        struct scratch *s = scratch_new(SCRATCH_7_2);
        uint64_t total = 1, free_bytes = 2;

        (void) state;
        assert_int_equal(node_read_meminfo(s->root, 0, &total, &free_bytes), -ENOENT);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                scratch_put(s, MEMINFO, bad[i]);
                assert_int_equal(node_read_meminfo(s->root, 0, &total, &free_bytes), -EBADMSG);
        }
        assert_int_equal(total, 1);
        assert_int_equal(free_bytes, 2);
        scratch_put(s, MEMINFO,
                    "Node 0 MemTotal:        4013192 kB\nNode 0 MemFree:          123456 kB\nNode 0 MemUsed:   1 kB\n");
        assert_int_equal(node_read_meminfo(s->root, 0, &total, &free_bytes), 0);
        assert_true(total == UINT64_C(4013192) * 1024);
        assert_true(free_bytes == UINT64_C(123456) * 1024);
        scratch_free(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_stats),
                cmocka_unit_test(test_stats_sets),
                cmocka_unit_test(test_stats_fail),
                cmocka_unit_test(test_meminfo),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
