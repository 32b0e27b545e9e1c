/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/kinds.h"
#include "base/file.h"
#include "base/parse.h"
#include "topology/nodes.h"
#include "topology/parse.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define CXL_DIRECTORY "sys/bus/cxl/devices"
#define DAX_DIRECTORY "sys/bus/dax/devices"
#define NVIDIA_DIRECTORY "proc/driver/nvidia/gpus"

struct names {
        char **items;
        size_t n;
};

static void names_done(struct names *names) {
        (void) names_free(names->items, names->n);
}

/* A directory that is missing or forbidden holds nothing that helps. */
static int list(const struct machine *m, const char *path, const char *prefix, struct names *ret) {
        int r;

        r = dir_read_names(m->root, path, prefix, &ret->items, &ret->n);
        if (r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -EPERM)
                return 0;
        return r < 0 ? machine_fail_read(m, r, path) : 0;
}

/* An attribute that is missing, hidden from this reader, or of a device that is going away: no hint. Garbage is an error. */
static bool is_silence(int r) {
        return r == -ENOENT || r == -EACCES || r == -EPERM || r == -ENXIO || r == -ENODEV;
}

/* The ranges of CXL regions, whether or not iomem can be read. */
static int read_regions(const struct machine *m, struct range_list *regions) {
        _cleanup_(names_done) struct names names = {};
        int r;

        r = list(m, CXL_DIRECTORY, "region", &names);
        if (r < 0)
                return r;
        for (size_t i = 0; i < names.n; i++) {
                char path[PATH_SIZE];
                uint64_t start = 0, size = 0, end;

                r = path_format(path, sizeof(path), CXL_DIRECTORY "/%s/resource", names.items[i]);
                if (r < 0)
                        return r;
                r = file_read_hex_u64(m->root, path, &start);
                if (r == 0) {
                        r = path_format(path, sizeof(path), CXL_DIRECTORY "/%s/size", names.items[i]);
                        if (r < 0)
                                return r;
                        r = file_read_hex_u64(m->root, path, &size);
                }
                if (is_silence(r))
                        continue;
                if (r < 0)
                        return machine_fail_read(m, r, path);
                /* A region without addresses yet has all bits set. */
                if (__builtin_add_overflow(start, size, &end))
                        continue;
                r = range_list_add(regions, start, end);
                if (r < 0)
                        return r;
        }
        range_list_merge(regions);
        return 0;
}

/* "../../../devices/platform/ACPI0017:00/root0/decoder0.0/region0/dax_region0/dax0.0" or ".../ndbus0/region0/dax0.0/dax0.0" */
enum node_kind kinds_of_dax_link(const char *target) {
        if (strstr(target, "/ndbus"))
                return NODE_PMEM;
        if (strstr(target, "/dax_region"))
                return NODE_CXL;
        return NODE_UNKNOWN;
}

static int read_dax(const struct machine *m, struct topology *t) {
        _cleanup_(names_done) struct names names = {};
        int r;

        r = list(m, DAX_DIRECTORY, "dax", &names);
        if (r < 0)
                return r;
        for (size_t i = 0; i < names.n; i++) {
                char path[PATH_SIZE], text[64];
                char target[PATH_MAX];
                enum node_kind kind;
                ssize_t k;
                int nid;

                r = path_format(path, sizeof(path), DAX_DIRECTORY "/%s", names.items[i]);
                if (r < 0)
                        return r;
                r = file_read_link(m->root, path, target, sizeof(target));
                if (r == -EINVAL || is_silence(r)) /* a capture may have resolved its links */
                        continue;
                if (r < 0)
                        return machine_fail_read(m, r, path);
                kind = kinds_of_dax_link(target);

                r = path_format(path, sizeof(path), DAX_DIRECTORY "/%s/target_node", names.items[i]);
                if (r < 0)
                        return r;
                r = file_read_line(m->root, path, text, sizeof(text));
                if (is_silence(r))
                        continue;
                if (r >= 0 && parse_int(text, -1, INT_MAX, &nid) < 0)
                        r = -EBADMSG;
                if (r < 0)
                        return machine_fail_read(m, r, path);
                /*
                 * Firmware may give a device the node of the CPUs next to it; then the node is DRAM with something added. A
                 * hint, so it yields to what the addresses said.
                 */
                k = nid >= 0 ? topology_index(t, nid) : -1;
                if (k >= 0 && idset_is_empty(&t->nodes[k].cpus) && t->nodes[k].kind == NODE_UNKNOWN)
                        t->nodes[k].kind = kind;
        }
        return 0;
}

static int read_gpus(const struct machine *m, struct topology *t) {
        _cleanup_(names_done) struct names names = {};
        int r;

        r = list(m, NVIDIA_DIRECTORY, "", &names);
        if (r < 0)
                return r;
        for (size_t i = 0; i < names.n; i++) {
                char path[PATH_SIZE], text[FILE_ATTR_MAX];
                ssize_t k;
                int nid;

                r = path_format(path, sizeof(path), NVIDIA_DIRECTORY "/%s/numa_status", names.items[i]);
                if (r < 0)
                        return r;
                r = file_read(m->root, path, text, sizeof(text));
                if (is_silence(r))
                        continue;
                if (r >= 0)
                        r = parse_gpu_node(text, &nid);
                if (r < 0)
                        return machine_fail_read(m, r, path);
                k = nid >= 0 ? topology_index(t, nid) : -1;
                if (k >= 0 && idset_is_empty(&t->nodes[k].cpus))
                        t->nodes[k].kind = NODE_GPU;
        }
        return 0;
}

static bool is_most(const struct range_list *blocks, const struct range_list *of_kind) {
        uint64_t bytes = range_list_common_bytes(blocks, of_kind);

        return bytes > 0 && bytes >= range_list_bytes(blocks) - bytes;
}

int kinds_read(const struct machine *m, struct topology *t, const struct range_list *blocks, const struct iomem *iomem,
               const struct hwloc_facts *facts) {
        _cleanup_ranges_ struct range_list regions = {};
        int r;

        r = read_regions(m, &regions);
        if (r < 0)
                return r;
        for (size_t i = 0; i < t->n_nodes; i++) {
                struct node *node = &t->nodes[i];

                node->kind = NODE_UNKNOWN;
                if (is_most(&blocks[i], &iomem->gpu) || facts[i].kind == NODE_GPU)
                        node->kind = NODE_GPU;
                else if (is_most(&blocks[i], &iomem->pmem))
                        node->kind = NODE_PMEM;
                else if (is_most(&blocks[i], &iomem->cxl) || is_most(&blocks[i], &regions))
                        node->kind = NODE_CXL;
        }
        r = read_gpus(m, t);
        if (r < 0)
                return r;
        r = read_dax(m, t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < t->n_nodes; i++)
                if (t->nodes[i].kind == NODE_UNKNOWN)
                        t->nodes[i].kind = facts[i].kind;
        return 0;
}

void kinds_guess(struct topology *t, const bool *local) {
        const struct node *dram = NULL;

        for (size_t i = 0; i < t->n_nodes; i++) {
                struct node *node = &t->nodes[i];

                if (local[i] && node->kind == NODE_UNKNOWN)
                        node->kind = NODE_DRAM;
                if (local[i] && node->kind == NODE_DRAM && node->read_latency_ns > 0 &&
                    (!dram || node->read_bandwidth_mib > dram->read_bandwidth_mib))
                        dram = node;
        }
        if (!dram || dram->read_bandwidth_mib == 0)
                return;
        for (size_t i = 0; i < t->n_nodes; i++) {
                struct node *node = &t->nodes[i];

                if (node->kind == NODE_UNKNOWN && node->memory_bytes > 0 && idset_is_empty(&node->cpus) &&
                    node->read_bandwidth_mib / 2 >= dram->read_bandwidth_mib && node->read_latency_ns > 0 &&
                    node->read_latency_ns / 2 <= dram->read_latency_ns)
                        node->kind = NODE_HBM;
        }
}
