/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A set of small ids: CPUs or NUMA nodes, as the kernel prints them ("0-3,8"). Fixed size, a plain value, no lifetime.
 * The limit is NR_CPUS of the largest x86 configuration (CONFIG_MAXSMP, arch/x86/Kconfig: 8192); node ids end at 1023.
 */
#define IDSET_MAX 8192
#define NODE_ID_MAX 1023

struct idset {
        uint64_t words[IDSET_MAX / 64];
};

void idset_add(struct idset *s, unsigned id);         /* ids from IDSET_MAX on are ignored */
void idset_remove(struct idset *s, unsigned id);
bool idset_has(const struct idset *s, unsigned id);
size_t idset_count(const struct idset *s);
static inline bool idset_is_empty(const struct idset *s) {
        return idset_count(s) == 0;
}
bool idset_equal(const struct idset *a, const struct idset *b);

/* The lowest member that is >= from, or -1. For loops: for (int i = idset_next(s, 0); i >= 0; i = idset_next(s, i + 1)) */
int idset_next(const struct idset *s, int from);
#define IDSET_FOREACH(id, s) for (int id = idset_next((s), 0); id >= 0; id = idset_next((s), id + 1))

/*
 * Parses the kernel's list format ("0-3,8", "" and "\n" are the empty set), strictly: no blanks, no sign, no empty
 * element, ranges ascending. Returns 0; -EINVAL on bad syntax; -ERANGE when an id is above `max`.
 */
int idset_parse(const char *text, unsigned max, struct idset *ret);

/* Writes the list format into buf (always terminated). Returns the length; -ENOSPC when it does not fit. */
int idset_format(const struct idset *s, char *buf, size_t size);
