/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "base/parse.h"
#include "tierctl/doctor-internal.h"
#include "topology/cxl.h"
#include "topology/iomem.h"
#include "topology/kinds.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/*
 * How expanders are set up. The files: Documentation/ABI/testing/sysfs-bus-cxl, sysfs-bus-dax and sysfs-devices-memory of the
 * kernel's sources; the cures are those of cxl(1) and daxctl(1).
 */

#define DAX_DIRECTORY "sys/bus/dax/devices"
#define MEMORY_DIRECTORY "sys/devices/system/memory"
#define PLATFORM_DIRECTORY "sys/bus/platform/devices"

static void look_at_region(struct patient *p, const struct expanders *e, const struct expander_region *r) {
        char size[FORMAT_MAX];
        struct check *k;

        (void) format_size(r->range.end - r->range.start, size, sizeof(size));
        if (!r->committed) {
                k = checkup_add(p->c, "cxl-region", CHECK_WARNING);
                check_summary(k, "%s is not committed", r->name);
                check_meaning(k, "Its decoders are not set, so no address leads to its memory, and no node has it.");
                check_action(k, "Make it anew: cxl destroy-region %s, then cxl create-region.", r->name);
        } else if (!r->enabled) {
                k = checkup_add(p->c, "cxl-region", CHECK_WARNING);
                check_summary(k, "%s (%s) is disabled", r->name, size);
                check_meaning(k, "No driver has it, so its memory is on no node.");
                check_action(k, "Enable it with cxl enable-region %s, then online its memory with daxctl.", r->name);
        }
        if (r->qos_mismatch) {
                k = checkup_add(p->c, "cxl-qos", CHECK_WARNING);
                check_summary(k, "%s: the QoS class of its devices is not that of its window", r->name);
                check_meaning(k, "The platform puts the latency and bandwidth of this region into another class than its "
                                 "devices have; the tier that the kernel gives its node may be wrong.");
                check_action(k,
                             "Create the region below a root decoder of the devices' class (cxl list -DMv), or name the tiers "
                             "in /etc/tierd.yaml.");
        }
        for (size_t i = 1; i < r->n_expanders; i++) {
                const struct expander *a = &e->items[r->expanders[0]], *b = &e->items[r->expanders[i]];

                if (a->near_node < 0 || b->near_node < 0 || a->near_node == b->near_node)
                        continue;
                k = checkup_add(p->c, "cxl-interleave", CHECK_WARNING);
                check_summary(k, "%s interleaves %s next to node %d with %s next to node %d", r->name, a->name, a->near_node,
                              b->name, b->near_node);
                check_meaning(k, "Every page of it is partly behind the other socket, so that it is near to neither.");
                check_action(k,
                             "Make a region for each socket's devices: cxl destroy-region %s, then cxl create-region for each.",
                             r->name);
                break;
        }
}

/* Volatile memory that nobody made a region of. */
static void look_at_unused(struct patient *p, const struct expander *x) {
        char size[FORMAT_MAX];
        struct check *k;

        if (x->in_region || x->ram_bytes == 0)
                return;
        k = checkup_add(p->c, "cxl-unused", CHECK_WARNING);
        check_summary(k, "%s (serial %#" PRIx64 ", %s) is in no region", x->name, x->serial,
                      format_size(x->ram_bytes, size, sizeof(size)));
        check_meaning(k, "Its memory has no addresses, and no node has it.");
        check_action(k,
                     "Create a region below a root decoder that takes it (cxl list -Di -d root): "
                     "cxl create-region -t ram -d decoder0.0 -w 1 -m %s.",
                     x->name);
}

/* The last part of a link's target. */
static const char *last_part(const char *target) {
        const char *slash = strrchr(target, '/');

        return slash ? slash + 1 : target;
}

static void look_at_dax_device(struct patient *p, const char *name) {
        char path[PATH_SIZE], link[PATH_MAX], driver[PATH_MAX] = "";
        enum node_kind kind = NODE_UNKNOWN;
        struct check *k;
        int r;

        if (path_format(path, sizeof(path), DAX_DIRECTORY "/%s", name) == 0 &&
            file_read_link(p->root, path, link, sizeof(link)) >= 0)
                kind = kinds_of_dax_link(link);
        if (path_format(path, sizeof(path), DAX_DIRECTORY "/%s/driver", name) < 0)
                return;
        r = file_read_link(p->root, path, driver, sizeof(driver));
        if (r < 0 && r != -ENOENT)
                return;
        if (strcmp(last_part(driver), "kmem") == 0)
                return;
        /* Persistent memory is left to programs on purpose, more often than not. */
        k = checkup_add(p->c, "dax-mode", kind == NODE_PMEM ? CHECK_INFO : CHECK_WARNING);
        if (r < 0)
                check_summary(k, "%s has no driver", name);
        else
                check_summary(k, "%s is in devdax mode", name);
        check_meaning(k, "Its memory is there for programs that open /dev/%s, not for the system: no node has it.", name);
        check_action(k,
                     "For memory of the system: daxctl reconfigure-device --mode=system-ram %s (kernel module kmem); with "
                     "--force where "
                     "the kernel onlines memory by itself.",
                     name);
}

static void look_at_dax(struct patient *p) {
        char **names = NULL;
        size_t n = 0;

        if (dir_read_names(p->root, DAX_DIRECTORY, "dax", &names, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++)
                look_at_dax_device(p, names[i]);
        (void) names_free(names, n);
}

/* The zone of an online block: "Movable", or "Normal", "DMA32", … `valid_zones` of a block that is online names its own. */
static bool block_is_unmovable(int root, uint64_t block) {
        char path[PATH_SIZE], text[64];

        if (path_format(path, sizeof(path), MEMORY_DIRECTORY "/memory%" PRIu64 "/state", block) < 0 ||
            file_read_line(root, path, text, sizeof(text)) < 0 || strcmp(text, "online") != 0)
                return false;
        if (path_format(path, sizeof(path), MEMORY_DIRECTORY "/memory%" PRIu64 "/valid_zones", block) < 0 ||
            file_read_line(root, path, text, sizeof(text)) < 0)
                return false;
        return strcmp(text, "Movable") != 0 && strcmp(text, "none") != 0;
}

static void look_at_zones(struct patient *p, const struct expander_region *r, uint64_t block_size) {
        uint64_t unmovable = 0, blocks = 0;
        struct check *k;

        for (uint64_t b = r->range.start / block_size; b < r->range.end / block_size; b++, blocks++)
                unmovable += block_is_unmovable(p->root, b);
        if (unmovable == 0)
                return;
        k = checkup_add(p->c, "cxl-zone", CHECK_WARNING);
        check_summary(k, "%s: %" PRIu64 " of %" PRIu64 " memory blocks are online in a kernel zone", r->name, unmovable,
                      blocks);
        check_meaning(
                k, "The kernel keeps data of its own there, slow to reach, that neither tierd nor anybody else can move: the "
                   "expander cannot be taken away before the next boot.");
        check_action(
                k,
                "Take it offline with daxctl offline-memory and online it again as movable, which daxctl online-memory does; "
                "where that fails, at the next boot, before anything else uses it.");
}

/* What becomes of memory that is added: an expander's, most often. */
static void look_at_policy(struct patient *p) {
        char text[64];
        struct check *k;

        if (file_read_line(p->root, MEMORY_DIRECTORY "/auto_online_blocks", text, sizeof(text)) < 0)
                return;
        k = checkup_add(p->c, "auto-online", CHECK_OK);
        if (strcmp(text, "online_movable") == 0) {
                check_summary(k, "memory that is added goes online as movable");
                return;
        }
        k->state = CHECK_WARNING;
        if (strcmp(text, "offline") == 0) {
                check_summary(k, "memory that is added stays offline");
                check_meaning(k, "An expander serves only after somebody has onlined each of its blocks.");
        } else {
                check_summary(k, "memory that is added goes online in the kernel's choice of zone (%s)", text);
                check_meaning(
                        k,
                        "The kernel may then keep data of its own on an expander, which is slow, and keeps it from ever being "
                        "removed.");
        }
        check_action(k, "Write online_movable to /sys/devices/system/memory/auto_online_blocks, at boot by "
                        "memhp_default_state=online_movable; or leave onlining to daxctl.");
}

static struct check *add_soft_reserved(struct patient *p) {
        struct check *k = checkup_add(p->c, "soft-reserved", CHECK_WARNING);

        check_meaning(k,
                      "Such memory (\"Soft Reserved\", most often an expander's or HBM) becomes a node's only by way of a dax "
                      "device.");
        check_action(
                k, "Load the drivers (modprobe -a cxl_acpi cxl_pci dax_cxl dax_hmem kmem), then daxctl reconfigure-device "
                   "--mode=system-ram for the device that comes; or boot with efi=nosoftreserve, which makes it plain memory.");
        return k;
}

/*
 * By addresses, as kernels show them that have soft reserved ranges in iomem (6.12 and 6.18 do, 7.2 does not). How many there
 * are, with a driver or without.
 */
static size_t look_at_soft_ranges(struct patient *p) {
        const struct machine m = { .root = p->root };
        _cleanup_iomem_ struct iomem iomem = {};

        if (iomem_read(&m, &iomem) != 0)
                return 0;
        for (size_t i = 0; i < iomem.soft.n; i++) {
                const struct mem_range *range = &iomem.soft.items[i];
                const struct range_list one = { .items = iomem.soft.items + i, .n = 1 };
                char size[FORMAT_MAX];

                if (range_list_common_bytes(&one, &iomem.ram) > 0 || range_list_common_bytes(&one, &iomem.dax) > 0)
                        continue;
                check_summary(add_soft_reserved(p),
                              "%s of memory at %#" PRIx64 " are reserved by the firmware, and no driver has them",
                              format_size(range->end - range->start, size, sizeof(size)), range->start);
        }
        return iomem.soft.n;
}

/*
 * By the kernel's devices for it: "hmem_platform.0", which is there where such memory is and which the module dax_hmem drives,
 * and "hmem.0" for each range, which that module makes (drivers/dax/hmem).
 */
static void look_at_soft_devices(struct patient *p) {
        char **names = NULL;
        size_t n = 0;

        if (dir_read_names(p->root, PLATFORM_DIRECTORY, "hmem", &names, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                char path[PATH_SIZE];

                if (path_format(path, sizeof(path), PLATFORM_DIRECTORY "/%s/driver", names[i]) == 0 &&
                    file_exists(p->root, path) == 0)
                        check_summary(add_soft_reserved(p), "the firmware has reserved memory, and %s has no driver", names[i]);
        }
        (void) names_free(names, n);
}

void look_at_expanders(struct patient *p) {
        const struct expanders *e = p->expanders;
        uint64_t block_size = 0;

        if (look_at_soft_ranges(p) == 0)
                look_at_soft_devices(p);
        look_at_dax(p);
        if (!e || e->n == 0)
                return;
        (void) file_read_hex_u64(p->root, MEMORY_DIRECTORY "/block_size_bytes", &block_size);
        for (size_t i = 0; i < e->n_regions; i++) {
                look_at_region(p, e, &e->regions[i]);
                if (block_size > 0)
                        look_at_zones(p, &e->regions[i], block_size);
        }
        for (size_t i = 0; i < e->n; i++)
                look_at_unused(p, &e->items[i]);
        look_at_policy(p);
}
