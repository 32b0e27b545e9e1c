/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/placement.h"
#include "base/cleanup.h"

#include <errno.h>
#include <numa.h>
#include <numaif.h>

/* linux/mempolicy.h, Linux 5.15; libnuma's header of 2.0.16 has no name for it. */
#define PREFERRED_MANY 5

int placement_prefer_top_tier(const struct topology *t) {
        struct bitmask *mask;
        int first = -1, r = 0;

        mask = numa_bitmask_alloc(NODE_ID_MAX + 1);
        if (!mask)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_nodes; i++)
                if (t->nodes[i].tier == 0 && t->nodes[i].id <= NODE_ID_MAX) {
                        (void) numa_bitmask_setbit(mask, (unsigned) t->nodes[i].id);
                        first = first < 0 ? t->nodes[i].id : first;
                }
        if (first < 0)
                r = -ENOENT;
        else if (set_mempolicy(PREFERRED_MANY, mask->maskp, mask->size + 1) < 0) {
                (void) numa_bitmask_clearall(mask);
                (void) numa_bitmask_setbit(mask, (unsigned) first);
                r = set_mempolicy(MPOL_PREFERRED, mask->maskp, mask->size + 1) < 0 ? -errno : 0;
        }
        numa_bitmask_free(mask);
        return r;
}
