/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damon/apply.h"
#include "damon/observe.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"

#include <string.h>

static const enum scratch_kernel KERNELS[] = { SCRATCH_6_1, SCRATCH_6_12, SCRATCH_6_18, SCRATCH_7_2 };

/* What the kernel can express of a plan. */
static struct plan *fit(struct plan *p, enum scratch_kernel kernel) {
        return kernel == SCRATCH_6_1 ? plan_young_only(p) : p;
}

static struct capability probe(struct scratch *s) {
        struct capability c;
        struct diag d = {};

        if (capability_probe(s->root, &c, &d) < 0)
                fail_msg("probe: %s", d.text);
        return c;
}

/* A kernel with its interface ours. */
static struct scratch *claimed(enum scratch_kernel kernel, const struct slot_map *m, struct capability *ret) {
        struct scratch *s = scratch_new(kernel);
        struct diag d = {};

        APPLY_PATIENCE = (struct apply_patience){ .tries = 5, .pause_us = 0 };
        if (damon_claim(s->root, m, &d) < 0)
                fail_msg("claim: %s", d.text);
        *ret = probe(s);
        scratch_reset_faults(s);
        return s;
}

static void assert_harmless(struct scratch *s) {
        if (s->oops)
                fail_msg("the kernel would have crashed: %s", s->oops);
        if (s->unlimited)
                fail_msg("a scheme would have run without its quota");
}

static void start_all(const struct plan *p, enum scratch_kernel kernel) {
        struct slot_map m = slots_for(4);
        struct capability c;
        struct scratch *s = claimed(kernel, &m, &c);
        struct diag d = {};

        for (size_t i = 0; i < p->n_kdamonds; i++)
                if (kdamond_start(s->root, &m, p, &p->kdamonds[i], &c, NULL, &d) < 0)
                        fail_msg("start of node %d on %s: %s", p->kdamonds[i].nid, c.release, d.text);
        for (size_t i = 0; i < p->n_kdamonds; i++) {
                int slot = slot_of(&m, p->kdamonds[i].nid), pid;

                assert_int_equal(kdamond_is_running(s->root, slot, &APPLY_PATIENCE, NULL), 1);
                assert_int_equal(kdamond_read_pid(s->root, slot, &pid), 0);
                assert_true(pid > 0);
                /* The workaround of the first window leaves no trace. */
                for (size_t k = 0; k < p->kdamonds[i].n_schemes; k++) {
                        assert_string_equal(scratch_getf(s, DAMON_ADMIN "/%d/contexts/0/schemes/%zu/apply_interval_us", slot,
                                                         k),
                                            c.apply_interval ? "0" : "");
                        assert_string_equal(scratch_getf(s, DAMON_ADMIN "/%d/contexts/0/schemes/%zu/quotas/reset_interval_ms",
                                                         slot, k),
                                            "1000");
                }
        }
        assert_harmless(s);

        assert_int_equal(damon_release(s->root, &m, &d), 0);
        assert_string_equal(scratch_get(s, DAMON_ADMIN "/nr_kdamonds"), "0");
        scratch_free(s);
}

static void test_start_and_release(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                start_all(fit(plan_two_nodes(TUNER_DIRECT), KERNELS[i]), KERNELS[i]);
                start_all(fit(plan_three_tiers(TUNER_DIRECT), KERNELS[i]), KERNELS[i]);
                if (KERNELS[i] >= SCRATCH_6_12)
                        start_all(plan_three_tiers(TUNER_FEEDBACK), KERNELS[i]);
                if (KERNELS[i] >= SCRATCH_6_18)
                        start_all(plan_three_tiers(TUNER_KERNEL), KERNELS[i]);
        }
}

/* An aggregation of a single sample has no room for the early pass; the start must wait for it another way. */
static void test_first_window_of_one_sample(void **state) {
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct slot_map m = slots_for(2);
        struct capability c;
        struct scratch *s = claimed(SCRATCH_6_12, &m, &c);
        struct diag d = {};

        (void) state;
        p->monitoring.sample_us = p->monitoring.aggregate_us;
        assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[0], &c, NULL, &d), 0);
        assert_harmless(s);
        scratch_free(s);
}

/* The naive way: everything staged, on. It must be caught, or the checks above prove nothing. */
static void test_scratch_sees_unlimited_window(void **state) {
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct quota_value q = { .bytes = 4096, .reset_interval_ms = 1000 };
        struct slot_map m = slots_for(2);
        struct capability c;
        struct scratch *s = claimed(SCRATCH_6_12, &m, &c);
        struct ops *o;

        (void) state;
        assert_int_equal(ops_make_kdamond(&m, p, &p->kdamonds[0], &c, &o), 0);
        assert_int_equal(apply_ops(s->root, o, &APPLY_PATIENCE, NULL, NULL), 0);
        o = ops_free(o);
        assert_int_equal(ops_make_quotas(&m, &p->kdamonds[0], &q, &o), 0);
        assert_int_equal(apply_ops(s->root, o, &APPLY_PATIENCE, NULL, NULL), 0);
        o = ops_free(o);
        assert_int_equal(kdamond_command(s->root, 0, "on", &APPLY_PATIENCE, NULL), 0);
        assert_true(s->unlimited);
        scratch_free(s);
}

/* How many writes a start of this kdamond makes. */
static size_t count_writes(struct scratch *s, const struct slot_map *m, const struct plan *p, const struct kdamond_plan *k,
                           const struct capability *c) {
        size_t n;

        scratch_reset_faults(s);
        assert_int_equal(kdamond_start(s->root, m, p, k, c, NULL, NULL), 0);
        n = s->writes;
        assert_int_equal(kdamond_stop(s->root, slot_of(m, k->nid), NULL), 0);
        return n;
}

static void fail_everywhere(const struct plan *p, enum scratch_kernel kernel) {
        static const int errors[] = { -EINVAL, -ENOMEM, -EIO };
        const struct kdamond_plan *k = &p->kdamonds[p->n_kdamonds - 2];
        struct slot_map m = slots_for(4);
        struct capability c;
        struct scratch *s = claimed(kernel, &m, &c);
        int slot = slot_of(&m, k->nid);
        size_t n;

        n = count_writes(s, &m, p, k, &c);
        assert_true(n > 60);
        for (size_t i = 0; i < n; i++) {
                int error = errors[i % ELEMENTSOF(errors)];
                size_t done = s->commits;
                struct diag d = {};

                scratch_reset_faults(s);
                s->fault_at = i;
                s->fault_error = error;
                s->fault_times = 1;
                assert_int_equal(kdamond_start(s->root, &m, p, k, &c, NULL, &d), error);
                assert_int_equal(d.error, error);
                assert_non_null(strstr(d.text, "/" DAMON_ADMIN "/"));
                assert_non_null(strstr(d.text, "cannot write \""));
                assert_non_null(strstr(d.text, strerror(-error)));
                if (!scratch_slot_is_empty(s, slot))
                        fail_msg("write %zu (%s): the slot is left half done", i, d.text);
                assert_true(s->commits == done || i + 1 < n);
        }
        assert_harmless(s);
        /* Nothing of all that stuck: it still starts. */
        (void) count_writes(s, &m, p, k, &c);
        scratch_free(s);
}

static void test_every_write_may_fail(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                fail_everywhere(fit(plan_two_nodes(TUNER_DIRECT), KERNELS[i]), KERNELS[i]);
                if (KERNELS[i] == SCRATCH_6_1)
                        continue;
                fail_everywhere(plan_three_tiers(KERNELS[i] == SCRATCH_6_12 ? TUNER_FEEDBACK : TUNER_KERNEL), KERNELS[i]);
        }
}

static void busy_everywhere(const struct plan *p, enum scratch_kernel kernel) {
        const struct kdamond_plan *k = &p->kdamonds[0];
        struct slot_map m = slots_for(2);
        struct capability c;
        struct scratch *s = claimed(kernel, &m, &c);
        size_t n, reads;

        n = count_writes(s, &m, p, k, &c);
        reads = s->reads;
        for (size_t i = 0; i < MAX(n, reads); i++) {
                struct diag d = {};

                scratch_reset_faults(s);
                s->fault_at = s->read_fault_at = i;
                s->fault_error = s->read_fault_error = -EBUSY;
                s->fault_times = s->read_fault_times = 3;
                if (kdamond_start(s->root, &m, p, k, &c, NULL, &d) < 0)
                        fail_msg("busy at %zu: %s", i, d.text);
                assert_int_equal(kdamond_stop(s->root, 0, NULL), 0);
        }
        assert_harmless(s);

        /* Busy for longer than the patience: an error, and nothing left. */
        for (size_t i = 0; i < n; i++) {
                struct diag d = {};

                scratch_reset_faults(s);
                s->fault_at = i;
                s->fault_error = -EBUSY;
                s->fault_times = APPLY_PATIENCE.tries;
                assert_int_equal(kdamond_start(s->root, &m, p, k, &c, NULL, &d), -EBUSY);
                assert_true(scratch_slot_is_empty(s, 0));
        }
        scratch_free(s);
}

static void test_every_write_may_be_busy(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++)
                busy_everywhere(fit(plan_two_nodes(TUNER_DIRECT), KERNELS[i]), KERNELS[i]);
}

static void test_undo_that_fails_too(void **state) {
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct slot_map m = slots_for(2);
        struct capability c;
        struct scratch *s = claimed(SCRATCH_7_2, &m, &c);
        struct diag d = {};

        (void) state;
        s->fault_at = 5;
        s->fault_error = -EIO;
        s->fault_times = 100;
        assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[0], &c, NULL, &d), -EIO);
        assert_non_null(strstr(d.text, "Nor could the kdamond be taken back"));
        assert_non_null(strstr(d.text, "nr_contexts"));
        scratch_free(s);
}

static void test_start_of_a_running_one(void **state) {
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct slot_map m = slots_for(2);
        struct capability c;
        struct scratch *s = claimed(SCRATCH_7_2, &m, &c);
        struct diag d = {};

        (void) state;
        assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[0], &c, NULL, &d), 0);
        assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[0], &c, NULL, &d), -EBUSY);
        assert_int_equal(kdamond_is_running(s->root, 0, &APPLY_PATIENCE, NULL), 1);
        scratch_free(s);
}

static void test_refused_as_a_whole(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                struct plan *p = fit(plan_two_nodes(TUNER_DIRECT), KERNELS[i]);
                struct filter gone = { .type = FILTER_MEMCG, .matching = true, .memcg_path = (char *) "/missing" };
                struct mem_range backwards[] = { { 4096, 8192 }, { 0, 4096 } };
                struct mem_range *ranges = p->kdamonds[0].ranges;
                struct slot_map m = slots_for(2);
                struct capability c;
                struct scratch *s = claimed(KERNELS[i], &m, &c);
                struct diag d = {};

                p->kdamonds[0].ranges = backwards;
                assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[0], &c, NULL, &d), -EINVAL);
                assert_non_null(strstr(d.text, "as a whole"));
                assert_true(scratch_slot_is_empty(s, 0));
                p->kdamonds[0].ranges = ranges;

                p->kdamonds[0].schemes[0].filters = &gone;
                /* A kernel that has no such filter is not even asked. */
                assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[0], &c, NULL, &d),
                                 c.memcg_filter ? -ENOMEM : -EOPNOTSUPP);
                assert_non_null(strstr(d.text, c.memcg_filter ? "cgroup" : "cannot express"));
                assert_true(scratch_slot_is_empty(s, 0));
                scratch_free(s);
        }
}

static void test_module_in_the_way(void **state) {
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct slot_map m = slots_for(2);
        struct capability c;
        struct scratch *s = claimed(SCRATCH_6_18, &m, &c);
        struct diag d = {};
        char names[64];

        (void) state;
        scratch_put(s, "sys/module/damon_stat/parameters/enabled", "Y");
        scratch_put(s, "sys/module/damon_lru_sort/parameters/enabled", "Y");
        assert_int_equal(damon_read_exclusive(s->root, names, sizeof(names)), 2);
        assert_string_equal(names, "damon_stat, damon_lru_sort");
        assert_int_equal(damon_read_exclusive(s->root, names, 6), 2);
        assert_string_equal(names, "damon");
        assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[0], &c, NULL, &d), -EBUSY);
        assert_non_null(strstr(d.text, "damon_stat"));
        assert_true(scratch_slot_is_empty(s, 0));
        scratch_free(s);
}

static void test_quotas(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                struct plan *p = fit(plan_three_tiers(TUNER_DIRECT), KERNELS[i]);
                struct quota_value q[] = { { 123456789, 500 }, { 0, 500 } };
                struct slot_map m = slots_for(3);
                struct capability c;
                struct scratch *s = claimed(KERNELS[i], &m, &c);
                unsigned commits;
                struct diag d = {};

                assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[1], &c, NULL, &d), 0);
                assert_string_equal(scratch_get(s, DAMON_ADMIN "/1/contexts/0/schemes/0/quotas/bytes"), "1");
                commits = s->commits;
                assert_int_equal(kdamond_set_quotas(s->root, &m, &p->kdamonds[1], &c, q, &d), 0);
                assert_int_equal(s->commits, commits + 1);
                assert_string_equal(scratch_get(s, DAMON_ADMIN "/1/contexts/0/schemes/0/quotas/bytes"), "123456789");
                assert_string_equal(scratch_get(s, DAMON_ADMIN "/1/contexts/0/schemes/0/quotas/reset_interval_ms"), "500");
                assert_string_equal(scratch_get(s, DAMON_ADMIN "/1/contexts/0/schemes/1/quotas/bytes"), "1");

                /* Not silent: a commit that fails is told, whether the kernel tells it or not. */
                s->commit_kills = true;
                d = (struct diag){};
                if (c.silent_commit) {
                        assert_int_equal(kdamond_set_quotas(s->root, &m, &p->kdamonds[1], &c, q, &d), -EIO);
                        assert_non_null(strstr(d.text, "ended the kdamond"));
                        assert_int_equal(kdamond_is_running(s->root, 1, &APPLY_PATIENCE, NULL), 0);
                } else {
                        assert_int_equal(kdamond_set_quotas(s->root, &m, &p->kdamonds[1], &c, q, &d), -EINVAL);
                        assert_int_equal(kdamond_is_running(s->root, 1, &APPLY_PATIENCE, NULL), 1);
                }
                assert_int_equal(kdamond_stop(s->root, 1, &d), 0);
                assert_true(scratch_slot_is_empty(s, 1));
                /* And it starts again, as after any death. */
                assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[1], &c, q, &d), 0);
                assert_string_equal(scratch_get(s, DAMON_ADMIN "/1/contexts/0/schemes/0/quotas/bytes"), "123456789");
                assert_harmless(s);
                scratch_free(s);
        }
}

static void test_silent_death_at_start(void **state) {
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct slot_map m = slots_for(2);
        struct capability c;
        struct scratch *s = claimed(SCRATCH_6_12, &m, &c);
        struct diag d = {};

        (void) state;
        s->commit_kills = true;
        assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[0], &c, NULL, &d), -EIO);
        assert_non_null(strstr(d.text, "ended the kdamond"));
        assert_true(scratch_slot_is_empty(s, 0));
        scratch_free(s);
}

static void test_tuned_intervals_survive(void **state) {
        struct plan *p = plan_two_nodes(TUNER_DIRECT);
        struct quota_value q[] = { { 4096, 500 } };
        struct slot_map m = slots_for(2);
        struct capability c;
        struct scratch *s = claimed(SCRATCH_7_2, &m, &c);
        size_t before, plain;

        (void) state;
        assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[0], &c, q, NULL), 0);
        before = s->writes;
        assert_int_equal(kdamond_set_quotas(s->root, &m, &p->kdamonds[0], &c, q, NULL), 0);
        plain = s->writes - before;
        assert_int_equal(kdamond_stop(s->root, 0, NULL), 0);

        p->monitoring.auto_intervals = true;
        p->monitoring.auto_access_bp = 400;
        p->monitoring.auto_aggregations = 3;
        p->monitoring.auto_sample_min_us = 5000;
        p->monitoring.auto_sample_max_us = 10000000;
        assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[0], &c, q, NULL), 0);
        before = s->writes;
        assert_int_equal(kdamond_set_quotas(s->root, &m, &p->kdamonds[0], &c, q, NULL), 0);
        assert_int_equal(s->writes - before, plain + 1);
        scratch_free(s);
}

static void test_update(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                struct plan *p = fit(plan_three_tiers(TUNER_DIRECT), KERNELS[i]);
                struct slot_map m = slots_for(3);
                struct capability c;
                struct scratch *s = claimed(KERNELS[i], &m, &c);
                struct diag d = {};
                size_t n;

                /* One scheme, then two: the new one has a first window of its own. */
                p->kdamonds[1].n_schemes = 1;
                assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[1], &c, NULL, &d), 0);
                p->kdamonds[1].n_schemes = 2;
                scratch_reset_faults(s);
                assert_int_equal(kdamond_update(s->root, &m, p, &p->kdamonds[1], &c, NULL, &d), 0);
                n = s->writes;
                assert_string_equal(scratch_get(s, DAMON_ADMIN "/1/contexts/0/schemes/nr_schemes"), "5");
                assert_int_equal(kdamond_is_running(s->root, 1, &APPLY_PATIENCE, NULL), 1);
                assert_int_equal(s->starts, 1);
                assert_harmless(s);

                /* A failed update never switches a running kdamond off. */
                for (size_t k = 0; k < n; k += 7) {
                        scratch_reset_faults(s);
                        s->fault_at = k;
                        s->fault_error = -EINVAL;
                        s->fault_times = 1;
                        assert_int_equal(kdamond_update(s->root, &m, p, &p->kdamonds[1], &c, NULL, &d), -EINVAL);
                        assert_int_equal(kdamond_is_running(s->root, 1, &APPLY_PATIENCE, NULL), 1);
                }
                scratch_free(s);
        }
}

static void test_claim_refuses(void **state) {
        struct scratch *s = scratch_new(SCRATCH_7_2);
        struct slot_map m = slots_for(2);
        struct diag d = {};

        (void) state;
        APPLY_PATIENCE = (struct apply_patience){ .tries = 2, .pause_us = 0 };
        assert_int_equal(damon_read_owners(s->root, &d), 0);
        scratch_occupy(s, 3);
        scratch_reset_faults(s);
        assert_int_equal(damon_claim(s->root, &m, &d), -EBUSY);
        assert_int_equal(s->writes, 0);
        assert_non_null(strstr(d.text, "3 kdamonds"));
        assert_non_null(strstr(d.text, "0 runs as pid 123"));
        assert_non_null(strstr(d.text, "1 is off"));

        /* Staged and not running is another's as well. */
        scratch_make(s, DAMON_ADMIN "/0/state", "off", 0600);
        assert_int_equal(damon_claim(s->root, &m, &d), -EBUSY);
        assert_int_equal(s->writes, 0);
        scratch_free(s);
}

static void test_claim_many(void **state) {
        struct scratch *s = scratch_new(SCRATCH_7_2);
        struct slot_map m = slots_for(2);
        struct diag d = {};

        (void) state;
        scratch_occupy(s, 12);
        assert_int_equal(damon_claim(s->root, &m, &d), -EBUSY);
        assert_non_null(strstr(d.text, "and 4 more"));
        scratch_free(s);
}

static void test_claim_without_damon(void **state) {
        struct scratch *s = scratch_new(SCRATCH_6_12);
        struct slot_map m = slots_for(2);
        struct diag d = {};

        (void) state;
        scratch_remove(s, "sys/kernel");
        assert_int_equal(damon_claim(s->root, &m, &d), -ENOENT);
        assert_non_null(strstr(d.text, "CONFIG_DAMON_SYSFS"));
        scratch_put(s, DAMON_ADMIN "/nr_kdamonds", "many");
        assert_int_equal(damon_claim(s->root, &m, &d), -EBADMSG);
        scratch_free(s);
}

static void test_release_goes_on(void **state) {
        struct plan *p = plan_three_tiers(TUNER_DIRECT);
        struct slot_map m = slots_for(3);
        struct capability c;
        struct scratch *s = claimed(SCRATCH_7_2, &m, &c);
        struct diag d = {};

        (void) state;
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(kdamond_start(s->root, &m, p, &p->kdamonds[i], &c, NULL, &d), 0);
        scratch_reset_faults(s);
        s->fault_at = 0;
        s->fault_error = -EIO;
        s->fault_times = 1;
        assert_int_equal(damon_release(s->root, &m, &d), -EIO);
        assert_non_null(strstr(d.text, "/0/state"));
        assert_int_equal(kdamond_is_running(s->root, 1, &APPLY_PATIENCE, NULL), 0);
        assert_int_equal(kdamond_is_running(s->root, 2, &APPLY_PATIENCE, NULL), 0);

        scratch_reset_faults(s);
        assert_int_equal(damon_release(s->root, &m, &d), 0);
        assert_string_equal(scratch_get(s, DAMON_ADMIN "/nr_kdamonds"), "0");
        /* Twice is as good as once, and stopping what is not there is nothing. */
        assert_int_equal(damon_release(s->root, &m, &d), 0);
        assert_int_equal(kdamond_stop(s->root, 1, &d), 0);
        scratch_free(s);
}

static void test_apply_ops(void **state) {
        struct slot_map m = slots_for(1);
        struct scratch *s = scratch_new(SCRATCH_7_2);
        const struct apply_patience patience = { .tries = 3, .pause_us = 1 };
        struct ops *o = calloc(1, sizeof(*o));
        struct diag d = {};
        size_t done = 99;

        (void) state;
        (void) m;
        assert_int_equal(ops_add(o, "1", DAMON_ADMIN "/nr_kdamonds"), 0);
        assert_int_equal(ops_add(o, "1", DAMON_ADMIN "/%d/contexts/nr_contexts", 0), 0);
        assert_int_equal(ops_add(o, "nonsense", DAMON_ADMIN "/0/contexts/0/operations"), 0);
        assert_int_equal(apply_ops(s->root, o, &patience, &done, &d), -EINVAL);
        assert_int_equal(done, 2);
        assert_string_equal(d.text, "/" DAMON_ADMIN "/0/contexts/0/operations: cannot write \"nonsense\": Invalid argument");
        ops_free(o);
        scratch_free(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_start_and_release),
                cmocka_unit_test(test_first_window_of_one_sample),
                cmocka_unit_test(test_scratch_sees_unlimited_window),
                cmocka_unit_test(test_every_write_may_fail),
                cmocka_unit_test(test_every_write_may_be_busy),
                cmocka_unit_test(test_undo_that_fails_too),
                cmocka_unit_test(test_start_of_a_running_one),
                cmocka_unit_test(test_refused_as_a_whole),
                cmocka_unit_test(test_module_in_the_way),
                cmocka_unit_test(test_quotas),
                cmocka_unit_test(test_silent_death_at_start),
                cmocka_unit_test(test_tuned_intervals_survive),
                cmocka_unit_test(test_update),
                cmocka_unit_test(test_claim_refuses),
                cmocka_unit_test(test_claim_many),
                cmocka_unit_test(test_claim_without_damon),
                cmocka_unit_test(test_release_goes_on),
                cmocka_unit_test(test_apply_ops),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
