/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "damon/apply.h"
#include "tests/support/managed.h"

#include <string.h>

/* The daemon's side of the `feedback` tuner, on kernels that have the goals; its numbers are test-feedback's matter. */
static const enum scratch_kernel KERNELS[] = { SCRATCH_6_12, SCRATCH_6_18, SCRATCH_7_2 };

#define FEEDBACK "tuning: {tuner: feedback}\n"
#define OTHER_PATTERNS "demote: {min_age: 3s}\npromote: {min_access: 9%}\n"
#define SCHEMES_MAX 16

/* The kernel's loops: x of each scheme, in plan order. */
static uint64_t loops[SCHEMES_MAX];

/* As the kernel's loops begin: at their least, one byte. */
static void loops_reset(void) {
        for (size_t n = 0; n < SCHEMES_MAX; n++)
                loops[n] = 10000;
}

static uint64_t number(struct fixture *f, int slot, size_t scheme, const char *name) {
        uint64_t v = 0;

        if (parse_u64(scratch_getf(f->s, DAMON_ADMIN "/%d/contexts/0/schemes/%zu/quotas/%s", slot, scheme, name), &v) < 0)
                fail_msg("scheme %zu of slot %d has no %s", scheme, slot, name);
        return v;
}

/* So many windows pass in the kernel: what its files and loops say. */
static void pass(struct fixture *f, uint64_t windows) {
        size_t n = 0;

        for (size_t i = 0; i < f->m.books.plan->n_kdamonds; i++) {
                const struct kdamond_plan *k = f->m.books.plan->kdamonds + i;

                for (size_t j = 0; j < k->n_schemes; j++, n++) {
                        char path[160], text[32];

                        for (uint64_t w = 0; w < windows; w++)
                                loops[n] = feedback_next(loops[n], number(f, k->nid, j, "goals/0/current_value"));
                        (void) snprintf(path, sizeof(path), DAMON_ADMIN "/%d/contexts/0/schemes/%zu/quotas/effective_bytes",
                                        k->nid, j);
                        (void) snprintf(text, sizeof(text), "%llu",
                                        (unsigned long long) MIN(loops[n] / 10000, number(f, k->nid, j, "bytes")));
                        scratch_make(f->s, path, text, 0400);
                }
        }
}

static int turn(struct fixture *f, uint64_t *now, struct diag *d) {
        uint64_t next = 0;

        count_on(f, *now * 10);
        return manager_turn(&f->m, (*now)++ * 1000000, &next, d);
}

static void turns(struct fixture *f, uint64_t *now, int n) {
        while (n-- > 0) {
                struct diag d = {};

                if (turn(f, now, &d) != 0)
                        fail_msg("turn: %s", d.text);
                assert_books(f, "a turn");
                pass(f, 10);
        }
}

/* What was fed is what the books say. */
static void assert_fed(struct fixture *f) {
        size_t n = 0;

        for (size_t i = 0; i < f->m.books.plan->n_kdamonds; i++)
                for (size_t j = 0; j < f->m.books.plan->kdamonds[i].n_schemes; j++, n++) {
                        assert_false(f->m.books.feedback[n].unknown);
                        assert_int_equal(number(f, f->m.books.plan->kdamonds[i].nid, j, "goals/0/current_value"),
                                         f->m.books.feedback[n].score);
                        assert_int_equal(number(f, f->m.books.plan->kdamonds[i].nid, j, "goals/0/target_value"),
                                         FEEDBACK_TARGET);
                }
}

static uint64_t most(const struct fixture *f) {
        uint64_t most = 0;

        for (size_t i = 0; i < f->m.books.n_schemes; i++)
                most = MAX(most, feedback_quota(f->m.books.feedback + i));
        return most;
}

/* Quotas grow by what is fed, with a commit now and then for the ceiling; paused, everything stops. */
static void test_grows_and_stops(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                unsigned commits;
                uint64_t now = 1;

                loops_reset();
                started(&f, FEEDBACK);
                assert_int_equal(running(&f), 3);
                assert_int_equal(number(&f, 0, 0, "goals/0/current_value"), FEEDBACK_REST);
                commits = f.s->commits;
                turns(&f, &now, 20);
                assert_fed(&f);
                assert_true(most(&f) > UINT64_C(1) << 20);
                /* Fewer than the quotas that there were. */
                assert_in_range(f.s->commits - commits, 1, 20);
                assert_true(f.s->feeds > 0);

                f.m.paused = true;
                turns(&f, &now, 2);
                assert_fed(&f);
                assert_int_equal(most(&f), 1);
                for (size_t n = 0; n < f.m.books.n_schemes; n++)
                        assert_int_equal(f.m.books.schemes[n].quota_bytes, 0);
                f.m.paused = false;
                turns(&f, &now, 10);
                assert_true(most(&f) > UINT64_C(1) << 20);
                stopped(&f, "stop");
        }
}

/* Whatever write fails, the next turn feeds again what the kernel may not have taken. */
static void test_every_write_may_fail(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                uint64_t now = 1;
                bool any = false;

                loops_reset();
                started(&f, FEEDBACK);
                turns(&f, &now, 8);
                for (size_t k = 0; k < 30; k++) {
                        struct diag d = {};

                        /* Another quota is wanted each time, so that something is fed. */
                        scratch_reset_faults(f.s);
                        f.s->fault_at = k;
                        f.s->fault_error = -EIO;
                        f.s->fault_times = 1;
                        now += k % 3;
                        if (turn(&f, &now, &d) < 0) {
                                assert_int_equal(d.error, -EIO);
                                any = any || strstr(d.text, "current_value") || strstr(d.text, "quota_goals");
                        }
                        scratch_reset_faults(f.s);
                        pass(&f, 10);
                        turns(&f, &now, 1);
                        assert_fed(&f);
                }
                assert_true(any);
                stopped(&f, "stop");
        }
}

/* A kdamond that was started anew begins at rest, and so do the books; one that goes on keeps its loop. */
static void test_restart_and_reload(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                struct diag d = {};
                uint64_t now = 1;

                loops_reset();
                started(&f, FEEDBACK);
                turns(&f, &now, 12);
                assert_true(most(&f) > UINT64_C(1) << 20);
                for (int slot = 0; slot < 3; slot++)
                        assert_int_equal(scratch_store(f.s, slot == 0   ? DAMON_ADMIN "/0/state" :
                                                            slot == 1 ? DAMON_ADMIN "/1/state" :
                                                                        DAMON_ADMIN "/2/state", "off"), 0);
                loops_reset();
                assert_int_equal(turn(&f, &now, &d), 0);
                assert_fed(&f);
                pass(&f, 10);
                turns(&f, &now, 12);
                assert_fed(&f);
                assert_true(most(&f) > UINT64_C(1) << 20);

                /* The goal is tierd's, and nothing of it is the kernel's: its loops go on. */
                assert_int_equal(manager_reload(&f.m, config_of(FEEDBACK "demote: {goal: {free: 9%}}\n"), &d), 0);
                assert_true(most(&f) > UINT64_C(1) << 20);
                assert_fed(&f);
                /* An online commit of the whole, by which everything begins at rest again. */
                assert_int_equal(manager_reload(&f.m, config_of(FEEDBACK OTHER_PATTERNS), &d), 0);
                assert_int_equal(most(&f), 1);
                assert_fed(&f);
                /* To another tuner and back: started anew, since no commit may bring goals. */
                assert_int_equal(manager_reload(&f.m, config_of(""), &d), 0);
                assert_string_equal(scratch_get(f.s, DAMON_ADMIN "/0/contexts/0/schemes/0/quotas/goals/nr_goals"), "0");
                assert_int_equal(manager_reload(&f.m, config_of(FEEDBACK), &d), 0);
                assert_fed(&f);
                stopped(&f, "stop");
        }
}

/*
 * By whatever tuners it came there, what a kernel is left with is what it has when it begins so. Another tuner begins anew,
 * for no commit may bring goals (damon/ops.h); another way to the kernel's own goals does not.
 */
static void test_from_tuner_to_tuner(void **state) {
        static const char *const configs[] = {
                "", FEEDBACK, "tuning: {tuner: kernel, goal_tuner: temporal}\n", "tuning: {tuner: kernel}\n",
        };

        (void) state;
        for (size_t i = 1; i < ELEMENTSOF(KERNELS); i++)
                for (size_t last = 0; last < ELEMENTSOF(configs); last++) {
                        _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                        _cleanup_free_ char *fresh = NULL;

                        started(&f, configs[last]);
                        fresh = scratch_snapshot(f.s);
                        for (size_t k = 1; k <= ELEMENTSOF(configs); k++) {
                                const char *config = configs[(last + k) % ELEMENTSOF(configs)];
                                enum tuner_kind before = f.m.books.plan->tuner;
                                unsigned starts = f.s->starts;
                                struct diag d = {};

                                if (manager_reload(&f.m, config_of(config), &d) != 0)
                                        fail_msg("%s: %s", config, d.text);
                                assert_int_equal(f.s->starts - starts, f.m.books.plan->tuner == before ? 0 : 3);
                        }
                        assert_as_found(f.s, fresh, "all tuners");
                        stopped(&f, "stop");
                }
}

/* A node leaves while its quotas grow: who moves by it stops, the loops of the others go on. */
static void test_node_leaves(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                struct idset leaving = {}, none = {};
                struct feedback before;
                struct diag d = {};
                uint64_t now = 1;

                loops_reset();
                /* An exchange begins where free memory is no more than a step above its goal. */
                started(&f, FEEDBACK "demote: {goal: {free: 6%}}\n");
                turns(&f, &now, 12);
                before = f.m.books.feedback[0];
                assert_true(feedback_quota(&before) >= 4096);
                idset_add(&leaving, 2);
                assert_int_equal(manager_replan(&f.m, &leaving, &d), MANAGER_CHANGED);
                assert_int_equal(running(&f), 2);
                assert_fed(&f);
                assert_memory_equal(&f.m.books.feedback[0], &before, sizeof(before));
                /* Node 1's begin anew: at rest. */
                for (size_t n = f.m.books.plan->kdamonds[0].n_schemes; n < f.m.books.n_schemes; n++) {
                        assert_int_equal(feedback_quota(f.m.books.feedback + n), 1);
                        loops[n] = 10000;
                }
                turns(&f, &now, 12);
                assert_fed(&f);
                assert_int_equal(manager_replan(&f.m, &none, &d), MANAGER_CHANGED);
                assert_int_equal(running(&f), 3);
                assert_fed(&f);
                stopped(&f, "stop");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_grows_and_stops),
                cmocka_unit_test(test_every_write_may_fail),
                cmocka_unit_test(test_restart_and_reload),
                cmocka_unit_test(test_from_tuner_to_tuner),
                cmocka_unit_test(test_node_leaves),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
