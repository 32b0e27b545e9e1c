/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/numa-maps.h"
#include "base/cleanup.h"
#include "base/parse.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char *const policy_names[_BIND_POLICY_MAX] = {
        [BIND_STRICT] = "bind",
        [BIND_PREFER] = "prefer",
        [BIND_PREFER_MANY] = "prefer (many)",
        [BIND_INTERLEAVE] = "interleave",
        [BIND_WEIGHTED] = "weighted interleave",
};

const char *bind_policy_to_string(enum bind_policy policy) {
        return policy < _BIND_POLICY_MAX ? policy_names[policy] : "unknown";
}

/* A part of the text that is being read: [p, end), without a line feed. */
struct span {
        const char *p, *end;
};

/* Takes the next word, up to a blank, off the line. False at its end. */
static bool take_word(struct span *line, struct span *ret) {
        while (line->p < line->end && *line->p == ' ')
                line->p++;
        ret->p = line->p;
        while (line->p < line->end && *line->p != ' ')
                line->p++;
        ret->end = line->p;
        return ret->p < ret->end;
}

static bool begins_with(const struct span *s, const char *text) {
        size_t n = strlen(text);

        return (size_t) (s->end - s->p) >= n && memcmp(s->p, text, n) == 0;
}

/* The number that is all of the rest of the word from p on. */
static int read_number(const char *p, const char *end, int (*parse)(const char *, uint64_t *), uint64_t *ret) {
        char digits[32];

        if (p >= end || (size_t) (end - p) >= sizeof(digits))
                return -EBADMSG;
        memcpy(digits, p, (size_t) (end - p));
        digits[end - p] = '\0';
        return strlen(digits) != (size_t) (end - p) || parse(digits, ret) < 0 ? -EBADMSG : 0;
}

/*
 * Takes the policy off the line: a name, which may hold blanks, with flags after "=" and nodes after ":", where there are any.
 * _BIND_POLICY_MAX: another one.
 */
static enum bind_policy take_policy(struct span *line) {
        struct span word;

        line->p += line->p < line->end;
        for (size_t i = 0; i < _BIND_POLICY_MAX; i++) {
                const char *after = line->p + strlen(policy_names[i]);

                if (begins_with(line, policy_names[i]) && (after == line->end || strchr("=: ", *after))) {
                        /* "prefer" is also how "prefer (many)" begins. */
                        if (i == BIND_PREFER && begins_with(line, policy_names[BIND_PREFER_MANY]))
                                continue;
                        line->p = after;
                        if (after < line->end && *after != ' ')
                                (void) take_word(line, &word);
                        return (enum bind_policy) i;
                }
        }
        (void) take_word(line, &word);
        return _BIND_POLICY_MAX;
}

static uint64_t add(uint64_t a, uint64_t b) {
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t multiply(uint64_t a, uint64_t b) {
        return a != 0 && b > UINT64_MAX / a ? UINT64_MAX : a * b;
}

/* "7f2d40000000 bind:0 anon=12 dirty=12 N0=10 N1=2 kernelpagesize_kB=4" */
static int parse_line(struct span line, const struct idset *nodes, struct bound_bytes *sum) {
        uint64_t address, pages = 0, page_kib = 4, bytes;
        bool file = false, hugetlb = false;
        enum bind_policy policy;
        struct span word;

        if (!take_word(&line, &word) || read_number(word.p, word.end, parse_hex_u64, &address) < 0)
                return -EBADMSG;
        policy = take_policy(&line);
        while (take_word(&line, &word)) {
                const char *equals = memchr(word.p, '=', (size_t) (word.end - word.p));
                uint64_t id, n;

                if (begins_with(&word, "file="))
                        file = true;
                else if (!equals)
                        hugetlb = hugetlb || (begins_with(&word, "huge") && word.end - word.p == 4);
                else if (begins_with(&word, "kernelpagesize_kB=")) {
                        if (read_number(equals + 1, word.end, parse_u64, &page_kib) < 0)
                                return -EBADMSG;
                } else if (word.p[0] == 'N') {
                        if (read_number(word.p + 1, equals, parse_u64, &id) < 0 || id > NODE_ID_MAX ||
                            read_number(equals + 1, word.end, parse_u64, &n) < 0)
                                return -EBADMSG;
                        if (idset_has(nodes, (unsigned) id))
                                pages = add(pages, n);
                }
        }
        if (policy == _BIND_POLICY_MAX || hugetlb)
                return 0;
        bytes = multiply(pages, multiply(page_kib, 1024));
        if (file)
                sum->file[policy] = add(sum->file[policy], bytes);
        else
                sum->anon[policy] = add(sum->anon[policy], bytes);
        return 0;
}

int numa_maps_parse(const char *text, size_t len, const struct idset *nodes, struct bound_bytes *ret) {
        struct bound_bytes sum = {};

        for (const char *p = text, *end = text + len; p < end;) {
                const char *feed = memchr(p, '\n', (size_t) (end - p));
                struct span line = { .p = p, .end = feed ? feed : end };
                int r;

                r = parse_line(line, nodes, &sum);
                if (r < 0)
                        return r;
                p = feed ? feed + 1 : end;
        }
        *ret = sum;
        return 0;
}
