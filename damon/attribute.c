/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "damon/attribute.h"
#include "base/file.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

static bool is_busy(int r) {
        return r == -EBUSY || r == -EAGAIN || r == -EINTR;
}

static void pause_us(uint64_t us) {
        struct timespec t = {
                .tv_sec = (time_t) (us / 1000000),
                .tv_nsec = (long) (us % 1000000) * 1000,
        };

        while (us > 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
                ;
}

int attribute_write(int root, const char *path, const char *value, const struct apply_patience *patience, struct diag *reterr) {
        int r;

        for (unsigned i = 1;; i++) {
                r = file_write(root, path, value);
                if (!is_busy(r) || i >= patience->tries)
                        break;
                pause_us(patience->pause_us);
        }
        if (r < 0)
                return diag_set(reterr, r, "/%s: cannot write \"%s\": %s", path, value, strerror(-r));
        return 0;
}

int attribute_read(int root, const char *path, char *buf, size_t size, const struct apply_patience *patience,
                   struct diag *reterr) {
        int r;

        for (unsigned i = 1;; i++) {
                r = file_read_line(root, path, buf, size);
                if (!is_busy(r) || i >= patience->tries)
                        break;
                pause_us(patience->pause_us);
        }
        if (r < 0)
                return diag_set(reterr, r, "/%s: cannot read: %s", path, strerror(-r));
        return r;
}
