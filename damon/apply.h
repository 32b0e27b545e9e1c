/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "damon/ops.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The writes, in order. All of these may block for as long as the kernel takes (see DAMON.md, "Commands"): they belong on the
 * worker thread.
 */

/* How long a busy attribute is waited for: `tries` times, with a pause between them. */
struct apply_patience {
        unsigned tries;                 /* at least 1 */
        uint64_t pause_us;
};

/*
 * What the functions below use that take no patience of their own. A global, because it is the same for the whole process;
 * tests shorten it.
 */
extern struct apply_patience APPLY_PATIENCE;

/*
 * Writes every op in order. EBUSY, EAGAIN and EINTR are retried within the patience; anything else ends it at once.
 * Returns 0; else the errno, with path, value and errno in reterr, and *ret_done (may be NULL; written in any case) the
 * number of ops that were written.
 */
int apply_ops(int root, const struct ops *o, const struct apply_patience *patience, size_t *ret_done, struct diag *reterr);

/* Writes a command ("on", "off", "commit", "update_schemes_stats", …) to the slot's state, with the same patience. */
int kdamond_command(int root, int slot, const char *command, const struct apply_patience *patience, struct diag *reterr);

/* 1 when it runs, 0 when not (a slot that is not there does not run). */
int kdamond_is_running(int root, int slot, const struct apply_patience *patience, struct diag *reterr);

/* The kernel thread's pid; 0 when it does not run. -EBUSY while a command of any kdamond runs. */
int kdamond_read_pid(int root, int slot, int *ret_pid);

/*
 * What others hold: the number of kdamonds there are, 0 when the interface is free. When it is above 0, reterr tells which
 * of them run and what to do about it. Only reads.
 */
int damon_read_owners(int root, struct diag *reterr);

/*
 * Takes hold of the interface: refuses with -EBUSY and that sentence when nr_kdamonds is above 0 already; then writes the
 * slots. -ENOENT when this kernel has no DAMON sysfs interface.
 */
int damon_claim(int root, const struct slot_map *m, struct diag *reterr);

/*
 * The comma-separated names of the kernel's own DAMON modules (damon_stat, damon_reclaim, and the like) that are enabled, in
 * buf. While one of them runs, no kdamond of the sysfs interface starts: "on" answers EBUSY. Returns their number, or the
 * errno of the first that cannot be read (they are root's). Only reads.
 */
int damon_read_exclusive(int root, char *buf, size_t size);

/* Switches off every slot that runs and writes nr_kdamonds 0. Goes on after an error; returns the first one. */
int damon_release(int root, const struct slot_map *m, struct diag *reterr);

/*
 * Starts one kdamond from its plan: stage, on, the first window's workaround where needed, read back. On a permanent
 * error the slot is switched off and emptied again (nr_contexts 0) and the error returned.
 * `quotas`: what the schemes start with, one per scheme; NULL: quota_values_start().
 */
int kdamond_start(int root, const struct slot_map *m, const struct plan *p, const struct kdamond_plan *k,
                  const struct capability *c, const struct quota_value *quotas, struct diag *reterr);

/*
 * A new plan for a running kdamond of the same node: stages it whole, commits it online and reads the state back. Regions
 * learnt so far are kept where the ranges stay. On failure the kernel goes on with the old plan, or (before 6.15) has ended
 * the kdamond: ask kdamond_is_running(), and start or stop afresh; what is staged is not what runs.
 */
int kdamond_update(int root, const struct slot_map *m, const struct plan *p, const struct kdamond_plan *k,
                   const struct capability *c, const struct quota_value *quotas, struct diag *reterr);

/* New quotas for a running kdamond: written and committed; the state is read back where a commit can fail in silence. */
int kdamond_set_quotas(int root, const struct slot_map *m, const struct kdamond_plan *k, const struct capability *c,
                       const struct quota_value *quotas, struct diag *reterr);

/*
 * Under `feedback`: feeds the goals of a running kdamond's schemes, one score per scheme in order. Without `quotas` by a
 * command that touches nothing else and puts no pass off; with them they are set, and committed, in the same go.
 */
int kdamond_feed(int root, const struct slot_map *m, const struct kdamond_plan *k, const struct capability *c,
                 const uint64_t *scores, const struct quota_value *quotas, struct diag *reterr);

/* off where it runs, and nr_contexts 0. A slot that is not there is stopped already. */
int kdamond_stop(int root, int slot, struct diag *reterr);
