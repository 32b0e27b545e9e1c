/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Under test: base/parse.c */
#include "base/parse.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Numbers, sizes, durations and percentages: outputs only on success, and what was parsed can be shown. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static int (*const parsers[])(const char *text, uint64_t *ret) = { parse_u64, parse_hex_u64, parse_size,
                                                                           parse_duration };
        char text[256], shown[FORMAT_MAX];
        uint32_t bp = 4711;
        int n = 4711;

        if (size >= sizeof(text))
                return 0;
        memcpy(text, data, size);
        text[size] = '\0';

        for (size_t i = 0; i < sizeof(parsers) / sizeof(parsers[0]); i++) {
                uint64_t v = 4711;

                if (parsers[i](text, &v) < 0 && v != 4711)
                        abort();
                if (strlen(format_size(v, shown, sizeof(shown))) == 0 || strlen(format_duration(v, shown, sizeof(shown))) == 0)
                        abort();
        }
        if (parse_int(text, INT_MIN, INT_MAX, &n) < 0 && n != 4711)
                abort();
        if (parse_percent(text, &bp) < 0) {
                if (bp != 4711)
                        abort();
        } else {
                uint32_t again;

                /* A percentage is shown in the form in which it is read. */
                if (bp > 100000 || parse_percent(format_percent(bp, shown, sizeof(shown)), &again) < 0 || again != bp)
                        abort();
        }
        return 0;
}
