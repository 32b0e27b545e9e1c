/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/machine.h"
#include "topology/topology.h"

/*
 * The kernel's own memory tiers: memory_tierN/nodelist below sys/devices/virtual/memory_tiering. A key (see topology/rank.h) is
 * N, the abstract distance of the tier in chunks (mm/memory-tiers.c, memory_tier_device), so smaller is faster. Nodes that no
 * tier lists keep RANK_NO_KEY. -EBADMSG when a node is in two tiers.
 */
int memtiers_read(const struct machine *m, const struct topology *t, uint64_t *keys);
