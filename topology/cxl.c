/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/cxl.h"
#include "base/cleanup.h"

#include <cxl/libcxl.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* What libcxl answers where a device or region has no such value. */
#define NOT_KNOWN UINT64_MAX
#define NOT_KNOWN_UNSIGNED UINT_MAX

static void unref(struct cxl_ctx **ctx) {
        if (*ctx)
                cxl_unref(*ctx);
}

/* This room does not print, nor does its library. */
static void say_nothing(struct cxl_ctx *ctx, int priority, const char *file, int line, const char *fn, const char *format,
                        va_list args) {
        (void) ctx;
        (void) priority;
        (void) file;
        (void) line;
        (void) fn;
        (void) format;
        (void) args;
}

static uint64_t known_or_zero(uint64_t v) {
        return v == NOT_KNOWN ? 0 : v;
}

static unsigned known_or_zero_unsigned(unsigned v) {
        return v == NOT_KNOWN_UNSIGNED ? 0 : v;
}

static int add_expander(struct expanders *e, struct cxl_memdev *memdev) {
        struct expander *items, *x;
        int r;

        items = reallocarray(e->items, e->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        e->items = items;
        x = &items[e->n++];
        *x = (struct expander) {
                .serial = cxl_memdev_get_serial(memdev),
                .ram_bytes = known_or_zero(cxl_memdev_get_ram_size(memdev)),
                .pmem_bytes = known_or_zero(cxl_memdev_get_pmem_size(memdev)),
                .near_node = cxl_memdev_get_numa_node(memdev),
        };
        r = expander_text(&x->name, cxl_memdev_get_devname(memdev));
        if (r == 0)
                r = expander_text(&x->firmware, cxl_memdev_get_firmware_version(memdev));
        if (r == 0)
                r = expander_text(&x->location, cxl_memdev_get_host(memdev));
        return r;
}

static int compare_expanders(const void *a, const void *b) {
        const struct expander *x = a, *y = b;

        if (x->serial != y->serial)
                return x->serial < y->serial ? -1 : 1;
        return strcmp(x->name ?: "", y->name ?: "");
}

static ssize_t find_expander(const struct expanders *e, const char *name) {
        for (size_t i = 0; i < e->n; i++)
                if (e->items[i].name && strcmp(e->items[i].name, name) == 0)
                        return (ssize_t) i;
        return -1;
}

struct position {
        unsigned position;
        size_t expander;
};

static int compare_positions(const void *a, const void *b) {
        const struct position *x = a, *y = b;

        return x->position < y->position ? -1 : x->position > y->position;
}

/* Whether both have a class, and not the same (libcxl 79 and later). A device without a CDAT has none. */
static bool is_of_other_class(struct cxl_decoder *root, struct cxl_memdev *memdev, bool pmem) {
#ifdef HAVE_CXL_QOS
        int window = cxl_root_decoder_get_qos_class(root);
        int device = pmem ? cxl_memdev_get_pmem_qos_class(memdev) : cxl_memdev_get_ram_qos_class(memdev);

        return window >= 0 && device >= 0 && window != device;
#else
        (void) root;
        (void) memdev;
        (void) pmem;
        return false;
#endif
}

/* The devices behind a region by the decoders that map it, and by their mode whether it is persistent memory. */
static int add_mappings(struct expanders *e, struct expander_region *r, struct cxl_decoder *root, struct cxl_region *region) {
        _cleanup_free_ struct position *positions = NULL;
        struct cxl_memdev_mapping *mapping;
        size_t n = 0;

        cxl_mapping_foreach(region, mapping) {
                struct cxl_decoder *decoder = cxl_mapping_get_decoder(mapping);
                struct cxl_memdev *memdev = decoder ? cxl_decoder_get_memdev(decoder) : NULL;
                struct position *more;
                ssize_t k = memdev ? find_expander(e, cxl_memdev_get_devname(memdev)) : -1;

                if (k < 0)
                        continue;
                if (cxl_decoder_get_mode(decoder) == CXL_DECODER_MODE_PMEM)
                        r->pmem = true;
                if (is_of_other_class(root, memdev, r->pmem))
                        r->qos_mismatch = true;
                more = reallocarray(positions, n + 1, sizeof(*positions));
                if (!more)
                        return -ENOMEM;
                positions = more;
                positions[n++] = (struct position) { cxl_mapping_get_position(mapping), (size_t) k };
                e->items[k].in_region = true;
        }
        if (n == 0)
                return 0;
        qsort(positions, n, sizeof(*positions), compare_positions);
        r->expanders = calloc(n, sizeof(*r->expanders));
        if (!r->expanders)
                return -ENOMEM;
        for (; r->n_expanders < n; r->n_expanders++)
                r->expanders[r->n_expanders] = positions[r->n_expanders].expander;
        return 0;
}

static int add_region(struct expanders *e, struct cxl_decoder *decoder, struct cxl_region *region) {
        uint64_t start = cxl_region_get_resource(region), size = cxl_region_get_size(region), end;
        struct expander_region *regions, *x;
        int r;

        regions = reallocarray(e->regions, e->n_regions + 1, sizeof(*regions));
        if (!regions)
                return -ENOMEM;
        e->regions = regions;
        x = &regions[e->n_regions++];
        *x = (struct expander_region) {
                .committed = cxl_region_decode_is_committed(region) == 1,
                .enabled = cxl_region_is_enabled(region) == 1,
                .interleave_ways = known_or_zero_unsigned(cxl_region_get_interleave_ways(region)),
                .interleave_granularity = known_or_zero_unsigned(cxl_region_get_interleave_granularity(region)),
                .node = -1,
        };
        /* An unreadable address is 0, which is no expander's. */
        if (start != NOT_KNOWN && start > 0 && size != NOT_KNOWN && !__builtin_add_overflow(start, size, &end))
                x->range = (struct mem_range) { start, end };
        r = expander_text(&x->name, cxl_region_get_devname(region));
        if (r == 0)
                r = expander_text(&x->decoder, cxl_decoder_get_devname(decoder));
        return r < 0 ? r : add_mappings(e, x, decoder, region);
}

static int read_regions(struct expanders *e, struct cxl_ctx *ctx) {
        struct cxl_bus *bus;

        cxl_bus_foreach(ctx, bus) {
                struct cxl_decoder *decoder;

                cxl_decoder_foreach(cxl_bus_get_port(bus), decoder) {
                        struct cxl_region *region;

                        cxl_region_foreach(decoder, region) {
                                int r = add_region(e, decoder, region);

                                if (r < 0)
                                        return r;
                        }
                }
        }
        return 0;
}

static int compare_regions(const void *a, const void *b) {
        const struct expander_region *x = a, *y = b;

        return strverscmp(x->name ?: "", y->name ?: "");
}

int expanders_read(const char *root_path, const struct topology *t, struct expanders **ret) {
        _cleanup_(unref) struct cxl_ctx *ctx = NULL;
        _cleanup_expanders_ struct expanders *e = NULL;
        struct cxl_memdev *memdev;
        int r;

        *ret = NULL;
        if (root_path)
                return 0;
        r = cxl_new(&ctx);
        if (r < 0) {
                ctx = NULL;
                return r == -ENOMEM ? r : 0;
        }
        cxl_set_log_fn(ctx, say_nothing);
        e = calloc(1, sizeof(*e));
        if (!e)
                return -ENOMEM;
        cxl_memdev_foreach(ctx, memdev) {
                r = add_expander(e, memdev);
                if (r < 0)
                        return r;
        }
        if (e->n > 0)
                qsort(e->items, e->n, sizeof(*e->items), compare_expanders);
        r = read_regions(e, ctx);
        if (r < 0)
                return r;
        if (e->n_regions > 0)
                qsort(e->regions, e->n_regions, sizeof(*e->regions), compare_regions);
        expanders_place(e, t);
        *ret = TAKE_PTR(e);
        return 0;
}
