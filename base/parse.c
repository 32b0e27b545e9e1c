/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/parse.h"
#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Decimal digits at *p (at least one); advances *p past them. */
static int take_digits(const char **p, uint64_t *ret) {
        uint64_t v = 0;
        bool overflow = false;

        if (**p < '0' || **p > '9')
                return -EINVAL;
        for (; **p >= '0' && **p <= '9'; (*p)++) {
                if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
                    __builtin_add_overflow(v, (uint64_t) (**p - '0'), &v))
                        overflow = true;
        }
        if (overflow)
                return -ERANGE;
        *ret = v;
        return 0;
}

int parse_u64(const char *text, uint64_t *ret) {
        const char *p = text;
        uint64_t v = 0;
        int r;

        r = take_digits(&p, &v);
        if (*p || r == -EINVAL)
                return -EINVAL;
        if (r < 0)
                return r;
        *ret = v;
        return 0;
}

int parse_hex_u64(const char *text, uint64_t *ret) {
        const char *p = text;
        uint64_t v = 0;
        size_t digits = 0;

        if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
                p += 2;
        for (; *p; p++) {
                unsigned d;

                if (*p >= '0' && *p <= '9')
                        d = (unsigned) (*p - '0');
                else if (*p >= 'a' && *p <= 'f')
                        d = (unsigned) (*p - 'a') + 10;
                else if (*p >= 'A' && *p <= 'F')
                        d = (unsigned) (*p - 'A') + 10;
                else
                        return -EINVAL;
                digits++;
                if (v >> 60)
                        return -ERANGE;
                v = v << 4 | d;
        }
        if (digits == 0)
                return -EINVAL;
        *ret = v;
        return 0;
}

int parse_int(const char *text, int min, int max, int *ret) {
        const char *p = text;
        bool negative = *p == '-';
        uint64_t v;
        int64_t value;
        int r;

        if (negative)
                p++;
        r = parse_u64(p, &v);
        if (r < 0)
                return r;
        if (v > (uint64_t) INT_MAX + 1)
                return -ERANGE;
        value = negative ? -(int64_t) v : (int64_t) v;
        if (value < min || value > max)
                return -ERANGE;
        *ret = (int) value;
        return 0;
}

struct unit {
        const char *name;
        uint64_t factor;
};

static int parse_with_unit(const char *text, const struct unit *units, size_t n_units, uint64_t *ret) {
        const char *p = text;
        uint64_t v = 0;
        int digits;

        digits = take_digits(&p, &v);
        if (digits == -EINVAL)
                return digits;
        for (size_t i = 0; i < n_units; i++) {
                if (strcmp(p, units[i].name) != 0)
                        continue;
                if (digits < 0 || __builtin_mul_overflow(v, units[i].factor, &v))
                        return -ERANGE;
                *ret = v;
                return 0;
        }
        return -EINVAL;
}

int parse_size(const char *text, uint64_t *ret_bytes) {
        static const struct unit units[] = {
                { "B",   1 },
                { "KiB", UINT64_C(1) << 10 },
                { "MiB", UINT64_C(1) << 20 },
                { "GiB", UINT64_C(1) << 30 },
                { "TiB", UINT64_C(1) << 40 },
        };

        return parse_with_unit(text, units, ELEMENTSOF(units), ret_bytes);
}

int parse_duration(const char *text, uint64_t *ret_us) {
        static const struct unit units[] = {
                { "us", 1 },
                { "ms", 1000 },
                { "s",  UINT64_C(1000000) },
                { "m",  UINT64_C(60000000) },
                { "h",  UINT64_C(3600000000) },
        };

        return parse_with_unit(text, units, ELEMENTSOF(units), ret_us);
}

int parse_percent(const char *text, uint32_t *ret_bp) {
        const char *p = text;
        uint64_t whole = 0, fraction = 0;
        int r;

        r = take_digits(&p, &whole);
        if (r == -EINVAL)
                return r;
        if (*p == '.') {
                const char *start = ++p;
                int r2;

                r2 = take_digits(&p, &fraction);
                if (r2 < 0 || p - start > 2)
                        return -EINVAL;
                if (p - start == 1)
                        fraction *= 10;
        }
        if (strcmp(p, "%") != 0)
                return -EINVAL;
        if (r < 0 || whole * 100 + fraction > 100000 || whole > 1000)
                return -ERANGE;
        *ret_bp = (uint32_t) (whole * 100 + fraction);
        return 0;
}

char *format_size(uint64_t bytes, char *buf, size_t size) {
        static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        size_t u = 0;
        uint64_t whole = bytes, rest = 0;

        while (whole >= 1024 && u + 1 < ELEMENTSOF(units)) {
                rest = whole % 1024;
                whole /= 1024;
                u++;
        }
        if (u > 0 && whole < 10 && rest * 100 / 1024 > 0)
                (void) snprintf(buf, size, "%" PRIu64 ".%02" PRIu64 " %s", whole, rest * 100 / 1024, units[u]);
        else if (u > 0 && whole < 100 && rest * 10 / 1024 > 0)
                (void) snprintf(buf, size, "%" PRIu64 ".%" PRIu64 " %s", whole, rest * 10 / 1024, units[u]);
        else
                (void) snprintf(buf, size, "%" PRIu64 " %s", whole, units[u]);
        return buf;
}

char *format_duration(uint64_t us, char *buf, size_t size) {
        static const struct unit units[] = {
                { "h", UINT64_C(3600000000) }, { "min", UINT64_C(60000000) }, { "s", 1000000 }, { "ms", 1000 },
        };

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (us >= units[i].factor && us % units[i].factor == 0) {
                        (void) snprintf(buf, size, "%" PRIu64 " %s", us / units[i].factor, units[i].name);
                        return buf;
                }
        if (us == 0)
                (void) snprintf(buf, size, "0 s");
        else
                (void) snprintf(buf, size, "%" PRIu64 " us", us);
        return buf;
}

char *format_percent(uint32_t bp, char *buf, size_t size) {
        if (bp % 100 == 0)
                (void) snprintf(buf, size, "%u%%", bp / 100);
        else if (bp % 10 == 0)
                (void) snprintf(buf, size, "%u.%u%%", bp / 100, bp % 100 / 10);
        else
                (void) snprintf(buf, size, "%u.%02u%%", bp / 100, bp % 100);
        return buf;
}
