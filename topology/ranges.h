/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "topology/topology.h"

#include <stddef.h>
#include <stdint.h>

/* A growing list of physical ranges. Pure: no file. */
struct range_list {
        struct mem_range *items;
        size_t n, allocated;
};

void range_list_done(struct range_list *l);
#define _cleanup_ranges_ _cleanup_(range_list_done)

/* Appends [start, end); an empty range is passed over. 0 or -ENOMEM. */
int range_list_add(struct range_list *l, uint64_t start, uint64_t end);

/* Sorts, and merges what overlaps or touches. */
void range_list_merge(struct range_list *l);

/* What two merged lists have in common, as a third, merged one. 0 or -ENOMEM. */
int range_list_intersect(const struct range_list *a, const struct range_list *b, struct range_list *ret);

/* How many bytes a merged list holds, and how many two merged lists have in common. */
uint64_t range_list_bytes(const struct range_list *l);
uint64_t range_list_common_bytes(const struct range_list *a, const struct range_list *b);
