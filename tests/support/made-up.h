/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/support/tree.h"

/* Made-up machines: what the kernel's files say of nodes, memory blocks, tiers and performance, in a struct tree. */

#define NODE "sys/devices/system/node"
#define MEMORY "sys/devices/system/memory"
#define MIB (UINT64_C(1) << 20)

/* Blocks of 128 MiB, and the lists that the kernel keeps beside the nodes; possible nodes are 0 to 7. */
void put_lists(const struct tree *t, const char *online, const char *has_memory);

void put_node(const struct tree *t, int id, const char *cpus, unsigned mib, const char *distances);
void put_block(const struct tree *t, int node, unsigned index, const char *state);
void put_performance(const struct tree *t, int id, unsigned class, unsigned latency, unsigned bandwidth);
void put_memory_tier(const struct tree *t, unsigned id, const char *nodes);

/* Node 0 with CPUs, blocks 0 to 3; node 1 without, blocks 8 to 11. */
void put_two_nodes(const struct tree *t);
