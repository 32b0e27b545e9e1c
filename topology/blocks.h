/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/machine.h"
#include "topology/ranges.h"
#include "topology/topology.h"

/*
 * The physical ranges of each node, from its online memory blocks (nodeN/memoryM, block_size_bytes): one merged list per
 * node, by index into t->nodes, freed by the caller with range_list_done(). Without memory blocks (a kernel without memory
 * hotplug, a capture without them) all lists are empty.
 *
 * A block that lies on several nodes is left out: sysfs does not tell which of its pages are whose, and a page moved
 * on behalf of the wrong node is worse than one not moved.
 */
int blocks_read(const struct machine *m, const struct topology *t, struct range_list *lists);
