/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/hmat.h"
#include "topology/machine.h"
#include "topology/topology.h"

/* What hwloc says of one node. */
struct hwloc_facts {
        enum node_kind kind;            /* by the object's subtype; NODE_UNKNOWN where it has none */
        int memory_tier;                /* info "MemoryTier" (hwloc 2.10 and later), 0 is the fastest; -1: none */
        struct perf perf;               /* memory attributes, from the best initiator */
};

/*
 * Asks hwloc about t's nodes; facts by index. A machine that hwloc cannot load, or a node it does not know, leaves nothing
 * known: it is one source among several. 0 or -ENOMEM.
 *
 * With m->root_path the environment tells hwloc where to look (HWLOC_FSROOT is the only way), for the time of the call. That is
 * not safe while another thread reads or writes the environment; a live daemon reads the live system and takes the other path.
 */
int hwloc_read(const struct machine *m, const struct topology *t, struct hwloc_facts *facts);

/* Pure. "HBM", "CXL-DRAM", …; NODE_UNKNOWN for NULL and whatever says too little ("SPM" is HBM or CXL). */
enum node_kind hwloc_subtype_kind(const char *subtype);
