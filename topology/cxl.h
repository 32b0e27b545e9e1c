/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/topology.h"

#include <stddef.h>
#include <stdint.h>

/* One CXL memory device behind a region. */
struct cxl_memdev {
        char *name;                     /* "mem0"; the order of these is not stable from boot to boot, the serial is */
        uint64_t serial;
};

/* Which expander a node's memory is. */
struct cxl_identity {
        char *region;                   /* "region0" */
        unsigned interleave_ways;
        struct cxl_memdev *memdevs;
        size_t n_memdevs;
};

/*
 * Fills node.cxl. It leaves every node's NULL for now, which the topology's contract reads as "not known": the identity of
 * expanders comes with a later release. (That a node is CXL at all is told without it, see topology/kinds.h.)
 */
int topology_read_cxl(int root, struct topology *t);

struct cxl_identity *cxl_identity_free(struct cxl_identity *cxl);
