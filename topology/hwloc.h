/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/hmat.h"
#include "topology/machine.h"
#include "topology/topology.h"

/* What hwloc says of one node. */
struct hwloc_facts {
        enum node_kind kind;            /* by the object's subtype; NODE_UNKNOWN where it has none */
        int memory_tier;                /* info "MemoryTier" (hwloc 2.10 and later), 0 is the fastest; -1: none */
        struct perf perf;               /* memory attributes, from the best initiator */
};

/*
 * Asks hwloc about t's nodes; facts by index. A machine that hwloc cannot load, or a node it does not know, leaves nothing
 * known: it is one source among several. 0 or -ENOMEM.
 *
 * With m->root_path the environment tells hwloc where to look (HWLOC_FSROOT is the only way), for the time of the call. That is
 * not safe while another thread reads or writes the environment; a live daemon reads the live system and takes the other path.
 */
int hwloc_read(const struct machine *m, const struct topology *t, struct hwloc_facts *facts);

/* A dax device that hwloc attributes to a node, by the node that the device names itself. */
struct hwloc_dax {
        int nid;
        char *device;                   /* "dax0.0" */
        char *region;                   /* the CXL region that it is made of: "region0"; NULL: none */
};

/* A CXL memory device. */
struct hwloc_memdev {
        char *name;                     /* "mem0" */
        uint64_t ram_bytes, pmem_bytes;
};

struct hwloc_devices {
        struct hwloc_dax *dax;
        size_t n_dax;
        struct hwloc_memdev *memdevs;   /* hwloc 2.9 and later */
        size_t n_memdevs;
};

/*
 * Asks hwloc about the devices that memory is made of; what it says of root_path holds here too (NULL: the running machine).
 * Nothing where it cannot load the machine. 0 or -ENOMEM.
 */
int hwloc_read_devices(const char *root_path, struct hwloc_devices **ret);
struct hwloc_devices *hwloc_devices_free(struct hwloc_devices *d);
DEFINE_CLEANUP(struct hwloc_devices, hwloc_devices_free)
#define _cleanup_hwloc_devices_ _cleanup_(hwloc_devices_freep)

/* Pure. "HBM", "CXL-DRAM", …; NODE_UNKNOWN for NULL and whatever says too little ("SPM" is HBM or CXL). */
enum node_kind hwloc_subtype_kind(const char *subtype);
