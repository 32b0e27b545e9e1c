/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "base/idset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The memory of one machine as tierd sees it: plain data, made whole by topology_read(), never changed afterwards. */

enum node_kind {
        NODE_UNKNOWN,
        NODE_DRAM,
        NODE_HBM,
        NODE_CXL,
        NODE_PMEM,
        NODE_GPU,
        _NODE_KIND_MAX,
};

/* Which source ranked the nodes, in order of trust. */
enum rank_source {
        RANK_CONFIG,
        RANK_MEMORY_TIERING,
        RANK_HMAT,
        RANK_HWLOC,
        RANK_DISTANCE,
        _RANK_SOURCE_MAX,
};

/* Physical addresses [start, end), bytes. */
struct mem_range {
        uint64_t start, end;
};

struct node {
        int id;
        struct idset cpus;              /* online CPUs */
        uint64_t memory_bytes;          /* MemTotal of the node; 0: a node without memory, which takes no part */
        struct mem_range *ranges;       /* ascending, merged, of online memory blocks cut to System RAM where known */
        size_t n_ranges;
        enum node_kind kind;
        int tier;                       /* rank, 0 is the fastest; -1: in none (no memory, a GPU's, or not configured) */
        uint64_t read_latency_ns, write_latency_ns;             /* from the best initiator; 0: unknown */
        uint64_t read_bandwidth_mib, write_bandwidth_mib;       /* MiB/s; 0: unknown */
        struct idset upper;             /* the chosen neighbours of the next tier above: promotion targets */
        struct idset lower;             /* the chosen neighbour of the next tier below: at most one */
};

struct topology {
        enum rank_source rank_source;
        struct node *nodes;             /* every online node, by ascending id */
        size_t n_nodes;
        size_t n_tiers;
        struct idset possible;          /* node/possible: every id that hotplug may ever bring */
        uint16_t *distances;            /* n_nodes × n_nodes, by index into nodes: [from * n_nodes + to]; 0: unknown */
};

/* Tiers named by the configuration, fastest first. Not owned by the topology. */
struct tier_list {
        struct idset *tiers;
        size_t n_tiers;
};

/*
 * Reads the machine below `root` (see base/file.h) and ranks it. `root_path` is the same place by name, for hwloc
 * (HWLOC_FSROOT); NULL means the live system. `tiers` may be NULL (tiers: auto). Only reads.
 * Returns 0; -EINVAL when `tiers` names a node that can never be there (reterr says which; one that may come, see `possible`,
 * or that has no memory so far, stands in no tier); -ENOENT when the directory holds no NUMA nodes; -EBADMSG when a file is not
 * of the kernel's form; other negative errno. All with the path in reterr.
 */
int topology_read(int root, const char *root_path, const struct tier_list *tiers,
                  struct topology **ret, struct diag *reterr);

struct topology *topology_free(struct topology *t);
DEFINE_CLEANUP(struct topology, topology_free)
#define _cleanup_topology_ _cleanup_(topology_freep)

/* NULL when there is no such node. */
const struct node *topology_node(const struct topology *t, int id);

/* How many nodes have CPUs: with more than one, NUMA balancing also brings pages to their own socket. */
size_t topology_count_cpu_nodes(const struct topology *t);

/* Distance by node ids, as the firmware's SLIT gives it (10 is local); 0: unknown. */
unsigned topology_distance(const struct topology *t, int from, int to);

const char *node_kind_to_string(enum node_kind kind);         /* "dram", … as in the JSON */
const char *rank_source_to_string(enum rank_source source);   /* "memory_tiering", … */
