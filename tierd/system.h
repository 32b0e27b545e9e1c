/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "policy/config.h"
#include "tierd/saved.h"
#include "topology/topology.h"

/* What manages memory beside tierd, set as the configuration says. Every change goes through `saved`. */

/*
 * Stops the modules that hold DAMON for themselves, or refuses: -EBUSY naming the first one that runs (exclusive_modules:
 * refuse), before anything is changed. `ret_stopped` (may be NULL) gets the names that were stopped, comma-separated.
 */
int system_stop_modules(int root, enum modules_policy policy, struct saved *saved, char *ret_stopped, size_t size,
                        struct diag *reterr);

/* kernel.numa_balancing and reclaim demotion. A kernel without the setting needs nothing done. */
int system_set_balancing(const struct topology *t, const struct config *c, struct saved *saved, struct diag *reterr);
