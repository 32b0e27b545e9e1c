/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/topology-cxl.h"
#include "base/parse.h"
#include "tierctl/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static json_object *string_or_null(const char *text) {
        return text ? json_object_new_string(text) : NULL;
}

json_object *number_or_null(uint64_t v) {
        return v > 0 ? json_object_new_uint64(v) : NULL;
}

static void add_names(json_object *array, const struct expanders *e, const struct expander_region *region) {
        for (size_t i = 0; i < region->n_expanders; i++)
                (void) json_object_array_add(array, string_or_null(e->items[region->expanders[i]].name));
}

json_object *cxl_node_to_json(const struct expanders *e, int node) {
        const struct expander_region *first = expanders_next_region(e, node, NULL);
        json_object *o, *names;

        if (!first)
                return NULL;
        o = json_object_new_object();
        names = json_object_new_array();
        for (const struct expander_region *r = first; r; r = expanders_next_region(e, node, r))
                add_names(names, e, r);
        (void) json_object_object_add(o, "region", string_or_null(first->name));
        (void) json_object_object_add(o, "memdevs", names);
        return o;
}

static json_object *region_to_json(const struct expanders *e, const struct expander_region *r) {
        json_object *o = json_object_new_object(), *names = json_object_new_array();
        bool placed = r->range.end > r->range.start;

        add_names(names, e, r);
        (void) json_object_object_add(o, "region", string_or_null(r->name));
        (void) json_object_object_add(o, "node", r->node >= 0 ? json_object_new_int(r->node) : NULL);
        (void) json_object_object_add(o, "type", json_object_new_string(r->pmem ? "pmem" : "ram"));
        (void) json_object_object_add(o, "resource", placed ? json_object_new_uint64(r->range.start) : NULL);
        (void) json_object_object_add(o, "size", json_object_new_uint64(r->range.end - r->range.start));
        (void) json_object_object_add(o, "interleave_ways", number_or_null(r->interleave_ways));
        (void) json_object_object_add(o, "interleave_granularity", number_or_null(r->interleave_granularity));
        (void) json_object_object_add(o, "committed", json_object_new_boolean(r->committed));
        (void) json_object_object_add(o, "enabled", json_object_new_boolean(r->enabled));
        (void) json_object_object_add(o, "decoder", string_or_null(r->decoder));
        (void) json_object_object_add(o, "memdevs", names);
        return o;
}

static json_object *expander_to_json(const struct expander *x) {
        json_object *o = json_object_new_object();

        (void) json_object_object_add(o, "memdev", string_or_null(x->name));
        (void) json_object_object_add(o, "serial", json_object_new_uint64(x->serial));
        (void) json_object_object_add(o, "host", string_or_null(x->location));
        (void) json_object_object_add(o, "firmware", string_or_null(x->firmware));
        (void) json_object_object_add(o, "ram_size", json_object_new_uint64(x->ram_bytes));
        (void) json_object_object_add(o, "pmem_size", json_object_new_uint64(x->pmem_bytes));
        (void) json_object_object_add(o, "near_node", x->near_node >= 0 ? json_object_new_int(x->near_node) : NULL);
        return o;
}

json_object *cxl_to_json(const struct expanders *e) {
        json_object *o, *regions, *memdevs;

        if (!e)
                return NULL;
        o = json_object_new_object();
        regions = json_object_new_array();
        memdevs = json_object_new_array();
        for (size_t i = 0; i < e->n_regions; i++)
                (void) json_object_array_add(regions, region_to_json(e, &e->regions[i]));
        for (size_t i = 0; i < e->n; i++)
                (void) json_object_array_add(memdevs, expander_to_json(&e->items[i]));
        (void) json_object_object_add(o, "regions", regions);
        (void) json_object_object_add(o, "memdevs", memdevs);
        return o;
}

/* A line for each device of a region, or for a region without a device, or for a device without a region. */
static int add_row(struct table *table, const struct expander_region *r, const struct expander *x) {
        char size[FORMAT_MAX];
        uint64_t bytes = r ? r->range.end - r->range.start : x->ram_bytes + x->pmem_bytes;
        int k;

        k = table_add(table, "%s", r && r->name ? r->name : "-");
        if (k == 0)
                k = r && r->node >= 0 ? table_add(table, "%d", r->node) : table_add(table, "-");
        if (k == 0)
                k = table_add(table, "%s", bytes > 0 ? format_size(bytes, size, sizeof(size)) : "-");
        if (k == 0)
                k = table_add(table, "%s", !r ? "-" : r->pmem ? "pmem" : "ram");
        if (k == 0)
                k = r && r->interleave_ways > 0 ? table_add(table, "%u", r->interleave_ways) : table_add(table, "-");
        if (k == 0)
                k = table_add(table, "%s", x && x->name ? x->name : "-");
        if (k == 0)
                k = x ? table_add(table, "%#" PRIx64, x->serial) : table_add(table, "-");
        if (k == 0)
                k = table_add(table, "%s", x && x->location ? x->location : "-");
        if (k == 0)
                k = table_add(table, "%s", x && x->firmware ? x->firmware : "-");
        return k;
}

static int add_rows(struct table *table, const struct expanders *e) {
        int k = 0;

        for (size_t i = 0; k == 0 && i < e->n_regions; i++) {
                const struct expander_region *r = &e->regions[i];

                if (r->n_expanders == 0)
                        k = add_row(table, r, NULL);
                for (size_t n = 0; k == 0 && n < r->n_expanders; n++)
                        k = add_row(table, r, &e->items[r->expanders[n]]);
        }
        for (size_t i = 0; k == 0 && i < e->n; i++)
                if (!e->items[i].in_region)
                        k = add_row(table, NULL, &e->items[i]);
        return k;
}

int cxl_print(const struct expanders *e, bool colour) {
        static const struct table_column columns[] = {
                { "REGION",   ALIGN_LEFT  },
                { "NODE",     ALIGN_RIGHT },
                { "SIZE",     ALIGN_RIGHT },
                { "TYPE",     ALIGN_LEFT  },
                { "WAYS",     ALIGN_RIGHT },
                { "DEVICE",   ALIGN_LEFT  },
                { "SERIAL",   ALIGN_LEFT  },
                { "LOCATION", ALIGN_LEFT  },
                { "FIRMWARE", ALIGN_LEFT  },
        };
        _cleanup_table_ struct table *table = NULL;
        int r;

        if (!e || (e->n == 0 && e->n_regions == 0))
                return 0;
        table = table_new(columns, ELEMENTSOF(columns));
        if (!table)
                return -ENOMEM;
        r = add_rows(table, e);
        if (r < 0)
                return r;
        (void) puts("\nCXL expanders; NODE is whose memory they are, where it is online:\n");
        table_print(table, stdout, colour);
        return 0;
}
