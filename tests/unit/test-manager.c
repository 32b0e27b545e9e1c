/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "damon/apply.h"
#include "tests/support/managed.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

static const enum scratch_kernel KERNELS[] = { SCRATCH_6_1, SCRATCH_6_12, SCRATCH_6_18, SCRATCH_7_2 };

static const char DIRECT[] = "tuning: {tuner: direct}\n";
static const char ONE_TIER[] = "tiers: [[0, 1, 2]]\n";

static void test_start_turn_stop(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);

                started(&f, DIRECT);
                assert_int_equal(running(&f), 3);
                assert_books(&f, "a start");
                assert_string_equal(scratch_get(f.s, "proc/sys/kernel/numa_balancing"), "0");
                assert_string_equal(f.m.stopped_modules, KERNELS[i] < SCRATCH_6_18 ? "" : "damon_stat");
                for (uint64_t t = 1; t < 5; t++)
                        turn_is(&f, t, 0);
                assert_int_equal(f.m.books.n_nodes, 3);
                assert_int_equal(f.m.books.nodes[2].total_bytes, UINT64_C(512) << 20);
                assert_int_equal(f.s->starts, 3);
                stopped(&f, "stop");
                /* And once more, on the same record. */
                started(&f, DIRECT);
                stopped(&f, "the second stop");
        }
}

/* What nobody looks at is not read: most counts of probes, of age schemes those that are shown, and effective quotas. */
static void test_reads_no_more(void **state) {
        static const char *const others[] = { "quotas/effective_bytes", "stats/nr_tried", "stats/nr_applied",
                                              "stats/qt_exceeds", "stats/sz_applied" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                unsigned spoilt = 0;

                started(&f, DIRECT);
                turn_is(&f, 1, 0);
                for (size_t k = 0; k < f.m.books.plan->n_kdamonds; k++) {
                        const struct kdamond_plan *p = f.m.books.plan->kdamonds + k;

                        for (size_t j = 0; j < p->n_schemes + p->n_probes; j++) {
                                size_t n = j >= p->n_schemes ? 5 : p->schemes[j].direction == AGE ? 4 : 1;

                                for (size_t o = 0; o < n; o++) {
                                        char path[PATH_SIZE];

                                        assert_int_equal(path_format(path, sizeof(path),
                                                                     DAMON_ADMIN "/%d/contexts/0/schemes/%zu/%s", p->nid, j,
                                                                     others[o]), 0);
                                        scratch_make(f.s, path, "rubbish", 0400);
                                        spoilt++;
                                }
                        }
                }
                assert_true(spoilt > 0);
                turn_is(&f, 2, 0);
                stopped(&f, "stop");
        }
}

static void test_nothing_to_manage(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);

        (void) state;
        scratch_reset_faults(f.s);
        started(&f, ONE_TIER);
        assert_true(manager_is_idle(&f.m));
        assert_int_equal(f.s->writes, 0);
        turn_is(&f, 1, 0);
        stopped(&f, "stop");
}

/* Refusals come before any write. */
static void test_refusals(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        struct diag d = {};

        (void) state;
        scratch_reset_faults(f.s);
        assert_int_equal(start(&f, "system: {exclusive_modules: refuse}\n", &d), -EBUSY);
        assert_non_null(strstr(d.text, "damon_stat"));
        assert_non_null(strstr(d.text, "exclusive_modules: stop"));
        assert_int_equal(f.s->writes, 0);
        assert_int_equal(faccessat(f.run, "state", F_OK, 0), -1);

        scratch_occupy(f.s, 8);
        free(f.before);
        f.before = scratch_snapshot(f.s);
        scratch_reset_faults(f.s);
        assert_int_equal(start(&f, "", &d), -EBUSY);
        assert_non_null(strstr(d.text, "8 kdamonds"));
        assert_int_equal(f.s->writes, 0);
        stopped(&f, "stop");
}

/* Only a slot of our own shows it: nothing but that slot is touched before the refusal. */
static void test_without_paddr(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        struct diag d = {};

        (void) state;
        f.s->no_paddr = true;
        assert_int_equal(start(&f, "", &d), -EOPNOTSUPP);
        assert_non_null(strstr(d.text, "CONFIG_DAMON_PADDR"));
        f.s->no_paddr = false;
        stopped(&f, "stop");
}

/* Debian 12's own kernel: one sentence says what is missing and what to do, and nothing is touched. */
static void test_without_damon(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_6_1);
        struct diag d = {};

        (void) state;
        scratch_remove(f.s, "sys/kernel/mm/damon");
        scratch_put(f.s, "proc/version", "Linux version 6.1.0-40-amd64 (x) #1");
        free(f.before);
        f.before = scratch_snapshot(f.s);
        scratch_reset_faults(f.s);
        assert_int_equal(start(&f, "", &d), -ENOENT);
        assert_non_null(strstr(d.text, "CONFIG_DAMON or CONFIG_DAMON_SYSFS is off: build it in, see kernel-patches/README.md"));
        assert_non_null(strstr(d.text, "no migrate actions (6.11): kernel-patches/6.1 supplies them for this kernel"));
        assert_int_equal(f.s->writes, 0);
        assert_int_equal(faccessat(f.run, "state", F_OK, 0), -1);
        stopped(&f, "stop");
}

/* What the kernel is asked counts, not its release: patched, and not named so. */
static void test_release_is_not_asked(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_6_1);
        struct diag d = {};

        (void) state;
        scratch_put(f.s, "proc/version", "Linux version 6.1.192-ours (x) #1");
        free(f.before);
        f.before = scratch_snapshot(f.s);
        started(&f, DIRECT);
        assert_int_equal(running(&f), 3);
        assert_true(f.m.capability.migrate);
        /* What it cannot exclude is refused by what was found, and the configuration before stays. */
        assert_int_equal(manager_reload(&f.m, config_of("exclude: [{type: anon}]\n"), &d), -EOPNOTSUPP);
        assert_non_null(strstr(d.text, "would move"));
        assert_int_equal(running(&f), 3);
        stopped(&f, "stop");
        assert_int_equal(start(&f, "exclude: [{cgroup: /db.slice}]\n", &d), -EOPNOTSUPP);
        stopped(&f, "a refused start");
}

static void fail_everywhere(enum scratch_kernel kernel) {
        _cleanup_fixture_ struct fixture f = fixture_new(kernel);
        static const int errors[] = { -EINVAL, -EIO, -ENOMEM, -EBUSY };
        size_t n;

        scratch_reset_faults(f.s);
        started(&f, "system: {reclaim_demotion: on}\n");
        n = f.s->writes;
        stopped(&f, "stop");
        /* All of the beginning, where everything is different, and of the many attributes after it some. */
        for (size_t i = 0; i < n; i += i < 40 ? 1 : 5) {
                int error = errors[i % ELEMENTSOF(errors)], r;
                struct diag d = {};
                char where[64];

                (void) snprintf(where, sizeof(where), "write %zu failed", i);
                scratch_reset_faults(f.s);
                f.s->fault_at = i;
                f.s->fault_error = error;
                f.s->fault_times = APPLY_PATIENCE.tries;
                r = start(&f, "system: {reclaim_demotion: on}\n", &d);
                if (r == 0) {
                        /* A keyword that the kernel refuses is one that it does not know. */
                        assert_int_equal(error, -EINVAL);
                        assert_int_equal(manager_stop(&f.m, &d), 0);
                } else if (f.s->fault_times > 0 && error != -EBUSY) {
                        /* The undo met the fault as well, and said so; the next try mends it. */
                        if (f.s->writes == i)
                                assert_non_null(strstr(d.text, "cannot write \""));
                        scratch_reset_faults(f.s);
                        assert_int_equal(manager_stop(&f.m, &d), 0);
                } else if (r == error) {
                        assert_int_equal(d.error, error);
                        assert_non_null(strstr(d.text, "cannot write \""));
                        assert_non_null(strstr(d.text, strerror(-error)));
                }
                scratch_reset_faults(f.s);
                stopped(&f, where);
        }
        started(&f, "");
        stopped(&f, "stop");
}

static void test_every_write_may_fail(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++)
                fail_everywhere(KERNELS[i]);
}

/* The undo fails too: said in the same breath, recorded, and done by the next tierd. */
static void test_undo_that_fails(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        struct diag d = {};
        size_t n;

        (void) state;
        scratch_reset_faults(f.s);
        started(&f, "");
        n = f.s->writes;
        stopped(&f, "stop");
        for (size_t i = 1; i < n; i += 31) {
                scratch_reset_faults(f.s);
                f.s->fault_at = i;
                f.s->fault_error = -EIO;
                f.s->fault_times = 100000;
                assert_int_equal(start(&f, "", &d), -EIO);
                assert_non_null(strstr(d.text, "`tierd --restore`"));
                f.saved = saved_free(f.saved);
                manager_done(&f.m);

                scratch_reset_faults(f.s);
                assert_int_equal(saved_open(f.s->root, f.run, SAVED_STATE, &f.saved, &d), 0);
                assert_false(saved_is_empty(f.saved));
                assert_int_equal(claim_release(f.s->root, f.saved, &d), 0);
                assert_int_equal(saved_restore(f.saved, &d), 0);
                assert_true(saved_is_empty(f.saved));
                assert_as_found(f.s, f.before, "restore");
        }
}

/* Killed in place of any write of a start, of a turn or of the stop: the next tierd finds it in the record and puts it back. */
static void test_killed_anywhere(void **state) {
        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(KERNELS); k++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[k]);
                size_t n;

                scratch_reset_faults(f.s);
                started(&f, "");
                turn_is(&f, 1, 0);
                stopped(&f, "stop");
                n = f.s->writes;
                for (size_t i = 0; i < n; i += i < 30 || i + 12 > n ? 1 : 23) {
                        struct diag d = {};
                        char where[64];
                        pid_t pid;

                        f.saved = saved_free(f.saved);
                        manager_done(&f.m);
                        pid = fork();
                        assert_true(pid >= 0);
                        if (pid == 0) {
                                uint64_t next;

                                scratch_reset_faults(f.s);
                                f.s->exit_at = i;
                                if (saved_open(f.s->root, f.run, SAVED_STATE, &f.saved, NULL) == 0 &&
                                    start(&f, "", NULL) == 0 && manager_turn(&f.m, 1000000, &next, NULL) == 0)
                                        (void) manager_stop(&f.m, NULL);
                                _exit(1);
                        }
                        int status = -1;

                        assert_int_equal(waitpid(pid, &status, 0), pid);
                        assert_int_equal(status, 0);

                        (void) snprintf(where, sizeof(where), "killed at write %zu", i);
                        assert_int_equal(saved_open(f.s->root, f.run, SAVED_STATE, &f.saved, &d), 0);
                        if (claim_release(f.s->root, f.saved, &d) != 0)
                                fail_msg("%s: %s", where, d.text);
                        assert_int_equal(saved_restore(f.saved, &d), 0);
                        assert_as_found(f.s, f.before, where);
                        assert_true(saved_is_empty(f.saved));
                        /* Twice is as good as once. */
                        assert_int_equal(saved_restore(f.saved, &d), 0);
                        assert_as_found(f.s, f.before, where);
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_start_turn_stop),
                cmocka_unit_test(test_reads_no_more),
                cmocka_unit_test(test_nothing_to_manage),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_without_paddr),
                cmocka_unit_test(test_without_damon),
                cmocka_unit_test(test_release_is_not_asked),
                cmocka_unit_test(test_every_write_may_fail),
                cmocka_unit_test(test_undo_that_fails),
                cmocka_unit_test(test_killed_anywhere),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
