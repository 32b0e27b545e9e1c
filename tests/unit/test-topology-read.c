/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "tests/support/made-up.h"
#include "topology/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct topology *read_tree(const struct tree *t, const struct tier_list *tiers) {
        struct topology *topology = NULL;
        struct diag d = {};
        int r;

        r = topology_read(t->root, t->path, tiers, &topology, &d);
        if (r < 0)
                fail_msg("topology_read: %d, %s", r, d.text);
        return topology;
}

static const char *ids(const struct idset *s) {
        static char text[4][64];
        static unsigned next;
        char *buf = text[next++ % 4];

        assert_true(idset_format(s, buf, sizeof(text[0])) >= 0);
        return buf;
}

static void assert_node(const struct topology *t, int id, int tier, enum node_kind kind, const char *upper, const char *lower) {
        const struct node *node = topology_node(t, id);

        assert_non_null(node);
        if (node->tier != tier || node->kind != kind || strcmp(ids(&node->upper), upper) != 0 ||
            strcmp(ids(&node->lower), lower) != 0)
                fail_msg("node %d: tier %d, %s, upper %s, lower %s", id, node->tier, node_kind_to_string(node->kind),
                         ids(&node->upper), ids(&node->lower));
}

static void assert_ranges(const struct topology *t, int id, size_t n, const struct mem_range *ranges) {
        const struct node *node = topology_node(t, id);

        assert_non_null(node);
        assert_int_equal(node->n_ranges, n);
        for (size_t i = 0; i < n; i++)
                assert_true(node->ranges[i].start == ranges[i].start && node->ranges[i].end == ranges[i].end);
}

static void test_two_nodes(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_two_nodes(tree);
        t = read_tree(tree, NULL);
        assert_int_equal(t->n_nodes, 2);
        assert_int_equal(t->n_tiers, 2);
        assert_int_equal(t->rank_source, RANK_DISTANCE);
        assert_string_equal(ids(&t->possible), "0-7");
        assert_node(t, 0, 0, NODE_DRAM, "", "1");
        assert_node(t, 1, 1, NODE_UNKNOWN, "0", "");
        assert_true(topology_node(t, 1)->memory_bytes == 480 * MIB);
        assert_string_equal(ids(&topology_node(t, 0)->cpus), "0-1");
        assert_ranges(t, 0, 1, (struct mem_range[]) { { 0, 512 * MIB } });
        assert_ranges(t, 1, 1, (struct mem_range[]) { { 1024 * MIB, 1536 * MIB } });
        assert_null(topology_node(t, 2));
        assert_int_equal(topology_distance(t, 0, 1), 20);
        assert_int_equal(topology_distance(t, 0, 2), 0);
}

static void test_offline_blocks(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_two_nodes(tree);
        tree_put(tree, MEMORY "/memory1/state", "offline\n");
        tree_put(tree, MEMORY "/memory8/state", "going-offline\n");
        /* A kernel that has `online` only. */
        tree_remove(tree, MEMORY "/memory10/state");
        tree_put(tree, MEMORY "/memory10/online", "0\n");
        tree_remove(tree, MEMORY "/memory11/state");
        tree_put(tree, MEMORY "/memory11/online", "1\n");
        /* One that went while we looked: its link leads nowhere. */
        tree_remove(tree, MEMORY "/memory3");
        /* One without its number, and one without any attribute. */
        tree_remove(tree, MEMORY "/memory2/phys_index");
        tree_remove(tree, MEMORY "/memory9/phys_index");
        tree_remove(tree, MEMORY "/memory9/state");

        t = read_tree(tree, NULL);
        assert_ranges(t, 0, 2, (struct mem_range[]) { { 0, 128 * MIB }, { 256 * MIB, 384 * MIB } });
        assert_ranges(t, 1, 2, (struct mem_range[]) { { 1152 * MIB, 1280 * MIB }, { 1408 * MIB, 1536 * MIB } });
}

/* The number of a block is in phys_index, its name is only its name. */
static void test_phys_index_counts(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_two_nodes(tree);
        tree_put(tree, MEMORY "/memory11/phys_index", "00000020\n");
        t = read_tree(tree, NULL);
        assert_ranges(t, 1, 2, (struct mem_range[]) { { 1024 * MIB, 1408 * MIB }, { 4096 * MIB, 4224 * MIB } });
}

static void test_block_on_two_nodes(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_two_nodes(tree);
        tree_link(tree, NODE "/node1/memory3", "../../memory/memory3");
        t = read_tree(tree, NULL);
        assert_ranges(t, 0, 1, (struct mem_range[]) { { 0, 384 * MIB } });
        assert_ranges(t, 1, 1, (struct mem_range[]) { { 1024 * MIB, 1536 * MIB } });
}

static void test_no_blocks(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_two_nodes(tree);
        tree_remove(tree, MEMORY);
        t = read_tree(tree, NULL);
        assert_int_equal(t->n_tiers, 2);
        assert_ranges(t, 0, 0, NULL);
}

static void test_iomem_cut(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_two_nodes(tree);
        tree_put(tree, "proc/iomem",
                 "00001000-0009fbff : System RAM\n"
                 "00100000-1fffffff : System RAM\n"
                 "  01000000-01ffffff : Kernel code\n"
                 "40000000-7fffffff : CXL Window 0\n"
                 "  40000000-5fffffff : region0\n"
                 "    40000000-5fffffff : dax0.0\n"
                 "      48000000-5fffffff : System RAM (kmem)\n");
        t = read_tree(tree, NULL);
        assert_ranges(t, 0, 2, (struct mem_range[]) { { 0x1000, 0x9fc00 }, { MIB, 512 * MIB } });
        assert_ranges(t, 1, 1, (struct mem_range[]) { { 0x48000000, 0x60000000 } });
        assert_node(t, 1, 1, NODE_CXL, "0", "");
}

static void test_iomem_zeros(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_two_nodes(tree);
        tree_put(tree, "proc/iomem",
                 "00000000-00000000 : System RAM\n00000000-00000000 : CXL Window 0\n  00000000-00000000 : System RAM (kmem)\n");
        t = read_tree(tree, NULL);
        assert_ranges(t, 0, 1, (struct mem_range[]) { { 0, 512 * MIB } });
        assert_node(t, 1, 1, NODE_UNKNOWN, "0", "");
}

static void test_gaps_in_ids(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_lists(tree, "0,2,5", "0,2,5");
        put_node(tree, 0, "0", 512, "10 20 40");
        put_node(tree, 2, "", 512, "20 10 30");
        put_node(tree, 5, "", 512, "40 30 10");
        t = read_tree(tree, NULL);
        assert_int_equal(topology_distance(t, 0, 5), 40);
        assert_int_equal(topology_distance(t, 5, 2), 30);
        assert_node(t, 0, 0, NODE_DRAM, "", "2");
        assert_node(t, 2, 1, NODE_UNKNOWN, "0", "5");
        assert_node(t, 5, 2, NODE_UNKNOWN, "2", "");
}

static void test_memory_tiering(void **state) {
        const struct tree *tree = *state;
        struct topology *t;

        put_two_nodes(tree);
        /* One tier for all says nothing; the next source decides. */
        put_memory_tier(tree, 4, "0-1");
        t = read_tree(tree, NULL);
        assert_int_equal(t->rank_source, RANK_DISTANCE);
        t = topology_free(t);

        /* By number, not by name: 18 is slower than 4. HBM without CPUs may be on top. */
        put_memory_tier(tree, 4, "0");
        put_memory_tier(tree, 18, "1");
        t = read_tree(tree, NULL);
        assert_int_equal(t->rank_source, RANK_MEMORY_TIERING);
        assert_node(t, 0, 0, NODE_DRAM, "", "1");
        t = topology_free(t);
        put_memory_tier(tree, 18, "0");
        put_memory_tier(tree, 4, "1");
        t = read_tree(tree, NULL);
        assert_node(t, 1, 0, NODE_UNKNOWN, "", "0");
        assert_node(t, 0, 1, NODE_DRAM, "1", "");
        t = topology_free(t);

        /* A node in none: the source does not rank every node. Ids that are not there matter as little as an empty tier. */
        put_memory_tier(tree, 4, "");
        put_memory_tier(tree, 18, "0,6");
        t = read_tree(tree, NULL);
        assert_int_equal(t->rank_source, RANK_DISTANCE);
        t = topology_free(t);
}

static void test_hmat(void **state) {
        const struct tree *tree = *state;
        struct topology *t;

        put_two_nodes(tree);
        put_memory_tier(tree, 4, "0-1");
        put_performance(tree, 0, 0, 100, 10240);
        put_performance(tree, 1, 0, 110, 40960);
        t = read_tree(tree, NULL);
        assert_int_equal(t->rank_source, RANK_HMAT);
        assert_node(t, 1, 0, NODE_HBM, "", "0");
        assert_node(t, 0, 1, NODE_DRAM, "1", "");
        assert_true(topology_node(t, 1)->read_latency_ns == 110 && topology_node(t, 1)->write_bandwidth_mib == 40960);
        t = topology_free(t);

        /* Class 1, what CPUs see, is asked before class 0. */
        put_performance(tree, 0, 1, 100, 10240);
        put_performance(tree, 1, 1, 400, 2048);
        t = read_tree(tree, NULL);
        assert_int_equal(t->rank_source, RANK_HMAT);
        assert_node(t, 0, 0, NODE_DRAM, "", "1");
        assert_true(topology_node(t, 1)->read_latency_ns == 400);
        t = topology_free(t);

        /* Zeros are no figures. */
        put_performance(tree, 1, 1, 0, 0);
        put_performance(tree, 1, 0, 0, 0);
        t = read_tree(tree, NULL);
        assert_int_equal(t->rank_source, RANK_DISTANCE);
        t = topology_free(t);
}

static void test_cpus_without_memory(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_lists(tree, "0-2", "1-2");
        put_node(tree, 0, "0-1", 0, "10 12 30");
        put_node(tree, 1, "", 512, "12 10 32");
        put_node(tree, 2, "", 512, "30 32 10");
        t = read_tree(tree, NULL);
        assert_int_equal(t->n_tiers, 2);
        assert_node(t, 0, -1, NODE_UNKNOWN, "", "");
        assert_node(t, 1, 0, NODE_DRAM, "", "2");
        assert_node(t, 2, 1, NODE_UNKNOWN, "1", "");
}

static void test_shared_expander(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_lists(tree, "0-2", "0-2");
        put_node(tree, 0, "0", 512, "10 21 30");
        put_node(tree, 1, "1", 512, "21 10 30");
        put_node(tree, 2, "", 512, "30 30 10");
        t = read_tree(tree, NULL);
        assert_node(t, 0, 0, NODE_DRAM, "", "2");
        assert_node(t, 1, 0, NODE_DRAM, "", "2");
        assert_node(t, 2, 1, NODE_UNKNOWN, "0-1", "");
}

static void test_gpu_is_left_alone(void **state) {
        const struct tree *tree = *state;
        struct idset sets[2] = {};
        struct tier_list tiers = { .tiers = sets, .n_tiers = 2 };
        struct topology *t;

        put_lists(tree, "0-2", "0-2");
        put_node(tree, 0, "0", 512, "10 20 40");
        put_node(tree, 1, "", 512, "20 10 40");
        put_node(tree, 2, "", 512, "40 40 10");
        tree_put(tree, "proc/driver/nvidia/gpus/0009:01:00.0/numa_status",
                 "Node:                2\nStatus:              online\n");
        put_memory_tier(tree, 4, "0-1");
        put_memory_tier(tree, 3, "2");
        t = read_tree(tree, NULL);
        /* The GPU's own tier does not make the kernel's tiers more than one. */
        assert_int_equal(t->rank_source, RANK_DISTANCE);
        assert_int_equal(t->n_tiers, 2);
        assert_node(t, 2, -1, NODE_GPU, "", "");
        assert_node(t, 1, 1, NODE_UNKNOWN, "0", "");
        t = topology_free(t);

        idset_add(&sets[0], 2);
        idset_add(&sets[1], 0);
        t = read_tree(tree, &tiers);
        assert_int_equal(t->rank_source, RANK_CONFIG);
        assert_node(t, 2, 0, NODE_GPU, "", "0");
        assert_node(t, 1, -1, NODE_UNKNOWN, "", "");
        t = topology_free(t);
}

static void test_dax_kinds(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_lists(tree, "0-2", "0-2");
        put_node(tree, 0, "0", 512, "10 20 20");
        put_node(tree, 1, "", 512, "20 10 20");
        put_node(tree, 2, "", 512, "20 20 10");
        tree_put(tree, "sys/devices/platform/ACPI0017:00/root0/decoder0.0/region0/dax_region0/dax0.0/target_node", "1\n");
        tree_put(tree, "sys/devices/LNXSYSTM:00/ACPI0012:00/ndbus0/region1/dax1.0/dax1.0/target_node", "2\n");
        tree_link(tree, "sys/bus/dax/devices/dax0.0",
                  "../../../devices/platform/ACPI0017:00/root0/decoder0.0/region0/dax_region0/dax0.0");
        tree_link(tree, "sys/bus/dax/devices/dax1.0", "../../../devices/LNXSYSTM:00/ACPI0012:00/ndbus0/region1/dax1.0/dax1.0");
        t = read_tree(tree, NULL);
        assert_node(t, 1, 1, NODE_CXL, "0", "");
        assert_node(t, 2, 1, NODE_PMEM, "0", "");
}

static void test_cxl_region_kind(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_two_nodes(tree);
        tree_put(tree, "sys/bus/cxl/devices/region0/resource", "0x40000000\n");
        tree_put(tree, "sys/bus/cxl/devices/region0/size", "0x20000000\n");
        tree_put(tree, "sys/bus/cxl/devices/region1/resource", "0xffffffffffffffff\n");
        tree_put(tree, "sys/bus/cxl/devices/region1/size", "0x20000000\n");
        tree_mkdir(tree, "sys/bus/cxl/devices/mem0");
        t = read_tree(tree, NULL);
        assert_node(t, 0, 0, NODE_DRAM, "", "1");
        assert_node(t, 1, 1, NODE_CXL, "0", "");
}

static void test_config_tiers(void **state) {
        const struct tree *tree = *state;
        struct idset sets[2] = {};
        struct tier_list tiers = { .tiers = sets, .n_tiers = 2 };
        _cleanup_topology_ struct topology *t = NULL;
        struct topology *none = NULL;
        struct diag d = {};

        put_two_nodes(tree);
        idset_add(&sets[0], 1);
        idset_add(&sets[1], 0);
        t = read_tree(tree, &tiers);
        assert_int_equal(t->rank_source, RANK_CONFIG);
        assert_node(t, 1, 0, NODE_UNKNOWN, "", "0");
        assert_node(t, 0, 1, NODE_DRAM, "1", "");

        /* Node 7 may come, by node/possible; node 8 never will. */
        t = topology_free(t);
        idset_add(&sets[1], 7);
        t = read_tree(tree, &tiers);
        assert_int_equal(t->n_nodes, 2);
        assert_node(t, 0, 1, NODE_DRAM, "1", "");
        idset_add(&sets[1], 8);
        assert_int_equal(topology_read(tree->root, tree->path, &tiers, &none, &d), -EINVAL);
        assert_null(none);
        assert_non_null(strstr(d.text, "node 8"));
}

static void test_single_node(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_lists(tree, "0", "0");
        put_node(tree, 0, "0-3", 512, "10");
        put_performance(tree, 0, 1, 100, 10240);
        t = read_tree(tree, NULL);
        assert_int_equal(t->rank_source, RANK_DISTANCE);
        assert_int_equal(t->n_tiers, 1);
        assert_node(t, 0, 0, NODE_DRAM, "", "");
}

/* The least that a node can be: hwloc's fixtures and old kernels have no more. */
static void test_bare_nodes(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        tree_put(tree, NODE "/node0/meminfo", "Node 0 MemTotal: 1024 kB\n");
        tree_put(tree, NODE "/node0/cpumap", "00000000,0000000f\n");
        tree_put(tree, NODE "/node3/meminfo", "Node 3 MemTotal: 1024 kB\n");
        t = read_tree(tree, NULL);
        assert_string_equal(ids(&t->possible), "0,3");
        assert_string_equal(ids(&topology_node(t, 0)->cpus), "0-3");
        assert_int_equal(topology_distance(t, 0, 3), 0);
        assert_node(t, 0, 0, NODE_DRAM, "", "3");
}

static void test_no_nodes(void **state) {
        const struct tree *tree = *state;
        struct topology *t = NULL;
        struct diag d = {};

        assert_int_equal(topology_read(tree->root, tree->path, NULL, &t, &d), -ENOENT);
        assert_non_null(strstr(d.text, NODE));
        tree_mkdir(tree, NODE);
        assert_int_equal(topology_read(tree->root, tree->path, NULL, &t, &d), -ENOENT);
        assert_null(t);
}

static void test_garbage_names_the_path(void **state) {
        static const struct {
                const char *path, *text;
        } cases[] = {
                { NODE "/online",                                          "zero\n"                          },
                { NODE "/online",                                          "0-5000\n"                        },
                { NODE "/possible",                                        "0-\n"                            },
                { NODE "/has_memory",                                      "all\n"                           },
                { NODE "/node0/cpulist",                                   "0-9999\n"                        },
                { NODE "/node1/meminfo",                                   "Node 1 MemTotal: lots\n"         },
                { NODE "/node1/meminfo",                                   ""                                },
                { NODE "/node0/distance",                                  "10\n"                            },
                { NODE "/node1/distance",                                  "10 20 30\n"                      },
                { MEMORY "/block_size_bytes",                              "0\n"                             },
                { MEMORY "/block_size_bytes",                              "big\n"                           },
                { MEMORY "/block_size_bytes",                              "8000001\n"                       },
                { NODE "/node0/memory1/state",                             "asleep\n"                        },
                { NODE "/node0/memory1/phys_index",                        "-1\n"                            },
                { NODE "/node0/access1/initiators/read_latency",           "fast\n"                          },
                { NODE "/node0/access0/initiators/write_bandwidth",        "99999999999\n"                   },
                { "proc/iomem",                                            "00001000-1fffffff : System RAM\nrubbish\n" },
                { "sys/devices/virtual/memory_tiering/memory_tier4/nodelist", "x\n"                          },
                { "sys/bus/cxl/devices/region0/resource",                  "here\n"                          },
                { "proc/driver/nvidia/gpus/0:0:0/numa_status",             "Node: x\n"                       },
        };
        const struct tree *tree = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct topology *t = NULL;
                char full[PATH_SIZE];
                struct diag d = {};

                tree_remove(tree, "sys");
                tree_remove(tree, "proc");
                put_two_nodes(tree);
                tree_put(tree, cases[i].path, "%s", cases[i].text);
                (void) snprintf(full, sizeof(full), "%s/%s: ", tree->path, cases[i].path);
                if (topology_read(tree->root, tree->path, NULL, &t, &d) != -EBADMSG || t || d.error != -EBADMSG ||
                    !strstr(d.text, full))
                        fail_msg("%s: %d, %s", cases[i].path, d.error, d.text);
        }

        /* What only shows when two files are put together. */
        for (size_t i = 0; i < 3; i++) {
                struct topology *t = NULL;
                struct diag d = {};

                tree_remove(tree, "sys");
                tree_remove(tree, "proc");
                put_two_nodes(tree);
                if (i == 0)
                        tree_put(tree, MEMORY "/memory1/phys_index", "ffffffffffffffff\n");
                if (i == 1)
                        tree_remove(tree, NODE "/node1/meminfo");
                if (i == 2) {
                        put_memory_tier(tree, 4, "0-1");
                        put_memory_tier(tree, 5, "1");
                }
                assert_int_equal(topology_read(tree->root, tree->path, NULL, &t, &d), -EBADMSG);
                assert_non_null(strstr(d.text, i == 0 ? MEMORY : i == 1 ? "node1/meminfo" : "memory_tier5"));
        }
}

/* 16,384 blocks are read in well under a second; anything quadratic shows. */
static void test_many_blocks(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;
        const unsigned n = 16384;

        put_lists(tree, "0", "0");
        put_node(tree, 0, "0", 512, "10");
        for (unsigned i = 0; i < n; i++) {
                char path[PATH_SIZE];

                (void) snprintf(path, sizeof(path), NODE "/node0/memory%u", i);
                tree_mkdir(tree, path);
        }
        t = read_tree(tree, NULL);
        assert_ranges(t, 0, 1, (struct mem_range[]) { { 0, n * (128 * MIB) } });
}

/* The environment is as it was, whatever hwloc was told. */
static void test_environment_is_restored(void **state) {
        const struct tree *tree = *state;
        _cleanup_topology_ struct topology *t = NULL;

        put_two_nodes(tree);
        assert_int_equal(setenv("HWLOC_THISSYSTEM", "1", 1), 0);
        t = read_tree(tree, NULL);
        assert_string_equal(getenv("HWLOC_THISSYSTEM"), "1");
        assert_null(getenv("HWLOC_FSROOT"));
        assert_int_equal(unsetenv("HWLOC_THISSYSTEM"), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, tree_setup, tree_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_two_nodes),
                TEST(test_offline_blocks),
                TEST(test_phys_index_counts),
                TEST(test_block_on_two_nodes),
                TEST(test_no_blocks),
                TEST(test_iomem_cut),
                TEST(test_iomem_zeros),
                TEST(test_gaps_in_ids),
                TEST(test_memory_tiering),
                TEST(test_hmat),
                TEST(test_cpus_without_memory),
                TEST(test_shared_expander),
                TEST(test_gpu_is_left_alone),
                TEST(test_dax_kinds),
                TEST(test_cxl_region_kind),
                TEST(test_config_tiers),
                TEST(test_single_node),
                TEST(test_bare_nodes),
                TEST(test_no_nodes),
                TEST(test_garbage_names_the_path),
                TEST(test_many_blocks),
                TEST(test_environment_is_restored),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
