/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/cxl.h"

/*
 * Four devices, mem3 to mem0: two in region0, interleaved, one in region1, and one in none. region2 has no addresses and no
 * device, and is not committed. Nothing is placed: expanders_place(). To be freed by the caller.
 */
struct expanders *example_expanders(void);
