/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <time.h>

/* What this clock shows (clock_gettime(2)), microseconds; 0 of one that the kernel does not have. */
uint64_t clock_us(clockid_t id);
