/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/machine.h"
#include "topology/topology.h"

/* How fast a node's memory is, seen from its best initiator. 0: unknown. */
struct perf {
        uint64_t read_latency_ns, write_latency_ns;
        uint64_t read_bandwidth_mib, write_bandwidth_mib;
};

/*
 * nodeN/accessC/initiators/{read,write}_{latency,bandwidth}, by index into t->nodes. Class 1 is what CPUs see, class 0 what the
 * best initiator of any sort sees (Documentation/admin-guide/mm/numaperf.rst). Units there: nanoseconds and MiB/s.
 */
int hmat_read(const struct machine *m, const struct topology *t, unsigned class, struct perf *perf);

/*
 * Keys (see topology/rank.h) by performance; pure. The measure is the kernel's abstract distance (mm/memory-tiers.c,
 * mt_perf_to_adistance()): 576 for DRAM, growing with latency (read + write) and falling with bandwidth (read + write). Nodes
 * of one chunk of 128 share a tier, as in the kernel; so do nodes within a tenth of the tier's fastest: the kernel's chunk is a
 * tenth about DRAM, but of a fixed width, and would part two like expanders far below it.
 *
 * DRAM is the first node of `local` memory that has figures, as in the kernel, or else the first node that has. A figure counts
 * (latency, or bandwidth) if every node that takes part has it. Returns 0, or RANK_UNRANKED when neither does.
 */
int hmat_keys(const struct topology *t, const bool *part, const bool *local, const struct perf *perf, uint64_t *keys);
