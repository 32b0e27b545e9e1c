/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/feedback.h"
#include "base/cleanup.h"

/* The kernel's least number: one byte, which is less than a page and moves nothing. */
#define X_MIN UINT64_C(10000)
#define X_PER_BYTE UINT64_C(10000)
/* Less than a page moves nothing either, and is twelve windows nearer to what may be wanted next. */
#define X_PARKED (UINT64_C(4095) * X_PER_BYTE)
/* By so many windows any x has come from one end to the other, and a score for longer is no other score. */
#define WINDOWS_MAX UINT64_C(64)
/* A quota this near to the wanted one (a sixteenth) is left alone: each feed is a command. */
#define NEAR_PART 16
/* How far below what is wanted a quota may end that comes from above it. */
#define FALL_PART 16
/* A new ceiling leaves room for the wanted quota to grow without another one, which is a commit. */
#define CEILING_ROOM 4

struct feedback feedback_start(void) {
        return (struct feedback) { .x = X_MIN, .score = FEEDBACK_REST, .ceiling = 1, .parked = true };
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
        return !f->unknown && f->score >= FEEDBACK_TARGET && f->x <= X_PARKED;
}

bool feedback_needs_correction(const struct feedback *f, uint64_t wanted) {
        return wanted > 0 ? !feedback_is_at_rest(f) : f->x <= X_PARKED && (f->unknown || !f->parked);
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
        /* While the score lets it grow, it may have since. */
        f->parked = !f->unknown && f->score >= FEEDBACK_TARGET && f->x <= X_PARKED;
}

static uint64_t next_ceiling(uint64_t ceiling, uint64_t wanted, uint64_t limit) {
        uint64_t roomy = MAX(wanted > UINT64_MAX / CEILING_ROOM ? UINT64_MAX : wanted * CEILING_ROOM, FEEDBACK_CEILING_MIN);

        if (wanted <= ceiling && ceiling / FEEDBACK_LOOSE <= wanted && ceiling <= limit)
                return ceiling;
        if (wanted <= ceiling && ceiling <= MIN(FEEDBACK_CEILING_MIN, limit))
                return ceiling;
        return MIN(roomy, limit);
}

/* What is known when a score is to be found. */
struct turn {
        uint64_t x;                     /* when the score is taken */
        uint64_t windows;               /* for how many it is in force */
        unsigned __int128 moved;        /* x of the windows that began before, since the turn was measured */
        uint64_t late;                  /* their number */
        uint64_t goal;
};

/* Whether under this score x ends at `end` or below, and with `sum` the turn as it is measured moves no more than is wanted. */
static bool keeps_below(const struct turn *t, uint64_t score, uint64_t end, bool sum) {
        unsigned __int128 moved = t->moved;
        uint64_t x = t->x;

        for (uint64_t i = 0; i < t->windows; i++) {
                x = feedback_next(x, score);
                if (i + t->late < t->windows)
                        moved += x;
        }
        return x <= end && (!sum || moved <= (unsigned __int128) t->goal * t->windows);
}

static uint64_t least_score(const struct turn *t, uint64_t end, bool sum) {
        uint64_t low = 0, high = FEEDBACK_REST;

        while (low < high) {
                uint64_t middle = (low + high) / 2;

                if (keeps_below(t, middle, end, sum))
                        high = middle;
                else
                        low = middle + 1;
        }
        return low;
}

/*
 * Growing, x arrives when the turn ends. Falling, from a quota that was larger, the turn moves no more than is wanted, but x
 * does not fall so low that the next turn would begin from nothing.
 */
static uint64_t find_score(const struct turn *t) {
        return MIN(least_score(t, t->goal, true), least_score(t, t->goal / FALL_PART, false));
}

void feedback_stop(struct feedback *f) {
        f->score = FEEDBACK_REST;
}

void feedback_step(struct feedback *f, uint64_t wanted, uint64_t windows, uint64_t late, uint64_t limit) {
        struct turn t = { .x = f->x, .windows = MIN(MAX(windows, UINT64_C(1)), WINDOWS_MAX), .late = MIN(late, WINDOWS_MAX) };

        limit = MAX(limit, UINT64_C(1));
        wanted = MIN(wanted, limit);
        for (uint64_t i = 0; i < t.late; i++) {
                t.x = feedback_next(t.x, f->score);
                t.moved += t.x;
        }
        if (wanted == 0) {
                f->score = t.x <= X_PARKED ? FEEDBACK_TARGET : least_score(&t, X_PARKED, false);
                return;
        }
        f->ceiling = next_ceiling(f->ceiling, wanted, limit);
        t.goal = wanted > UINT64_MAX / X_PER_BYTE ? UINT64_MAX : wanted * X_PER_BYTE;
        if (t.x <= t.goal && t.goal - t.x <= t.goal / NEAR_PART)
                f->score = FEEDBACK_TARGET;
        else
                f->score = find_score(&t);
        f->parked = f->parked && f->score >= FEEDBACK_TARGET;
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
