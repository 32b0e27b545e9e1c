/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the running daemon said of itself (the JSON document of tierctl(1)), as plain data. A key that is not there, null, or of
 * another type is unknown: the daemon may be of another version. Texts are printable.
 */

#define UNKNOWN_NUMBER UINT64_MAX

struct shown_node {
        int id, tier;                           /* -1: none */
        char kind[16];
        uint64_t total_bytes, free_bytes;       /* the latter, and what follows, may be UNKNOWN_NUMBER */
        int free_bp;                            /* -1: unknown */
        bool left_alone, has_kdamond;
        uint64_t cpu_us, restarts, hot_bytes, cold_bytes;
};

struct shown_scheme {
        char name[48];
        bool demotes;
        int source, target, goal_node;
        int goal_bp, current_bp;                /* of the metric below; -1: unknown */
        bool goal_is_free;                      /* else of the memory that is used */
        uint64_t rate, ceiling_rate;            /* bytes per second */
        char reason[16];                        /* "": unknown */
        uint64_t tried_bytes, applied_bytes, quota_exceeded;
};

struct snapshot {
        char version[32], state[16], kernel[80], tuner[16], rank_source[32];    /* "": unknown */
        char *config_file;                      /* NULL: none */
        uint64_t telemetry_interval_us, started_realtime_us, taken_realtime_us, taken_monotonic_us;
        uint64_t turns, failed_turns, reloads, replans;
        size_t n_tiers;
        struct shown_node *nodes;
        size_t n_nodes;
        struct shown_scheme *schemes;
        size_t n_schemes;
        char **notes;
        size_t n_notes;
};

/* -EBADMSG when the text is no JSON object, -ENOMEM. */
int snapshot_parse(const char *text, struct snapshot **ret);
struct snapshot *snapshot_free(struct snapshot *s);
DEFINE_CLEANUP(struct snapshot, snapshot_free)
#define _cleanup_snapshot_ _cleanup_(snapshot_freep)

/* NULL when there is none. */
const struct shown_node *snapshot_node(const struct snapshot *s, int id);
const struct shown_scheme *snapshot_scheme(const struct snapshot *s, const char *name);
