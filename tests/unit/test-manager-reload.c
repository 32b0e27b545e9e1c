/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damon/apply.h"
#include "tests/support/managed.h"

#include <string.h>

static const enum scratch_kernel KERNELS[] = { SCRATCH_6_1, SCRATCH_6_12, SCRATCH_6_18, SCRATCH_7_2 };
/* The first of them that has a filter for control groups. */
#define WITH_GROUPS 1

static const char DIRECT[] = "tuning: {tuner: direct}\n";
static const char KERNEL_TUNER[] = "tuning: {tuner: kernel}\n";
#define GROUP_FILE "memory.stat"
static const char ONE_TIER[] = "tiers: [[0, 1, 2]]\n";

/* Turns until a quota is set; ends at the turn before the clock reads `now`. */
static uint64_t until_quota(struct fixture *f, uint64_t now) {
        for (int i = 0; i < 40; i++, now++) {
                count_on(f, now * 10);
                turn_is(f, now, 0);
                assert_books(f, "a turn");
                for (size_t n = 0; n < f->m.books.n_schemes; n++)
                        if (f->m.books.quotas[n].bytes > 1)
                                return now + 1;
        }
        fail_msg("no quota was ever set");
        return now;
}

static size_t n_unknown(const struct fixture *f) {
        size_t n = 0;

        for (size_t i = 0; i < f->m.books.n_schemes; i++)
                n += f->m.books.quotas[i].bytes == 0;
        return n;
}

/* A write of quotas that failed is made again by the next turn, though the tuner decides the same. */
static void test_quotas_that_fail(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                struct diag d = {};
                uint64_t now, next;
                bool any = false;
                size_t n;

                started(&f, "");
                now = until_quota(&f, 1);
                count_on(&f, now * 10);
                scratch_reset_faults(f.s);
                turn_is(&f, now++, 0);
                n = f.s->writes;
                for (size_t k = 0; k < n; k++) {
                        fail_once(&f, k);
                        count_on(&f, now * 10);
                        if (manager_turn(&f.m, now++ * 1000000, &next, &d) >= 0) {
                                /* This turn wrote less than the one before. */
                                assert_int_equal(f.s->fault_times, 1);
                                continue;
                        }
                        /* Unknown in the books, where it was they that failed. */
                        assert_int_equal(n_unknown(&f) > 0, strstr(d.text, "/quotas/") || strstr(d.text, "\"commit\""));
                        any = any || n_unknown(&f) > 0;
                        scratch_reset_faults(f.s);
                        count_on(&f, now * 10);
                        turn_is(&f, now++, 0);
                        assert_books(&f, "a turn after one that failed");
                }
                assert_true(any);
                stopped(&f, "stop");
        }
}

static int reload(struct fixture *f, const char *config, struct diag *d) {
        return manager_reload(&f->m, config_of(config), d);
}

static void reloaded(struct fixture *f, const char *config) {
        struct diag d = {};

        if (reload(f, config, &d) != 0)
                fail_msg("reload \"%s\": %s", config, d.text);
        assert_books(f, config);
}

static void test_reload(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                unsigned starts;
                struct diag d = {};

                started(&f, DIRECT);
                starts = f.s->starts;

                /* The same shape: commits, and what was learnt is kept. */
                reloaded(&f, "demote: {goal: {free: 10%}}\n");
                assert_int_equal(f.s->starts, starts);
                assert_int_equal(f.m.books.plan->kdamonds[0].schemes[0].goal_bp, 1000);
                turn_is(&f, 1, 0);

                /* Fewer schemes: that kdamond is another one. The last node has none left. */
                reloaded(&f, "nodes: {2: {promote: {enabled: false}}}\n");
                assert_int_equal(running(&f), 2);
                turn_is(&f, 2, 0);
                reloaded(&f, "");
                assert_int_equal(running(&f), 3);
                turn_is(&f, 3, 0);

                /* Nothing to manage gives everything back; and from there to something. */
                reloaded(&f, ONE_TIER);
                assert_as_found(f.s, f.before, "a reload to nothing");
                assert_true(saved_is_empty(f.saved));
                turn_is(&f, 4, 0);
                reloaded(&f, "system: {numa_balancing: off, reclaim_demotion: on}\n");
                assert_int_equal(running(&f), 3);
                assert_string_equal(scratch_get(f.s, "sys/kernel/mm/numa/demotion_enabled"), "true");

                /* What is to be kept is put back. */
                reloaded(&f, "system: {numa_balancing: keep}\n");
                assert_string_equal(scratch_get(f.s, "sys/kernel/mm/numa/demotion_enabled"), "false");
                assert_string_equal(scratch_get(f.s, "proc/sys/kernel/numa_balancing"), "1");

                /* Other tuners. */
                if (f.m.capability.node_goals) {
                        reloaded(&f, KERNEL_TUNER);
                        assert_null(f.m.books.tuner);
                        turn_is(&f, 5, 0);
                        reloaded(&f, DIRECT);
                        assert_non_null(f.m.books.tuner);
                        turn_is(&f, 6, 0);
                } else {
                        assert_int_equal(reload(&f, KERNEL_TUNER, &d), -EINVAL);
                        assert_int_equal(f.m.books.plan->tuner, TUNER_DIRECT);
                }

                /* A configuration that cannot be: nothing changes. */
                scratch_reset_faults(f.s);
                assert_int_equal(reload(&f, "nodes: {9: {managed: false}}\n", &d), -EINVAL);
                assert_non_null(strstr(d.text, "node 9"));
                assert_int_equal(f.s->writes, 0);
                turn_is(&f, 7, 0);
                stopped(&f, "stop");
        }
}

/* A reload that fails anywhere: the configuration before is in force again, everything runs. */
static void reload_fails(enum scratch_kernel kernel, const char *from, const char *to) {
        _cleanup_fixture_ struct fixture f = fixture_new(kernel);
        size_t n;

        started(&f, from);
        scratch_reset_faults(f.s);
        reloaded(&f, to);
        n = f.s->writes;
        reloaded(&f, from);
        for (size_t i = 0; i < n; i += i < 8 ? 1 : 17) {
                const struct plan *plan = f.m.books.plan;
                unsigned before = running(&f);
                struct diag d = {};

                fail_once(&f, i);
                if (reload(&f, to, &d) == 0)
                        fail_msg("write %zu failed, and the reload went well", i);
                assert_non_null(strstr(d.text, "cannot "));
                assert_int_equal(d.error, -EIO);
                /* Where also giving back failed once, a hold is taken anew, and the plan made anew. */
                assert_true(f.m.books.plan == plan || manager_is_idle(&f.m) == (before == 0));
                assert_int_equal(running(&f), before);
                scratch_reset_faults(f.s);
                assert_books(&f, "a reload that failed");
                turn_is(&f, i + 1, 0);
        }
        stopped(&f, "stop");
}

static void test_reload_that_fails(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                reload_fails(KERNELS[i], "", "demote: {min_age: 5s}\n");
                reload_fails(KERNELS[i], "", "nodes: {1: {demote: {enabled: false}}}\n");
                reload_fails(KERNELS[i], ONE_TIER, "");
                if (KERNELS[i] >= SCRATCH_6_18)
                        reload_fails(KERNELS[i], DIRECT, KERNEL_TUNER);
        }
}

/* Neither forth nor back. */
static void test_reload_lost(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        struct diag d = {};

        (void) state;
        started(&f, "");
        scratch_reset_faults(f.s);
        f.s->fault_at = 20;
        f.s->fault_error = -EIO;
        f.s->fault_times = 100000;
        assert_int_equal(reload(&f, "demote: {min_age: 5s}\n", &d), MANAGER_LOST);
        assert_int_equal(d.error, -EIO);
        assert_non_null(strstr(d.text, "Nor could the configuration before"));
        scratch_reset_faults(f.s);
        stopped(&f, "stop");
}

/* On 6.12 a commit that fails ends the kdamond without a word. */
static void test_reload_commit_kills(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                struct diag d = {};

                started(&f, "");
                f.s->commit_kills = true;
                if (f.m.capability.silent_commit)
                        reloaded(&f, "demote: {min_age: 5s}\n");
                else
                        assert_int_equal(reload(&f, "demote: {min_age: 5s}\n", &d), -EINVAL);
                assert_int_equal(running(&f), 3);
                turn_is(&f, 1, 0);
                stopped(&f, "stop");
        }
}

/* A stop that fails keeps what it could not put back, and only that. */
static void test_stop_that_fails(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        size_t n;

        (void) state;
        started(&f, "");
        scratch_reset_faults(f.s);
        stopped(&f, "stop");
        n = f.s->writes;
        for (size_t i = 0; i < n; i++) {
                struct diag d = {};

                started(&f, "");
                fail_once(&f, i);
                if (manager_stop(&f.m, &d) != -EIO)
                        fail_msg("write %zu failed, and the stop went well", i);
                assert_non_null(strstr(d.text, "cannot "));
                assert_false(saved_is_empty(f.saved));
                scratch_reset_faults(f.s);
                stopped(&f, "the second stop");
        }
}

/* Another program's kdamonds are left alone also by what makes nodes rest in haste. */
static void test_replan_of_anothers(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                struct idset leaving = {};
                struct diag d = {};

                idset_add(&leaving, 2);
                started(&f, "");
                for (int slot = 0; slot < 3; slot++)
                        dies(&f, slot);
                scratch_occupy(f.s, 2);
                scratch_reset_faults(f.s);
                assert_int_equal(manager_replan(&f.m, &leaving, &d), -ESTALE);
                assert_int_equal(f.s->writes, 0);
                assert_string_equal(scratch_get(f.s, DAMON_ADMIN "/0/state"), "on");
                /* (DAMON_STAT does not start again while another's kdamond runs.) */
                (void) manager_stop(&f.m, NULL);
                assert_string_equal(scratch_get(f.s, DAMON_ADMIN "/0/state"), "on");
        }
}

/* Memory came, and what is to manage it cannot be had: nothing is managed as before, and the next try has its chance. */
static void test_replan_without_hold(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        struct idset leaving = {}, none = {};
        struct diag d = {};

        (void) state;
        idset_add(&leaving, 1);
        idset_add(&leaving, 2);
        started(&f, "");
        assert_int_equal(manager_replan(&f.m, &leaving, &d), MANAGER_CHANGED);
        assert_true(manager_is_idle(&f.m));
        assert_as_found(f.s, f.before, "nothing to manage");

        scratch_occupy(f.s, 2);
        assert_int_equal(manager_replan(&f.m, &none, &d), -EBUSY);
        assert_non_null(strstr(d.text, "2 kdamonds"));
        assert_true(manager_is_idle(&f.m));
        assert_true(saved_is_empty(f.saved));
        assert_string_equal(scratch_get(f.s, DAMON_ADMIN "/0/state"), "on");

        scratch_make(f.s, DAMON_ADMIN "/0/state", "off", 0600);
        assert_int_equal(scratch_store(f.s, DAMON_ADMIN "/nr_kdamonds", "0"), 0);
        fail_once(&f, 100);
        assert_int_equal(manager_replan(&f.m, &none, &d), -EIO);
        assert_non_null(strstr(d.text, f.s->fault_path));
        assert_as_found(f.s, f.before, "a hold that failed");
        scratch_reset_faults(f.s);
        assert_int_equal(manager_replan(&f.m, &none, &d), MANAGER_CHANGED);
        turn_is(&f, 1, 0);
        stopped(&f, "stop");
}

/* The books know nothing of quotas whose write failed in the haste. */
static void test_calm_that_fails(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        const char *online = "sys/devices/system/node/node2/meminfo";
        struct idset leaving = {};
        struct diag d = {};

        (void) state;
        idset_add(&leaving, 1);
        started(&f, "");
        (void) until_quota(&f, 1);
        /* The plan fails too, so that the one before stays in force. */
        assert_int_equal(unlinkat(f.s->root, online, 0), 0);
        fail_once(&f, 0);
        assert_true(manager_replan(&f.m, &leaving, &d) < 0);
        assert_non_null(strstr(f.s->fault_path, "/quotas/"));
        assert_true(n_unknown(&f) > 0);
        scratch_reset_faults(f.s);
        manager_stop(&f.m, NULL);
}

/* A new plan that came into force by a try that failed in the end is told by the one that goes well. */
static void test_replan_told_late(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                struct idset leaving = {}, all = {};
                struct diag d = {};

                idset_add(&leaving, 2);
                idset_add(&all, 1);
                idset_add(&all, 2);
                started(&f, "");
                /* Someone has written the setting meanwhile, and it fails; what is DAMON's goes well. */
                scratch_put(f.s, "proc/sys/kernel/numa_balancing", "1");
                f.m.leaving = leaving;
                fail_once(&f, 0);
                assert_int_equal(manager_replan(&f.m, &leaving, &d), -EIO);
                assert_int_equal(running(&f), 2);
                assert_int_equal(manager_replan(&f.m, &leaving, &d), MANAGER_CHANGED);
                assert_int_equal(manager_replan(&f.m, &leaving, &d), 0);

                /* Nothing is managed any more, and something of it cannot be put back at first. */
                f.m.leaving = all;
                fail_once(&f, 0);
                assert_int_equal(manager_replan(&f.m, &all, &d), -EIO);
                assert_int_equal(manager_replan(&f.m, &all, &d), MANAGER_CHANGED);
                assert_int_equal(manager_replan(&f.m, &all, &d), 0);
                stopped(&f, "stop");
        }
}

/* A setting beside DAMON that cannot be written does not leave schemes to a node that goes. */
static void test_replan_without_setting(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                _cleanup_free_ char *there = NULL;
                struct idset leaving = {}, none = {};
                struct diag d = {};

                idset_add(&leaving, 2);
                started(&f, "");
                assert_int_equal(manager_replan(&f.m, &leaving, &d), MANAGER_CHANGED);
                there = scratch_snapshot(f.s);
                assert_int_equal(manager_replan(&f.m, &none, &d), MANAGER_CHANGED);

                /* Someone has written it meanwhile. No haste: the first write is that of the setting. */
                scratch_put(f.s, "proc/sys/kernel/numa_balancing", "1");
                f.m.leaving = leaving;
                fail_once(&f, 0);
                assert_int_equal(manager_replan(&f.m, &leaving, &d), -EIO);
                assert_non_null(strstr(d.text, "/proc/sys/kernel/numa_balancing"));
                scratch_reset_faults(f.s);
                assert_true(manager_replan(&f.m, &leaving, &d) >= 0);
                assert_as_found(f.s, there, "two tries");
                stopped(&f, "stop");
        }
}

/* A service that was started again has another group at the same path, and the kernel's filters mean the one that is gone. */
static void test_group_made_anew(void **state) {
        (void) state;
        for (size_t i = WITH_GROUPS; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                const struct idset none = {};
                struct diag d = {};
                unsigned commits, starts;

                started(&f, "exclude: [{cgroup: /db.slice}]\n");
                turn_is(&f, 1, 0);
                scratch_put(f.s, "sys/fs/cgroup/new/" GROUP_FILE, "0");
                scratch_remove(f.s, "sys/fs/cgroup/db.slice");
                assert_int_equal(renameat(f.s->root, "sys/fs/cgroup/new", f.s->root, "sys/fs/cgroup/db.slice"), 0);
                turn_is(&f, 2, MANAGER_GROUPS);

                /* The kernel looks the path up again, and keeps what it has learnt. */
                commits = f.s->commits;
                starts = f.s->starts;
                assert_int_equal(manager_replan(&f.m, &none, &d), MANAGER_CHANGED);
                assert_true(f.s->commits >= commits + 3);
                assert_int_equal(f.s->starts, starts);
                turn_is(&f, 3, 0);
                assert_int_equal(manager_replan(&f.m, &none, &d), 0);
                stopped(&f, "stop");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_quotas_that_fail),
                cmocka_unit_test(test_reload),
                cmocka_unit_test(test_reload_that_fails),
                cmocka_unit_test(test_reload_lost),
                cmocka_unit_test(test_reload_commit_kills),
                cmocka_unit_test(test_stop_that_fails),
                cmocka_unit_test(test_replan_of_anothers),
                cmocka_unit_test(test_replan_without_hold),
                cmocka_unit_test(test_calm_that_fails),
                cmocka_unit_test(test_replan_told_late),
                cmocka_unit_test(test_replan_without_setting),
                cmocka_unit_test(test_group_made_anew),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
