/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/feedback.h"
#include "base/cleanup.h"

/* The kernel's least number: one byte, which is less than a page and moves nothing. */
#define X_MIN UINT64_C(10000)
#define X_PER_BYTE UINT64_C(10000)
/* By so many windows any x has come from one end to the other, and a score for longer is no other score. */
#define WINDOWS_MAX UINT64_C(64)
/* A quota this near to the wanted one (a sixteenth) is left alone: each feed is a command. */
#define NEAR_PART 16
/* A new ceiling leaves room for the wanted quota to grow without another one, which is a commit. */
#define CEILING_ROOM 4

struct feedback feedback_start(void) {
        return (struct feedback) { .x = X_MIN, .score = FEEDBACK_REST, .ceiling = 1 };
}

uint64_t feedback_next(uint64_t x, uint64_t score) {
        unsigned __int128 next;

        if (score >= FEEDBACK_REST)
                return X_MIN;
        x = MAX(x, X_MIN);
        next = score > FEEDBACK_TARGET ?
                       x - (unsigned __int128) x * (score - FEEDBACK_TARGET) / FEEDBACK_TARGET :
                       x + (unsigned __int128) x * (FEEDBACK_TARGET - score) / FEEDBACK_TARGET;
        return next > UINT64_MAX ? UINT64_MAX : MAX((uint64_t) next, X_MIN);
}

static uint64_t after(uint64_t x, uint64_t score, uint64_t windows) {
        for (uint64_t i = 0; i < MIN(windows, WINDOWS_MAX); i++)
                x = feedback_next(x, score);
        return x;
}

uint64_t feedback_quota(const struct feedback *f) {
        return MIN(f->x / X_PER_BYTE, f->ceiling);
}

bool feedback_is_at_rest(const struct feedback *f) {
        return !f->unknown && f->score >= FEEDBACK_REST && f->x <= X_MIN;
}

void feedback_pass(struct feedback *f, uint64_t windows) {
        f->x = after(f->x, f->score, windows);
}

void feedback_correct(struct feedback *f, uint64_t effective_bytes) {
        uint64_t x = effective_bytes > UINT64_MAX / X_PER_BYTE ? UINT64_MAX : effective_bytes * X_PER_BYTE;

        if (effective_bytes >= f->ceiling)
                f->x = MAX(f->x, x);
        else if (f->x / X_PER_BYTE != effective_bytes)
                f->x = MAX(x, X_MIN);
}

static uint64_t next_ceiling(uint64_t ceiling, uint64_t wanted, uint64_t limit) {
        uint64_t roomy = MAX(wanted > UINT64_MAX / CEILING_ROOM ? UINT64_MAX : wanted * CEILING_ROOM, FEEDBACK_CEILING_MIN);

        if (wanted <= ceiling && ceiling / FEEDBACK_LOOSE <= wanted && ceiling <= limit)
                return ceiling;
        if (wanted <= ceiling && ceiling <= MIN(FEEDBACK_CEILING_MIN, limit))
                return ceiling;
        return MIN(roomy, limit);
}

/* Whether under this score x stays at or below `goal` in the end, and on the way on the average. */
static bool keeps_below(uint64_t x, uint64_t score, uint64_t goal, uint64_t windows) {
        unsigned __int128 sum = 0;

        for (uint64_t i = 0; i < windows; i++) {
                x = feedback_next(x, score);
                sum += x;
        }
        return x <= goal && sum <= (unsigned __int128) goal * windows;
}

/*
 * The least score that keeps x below: growing, it arrives when the turn ends; falling, from a quota that was larger, the turn
 * moves no more than was wanted.
 */
static uint64_t find_score(uint64_t x, uint64_t goal, uint64_t windows) {
        uint64_t low = 0, high = FEEDBACK_REST;

        windows = MIN(windows, WINDOWS_MAX);

        while (low < high) {
                uint64_t middle = (low + high) / 2;

                if (keeps_below(x, middle, goal, windows))
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

void feedback_step(struct feedback *f, uint64_t wanted, uint64_t windows, uint64_t late, uint64_t limit) {
        uint64_t x, goal;

        limit = MAX(limit, UINT64_C(1));
        wanted = MIN(wanted, limit);
        if (wanted == 0) {
                f->score = FEEDBACK_REST;
                return;
        }
        f->ceiling = next_ceiling(f->ceiling, wanted, limit);
        goal = wanted > UINT64_MAX / X_PER_BYTE ? UINT64_MAX : wanted * X_PER_BYTE;
        x = after(f->x, f->score, late);
        if (x <= goal && goal - x <= goal / NEAR_PART)
                f->score = FEEDBACK_TARGET;
        else
                f->score = find_score(x, goal, MAX(windows > late ? windows - late : 0, UINT64_C(1)));
}

uint64_t feedback_pace_take(struct feedback_pace *p, uint64_t passes) {
        uint64_t windows = passes >= p->passes ? passes - p->passes : passes, taken = MIN(windows, WINDOWS_MAX);

        p->passes = passes;
        p->eighths = p->eighths == 0 ? 8 * taken : (p->eighths + 8 * taken) / 2;
        return windows;
}

uint64_t feedback_pace_windows(const struct feedback_pace *p) {
        return MAX((p->eighths + 7) / 8, UINT64_C(1));
}
