/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/feedback.h"
#include "policy/tuner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define NODES_MAX 5
#define PASS_US UINT64_C(100000)

/* Whose hand the tests of a run go by: the quota is set, or the kernel's loop is fed and makes it. */
static bool fed;

/* Passes between what is read of the loops and what they are fed: on 6.12 a command takes 100 ms. */
static unsigned late;

/* The kernel's side of a scheme whose quota its loop makes. */
struct loop {
        uint64_t x, score, ceiling;
};

/*
 * A model of nodes in a line, 0 the fastest, under DAMOS: every pass a scheme moves up to what its window's quota leaves, the
 * hottest or coldest first, as far as the target has room. Probes count what the nodes hold.
 */
struct plant {
        size_t n;
        struct plan plan;
        struct kdamond_plan kdamonds[NODES_MAX];
        struct scheme schemes[NODES_MAX][2];
        struct probe probes[3];
        uint64_t total[NODES_MAX], hot[NODES_MAX], cold[NODES_MAX];
        uint64_t pinned[NODES_MAX];             /* looks cold and does not move: excluded, or locked */
        uint64_t probe_tried[NODES_MAX][_PROBE_KIND_MAX];
        uint64_t tried[NODES_MAX][2], applied[NODES_MAX][2];
        uint64_t left[NODES_MAX][2];            /* of this window's quota */
        struct tuner_quota quotas[NODES_MAX * 2];
        uint64_t now_us, window_end_us;
        unsigned lag;                           /* passes that go on by the old quotas after the nodes were looked at */
        struct tuner_quota decided[NODES_MAX * 2];
        uint64_t hidden[NODES_MAX], hidden_max; /* freed and not counted as free: on per-CPU lists */
        uint64_t watermark;                     /* of node 0: promotion finds no room at it or below, and counts as done */
        unsigned promote_percent;               /* of what its quota allows, a promotion really moves so much */
        uint64_t free_max, free_min;            /* of node 0, since plant_watch() */
        struct tuner *tuner;
        struct loop loops[NODES_MAX][2];
        struct feedback feedback[NODES_MAX][2];
        struct feedback_pace paces[NODES_MAX];
        uint64_t ceiling_max, commits, feeds;
};

static uint64_t plant_free(const struct plant *p, size_t i) {
        return p->total[i] - p->hot[i] - p->cold[i] - p->pinned[i];
}

/* As the kernel shows it. */
static uint64_t plant_shown(const struct plant *p, size_t i) {
        uint64_t bytes = plant_free(p, i);

        return bytes > p->hidden[i] ? bytes - p->hidden[i] : 0;
}

static void plant_init(struct plant *p, size_t n, uint64_t total) {
        *p = (struct plant) { .n = n, .promote_percent = 100 };
        p->plan.tuner = fed ? TUNER_FEEDBACK : TUNER_DIRECT;
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < 2; j++) {
                        p->feedback[i][j] = feedback_start();
                        p->loops[i][j] = (struct loop) { .x = 10000, .score = FEEDBACK_REST, .ceiling = 1 };
                }
        p->plan.monitoring.aggregate_us = PASS_US;
        p->plan.kdamonds = p->kdamonds;
        p->plan.n_kdamonds = n;
        for (size_t i = 0; i < n; i++) {
                struct kdamond_plan *k = p->kdamonds + i;

                p->total[i] = total;
                *k = (struct kdamond_plan) { .nid = (int) i, .schemes = p->schemes[i] };
                if (i + 1 < n)
                        p->schemes[i][k->n_schemes++] = (struct scheme) {
                                .direction = DEMOTE, .source_nid = (int) i, .target_nid = (int) i + 1,
                                .goal_metric = GOAL_NODE_MEM_FREE_BP, .goal_nid = (int) i, .goal_bp = 500,
                                .quota_bytes = 200 * MIB, .quota_interval_us = 1000000,
                        };
                if (i > 0)
                        p->schemes[i][k->n_schemes++] = (struct scheme) {
                                .direction = PROMOTE, .source_nid = (int) i, .target_nid = (int) i - 1,
                                .goal_metric = GOAL_NODE_MEM_USED_BP, .goal_nid = (int) i - 1, .goal_bp = 9600,
                                .quota_bytes = 200 * MIB, .quota_interval_us = 1000000,
                        };
        }
        assert_int_equal(tuner_new(&p->plan, &p->tuner), 0);
}

static void plant_done(struct plant *p) {
        p->tuner = tuner_free(p->tuner);
}

static void plant_move(struct plant *p, size_t i, size_t j) {
        const struct scheme *s = &p->schemes[i][j];
        size_t to = (size_t) s->target_nid;
        uint64_t *from_heat = s->direction == PROMOTE ? p->hot : p->cold;
        uint64_t room = plant_shown(p, to), reserve = p->total[to] / 100, moved;

        if (s->direction == PROMOTE && p->watermark > 0 && plant_shown(p, to) <= p->watermark) {
                moved = MIN(from_heat[i], p->left[i][j]);
                p->left[i][j] -= moved;
                p->tried[i][j] += moved;
                p->applied[i][j] += moved;
                return;
        }
        moved = MIN(MIN(from_heat[i], p->left[i][j]), room > reserve ? room - reserve : 0);
        if (s->direction == DEMOTE && p->pinned[i] > 0) {
                /* The quota goes to both alike. */
                uint64_t all = p->cold[i] + p->pinned[i], tried = MIN(all, p->left[i][j]);

                moved = MIN(moved, tried * p->cold[i] / all);
                p->tried[i][j] += tried - moved;
                p->left[i][j] -= tried - moved;
        }
        p->left[i][j] -= moved;
        p->tried[i][j] += moved;
        if (s->direction == PROMOTE)
                moved = moved * p->promote_percent / 100;
        from_heat[i] -= moved;
        from_heat[to] += moved;
        p->hidden[i] = MIN(p->hidden[i] + moved, p->hidden_max);
        p->applied[i][j] += moved;
}

/* One aggregation: the schemes pass, the probes count. */
static void plant_pass(struct plant *p) {
        p->now_us += PASS_US;
        if (p->now_us >= p->window_end_us) {
                size_t q = 0;

                for (size_t i = 0; i < p->n; i++)
                        for (size_t j = 0; j < p->kdamonds[i].n_schemes; j++, q++) {
                                struct loop *l = &p->loops[i][j];

                                l->x = feedback_next(l->x, l->score);
                                p->left[i][j] = fed ? MIN(l->x / 10000, l->ceiling) : p->quotas[q].bytes;
                                /* Less than a page moves nothing. */
                                if (p->left[i][j] < 4096)
                                        p->left[i][j] = 0;
                        }
                p->window_end_us = p->now_us + MAX(p->quotas[0].window_us, PASS_US);
        }
        for (size_t i = 0; i < p->n; i++) {
                for (size_t j = 0; j < p->kdamonds[i].n_schemes; j++)
                        plant_move(p, i, j);
                p->probe_tried[i][PROBE_ALL] += p->total[i];
                p->probe_tried[i][PROBE_HOT] += p->hot[i];
                p->probe_tried[i][PROBE_COLD] += p->cold[i] + p->pinned[i] + plant_free(p, i);
        }
        p->free_max = MAX(p->free_max, plant_free(p, 0));
        p->free_min = MIN(p->free_min, plant_free(p, 0));
}

static void plant_watch(struct plant *p) {
        p->free_max = 0;
        p->free_min = UINT64_MAX;
}

/* As tierd/manager-feedback.c does it. */
static void plant_feed(struct plant *p) {
        size_t q = 0;

        for (size_t i = 0; i < p->n; i++) {
                uint64_t seen[2];
                bool ask = false;

                for (size_t j = 0; j < p->kdamonds[i].n_schemes; j++) {
                        ask = ask || feedback_needs_correction(&p->feedback[i][j], p->quotas[q + j].bytes);
                        seen[j] = MIN(p->loops[i][j].x / 10000, p->loops[i][j].ceiling);
                }
                for (unsigned pass = 0; ask && pass < late; pass++)
                        plant_pass(p);
                for (size_t j = 0; j < p->kdamonds[i].n_schemes; j++, q++) {
                        struct feedback *f = &p->feedback[i][j];
                        const struct scheme *s = &p->schemes[i][j];
                        uint64_t limit = (uint64_t) ((unsigned __int128) s->quota_bytes * p->quotas[q].window_us /
                                                     s->quota_interval_us);

                        if (ask)
                                feedback_correct(f, seen[j]);
                        if (p->quotas[q].reason == TUNER_SETTLING)
                                feedback_stop(f);
                        else
                                feedback_step(f, p->quotas[q].bytes, feedback_pace_windows(p->paces + i), ask ? late : 0,
                                              limit);
                        p->commits += p->loops[i][j].ceiling != f->ceiling;
                        p->feeds += p->loops[i][j].score != f->score;
                        p->loops[i][j].score = f->score;
                        p->loops[i][j].ceiling = f->ceiling;
                        p->ceiling_max = MAX(p->ceiling_max, f->ceiling);
                }
        }
}

static uint64_t plant_turn(struct plant *p) {
        struct tuner_node nodes[NODES_MAX];
        struct tuner_kdamond kdamonds[NODES_MAX] = {};
        uint64_t in_force[NODES_MAX][2], windows, next;
        struct tuner_sample sample = { .now_us = p->now_us, .nodes = nodes, .n_nodes = p->n, .kdamonds = kdamonds };

        sample.lag_us = p->lag * PASS_US;
        for (size_t i = 0; i < p->n; i++) {
                nodes[i] = (struct tuner_node) {
                        .nid = (int) i, .total_bytes = p->total[i], .free_bytes = plant_shown(p, i),
                };
                kdamonds[i] = (struct tuner_kdamond) {
                        .monitored_bytes = p->total[i], .scheme_tried = p->tried[i], .scheme_applied = p->applied[i],
                };
                memcpy(kdamonds[i].probe_tried, p->probe_tried[i], sizeof(kdamonds[i].probe_tried));
                if (!fed)
                        continue;
                windows = feedback_pace_take(p->paces + i, p->probe_tried[i][PROBE_ALL] / MAX(p->total[i], UINT64_C(1)));
                for (size_t j = 0; j < 2; j++) {
                        feedback_pass(&p->feedback[i][j], windows);
                        in_force[i][j] = feedback_quota(&p->feedback[i][j]);
                }
                kdamonds[i].scheme_quota = in_force[i];
        }
        next = tuner_step(p->tuner, &sample, p->decided, NULL);
        for (unsigned i = 0; i < p->lag; i++)
                plant_pass(p);
        memcpy(p->quotas, p->decided, sizeof(p->quotas));
        if (fed)
                plant_feed(p);
        return next;
}

static void plant_run(struct plant *p, uint64_t seconds) {
        for (uint64_t end = p->now_us + seconds * 1000000; p->now_us < end;) {
                uint64_t next = p->now_us + plant_turn(p);

                while (p->now_us < next)
                        plant_pass(p);
        }
}

static uint64_t moved(const struct plant *p) {
        uint64_t sum = 0;

        for (size_t i = 0; i < p->n; i++)
                sum += p->applied[i][0] + p->applied[i][1];
        return sum;
}

static void assert_near(uint64_t value, uint64_t expected, uint64_t slack) {
        assert_in_range(value, expected > slack ? expected - slack : 0, expected + slack);
}

/* The goal alone: a full node is demoted to 5 % free, without overshoot, and rests. */
static void test_goal(void **state) {
        struct plant p;
        uint64_t before;

        (void) state;
        plant_init(&p, 2, GIB);
        p.cold[0] = GIB - GIB / 100;
        plant_watch(&p);
        plant_run(&p, 20);
        assert_near(plant_free(&p, 0), GIB / 20, GIB / 300);
        assert_in_range(p.free_max, 0, GIB / 20 + GIB / 300);
        before = moved(&p);
        plant_run(&p, 600);
        assert_int_equal(moved(&p), before);
        plant_done(&p);
}

/*
 * The exchange: goals met, hot below, cold above. What comes up is matched by what goes down, free memory stays near its goal.
 */
static void check_exchange(uint64_t total, unsigned promote_percent) {
        struct plant p;
        uint64_t before;

        plant_init(&p, 2, total);
        p.promote_percent = promote_percent;
        p.cold[0] = total - total * 55 / 1000;
        p.hot[1] = total / 5;
        p.cold[1] = total / 5;
        plant_watch(&p);
        plant_run(&p, 5 + total / (8 * MIB));
        assert_true(p.hot[0] >= total / 5 * 99 / 100);
        assert_in_range(p.free_max, 0, total * (late > 0 ? 65 : 60) / 1000);
        /* At worst one step below the floor of 4 %: promotion counted on a demotion that came late. */
        assert_in_range(p.free_min, total * 20 / 1000, total);
        assert_near(p.applied[0][0], p.applied[1][0], total / 50);
        before = moved(&p);
        plant_run(&p, 60);
        assert_in_range(moved(&p) - before, 0, 2 * MIB);
        plant_done(&p);
}

/* What looks cold above is excluded: nothing makes room for what is hot below, and the room that is kept free is not taken. */
static void test_excluded(void **state) {
        struct plant p;
        uint64_t before;

        (void) state;
        plant_init(&p, 2, GIB);
        p.pinned[0] = GIB - GIB * 55 / 1000;
        p.hot[1] = GIB / 5;
        p.cold[1] = GIB / 5;
        plant_watch(&p);
        plant_run(&p, 60);
        assert_in_range(p.free_min, GIB * (late > 0 ? 30 : 36) / 1000, GIB);
        before = p.applied[1][0];
        plant_run(&p, 600);
        assert_int_equal(p.applied[1][0], before);
        plant_done(&p);

        /* Half of it: the exchange finds the other half. */
        plant_init(&p, 2, GIB);
        p.pinned[0] = GIB / 2;
        p.cold[0] = GIB / 2 - GIB * 55 / 1000;
        p.hot[1] = GIB / 5;
        plant_watch(&p);
        plant_run(&p, 120);
        assert_true(p.hot[0] >= GIB / 5 * 99 / 100);
        assert_in_range(p.free_min, GIB * (late > 0 ? 20 : 25) / 1000, GIB);

        /* Nearly all: slower, and the goal holds all the same. */
        plant_done(&p);
        plant_init(&p, 2, GIB);
        p.pinned[0] = GIB - GIB * 155 / 1000;
        p.cold[0] = GIB / 10;
        p.hot[1] = GIB / 5;
        plant_watch(&p);
        plant_run(&p, 300);
        assert_true(p.hot[0] >= GIB / 10 * 9 / 10);
        assert_in_range(p.free_min, GIB * (late > 0 ? 20 : 25) / 1000, GIB);
        plant_done(&p);
}

/*
 * Quotas that come into force late, while the old ones go on, and memory that is freed and not counted so: neither makes
 * demotion run on when the last hot byte has come up. What is hidden is missing to the goal as the kernel shows it, and made
 * good.
 */
static void test_exchange_late(void **state) {
        (void) state;
        for (unsigned lag = 0; lag < 5; lag++)
                for (unsigned percent = 0; percent < 3; percent++) {
                        uint64_t hidden = GIB / 100 * percent;
                        struct plant p;

                        plant_init(&p, 2, GIB);
                        p.lag = lag;
                        p.hidden_max = hidden;
                        p.cold[0] = GIB - GIB / 20;
                        p.hot[1] = GIB / 5;
                        plant_watch(&p);
                        plant_run(&p, 60);
                        assert_true(p.hot[0] >= GIB / 5 * 99 / 100);
                        assert_in_range(p.free_max, 0, GIB * (late > 0 ? 60 : 58) / 1000 + hidden);
                        /* Promotion under the old quotas goes on as well, down to the least that the kernel keeps. */
                        assert_in_range(p.free_min, GIB * (fed || lag > 2 ? 10 : 20) / 1000, GIB);
                        assert_in_range(p.applied[0][0], 0, p.applied[1][0] + hidden + GIB * (fed ? 5 : 1) / 1000);
                        plant_done(&p);
                }
}

/* Where promotion finds no room, 6.16 to 7.2 count it as done: the exchange makes room all the same. */
static void test_exchange_counts_lie(void **state) {
        (void) state;
        for (unsigned bp = 400; bp <= 525; bp += 25) {
                struct plant p;

                plant_init(&p, 2, GIB);
                p.watermark = GIB / 10000 * bp;
                p.cold[0] = GIB - GIB / 20;
                p.hot[1] = GIB / 5;
                plant_run(&p, 120);
                if (p.hot[0] < GIB / 5 * 99 / 100)
                        fail_msg("watermark at %u bp: %llu MiB", bp, (unsigned long long) (p.hot[0] / MIB));
                plant_done(&p);
        }
}

/* A reload to shorter aggregations: what was learnt of the longer ones' passes does not make quotas larger. */
static void test_reload_to_shorter(void **state) {
        struct tuner *t;
        struct plant p;

        (void) state;
        plant_init(&p, 2, GIB);
        p.plan.monitoring.aggregate_us = 1000000;
        p.cold[0] = GIB - GIB / 20;
        for (int i = 0; i < 30; i++) {
                (void) plant_turn(&p);
                for (int pass = 0; pass < 10; pass++)
                        p.now_us += PASS_US;
                for (size_t n = 0; n < 2; n++) {
                        p.probe_tried[n][PROBE_ALL] += p.total[n];
                        p.probe_tried[n][PROBE_COLD] += p.cold[n] + plant_free(&p, n);
                }
        }
        p.plan.monitoring.aggregate_us = PASS_US;
        assert_int_equal(tuner_new(&p.plan, &t), 0);
        tuner_inherit(t, p.tuner);
        (void) tuner_free(p.tuner);
        p.tuner = t;
        p.cold[0] = GIB - GIB / 50;
        plant_watch(&p);
        plant_run(&p, 30);
        assert_near(plant_free(&p, 0), GIB / 20, GIB / 300);
        assert_in_range(p.free_max, 0, GIB / 20 + GIB / 300);
        plant_done(&p);
}

/* Of a source that is nearly empty and gives nearly nothing, promotion is not asked for more than of a full one. */
static void test_promotion_yield(void **state) {
        struct plant p;

        (void) state;
        plant_init(&p, 2, GIB);
        p.promote_percent = 2;
        p.schemes[1][0].quota_bytes = 64 * GIB;
        p.cold[0] = GIB / 10;
        p.hot[1] = GIB / 100;
        plant_run(&p, 4);
        for (int i = 0; i < 20; i++) {
                plant_run(&p, 1);
                assert_in_range(p.quotas[1].bytes, 0, GIB / 50);
        }
        plant_done(&p);
}

static void test_exchange(void **state) {
        (void) state;
        check_exchange(GIB, 100);
}

static void test_exchange_large(void **state) {
        (void) state;
        check_exchange(256 * GIB, 100);
}

/* A young filter lets only a part of a region pass: demotion must not run ahead of what really comes up. */
static void test_exchange_half(void **state) {
        (void) state;
        check_exchange(GIB, 40);
}

/* Nothing comes up at all (pages that cannot move): demotion stops one lift above its goal. */
static void test_exchange_stuck(void **state) {
        struct plant p;

        (void) state;
        plant_init(&p, 2, GIB);
        p.promote_percent = 0;
        p.cold[0] = GIB - GIB / 20;
        p.hot[1] = GIB / 5;
        plant_watch(&p);
        plant_run(&p, 120);
        assert_in_range(p.free_max, 0, GIB * 65 / 1000);
        plant_done(&p);
}

/* What does not move is tried ever more seldom, until the heat below has clearly grown. */
static void test_futile(void **state) {
        struct plant p;
        unsigned tried = 0;

        (void) state;
        plant_init(&p, 2, GIB);
        p.promote_percent = 0;
        p.cold[0] = GIB - GIB / 20;
        p.hot[1] = GIB / 50;
        plant_run(&p, 20);
        for (int i = 0; i < 60; i++) {
                plant_run(&p, 1);
                tried += p.quotas[1].bytes > 0;
        }
        assert_in_range(tried, 0, 6);

        p.promote_percent = 100;
        p.hot[1] = GIB / 10;
        plant_run(&p, 15);
        assert_true(p.hot[0] > GIB / 10 * 9 / 10);
        plant_done(&p);
}

/* Three tiers: from the slowest to the fastest, through a full middle. */
static void test_three_tiers(void **state) {
        struct plant p;

        (void) state;
        plant_init(&p, 3, GIB);
        p.cold[0] = p.cold[1] = GIB - GIB / 20;
        p.hot[2] = GIB / 5;
        plant_run(&p, 120);
        assert_true(p.hot[0] >= GIB / 5 * 98 / 100);
        assert_in_range(plant_free(&p, 0), GIB * 38 / 1000, GIB * 70 / 1000);
        assert_in_range(plant_free(&p, 1), GIB * 38 / 1000, GIB * 70 / 1000);
        plant_done(&p);
}

/* A lowest tier that is full takes no more, and the scheme says why. */
static void test_full_target(void **state) {
        struct plant p;

        (void) state;
        plant_init(&p, 2, GIB);
        p.cold[0] = GIB;
        p.cold[1] = GIB - GIB / 200;
        plant_run(&p, 10);
        (void) plant_turn(&p);
        assert_int_equal(p.quotas[0].reason, TUNER_NO_ROOM);
        assert_int_equal(p.quotas[0].bytes, 0);
        assert_int_equal(moved(&p), 0);
        plant_done(&p);
}

/* Two nodes that demote to one share its room: together they are given no more than there is. */
static void test_shared_target(void **state) {
        struct scheme demote[2] = {};
        struct kdamond_plan kdamonds[2] = {};
        struct plan plan = {
                .tuner = TUNER_DIRECT, .monitoring = { .aggregate_us = PASS_US }, .kdamonds = kdamonds, .n_kdamonds = 2,
        };
        struct tuner_node nodes[] = {
                { .nid = 0, .total_bytes = GIB, .free_bytes = 0 },
                { .nid = 1, .total_bytes = GIB, .free_bytes = 0 },
                { .nid = 2, .total_bytes = GIB, .free_bytes = GIB / 100 + 10 * MIB },
        };
        uint64_t zero = 0;
        struct tuner_kdamond counts[2] = {};
        struct tuner_quota quotas[2];
        struct tuner *t;

        (void) state;
        for (int i = 0; i < 2; i++) {
                demote[i] = (struct scheme) {
                        .direction = DEMOTE, .source_nid = i, .target_nid = 2, .goal_nid = i, .goal_bp = 500,
                        .quota_bytes = UINT64_MAX, .quota_interval_us = 1000,
                };
                kdamonds[i] = (struct kdamond_plan) { .nid = i, .schemes = demote + i, .n_schemes = 1 };
                counts[i] = (struct tuner_kdamond) {
                        .monitored_bytes = GIB, .scheme_tried = &zero, .scheme_applied = &zero,
                };
        }
        assert_int_equal(tuner_new(&plan, &t), 0);
        for (uint64_t turn = 1; turn < 20; turn++) {
                counts[0].probe_tried[PROBE_ALL] = counts[1].probe_tried[PROBE_ALL] = 4 * turn * GIB;
                (void) tuner_step(t, &(struct tuner_sample) { .now_us = turn * 400000, .nodes = nodes, .n_nodes = 3,
                                                              .kdamonds = counts }, quotas, NULL);
        }
        /* Per pass, of which a turn has four; the ceiling, more than 64 bits per turn, does not wrap. */
        assert_in_range(4 * (quotas[0].bytes + quotas[1].bytes), 9 * MIB, 11 * MIB);
        tuner_free(t);
}

/* No turn may exceed the configured ceiling's rate. */
static void test_ceiling(void **state) {
        struct plant p;

        (void) state;
        plant_init(&p, 2, 64 * GIB);
        p.schemes[0][0].quota_bytes = 10 * MIB;
        p.cold[0] = 64 * GIB;
        plant_run(&p, 30);
        assert_in_range(p.applied[0][0], 200 * MIB, 320 * MIB);
        plant_done(&p);
}

/* A kdamond started anew counts from nothing, and must settle again before its heat is believed. */
static void test_restart(void **state) {
        struct plant p;

        (void) state;
        plant_init(&p, 2, GIB);
        p.cold[0] = GIB - GIB / 20;
        plant_run(&p, 10);
        memset(p.probe_tried, 0, sizeof(p.probe_tried));
        memset(p.applied, 0, sizeof(p.applied));
        memset(p.tried, 0, sizeof(p.tried));
        p.hot[1] = GIB / 10;
        for (int i = 0; i < 3; i++)
                plant_pass(&p);
        (void) plant_turn(&p);
        assert_int_equal(p.quotas[1].reason, TUNER_SETTLING);
        assert_int_equal(p.quotas[1].bytes, 0);
        plant_run(&p, 60);
        assert_true(p.hot[0] > GIB / 10 * 9 / 10);
        plant_done(&p);
}

/* Clock jumps, empty samples, nodes without memory: no quota, no crash. */
static void test_odd_samples(void **state) {
        struct plant p;

        (void) state;
        plant_init(&p, 2, GIB);
        p.cold[0] = GIB;
        for (int i = 0; i < 30 && p.quotas[0].bytes == 0; i++) {
                plant_pass(&p);
                (void) plant_turn(&p);
        }
        assert_true(p.quotas[0].bytes > 0);
        p.now_us += UINT64_C(86400000000);
        (void) plant_turn(&p);
        assert_in_range(p.quotas[0].bytes, 1, 200 * MIB);
        p.now_us = 0;
        (void) plant_turn(&p);
        assert_in_range(p.quotas[0].bytes, 1, 200 * MIB);
        p.total[0] = p.cold[0] = p.hot[0] = 0;
        (void) plant_turn(&p);
        assert_int_equal(p.quotas[0].bytes, 0);
        assert_int_equal(p.quotas[1].bytes, 0);
        plant_done(&p);
}

static int feed(void **state) {
        (void) state;
        fed = true;
        return 0;
}

static int feed_late(void **state) {
        late = 1;
        return feed(state);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_goal),           cmocka_unit_test(test_exchange),
                cmocka_unit_test(test_excluded),       cmocka_unit_test(test_exchange_late),
                cmocka_unit_test(test_exchange_counts_lie), cmocka_unit_test(test_reload_to_shorter),
                cmocka_unit_test(test_promotion_yield),
                cmocka_unit_test(test_exchange_large), cmocka_unit_test(test_exchange_half),
                cmocka_unit_test(test_exchange_stuck), cmocka_unit_test(test_three_tiers),
                cmocka_unit_test(test_shared_target),  cmocka_unit_test(test_full_target),    cmocka_unit_test(test_ceiling),
                cmocka_unit_test(test_futile),         cmocka_unit_test(test_restart),
                cmocka_unit_test(test_odd_samples),
        };

        return cmocka_run_group_tests_name("direct", tests, NULL, NULL) +
               cmocka_run_group_tests_name("feedback", tests, feed, NULL) +
               cmocka_run_group_tests_name("feedback, fed late", tests, feed_late, NULL);
}
