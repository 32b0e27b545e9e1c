/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/managed.h"

#include <string.h>

/*
 * Every write may fail: each write of a start, a reload, a turn and a stop, one run per write and errno, on each emulated
 * kernel. Always one error, which names path, value and errno; and always the system as it was, or a record that brings
 * it there.
 */

static const enum scratch_kernel KERNELS[] = { SCRATCH_6_12, SCRATCH_6_18, SCRATCH_7_2 };

/* Some pass, some stay with the path for good. */
static const struct {
        int error;
        bool stays;
} FAULTS[] = { { -EIO, false }, { -ENOMEM, false }, { -EINVAL, false }, { -EBUSY, true }, { -EROFS, true } };

/* Two tiers, so that there is one node of each sort; every setting that tierd may change; a filter of every sort. */
#define TIERS "tiers: [[0], [1]]\n"
static const char CONFIG[] =
        TIERS "system: {numa_balancing: off, reclaim_demotion: on}\nexclude: [{cgroup: /db.slice}, {type: file}]\n";
static const char OTHER_GOAL[] = TIERS "system: {numa_balancing: keep, reclaim_demotion: on}\ndemote: {goal: {free: 10%}}\n";
static const char OTHER_SHAPE[] = TIERS "promote: {enabled: false}\n";
static const char THREE_TIERS[] = "tiers: [[0], [1], [2]]\n";
static const char ONE_TIER[] = "tiers: [[0, 1]]\n";
static const char KERNEL_TUNER[] = TIERS "tuning: {tuner: kernel}\n";

/* --- injection */

/* FAULTS in the environment: with "all", which takes minutes, every write is tried with every errno; with "few", a ninth. */
static bool faults_are(const char *what) {
        const char *faults = getenv("FAULTS");

        return faults && strcmp(faults, what) == 0;
}

/* Else every write with EIO and one other errno in turn, and where `stride` is more than 1, so many fewer after the first. */
static bool is_tried(size_t at, size_t fault, size_t stride) {
        if (faults_are("all"))
                return true;
        if (faults_are("few") && at % 9 != 0)
                return false;
        return (at < 12 || at % stride == 0) && (fault == 0 || fault == 1 + at % (ELEMENTSOF(FAULTS) - 1));
}

/* Write number `at` fails, and with some errors every other one to the same path. */
static void inject(struct fixture *f, size_t at, size_t fault) {
        scratch_reset_faults(f->s);
        f->s->fault_at = at;
        f->s->fault_error = FAULTS[fault].error;
        f->s->fault_times = FAULTS[fault].stays ? UINT32_MAX : 1;
        f->s->fault_sticks = FAULTS[fault].stays;
}

static size_t count(const char *text, const char *what) {
        size_t n = 0;

        for (const char *p = text; (p = strstr(p, what)); p++)
                n++;
        return n;
}

/* One error, of this errno, that names what was written where. */
static void assert_told(const struct fixture *f, size_t at, int r, int error, const struct diag *d) {
        char what[512], back[512];

        if (f->s->fault_path[0] == '\0')
                fail_msg("write %zu was never made: %d, %s", at, r, d->text);
        (void) snprintf(what, sizeof(what), "/%s: cannot write \"%s\": %s", f->s->fault_path, f->s->fault_value,
                        strerror(-error));
        (void) snprintf(back, sizeof(back), "/%s: cannot put back \"%s\": %s", f->s->fault_path, f->s->fault_value,
                        strerror(-error));
        if (r != error || d->error != error)
                fail_msg("write %zu, %s: returned %d, error %d, %s", at, what, r, d->error, d->text);
        if (!strstr(d->text, what) && !strstr(d->text, back))
                fail_msg("write %zu: \"%s\" is not in: %s", at, what, d->text);
        if (count(d->text, ": cannot ") != 1 || strstr(d->text, "Nor could"))
                fail_msg("write %zu: more than one error in: %s", at, d->text);
}

/*
 * While the kernel is probed, a keyword that it refuses is one that it does not know, and a setting that is not there needs
 * nothing done: then there is no error, or another one, and the start goes well.
 */
static bool is_answer(const struct fixture *f, int error) {
        return error == -EINVAL && strncmp(f->s->fault_path, DAMON_ADMIN "/0/contexts/0/schemes/0/", 52) == 0;
}

/* --- a start */

static size_t count_start(struct fixture *f, const char *config) {
        size_t n;

        scratch_reset_faults(f->s);
        started(f, config);
        n = f->s->writes;
        stopped(f, "the start without a fault");
        return n;
}

/* What only a privileged process may set is told, and gone on without (tierd/system.h). */
static bool is_advice(const struct fixture *f, int error) {
        return error == -EROFS && strstr(f->s->fault_path, "numa_balancing");
}

/* A fault that stays with what switches a running kdamond off cannot be undone while it stays. */
static bool keeps_it_running(const struct fixture *f, size_t fault) {
        return FAULTS[fault].stays && running(f) > 0 && strstr(f->s->fault_path, "/state");
}

static void fail_start(struct fixture *f, const char *config, size_t at, size_t fault) {
        int error = FAULTS[fault].error, r;
        struct diag d = {};
        char where[128];

        inject(f, at, fault);
        (void) snprintf(where, sizeof(where), "start, write %zu, %s", at, strerror(-error));
        r = start(f, config, &d);
        if (is_advice(f, error)) {
                assert_int_equal(r, 0);
                assert_told(f, at, f->m.advice.error, error, &f->m.advice);
                stopped(f, where);
                return;
        }
        if (is_answer(f, error)) {
                if (r == 0) {
                        stopped(f, where);
                        return;
                }
                /* What the plan cannot do without, it says so in its own words. */
                if (r != error)
                        assert_int_equal(r, -EOPNOTSUPP);
        } else if (keeps_it_running(f, fault)) {
                assert_int_equal(r, error);
                assert_non_null(strstr(d.text, "`tierd --restore`"));
                assert_false(saved_is_empty(f->saved));
                scratch_reset_faults(f->s);
                stopped(f, where);
        } else
                assert_told(f, at, r, error, &d);
        scratch_reset_faults(f->s);
        assert_restored(f, where);
}

static void test_start(void **state) {
        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(KERNELS); k++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[k]);
                size_t n = count_start(&f, CONFIG);

                assert_true(n > 200);
                for (size_t i = 0; i < n; i++)
                        for (size_t e = 0; e < ELEMENTSOF(FAULTS); e++)
                                if (is_tried(i, e, 1))
                                        fail_start(&f, CONFIG, i, e);
                print_message("%s: %zu writes of a start\n", f.m.capability.release, n);
                /* Nothing of all that stuck. */
                started(&f, CONFIG);
                stopped(&f, "the start after all those that failed");
        }
}

/* --- a reload */

static int reload(struct fixture *f, const char *config, struct diag *d) {
        return manager_reload(&f->m, config_of(config), d);
}

static void reloaded(struct fixture *f, const char *config) {
        struct diag d = {};

        if (reload(f, config, &d) != 0)
                fail_msg("reload: %s", d.text);
}

/*
 * What failed is needed to go back as well, for what is staged would be taken over by the next commit: then everything ends in
 * good order (MANAGER_LOST).
 */
static void assert_lost(struct fixture *f, int error, const struct diag *d, const char *where) {
        assert_int_equal(d->error, error);
        if (!strstr(d->text, "Nor could the configuration before"))
                fail_msg("%s: %s", where, d->text);
        scratch_reset_faults(f->s);
        stopped(f, where);
}

/* The old plan is in force, as before: by every file of the machine, the quotas that kdamonds start with included. */
static void fail_reload(struct fixture *f, const char *from, const char *to, size_t at, size_t fault) {
        _cleanup_free_ char *in_force = scratch_snapshot(f->s);
        const struct config *config = f->m.config;
        const bool idle = manager_is_idle(&f->m);
        int error = FAULTS[fault].error, r;
        struct diag d = {};
        char where[160];

        inject(f, at, fault);
        (void) snprintf(where, sizeof(where), "reload of \"%.40s\", write %zu, %s", to, at, strerror(-error));
        r = reload(f, to, &d);
        if (is_advice(f, error) && r == 0) {
                assert_int_equal(f->m.advice.error, error);
                scratch_reset_faults(f->s);
                reloaded(f, from);
                return;
        }
        if (r == MANAGER_LOST && FAULTS[fault].stays) {
                assert_lost(f, error, &d, where);
                started(f, from);
                return;
        }
        if (is_answer(f, error) && (r == 0 || r == -EOPNOTSUPP)) {
                scratch_reset_faults(f->s);
                if (r < 0) {
                        /* What the kernel was found to lack it lacks for good; only a new start asks again. */
                        assert_as_found(f->s, in_force, where);
                        stopped(f, where);
                        started(f, from);
                } else
                        reloaded(f, from);
                return;
        }
        assert_told(f, at, r, error, &d);
        assert_ptr_equal(f->m.config, config);
        assert_int_equal(manager_is_idle(&f->m), idle);
        scratch_reset_faults(f->s);
        assert_as_found(f->s, in_force, where);
}

static void fail_reloads(enum scratch_kernel kernel, const char *from, const char *to, size_t stride) {
        _cleanup_fixture_ struct fixture f = fixture_new(kernel);
        struct diag d = {};
        uint64_t next;
        size_t n;

        started(&f, from);
        scratch_reset_faults(f.s);
        reloaded(&f, to);
        n = f.s->writes;
        assert_true(n > 0);
        reloaded(&f, from);
        for (size_t i = 0; i < n; i++)
                for (size_t e = 0; e < ELEMENTSOF(FAULTS); e++)
                        if (is_tried(i, e, stride))
                                fail_reload(&f, from, to, i, e);
        if (manager_turn(&f.m, 1000000, &next, &d) != 0)
                fail_msg("a turn after all those reloads: %s", d.text);
        stopped(&f, "stop after all those reloads");
}

static void test_reload(void **state) {
        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(KERNELS); k++) {
                fail_reloads(KERNELS[k], CONFIG, OTHER_GOAL, 7);
                fail_reloads(KERNELS[k], CONFIG, OTHER_SHAPE, 41);
                fail_reloads(KERNELS[k], OTHER_SHAPE, THREE_TIERS, 41);
                fail_reloads(KERNELS[k], ONE_TIER, CONFIG, 41);
                fail_reloads(KERNELS[k], CONFIG, ONE_TIER, 1);
                if (KERNELS[k] >= SCRATCH_6_18)
                        fail_reloads(KERNELS[k], CONFIG, KERNEL_TUNER, 41);
        }
}

/* --- a plan made again for another machine */

/*
 * There is no way back to a machine that is gone: kdamonds that could not be brought to the new plan are off, no other was
 * touched, and the next try brings them there.
 */
static void fail_replan(enum scratch_kernel kernel, size_t stride) {
        _cleanup_fixture_ struct fixture f = fixture_new(kernel);
        _cleanup_free_ char *there = NULL;
        const struct idset none = {};
        struct idset leaving = {};
        struct diag d = {};
        size_t n;

        idset_add(&leaving, 2);
        started(&f, THREE_TIERS);
        scratch_reset_faults(f.s);
        assert_int_equal(manager_replan(&f.m, &leaving, &d), MANAGER_CHANGED);
        n = f.s->writes;
        there = scratch_snapshot(f.s);
        for (size_t i = 0; i < n; i++)
                for (size_t e = 0; e < ELEMENTSOF(FAULTS); e++) {
                        char where[128];
                        int r;

                        if (!is_tried(i, e, stride))
                                continue;
                        scratch_reset_faults(f.s);
                        assert_int_equal(manager_replan(&f.m, &none, &d), MANAGER_CHANGED);
                        assert_int_equal(running(&f), 3);
                        d = (struct diag) {};
                        inject(&f, i, e);
                        (void) snprintf(where, sizeof(where), "replan, write %zu, %s", i, strerror(-FAULTS[e].error));
                        r = manager_replan(&f.m, &leaving, &d);
                        /*
                         * What only hastens may fail. Else one error is told, also where the kdamond could not be taken back
                         * besides.
                         */
                        if (r != MANAGER_CHANGED && (r != FAULTS[e].error || !strstr(d.text, f.s->fault_path)))
                                fail_msg("%s: %d, %s", where, r, d.text);
                        scratch_reset_faults(f.s);
                        if (r < 0 && manager_replan(&f.m, &leaving, &d) < 0)
                                fail_msg("%s, tried again: %s", where, d.text);
                        assert_as_found(f.s, there, where);
                }
        stopped(&f, "stop after all those plans");
}

static void test_replan(void **state) {
        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(KERNELS); k++)
                fail_replan(KERNELS[k], 11);
}

/* --- a turn */

/* A turn that fails anywhere is told, ends nothing, and the next one does what it left undone. */
static void fail_turns(enum scratch_kernel kernel) {
        _cleanup_fixture_ struct fixture f = fixture_new(kernel);
        uint64_t now = 1, next;
        struct diag d = {};
        size_t n = 0, tried = 0;

        started(&f, CONFIG);
        for (size_t e = 0; e < ELEMENTSOF(FAULTS); e++)
                for (size_t i = 0;; i++) {
                        char where[128];
                        int r;

                        inject(&f, i, e);
                        (void) snprintf(where, sizeof(where), "turn %llu, write %zu, %s", (unsigned long long) now, i,
                                        strerror(-FAULTS[e].error));
                        count_on(&f, now * 10);
                        d = (struct diag) {};
                        r = manager_turn(&f.m, now++ * 1000000, &next, &d);
                        n = MAX(n, f.s->writes);
                        if (f.s->fault_path[0] == '\0') {
                                assert_int_equal(r, 0);
                                /* The tuner settles first, and its turns are not all alike. */
                                if (i > n)
                                        break;
                                continue;
                        }
                        tried++;
                        assert_told(&f, i, r, FAULTS[e].error, &d);
                        scratch_reset_faults(f.s);
                        assert_int_equal(running(&f), 2);
                        count_on(&f, now * 10);
                        if (manager_turn(&f.m, now++ * 1000000, &next, &d) != 0)
                                fail_msg("%s, and the next: %s", where, d.text);
                        assert_books(&f, where);
                }
        assert_true(tried > 20);
        scratch_reset_faults(f.s);
        stopped(&f, "stop after all those turns");
}

static void test_turn(void **state) {
        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(KERNELS); k++)
                fail_turns(KERNELS[k]);
}

/* --- a stop */

/* It goes on after an error, the record keeps what could not be put back and no more, and a second try finishes it. */
static void fail_stop(struct fixture *f, size_t at, size_t fault) {
        int error = FAULTS[fault].error, r;
        struct diag d = {};
        char where[128];

        started(f, CONFIG);
        inject(f, at, fault);
        (void) snprintf(where, sizeof(where), "stop, write %zu, %s", at, strerror(-error));
        r = manager_stop(&f->m, &d);
        assert_told(f, at, r, error, &d);
        assert_false(saved_is_empty(f->saved));
        /* One thing at most is left undone: a kdamond, the slots, or one value. */
        assert_true(running(f) <= 1);
        if (strncmp(f->s->fault_path, DAMON_ADMIN, strlen(DAMON_ADMIN)) == 0) {
                assert_true(saved_n_slots(f->saved) > 0);
                assert_string_equal(scratch_get(f->s, "proc/sys/kernel/numa_balancing"), "1");
                assert_string_equal(scratch_get(f->s, "sys/kernel/mm/numa/demotion_enabled"), "false");
        } else {
                assert_int_equal(saved_n_slots(f->saved), 0);
                assert_string_equal(scratch_get(f->s, DAMON_ADMIN "/nr_kdamonds"), "0");
        }

        /* Another process tries again, as `tierd --restore` does. */
        scratch_reset_faults(f->s);
        f->saved = saved_free(f->saved);
        if (saved_open(f->s->root, f->run, SAVED_STATE, &f->saved, &d) < 0 || claim_release(f->s->root, f->saved, &d) != 0 ||
            saved_restore(f->saved, &d) < 0)
                fail_msg("%s, and a second try: %s", where, d.text);
        assert_restored(f, where);
        f->m.saved = f->saved;
}

static void test_stop(void **state) {
        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(KERNELS); k++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[k]);
                size_t n;

                started(&f, CONFIG);
                scratch_reset_faults(f.s);
                stopped(&f, "the stop without a fault");
                n = f.s->writes;
                for (size_t i = 0; i < n; i++)
                        for (size_t e = 0; e < ELEMENTSOF(FAULTS); e++)
                                fail_stop(&f, i, e);
        }
}

/* --- the record */

/* A full or broken /run: nothing is changed that is not recorded. */
static void fail_record(struct fixture *f, size_t at, int error, unsigned times) {
        struct diag d = {};
        char where[128];

        (void) snprintf(where, sizeof(where), "record %zu, %s", at, strerror(-error));
        scratch_reset_faults(f->s);
        f->s->replace_fault_at = at;
        f->s->replace_fault_error = error;
        f->s->replace_fault_times = times;
        assert_int_equal(start(f, CONFIG, &d), error);
        assert_int_equal(d.error, error);
        if (!strstr(d.text, "/run/tierd/state: cannot write") || !strstr(d.text, strerror(-error)))
                fail_msg("%s: %s", where, d.text);
        /* What tierd changed is put back, also where the record of it can no longer be brought up to date. */
        assert_as_found(f->s, f->before, where);
        scratch_reset_faults(f->s);
        stopped(f, where);
}

static void test_record(void **state) {
        static const int errors[] = { -ENOSPC, -EROFS, -EIO };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(KERNELS); k++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[k]);
                size_t n;

                scratch_reset_faults(f.s);
                started(&f, CONFIG);
                n = f.s->replaces;
                stopped(&f, "the start without a fault");
                assert_true(n >= 4);
                for (size_t i = 0; i < n; i++)
                        for (size_t e = 0; e < ELEMENTSOF(errors); e++) {
                                fail_record(&f, i, errors[e], 1);
                                fail_record(&f, i, errors[e], UINT32_MAX);
                        }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_start),
                cmocka_unit_test(test_reload),
                cmocka_unit_test(test_replan),
                cmocka_unit_test(test_turn),
                cmocka_unit_test(test_stop),
                cmocka_unit_test(test_record),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
