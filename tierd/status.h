/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/idset.h"
#include "damon/observe.h"
#include "policy/plan.h"
#include "policy/tuner.h"
#include "topology/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What tierd is doing, at one moment: a copy of its own, so that the event loop can show it (journal, D-Bus, metrics) while
 * the worker thread is busy with the next turn. All three show the same snapshot, so their numbers agree.
 */

struct manager;

enum status_state {
        STATUS_STARTING,
        STATUS_MANAGING,
        STATUS_PAUSED,          /* by order of the operator: DAMON watches, nothing moves */
        STATUS_IDLE,            /* nothing to manage on this machine */
        STATUS_STOPPING,
        _STATUS_STATE_MAX,
};
const char *status_state_to_string(enum status_state state);  /* "starting", "managing", "paused", "idle", "stopping" */

/* One scheme that moves memory. Its name for people and programs is direction, source and target. */
struct status_scheme {
        enum direction direction;               /* DEMOTE or PROMOTE; AGE serves the others and is not shown */
        int source_nid, target_nid, goal_nid;
        enum goal_metric goal_metric;
        uint32_t goal_bp;
        int32_t current_bp;                     /* of the goal's metric, by the node's meminfo; -1: not known */
        uint64_t ceiling_bytes, ceiling_interval_us;            /* the configured quota */
        uint64_t quota_bytes, quota_window_us;                  /* in force: set by tierd, or the kernel's effective one */
        enum tuner_reason reason;               /* under tierd's own tuner */
        /*
         * Counts since tierd began to manage with this scheme; they go on when its kdamond is started anew, and over reloads
         * for as long as the scheme stays.
         */
        struct scheme_stats total;
        struct scheme_stats raw;                /* as the kernel counts, since its kdamond started */
};

struct status_node {
        int nid, tier;                          /* tier -1: in none */
        enum node_kind kind;
        uint64_t total_bytes, free_bytes;       /* its meminfo */
        bool has_free;                          /* free_bytes is known: a node that no scheme touches is not measured */
        struct idset upper, lower;              /* neighbours */
        bool left_alone; /* in no tier, by configuration, drained, or going: nothing is to be moved there */
        bool has_kdamond;                       /* the rest is of its kdamond */
        int pid;                                /* the kernel thread's; 0: not known */
        uint64_t cpu_us, raw_cpu_us;            /* CPU time of its kdamonds, as `total` and `raw` above */
        uint64_t restarts;                      /* how often its kdamond was started again after it had ended by itself */
        uint64_t sample_us, aggregate_us;       /* monitoring intervals in force (as tuned, where the kernel tunes them) */
        bool has_view;                          /* under tierd's own tuner, once it has seen a pass */
        struct tuner_view view;
};

struct status_note {
        enum note_kind kind;
        char *text;
};

struct status {
        enum status_state state;
        char release[80];                       /* the kernel's */
        enum tuner_kind tuner;
        enum rank_source rank_source;
        size_t n_tiers;
        uint64_t started_realtime_us;           /* when tierd began, CLOCK_REALTIME */
        uint64_t taken_realtime_us;             /* when this was measured */
        uint64_t taken_us;                      /* the same, CLOCK_MONOTONIC */
        uint64_t telemetry_interval_us;
        char *config_path;                      /* where the configuration in force came from; NULL: the defaults */
        uint64_t turns, failed_turns, reloads, replans;         /* since tierd began; replans: for memory that came or went */
        struct status_node *nodes;              /* every node of the topology, ascending */
        size_t n_nodes;
        struct status_scheme *schemes;          /* in plan order */
        size_t n_schemes;
        struct status_note *notes;
        size_t n_notes;
};

/*
 * A snapshot of the manager (to be called while it is the loop's, see tierd/worker.h). `before`: the snapshot before it, for
 * the counts that go on; NULL for the first. State, times, config_path and the counters of turns are copied from `before`;
 * the caller sets them afterwards. 0, or -ENOMEM.
 */
int status_take(const struct manager *m, const struct status *before, struct status **ret);
struct status *status_free(struct status *s);
DEFINE_CLEANUP(struct status, status_free)
#define _cleanup_status_ _cleanup_(status_freep)

/* NULL when there is none. */
const struct status_scheme *status_scheme(const struct status *s, enum direction direction, int source_nid, int target_nid);
const struct status_node *status_node(const struct status *s, int nid);

/* The quota in force as a rate, bytes per second; 0: at rest (the kernel's "1 byte" is rest too). */
uint64_t status_scheme_rate(const struct status_scheme *s);

/* The configured quota as a rate, bytes per second. */
static inline uint64_t status_scheme_ceiling_rate(const struct status_scheme *s) {
        unsigned __int128 rate = (unsigned __int128) s->ceiling_bytes * 1000000 / MAX(s->ceiling_interval_us, UINT64_C(1));

        return rate > UINT64_MAX ? UINT64_MAX : (uint64_t) rate;
}

/* Free memory as a share of the node's, basis points; -1: not known. */
static inline int32_t status_node_free_bp(const struct status_node *n) {
        if (!n->has_free || n->total_bytes == 0)
                return -1;
        return (int32_t) (MIN(n->free_bytes, n->total_bytes) * (unsigned __int128) 10000 / n->total_bytes);
}

/* "demote-0-2": a scheme's name in D-Bus paths, journal fields and metrics' labels. */
#define STATUS_SCHEME_NAME_MAX 48
const char *status_scheme_name(const struct status_scheme *s, char buf[static STATUS_SCHEME_NAME_MAX]);
