/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/idset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory policies of processes, as /proc/PID/numa_maps shows them (mpol_to_str() in mm/mempolicy.c). */

/* The policies that name nodes. `default` and `local` do not. */
enum bind_policy {
        BIND_STRICT,                    /* "bind" */
        BIND_PREFER,                    /* "prefer" */
        BIND_PREFER_MANY,               /* "prefer (many)" */
        BIND_INTERLEAVE,                /* "interleave" */
        BIND_WEIGHTED,                  /* "weighted interleave" */
        _BIND_POLICY_MAX,
};
const char *bind_policy_to_string(enum bind_policy policy);     /* the kernel's word */

/* Bytes that lie on certain nodes under each policy, apart by what DAMON's `anon` filter tells apart. */
struct bound_bytes {
        uint64_t anon[_BIND_POLICY_MAX];
        uint64_t file[_BIND_POLICY_MAX];        /* the page cache, shared memory included */
};

/*
 * Adds up what a numa_maps of `len` bytes says to lie on `nodes`, saturating. Pages of hugetlbfs are left out: they are on no
 * LRU list, where DAMON takes what it moves from. 0; -EBADMSG when it is not of the kernel's form.
 */
int numa_maps_parse(const char *text, size_t len, const struct idset *nodes, struct bound_bytes *ret);

/* One mapping of a process, and how much of it lies on certain nodes. */
struct numa_mapping {
        uint64_t start;                 /* its first address */
        uint64_t bytes;                 /* on the nodes, saturating */
        bool hugetlb;                   /* of the pool of hugetlbfs */
};

/*
 * Takes the next line off the text that ends at `end`: 1 with a mapping, 0 at the end of the text, -EBADMSG when it is not of
 * the kernel's form.
 */
int numa_maps_take(const char **text, const char *end, const struct idset *nodes, struct numa_mapping *ret);
