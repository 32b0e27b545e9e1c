/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "policy/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What `direct` and `feedback` steer by: the byte quota of every scheme, turn by turn, from what the nodes hold and what DAMON
 * counted. How the kernel is brought to it is another matter (policy/feedback.h).
 * Pure: it sees samples and the time they were taken at, and touches nothing. docs/tuner.md derives it.
 *
 * Two forces. The goal: a node's free memory is brought to its goal by demotion (feed-forward: the bytes that are missing, plus
 * what is expected to come in, minus what is expected to leave). The exchange: while the lower node holds hot bytes and the
 * upper one settled cold ones, each direction counts on the other within the turn, by as much as that was seen to move in the
 * last one and half as much again, so the two grow together from a small start, and stop together. With nothing hot
 * below, both rest.
 */

/* What decided a scheme's quota in a turn. */
enum tuner_reason {
        TUNER_REST,             /* nothing to be gained */
        TUNER_SETTLING,         /* the kdamond has not seen enough to be trusted */
        TUNER_GOAL,             /* the goal of a node's free memory */
        TUNER_EXCHANGE,         /* hot bytes below, cold bytes above */
        TUNER_FILL,             /* hot bytes below, room above */
        TUNER_NO_ROOM,          /* wanted, but the target has no room */
        _TUNER_REASON_MAX,
};
const char *tuner_reason_to_string(enum tuner_reason reason);

/* One node as measured. */
struct tuner_node {
        int nid;
        uint64_t total_bytes, free_bytes;               /* the node's meminfo */
};

/* One kdamond as measured: what its schemes and probes counted since it started, bytes. */
struct tuner_kdamond {
        uint64_t monitored_bytes;                       /* the sum of its ranges */
        uint64_t probe_tried[_PROBE_KIND_MAX];          /* sz_tried of each probe */
        const uint64_t *scheme_tried, *scheme_applied;  /* sz_tried, sz_applied of each scheme, in plan order; borrowed */
        /* The quota in force of each scheme, where it takes time to follow the one that was set; NULL: it follows at once. */
        const uint64_t *scheme_quota;
};

struct tuner_sample {
        uint64_t now_us;                                /* CLOCK_MONOTONIC */
        uint64_t lag_us;                                /* from the sample to its quotas being in force, as last time */
        const struct tuner_node *nodes;                 /* every node that the plan moves from or to */
        size_t n_nodes;
        const struct tuner_kdamond *kdamonds;           /* in plan order */
};

/* What a scheme gets until the next turn. */
struct tuner_quota {
        uint64_t bytes;                                 /* per window; 0: stopped */
        uint64_t window_us;
        enum tuner_reason reason;
};

/* What the tuner saw, for telemetry: per kdamond in plan order. Bytes per pass. */
struct tuner_view {
        uint64_t hot_bytes, cold_bytes;
        uint64_t passes;                                /* since the kdamond started */
};

struct tuner;

/* The plan must outlive the tuner. 0, -ENOMEM. */
int tuner_new(const struct plan *p, struct tuner **ret);
struct tuner *tuner_free(struct tuner *t);
DEFINE_CLEANUP(struct tuner, tuner_free)
#define _cleanup_tuner_ _cleanup_(tuner_freep)

/*
 * Takes over what another tuner has learnt of the nodes and schemes that both have, by their ids: for a new plan whose
 * kdamonds go on. What belongs to a kdamond that was started anew is seen by its counts, and forgotten.
 */
void tuner_inherit(struct tuner *t, const struct tuner *from);

/*
 * One turn. `quotas` gets one entry per scheme of the plan: all of kdamond 0's, then kdamond 1's, and so on. `views` (may be
 * NULL) gets one per kdamond. Returns the time until the next turn, microseconds.
 */
uint64_t tuner_step(struct tuner *t, const struct tuner_sample *s, struct tuner_quota *quotas, struct tuner_view *views);

/* The number of schemes in a plan: the length of `quotas`. */
size_t plan_n_schemes(const struct plan *p);
