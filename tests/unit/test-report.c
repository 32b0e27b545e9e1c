/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/plans.h"
#include "tests/support/tiered.h"
#include "tierd/report.h"

#include <string.h>
#include <syslog.h>

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

/* A manager by hand: three tiers, four schemes. */
struct desk {
        struct memory_log memory;
        struct manager m;
        struct scheme_report schemes[8];
        struct node_report nodes[3];
        struct node topology_nodes[4];
        struct topology topology;
        struct reports reports;
};

static void set_plan(struct desk *k, struct plan *p) {
        size_t n = 0;

        k->m.books.plan = p;
        memset(k->schemes, 0, sizeof(k->schemes));
        for (size_t i = 0; i < p->n_kdamonds; i++)
                for (size_t j = 0; j < p->kdamonds[i].n_schemes; j++)
                        k->schemes[n++] = (struct scheme_report) { .scheme = &p->kdamonds[i].schemes[j] };
        k->m.books.schemes = k->schemes;
        k->m.books.n_schemes = n;
}

static struct desk *desk_new(enum tuner_kind tuner) {
        struct desk *k = calloc(1, sizeof(*k));

        assert_non_null(k);
        memory_log_init(&k->memory);
        for (int i = 0; i < 4; i++) {
                k->topology_nodes[i] = (struct node) { .id = i, .tier = i < 2 ? 0 : i - 1, .memory_bytes = 2 * GIB };
                if (i < 3)
                        k->nodes[i] = (struct node_report) { .nid = i, .total_bytes = 2 * GIB, .free_bytes = 100 * MIB };
        }
        k->topology = (struct topology) {
                .rank_source = RANK_MEMORY_TIERING, .nodes = k->topology_nodes, .n_nodes = 4, .n_tiers = 3,
        };
        k->m.topology = &k->topology;
        k->m.books.nodes = k->nodes;
        k->m.books.n_nodes = 3;
        (void) snprintf(k->m.capability.release, sizeof(k->m.capability.release), "7.2.13");
        set_plan(k, plan_three_tiers(tuner));
        if (tuner == TUNER_DIRECT)
                assert_int_equal(tuner_new(k->m.books.plan, &k->m.books.tuner), 0);
        return k;
}

static void desk_done(struct desk **k) {
        reports_done(&(*k)->reports);
        (*k)->m.books.tuner = tuner_free((*k)->m.books.tuner);
        free(*k);
}

static void assert_log(struct desk *k, const char *expected) {
        assert_string_equal(k->memory.text, expected);
        k->memory.text[0] = '\0';
}

static void test_started(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new(TUNER_DIRECT);
        char note[] = "node 3: no memory, left out";
        struct note notes[] = { { .kind = NOTE_LEFT_OUT, .text = note } };

        (void) state;
        (void) snprintf(k->m.stopped_modules, sizeof(k->m.stopped_modules), "damon_stat");
        k->m.books.plan->notes = notes;
        k->m.books.plan->n_notes = 1;
        report_started(&k->memory.log, &k->m);
        assert_log(k, "6 tier 0: nodes 0-1, 4 GiB (ranked by memory_tiering)\n"
                      "6 tier 1: node 2, 2 GiB (ranked by memory_tiering)\n"
                      "6 tier 2: node 3, 2 GiB (ranked by memory_tiering)\n"
                      "6 node 0: demote to node 1, aiming at 5% of node 0 free, at most 200 MiB per 1 s\n"
                      "6 node 1: demote to node 2, aiming at 5% of node 1 free, at most 200 MiB per 1 s\n"
                      "6 node 1: promote to node 0, aiming at 96% of node 0 used, at most 100 MiB per 1 s\n"
                      "6 node 2: promote to node 1, aiming at 96% of node 1 used, at most 100 MiB per 1 s\n"
                      "5 node 3: no memory, left out\n"
                      "5 stopped damon_stat, which held DAMON; put back at the end\n"
                      "6 managing 3 nodes by 4 schemes, tuner direct, on Linux 7.2.13\n");

        k->m.books.plan->n_kdamonds = 0;
        k->m.books.n_schemes = 0;
        k->m.books.plan->n_notes = 0;
        k->m.stopped_modules[0] = '\0';
        k->topology.n_tiers = 1;
        report_started(&k->memory.log, &k->m);
        assert_log(k, "6 tier 0: nodes 0-1, 4 GiB (ranked by memory_tiering)\n"
                      "5 nothing to manage on this machine\n");
}

static void test_schemes(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new(TUNER_DIRECT);

        (void) state;
        assert_int_equal(reports_renew(&k->reports, &k->m), 0);
        k->schemes[0].stats.sz_applied = 30 * MIB;
        k->schemes[0].quota_bytes = 4 * MIB;
        k->schemes[0].quota_window_us = 200000;
        k->schemes[0].reason = TUNER_GOAL;
        k->schemes[2].stats.sz_applied = 7 * MIB;
        k->schemes[2].reason = TUNER_EXCHANGE;
        report_schemes(&k->memory.log, &k->m, &k->reports);
        assert_log(k, "6 demote 0 -> 1: node 0 free 4.88% (goal 5%), quota 20 MiB/s (goal), moved 30 MiB\n"
                      "6 demote 1 -> 2: node 1 free 4.88% (goal 5%), quota 0 B/s (rest), moved 0 B\n"
                      "6 promote 1 -> 0: node 0 used 95.12% (goal 96%), quota 0 B/s (exchange), moved 7 MiB\n"
                      "6 promote 2 -> 1: node 1 used 95.12% (goal 96%), quota 0 B/s (rest), moved 0 B\n");
        assert_int_equal(k->reports.down_bytes, 30 * MIB);
        assert_int_equal(k->reports.up_bytes, 7 * MIB);

        /* What is new since, also across a reload that keeps the scheme and drops others. */
        set_plan(k, plan_two_nodes(TUNER_DIRECT));
        assert_int_equal(reports_renew(&k->reports, &k->m), 0);
        k->schemes[0].stats.sz_applied = 32 * MIB;
        k->schemes[1].stats.sz_applied = 1 * MIB;
        report_schemes(&k->memory.log, &k->m, &k->reports);
        /* The second one's count went back: its kdamond was started anew. */
        assert_log(k, "6 demote 0 -> 1: node 0 free 4.88% (goal 5%), quota 0 B/s (rest), moved 2 MiB\n"
                      "6 promote 1 -> 0: node 0 used 95.12% (goal 96%), quota 0 B/s (rest), moved 1 MiB\n");
}

static void test_kernel_tuner(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new(TUNER_KERNEL);

        (void) state;
        assert_int_equal(reports_renew(&k->reports, &k->m), 0);
        k->m.books.n_schemes = 1;
        k->schemes[0].quota_bytes = MIB;
        k->schemes[0].quota_window_us = 1000000;
        /* Not measured yet. */
        k->nodes[0].total_bytes = 0;
        report_schemes(&k->memory.log, &k->m, &k->reports);
        assert_log(k, "6 demote 0 -> 1: node 0 free unknown (goal 5%), quota 1 MiB/s, moved 0 B\n");
}

static void test_full_targets(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new(TUNER_DIRECT);

        (void) state;
        assert_int_equal(reports_renew(&k->reports, &k->m), 0);
        report_full_targets(&k->memory.log, &k->m, &k->reports);
        assert_log(k, "");
        k->schemes[1].reason = TUNER_NO_ROOM;
        /* A promotion that finds no room is the usual thing. */
        k->schemes[2].reason = TUNER_NO_ROOM;
        report_full_targets(&k->memory.log, &k->m, &k->reports);
        assert_log(k, "4 node 2 is full: node 1 cannot demote to it, and waits\n");
        report_full_targets(&k->memory.log, &k->m, &k->reports);
        assert_log(k, "");
        /* A reload is no news. */
        assert_int_equal(reports_renew(&k->reports, &k->m), 0);
        report_full_targets(&k->memory.log, &k->m, &k->reports);
        assert_log(k, "");
        k->schemes[1].reason = TUNER_REST;
        report_full_targets(&k->memory.log, &k->m, &k->reports);
        assert_log(k, "6 node 2 takes demotions from node 1 again\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_started),
                cmocka_unit_test(test_schemes),
                cmocka_unit_test(test_kernel_tuner),
                cmocka_unit_test(test_full_targets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
