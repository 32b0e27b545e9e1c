/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "tierd/hotplug.h"

#define S UINT64_C(1000000)

static bool leaving(const struct hotplug *h, unsigned nid) {
        return idset_has(&h->leaving, nid);
}

static void test_nothing(void **state) {
        struct hotplug h = {};

        (void) state;
        assert_true(hotplug_next_us(&h) == UINT64_MAX);
        assert_false(hotplug_take(&h, 100 * S));
}

/* The first block that goes is acted on at once, those after it are not; when all is quiet, the plan is made again. */
static void test_leaves(void **state) {
        struct hotplug h = {};

        (void) state;
        hotplug_event(&h, 10 * S, HOTPLUG_LEAVES, 2);
        assert_true(hotplug_next_us(&h) == 10 * S);
        assert_true(hotplug_take(&h, 10 * S));
        assert_true(leaving(&h, 2));
        for (uint64_t t = 11; t < 20; t++) {
                hotplug_event(&h, t * S, HOTPLUG_LEAVES, 2);
                assert_true(hotplug_next_us(&h) > t * S);
                assert_false(hotplug_take(&h, t * S));
                assert_true(leaving(&h, 2));
        }
        assert_true(hotplug_next_us(&h) == 24 * S);
        assert_false(hotplug_take(&h, 24 * S - 1));
        assert_true(hotplug_take(&h, 24 * S));
        assert_false(leaving(&h, 2));
        assert_true(hotplug_next_us(&h) == UINT64_MAX);
        assert_false(hotplug_take(&h, 25 * S));
}

/* Another node that begins to leave meanwhile does not wait for the first. */
static void test_two_leave(void **state) {
        struct hotplug h = {};

        (void) state;
        hotplug_event(&h, 10 * S, HOTPLUG_LEAVES, 2);
        assert_true(hotplug_take(&h, 10 * S));
        hotplug_event(&h, 12 * S, HOTPLUG_LEAVES, 3);
        assert_true(hotplug_take(&h, 12 * S));
        assert_true(leaving(&h, 2) && leaving(&h, 3));
        assert_true(hotplug_take(&h, 15 * S));
        assert_false(leaving(&h, 2));
        assert_true(leaving(&h, 3));
}

/* Blocks that come back: the offlining was given up. */
static void test_given_up(void **state) {
        struct hotplug h = {};

        (void) state;
        hotplug_event(&h, 10 * S, HOTPLUG_LEAVES, 2);
        assert_true(hotplug_take(&h, 10 * S));
        hotplug_event(&h, 11 * S, HOTPLUG_COMES, 2);
        assert_true(hotplug_next_us(&h) == 12 * S);
        assert_true(leaving(&h, 2));
        assert_true(hotplug_take(&h, 12 * S));
        assert_false(leaving(&h, 2));
}

/* A burst is one plan, and a burst without end is not waited for. */
static void test_comes(void **state) {
        struct hotplug h = {};
        unsigned plans = 0;

        (void) state;
        for (uint64_t t = 0; t < 20; t++)
                hotplug_event(&h, 10 * S + t * S / 10, HOTPLUG_COMES, t % 2 ? 2 : -1);
        assert_false(hotplug_take(&h, 12 * S));
        assert_true(hotplug_take(&h, 10 * S + 19 * S / 10 + S));
        assert_false(hotplug_take(&h, 100 * S));

        for (uint64_t t = 0; t < 200; t++) {
                hotplug_event(&h, 200 * S + t * S / 10, HOTPLUG_COMES, 2);
                plans += hotplug_take(&h, 200 * S + t * S / 10);
        }
        assert_in_range(plans, 3, 4);
}

static void test_again(void **state) {
        struct hotplug h = {};

        (void) state;
        hotplug_again(&h, 7 * S);
        assert_true(hotplug_next_us(&h) == 7 * S);
        /* Further events do not put it off. */
        hotplug_event(&h, 6 * S + S / 2, HOTPLUG_COMES, -1);
        assert_true(hotplug_take(&h, 7 * S));
}

static void test_odd_ids(void **state) {
        struct hotplug h = {};

        (void) state;
        hotplug_event(&h, S, HOTPLUG_LEAVES, -1);
        hotplug_event(&h, S, HOTPLUG_LEAVES, NODE_ID_MAX + 1);
        assert_true(idset_is_empty(&h.leaving));
        assert_true(hotplug_take(&h, 2 * S));
        hotplug_event(&h, 3 * S, HOTPLUG_LEAVES, NODE_ID_MAX);
        assert_true(leaving(&h, NODE_ID_MAX));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing),  cmocka_unit_test(test_leaves), cmocka_unit_test(test_two_leave),
                cmocka_unit_test(test_given_up), cmocka_unit_test(test_comes),  cmocka_unit_test(test_again),
                cmocka_unit_test(test_odd_ids),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
