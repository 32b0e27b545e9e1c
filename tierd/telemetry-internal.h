/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierd/limit.h"
#include "tierd/telemetry.h"
#include "tierd/watch.h"

/* What tierd/telemetry*.c share. */

/* A scheme as it was told last, and what its next sample is counted from. */
struct told_scheme {
        struct status_scheme scheme;
        uint64_t taken_us;
        struct scheme_stats total;
        uint64_t cpu_us;                /* of the source's kdamond */
        bool sampled;                   /* it had a sample before */
        unsigned quiet;                 /* samples that were left out since, for nothing had changed */
        bool measured;                  /* the two nodes were; bytes: */
        uint64_t source_total, source_used, target_total, target_used;
};

struct trouble {
        struct limit limit;
        int level;
        struct diag last;
};

struct telemetry {
        struct journal *journal;        /* borrowed */
        struct watch *watch;
        struct told_scheme *schemes;    /* parallel to the last plan told */
        size_t n_schemes;
        char **notes;                   /* of the last plan told */
        size_t n_notes;
        struct limit groups;            /* plans made again for excluded groups, and else as before */
        struct trouble troubles[_TROUBLE_MAX];
};

/* The scheme that is told so: "TIERD_SCHEME", "TIERD_DIRECTION", "TIERD_SOURCE", "TIERD_TARGET". */
void telemetry_add_scheme(struct journal_entry *e, const struct status_scheme *s);

/* Its goal, and where that stands. */
void telemetry_add_goal(struct journal_entry *e, const struct status_scheme *s);

/* What the next sample counts from is this snapshot. */
void told_scheme_count_from(struct told_scheme *told, const struct status *s, const struct status_scheme *scheme);

/* "free" or "used". */
const char *goal_word(enum goal_metric metric);

/* " (5 times since this was last told)"; "" for once. */
#define TIMES_MAX 64
const char *telemetry_times(uint64_t times, char buf[static TIMES_MAX]);

/* Tells the troubles, and the plans, that were held back, where a minute has passed. */
void telemetry_flush_troubles(struct telemetry *t, uint64_t now_us);
void telemetry_flush_plan(struct telemetry *t, const struct status *s);
