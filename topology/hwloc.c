/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/hwloc.h"
#include "base/parse.h"
#include "topology/nodes.h"

#include <errno.h>
#include <hwloc.h>
#include <limits.h>
#include <string.h>

/* What hwloc is told about a captured machine. */
static const char *const environment[][2] = {
        { "HWLOC_FSROOT",                      NULL         },
        { "HWLOC_THISSYSTEM",                  "0"          },
        { "HWLOC_COMPONENTS",                  "linux,stop" }, /* not an XML file or a synthetic machine of the caller's */
        { "HWLOC_HIDE_ERRORS",                 "2"          }, /* this room does not print, nor does its library */
        { "HWLOC_KEEP_NVIDIA_GPU_NUMA_NODES",  "1"          },
};

struct saved_environment {
        bool active;
        char *values[ELEMENTSOF(environment)];
};

static void restore_environment(struct saved_environment *saved) {
        for (size_t i = 0; i < ELEMENTSOF(environment); i++) {
                if (saved->active && saved->values[i])
                        (void) setenv(environment[i][0], saved->values[i], 1);
                else if (saved->active)
                        (void) unsetenv(environment[i][0]);
                free(saved->values[i]);
        }
        *saved = (struct saved_environment) {};
}

static int set_environment(const char *root_path, struct saved_environment *saved) {
        for (size_t i = 0; i < ELEMENTSOF(environment); i++) {
                const char *old = getenv(environment[i][0]);

                if (!old)
                        continue;
                saved->values[i] = strdup(old);
                if (!saved->values[i])
                        return -ENOMEM;
        }
        saved->active = true;
        for (size_t i = 0; i < ELEMENTSOF(environment); i++)
                if (setenv(environment[i][0], environment[i][1] ? environment[i][1] : root_path, 1) < 0)
                        return -ENOMEM;
        return 0;
}

enum node_kind hwloc_subtype_kind(const char *subtype) {
        static const struct {
                const char *subtype;
                enum node_kind kind;
        } kinds[] = {
                { "DRAM",      NODE_DRAM },
                { "HBM",       NODE_HBM  },
                { "MCDRAM",    NODE_HBM  },
                { "NVM",       NODE_PMEM },
                { "GPUMemory", NODE_GPU  },
        };

        if (!subtype)
                return NODE_UNKNOWN;
        if (strncmp(subtype, "CXL-", 4) == 0)
                return NODE_CXL;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (strcmp(subtype, kinds[i].subtype) == 0)
                        return kinds[i].kind;
        return NODE_UNKNOWN;
}

/* An attribute's best value over all initiators; 0: unknown. `attribute` holds for both directions where `one` is not known. */
static uint64_t attribute(hwloc_topology_t h, hwloc_obj_t node, hwloc_memattr_id_t one, hwloc_memattr_id_t attribute_of_both) {
        struct hwloc_location initiator;
        hwloc_uint64_t v = 0;

        if (hwloc_memattr_get_best_initiator(h, one, node, 0, &initiator, &v) == 0 && v > 0)
                return v;
        if (hwloc_memattr_get_best_initiator(h, attribute_of_both, node, 0, &initiator, &v) == 0)
                return v;
        return 0;
}

static void read_facts(hwloc_topology_t h, hwloc_obj_t node, struct hwloc_facts *facts) {
        const char *tier = hwloc_obj_get_info_by_name(node, "MemoryTier");

        facts->kind = hwloc_subtype_kind(node->subtype);
        if (!tier || parse_int(tier, 0, INT_MAX, &facts->memory_tier) < 0)
                facts->memory_tier = -1;
        facts->perf = (struct perf) {
                .read_latency_ns = attribute(h, node, HWLOC_MEMATTR_ID_READ_LATENCY, HWLOC_MEMATTR_ID_LATENCY),
                .write_latency_ns = attribute(h, node, HWLOC_MEMATTR_ID_WRITE_LATENCY, HWLOC_MEMATTR_ID_LATENCY),
                .read_bandwidth_mib = attribute(h, node, HWLOC_MEMATTR_ID_READ_BANDWIDTH, HWLOC_MEMATTR_ID_BANDWIDTH),
                .write_bandwidth_mib = attribute(h, node, HWLOC_MEMATTR_ID_WRITE_BANDWIDTH, HWLOC_MEMATTR_ID_BANDWIDTH),
        };
}

static void destroy(hwloc_topology_t *h) {
        if (*h)
                hwloc_topology_destroy(*h);
}

/* 1 when loaded, 0 when hwloc cannot make sense of the machine. `devices`: with those of the operating system. */
static int load(bool devices, hwloc_topology_t *ret) {
        _cleanup_(destroy) hwloc_topology_t h = NULL;

        if (hwloc_topology_init(&h) < 0) {
                h = NULL;
                return errno == ENOMEM ? -ENOMEM : 0;
        }
        /*
         * Nodes that a cpuset cgroup hides are nodes all the same. Only NUMA nodes are wanted, so nothing else is kept; and the
         * x86 component would move this thread from CPU to CPU to ask each, which the kernel's files make needless.
         */
        (void) hwloc_topology_set_flags(h, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
        (void) hwloc_topology_set_all_types_filter(h, HWLOC_TYPE_FILTER_KEEP_NONE);
        if (devices) {
                /* Plugins that would start the drivers of GPUs, or ask an X server, for devices that are not wanted. */
                static const char *const others[] = { "opencl", "cuda", "nvml", "rsmi", "levelzero", "gl" };

                (void) hwloc_topology_set_type_filter(h, HWLOC_OBJ_OS_DEVICE, HWLOC_TYPE_FILTER_KEEP_ALL);
                for (size_t i = 0; i < ELEMENTSOF(others); i++)
                        (void) hwloc_topology_set_components(h, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, others[i]);
        }
        (void) hwloc_topology_set_components(h, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
        if (hwloc_topology_load(h) < 0)
                return errno == ENOMEM ? -ENOMEM : 0;
        *ret = TAKE_PTR(h);
        return 1;
}

int hwloc_read(const struct machine *m, const struct topology *t, struct hwloc_facts *facts) {
        _cleanup_(restore_environment) struct saved_environment saved = {};
        _cleanup_(destroy) hwloc_topology_t h = NULL;
        int r;

        for (size_t i = 0; i < t->n_nodes; i++)
                facts[i] = (struct hwloc_facts) { .kind = NODE_UNKNOWN, .memory_tier = -1 };

        if (m->root_path) {
                r = set_environment(m->root_path, &saved);
                if (r < 0)
                        return r;
        }
        r = load(false, &h);
        if (r <= 0)
                return r;
        for (hwloc_obj_t node = NULL; (node = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_NUMANODE, node));) {
                ssize_t i = node->os_index <= NODE_ID_MAX ? topology_index(t, (int) node->os_index) : -1;

                if (i >= 0)
                        read_facts(h, node, &facts[i]);
        }
        return 0;
}

/* "ACPI0017:00/root0/decoder0.0/region0/dax_region0": the region below a root decoder. (A DIMM's region is below its bus.) */
static int copy_region(const char *parent, char **ret) {
        const char *p = parent ? strstr(parent, "/decoder") : NULL;

        p = p ? strchr(p + 1, '/') : NULL;
        if (!p || strncmp(p + 1, "region", strlen("region")) != 0)
                return 0;
        return copy_printable_line(p + 1, strcspn(p + 1, "/"), ret);
}

/* The attributes of a device follow one another: "DAXDevice", and then where it is from. */
static int add_dax(struct hwloc_devices *d, hwloc_obj_t node) {
        for (unsigned i = 0; i < node->infos_count; i++) {
                const struct hwloc_info_s *info = &node->infos[i];
                int r = 0;

                if (strcmp(info->name, "DAXDevice") == 0) {
                        struct hwloc_dax *dax = reallocarray(d->dax, d->n_dax + 1, sizeof(*dax));

                        if (!dax)
                                return -ENOMEM;
                        d->dax = dax;
                        d->dax[d->n_dax++] = (struct hwloc_dax) { .nid = (int) node->os_index };
                        r = copy_printable_line(info->value, strlen(info->value), &d->dax[d->n_dax - 1].device);
                } else if (strcmp(info->name, "DAXParent") == 0 && d->n_dax > 0 &&
                           d->dax[d->n_dax - 1].nid == (int) node->os_index && !d->dax[d->n_dax - 1].region)
                        r = copy_region(info->value, &d->dax[d->n_dax - 1].region);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* hwloc has sizes in KiB. */
static uint64_t info_bytes(hwloc_obj_t object, const char *name) {
        const char *text = hwloc_obj_get_info_by_name(object, name);
        uint64_t kib;

        return text && parse_u64(text, &kib) == 0 && kib <= UINT64_MAX >> 10 ? kib << 10 : 0;
}

static int add_memdev(struct hwloc_devices *d, hwloc_obj_t object) {
        struct hwloc_memdev *memdevs;

        if (!object->name || !object->subtype || strcmp(object->subtype, "CXLMem") != 0)
                return 0;
        memdevs = reallocarray(d->memdevs, d->n_memdevs + 1, sizeof(*memdevs));
        if (!memdevs)
                return -ENOMEM;
        d->memdevs = memdevs;
        d->memdevs[d->n_memdevs++] = (struct hwloc_memdev) {
                .ram_bytes = info_bytes(object, "CXLRAMSize"),
                .pmem_bytes = info_bytes(object, "CXLPMEMSize"),
        };
        return copy_printable_line(object->name, strlen(object->name), &d->memdevs[d->n_memdevs - 1].name);
}

int hwloc_read_devices(const char *root_path, struct hwloc_devices **ret) {
        _cleanup_(restore_environment) struct saved_environment saved = {};
        _cleanup_hwloc_devices_ struct hwloc_devices *d = calloc(1, sizeof(*d));
        _cleanup_(destroy) hwloc_topology_t h = NULL;
        int r;

        if (!d)
                return -ENOMEM;
        if (root_path) {
                r = set_environment(root_path, &saved);
                if (r < 0)
                        return r;
        }
        r = load(true, &h);
        if (r < 0)
                return r;
        for (hwloc_obj_t o = NULL; r > 0 && (o = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_NUMANODE, o));)
                if (o->os_index <= NODE_ID_MAX && add_dax(d, o) < 0)
                        return -ENOMEM;
        for (hwloc_obj_t o = NULL; r > 0 && (o = hwloc_get_next_obj_by_type(h, HWLOC_OBJ_OS_DEVICE, o));)
                if (add_memdev(d, o) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(d);
        return 0;
}

struct hwloc_devices *hwloc_devices_free(struct hwloc_devices *d) {
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n_dax; i++) {
                free(d->dax[i].device);
                free(d->dax[i].region);
        }
        for (size_t i = 0; i < d->n_memdevs; i++)
                free(d->memdevs[i].name);
        free(d->dax);
        free(d->memdevs);
        free(d);
        return NULL;
}
