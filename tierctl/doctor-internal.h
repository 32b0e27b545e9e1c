/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "damon/capability.h"
#include "policy/config.h"
#include "policy/plan.h"
#include "tierctl/doctor.h"
#include "topology/cxl.h"
#include "topology/hwloc.h"
#include "topology/topology.h"

#include <stdbool.h>

/* Shared by the files of doctor only: the machine that is looked at, and what is known of it. */
struct patient {
        int root;
        struct checkup *c;
        const struct config *config;     /* the machine's own; NULL: it cannot be used */
        const struct topology *topology; /* NULL: it could not be read */
        const struct expanders *expanders; /* NULL: not known */
        const struct plan *plan;         /* NULL: there can be none, or not enough is known */
        struct capability capability;    /* by release */
        bool release_known;
};

/* A look that failed: not being allowed to is unknown, and so is anything else that is not an answer. */
void cannot_tell(struct check *k, const char *path, int r);

/* doctor-kernel.c: the kernel by its release; the first of them fills the capability in. */
void look_at_kernel(struct patient *p);
void look_at_tuners(struct patient *p);
void look_at_filters(struct patient *p);
void look_at_faults(struct patient *p);

/* doctor-bound.c: processes whose memory is bound to nodes that would be managed. */
void look_at_bound_memory(struct patient *p);

/* doctor-cxl.c: how expanders and other memory with a driver of its own are set up; nothing on a machine without. */
void look_at_expanders(struct patient *p);

/* doctor-hwloc.c: where hwloc has an expander's memory elsewhere than libcxl, or another size; nothing where there are none. */
void look_at_hwloc(struct patient *p);

/* Pure: the same of what both have said. */
void compare_with_hwloc(struct checkup *c, const struct expanders *e, const struct hwloc_devices *d);
