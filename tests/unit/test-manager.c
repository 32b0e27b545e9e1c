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
/* The first of them that has a filter for control groups. */
#define WITH_GROUPS 1

static const char DIRECT[] = "tuning: {tuner: direct}\n";
static const char KERNEL_TUNER[] = "tuning: {tuner: kernel}\n";
#define GROUP_FILE "memory.stat"
static const char ONE_TIER[] = "tiers: [[0, 1, 2]]\n";

/* Of the writes from here on this one fails, with EIO. */
static void fail_once(const struct fixture *f, size_t at) {
        scratch_reset_faults(f->s);
        f->s->fault_at = at;
        f->s->fault_error = -EIO;
        f->s->fault_times = 1;
}

static void turn(struct fixture *f, uint64_t now_s, int expected) {
        struct diag d = {};
        uint64_t next = 0;
        int r;

        r = manager_turn(&f->m, now_s * 1000000, &next, &d);
        if (r != expected)
                fail_msg("turn: %d, %s", r, d.text);
        assert_true(r < 0 || next > 0);
}

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
                        turn(&f, t, 0);
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
                turn(&f, 1, 0);
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
                turn(&f, 2, 0);
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
        turn(&f, 1, 0);
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
                turn(&f, 1, 0);
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

static void dies(struct fixture *f, int slot) {
        char path[128];

        (void) snprintf(path, sizeof(path), DAMON_ADMIN "/%d/state", slot);
        scratch_make(f->s, path, "off", 0600);
}

/* A turn of this outcome that starts these kdamonds again: "node 1", "nodes 0-1"; "" for none. */
static void restarts(struct fixture *f, uint64_t now_s, int expected, const char *nodes) {
        struct diag told = {};

        turn(f, now_s, expected);
        if (manager_take_restarted(&f->m, &told) != (*nodes != '\0'))
                fail_msg("%llu s: \"%s\"", (unsigned long long) now_s, told.text);
        if (strncmp(told.text, nodes, strlen(nodes)) != 0 ||
            (*nodes && !strstr(told.text, ": the kdamond had ended by itself;")))
                fail_msg("%llu s: \"%s\", not %s", (unsigned long long) now_s, told.text, nodes);
        /* Once. */
        assert_false(manager_take_restarted(&f->m, &told));
}

static void test_silent_death(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                struct diag d = {};
                uint64_t next;

                started(&f, "");
                restarts(&f, 100, 0, "");
                dies(&f, 1);
                restarts(&f, 101, 0, "node 1");
                assert_int_equal(running(&f), 3);
                assert_books(&f, "a kdamond that was started again");
                restarts(&f, 102, 0, "");

                /* Another one has its own chance; with the same one, so soon, the turn is a failed one, after all is done. */
                dies(&f, 2);
                restarts(&f, 103, 0, "node 2");
                dies(&f, 0);
                dies(&f, 1);
                assert_int_equal(manager_turn(&f.m, UINT64_C(104000000), &next, &d), -EIO);
                assert_non_null(strstr(d.text, "node 1: the kdamond has ended by itself again"));
                assert_int_equal(running(&f), 3);
                assert_books(&f, "a kdamond that ended again");
                restarts(&f, 105, 0, "nodes 0-1");
                dies(&f, 1);
                restarts(&f, 170, 0, "node 1");

                /* It does not start: the turn fails, and the next one tries. */
                dies(&f, 0);
                fail_once(&f, 3);
                assert_int_equal(manager_turn(&f.m, UINT64_C(171000000), &next, &d), -EIO);
                assert_non_null(strstr(d.text, "node 0"));
                assert_non_null(strstr(d.text, "cannot write"));
                restarts(&f, 172, 0, "node 0");
                dies(&f, 0);
                dies(&f, 1);
                restarts(&f, 240, 0, "nodes 0-1");
                stopped(&f, "stop");
        }
}

static struct manager *hurried;

/* A node begins to leave while a kdamond is started again. */
static void hurry_on_start(const struct scratch *s) {
        if (s->writes == 10)
                hurried->hurry = true;
}

/* One that ends again and again is given up: not within seconds, but not never. */
static void test_death_again_and_again(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_6_12);
        struct diag d = {};
        uint64_t next, now = 100;

        (void) state;
        started(&f, "");
        /* Others that end at the same time are started in the same turn, so that these are no five failed turns in a row. */
        for (int slot = 0; slot < 3; slot++)
                dies(&f, slot);
        restarts(&f, now, 0, "nodes 0-2");
        for (int slot = 0; slot < 3; slot++)
                dies(&f, slot);
        restarts(&f, now += 10, -EIO, "nodes 0-2");
        restarts(&f, ++now, 0, "");

        for (unsigned times = 2; times <= 5; times++) {
                dies(&f, 1);
                restarts(&f, now += 58, -EIO, "node 1");
                restarts(&f, ++now, 0, "");
        }
        dies(&f, 1);
        for (int i = 0; i < 5; i++) {
                assert_int_equal(manager_turn(&f.m, ++now * 1000000, &next, &d), -EIO);
                assert_non_null(strstr(d.text, "node 1: its kdamond (/" DAMON_ADMIN "/1) has ended by itself 6 times in a "
                                               "row"));
                assert_int_equal(running(&f), 2);
        }
        restarts(&f, now += 60, 0, "node 1");
        /* It has lived for a minute: all is forgotten. */
        dies(&f, 1);
        restarts(&f, now += 60, 0, "node 1");
        dies(&f, 1);
        restarts(&f, ++now, -EIO, "node 1");
        stopped(&f, "stop");
}

/* Started again in a turn that comes to another end: told all the same. */
static void test_death_and_more(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);

        (void) state;
        started(&f, "");
        restarts(&f, 100, 0, "");
        dies(&f, 0);
        scratch_reset_faults(f.s);
        f.s->before_write = hurry_on_start;
        hurried = &f.m;
        restarts(&f, 300, -EINTR, "node 0");
        f.s->before_write = NULL;
        f.m.hurry = false;
        stopped(&f, "stop");
}

/* Each ends within the next turn, and turns take longer than a minute where the kernel is slow to answer. */
static void test_death_in_long_turns(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        uint64_t now = 100;

        (void) state;
        started(&f, "monitoring: {sample: 1s, aggregate: 10s}\n");
        dies(&f, 1);
        restarts(&f, now, 0, "node 1");
        for (unsigned times = 1; times <= 5; times++) {
                dies(&f, 1);
                restarts(&f, now += 61, -EIO, "node 1");
        }
        dies(&f, 1);
        for (int i = 0; i < 5; i++)
                restarts(&f, now += 61, -EIO, "");
        /* Three kdamonds: 480 s since it was started the last time. */
        restarts(&f, now += 174, -EIO, "");
        restarts(&f, ++now, 0, "node 1");
        stopped(&f, "stop");
}

static void replanned(struct fixture *f) {
        const struct idset none = {};
        struct diag d = {};

        if (manager_replan(&f->m, &none, &d) != MANAGER_CHANGED)
                fail_msg("replan: %s", d.text);
        assert_int_equal(running(f), 3);
        assert_books(f, "a plan made again");
}

/* The kernel starts no kdamond that names a group that is gone: what has ended waits for the plan without it. */
static void test_death_without_group(void **state) {
        (void) state;
        for (size_t i = WITH_GROUPS; i < ELEMENTSOF(KERNELS); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new(KERNELS[i]);
                const struct kdamond_report *report;
                struct diag d = {};

                started(&f, "exclude: [{cgroup: /db.slice}]\n");
                restarts(&f, 100, 0, "");
                dies(&f, 1);
                scratch_remove(f.s, "sys/fs/cgroup/db.slice");
                restarts(&f, 101, MANAGER_GROUPS, "");
                assert_int_equal(running(&f), 2);

                /* A plan that fails leaves it off; the next one starts it, and the turn after tells. */
                fail_once(&f, 20);
                assert_int_equal(manager_replan(&f.m, &(struct idset) {}, &d), -EIO);
                scratch_reset_faults(f.s);
                replanned(&f);
                restarts(&f, 102, 0, "node 1");

                /* Counted, as if the turn had started it. */
                for (unsigned times = 1; times <= 6; times++) {
                        report = f.m.books.kdamonds + 1;
                        assert_int_equal(report->restarts, times);
                        assert_int_equal(report->again, times - 1);
                        dies(&f, 1);
                        if (times % 2)
                                scratch_put(f.s, "sys/fs/cgroup/db.slice/" GROUP_FILE, "0");
                        else
                                scratch_remove(f.s, "sys/fs/cgroup/db.slice");
                        restarts(&f, 102 + 2 * times, MANAGER_GROUPS, "");
                        replanned(&f);
                        restarts(&f, 103 + 2 * times, 0, "node 1");
                }
                dies(&f, 1);
                restarts(&f, 120, -EIO, "");
                scratch_put(f.s, "sys/fs/cgroup/db.slice/" GROUP_FILE, "0");
                stopped(&f, "stop");
        }
}

/* Nor is what else cannot be had of a kdamond an error while the plan is outdated. */
static void test_unreadable_without_group(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        const char *tried = DAMON_ADMIN "/1/contexts/0/schemes/0/stats/sz_tried";

        (void) state;
        started(&f, "exclude: [{cgroup: /db.slice}]\n");
        scratch_make(f.s, tried, "rubbish", 0400);
        turn(&f, 1, -EBADMSG);
        scratch_put(f.s, "sys/fs/cgroup/db.slice/child/" GROUP_FILE, "0");
        turn(&f, 2, MANAGER_GROUPS);
        replanned(&f);
        turn(&f, 3, 0);
        scratch_remove(f.s, "sys/fs/cgroup/db.slice/child");
        stopped(&f, "stop");
}

/* Turns until a quota is set; ends at the turn before the clock reads `now`. */
static uint64_t until_quota(struct fixture *f, uint64_t now) {
        for (int i = 0; i < 40; i++, now++) {
                count_on(f, now * 10);
                turn(f, now, 0);
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
                turn(&f, now++, 0);
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
                        turn(&f, now++, 0);
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
                turn(&f, 1, 0);

                /* Fewer schemes: that kdamond is another one. The last node has none left. */
                reloaded(&f, "nodes: {2: {promote: {enabled: false}}}\n");
                assert_int_equal(running(&f), 2);
                turn(&f, 2, 0);
                reloaded(&f, "");
                assert_int_equal(running(&f), 3);
                turn(&f, 3, 0);

                /* Nothing to manage gives everything back; and from there to something. */
                reloaded(&f, ONE_TIER);
                assert_as_found(f.s, f.before, "a reload to nothing");
                assert_true(saved_is_empty(f.saved));
                turn(&f, 4, 0);
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
                        turn(&f, 5, 0);
                        reloaded(&f, DIRECT);
                        assert_non_null(f.m.books.tuner);
                        turn(&f, 6, 0);
                } else {
                        assert_int_equal(reload(&f, KERNEL_TUNER, &d), -EINVAL);
                        assert_int_equal(f.m.books.plan->tuner, TUNER_DIRECT);
                }

                /* A configuration that cannot be: nothing changes. */
                scratch_reset_faults(f.s);
                assert_int_equal(reload(&f, "nodes: {9: {managed: false}}\n", &d), -EINVAL);
                assert_non_null(strstr(d.text, "node 9"));
                assert_int_equal(f.s->writes, 0);
                turn(&f, 7, 0);
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
                turn(&f, i + 1, 0);
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
                turn(&f, 1, 0);
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
        turn(&f, 1, 0);
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
                turn(&f, 1, 0);
                scratch_put(f.s, "sys/fs/cgroup/new/" GROUP_FILE, "0");
                scratch_remove(f.s, "sys/fs/cgroup/db.slice");
                assert_int_equal(renameat(f.s->root, "sys/fs/cgroup/new", f.s->root, "sys/fs/cgroup/db.slice"), 0);
                turn(&f, 2, MANAGER_GROUPS);

                /* The kernel looks the path up again, and keeps what it has learnt. */
                commits = f.s->commits;
                starts = f.s->starts;
                assert_int_equal(manager_replan(&f.m, &none, &d), MANAGER_CHANGED);
                assert_true(f.s->commits >= commits + 3);
                assert_int_equal(f.s->starts, starts);
                turn(&f, 3, 0);
                assert_int_equal(manager_replan(&f.m, &none, &d), 0);
                stopped(&f, "stop");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_start_turn_stop),
                cmocka_unit_test(test_reads_no_more),
                cmocka_unit_test(test_nothing_to_manage),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_without_paddr),
                cmocka_unit_test(test_every_write_may_fail),
                cmocka_unit_test(test_undo_that_fails),
                cmocka_unit_test(test_killed_anywhere),
                cmocka_unit_test(test_silent_death),
                cmocka_unit_test(test_without_damon),
                cmocka_unit_test(test_release_is_not_asked),
                cmocka_unit_test(test_death_again_and_again),
                cmocka_unit_test(test_death_and_more),
                cmocka_unit_test(test_death_in_long_turns),
                cmocka_unit_test(test_death_without_group),
                cmocka_unit_test(test_unreadable_without_group),
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
