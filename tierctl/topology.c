/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/topology.h"
#include "base/parse.h"
#include "tierctl/table.h"
#include "tierctl/tierctl.h"
#include "tierctl/topology-cxl.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

/* Room for the longest list of IDSET_MAX ids: every other one, five bytes each. */
#define IDS_TEXT_MAX (IDSET_MAX / 2 * 5 + 1)

static json_object *ids_to_json(const struct idset *ids) {
        json_object *array = json_object_new_array();

        IDSET_FOREACH(id, ids)
                (void) json_object_array_add(array, json_object_new_int(id));
        return array;
}

static json_object *ranges_to_json(const struct node *node) {
        json_object *array = json_object_new_array();

        for (size_t i = 0; i < node->n_ranges; i++) {
                json_object *range = json_object_new_array();

                (void) json_object_array_add(range, json_object_new_uint64(node->ranges[i].start));
                (void) json_object_array_add(range, json_object_new_uint64(node->ranges[i].end));
                (void) json_object_array_add(array, range);
        }
        return array;
}

static json_object *node_to_json(const struct node *node, const struct expanders *e, char *text) {
        json_object *o = json_object_new_object();

        (void) idset_format(&node->cpus, text, IDS_TEXT_MAX);
        (void) json_object_object_add(o, "id", json_object_new_int(node->id));
        (void) json_object_object_add(o, "tier", node->tier >= 0 ? json_object_new_int(node->tier) : NULL);
        (void) json_object_object_add(o, "kind", json_object_new_string(node_kind_to_string(node->kind)));
        (void) json_object_object_add(o, "cpus", json_object_new_string(text));
        (void) json_object_object_add(o, "memory_bytes", json_object_new_uint64(node->memory_bytes));
        (void) json_object_object_add(o, "ranges", ranges_to_json(node));
        (void) json_object_object_add(o, "upper", ids_to_json(&node->upper));
        (void) json_object_object_add(o, "lower", ids_to_json(&node->lower));
        (void) json_object_object_add(o, "read_latency_ns", number_or_null(node->read_latency_ns));
        (void) json_object_object_add(o, "read_bandwidth_mib", number_or_null(node->read_bandwidth_mib));
        (void) json_object_object_add(o, "cxl", cxl_node_to_json(e, node->id));
        return o;
}

static int print_json(const struct topology *t, const struct expanders *e) {
        _cleanup_free_ char *text = malloc(IDS_TEXT_MAX);
        json_object *root, *tiers, *nodes;

        if (!text)
                return -ENOMEM;
        tiers = json_object_new_array();
        for (size_t tier = 0; tier < t->n_tiers; tier++) {
                json_object *members = json_object_new_array();

                for (size_t i = 0; i < t->n_nodes; i++)
                        if (t->nodes[i].tier == (int) tier)
                                (void) json_object_array_add(members, json_object_new_int(t->nodes[i].id));
                (void) json_object_array_add(tiers, members);
        }
        nodes = json_object_new_array();
        for (size_t i = 0; i < t->n_nodes; i++)
                (void) json_object_array_add(nodes, node_to_json(&t->nodes[i], e, text));

        root = json_object_new_object();
        (void) json_object_object_add(root, "rank_source", json_object_new_string(rank_source_to_string(t->rank_source)));
        (void) json_object_object_add(root, "tiers", tiers);
        (void) json_object_object_add(root, "nodes", nodes);
        (void) json_object_object_add(root, "cxl", cxl_to_json(e));
        (void) puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                                 JSON_C_TO_STRING_NOSLASHESCAPE));
        (void) json_object_put(root);
        return 0;
}

static const char *source_in_words(enum rank_source source) {
        static const char *const words[_RANK_SOURCE_MAX] = {
                [RANK_CONFIG] = "the configuration",
                [RANK_MEMORY_TIERING] = "the kernel's memory tiers",
                [RANK_HMAT] = "latency and bandwidth (HMAT)",
                [RANK_HWLOC] = "the sort of memory, as hwloc names it",
                [RANK_DISTANCE] = "distance to the nearest CPUs",
        };

        return words[source];
}

static const char *left_out_because(const struct node *node) {
        if (node->memory_bytes == 0)
                return "it has no memory";
        if (node->kind == NODE_GPU)
                return "GPU memory is left alone unless the configuration names it";
        return "the kernel does not list it among the nodes that have memory";
}

/* "-" for what there is not, or is not known. */
static int add_ids(struct table *table, const struct idset *ids, char *text) {
        int n;

        n = idset_format(ids, text, IDS_TEXT_MAX);
        if (n < 0)
                return n;
        return table_add(table, "%s", n > 0 ? text : "-");
}

static int add_node(struct table *table, const struct node *node, char *text) {
        char size[FORMAT_MAX];
        int r;

        r = node->tier >= 0 ? table_add(table, "%d", node->tier) : table_add(table, "-");
        if (r == 0)
                r = table_add(table, "%d", node->id);
        if (r == 0)
                r = table_add(table, "%s", node_kind_to_string(node->kind));
        if (r == 0)
                r = table_add(table, "%s", node->memory_bytes > 0 ? format_size(node->memory_bytes, size, sizeof(size)) : "-");
        if (r == 0)
                r = node->read_latency_ns > 0 ? table_add(table, "%" PRIu64 " ns", node->read_latency_ns)
                                              : table_add(table, "-");
        if (r == 0)
                r = node->read_bandwidth_mib > 0
                            ? table_add(table, "%s/s",
                                        format_size(MIN(node->read_bandwidth_mib, UINT64_MAX >> 20) << 20, size, sizeof(size)))
                            : table_add(table, "-");
        if (r == 0)
                r = add_ids(table, &node->upper, text);
        if (r == 0)
                r = add_ids(table, &node->lower, text);
        if (r == 0)
                r = add_ids(table, &node->cpus, text);
        return r;
}

static int print_nodes(const struct topology *t, bool colour) {
        static const struct table_column columns[] = {
                { "TIER",      ALIGN_RIGHT },
                { "NODE",      ALIGN_RIGHT },
                { "KIND",      ALIGN_LEFT  },
                { "MEMORY",    ALIGN_RIGHT },
                { "LATENCY",   ALIGN_RIGHT },
                { "BANDWIDTH", ALIGN_RIGHT },
                { "UP TO",     ALIGN_LEFT  },
                { "DOWN TO",   ALIGN_LEFT  },
                /* Last, because it may be long: some firmware deals CPUs out to the nodes one by one. */
                { "CPUS",      ALIGN_LEFT  },
        };
        _cleanup_free_ char *text = malloc(IDS_TEXT_MAX);
        _cleanup_table_ struct table *table = table_new(columns, ELEMENTSOF(columns));

        if (!text || !table)
                return -ENOMEM;
        /* From the fastest tier down, and last what stands in none. */
        for (size_t tier = 0; tier <= t->n_tiers; tier++)
                for (size_t i = 0; i < t->n_nodes; i++) {
                        int r;

                        if (t->nodes[i].tier != (tier < t->n_tiers ? (int) tier : -1))
                                continue;
                        r = add_node(table, &t->nodes[i], text);
                        if (r < 0)
                                return r;
                }
        table_print(table, stdout, colour);
        return 0;
}

static int print_ranges(const struct topology *t, bool colour) {
        static const struct table_column columns[] = {
                { "NODE",  ALIGN_RIGHT },
                { "START", ALIGN_RIGHT },
                { "END",   ALIGN_RIGHT },
                { "SIZE",  ALIGN_RIGHT },
        };
        _cleanup_table_ struct table *table = table_new(columns, ELEMENTSOF(columns));
        size_t n = 0;

        if (!table)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_nodes; i++)
                for (size_t k = 0; k < t->nodes[i].n_ranges; k++, n++) {
                        const struct mem_range *range = &t->nodes[i].ranges[k];
                        char size[FORMAT_MAX];
                        int r;

                        r = table_add(table, "%d", t->nodes[i].id);
                        if (r == 0)
                                r = table_add(table, "%#" PRIx64, range->start);
                        if (r == 0)
                                r = table_add(table, "%#" PRIx64, range->end);
                        if (r == 0)
                                r = table_add(table, "%s", format_size(range->end - range->start, size, sizeof(size)));
                        if (r < 0)
                                return r;
                }
        if (n == 0) {
                (void) puts("\nPhysical ranges: not known, the kernel shows no memory blocks.");
                return 0;
        }
        (void) puts("\nPhysical ranges, END is the first address after:\n");
        table_print(table, stdout, colour);
        return 0;
}

static int print_text(const struct topology *t, const struct expanders *e) {
        bool colour = table_use_colour(stdout), apart = false;
        int r;

        if (t->n_tiers == 0)
                (void) puts("No node has memory to be tiered: nothing to manage.\n");
        else if (t->n_tiers == 1)
                (void) printf("One tier, ranked by %s: nothing to manage.\n\n", source_in_words(t->rank_source));
        else
                (void) printf("%zu tiers, fastest first, ranked by %s.\n\n", t->n_tiers, source_in_words(t->rank_source));
        r = print_nodes(t, colour);
        if (r < 0)
                return r;
        for (size_t i = 0; i < t->n_nodes; i++) {
                if (t->nodes[i].tier >= 0)
                        continue;
                (void) printf("%sNode %d stands in no tier: %s.\n", apart ? "" : "\n", t->nodes[i].id,
                              left_out_because(&t->nodes[i]));
                apart = true;
        }
        r = cxl_print(e, colour);
        return r < 0 ? r : print_ranges(t, colour);
}

int verb_topology(const struct invocation *call) {
        _cleanup_expanders_ struct expanders *e = NULL;
        _cleanup_topology_ struct topology *t = NULL;
        struct diag d = {};
        int r;

        r = topology_read(call->root, call->root_path, NULL, &t, &d);
        if (r == 0)
                r = expanders_read(call->root_path, t, &e);
        if (r == 0)
                r = call->json ? print_json(t, e) : print_text(t, e);
        if (r < 0) {
                (void) diag_default(&d, r, "cannot read this machine: %s", strerror(-r));
                return report_failure(&d);
        }
        return EXIT_WELL;
}
