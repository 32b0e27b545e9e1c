/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * The `feedback` tuner's hand: brings the quota that the kernel's own feedback loop makes of a `user_input` goal to the one
 * that the tuner (policy/tuner.h) wants, by the number that is fed. Pure. docs/tuner.md derives it.
 *
 * Each charge window the kernel takes the goal's score s (current_value / target_value) and makes its number x, of which the
 * quota is the whole bytes, x * (2 - s); at s >= 2 the least, one byte. `bytes`, the ceiling, caps the quota and not x.
 */

/* The goal's target_value, so that a current_value is a score in basis points. */
#define FEEDBACK_TARGET UINT64_C(10000)
/* The score by which x falls to the least at the next window. */
#define FEEDBACK_REST (2 * FEEDBACK_TARGET)

/* One scheme's loop, as tierd knows it. */
struct feedback {
        uint64_t x;                     /* the kernel's number, ten-thousandths of a byte (esz_bp) */
        uint64_t score;                 /* fed last */
        uint64_t ceiling;               /* `bytes` in force */
        bool unknown;                   /* whether the kernel has taken that score: feed it again */
        bool parked;                    /* seen at less than a page, and fed nothing since that makes it grow */
};

/* As every scheme starts: at rest, and stopped by its ceiling. */
struct feedback feedback_start(void);

/* x after one more window: damon_feed_loop_next_input() of 6.12 and, for goal_tuner consist, 7.2. */
uint64_t feedback_next(uint64_t x, uint64_t score);

/* The quota in force by what is known, bytes per window. */
uint64_t feedback_quota(const struct feedback *f);

/* The quota is less than a page, so nothing moves, and nothing will without being fed: no need to ask what it is. */
bool feedback_is_at_rest(const struct feedback *f);

/*
 * What is in force has to be asked for before a step to `wanted`: to grow by a wrong x is to overshoot, and to hold one that
 * is a page or more, where the law says that it has fallen below, is to move pages for as long as nothing is wanted.
 */
bool feedback_needs_correction(const struct feedback *f, uint64_t wanted);

/* So many windows have begun since the last call. */
void feedback_pass(struct feedback *f, uint64_t windows);

/* What the kernel says is in force (effective_bytes). Where the ceiling hides x, what the windows made of it is believed. */
void feedback_correct(struct feedback *f, uint64_t effective_bytes);

/*
 * What to feed, and what ceiling to set, for `wanted` bytes per window to be in force after the `windows` of a turn, which
 * begin when `late` more have passed under the score before; never more than `limit`. With 0 the quota falls to just below a
 * page, from where it is soon back, and stays. Sets f->score and f->ceiling. A score below FEEDBACK_TARGET, which lets x grow
 * for as long as nothing else is fed, comes only where x is below what is wanted, and with a ceiling of no more than
 * FEEDBACK_LOOSE times that (or FEEDBACK_CEILING_MIN).
 */
#define FEEDBACK_LOOSE 16
#define FEEDBACK_CEILING_MIN (UINT64_C(1) << 20)
void feedback_step(struct feedback *f, uint64_t wanted, uint64_t windows, uint64_t late, uint64_t limit);

/* What must stop at the next window: all the way down. */
void feedback_stop(struct feedback *f);

/* How many windows a turn has, by the passes that were counted: a moving average. */
struct feedback_pace {
        uint64_t passes;                /* of the kdamond, at the last turn */
        uint64_t eighths;               /* windows per turn, eight times; 0: no turn yet */
};

/* Takes the count of this turn in; returns how many passes came since the last. A smaller count is a kdamond begun anew. */
uint64_t feedback_pace_take(struct feedback_pace *p, uint64_t passes);

/* Windows until the next turn, at least 1. */
uint64_t feedback_pace_windows(const struct feedback_pace *p);
