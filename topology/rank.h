/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/topology.h"

/*
 * How a source ranks: it gives each node that takes part a key, where smaller is faster and equal keys share a tier. The
 * sources differ only in their keys. Arrays are by index into t->nodes; `part` tells who takes part.
 */

/* The source does not tell the rank of every node that takes part: ask the next one. */
#define RANK_UNRANKED 1

/* Not known, in an array of keys. */
#define RANK_NO_KEY UINT64_MAX

/* Turns keys into tiers 0, 1, … without gaps; nodes that take no part get -1. Sets node.tier and t->n_tiers. 0 or -ENOMEM. */
int rank_assign(struct topology *t, const bool *part, const uint64_t *keys);

/* True when every node that takes part has a key, and, with `several`, not all have the same. */
bool rank_keys_suffice(const struct topology *t, const bool *part, const uint64_t *keys, bool several);

/*
 * The configuration's tiers. Nodes that it does not name stand in no tier: they are neither demoted from nor to. It may name
 * GPU memory, and nodes that are to come: one that is not online though possible, or has no memory (`has_memory`: by index),
 * stands in no tier, and a tier of which nothing is there is none. Writes node.tier and t->n_tiers. -EINVAL, reterr saying
 * which node and why, when one can never be there, is named twice, or a tier names none.
 */
int rank_by_config(struct topology *t, const bool *has_memory, const struct tier_list *tiers, struct diag *reterr);

/*
 * Memory as near to CPUs as any: a node with CPUs of its own, and where CPUs sit on a node without memory, the node (or nodes,
 * at equal distance) nearest to them, unless it is known to be no DRAM. Being without CPUs does not make such a node slow.
 */
void rank_mark_local(const struct topology *t, const bool *part, bool *local);

/*
 * By what sort of memory it is, as hwloc names it (`kinds`, by index): HBM, DRAM, CXL, persistent memory. Local memory without
 * a name is DRAM; any other node without one has no key.
 */
void rank_keys_by_kind(const struct topology *t, const bool *part, const bool *local, const enum node_kind *kinds,
                       uint64_t *keys);

/* The last resort, with a place for all: HBM, local memory, then the others by distance to the nearest node with CPUs. */
void rank_keys_by_distance(const struct topology *t, const bool *part, const bool *local, uint64_t *keys);
