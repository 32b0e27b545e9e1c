/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One decimal number at *p; advances *p past it. Above UINT64_MAX it fails like any other text. */
static int take_u64(const char **p, uint64_t *ret) {
        uint64_t v = 0;

        if (**p < '0' || **p > '9')
                return -EBADMSG;
        for (; **p >= '0' && **p <= '9'; (*p)++)
                if (__builtin_mul_overflow(v, UINT64_C(10), &v) || __builtin_add_overflow(v, (uint64_t) (**p - '0'), &v))
                        return -EBADMSG;
        *ret = v;
        return 0;
}

static void skip_blanks(const char **p) {
        while (**p == ' ' || **p == '\t')
                (*p)++;
}

static const char *next_line(const char *p) {
        const char *end = strchr(p, '\n');

        return end ? end + 1 : p + strlen(p);
}

int parse_node_memtotal(const char *text, int nid, uint64_t *ret_bytes) {
        char prefix[48];
        int n;

        n = snprintf(prefix, sizeof(prefix), "Node %d MemTotal:", nid);
        for (const char *p = text; *p; p = next_line(p)) {
                uint64_t kib;

                if (strncmp(p, prefix, (size_t) n) != 0)
                        continue;
                p += n;
                skip_blanks(&p);
                if (take_u64(&p, &kib) < 0 || strncmp(p, " kB", 3) != 0 || (p[3] != '\n' && p[3] != '\0') ||
                    kib > UINT64_MAX / 1024)
                        return -EBADMSG;
                *ret_bytes = kib * 1024;
                return 0;
        }
        return -EBADMSG;
}

int parse_node_distances(const char *text, size_t n, uint16_t *ret) {
        const char *p = text;

        /* Twice: nothing is written before the whole row is known to be good. */
        for (int pass = 0; pass < 2; pass++) {
                p = text;
                for (size_t i = 0; i < n; i++) {
                        uint64_t v;

                        skip_blanks(&p);
                        if (take_u64(&p, &v) < 0 || v > UINT16_MAX)
                                return -EBADMSG;
                        if (pass == 1)
                                ret[i] = (uint16_t) v;
                }
                skip_blanks(&p);
                if (*p == '\n')
                        p++;
                if (*p)
                        return -EBADMSG;
        }
        return 0;
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -1;
}

int parse_cpumap(const char *text, struct idset *ret) {
        struct idset s = {};
        size_t len = strcspn(text, "\n");
        unsigned word = 0, bit = 0;

        if (len == 0 || (text[len] == '\n' && text[len + 1] != '\0'))
                return -EBADMSG;

        for (size_t i = len; i > 0; i--) {
                int digit;

                if (text[i - 1] == ',') {
                        if (bit == 0)
                                return -EBADMSG;
                        word++;
                        bit = 0;
                        continue;
                }
                digit = hex_digit(text[i - 1]);
                if (digit < 0 || bit == 32)
                        return -EBADMSG;
                for (unsigned k = 0; k < 4; k++)
                        if (digit >> k & 1) {
                                unsigned id = word * 32 + bit + k;

                                if (id >= IDSET_MAX)
                                        return -EBADMSG;
                                idset_add(&s, id);
                        }
                bit += 4;
        }
        if (bit == 0)
                return -EBADMSG;
        *ret = s;
        return 0;
}

int parse_gpu_node(const char *text, int *ret_nid) {
        for (const char *p = text; *p; p = next_line(p)) {
                uint64_t v;
                const char *q = p;

                if (strncmp(q, "Node:", 5) != 0)
                        continue;
                q += 5;
                skip_blanks(&q);
                if (strncmp(q, "-1", 2) == 0) {
                        *ret_nid = -1;
                        return 0;
                }
                if (take_u64(&q, &v) < 0 || v > NODE_ID_MAX)
                        return -EBADMSG;
                *ret_nid = (int) v;
                return 0;
        }
        *ret_nid = -1;
        return 0;
}
