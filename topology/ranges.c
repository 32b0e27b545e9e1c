/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/ranges.h"

#include <errno.h>
#include <stdlib.h>

void range_list_done(struct range_list *l) {
        free(l->items);
        *l = (struct range_list) {};
}

int range_list_add(struct range_list *l, uint64_t start, uint64_t end) {
        if (start >= end)
                return 0;
        /* What continues the last range grows it: a node's blocks come in order, hundreds of thousands of them. */
        if (l->n > 0 && l->items[l->n - 1].end == start) {
                l->items[l->n - 1].end = end;
                return 0;
        }
        if (l->n == l->allocated) {
                size_t more = l->allocated ? l->allocated * 2 : 16;
                struct mem_range *p = reallocarray(l->items, more, sizeof(*p));

                if (!p)
                        return -ENOMEM;
                l->items = p;
                l->allocated = more;
        }
        l->items[l->n++] = (struct mem_range) { .start = start, .end = end };
        return 0;
}

static int compare_ranges(const void *a, const void *b) {
        const struct mem_range *x = a, *y = b;

        return x->start < y->start ? -1 : x->start > y->start;
}

void range_list_merge(struct range_list *l) {
        size_t n = 0;

        if (l->n == 0)
                return;
        qsort(l->items, l->n, sizeof(*l->items), compare_ranges);
        for (size_t i = 1; i < l->n; i++) {
                if (l->items[i].start > l->items[n].end)
                        l->items[++n] = l->items[i];
                else if (l->items[i].end > l->items[n].end)
                        l->items[n].end = l->items[i].end;
        }
        l->n = n + 1;
}

/* Walks both lists once; `ret` and `bytes` may each be NULL. */
static int walk_common(const struct range_list *a, const struct range_list *b, struct range_list *ret, uint64_t *bytes) {
        size_t i = 0, j = 0;

        while (i < a->n && j < b->n) {
                uint64_t start = MAX(a->items[i].start, b->items[j].start), end = MIN(a->items[i].end, b->items[j].end);

                if (start < end) {
                        if (bytes)
                                *bytes += end - start;
                        if (ret) {
                                int r = range_list_add(ret, start, end);

                                if (r < 0)
                                        return r;
                        }
                }
                if (a->items[i].end < b->items[j].end)
                        i++;
                else
                        j++;
        }
        return 0;
}

int range_list_intersect(const struct range_list *a, const struct range_list *b, struct range_list *ret) {
        _cleanup_ranges_ struct range_list common = {};
        int r;

        r = walk_common(a, b, &common, NULL);
        if (r < 0)
                return r;
        *ret = common;
        common = (struct range_list) {};
        return 0;
}

uint64_t range_list_bytes(const struct range_list *l) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < l->n; i++)
                bytes += l->items[i].end - l->items[i].start;
        return bytes;
}

uint64_t range_list_common_bytes(const struct range_list *a, const struct range_list *b) {
        uint64_t bytes = 0;

        (void) walk_common(a, b, NULL, &bytes);
        return bytes;
}
