/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/machine.h"
#include "topology/topology.h"

#define NODE_DIRECTORY "sys/devices/system/node"

/*
 * Reads sys/devices/system/node into an empty topology: the possible ids, every online node with its CPUs and memory, and the
 * distances. Every node's tier is -1 afterwards. ret_has_memory: the nodes that may hold pages (all, where the kernel
 * does not say). -ENOENT when there are no nodes.
 */
int nodes_read(const struct machine *m, struct topology *t, struct idset *ret_has_memory);

/* Index of node `id` in t->nodes, or -1. */
ssize_t topology_index(const struct topology *t, int id);
