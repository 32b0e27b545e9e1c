/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * What repeats is told at once the first time, and then once a minute with a count. Pure: the caller brings the time
 * (CLOCK_MONOTONIC). Zero-initialised.
 */
#define LIMIT_INTERVAL_US UINT64_C(60000000)
struct limit {
        bool told;                      /* ever */
        uint64_t told_us;
        uint64_t untold;                /* since then */
};

/* It happened. True: tell it now; *ret_times (may be NULL) is how often it happened since it was told last, at least 1. */
bool limit_happened(struct limit *l, uint64_t now_us, uint64_t *ret_times);

/* Nothing happened, but time went by. True: tell now what was not told, as above. */
bool limit_passed(struct limit *l, uint64_t now_us, uint64_t *ret_times);
