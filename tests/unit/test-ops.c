/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damon/apply.h"
#include "damon/ops.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"

#include <fnmatch.h>
#include <ftw.h>
#include <string.h>

#define SCHEME(slot, i) DAMON_ADMIN "/" #slot "/contexts/0/schemes/" #i "/"

static const char *const RELEASES[] = { "6.12.117+deb12-amd64", "6.18.44", "7.2.13+deb14-amd64" };

#define PATCHED_6_1 "6.1.192-tierd"

static struct capability capability_of(const char *release) {
        struct capability c;

        assert_int_equal(capability_from_release(release, &c, NULL), 0);
        return c;
}

/* The last value written to the path, or NULL. */
static const char *value_of(const struct ops *o, const char *path) {
        for (size_t i = o->n_ops; i > 0; i--)
                if (strcmp(o->ops[i - 1].path, path) == 0)
                        return o->ops[i - 1].value;
        return NULL;
}

static void assert_value(const struct ops *o, const char *path, const char *value) {
        const char *v = value_of(o, path);

        if (!v)
                fail_msg("%s is not written", path);
        assert_string_equal(v, value);
}

static void assert_absent(const struct ops *o, const char *pattern) {
        for (size_t i = 0; i < o->n_ops; i++)
                if (fnmatch(pattern, o->ops[i].path, 0) == 0)
                        fail_msg("%s is written, and this kernel has no such file", o->ops[i].path);
}

static struct ops *kdamond_ops(const struct plan *p, size_t i, const struct capability *c) {
        struct slot_map m = slots_for(4);
        struct ops *o;

        assert_int_equal(ops_make_kdamond(&m, p, &p->kdamonds[i], c, &o), 0);
        return o;
}

static void test_slots(void **state) {
        struct slot_map m = {};
        struct ops *o;

        (void) state;
        idset_add(&m.possible, 0);
        idset_add(&m.possible, 2);
        idset_add(&m.possible, 7);
        assert_int_equal(slot_of(&m, 0), 0);
        assert_int_equal(slot_of(&m, 2), 1);
        assert_int_equal(slot_of(&m, 7), 2);
        assert_int_equal(slot_of(&m, 1), -1);
        assert_int_equal(slot_of(&m, 8), -1);
        assert_int_equal(slot_of(&m, -1), -1);
        assert_int_equal(ops_make_slots(&m, &o), 0);
        assert_int_equal(o->n_ops, 1);
        assert_string_equal(o->ops[0].path, "sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds");
        assert_string_equal(o->ops[0].value, "3");
        assert_null(ops_free(o));
        assert_null(ops_free(NULL));
}

static void test_what_is_common(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(RELEASES); i++) {
                struct capability c = capability_of(RELEASES[i]);
                struct plan *p = plan_three_tiers(TUNER_DIRECT);
                struct ops *o = kdamond_ops(p, 1, &c);

                assert_value(o, DAMON_ADMIN "/1/contexts/nr_contexts", "1");
                assert_value(o, DAMON_ADMIN "/1/contexts/0/operations", "paddr");
                assert_value(o, DAMON_ADMIN "/1/contexts/0/monitoring_attrs/intervals/sample_us", "5000");
                assert_value(o, DAMON_ADMIN "/1/contexts/0/monitoring_attrs/intervals/aggr_us", "100000");
                assert_value(o, DAMON_ADMIN "/1/contexts/0/monitoring_attrs/intervals/update_us", "1000000");
                assert_value(o, DAMON_ADMIN "/1/contexts/0/monitoring_attrs/nr_regions/min", "10");
                assert_value(o, DAMON_ADMIN "/1/contexts/0/monitoring_attrs/nr_regions/max", "1000");
                assert_value(o, DAMON_ADMIN "/1/contexts/0/targets/nr_targets", "1");
                assert_value(o, DAMON_ADMIN "/1/contexts/0/targets/0/regions/0/start", "6442450944");
                assert_value(o, DAMON_ADMIN "/1/contexts/0/targets/0/regions/0/end", "10737418240");
                assert_value(o, DAMON_ADMIN "/1/contexts/0/schemes/nr_schemes", "5");

                assert_value(o, SCHEME(1, 0) "action", "migrate_cold");
                assert_value(o, SCHEME(1, 0) "target_nid", "2");
                assert_value(o, SCHEME(1, 0) "access_pattern/sz/min", "0");
                assert_value(o, SCHEME(1, 0) "access_pattern/sz/max", "18446744073709551615");
                assert_value(o, SCHEME(1, 0) "access_pattern/nr_accesses/max", "0");
                /* 250 ms of age are three aggregations of 100 ms, not two. */
                assert_value(o, SCHEME(1, 0) "access_pattern/age/min", "3");
                assert_value(o, SCHEME(1, 0) "access_pattern/age/max", "4294967295");
                assert_value(o, SCHEME(1, 1) "action", "migrate_hot");
                assert_value(o, SCHEME(1, 1) "target_nid", "0");
                assert_value(o, SCHEME(1, 1) "access_pattern/nr_accesses/min", "1");
                assert_value(o, SCHEME(1, 1) "access_pattern/nr_accesses/max", "4294967295");
                assert_value(o, SCHEME(1, 1) "quotas/weights/sz_permil", "0");
                assert_value(o, SCHEME(1, 1) "quotas/weights/nr_accesses_permil", "100");
                assert_value(o, SCHEME(1, 1) "quotas/ms", "0");
                assert_value(o, SCHEME(1, 1) "watermarks/metric", "none");

                /* Direct: no goals, and at rest. */
                assert_value(o, SCHEME(1, 1) "quotas/goals/nr_goals", "0");
                assert_value(o, SCHEME(1, 1) "quotas/bytes", "1");

                for (int k = 2; k < 5; k++) {
                        char path[200];

                        (void) snprintf(path, sizeof(path), DAMON_ADMIN "/1/contexts/0/schemes/%d/action", k);
                        assert_value(o, path, "stat");
                        (void) snprintf(path, sizeof(path), DAMON_ADMIN "/1/contexts/0/schemes/%d/quotas/bytes", k);
                        assert_value(o, path, "0");
                        (void) snprintf(path, sizeof(path), DAMON_ADMIN "/1/contexts/0/schemes/%d/apply_interval_us", k);
                        assert_value(o, path, "0");
                }
                assert_value(o, SCHEME(1, 4) "access_pattern/age/min", "5");
                ops_free(o);
        }
}

static void test_6_12(void **state) {
        struct capability c = capability_of(RELEASES[0]);
        struct plan *p = plan_three_tiers(TUNER_DIRECT);
        struct ops *o = kdamond_ops(p, 1, &c);

        (void) state;
        assert_value(o, SCHEME(1, 0) "filters/nr_filters", "1");
        assert_value(o, SCHEME(1, 0) "filters/0/type", "young");
        assert_value(o, SCHEME(1, 0) "filters/0/matching", "Y");
        assert_value(o, SCHEME(1, 1) "filters/0/memcg_path", "/db.slice");
        assert_value(o, SCHEME(1, 1) "filters/1/type", "young");
        assert_value(o, SCHEME(1, 1) "filters/1/matching", "N");
        assert_value(o, SCHEME(1, 0) "quotas/reset_interval_ms", "0");
        assert_value(o, SCHEME(1, 0) "apply_interval_us", "95000");
        assert_absent(o, "*/allow");
        assert_absent(o, "*ops_filters*");
        assert_absent(o, "*core_filters*");
        assert_absent(o, "*intervals_goal*");
        assert_absent(o, "*/dests/*");
        assert_absent(o, "*/nid");
        assert_absent(o, "*refresh_ms");
        assert_absent(o, "*addr_unit");
        ops_free(o);
}

static void test_7_2(void **state) {
        struct capability c = capability_of(RELEASES[2]);
        struct plan *p = plan_three_tiers(TUNER_KERNEL);
        struct ops *o = kdamond_ops(p, 1, &c);

        (void) state;
        assert_value(o, SCHEME(1, 0) "filters/nr_filters", "0");
        assert_value(o, SCHEME(1, 0) "core_filters/nr_filters", "0");
        assert_value(o, SCHEME(1, 0) "ops_filters/nr_filters", "1");
        assert_value(o, SCHEME(1, 0) "ops_filters/0/type", "young");
        assert_value(o, SCHEME(1, 0) "ops_filters/0/allow", "N");
        assert_value(o, SCHEME(1, 0) "quotas/bytes", "209715200");
        assert_value(o, SCHEME(1, 0) "quotas/reset_interval_ms", "1000");
        assert_value(o, SCHEME(1, 0) "apply_interval_us", "0");
        assert_value(o, SCHEME(1, 0) "quotas/goal_tuner", "consist");
        assert_value(o, SCHEME(1, 0) "quotas/goals/nr_goals", "1");
        assert_value(o, SCHEME(1, 0) "quotas/goals/0/target_metric", "node_mem_free_bp");
        assert_value(o, SCHEME(1, 0) "quotas/goals/0/target_value", "500");
        assert_value(o, SCHEME(1, 0) "quotas/goals/0/current_value", "0");
        assert_value(o, SCHEME(1, 0) "quotas/goals/0/nid", "1");
        assert_value(o, SCHEME(1, 1) "quotas/goals/0/target_metric", "node_mem_used_bp");
        assert_value(o, SCHEME(1, 1) "quotas/goals/0/nid", "0");
        assert_value(o, SCHEME(1, 1) "dests/nr_dests", "0");
        assert_value(o, SCHEME(1, 1) "stats/max_nr_snapshots", "0");
        assert_value(o, DAMON_ADMIN "/1/refresh_ms", "0");
        assert_value(o, DAMON_ADMIN "/1/contexts/0/pause", "N");
        assert_value(o, DAMON_ADMIN "/1/contexts/0/addr_unit", "1");
        assert_value(o, DAMON_ADMIN "/1/contexts/0/monitoring_attrs/intervals/intervals_goal/aggrs", "0");
        ops_free(o);
}

static void test_feedback(void **state) {
        struct capability c = capability_of(RELEASES[0]);
        struct plan *p = plan_two_nodes(TUNER_FEEDBACK);
        struct slot_map m = slots_for(2), none = {};
        const uint64_t scores[] = { 123 };
        struct ops *o = kdamond_ops(p, 0, &c);

        (void) state;
        assert_value(o, SCHEME(0, 0) "quotas/goals/0/target_metric", "user_input");
        assert_value(o, SCHEME(0, 0) "quotas/goals/0/target_value", "10000");
        assert_value(o, SCHEME(0, 0) "quotas/goals/0/current_value", "20000");
        /* The first window's workaround holds for it, too. */
        assert_value(o, SCHEME(0, 0) "quotas/reset_interval_ms", "0");
        assert_value(o, SCHEME(0, 0) "quotas/bytes", "1");
        ops_free(o);

        assert_int_equal(ops_make_feeds(&m, &p->kdamonds[0], scores, &o), 0);
        assert_int_equal(o->n_ops, 1);
        assert_string_equal(o->ops[0].path, SCHEME(0, 0) "quotas/goals/0/current_value");
        assert_string_equal(o->ops[0].value, "123");
        ops_free(o);
        assert_int_equal(ops_make_feeds(&none, &p->kdamonds[0], scores, &o), -EINVAL);
}

static void test_temporal(void **state) {
        struct capability c = capability_of(RELEASES[2]), old = capability_of(RELEASES[1]);
        struct plan *p = plan_two_nodes(TUNER_KERNEL);
        struct ops *o = kdamond_ops(p, 0, &c);

        (void) state;
        assert_value(o, SCHEME(0, 0) "quotas/goal_tuner", "consist");
        ops_free(o);
        p->goal_tuner = GOAL_TUNER_TEMPORAL;
        o = kdamond_ops(p, 0, &c);
        assert_value(o, SCHEME(0, 0) "quotas/goal_tuner", "temporal");
        ops_free(o);
        o = kdamond_ops(p, 0, &old);
        assert_null(value_of(o, SCHEME(0, 0) "quotas/goal_tuner"));
        ops_free(o);
}

static void test_auto_intervals(void **state) {
        struct capability c = capability_of(RELEASES[2]);
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct ops *o;

        (void) state;
        p->monitoring.auto_intervals = true;
        p->monitoring.auto_access_bp = 400;
        p->monitoring.auto_aggregations = 3;
        p->monitoring.auto_sample_min_us = 5000;
        p->monitoring.auto_sample_max_us = 10000000;
        o = kdamond_ops(p, 0, &c);
        assert_value(o, DAMON_ADMIN "/0/contexts/0/monitoring_attrs/intervals/intervals_goal/access_bp", "400");
        assert_value(o, DAMON_ADMIN "/0/contexts/0/monitoring_attrs/intervals/intervals_goal/aggrs", "3");
        assert_value(o, DAMON_ADMIN "/0/contexts/0/monitoring_attrs/intervals/intervals_goal/max_sample_us", "10000000");
        ops_free(o);
}

static int encode_filters_as(const char *release, struct filter *filters, size_t n, struct ops **ret) {
        struct capability c = capability_of(release);
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct slot_map m = slots_for(2);

        p->kdamonds[0].schemes[0].filters = filters;
        p->kdamonds[0].schemes[0].n_filters = n;
        return ops_make_kdamond(&m, p, &p->kdamonds[0], &c, ret);
}

static void test_allowing_filters(void **state) {
        struct filter last[] = { { .type = FILTER_ANON, .matching = true, .allow = false },
                                 { .type = FILTER_YOUNG, .matching = true, .allow = true } };
        struct filter first[] = { { .type = FILTER_YOUNG, .matching = true, .allow = true },
                                  { .type = FILTER_ANON, .matching = true, .allow = false } };
        struct filter huge[] = { { .type = FILTER_HUGEPAGE_SIZE, .matching = true, .allow = false } };
        struct filter nowhere[] = { { .type = FILTER_MEMCG, .matching = true, .allow = false, .memcg_path = NULL } };
        struct ops *o = NULL;

        (void) state;
        /* "Allow the young, reject the rest" is "reject the not young" where allowing means nothing. */
        assert_int_equal(encode_filters_as("6.12", last, 2, &o), 0);
        assert_value(o, SCHEME(0, 0) "filters/0/matching", "Y");
        assert_value(o, SCHEME(0, 0) "filters/1/matching", "N");
        o = ops_free(o);
        assert_int_equal(encode_filters_as("6.14", last, 2, &o), 0);
        assert_value(o, SCHEME(0, 0) "filters/1/matching", "N");
        assert_value(o, SCHEME(0, 0) "filters/1/allow", "N");
        o = ops_free(o);
        assert_int_equal(encode_filters_as("6.15", last, 2, &o), 0);
        assert_value(o, SCHEME(0, 0) "ops_filters/1/matching", "Y");
        assert_value(o, SCHEME(0, 0) "ops_filters/1/allow", "Y");
        o = ops_free(o);

        assert_int_equal(encode_filters_as("6.12", first, 2, &o), -EOPNOTSUPP);
        assert_int_equal(encode_filters_as("7.2", first, 2, &o), 0);
        assert_value(o, SCHEME(0, 0) "ops_filters/0/allow", "Y");
        o = ops_free(o);

        assert_int_equal(encode_filters_as("6.12", huge, 1, &o), -EOPNOTSUPP);
        assert_int_equal(encode_filters_as("6.15", huge, 1, &o), 0);
        assert_value(o, SCHEME(0, 0) "ops_filters/0/min", "2097152");
        o = ops_free(o);
        assert_int_equal(encode_filters_as("7.2", nowhere, 1, &o), -EOPNOTSUPP);
        assert_null(o);
}

/* `stat` where it looks at pages; else a migration that rejects every page, after young has looked at it. */
static void test_aging(void **state) {
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct capability old = capability_of("6.12"), c = capability_of("7.2");
        struct slot_map m = slots_for(4);
        struct ops *o;

        (void) state;
        p->kdamonds[0].schemes[0].direction = AGE;
        assert_int_equal(ops_make_kdamond(&m, p, &p->kdamonds[0], &c, &o), 0);
        assert_value(o, SCHEME(0, 0) "action", "stat");
        assert_value(o, SCHEME(0, 0) "ops_filters/nr_filters", "1");
        assert_value(o, SCHEME(0, 0) "quotas/bytes", "1");
        ops_free(o);
        assert_int_equal(ops_make_kdamond(&m, p, &p->kdamonds[0], &old, &o), 0);
        assert_value(o, SCHEME(0, 0) "action", "migrate_cold");
        assert_value(o, SCHEME(0, 0) "filters/nr_filters", "3");
        assert_value(o, SCHEME(0, 0) "filters/0/type", "young");
        assert_value(o, SCHEME(0, 0) "filters/0/matching", "Y");
        assert_value(o, SCHEME(0, 0) "filters/1/type", "anon");
        assert_value(o, SCHEME(0, 0) "filters/1/matching", "Y");
        assert_value(o, SCHEME(0, 0) "filters/2/type", "anon");
        assert_value(o, SCHEME(0, 0) "filters/2/matching", "N");
        ops_free(o);
}

/* A 6.1 with tierd's patches: nothing that came later is written, and aging rejects every page by `young` alone. */
static void test_patched_6_1(void **state) {
        struct capability c = capability_of(PATCHED_6_1);
        struct plan *p = plan_young_only(plan_three_tiers(TUNER_DIRECT));
        struct slot_map m = slots_for(3);
        struct scheme demote = p->kdamonds[1].schemes[0];
        struct ops *o = kdamond_ops(p, 1, &c);

        (void) state;
        assert_value(o, SCHEME(1, 0) "action", "migrate_cold");
        assert_value(o, SCHEME(1, 0) "target_nid", "2");
        assert_value(o, SCHEME(1, 0) "filters/nr_filters", "1");
        assert_value(o, SCHEME(1, 0) "filters/0/type", "young");
        assert_value(o, SCHEME(1, 0) "filters/0/matching", "Y");
        assert_value(o, SCHEME(1, 1) "filters/0/matching", "N");
        /* No fault of the first window there: the quota is the plan's from the start. */
        assert_value(o, SCHEME(1, 0) "quotas/reset_interval_ms", "1000");
        assert_null(value_of(o, SCHEME(1, 0) "apply_interval_us"));
        assert_null(value_of(o, SCHEME(1, 0) "quotas/goals/nr_goals"));
        assert_null(value_of(o, SCHEME(1, 0) "filters/0/allow"));
        ops_free(o);

        p->kdamonds[1].schemes[0].direction = AGE;
        o = kdamond_ops(p, 1, &c);
        assert_value(o, SCHEME(1, 0) "action", "migrate_cold");
        assert_value(o, SCHEME(1, 0) "filters/nr_filters", "3");
        assert_value(o, SCHEME(1, 0) "filters/0/type", "young");
        assert_value(o, SCHEME(1, 0) "filters/0/matching", "Y");
        assert_value(o, SCHEME(1, 0) "filters/1/type", "young");
        assert_value(o, SCHEME(1, 0) "filters/1/matching", "N");
        /* A page that is touched between the two is cleared by the second. */
        assert_value(o, SCHEME(1, 0) "filters/2/type", "young");
        assert_value(o, SCHEME(1, 0) "filters/2/matching", "N");
        ops_free(o);

        /* What it has no filter for is refused, never left out. */
        for (enum filter_type type = FILTER_ANON; type <= FILTER_HUGEPAGE_SIZE; type++) {
                struct filter f = { .type = type, .matching = true, .memcg_path = (char *) "/db.slice" };

                demote.filters = &f;
                p->kdamonds[1].schemes[0] = demote;
                assert_int_equal(ops_make_kdamond(&m, p, &p->kdamonds[1], &c, &o), -EOPNOTSUPP);
        }
}

static void test_what_cannot_be(void **state) {
        struct capability old = capability_of("6.1.192"), c = capability_of("6.12");
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct slot_map m = slots_for(2), none = {};
        struct ops *o = NULL;

        (void) state;
        assert_int_equal(ops_make_kdamond(&none, p, &p->kdamonds[0], &c, &o), -EINVAL);
        assert_int_equal(ops_make_all(&none, p, &c, &o), -EINVAL);
        assert_int_equal(ops_make_kdamond(&m, p, &p->kdamonds[0], &old, &o), -EOPNOTSUPP);
        p->kdamonds[0].schemes[0].target_nid = -1;
        assert_int_equal(ops_make_kdamond(&m, p, &p->kdamonds[0], &c, &o), -EINVAL);
        p->kdamonds[0].schemes[0].target_nid = 0;
        assert_int_equal(ops_make_kdamond(&m, p, &p->kdamonds[0], &c, &o), -EINVAL);
        p = plan_two_nodes(TUNER_KERNEL);
        assert_int_equal(ops_make_kdamond(&m, p, &p->kdamonds[0], &c, &o), -EOPNOTSUPP);
        assert_null(o);
}

static void test_quotas(void **state) {
        struct plan *p = plan_three_tiers(TUNER_DIRECT);
        struct quota_value q[] = { { 0, 500 }, { 1048576, 500 } }, start[2];
        struct slot_map m = slots_for(3);
        struct ops *o;

        (void) state;
        assert_int_equal(ops_make_quotas(&m, &p->kdamonds[1], q, &o), 0);
        assert_int_equal(o->n_ops, 4);
        assert_value(o, SCHEME(1, 0) "quotas/bytes", "1");
        assert_value(o, SCHEME(1, 1) "quotas/bytes", "1048576");
        assert_value(o, SCHEME(1, 1) "quotas/reset_interval_ms", "500");
        ops_free(o);
        assert_int_equal(ops_make_settled(&m, &p->kdamonds[1], q, &o), 0);
        assert_int_equal(o->n_ops, 6);
        assert_value(o, SCHEME(1, 1) "apply_interval_us", "0");
        ops_free(o);

        p->kdamonds[1].schemes[0].quota_interval_us = 1500;
        quota_values_start(p, &p->kdamonds[1], start);
        assert_int_equal(start[0].bytes, 1);
        assert_int_equal(start[0].reset_interval_ms, 2);
        p = plan_three_tiers(TUNER_KERNEL);
        quota_values_start(p, &p->kdamonds[1], start);
        assert_int_equal(start[1].bytes, 100 << 20);
}

/* The walk over the scratch's slot, for nftw(). */
static const struct ops *covered;
static size_t covered_prefix;

static int assert_covered(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        /* What tierd never uses; fresh directories hold the kernel's defaults. */
        static const char *const left_alone[] = { "*/targets/0/pid_target",      "*filters/*/addr_start", "*filters/*/addr_end",
                                                  "*filters/*/memcg_path",       "*filters/*/min",        "*filters/*/max",
                                                  "*filters/*/damon_target_idx", "*/goals/*/path" };

        (void) ftw;
        if (type != FTW_F || (st->st_mode & 0200) == 0)
                return 0;
        path += covered_prefix;
        for (size_t i = 0; i < ELEMENTSOF(left_alone); i++)
                if (fnmatch(left_alone[i], path, 0) == 0)
                        return 0;
        if (!value_of(covered, path))
                fail_msg("%s is never written: it may hold an old value", path);
        return 0;
}

/* Everything is taken, in this order, by each kernel; and no attribute is left to chance. */
static void test_whole_plans(void **state) {
        (void) state;
        for (enum scratch_kernel k = 0; k < _SCRATCH_KERNEL_MAX; k++) {
                const char *release = k == SCRATCH_6_1 ? PATCHED_6_1 : RELEASES[k - SCRATCH_6_12];
                const enum tuner_kind tuners[] = { TUNER_DIRECT, k == SCRATCH_6_12 ? TUNER_FEEDBACK : TUNER_KERNEL };

                for (size_t t = 0; t < (k == SCRATCH_6_1 ? 1 : ELEMENTSOF(tuners)); t++) {
                        struct plan *p = plan_three_tiers(tuners[t]);
                        struct scratch *s = scratch_new(k);
                        struct capability c = capability_of(release);
                        const struct apply_patience once = { .tries = 1 };
                        struct slot_map m = slots_for(3);
                        struct diag d = {};
                        char path[200];
                        struct ops *o;

                        if (k == SCRATCH_6_1)
                                p = plan_young_only(p);
                        assert_int_equal(ops_make_all(&m, p, &c, &o), 0);
                        if (apply_ops(s->root, o, &once, NULL, &d) < 0)
                                fail_msg("%s: %s", release, d.text);
                        assert_false(s->unlimited);
                        assert_null(s->oops);
                        assert_int_equal(s->starts, 3);
                        assert_int_equal(s->commits, c.first_window_unlimited ? 3 : 0);
                        assert_value(o, SCHEME(0, 0) "quotas/reset_interval_ms", "1000");

                        covered = o;
                        covered_prefix = strlen(s->path) + 1;
                        (void) snprintf(path, sizeof(path), "%s/" DAMON_ADMIN, s->path);
                        assert_int_equal(nftw(path, assert_covered, 16, FTW_PHYS), 0);
                        ops_free(o);
                        scratch_free(s);
                }
        }
}

static void test_empty_plan(void **state) {
        struct capability c = capability_of("7.2");
        struct slot_map m = slots_for(1);
        struct plan p = { .tuner = TUNER_DIRECT };
        struct ops *o;

        (void) state;
        assert_int_equal(ops_make_all(&m, &p, &c, &o), 0);
        assert_int_equal(o->n_ops, 1);
        ops_free(o);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_slots),
                cmocka_unit_test(test_what_is_common),
                cmocka_unit_test(test_6_12),
                cmocka_unit_test(test_7_2),
                cmocka_unit_test(test_feedback),                cmocka_unit_test(test_temporal),
                cmocka_unit_test(test_patched_6_1),
                cmocka_unit_test(test_auto_intervals),
                cmocka_unit_test(test_allowing_filters), cmocka_unit_test(test_aging),
                cmocka_unit_test(test_what_cannot_be),
                cmocka_unit_test(test_quotas),
                cmocka_unit_test(test_whole_plans),
                cmocka_unit_test(test_empty_plan),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
