/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/parse.h"
#include "tierctl/doctor-internal.h"

#include <inttypes.h>
#include <string.h>

/*
 * Programs place memory by hwloc, and tierctl shows what libcxl says. Where the two differ libcxl is believed: it knows the
 * addresses of a region, and the kernel which node they are online on; hwloc goes by the node that the dax device names.
 */

static bool is_same(const char *a, const char *b) {
        return a && b && strcmp(a, b) == 0;
}

static const struct expander_region *find_region(const struct expanders *e, const char *name) {
        for (size_t i = 0; i < e->n_regions; i++)
                if (is_same(e->regions[i].name, name))
                        return &e->regions[i];
        return NULL;
}

static const struct expander *find_memdev(const struct expanders *e, const char *name) {
        for (size_t i = 0; i < e->n; i++)
                if (is_same(e->items[i].name, name))
                        return &e->items[i];
        return NULL;
}

static const struct hwloc_memdev *find_hwloc_memdev(const struct hwloc_devices *d, const char *name) {
        for (size_t i = 0; i < d->n_memdevs; i++)
                if (is_same(d->memdevs[i].name, name))
                        return &d->memdevs[i];
        return NULL;
}

static bool has_hwloc_region(const struct hwloc_devices *d, const char *name) {
        for (size_t i = 0; i < d->n_dax; i++)
                if (is_same(d->dax[i].region, name))
                        return true;
        return false;
}

static struct check *add_difference(struct checkup *c, enum check_state state) {
        struct check *k = checkup_add(c, "cxl-hwloc", state);

        check_meaning(k, "libcxl is believed, which knows the region's addresses; hwloc goes by the node that the dax device "
                         "names.");
        return k;
}

/* How many differences. */
static size_t compare_regions(struct checkup *c, const struct expanders *e, const struct hwloc_devices *d) {
        size_t n = 0;

        for (size_t i = 0; i < d->n_dax; i++) {
                const struct hwloc_dax *dax = &d->dax[i];
                const struct expander_region *r = find_region(e, dax->region);
                struct check *k;

                /* Memory that is not online is on no node by its addresses, and on the one where it would be by its device. */
                if (!dax->region || (r && (r->node < 0 || r->node == dax->nid)))
                        continue;
                n++;
                k = add_difference(c, CHECK_WARNING);
                if (r)
                        check_summary(k, "hwloc has %s (%s) on node %d, libcxl on node %d", dax->region, dax->device, dax->nid,
                                      r->node);
                else
                        check_summary(k, "hwloc has %s (%s) on node %d, libcxl knows of no such region", dax->region,
                                      dax->device, dax->nid);
                check_action(k,
                             "Nothing for tierd; programs that place memory by hwloc take the wrong node: see target_node in "
                             "daxctl list.");
        }
        for (size_t i = 0; i < e->n_regions; i++) {
                const struct expander_region *r = &e->regions[i];

                if (r->node < 0 || has_hwloc_region(d, r->name))
                        continue;
                n++;
                check_summary(add_difference(c, CHECK_INFO), "libcxl has %s on node %d, hwloc has no device of it", r->name,
                              r->node);
        }
        return n;
}

static struct check *add_other_device(struct checkup *c) {
        struct check *k = checkup_add(c, "cxl-hwloc", CHECK_WARNING);

        check_meaning(k, "libcxl is believed; tierd uses neither figure, for what it moves it goes by the nodes.");
        return k;
}

static size_t compare_memdevs(struct checkup *c, const struct expanders *e, const struct hwloc_devices *d) {
        size_t n = 0;

        /* An hwloc before 2.9 has none. */
        for (size_t i = 0; d->n_memdevs > 0 && i < e->n; i++) {
                const struct expander *x = &e->items[i];
                const struct hwloc_memdev *m = find_hwloc_memdev(d, x->name);
                char ram[2][FORMAT_MAX], pmem[2][FORMAT_MAX];

                if (m && m->ram_bytes == x->ram_bytes && m->pmem_bytes == x->pmem_bytes)
                        continue;
                n++;
                if (!m) {
                        check_summary(add_other_device(c), "libcxl has %s, hwloc does not", x->name);
                        continue;
                }
                check_summary(add_other_device(c), "%s: hwloc has %s volatile and %s persistent of it, libcxl %s and %s",
                              x->name, format_size(m->ram_bytes, ram[0], FORMAT_MAX),
                              format_size(m->pmem_bytes, pmem[0], FORMAT_MAX),
                              format_size(x->ram_bytes, ram[1], FORMAT_MAX), format_size(x->pmem_bytes, pmem[1], FORMAT_MAX));
        }
        for (size_t i = 0; i < d->n_memdevs; i++)
                if (!find_memdev(e, d->memdevs[i].name)) {
                        n++;
                        check_summary(add_other_device(c), "hwloc has %s, libcxl does not", d->memdevs[i].name);
                }
        return n;
}

void compare_with_hwloc(struct checkup *c, const struct expanders *e, const struct hwloc_devices *d) {
        if (compare_regions(c, e, d) + compare_memdevs(c, e, d) > 0)
                return;
        check_summary(checkup_add(c, "cxl-hwloc", CHECK_OK), "hwloc and libcxl agree on the expanders");
}

void look_at_hwloc(struct patient *p) {
        _cleanup_hwloc_devices_ struct hwloc_devices *d = NULL;

        if (!p->expanders || p->expanders->n == 0)
                return;
        /* Expanders are known of the running machine alone. */
        if (hwloc_read_devices(NULL, &d) == 0 && (d->n_dax > 0 || d->n_memdevs > 0))
                compare_with_hwloc(p->c, p->expanders, d);
}
