/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "tierd/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which snapshots are worth an entry in the journal: what happened between one and the next. Pure: it sees snapshots and the
 * time that they were taken at. Each event is told once; what holds on is not told again, what swings is told at most once per
 * telemetry interval and scheme.
 */

enum watch_kind {
        WATCH_GOAL_REACHED,
        WATCH_GOAL_LOST,                /* after it was reached */
        WATCH_STALL,                    /* the quota is at its ceiling, and the goal does not come nearer */
        WATCH_PING_PONG,                /* both directions of an edge move much of the same amount, and nothing gets better */
        WATCH_TARGET_FULL,              /* what should be demoted finds no room */
        WATCH_TARGET_TAKES,             /* ...and does again */
        _WATCH_KIND_MAX,
};

/*
 * A goal is reached at its value, or as near as tierd's tuner brings it (policy/tuner.c: a twentieth of a point), and lost half
 * a point below: twice what that tuner leaves alone at rest. Both must hold for a while, since allocations come and go.
 */
#define WATCH_REACHED_BP 5
#define WATCH_LOST_BP 50
#define WATCH_GOAL_HOLD_US UINT64_C(2000000)
/*
 * A stall, judged by windows: so long at the ceiling (nineteen twentieths of it, since the kernel's windows are rounded), seen
 * so often, with a goal that is further away than an exchange may take it (policy/tuner.c: a point and a half at most, when one
 * side stops at once) and that came nearer by less than a quarter of what was moved.
 */
#define WATCH_STALL_US UINT64_C(60000000)
#define WATCH_STALL_AGAIN_US UINT64_C(300000000)        /* so long without one, and the next is another one */
#define WATCH_STALL_SAMPLES 10
#define WATCH_STALL_GAP_BP 150
/*
 * Ping-pong, judged by windows, two in a row: each direction moves at least a fiftieth of the upper node within the window and
 * three quarters of what the other moves, no goal comes nearer by half a point, and the hot bytes below fall by less than a
 * quarter of what came up.
 */
#define WATCH_WINDOW_US UINT64_C(60000000)
#define WATCH_WINDOWS 2

struct watch_event {
        enum watch_kind kind;
        const struct status_scheme *scheme;     /* of the snapshot; of a ping-pong: the demotion */
        uint64_t us;                            /* STALL, PING_PONG: for how long this is so */
        uint64_t down_bytes, up_bytes;          /* PING_PONG: moved in that time, as the kernel counts */
        uint64_t hot_bytes;                     /* PING_PONG: on the lower node; 0: not known */
};

struct watch;
int watch_new(struct watch **ret);
struct watch *watch_free(struct watch *w);
DEFINE_CLEANUP(struct watch, watch_free)
#define _cleanup_watch_ _cleanup_(watch_freep)

/*
 * The next snapshot. *ret: the events, in the order of its schemes; the watch's own, until the next step. While tierd does not
 * manage (it starts, is paused, stops) there are none, and what was under observation begins anew afterwards. 0 or -ENOMEM.
 */
int watch_step(struct watch *w, const struct status *s, const struct watch_event **ret, size_t *ret_n);
