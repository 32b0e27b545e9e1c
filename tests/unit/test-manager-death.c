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

#define GROUP_FILE "memory.stat"

/* A turn of this outcome that starts these kdamonds again: "node 1", "nodes 0-1"; "" for none. */
static void restarts(struct fixture *f, uint64_t now_s, int expected, const char *nodes) {
        struct diag told = {};

        turn_is(f, now_s, expected);
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
        turn_is(&f, 1, -EBADMSG);
        scratch_put(f.s, "sys/fs/cgroup/db.slice/child/" GROUP_FILE, "0");
        turn_is(&f, 2, MANAGER_GROUPS);
        replanned(&f);
        turn_is(&f, 3, 0);
        scratch_remove(f.s, "sys/fs/cgroup/db.slice/child");
        stopped(&f, "stop");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_silent_death),
                cmocka_unit_test(test_death_again_and_again),
                cmocka_unit_test(test_death_and_more),
                cmocka_unit_test(test_death_in_long_turns),
                cmocka_unit_test(test_death_without_group),
                cmocka_unit_test(test_unreadable_without_group),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
