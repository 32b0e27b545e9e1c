/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "damon/ops.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the kernel counted for one scheme or probe since its kdamond started. Bytes. */
struct scheme_stats {
        uint64_t nr_tried, sz_tried;
        uint64_t nr_applied, sz_applied;
        uint64_t qt_exceeds;
        uint64_t effective_bytes;
};

/*
 * Which of them are read: each is a file, and together they are most of what a turn opens, so that nothing is read that nobody
 * looks at. Each set includes those before it; what is not in it is 0.
 */
enum stats_set {
        STATS_TRIED,                    /* sz_tried: a probe's, which has no more to tell */
        STATS_TUNED_BY,                 /* and sz_applied */
        STATS_SHOWN,                    /* and all that people are shown of a scheme that moves memory */
        STATS_WITH_QUOTA,               /* and effective_bytes; 6.9, after kdamond_refresh(with_quotas) */
};

/*
 * Asks the kernel to bring the files up to date (update_schemes_stats, and with_quotas update_schemes_effective_quotas).
 * Blocks like every command.
 */
int kdamond_refresh(int root, int slot, bool with_quotas, struct diag *reterr);

/* Reads the counts of one scheme of the slot; the probes are numbered on after the schemes. */
int kdamond_read_stats(int root, int slot, size_t scheme, enum stats_set set, struct scheme_stats *ret, struct diag *reterr);

/* The effective quotas of the slot's n first schemes, bytes per window; asks for them, which blocks like every command. */
int kdamond_read_effective(int root, int slot, size_t n, uint64_t *ret, struct diag *reterr);

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
