/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/limit.h"

#include <stddef.h>

bool limit_passed(struct limit *l, uint64_t now_us, uint64_t *ret_times) {
        if (l->untold == 0 || (l->told && now_us - l->told_us < LIMIT_INTERVAL_US))
                return false;
        if (ret_times)
                *ret_times = l->untold;
        *l = (struct limit) { .told = true, .told_us = now_us };
        return true;
}

bool limit_happened(struct limit *l, uint64_t now_us, uint64_t *ret_times) {
        l->untold++;
        return limit_passed(l, now_us, ret_times);
}
