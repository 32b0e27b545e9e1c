/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/topology.h"
#include "topology/blocks.h"
#include "topology/hmat.h"
#include "topology/hwloc.h"
#include "topology/iomem.h"
#include "topology/kinds.h"
#include "topology/memtiers.h"
#include "topology/neighbours.h"
#include "topology/nodes.h"
#include "topology/rank.h"

#include <errno.h>
#include <stdlib.h>

/* What is known of the machine beside the topology while it is being made. Arrays by index into t->nodes. */
struct reading {
        size_t n;
        struct range_list *blocks;
        struct iomem iomem;
        struct hwloc_facts *facts;
        struct perf *attributes, *access1, *access0;    /* hwloc's memory attributes, and the kernel's two classes */
        bool *has_memory;               /* memory that pages can be put on */
        bool *part;                     /* takes part in the ranking: has memory, and is not a GPU's */
        bool *local;                    /* see rank_mark_local() */
        enum node_kind *kinds;          /* as hwloc names them */
        uint64_t *keys;
};

static void reading_done(struct reading *r) {
        for (size_t i = 0; r->blocks && i < r->n; i++)
                range_list_done(&r->blocks[i]);
        free(r->blocks);
        iomem_done(&r->iomem);
        free(r->facts);
        free(r->attributes);
        free(r->access1);
        free(r->access0);
        free(r->has_memory);
        free(r->part);
        free(r->local);
        free(r->kinds);
        free(r->keys);
}

static int reading_init(struct reading *r, size_t n) {
        r->n = n;
        r->blocks = calloc(n, sizeof(*r->blocks));
        r->facts = calloc(n, sizeof(*r->facts));
        r->attributes = calloc(n, sizeof(*r->attributes));
        r->access1 = calloc(n, sizeof(*r->access1));
        r->access0 = calloc(n, sizeof(*r->access0));
        r->has_memory = calloc(n, sizeof(*r->has_memory));
        r->part = calloc(n, sizeof(*r->part));
        r->local = calloc(n, sizeof(*r->local));
        r->kinds = calloc(n, sizeof(*r->kinds));
        r->keys = calloc(n, sizeof(*r->keys));
        if (!r->blocks || !r->facts || !r->attributes || !r->access1 || !r->access0 || !r->has_memory || !r->part ||
            !r->local || !r->kinds || !r->keys)
                return -ENOMEM;
        return 0;
}

struct topology *topology_free(struct topology *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_nodes; i++)
                free(t->nodes[i].ranges);
        free(t->nodes);
        free(t->distances);
        free(t);
        return NULL;
}

/* Moves each node's ranges into it, cut to System RAM where that is known. */
static int take_ranges(struct topology *t, struct reading *reading, bool cut) {
        for (size_t i = 0; i < t->n_nodes; i++) {
                _cleanup_ranges_ struct range_list ranges = {};

                if (cut) {
                        int r;

                        r = range_list_intersect(&reading->blocks[i], &reading->iomem.ram, &ranges);
                        if (r < 0)
                                return r;
                } else {
                        ranges = reading->blocks[i];
                        reading->blocks[i] = (struct range_list) {};
                }
                t->nodes[i].n_ranges = ranges.n;
                t->nodes[i].ranges = TAKE_PTR(ranges.items);
        }
        return 0;
}

static bool is_known(const struct perf *p) {
        return p->read_latency_ns || p->write_latency_ns || p->read_bandwidth_mib || p->write_bandwidth_mib;
}

/* The figures shown and used to break ties: all of the first source that knows the node at all. */
static void take_figures(struct topology *t, const struct reading *reading) {
        const struct perf *const sources[] = { reading->attributes, reading->access1, reading->access0 };

        for (size_t i = 0; i < t->n_nodes; i++)
                for (size_t k = 0; k < ELEMENTSOF(sources); k++) {
                        const struct perf *p = &sources[k][i];

                        if (!is_known(p))
                                continue;
                        t->nodes[i].read_latency_ns = p->read_latency_ns;
                        t->nodes[i].write_latency_ns = p->write_latency_ns;
                        t->nodes[i].read_bandwidth_mib = p->read_bandwidth_mib;
                        t->nodes[i].write_bandwidth_mib = p->write_bandwidth_mib;
                        break;
                }
}

/* The sources below the configuration, in their order: the first that ranks every node wins. */
static int rank_automatically(const struct machine *m, struct topology *t, struct reading *reading) {
        const struct perf *const sources[] = { reading->attributes, reading->access1, reading->access0 };
        size_t n_part = 0;
        int r;

        for (size_t i = 0; i < t->n_nodes; i++)
                n_part += reading->part[i];

        /* A single node needs no source: the last one, which knows a place for every node, has the say. */
        if (n_part > 1) {
                r = memtiers_read(m, t, reading->keys);
                if (r < 0)
                        return r;
                t->rank_source = RANK_MEMORY_TIERING;
                if (rank_keys_suffice(t, reading->part, reading->keys, true))
                        return rank_assign(t, reading->part, reading->keys);

                t->rank_source = RANK_HMAT;
                for (size_t k = 0; k < ELEMENTSOF(sources); k++) {
                        r = hmat_keys(t, reading->part, reading->local, sources[k], reading->keys);
                        if (r < 0)
                                return r;
                        if (r != RANK_UNRANKED)
                                return rank_assign(t, reading->part, reading->keys);
                }

                /* One name for all tells nothing of their order; only names that differ rank. */
                t->rank_source = RANK_HWLOC;
                for (size_t i = 0; i < t->n_nodes; i++)
                        reading->keys[i] =
                                reading->facts[i].memory_tier < 0 ? RANK_NO_KEY : (uint64_t) reading->facts[i].memory_tier;
                if (rank_keys_suffice(t, reading->part, reading->keys, true))
                        return rank_assign(t, reading->part, reading->keys);
                rank_keys_by_kind(t, reading->part, reading->local, reading->kinds, reading->keys);
                if (rank_keys_suffice(t, reading->part, reading->keys, true))
                        return rank_assign(t, reading->part, reading->keys);
        }

        t->rank_source = RANK_DISTANCE;
        rank_keys_by_distance(t, reading->part, reading->local, reading->keys);
        return rank_assign(t, reading->part, reading->keys);
}

int topology_read(int root, const char *root_path, const struct tier_list *tiers, struct topology **ret, struct diag *reterr) {
        const struct machine m = { .root = root, .root_path = root_path, .reterr = reterr };
        _cleanup_(reading_done) struct reading reading = {};
        _cleanup_topology_ struct topology *t = NULL;
        struct idset has_memory;
        bool iomem_known;
        int r;

        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        r = nodes_read(&m, t, &has_memory);
        if (r < 0)
                return r;
        r = reading_init(&reading, t->n_nodes);
        if (r < 0)
                return r;

        r = blocks_read(&m, t, reading.blocks);
        if (r < 0)
                return r;
        r = iomem_read(&m, &reading.iomem);
        if (r < 0)
                return r;
        iomem_known = r != IOMEM_UNREADABLE;
        r = hwloc_read(&m, t, reading.facts);
        if (r < 0)
                return r;
        r = hmat_read(&m, t, 1, reading.access1);
        if (r < 0)
                return r;
        r = hmat_read(&m, t, 0, reading.access0);
        if (r < 0)
                return r;
        r = kinds_read(&m, t, reading.blocks, &reading.iomem, reading.facts);
        if (r < 0)
                return r;

        for (size_t i = 0; i < t->n_nodes; i++) {
                reading.attributes[i] = reading.facts[i].perf;
                reading.kinds[i] = reading.facts[i].kind;
                reading.has_memory[i] = t->nodes[i].memory_bytes > 0 && idset_has(&has_memory, (unsigned) t->nodes[i].id);
                reading.part[i] = reading.has_memory[i] && t->nodes[i].kind != NODE_GPU;
        }
        rank_mark_local(t, reading.part, reading.local);
        take_figures(t, &reading);
        kinds_guess(t, reading.local);

        r = take_ranges(t, &reading, iomem_known);
        if (r < 0)
                return r;

        if (tiers) {
                t->rank_source = RANK_CONFIG;
                r = rank_by_config(t, reading.has_memory, tiers, reterr);
        } else
                r = rank_automatically(&m, t, &reading);
        if (r < 0)
                return r;
        neighbours_choose(t);

        *ret = TAKE_PTR(t);
        return 0;
}

const struct node *topology_node(const struct topology *t, int id) {
        ssize_t i = topology_index(t, id);

        return i < 0 ? NULL : &t->nodes[i];
}

size_t topology_count_cpu_nodes(const struct topology *t) {
        size_t n = 0;

        for (size_t i = 0; i < t->n_nodes; i++)
                n += !idset_is_empty(&t->nodes[i].cpus);
        return n;
}

unsigned topology_distance(const struct topology *t, int from, int to) {
        ssize_t i = topology_index(t, from), k = topology_index(t, to);

        return i < 0 || k < 0 ? 0 : t->distances[(size_t) i * t->n_nodes + (size_t) k];
}

const char *node_kind_to_string(enum node_kind kind) {
        static const char *const names[_NODE_KIND_MAX] = {
                [NODE_UNKNOWN] = "unknown",
                [NODE_DRAM] = "dram",
                [NODE_HBM] = "hbm",
                [NODE_CXL] = "cxl",
                [NODE_PMEM] = "pmem",
                [NODE_GPU] = "gpu",
        };

        return kind < _NODE_KIND_MAX ? names[kind] : "unknown";
}

const char *rank_source_to_string(enum rank_source source) {
        static const char *const names[_RANK_SOURCE_MAX] = {
                [RANK_CONFIG] = "config",
                [RANK_MEMORY_TIERING] = "memory_tiering",
                [RANK_HMAT] = "hmat",
                [RANK_HWLOC] = "hwloc",
                [RANK_DISTANCE] = "distance",
        };

        return source < _RANK_SOURCE_MAX ? names[source] : "unknown";
}
