/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "damon/ops.h"
#include "policy/plan.h"

/*
 * Plans made by hand, so that the tests of damon/ depend on no decision of policy/. Static data: nothing to free, and the same
 * object again at the next call.
 */
struct plan *plan_two_nodes(enum tuner_kind tuner);     /* 0 above 1 */
struct plan *plan_three_tiers(enum tuner_kind tuner);   /* 0 above 1 above 2; node 1 has two schemes */

/* The same plan without the filter for a control group, which a kernel with `young` alone does not know. */
struct plan *plan_young_only(struct plan *p);

/* Slots for nodes 0 to n - 1. */
struct slot_map slots_for(unsigned n);
