/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "tierd/journal.h"
#include "tierd/status.h"

#include <stdbool.h>

/*
 * What tierd tells the journal of itself, as structured entries with stable MESSAGE_IDs (tierd/message-ids.h,
 * tierd.journal-fields(7), systemd/tierd.catalog). What is worth an entry is decided by tierd/watch.h, purely; here it is
 * worded and sent. What cannot be told for want of memory is left out.
 */
struct telemetry;

/* Borrows the journal. 0 or -ENOMEM. */
int telemetry_new(struct journal *j, struct telemetry **ret);
struct telemetry *telemetry_free(struct telemetry *t);
DEFINE_CLEANUP(struct telemetry, telemetry_free)
#define _cleanup_telemetry_ _cleanup_(telemetry_freep)

/* Tiers, each scheme installed, notes, features that the kernel lacks. `stopped_modules`: names, or "". */
void telemetry_started(struct telemetry *t, const struct status *s, const char *stopped_modules);

/*
 * After a reload, a pause, or memory that came or went: what is different from the last snapshot told, scheme by scheme. `why`
 * is "reload", "hotplug", "pause", "resume" or "cgroups". Groups may come and go all the time: where only they are different,
 * it is told at once the first time, then once a minute with a count; notes wait with it.
 */
void telemetry_plan_changed(struct telemetry *t, const struct status *s, const char *why);

/* After every turn: goal reached and lost, stall, ping-pong suspected, a full target; each once per change. */
void telemetry_turn(struct telemetry *t, const struct status *s);

/*
 * Every telemetry interval: one tuning sample per scheme, or of one that stands still in every sixth of them. *ret_down_bytes,
 * *ret_up_bytes (may be NULL): what all demotions and all promotions moved since the sample before, as the kernel counts.
 */
void telemetry_sample(struct telemetry *t, const struct status *s, uint64_t *ret_down_bytes, uint64_t *ret_up_bytes);

/* Bytes of the node before and after; 0: it was not there, or is not any more. */
void telemetry_memory_changed(struct telemetry *t, int nid, uint64_t before_bytes, uint64_t after_bytes);

/*
 * A turn that failed and is tried again; a kdamond started again; a reload refused; the rest. What repeats is told at once the
 * first time, then once a minute with a count; a reload that is refused for another reason than the last one is told at once.
 * now_us: CLOCK_MONOTONIC.
 */
enum telemetry_trouble { TROUBLE_TURN, TROUBLE_KDAMOND, TROUBLE_RELOAD, TROUBLE_METRICS_FILE, TROUBLE_SYSTEM, _TROUBLE_MAX };
void telemetry_trouble(struct telemetry *t, uint64_t now_us, enum telemetry_trouble kind, int level, const struct diag *d);

/* Everything is as it was before; or an earlier tierd's leftovers were put back. Needs no telemetry_started() before. */
void telemetry_restored(struct telemetry *t, bool leftovers);
