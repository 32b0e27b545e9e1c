/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/hwloc.h"
#include "topology/iomem.h"
#include "topology/machine.h"
#include "topology/topology.h"

/*
 * Sets node.kind from whatever knows, the surest first: the GPU driver (proc/driver/nvidia, iomem), CXL windows, persistent
 * memory and regions that hold most of the node's memory, dax devices whose memory a node without CPUs is, hwloc's subtype.
 * NODE_UNKNOWN remains where nothing says anything. `blocks`: the node's memory blocks, by index into t->nodes. iomem may be
 * empty.
 */
int kinds_read(const struct machine *m, struct topology *t, const struct range_list *blocks, const struct iomem *iomem,
               const struct hwloc_facts *facts);

/*
 * Fills in by reasoning what nothing named; pure. Unknown local memory (see rank_mark_local()) is DRAM. Unknown memory without
 * CPUs that has at least twice the bandwidth of the fastest local DRAM, and no more than twice its latency, is HBM: an expander
 * has less than its host's DRAM, or a name.
 */
void kinds_guess(struct topology *t, const bool *local);

/* Pure: what the target of a link in sys/bus/dax/devices says of the device. NODE_UNKNOWN: nothing. */
enum node_kind kinds_of_dax_link(const char *target);
