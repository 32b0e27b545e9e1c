/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "policy/config.h"
#include "tierd/saved.h"
#include "topology/topology.h"

/* What manages memory beside tierd, set as the configuration says. Every change goes through `saved`. */

/*
 * Whether the configuration lets tierd have DAMON: -EBUSY, naming the modules of the kernel that hold it for themselves,
 * where they are to be refused (exclusive_modules: refuse). Only reads.
 */
int system_check_modules(int root, const struct config *c, struct diag *reterr);

/*
 * Stops those modules. `ret_stopped` gets the names of what was stopped, comma-separated; "" when there was nothing to do.
 */
#define MODULE_NAMES_SIZE 160
int system_stop_modules(int root, struct saved *saved, char ret_stopped[static MODULE_NAMES_SIZE], struct diag *reterr);

/*
 * kernel.numa_balancing and reclaim demotion. A kernel without the setting needs nothing done. What is to be kept is put
 * back, if an earlier configuration changed it.
 *
 * kernel.numa_balancing wants CAP_SYS_ADMIN, which tierd's unit does not give it: its privileged steps set it
 * (tierd/restore.h). Where this process may not, and it is not as wanted, that is no failure but goes to `ret_advice`, with
 * the negative errno and a sentence.
 */
int system_set_balancing(const struct topology *t, const struct config *c, struct saved *saved, struct diag *ret_advice,
                         struct diag *reterr);

/* kernel.numa_balancing alone; that this process may not set it is a failure here. */
int system_set_numa_balancing(const struct topology *t, const struct config *c, struct saved *saved, struct diag *reterr);
