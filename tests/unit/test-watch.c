/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/statuses.h"
#include "tierd/limit.h"
#include "tierd/watch.h"

#include <string.h>

#define TURN (SECOND / 2)

/* A watch, a made-up machine, and what happened to it: "0.5 reached 0 demote 0 1\n", at seconds since the beginning. */
struct stage {
        struct made_status made;
        struct watch *watch;
        uint64_t begun_us;
        char text[8192];
        struct watch_event last;
};

static const char *const kinds[_WATCH_KIND_MAX] = {
        [WATCH_GOAL_REACHED] = "reached", [WATCH_GOAL_LOST] = "lost",   [WATCH_STALL] = "stall",
        [WATCH_PING_PONG] = "ping-pong",  [WATCH_TARGET_FULL] = "full", [WATCH_TARGET_TAKES] = "takes",
};

static struct stage *stage_new(void) {
        struct stage *g = calloc(1, sizeof(*g));

        assert_non_null(g);
        made_status_init(&g->made);
        g->begun_us = g->made.s.taken_us;
        assert_int_equal(watch_new(&g->watch), 0);
        return g;
}

static void stage_done(struct stage **g) {
        (*g)->watch = watch_free((*g)->watch);
        free(*g);
}

static void look(struct stage *g) {
        const struct watch_event *events;
        size_t n, len;

        assert_int_equal(watch_step(g->watch, &g->made.s, &events, &n), 0);
        for (size_t i = 0; i < n; i++) {
                uint64_t at = g->made.s.taken_us - g->begun_us;

                len = strlen(g->text);
                (void) snprintf(g->text + len, sizeof(g->text) - len, "%u.%u %s %s %d %d\n", (unsigned) (at / SECOND),
                                (unsigned) (at % SECOND / (SECOND / 10)), kinds[events[i].kind],
                                direction_to_string(events[i].scheme->direction), events[i].scheme->source_nid,
                                events[i].scheme->target_nid);
                g->last = events[i];
        }
}

/* Turns go by until `seconds` have; `each` (may be NULL) changes something before each. */
static void watch_for(struct stage *g, unsigned seconds, void (*each)(struct stage *g)) {
        uint64_t end = g->made.s.taken_us + seconds * SECOND;

        while (g->made.s.taken_us < end) {
                made_status_pass(&g->made, TURN);
                if (each)
                        each(g);
                look(g);
        }
}

static void assert_seen(struct stage *g, const char *expected) {
        assert_string_equal(g->text, expected);
        g->text[0] = '\0';
}

/* Only one scheme, to look at it alone. */
static void only(struct stage *g, unsigned scheme) {
        g->made.schemes[0] = g->made.schemes[scheme];
        g->made.s.n_schemes = 1;
}

/* Free memory of node 0, hundredths of a percent. */
static void node0_free_bp(struct stage *g, unsigned bp) {
        made_status_free(&g->made, 0, 16 * GIB / 10000 * bp + 10000);
}

/* -- goals -- */

static void test_goal(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        only(g, DEMOTE_0_1);
        node0_free_bp(g, 300);
        watch_for(g, 60, NULL);
        assert_seen(g, "");
        /* Nearly is enough, once it has held. */
        node0_free_bp(g, 494);
        watch_for(g, 10, NULL);
        assert_seen(g, "");
        node0_free_bp(g, 495);
        watch_for(g, 10, NULL);
        assert_seen(g, "72.5 reached demote 0 1\n");
        watch_for(g, 30, NULL);
        /* Half a point below is no loss yet. */
        node0_free_bp(g, 451);
        watch_for(g, 30, NULL);
        assert_seen(g, "");
        node0_free_bp(g, 450);
        watch_for(g, 10, NULL);
        assert_seen(g, "142.5 lost demote 0 1\n");
        node0_free_bp(g, 600);
        watch_for(g, 20, NULL);
        assert_seen(g, "152.5 reached demote 0 1\n");
}

static void test_goal_of_promotion(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        only(g, PROMOTE_1_0);
        watch_for(g, 30, NULL);
        /* 95 % used, and 96 % wanted. */
        assert_seen(g, "");
        node0_free_bp(g, 380);
        watch_for(g, 30, NULL);
        assert_seen(g, "32.5 reached promote 1 0\n");
        /* What is not known is neither. */
        g->made.schemes[0].current_bp = -1;
        watch_for(g, 30, NULL);
        assert_seen(g, "");
        node0_free_bp(g, 5000);
        watch_for(g, 3, NULL);
        assert_seen(g, "92.5 lost promote 1 0\n");
}

static void swing_goal(struct stage *g) {
        uint64_t at = g->made.s.taken_us - g->begun_us;

        node0_free_bp(g, at / (3 * SECOND) % 2 ? 200 : 600);
}

static void flicker_goal(struct stage *g) {
        uint64_t at = g->made.s.taken_us - g->begun_us;

        node0_free_bp(g, at / SECOND % 2 ? 200 : 600);
}

/* A goal that swings is told once per telemetry interval at most; one that flickers is not told again. */
static void test_goal_swings(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();
        unsigned events = 0;

        (void) state;
        only(g, DEMOTE_0_1);
        watch_for(g, 600, swing_goal);
        for (const char *p = g->text; *p; p++)
                events += *p == '\n';
        assert_in_range(events, 10, 60);
        g->text[0] = '\0';
        node0_free_bp(g, 600);
        watch_for(g, 30, NULL);
        g->text[0] = '\0';
        watch_for(g, 600, flicker_goal);
        assert_seen(g, "");
}

/* -- full targets -- */

static void test_full(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        only(g, DEMOTE_1_2);
        node0_free_bp(g, 100);
        watch_for(g, 5, NULL);
        g->text[0] = '\0';
        g->made.schemes[0].reason = TUNER_NO_ROOM;
        watch_for(g, 20, NULL);
        assert_seen(g, "5.5 full demote 1 2\n");
        g->made.schemes[0].reason = TUNER_REST;
        watch_for(g, 5, NULL);
        g->made.schemes[0].reason = TUNER_NO_ROOM;
        watch_for(g, 5, NULL);
        g->made.schemes[0].reason = TUNER_GOAL;
        watch_for(g, 15, NULL);
        assert_seen(g, "45.5 takes demote 1 2\n");
        g->made.schemes[0].reason = TUNER_NO_ROOM;
        watch_for(g, 5, NULL);
        assert_seen(g, "");
        watch_for(g, 15, NULL);
        assert_seen(g, "55.5 full demote 1 2\n");
        /* A plan that keeps the scheme is no news. */
        g->made.schemes[1] = g->made.schemes[0];
        g->made.schemes[0].target_nid = 3;
        g->made.schemes[0].reason = TUNER_REST;
        g->made.s.n_schemes = 2;
        watch_for(g, 15, NULL);
        assert_seen(g, "72.5 reached demote 1 3\n");
}

/* A promotion that finds no room is the usual thing. */
static void test_full_promotion(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        only(g, PROMOTE_1_0);
        g->made.schemes[0].reason = TUNER_NO_ROOM;
        watch_for(g, 60, NULL);
        assert_seen(g, "");
}

/* The kernel's tuner does not say: the target's own free memory does. */
static void test_full_kernel_tuner(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        only(g, DEMOTE_0_1);
        g->made.s.tuner = TUNER_KERNEL;
        node0_free_bp(g, 100);
        made_status_free(&g->made, 1, 16 * GIB / 50);
        watch_for(g, 20, NULL);
        assert_seen(g, "");
        made_status_free(&g->made, 1, 16 * GIB / 101);
        watch_for(g, 20, NULL);
        assert_seen(g, "20.5 full demote 0 1\n");
        made_status_free(&g->made, 1, 16 * GIB / 60);
        watch_for(g, 20, NULL);
        assert_seen(g, "");
        made_status_free(&g->made, 1, 16 * GIB / 50);
        watch_for(g, 20, NULL);
        assert_seen(g, "70.5 takes demote 0 1\n");
        /* Nothing is wanted, or nothing known: nothing is full. */
        made_status_free(&g->made, 1, 0);
        node0_free_bp(g, 600);
        g->made.schemes[0].reason = TUNER_NO_ROOM;
        watch_for(g, 20, NULL);
        assert_seen(g, "82.5 reached demote 0 1\n");
        node0_free_bp(g, 460);
        g->made.nodes[1].has_free = false;
        watch_for(g, 20, NULL);
        assert_seen(g, "");
}

/* -- stalls -- */

static void move_at_ceiling(struct stage *g) {
        made_status_move(&g->made, 0, 100 * MIB, 100 * MIB);
}

static void test_stall(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        only(g, DEMOTE_0_1);
        node0_free_bp(g, 100);
        made_status_quota(&g->made, 0, 96, TUNER_GOAL);
        watch_for(g, 60, NULL);
        assert_seen(g, "");
        watch_for(g, 300, NULL);
        assert_seen(g, "60.5 stall demote 0 1\n");
        assert_int_equal(g->last.us, 60 * SECOND);
        /* Again, once it has been away for as long. */
        made_status_quota(&g->made, 0, 50, TUNER_GOAL);
        watch_for(g, 30, NULL);
        made_status_quota(&g->made, 0, 100, TUNER_EXCHANGE);
        watch_for(g, 300, NULL);
        assert_seen(g, "");
        made_status_quota(&g->made, 0, 90, TUNER_GOAL);
        watch_for(g, 310, NULL);
        made_status_quota(&g->made, 0, 100, TUNER_GOAL);
        watch_for(g, 120, NULL);
        assert_seen(g, "1060.5 stall demote 0 1\n");
}

static void come_nearer(struct stage *g) {
        /* 100 MiB per turn on a machine of 4 TiB: a tenth of a point in 40 s. */
        made_status_move(&g->made, 0, 100 * MIB, 100 * MIB);
        made_status_free(&g->made, 0, g->made.nodes[0].free_bytes + 100 * MIB);
}

/* The way is long, and is being gone. */
static void test_no_stall_nearer(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        only(g, DEMOTE_0_1);
        g->made.nodes[0].total_bytes = 4096 * GIB;
        made_status_free(&g->made, 0, 4 * GIB);
        made_status_quota(&g->made, 0, 100, TUNER_GOAL);
        watch_for(g, 300, come_nearer);
        assert_seen(g, "");
        /* As much is moved, and nothing comes of it. */
        watch_for(g, 120, move_at_ceiling);
        assert_seen(g, "360.5 stall demote 0 1\n");
}

static void test_no_stall(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        only(g, DEMOTE_0_1);
        /* Not at the ceiling. */
        node0_free_bp(g, 100);
        made_status_quota(&g->made, 0, 94, TUNER_GOAL);
        watch_for(g, 300, NULL);
        /* Not far from the goal. */
        made_status_quota(&g->made, 0, 100, TUNER_GOAL);
        node0_free_bp(g, 351);
        watch_for(g, 300, NULL);
        /* Not for long enough. */
        node0_free_bp(g, 100);
        for (int i = 0; i < 20; i++) {
                made_status_quota(&g->made, 0, 100, TUNER_GOAL);
                watch_for(g, 59, NULL);
                made_status_quota(&g->made, 0, 50, TUNER_GOAL);
                watch_for(g, 1, NULL);
        }
        /* Seen too seldom to tell. */
        made_status_quota(&g->made, 0, 100, TUNER_GOAL);
        for (int i = 0; i < 9; i++) {
                made_status_pass(&g->made, 30 * SECOND);
                look(g);
        }
        assert_seen(g, "");
        /* Without a ceiling, and without a quota that is known. */
        g->made.schemes[0].ceiling_bytes = 0;
        watch_for(g, 300, NULL);
        g->made.schemes[0].ceiling_bytes = 200 * MIB;
        g->made.schemes[0].quota_window_us = 0;
        watch_for(g, 300, NULL);
        assert_seen(g, "");
}

/* What promotion has as its goal is how far it may fill: only where there is room does it stall. */
static void test_stall_promotion(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        only(g, PROMOTE_1_0);
        node0_free_bp(g, 5000);
        made_status_quota(&g->made, 0, 100, TUNER_EXCHANGE);
        watch_for(g, 300, NULL);
        assert_seen(g, "");
        made_status_quota(&g->made, 0, 100, TUNER_FILL);
        watch_for(g, 100, NULL);
        assert_seen(g, "360.5 stall promote 1 0\n");
}

/* -- ping-pong -- */

static void exchange(struct stage *g) {
        made_status_move(&g->made, DEMOTE_0_1, 4 * MIB, 4 * MIB);
        made_status_move(&g->made, PROMOTE_1_0, 5 * MIB, 5 * MIB);
}

static void exchange_with_gain(struct stage *g) {
        exchange(g);
        g->made.nodes[1].view.hot_bytes -= 2 * MIB;
}

static void exchange_unevenly(struct stage *g) {
        made_status_move(&g->made, DEMOTE_0_1, 4 * MIB, 4 * MIB);
        made_status_move(&g->made, PROMOTE_1_0, 6 * MIB, 6 * MIB);
}

static void exchange_little(struct stage *g) {
        made_status_move(&g->made, DEMOTE_0_1, 2 * MIB, 2 * MIB);
        made_status_move(&g->made, PROMOTE_1_0, 2 * MIB, 2 * MIB);
}

static void exchange_and_near(struct stage *g) {
        exchange(g);
        made_status_free(&g->made, 0, g->made.nodes[0].free_bytes + MIB);
}

static void settle(struct stage *g) {
        g->made.nodes[1].view.hot_bytes = GIB;
        watch_for(g, 60, NULL);
        g->text[0] = '\0';
}

static void test_ping_pong(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        settle(g);
        watch_for(g, 300, exchange);
        assert_seen(g, "180.5 ping-pong demote 0 1\n");
        assert_in_range(g->last.us, 120 * SECOND, 122 * SECOND);
        assert_in_range(g->last.down_bytes, 950 * MIB, 970 * MIB);
        assert_in_range(g->last.up_bytes, 1190 * MIB, 1210 * MIB);
        assert_int_equal(g->last.hot_bytes, GIB);
        /* Over for a while, and again. */
        watch_for(g, 240, NULL);
        watch_for(g, 240, exchange);
        assert_non_null(strstr(g->text, "ping-pong"));
        assert_null(strchr(strchr(g->text, '\n') + 1, '\n'));
}

static void test_no_ping_pong(void **state) {
        static void (*const innocent[])(struct stage *g) = {
                exchange_with_gain, exchange_unevenly, exchange_little, exchange_and_near, move_at_ceiling,
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(innocent); i++) {
                _cleanup_(stage_done) struct stage *g = stage_new();

                made_status_free(&g->made, 0, 0);
                settle(g);
                g->made.nodes[1].view.hot_bytes = 8 * GIB;
                watch_for(g, 400, innocent[i]);
                if (strstr(g->text, "ping-pong"))
                        fail_msg("%zu: %s", i, g->text);
        }
}

/* A hot set that comes up within a window: what counts is the heat that there was, not that of the window's ends. */
static void test_exchange_of_a_hot_set(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        watch_for(g, 60, NULL);
        g->text[0] = '\0';
        for (int i = 0; i < 5; i++) {
                watch_for(g, 10, NULL);
                g->made.nodes[1].view.hot_bytes = 512 * MIB;
                watch_for(g, 40, exchange);
                g->made.nodes[1].view.hot_bytes = 0;
                watch_for(g, 10, NULL);
        }
        assert_seen(g, "");
}

/* Under the kernel's tuner nobody knows the heat; the goals alone can acquit. */
static void test_ping_pong_without_view(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        g->made.s.tuner = TUNER_KERNEL;
        g->made.nodes[1].has_view = false;
        settle(g);
        watch_for(g, 300, exchange);
        assert_seen(g, "180.5 ping-pong demote 0 1\n");
        assert_int_equal(g->last.hot_bytes, 0);
}

/* -- what is not watched -- */

static void test_paused(void **state) {
        static const enum status_state states[] = { STATUS_STARTING, STATUS_PAUSED, STATUS_IDLE, STATUS_STOPPING };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                _cleanup_(stage_done) struct stage *g = stage_new();

                settle(g);
                node0_free_bp(g, 100);
                made_status_quota(&g->made, DEMOTE_0_1, 100, TUNER_GOAL);
                /* Nearly a stall, nearly ping-pong. */
                watch_for(g, 1, NULL);
                g->made.s.state = states[i];
                watch_for(g, 600, exchange);
                assert_seen(g, "");
                g->made.s.state = STATUS_MANAGING;
                watch_for(g, 59, exchange);
                assert_seen(g, "663.5 lost demote 0 1\n663.5 reached promote 1 0\n");
        }
}

static void test_plan_changes(void **state) {
        _cleanup_(stage_done) struct stage *g = stage_new();

        (void) state;
        settle(g);
        watch_for(g, 100, exchange);
        /* The promotion is gone: there is no edge to watch. */
        g->made.s.n_schemes = 2;
        watch_for(g, 100, NULL);
        g->made.s.n_schemes = _MADE_SCHEMES;
        watch_for(g, 100, exchange);
        assert_null(strstr(g->text, "ping-pong"));
        g->made.s.n_schemes = 0;
        watch_for(g, 10, NULL);
        assert_null(watch_free(NULL));
}

static void test_limit(void **state) {
        struct limit l = {};
        uint64_t times = 0, now = 5 * SECOND;

        (void) state;
        assert_false(limit_passed(&l, now, &times));
        assert_true(limit_happened(&l, now, &times));
        assert_int_equal(times, 1);
        for (int i = 0; i < 59; i++) {
                now += SECOND;
                assert_false(limit_happened(&l, now, &times));
                assert_false(limit_passed(&l, now, &times));
        }
        now += SECOND;
        assert_true(limit_happened(&l, now, &times));
        assert_int_equal(times, 60);
        /* What was not told is told when nothing happens any more, once. */
        assert_false(limit_passed(&l, now + LIMIT_INTERVAL_US, &times));
        assert_false(limit_happened(&l, now + SECOND, NULL));
        assert_false(limit_passed(&l, now + LIMIT_INTERVAL_US - 1, &times));
        assert_true(limit_passed(&l, now + LIMIT_INTERVAL_US, &times));
        assert_int_equal(times, 1);
        assert_false(limit_passed(&l, now + 10 * LIMIT_INTERVAL_US, &times));
        assert_true(limit_happened(&l, now + 10 * LIMIT_INTERVAL_US, &times));
        assert_int_equal(times, 1);
        /* The clock's beginning. */
        l = (struct limit) {};
        assert_true(limit_happened(&l, 0, NULL));
        assert_false(limit_happened(&l, 1, NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_goal),
                cmocka_unit_test(test_goal_of_promotion),
                cmocka_unit_test(test_goal_swings),
                cmocka_unit_test(test_full),
                cmocka_unit_test(test_full_promotion),
                cmocka_unit_test(test_full_kernel_tuner),
                cmocka_unit_test(test_stall),
                cmocka_unit_test(test_no_stall_nearer),
                cmocka_unit_test(test_no_stall),
                cmocka_unit_test(test_stall_promotion),
                cmocka_unit_test(test_ping_pong),
                cmocka_unit_test(test_no_ping_pong),
                cmocka_unit_test(test_exchange_of_a_hot_set),
                cmocka_unit_test(test_ping_pong_without_view),
                cmocka_unit_test(test_paused),
                cmocka_unit_test(test_plan_changes),
                cmocka_unit_test(test_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
