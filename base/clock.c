/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"

uint64_t clock_us(clockid_t id) {
        struct timespec ts = {};

        (void) clock_gettime(id, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}
