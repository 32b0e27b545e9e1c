/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "damon/capability.h"
#include "policy/plan.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A plan encoded for one kernel: an ordered list of writes. Pure. The dry run (tierctl plan --ops), the goldens and the
 * real writes share it. Every attribute that tierd owns is in it, because a slot used before may hold old values.
 */

#define DAMON_ADMIN "sys/kernel/mm/damon/admin/kdamonds"

struct op {
        char *path;                     /* below the root: "sys/kernel/mm/damon/admin/kdamonds/0/…" */
        char *value;                    /* without newline */
};

struct ops {
        struct op *ops;
        size_t n_ops;
};

struct ops *ops_free(struct ops *o);
DEFINE_CLEANUP(struct ops, ops_free)
#define _cleanup_ops_ _cleanup_(ops_freep)

/* Appends one write. 0 or -ENOMEM. */
int ops_add(struct ops *o, const char *value, const char *path_format, ...) __attribute__((format(printf, 3, 4)));

/* Whether two lists write the same values to the same paths in the same order. */
bool ops_equal(const struct ops *a, const struct ops *b);

/*
 * Slots: node id N has kdamond slot slot_of(N) = its index in node/possible, so a slot never changes its node.
 * n_slots is their number.
 */
struct slot_map {
        struct idset possible;
};
int slot_of(const struct slot_map *m, int nid);                 /* -1: not a possible node */

/* The first write of all: nr_kdamonds, one slot for every possible node. */
int ops_make_slots(const struct slot_map *m, struct ops **ret);

/* A quota as it is written: bytes per reset interval. bytes 0 (the kernel's "no limit") is written as 1. */
struct quota_value {
        uint64_t bytes;
        uint64_t reset_interval_ms;
};

/*
 * What the schemes of a kdamond start with, one per scheme in order: under tierd's own tuner they stand still until it speaks,
 * else the kernel has the whole ceiling to tune below. Intervals are rounded up to milliseconds.
 */
void quota_values_start(const struct plan *p, const struct kdamond_plan *k, struct quota_value *ret);

/*
 * Stages one kdamond (everything below its slot, but not its state) afresh: nr_contexts 1, operations, attributes, target,
 * regions, schemes with their filters and goals, then probes. Quotas are those of quota_values_start().
 *
 * Where the first charge window has no quota (capability), every scheme with a quota starts with reset_interval_ms 0, bytes
 * 1 and an apply_interval_us one sample short of the aggregation, so that a first pass sets the quota before the earliest
 * moment a commit can take effect; ops_make_settled() and a commit follow the start.
 *
 * Under `feedback` the user_input goals start as met twice over, by which the kernel's loop makes the least quota: nothing
 * moves until they are fed. No commit may bring the goals in: 6.12 leaves current_value of a goal that a commit adds as it
 * finds the memory (damos_new_quota_goal()); one that `on` brings has it written.
 *
 * Returns -EINVAL when the node is not a possible one, or the plan names a scheme without a target; -EOPNOTSUPP when this
 * kernel cannot express it (a filter type it does not know; a chain of filters that needs `allow`); -ENOMEM.
 */
int ops_make_kdamond(const struct slot_map *m, const struct plan *p, const struct kdamond_plan *k,
                     const struct capability *c, struct ops **ret);

/* The quotas of the kdamond's schemes, one per scheme in order, without the commit. */
int ops_make_quotas(const struct slot_map *m, const struct kdamond_plan *k, const struct quota_value *quotas,
                    struct ops **ret);

/* The same, and apply_interval_us back to 0: what ends the first window's workaround. Without the commit. */
int ops_make_settled(const struct slot_map *m, const struct kdamond_plan *k, const struct quota_value *quotas,
                     struct ops **ret);

/* Under `feedback`: what the schemes' goals are fed, one per scheme in order, without the command that takes it over. */
int ops_make_feeds(const struct slot_map *m, const struct kdamond_plan *k, const uint64_t *scores, struct ops **ret);

/* What the whole plan writes from nothing to running, in order: for `tierctl plan --ops`. */
int ops_make_all(const struct slot_map *m, const struct plan *p, const struct capability *c, struct ops **ret);
