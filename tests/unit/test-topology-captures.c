/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "tests/support/tree.h"
#include "topology/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/*
 * Captures of other projects, which are not ours to publish: read where they lie beside the checkout, skipped where not. Those
 * of our own are compared with goldens (tests/golden-check).
 */
#define CAPTURES "../shared/machines"

static struct topology *read_capture(const struct tree *tree, const char *name) {
        char archive[PATH_SIZE], command[3 * PATH_SIZE], path[PATH_SIZE];
        struct topology *t = NULL;
        struct diag d = {};
        int root, r;

        (void) snprintf(archive, sizeof(archive), CAPTURES "/%s.tar.bz2", name);
        if (access(archive, R_OK) < 0) {
                print_message("%s is not here (not ours to publish): skipped\n", archive);
                skip();
        }
        (void) snprintf(command, sizeof(command), "tar -xjf %s -C %s --no-same-owner", archive, tree->path);
        if (system(command) != 0) {
                print_message("tar cannot unpack %s: skipped\n", archive);
                skip();
        }
        (void) snprintf(path, sizeof(path), "%s/%s", tree->path, name);
        root = root_open(path, &d);
        assert_true(root >= 0);
        r = topology_read(root, path, NULL, &t, &d);
        (void) close(root);
        if (r < 0)
                fail_msg("%s: %s", name, d.text);
        return t;
}

/* Four nodes with memory-side caches, all with CPUs, whose HMAT figures are all zero; no memory blocks. */
static void test_memorysidecaches(void **state) {
        _cleanup_topology_ struct topology *t = read_capture(*state, "memorysidecaches");

        assert_int_equal(t->n_nodes, 4);
        assert_int_equal(t->n_tiers, 1);
        assert_int_equal(t->rank_source, RANK_DISTANCE);
        assert_true(topology_node(t, 0)->memory_bytes == UINT64_C(388492316) << 10);
        assert_int_equal(topology_distance(t, 0, 2), 11);
        for (size_t i = 0; i < t->n_nodes; i++) {
                assert_int_equal(t->nodes[i].kind, NODE_DRAM);
                assert_int_equal(idset_count(&t->nodes[i].cpus), 20);
                assert_int_equal(t->nodes[i].n_ranges, 0);
                assert_true(t->nodes[i].read_latency_ns == 0);
        }
}

/* Six nodes without online, possible and cpulist; the CPUs of three overlap, node 2 has none. */
static void test_fakeheterocpunuma(void **state) {
        _cleanup_topology_ struct topology *t = read_capture(*state, "fakeheterocpunuma");
        struct idset promotes;

        assert_int_equal(t->n_nodes, 6);
        assert_int_equal(t->n_tiers, 2);
        assert_int_equal(t->rank_source, RANK_DISTANCE);
        assert_int_equal(topology_node(t, 2)->tier, 1);
        assert_true(idset_is_empty(&topology_node(t, 2)->cpus));
        assert_int_equal(idset_parse("0-1,3-5", NODE_ID_MAX, &promotes), 0);
        assert_true(idset_equal(&topology_node(t, 2)->upper, &promotes));
        assert_int_equal(topology_distance(t, 3, 2), 50);
        assert_int_equal(topology_distance(t, 2, 3), 40);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_memorysidecaches, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_fakeheterocpunuma, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
