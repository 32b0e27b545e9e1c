/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One CXL memory device of an expander. */
struct expander {
        char *name;                     /* "mem0"; the order of these is not stable from boot to boot, the serial is */
        uint64_t serial;
        char *firmware;                 /* its version as the device gives it; NULL: not known */
        char *location;                 /* "0000:0d:00.0", its PCI function; NULL: not known */
        uint64_t ram_bytes, pmem_bytes; /* what it has of volatile and of persistent memory */
        int near_node;                  /* the node of the CPUs next to it, which is not that of its memory; -1: not known */
        bool in_region;
};

/* A range of addresses that one expander, or several interleaved ones, answer to. */
struct expander_region {
        char *name;                     /* "region0" */
        char *decoder;                  /* the root decoder that it was made of: "decoder0.0" */
        bool pmem;
        bool committed, enabled;        /* its decoders are set; a driver has it */
        struct mem_range range;         /* empty: it has no addresses yet */
        unsigned interleave_ways;
        unsigned interleave_granularity; /* bytes */
        size_t *expanders;              /* indices into expanders.items, in order of interleaving */
        size_t n_expanders;
        bool qos_mismatch;              /* the class of a device is not that of the window; false where libcxl cannot tell */
        int node;                       /* whose online memory it is; -1: none of it is online */
};

/* All the machine's expanders, by serial, and their regions, by number. */
struct expanders {
        struct expander *items;
        size_t n;
        struct expander_region *regions;
        size_t n_regions;
};

/*
 * Asks libcxl for the expanders of the running machine, and places them (below). *ret is NULL, not known, with `root_path`, for
 * libcxl knows no other place than /sys, and where it cannot be set up. 0 or -ENOMEM.
 *
 * Not for the daemon, which manages nodes without knowing whose memory they are: before each list libcxl writes to
 * /sys/bus/cxl/flush, where it may (root), and waits up to 5 s for udev, that devices which are just being found are there.
 */
int expanders_read(const char *root_path, const struct topology *t, struct expanders **ret);

/*
 * Pure: gives each region the node that has most of its addresses online. A region may hold several nodes' memory only where
 * somebody divided its dax device; then it is the one with most that counts. Of equals, the lower id. `e` may be NULL.
 */
void expanders_place(struct expanders *e, const struct topology *t);

/*
 * A copy of what a device or the kernel calls something, as one line that steers no terminal: firmware is the device's, and
 * says what it likes. What is missing, or empty, leaves *ret NULL. 0 or -ENOMEM.
 */
int expander_text(char **ret, const char *text);

/* The next region of the node after `after`, from the first for NULL; NULL when there is none. `e` may be NULL. */
const struct expander_region *expanders_next_region(const struct expanders *e, int node, const struct expander_region *after);

struct expanders *expanders_free(struct expanders *e);
DEFINE_CLEANUP(struct expanders, expanders_free)
#define _cleanup_expanders_ _cleanup_(expanders_freep)
