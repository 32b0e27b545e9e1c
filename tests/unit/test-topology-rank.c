/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/hmat.h"
#include "topology/kinds.h"
#include "topology/neighbours.h"
#include "topology/rank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NODES_MAX 8
#define GIB (UINT64_C(1) << 30)

/* A topology as plain data: what the deciding functions see, without a machine. */
struct machine_data {
        struct topology t;
        struct node nodes[NODES_MAX];
        uint16_t distances[NODES_MAX * NODES_MAX];
        bool part[NODES_MAX], local[NODES_MAX];
        struct perf perf[NODES_MAX];
        uint64_t keys[NODES_MAX];
};

/* n nodes of 1 GiB with ids 0, 1, …; those in `cpus` have CPUs. Distances: 10 to itself, 20 to all others. */
static void set_up(struct machine_data *m, size_t n, const char *cpus) {
        struct idset with_cpus;

        *m = (struct machine_data) {};
        assert_int_equal(idset_parse(cpus, NODES_MAX, &with_cpus), 0);
        m->t.nodes = m->nodes;
        m->t.n_nodes = n;
        m->t.distances = m->distances;
        for (size_t i = 0; i < n; i++) {
                m->nodes[i].id = (int) i;
                m->nodes[i].tier = -1;
                m->nodes[i].memory_bytes = GIB;
                m->part[i] = true;
                if (idset_has(&with_cpus, (unsigned) i))
                        idset_add(&m->nodes[i].cpus, (unsigned) i);
                for (size_t k = 0; k < n; k++)
                        m->distances[i * n + k] = i == k ? 10 : 20;
        }
}

static void set_distance(struct machine_data *m, size_t a, size_t b, uint16_t distance) {
        m->distances[a * m->t.n_nodes + b] = distance;
        m->distances[b * m->t.n_nodes + a] = distance;
}

static void set_perf(struct machine_data *m, size_t i, uint64_t latency_ns, uint64_t bandwidth_mib) {
        m->perf[i] = (struct perf) {
                .read_latency_ns = latency_ns,
                .write_latency_ns = latency_ns,
                .read_bandwidth_mib = bandwidth_mib,
                .write_bandwidth_mib = bandwidth_mib,
        };
}

static void without_memory(struct machine_data *m, size_t i) {
        m->nodes[i].memory_bytes = 0;
        m->part[i] = false;
}

/* "0 1 - 1": the tiers by node. */
static const char *tiers_of(const struct machine_data *m) {
        static char text[128];
        size_t len = 0;

        text[0] = '\0';
        for (size_t i = 0; i < m->t.n_nodes; i++) {
                int tier = m->nodes[i].tier;

                if (tier < 0)
                        len += (size_t) snprintf(text + len, sizeof(text) - len, "%s-", i ? " " : "");
                else
                        len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%d", i ? " " : "", tier);
        }
        return text;
}

static const char *by_distance(struct machine_data *m) {
        rank_mark_local(&m->t, m->part, m->local);
        rank_keys_by_distance(&m->t, m->part, m->local, m->keys);
        assert_int_equal(rank_assign(&m->t, m->part, m->keys), 0);
        return tiers_of(m);
}

static const char *by_performance(struct machine_data *m) {
        rank_mark_local(&m->t, m->part, m->local);
        if (hmat_keys(&m->t, m->part, m->local, m->perf, m->keys) == RANK_UNRANKED)
                return "unranked";
        assert_int_equal(rank_assign(&m->t, m->part, m->keys), 0);
        return tiers_of(m);
}

static void test_assign(void **state) {
        static const uint64_t keys[] = { 56, 4, RANK_NO_KEY, 4, 90 };
        struct machine_data m;

        (void) state;
        set_up(&m, 5, "");
        assert_false(rank_keys_suffice(&m.t, m.part, keys, false));
        without_memory(&m, 2);
        assert_true(rank_keys_suffice(&m.t, m.part, keys, true));
        assert_int_equal(rank_assign(&m.t, m.part, keys), 0);
        assert_string_equal(tiers_of(&m), "1 0 - 0 2");
        assert_int_equal(m.t.n_tiers, 3);

        m.part[0] = m.part[4] = false;
        assert_true(rank_keys_suffice(&m.t, m.part, keys, false));
        assert_false(rank_keys_suffice(&m.t, m.part, keys, true));
        m.part[1] = m.part[3] = false;
        assert_false(rank_keys_suffice(&m.t, m.part, keys, false));
        assert_int_equal(rank_assign(&m.t, m.part, keys), 0);
        assert_int_equal(m.t.n_tiers, 0);
}

static void test_config(void **state) {
        struct idset sets[3] = {};
        struct tier_list tiers = { .tiers = sets, .n_tiers = 2 };
        struct machine_data m;
        struct diag d = {};

        (void) state;
        set_up(&m, 4, "0");
        without_memory(&m, 3);
        idset_add(&sets[0], 2);
        idset_add(&sets[1], 0);
        assert_int_equal(rank_by_config(&m.t, m.part, &tiers, &d), 0);
        /* Node 1 is not named, so it stands in no tier. */
        assert_string_equal(tiers_of(&m), "1 - 0 -");

        idset_add(&sets[1], 7);
        assert_int_equal(rank_by_config(&m.t, m.part, &tiers, &d), -EINVAL);
        assert_non_null(strstr(d.text, "node 7"));
        assert_non_null(strstr(d.text, "never will"));
        assert_string_equal(tiers_of(&m), "1 - 0 -");
        /* It may come, and so may the memory of node 3: as long as nothing of a tier is there, it is none. */
        idset_add(&m.t.possible, 7);
        assert_int_equal(rank_by_config(&m.t, m.part, &tiers, &d), 0);
        assert_string_equal(tiers_of(&m), "1 - 0 -");
        sets[1] = (struct idset) {};
        idset_add(&sets[1], 3);
        idset_add(&sets[1], 7);
        idset_add(&sets[2], 1);
        tiers.n_tiers = 3;
        assert_int_equal(rank_by_config(&m.t, m.part, &tiers, &d), 0);
        assert_string_equal(tiers_of(&m), "- 1 0 -");
        assert_int_equal(m.t.n_tiers, 2);
        tiers.n_tiers = 2;
        idset_add(&sets[1], 0);
        assert_int_equal(rank_by_config(&m.t, m.part, &tiers, &d), 0);
        sets[1] = (struct idset) {};
        idset_add(&sets[1], 2);
        assert_int_equal(rank_by_config(&m.t, m.part, &tiers, &d), -EINVAL);
        assert_non_null(strstr(d.text, "node 2 twice"));
        sets[1] = (struct idset) {};
        assert_int_equal(rank_by_config(&m.t, m.part, &tiers, &d), -EINVAL);
        assert_non_null(strstr(d.text, "names no node"));
        /* A refusal changes nothing. */
        assert_string_equal(tiers_of(&m), "1 - 0 -");
}

static void test_distance(void **state) {
        struct machine_data m;

        (void) state;
        set_up(&m, 4, "0-1");
        assert_string_equal(by_distance(&m), "0 0 1 1");

        /* The nearest CPUs count, so each socket's own expander is in one tier with the other's. */
        set_distance(&m, 0, 2, 14);
        set_distance(&m, 1, 2, 24);
        set_distance(&m, 0, 3, 24);
        set_distance(&m, 1, 3, 14);
        assert_string_equal(by_distance(&m), "0 0 1 1");
        set_distance(&m, 1, 3, 17);
        assert_string_equal(by_distance(&m), "0 0 1 2");

        /* Nothing to go by at all. */
        set_up(&m, 3, "");
        assert_string_equal(by_distance(&m), "0 0 0");
        /* Distances unknown: without CPUs is below, and no further told apart. */
        set_up(&m, 3, "0");
        memset(m.distances, 0, sizeof(m.distances));
        assert_string_equal(by_distance(&m), "0 1 1");
}

static void test_distance_without_cpus_is_not_slow(void **state) {
        struct machine_data m;

        (void) state;
        /* The CPUs sit on a node without memory; node 1 is their DRAM. */
        set_up(&m, 3, "0");
        without_memory(&m, 0);
        set_distance(&m, 0, 1, 12);
        set_distance(&m, 0, 2, 30);
        assert_string_equal(by_distance(&m), "- 0 1");
        /* The nearest, but known to be no DRAM. */
        m.nodes[1].kind = NODE_CXL;
        assert_string_equal(by_distance(&m), "- 1 0");

        /* Of two sockets one has no memory of its own; the expander beside it is not its DRAM. */
        set_up(&m, 3, "0-1");
        without_memory(&m, 1);
        set_distance(&m, 0, 1, 21);
        set_distance(&m, 1, 2, 14);
        set_distance(&m, 0, 2, 24);
        m.nodes[2].kind = NODE_CXL;
        assert_string_equal(by_distance(&m), "0 - 1");

        /* HBM is above DRAM, CPUs or not. */
        set_up(&m, 4, "0-1");
        m.nodes[2].kind = m.nodes[3].kind = NODE_HBM;
        set_distance(&m, 0, 2, 13);
        assert_string_equal(by_distance(&m), "1 1 0 0");
}

static void test_kinds_rank(void **state) {
        enum node_kind kinds[4] = { NODE_DRAM, NODE_HBM, NODE_CXL, NODE_PMEM };
        struct machine_data m;

        (void) state;
        set_up(&m, 4, "0");
        rank_mark_local(&m.t, m.part, m.local);
        rank_keys_by_kind(&m.t, m.part, m.local, kinds, m.keys);
        assert_true(rank_keys_suffice(&m.t, m.part, m.keys, true));
        assert_int_equal(rank_assign(&m.t, m.part, m.keys), 0);
        assert_string_equal(tiers_of(&m), "1 0 2 3");

        /* A name missing on local memory means DRAM, on any other that the source does not know enough. */
        kinds[0] = NODE_UNKNOWN;
        rank_keys_by_kind(&m.t, m.part, m.local, kinds, m.keys);
        assert_true(rank_keys_suffice(&m.t, m.part, m.keys, true));
        kinds[2] = NODE_UNKNOWN;
        rank_keys_by_kind(&m.t, m.part, m.local, kinds, m.keys);
        assert_false(rank_keys_suffice(&m.t, m.part, m.keys, true));
        /* All alike ranks nothing. */
        kinds[0] = kinds[1] = kinds[2] = kinds[3] = NODE_DRAM;
        rank_keys_by_kind(&m.t, m.part, m.local, kinds, m.keys);
        assert_false(rank_keys_suffice(&m.t, m.part, m.keys, true));
}

static void test_performance(void **state) {
        struct machine_data m;

        (void) state;
        set_up(&m, 4, "0-1");
        set_perf(&m, 0, 100, 102400);
        set_perf(&m, 1, 100, 102400);
        set_perf(&m, 2, 250, 20480);
        set_perf(&m, 3, 250, 20480);
        assert_string_equal(by_performance(&m), "0 0 1 1");
        /* The key is the kernel's abstract distance: 576 * 500 / 200 * 204800 / 40960. */
        assert_true(m.keys[0] == 576 && m.keys[2] == 7200);

        /* A tenth apart shares a tier: about DRAM, and far below it. */
        set_perf(&m, 1, 110, 102400);
        set_perf(&m, 3, 270, 20480);
        assert_string_equal(by_performance(&m), "0 0 1 1");
        set_perf(&m, 1, 125, 102400);
        assert_string_equal(by_performance(&m), "0 1 2 2");
        set_perf(&m, 1, 100, 102400);
        set_perf(&m, 3, 300, 20480);
        assert_string_equal(by_performance(&m), "0 0 1 2");

        /* HBM: hardly another latency, four times the bandwidth. Above DRAM without CPUs. */
        set_up(&m, 2, "0");
        set_perf(&m, 0, 100, 10240);
        set_perf(&m, 1, 110, 40960);
        assert_string_equal(by_performance(&m), "1 0");
        /* As fast as DRAM, without CPUs: the same tier. */
        set_perf(&m, 1, 100, 10240);
        assert_string_equal(by_performance(&m), "0 0");
}

static void test_performance_is_incomplete(void **state) {
        struct machine_data m;

        (void) state;
        set_up(&m, 3, "0");
        assert_string_equal(by_performance(&m), "unranked");
        set_perf(&m, 0, 100, 10240);
        set_perf(&m, 1, 200, 5120);
        assert_string_equal(by_performance(&m), "unranked");
        without_memory(&m, 2);
        assert_string_equal(by_performance(&m), "0 1 -");

        /* Latency of all but bandwidth of some: latency decides. */
        set_up(&m, 3, "0");
        set_perf(&m, 0, 100, 10240);
        set_perf(&m, 1, 200, 0);
        set_perf(&m, 2, 400, 5120);
        assert_string_equal(by_performance(&m), "0 1 2");
        /* Only reading is known of one. */
        m.perf[1].write_latency_ns = 0;
        assert_string_equal(by_performance(&m), "0 1 2");

        /* CPUs without memory: their DRAM is the measure. */
        set_up(&m, 3, "0");
        without_memory(&m, 0);
        set_distance(&m, 0, 1, 12);
        set_perf(&m, 1, 100, 10240);
        set_perf(&m, 2, 300, 3072);
        assert_string_equal(by_performance(&m), "- 0 1");
        assert_true(m.keys[1] == 576);

        /* Absurd figures overflow nothing. */
        set_up(&m, 2, "0");
        set_perf(&m, 0, 1, UINT64_MAX);
        set_perf(&m, 1, UINT64_MAX, 1);
        assert_string_equal(by_performance(&m), "0 1");
}

static void test_guess(void **state) {
        struct machine_data m;

        (void) state;
        set_up(&m, 4, "0");
        m.nodes[0].read_latency_ns = 100;
        m.nodes[0].read_bandwidth_mib = 10240;
        m.nodes[1].read_latency_ns = 110;
        m.nodes[1].read_bandwidth_mib = 40960;
        m.nodes[2] = m.nodes[1];
        m.nodes[2].kind = NODE_CXL;
        m.nodes[3].read_latency_ns = 250;
        m.nodes[3].read_bandwidth_mib = 40960;
        rank_mark_local(&m.t, m.part, m.local);
        kinds_guess(&m.t, m.local);
        assert_int_equal(m.nodes[0].kind, NODE_DRAM);
        assert_int_equal(m.nodes[1].kind, NODE_HBM);
        assert_int_equal(m.nodes[2].kind, NODE_CXL);
        assert_int_equal(m.nodes[3].kind, NODE_UNKNOWN);
}

static void set_tiers(struct machine_data *m, const int *tiers) {
        for (size_t i = 0; i < m->t.n_nodes; i++) {
                m->nodes[i].tier = tiers[i];
                m->t.n_tiers = MAX(m->t.n_tiers, (size_t) (tiers[i] + 1));
        }
}

static void assert_neighbours(const struct machine_data *m, size_t i, const char *upper, const char *lower) {
        char text[64];

        assert_true(idset_format(&m->nodes[i].upper, text, sizeof(text)) >= 0);
        assert_string_equal(text, upper);
        assert_true(idset_format(&m->nodes[i].lower, text, sizeof(text)) >= 0);
        assert_string_equal(text, lower);
}

static void test_private_expanders(void **state) {
        struct machine_data m;

        (void) state;
        set_up(&m, 4, "0-1");
        set_distance(&m, 0, 2, 14);
        set_distance(&m, 1, 2, 24);
        set_distance(&m, 0, 3, 24);
        set_distance(&m, 1, 3, 14);
        set_tiers(&m, (int[]) { 0, 0, 1, 1 });
        neighbours_choose(&m.t);
        assert_neighbours(&m, 0, "", "2");
        assert_neighbours(&m, 1, "", "3");
        assert_neighbours(&m, 2, "0", "");
        assert_neighbours(&m, 3, "1", "");
}

static void test_shared_expander(void **state) {
        struct machine_data m;

        (void) state;
        set_up(&m, 3, "0-1");
        set_tiers(&m, (int[]) { 0, 0, 1 });
        neighbours_choose(&m.t);
        assert_neighbours(&m, 0, "", "2");
        assert_neighbours(&m, 1, "", "2");
        assert_neighbours(&m, 2, "0-1", "");
        /* And again: the choice is made anew. */
        set_tiers(&m, (int[]) { 0, -1, 1 });
        neighbours_choose(&m.t);
        assert_neighbours(&m, 1, "", "");
        assert_neighbours(&m, 2, "0", "");
}

static void test_chain_skips_no_tier(void **state) {
        struct machine_data m;

        (void) state;
        set_up(&m, 3, "0");
        set_distance(&m, 0, 2, 11); /* nearer than the next tier, and yet not next */
        set_tiers(&m, (int[]) { 0, 1, 2 });
        neighbours_choose(&m.t);
        assert_neighbours(&m, 0, "", "1");
        assert_neighbours(&m, 1, "0", "2");
        assert_neighbours(&m, 2, "1", "");
}

static void test_ties(void **state) {
        struct machine_data m;

        (void) state;
        set_up(&m, 4, "0");
        set_tiers(&m, (int[]) { 0, 1, 1, 1 });
        neighbours_choose(&m.t);
        assert_neighbours(&m, 0, "", "1"); /* the lowest id */
        m.nodes[2].memory_bytes = 2 * GIB;
        neighbours_choose(&m.t);
        assert_neighbours(&m, 0, "", "2"); /* the larger memory */
        m.nodes[3].read_latency_ns = 300;
        neighbours_choose(&m.t);
        assert_neighbours(&m, 0, "", "3"); /* a known latency before none */
        m.nodes[1].read_latency_ns = 250;
        neighbours_choose(&m.t);
        assert_neighbours(&m, 0, "", "1"); /* the lower latency */
        set_distance(&m, 0, 2, 17);
        neighbours_choose(&m.t);
        assert_neighbours(&m, 0, "", "2"); /* the nearer, before all else */
        set_distance(&m, 0, 2, 0);
        neighbours_choose(&m.t);
        assert_neighbours(&m, 0, "", "1"); /* an unknown distance comes last */

        /* Nodes that no one demotes to promote to their nearest upper node all the same. */
        assert_neighbours(&m, 1, "0", "");
        assert_neighbours(&m, 2, "0", "");
        assert_neighbours(&m, 3, "0", "");
}

static void test_orphan_promotes_to_the_nearest(void **state) {
        struct machine_data m;

        (void) state;
        /* Both sockets are nearest to node 2; node 3 is nearest to socket 1. */
        set_up(&m, 4, "0-1");
        set_distance(&m, 0, 2, 14);
        set_distance(&m, 1, 2, 14);
        set_distance(&m, 0, 3, 24);
        set_distance(&m, 1, 3, 17);
        set_tiers(&m, (int[]) { 0, 0, 1, 1 });
        neighbours_choose(&m.t);
        assert_neighbours(&m, 2, "0-1", "");
        assert_neighbours(&m, 3, "1", "");
        assert_neighbours(&m, 1, "", "2");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_assign),
                cmocka_unit_test(test_config),
                cmocka_unit_test(test_distance),
                cmocka_unit_test(test_distance_without_cpus_is_not_slow),
                cmocka_unit_test(test_kinds_rank),
                cmocka_unit_test(test_performance),
                cmocka_unit_test(test_performance_is_incomplete),
                cmocka_unit_test(test_guess),
                cmocka_unit_test(test_private_expanders),
                cmocka_unit_test(test_shared_expander),
                cmocka_unit_test(test_chain_skips_no_tier),
                cmocka_unit_test(test_ties),
                cmocka_unit_test(test_orphan_promotes_to_the_nearest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
