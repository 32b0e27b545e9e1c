/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/feedback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define MIB (UINT64_C(1) << 20)
#define BYTE UINT64_C(10000)
#define LIMIT (200 * MIB)

/* The kernel's side: x, and what it was told. */
struct kernel {
        uint64_t x, score, ceiling;
};

static void kernel_pass(struct kernel *k, uint64_t windows) {
        while (windows-- > 0)
                k->x = feedback_next(k->x, k->score);
}

static uint64_t kernel_effective(const struct kernel *k) {
        return MIN(k->x / BYTE, k->ceiling);
}

static void kernel_take(struct kernel *k, const struct feedback *f) {
        k->score = f->score;
        k->ceiling = f->ceiling;
}

/* damon_feed_loop_next_input(), by values worked out by hand. */
static void test_law(void **state) {
        (void) state;
        assert_int_equal(feedback_next(500 * BYTE, 10000), 500 * BYTE);
        assert_int_equal(feedback_next(500 * BYTE, 0), 1000 * BYTE);
        assert_int_equal(feedback_next(500 * BYTE, 5000), 750 * BYTE);
        assert_int_equal(feedback_next(500 * BYTE, 15000), 250 * BYTE);
        assert_int_equal(feedback_next(500 * BYTE, 19900), 5 * BYTE);
        assert_int_equal(feedback_next(500 * BYTE, 19999), BYTE);
        assert_int_equal(feedback_next(500 * BYTE, 20000), BYTE);
        assert_int_equal(feedback_next(500 * BYTE, 1000000), BYTE);
        /* Never less than a byte, from which it grows again. */
        assert_int_equal(feedback_next(0, 10000), BYTE);
        assert_int_equal(feedback_next(BYTE, 15000), BYTE);
        assert_int_equal(feedback_next(0, 0), 2 * BYTE);
        /* 200 MiB from one byte: 28 windows, as the kernel's own tuner takes. */
        {
                uint64_t x = BYTE;
                int windows = 0;

                for (; x < LIMIT * BYTE; windows++)
                        x = feedback_next(x, 0);
                assert_int_equal(windows, 28);
        }
        assert_true(feedback_next(UINT64_MAX, 0) == UINT64_MAX);
        assert_true(feedback_next(UINT64_MAX / 2, 1) <= UINT64_MAX);
}

static void test_start(void **state) {
        struct feedback f = feedback_start();

        (void) state;
        assert_true(feedback_is_at_rest(&f));
        assert_int_equal(feedback_quota(&f), 1);
        feedback_step(&f, 0, 4, 0, LIMIT);
        assert_true(feedback_is_at_rest(&f));
        assert_int_equal(f.ceiling, 1);
        assert_true(f.score >= FEEDBACK_TARGET);
        f.unknown = true;
        assert_false(feedback_is_at_rest(&f));
}

/* Turns of `windows` windows, each fed `late` windows after it was read; returns after how many turns the quota was there. */
static unsigned bring(struct kernel *k, struct feedback *f, uint64_t wanted, uint64_t windows, uint64_t late) {
        for (unsigned turn = 0; turn < 100; turn++) {
                uint64_t before = f->score, was = kernel_effective(k);

                feedback_correct(f, kernel_effective(k));
                kernel_pass(k, late);
                feedback_step(f, wanted, windows, late, LIMIT);
                kernel_take(k, f);
                /* What the model knows of them comes with the next count. */
                for (uint64_t i = 0; i < late; i++)
                        f->x = feedback_next(f->x, before);
                kernel_pass(k, windows - late);
                feedback_pass(f, windows - late);
                /* From below never above. */
                assert_true(kernel_effective(k) <= MAX(was, wanted) + 1);
                if (kernel_effective(k) >= wanted - wanted / 8 && kernel_effective(k) <= wanted + 1)
                        return turn + 1;
        }
        fail_msg("%llu bytes were never reached", (unsigned long long) wanted);
        return 0;
}

/* From nothing to anything within the windows that doubling takes, and no further; and down again within a turn. */
static void test_reaches(void **state) {
        static const uint64_t wanted[] = { 4096, 100000, MIB, 20 * MIB, LIMIT };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
                for (uint64_t windows = 1; windows <= 10; windows++)
                        for (uint64_t late = 0; late < MIN(windows, UINT64_C(3)); late++) {
                                struct kernel k = { .x = BYTE, .score = FEEDBACK_REST, .ceiling = 1 };
                                struct feedback f = feedback_start();

                                assert_in_range(bring(&k, &f, wanted[i], windows, late), 1, 30 / windows + 4);
                                /* It stays there. */
                                for (int n = 0; n < 5; n++)
                                        assert_int_equal(bring(&k, &f, wanted[i], windows, late), 1);
                                if (wanted[i] > 4096)
                                        (void) bring(&k, &f, wanted[i] / 20, windows, late);
                                /* To rest, just below a page, and there it stays. */
                                for (int n = 0; n < 3; n++) {
                                        feedback_correct(&f, kernel_effective(&k));
                                        feedback_step(&f, 0, windows, 0, LIMIT);
                                        kernel_take(&k, &f);
                                        kernel_pass(&k, windows);
                                        feedback_pass(&f, windows);
                                        assert_in_range(kernel_effective(&k), windows < 3 ? 1 : 2000, 4095);
                                        assert_true(feedback_is_at_rest(&f));
                                }
                                assert_int_equal(f.score, FEEDBACK_TARGET);
                                /* What must stop does so at the next window. */
                                (void) bring(&k, &f, wanted[i], windows, late);
                                feedback_stop(&f);
                                kernel_take(&k, &f);
                                kernel_pass(&k, 1);
                                assert_int_equal(kernel_effective(&k), 1);
                        }
}

/*
 * A feed that the kernel takes later than is reckoned, as that of the last of several kdamonds: what is held in the end is less
 * than a page all the same, and is not asked for any more.
 */
static void test_rests_below_a_page(void **state) {
        (void) state;
        for (uint64_t windows = 1; windows <= 10; windows++)
                for (uint64_t late = 1; late <= MIN(windows, UINT64_C(4)); late++)
                        for (int growing = 0; growing < 2; growing++) {
                                uint64_t x = growing ? 3000 * BYTE : 20 * MIB * BYTE;
                                struct feedback f = { .x = x, .score = growing ? 0 : FEEDBACK_TARGET, .ceiling = 20 * MIB };
                                struct kernel k = { .x = f.x, .score = f.score, .ceiling = f.ceiling };

                                for (int turn = 0; turn < 30; turn++) {
                                        if (feedback_needs_correction(&f, 0))
                                                feedback_correct(&f, kernel_effective(&k));
                                        kernel_pass(&k, late);
                                        feedback_step(&f, 0, windows, 0, LIMIT);
                                        kernel_take(&k, &f);
                                        kernel_pass(&k, windows - late);
                                        feedback_pass(&f, windows);
                                }
                                assert_in_range(kernel_effective(&k), 1, 4095);
                                assert_true(feedback_is_at_rest(&f));
                                assert_int_equal(f.score, FEEDBACK_TARGET);
                                assert_false(feedback_needs_correction(&f, 0));
                        }
}

/* What falls moves no more in the turn than was wanted, as long as its first window allows it. */
static void test_falls_within_budget(void **state) {
        (void) state;
        for (uint64_t wanted = MIB; wanted <= 16 * MIB; wanted *= 2) {
                struct feedback f = { .x = 20 * MIB * BYTE, .score = FEEDBACK_TARGET, .ceiling = 20 * MIB };
                struct kernel k = { .x = f.x, .score = f.score, .ceiling = f.ceiling };
                uint64_t sum = 0;

                feedback_step(&f, wanted, 4, 0, LIMIT);
                kernel_take(&k, &f);
                for (int i = 0; i < 4; i++) {
                        kernel_pass(&k, 1);
                        sum += kernel_effective(&k);
                }
                /* But for what it takes not to fall to nothing. */
                assert_in_range(sum, 2 * wanted, wanted < 4 * MIB ? 6 * wanted : 4 * wanted);
        }
}

/*
 * The ceiling hides x. What is wanted is never above it for long, a quota that has come to what is wanted is fed no growth, and
 * one whose x ran behind the ceiling all the same comes down at once when it is to.
 */
static void test_no_wind_up(void **state) {
        struct kernel k = { .x = BYTE, .score = FEEDBACK_REST, .ceiling = 1 };
        struct feedback f = feedback_start();

        (void) state;
        (void) bring(&k, &f, LIMIT, 4, 0);
        for (int turn = 0; turn < 1000; turn++) {
                feedback_correct(&f, kernel_effective(&k));
                feedback_step(&f, LIMIT, 4, 0, LIMIT);
                kernel_take(&k, &f);
                kernel_pass(&k, 4);
                feedback_pass(&f, 4);
                assert_true(k.x <= 2 * LIMIT * BYTE);
        }
        /* A node is leaving: another hand set the ceiling, and x is 16 times what it was. */
        k.ceiling = f.ceiling = 1;
        k.score = f.score = 0;
        kernel_pass(&k, 4);
        feedback_pass(&f, 4);
        feedback_correct(&f, kernel_effective(&k));
        assert_true(f.x == k.x);
        feedback_step(&f, MIB, 4, 0, LIMIT);
        kernel_take(&k, &f);
        assert_int_equal(f.ceiling, 4 * MIB);
        kernel_pass(&k, 4);
        assert_true(k.x <= MIB * BYTE);
}

/* tierd hangs: what was fed last goes on. It stays below the ceiling, which is no more than 16 times what was wanted. */
static void test_hangs(void **state) {
        (void) state;
        for (uint64_t wanted = 1; wanted <= LIMIT; wanted = wanted * 3 + 1) {
                struct kernel k = { .x = BYTE, .score = FEEDBACK_REST, .ceiling = 1 };
                struct feedback f = feedback_start();

                for (int turn = 0; turn < 20; turn++) {
                        struct kernel hung;

                        feedback_step(&f, wanted, 4, 0, LIMIT);
                        kernel_take(&k, &f);
                        hung = k;
                        kernel_pass(&hung, 1000);
                        assert_in_range(kernel_effective(&hung), 0, MAX(FEEDBACK_LOOSE * wanted, FEEDBACK_CEILING_MIN));
                        assert_true(kernel_effective(&hung) <= LIMIT);
                        kernel_pass(&k, 4);
                        feedback_pass(&f, 4);
                }
                /* Come to what is wanted, it stays so without tierd, or dwindles. */
                if (wanted >= 16)
                        assert_true(f.score >= FEEDBACK_TARGET);
                /* At rest nothing will ever move. */
                feedback_step(&f, 0, 4, 0, LIMIT);
                kernel_take(&k, &f);
                kernel_pass(&k, 4);
                assert_in_range(kernel_effective(&k), 1, 4095);
                kernel_pass(&k, 1000);
                assert_in_range(kernel_effective(&k), 1, 4095);
        }
}

/* Small changes of what is wanted, and of what is there, are no commands; large ones change the ceiling seldom. */
static void test_few_commands(void **state) {
        struct kernel k = { .x = BYTE, .score = FEEDBACK_REST, .ceiling = 1 };
        struct feedback f = feedback_start();
        unsigned feeds = 0, commits = 0;

        (void) state;
        (void) bring(&k, &f, 10 * MIB, 4, 0);
        for (uint64_t turn = 0; turn < 200; turn++) {
                struct feedback before = f;

                feedback_correct(&f, kernel_effective(&k));
                feedback_step(&f, 10 * MIB + turn % 3 * 1000, 4, 0, LIMIT);
                kernel_take(&k, &f);
                kernel_pass(&k, 4);
                feedback_pass(&f, 4);
                feeds += f.score != before.score;
                commits += f.ceiling != before.ceiling;
        }
        assert_in_range(feeds, 0, 1);
        assert_int_equal(commits, 0);
        /* Through all sizes: one commit for each factor of four, and none where there is little to bound. */
        for (uint64_t wanted = 1; wanted <= LIMIT; wanted *= 2) {
                struct feedback before = f;

                feedback_step(&f, wanted, 4, 0, LIMIT);
                commits += f.ceiling != before.ceiling;
        }
        assert_in_range(commits, 1, 6);
        feedback_step(&f, UINT64_MAX, 4, 0, LIMIT);
        assert_int_equal(f.ceiling, LIMIT);
        feedback_step(&f, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX);
        feedback_step(&f, 5, 0, 0, 0);
        assert_int_equal(f.ceiling, 1);
}

static void test_pace(void **state) {
        struct feedback_pace p = {};

        (void) state;
        assert_int_equal(feedback_pace_windows(&p), 1);
        assert_int_equal(feedback_pace_take(&p, 4), 4);
        assert_int_equal(feedback_pace_windows(&p), 4);
        for (uint64_t turn = 0; turn < 20; turn++)
                assert_int_equal(feedback_pace_take(&p, 4 + (turn + 1) * 10), 10);
        assert_int_equal(feedback_pace_windows(&p), 10);
        /* A kdamond begun anew counts from nothing. */
        assert_int_equal(feedback_pace_take(&p, 3), 3);
        /* A suspended machine is no pace. */
        (void) feedback_pace_take(&p, UINT64_MAX);
        assert_in_range(feedback_pace_windows(&p), 1, 64);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_law),
                cmocka_unit_test(test_start),
                cmocka_unit_test(test_reaches),
                cmocka_unit_test(test_rests_below_a_page),
                cmocka_unit_test(test_falls_within_budget),
                cmocka_unit_test(test_no_wind_up),
                cmocka_unit_test(test_hangs),
                cmocka_unit_test(test_few_commands),
                cmocka_unit_test(test_pace),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
