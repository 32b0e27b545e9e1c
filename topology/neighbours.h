/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/topology.h"

/*
 * Chooses node.upper and node.lower of ranked nodes; pure. A node's lower neighbour is the nearest node of the next tier down:
 * by distance, then latency, then the larger memory, then the lower id. Every such edge is a promotion edge back; a node that
 * no one demotes to promotes to its nearest node of the next tier up, chosen alike. Unknown distances and latencies come last.
 */
void neighbours_choose(struct topology *t);
