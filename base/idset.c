/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/idset.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void idset_add(struct idset *s, unsigned id) {
        if (id < IDSET_MAX)
                s->words[id / 64] |= UINT64_C(1) << (id % 64);
}

void idset_remove(struct idset *s, unsigned id) {
        if (id < IDSET_MAX)
                s->words[id / 64] &= ~(UINT64_C(1) << (id % 64));
}

bool idset_has(const struct idset *s, unsigned id) {
        return id < IDSET_MAX && (s->words[id / 64] >> (id % 64)) & 1;
}

size_t idset_count(const struct idset *s) {
        size_t n = 0;

        for (size_t i = 0; i < IDSET_MAX / 64; i++)
                n += (size_t) __builtin_popcountll(s->words[i]);
        return n;
}

bool idset_equal(const struct idset *a, const struct idset *b) {
        return memcmp(a, b, sizeof(*a)) == 0;
}

int idset_next(const struct idset *s, int from) {
        for (unsigned id = from < 0 ? 0 : (unsigned) from; id < IDSET_MAX;) {
                uint64_t rest = s->words[id / 64] >> (id % 64);

                if (rest)
                        return (int) (id + (unsigned) __builtin_ctzll(rest));
                id = (id / 64 + 1) * 64;
        }
        return -1;
}

/* One decimal id at *p, at most `max`; advances *p past it. */
static int parse_id(const char **p, unsigned max, unsigned *ret) {
        unsigned v = 0;

        if (**p < '0' || **p > '9')
                return -EINVAL;
        for (; **p >= '0' && **p <= '9'; (*p)++) {
                v = v * 10 + (unsigned) (**p - '0');
                if (v > max)
                        return -ERANGE;
        }
        *ret = v;
        return 0;
}

int idset_parse(const char *text, unsigned max, struct idset *ret) {
        struct idset s = {};
        const char *p = text;
        int r;

        if (max >= IDSET_MAX)
                max = IDSET_MAX - 1;

        while (*p && *p != '\n') {
                unsigned first, last;

                r = parse_id(&p, max, &first);
                if (r < 0)
                        return r;
                last = first;
                if (*p == '-') {
                        p++;
                        r = parse_id(&p, max, &last);
                        if (r < 0)
                                return r;
                        if (last < first)
                                return -EINVAL;
                }
                for (unsigned id = first; id <= last; id++)
                        idset_add(&s, id);
                if (*p == ',') {
                        p++;
                        if (*p < '0' || *p > '9')
                                return -EINVAL;
                } else if (*p && *p != '\n')
                        return -EINVAL;
        }
        if (*p == '\n' && p[1])
                return -EINVAL;

        *ret = s;
        return 0;
}

int idset_format(const struct idset *s, char *buf, size_t size) {
        size_t len = 0;

        if (size == 0)
                return -ENOSPC;
        buf[0] = '\0';

        for (int first = idset_next(s, 0); first >= 0;) {
                int last = first, n;

                while (idset_has(s, (unsigned) last + 1))
                        last++;
                if (last > first)
                        n = snprintf(buf + len, size - len, "%s%d-%d", len ? "," : "", first, last);
                else
                        n = snprintf(buf + len, size - len, "%s%d", len ? "," : "", first);
                if (n < 0 || (size_t) n >= size - len)
                        return -ENOSPC;
                len += (size_t) n;
                first = idset_next(s, last + 1);
        }
        return (int) len;
}
