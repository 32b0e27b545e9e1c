/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "damon/ops.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the kernel counted for one scheme since its kdamond started. Bytes. */
struct scheme_stats {
        uint64_t nr_tried, sz_tried;
        uint64_t nr_applied, sz_applied;
        uint64_t qt_exceeds;
        uint64_t effective_bytes;       /* 6.9, where it was asked for (with_quotas); else 0 */
};

/*
 * Asks the kernel to bring the files up to date (update_schemes_stats, and with_quotas update_schemes_effective_quotas).
 * Blocks like every command.
 */
int kdamond_refresh(int root, int slot, bool with_quotas, struct diag *reterr);

/*
 * Reads the counts of the slot's first `n` schemes into stats[]; with_quotas as for the refresh before. Each count is a file, and
 * this is most of what a turn costs, so nothing is read that nobody looks at.
 */
int kdamond_read_stats(int root, int slot, size_t n, bool with_quotas, struct scheme_stats *stats, struct diag *reterr);

/* Reads sz_tried alone, which is all that a probe tells, of `n` schemes from number `first` on, into tried[]. */
int kdamond_read_tried(int root, int slot, size_t first, size_t n, uint64_t *tried, struct diag *reterr);

/*
 * The monitoring intervals in force, microseconds. Where the kernel tunes them (`tuned`), it is asked to bring the files up to
 * date first, which blocks like every command.
 */
int kdamond_read_intervals(int root, int slot, bool tuned, uint64_t *ret_sample_us, uint64_t *ret_aggregate_us,
                           struct diag *reterr);

/* CPU time that a thread has used, user and system, microseconds. -ENOENT when it is gone, -EBADMSG. */
int thread_read_cpu(int root, int pid, uint64_t *ret_us);

/* MemTotal and MemFree of a node, bytes, from its meminfo. -ENOENT when the node is gone, -EBADMSG. */
int node_read_meminfo(int root, int nid, uint64_t *ret_total, uint64_t *ret_free);
