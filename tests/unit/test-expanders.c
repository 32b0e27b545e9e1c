/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/support/example-expanders.h"
#include "tierctl/topology-cxl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GIB (UINT64_C(1) << 30)

static void place(struct expanders *e, const struct mem_range *node1, size_t n1, const struct mem_range *node2, size_t n2) {
        struct node nodes[] = {
                { .id = 1, .ranges = (struct mem_range *) node1, .n_ranges = n1 },
                { .id = 2, .ranges = (struct mem_range *) node2, .n_ranges = n2 },
        };
        const struct topology t = { .nodes = nodes, .n_nodes = 2 };

        expanders_place(e, &t);
}

static void test_place(void **state) {
        static const struct mem_range all = { 4 * GIB, 7 * GIB }, dram_too = { 0, 5 * GIB }, rest = { 5 * GIB, 6 * GIB },
                                      more = { 5 * GIB - GIB / 4, 6 * GIB };
        _cleanup_expanders_ struct expanders *e = example_expanders();

        (void) state;
        place(e, NULL, 0, NULL, 0);
        assert_int_equal(e->regions[0].node, -1);
        assert_null(expanders_next_region(e, 1, NULL));

        /* Several regions in one node; a region without addresses is in none. */
        place(e, NULL, 0, &all, 1);
        assert_int_equal(e->regions[0].node, 2);
        assert_int_equal(e->regions[1].node, 2);
        assert_int_equal(e->regions[2].node, -1);
        assert_ptr_equal(expanders_next_region(e, 2, NULL), &e->regions[0]);
        assert_ptr_equal(expanders_next_region(e, 2, &e->regions[0]), &e->regions[1]);
        assert_null(expanders_next_region(e, 2, &e->regions[1]));

        /* A node of DRAM and a part of an expander; of equal parts the first node's. */
        place(e, &dram_too, 1, &rest, 1);
        assert_int_equal(e->regions[0].node, 1);
        assert_int_equal(e->regions[1].node, -1);
        place(e, &dram_too, 1, &more, 1);
        assert_int_equal(e->regions[0].node, 2);
        assert_null(expanders_next_region(NULL, 2, NULL));
}

static void assert_json(json_object *o, const char *expected) {
        assert_string_equal(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), expected);
        (void) json_object_put(o);
}

static void test_json(void **state) {
        static const struct mem_range all = { 4 * GIB, 7 * GIB };
        _cleanup_expanders_ struct expanders *e = example_expanders();
        json_object *o;

        (void) state;
        place(e, NULL, 0, &all, 1);
        /* In order of interleaving, which is not that of the names. */
        assert_json(cxl_node_to_json(e, 2), "{\"region\":\"region0\",\"memdevs\":[\"mem2\",\"mem3\",\"mem1\"]}");
        assert_null(cxl_node_to_json(e, 1));
        assert_null(cxl_node_to_json(NULL, 1));
        assert_null(cxl_to_json(NULL));
        o = cxl_to_json(e);
        assert_non_null(
                strstr(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
                       "{\"region\":\"region1\",\"node\":2,\"type\":\"ram\",\"resource\":6442450944,\"size\":1073741824,"
                       "\"interleave_ways\":1,\"interleave_granularity\":256,\"committed\":true,\"enabled\":true,"
                       "\"decoder\":null,\"memdevs\":[\"mem1\"]},"
                       "{\"region\":\"region2\",\"node\":null,\"type\":\"ram\",\"resource\":null,\"size\":0,"));
        assert_non_null(strstr(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
                               "{\"memdev\":\"mem0\",\"serial\":19,\"host\":null,\"firmware\":null,\"ram_size\":1073741824,"
                               "\"pmem_size\":0,\"near_node\":null}]}"));
        (void) json_object_put(o);
}

/* What a device calls its firmware is its own affair: any bytes, and none of them reaches a terminal or spoils the JSON. */
static void test_text(void **state) {
        static const struct {
                const char *text, *shown;
        } cases[] = {
                { "BWFW VERSION 00", "BWFW VERSION 00"      },
                { "1.0\033[31m\a\b", "1.0?[31m??"           },
                { "1.0\n2.0\r\n", "1.0 2.0? "              },
                { "\x9b" "31m", "?31m"                      },
                { "\xc2\x9b" "31m", "??31m"                 },
                { "\xff\xfe cut \xe2\x82", "?? cut ??"      },
                { "\"},{\"memdev\":\"mem9\\", "\"},{\"memdev\":\"mem9\\" },
                { "größe", "größe"                          },
        };
        _cleanup_expanders_ struct expanders *e = example_expanders();

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                json_object *o, *read, *memdevs, *text;

                free(e->items[0].firmware);
                assert_int_equal(expander_text(&e->items[0].firmware, cases[i].text), 0);
                assert_string_equal(e->items[0].firmware, cases[i].shown);
                o = cxl_to_json(e);
                read = json_tokener_parse(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY));
                assert_non_null(read);
                assert_true(json_object_object_get_ex(read, "memdevs", &memdevs));
                assert_int_equal(json_object_array_length(memdevs), 4);
                assert_true(json_object_object_get_ex(json_object_array_get_idx(memdevs, 0), "firmware", &text));
                assert_string_equal(json_object_get_string(text), cases[i].shown);
                (void) json_object_put(read);
                (void) json_object_put(o);
        }
        free(e->items[0].firmware);
        assert_int_equal(expander_text(&e->items[0].firmware, ""), 0);
        assert_null(e->items[0].firmware);
        assert_int_equal(expander_text(&e->items[0].firmware, NULL), 0);
        assert_null(e->items[0].firmware);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_place),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
