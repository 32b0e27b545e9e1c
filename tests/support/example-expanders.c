/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/support/example-expanders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define GIB (UINT64_C(1) << 30)

struct expanders *example_expanders(void) {
        struct expanders *e = calloc(1, sizeof(*e));

        assert_non_null(e);
        e->items = calloc(4, sizeof(*e->items));
        e->regions = calloc(3, sizeof(*e->regions));
        assert_non_null(e->items);
        assert_non_null(e->regions);
        e->n = 4;
        e->n_regions = 3;
        for (size_t i = 0; i < e->n; i++) {
                e->items[i] = (struct expander) {
                        .serial = 0x10 + i,
                        .ram_bytes = GIB,
                        .near_node = i == 3 ? -1 : 0,
                        .in_region = i < 3,
                };
                assert_true(asprintf(&e->items[i].name, "mem%zu", 3 - i) > 0);
        }
        for (size_t i = 0; i < e->n_regions; i++) {
                struct expander_region *r = &e->regions[i];

                r->committed = r->enabled = i < 2;
                r->interleave_ways = i == 0 ? 2 : 1;
                r->interleave_granularity = 256;
                assert_true(asprintf(&r->name, "region%zu", i) > 0);
        }
        e->regions[0].range = (struct mem_range) { 4 * GIB, 6 * GIB };
        e->regions[0].expanders = calloc(2, sizeof(size_t));
        assert_non_null(e->regions[0].expanders);
        e->regions[0].expanders[0] = 1;
        e->regions[0].n_expanders = 2;
        e->regions[1].range = (struct mem_range) { 6 * GIB, 7 * GIB };
        e->regions[1].expanders = calloc(1, sizeof(size_t));
        assert_non_null(e->regions[1].expanders);
        e->regions[1].expanders[0] = 2;
        e->regions[1].n_expanders = 1;
        return e;
}
