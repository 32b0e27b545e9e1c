/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/*
 * What a kernel lacks that tierd needs or has use for, and where to get it: one sentence for `tierctl doctor`, `tierctl plan`
 * and the error that tierd ends with. Pure.
 */
enum missing {
        MISSING_DAMON,                  /* no /sys/kernel/mm/damon/admin */
        MISSING_PADDR,
        MISSING_MIGRATE,
        MISSING_YOUNG,
        MISSING_EXCLUDES,               /* filters anon and memcg */
        MISSING_NODE_GOALS,
        MISSING_USER_GOALS,
};

/*
 * The directory of the patches for this release ("kernel-patches/6.1"), whatever is in them; NULL where there are none. 0.0 is
 * a release that is not known.
 */
const char *missing_patches(unsigned major, unsigned minor);

/*
 * That directory where its patches supply what is missing, else NULL. Of a kernel without DAMON: where they supply what such a
 * release lacks once it has DAMON.
 */
const char *missing_supplier(enum missing what, unsigned major, unsigned minor);

/* The sentence, without a full stop, in buf. Returns buf. */
const char *missing_describe(enum missing what, unsigned major, unsigned minor, char *buf, size_t size);
