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

/* A line, and what DAMON tells apart. */
struct parsed {
        struct numa_mapping mapping;
        enum bind_policy policy;        /* _BIND_POLICY_MAX: one that names no nodes */
        bool file;
};

/* "7f2d40000000 bind:0 anon=12 dirty=12 N0=10 N1=2 kernelpagesize_kB=4" */
static int parse_line(struct span line, const struct idset *nodes, struct parsed *ret) {
        struct parsed parsed = {};
        uint64_t pages = 0, page_kib = 4;
        struct span word;

        if (!take_word(&line, &word) || read_number(word.p, word.end, parse_hex_u64, &parsed.mapping.start) < 0)
                return -EBADMSG;
        parsed.policy = take_policy(&line);
        while (take_word(&line, &word)) {
                const char *equals = memchr(word.p, '=', (size_t) (word.end - word.p));
                uint64_t id, n;

                if (begins_with(&word, "file="))
                        parsed.file = true;
                else if (!equals)
                        parsed.mapping.hugetlb |= begins_with(&word, "huge") && word.end - word.p == 4;
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
        parsed.mapping.bytes = multiply(pages, multiply(page_kib, 1024));
        *ret = parsed;
        return 0;
}

/* 1, and 0 at the end of the text. */
static int take_line(const char **text, const char *end, const struct idset *nodes, struct parsed *ret) {
        const char *feed;
        int r;

        if (*text >= end)
                return 0;
        feed = memchr(*text, '\n', (size_t) (end - *text));
        r = parse_line((struct span) { .p = *text, .end = feed ? feed : end }, nodes, ret);
        if (r < 0)
                return r;
        *text = feed ? feed + 1 : end;
        return 1;
}

int numa_maps_take(const char **text, const char *end, const struct idset *nodes, struct numa_mapping *ret) {
        struct parsed parsed;
        int r;

        r = take_line(text, end, nodes, &parsed);
        if (r > 0)
                *ret = parsed.mapping;
        return r;
}

int numa_maps_parse(const char *text, size_t len, const struct idset *nodes, struct bound_bytes *ret) {
        struct bound_bytes sum = {};
        struct parsed parsed;
        int r;

        for (const char *p = text; (r = take_line(&p, text + len, nodes, &parsed)) > 0;) {
                uint64_t *of = parsed.file ? sum.file : sum.anon;

                if (parsed.policy != _BIND_POLICY_MAX && !parsed.mapping.hugetlb)
                        of[parsed.policy] = add(of[parsed.policy], parsed.mapping.bytes);
        }
        if (r < 0)
                return r;
        *ret = sum;
        return 0;
}
