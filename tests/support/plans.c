/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/support/plans.h"

#include <string.h>

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

static struct filter reject_young[] = { { .type = FILTER_YOUNG, .matching = true, .allow = false } };
static struct filter reject_not_young[] = {
        { .type = FILTER_MEMCG, .matching = true, .allow = false, .memcg_path = (char *) "/db.slice" },
        { .type = FILTER_YOUNG, .matching = false, .allow = false },
};

static struct mem_range ranges[3][2] = {
        { { 0, 2 * GIB }, { 4 * GIB, 6 * GIB } },
        { { 6 * GIB, 10 * GIB }, {} },
        { { 16 * GIB, 32 * GIB }, {} },
};

static struct probe probes[] = {
        { PROBE_ALL, { 0, UINT32_MAX, 0, UINT64_MAX } },
        { PROBE_HOT, { 1, UINT32_MAX, 0, UINT64_MAX } },
        { PROBE_COLD, { 0, 0, 500000, UINT64_MAX } },
};

static struct scheme demote(int from, int to) {
        return (struct scheme){
                .direction = DEMOTE,
                .source_nid = from,
                .target_nid = to,
                .goal_metric = GOAL_NODE_MEM_FREE_BP,
                .goal_nid = from,
                .goal_bp = 500,
                .quota_bytes = 200 * MIB,
                .quota_interval_us = 1000000,
                .weight_frequency = 100,
                .weight_age = 100,
                .access = { 0, 0, 250000, UINT64_MAX },
                .filters = reject_young,
                .n_filters = 1,
        };
}

static struct scheme promote(int from, int to) {
        return (struct scheme){
                .direction = PROMOTE,
                .source_nid = from,
                .target_nid = to,
                .goal_metric = GOAL_NODE_MEM_USED_BP,
                .goal_nid = to,
                .goal_bp = 9600,
                .quota_bytes = 100 * MIB,
                .quota_interval_us = 1000000,
                .weight_frequency = 100,
                .weight_age = 100,
                .access = { 1, UINT32_MAX, 0, UINT64_MAX },
                .filters = reject_not_young,
                .n_filters = 2,
        };
}

static struct plan *plan_of(size_t n, enum tuner_kind tuner) {
        static struct kdamond_plan kdamonds[3];
        static struct scheme schemes[3][2];
        static struct plan plan;

        memset(kdamonds, 0, sizeof(kdamonds));
        for (size_t i = 0; i < n; i++) {
                struct kdamond_plan *k = &kdamonds[i];

                k->nid = (int) i;
                k->ranges = ranges[i];
                k->n_ranges = i == 0 ? 2 : 1;
                k->schemes = schemes[i];
                if (i + 1 < n)
                        schemes[i][k->n_schemes++] = demote((int) i, (int) i + 1);
                if (i > 0)
                        schemes[i][k->n_schemes++] = promote((int) i, (int) i - 1);
                k->probes = probes;
                k->n_probes = tuner_kind_is_own(tuner) ? 3 : 0;
        }
        plan = (struct plan) {
                .tuner = tuner,
                .monitoring = {
                        .sample_us = 5000,
                        .aggregate_us = 100000,
                        .update_us = 1000000,
                        .min_regions = 10,
                        .max_regions = 1000,
                },
                .kdamonds = kdamonds,
                .n_kdamonds = n,
        };
        return &plan;
}

struct plan *plan_two_nodes(enum tuner_kind tuner) {
        return plan_of(2, tuner);
}

struct plan *plan_three_tiers(enum tuner_kind tuner) {
        return plan_of(3, tuner);
}

struct plan *plan_young_only(struct plan *p) {
        for (size_t i = 0; i < p->n_kdamonds; i++)
                for (size_t j = 0; j < p->kdamonds[i].n_schemes; j++) {
                        struct scheme *s = &p->kdamonds[i].schemes[j];

                        s->filters += s->n_filters - 1;
                        s->n_filters = 1;
                }
        return p;
}

struct slot_map slots_for(unsigned n) {
        struct slot_map m = {};

        for (unsigned i = 0; i < n; i++)
                idset_add(&m.possible, i);
        return m;
}
