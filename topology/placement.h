/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/topology.h"

/*
 * What the calling thread, and threads that it starts later, allocate from now on is taken from the nodes of the top tier
 * as long as they have any: so tierd does not wait for its own promotion. (MPOL_PREFERRED_MANY, Linux 5.15; before that the
 * first of the nodes.) 0, -ENOENT when no node is in a tier, or what set_mempolicy(2) says.
 */
int placement_prefer_top_tier(const struct topology *t);
