/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/example-expanders.h"
#include "tests/support/made-up.h"
#include "tests/support/tree.h"
#include "tierctl/doctor-internal.h"
#include "topology/hwloc.h"

#include <string.h>

/* What doctor says of expanders that are made up: the faults that a guest can have, and those that it cannot. */

#define GIB (UINT64_C(1) << 30)
#define DAX "devices/platform/ACPI0017:00/root0/decoder0.0/region0/dax_region0/dax0.0"
#define MEMDEV "devices/pci0000:0c/0000:0c:00.0/0000:0d:00.0/mem0"

/* How many checks have that id; *ret is the first of them. */
static size_t find(const struct checkup *c, const char *id, const struct check **ret) {
        size_t n = 0;

        *ret = NULL;
        for (size_t i = 0; i < c->n_checks; i++)
                if (strcmp(c->checks[i].id, id) == 0) {
                        *ret = *ret ? *ret : &c->checks[i];
                        n++;
                }
        return n;
}

static void assert_finds(const struct checkup *c, const char *id, enum check_state state, const char *summary,
                         const char *cure) {
        const struct check *k;

        if (find(c, id, &k) != 1)
                fail_msg("not one check named %s", id);
        if (k->state != state || strcmp(k->summary, summary) != 0 || !strstr(k->action, cure))
                fail_msg("%s, %s: %s\n%s", id, check_state_to_string(k->state), k->summary, k->action);
        if (state >= CHECK_WARNING)
                assert_true(k->meaning[0] != '\0');
}

static void assert_silent(const struct checkup *c, const char *id) {
        const struct check *k;

        assert_int_equal(find(c, id, &k), 0);
}

/* Has doctor look at them, on a machine without a word of its own. */
static struct checkup look(const struct tree *tree, const struct expanders *e) {
        struct checkup c = {};
        struct patient p = { .root = tree->root, .c = &c, .expanders = e };

        look_at_expanders(&p);
        assert_int_equal(c.error, 0);
        return c;
}

static void test_regions(void **state) {
        _cleanup_expanders_ struct expanders *e = example_expanders();
        _cleanup_checkup_ struct checkup c = look(*state, e);

        assert_finds(&c, "cxl-region", CHECK_WARNING, "region2 is not committed",
                     "cxl destroy-region region2, then cxl create-region");
        assert_finds(&c, "cxl-unused", CHECK_WARNING, "mem0 (serial 0x13, 1 GiB) is in no region", "-w 1 -m mem0");
        assert_silent(&c, "cxl-interleave");
        assert_silent(&c, "cxl-qos");

        checkup_done(&c);
        e->items[3].in_region = e->regions[2].committed = e->regions[2].enabled = true;
        e->regions[1].enabled = false;
        c = look(*state, e);
        assert_finds(&c, "cxl-region", CHECK_WARNING, "region1 (1 GiB) is disabled", "cxl enable-region region1");
        assert_silent(&c, "cxl-unused");
}

static void test_interleave(void **state) {
        _cleanup_expanders_ struct expanders *e = example_expanders();
        _cleanup_checkup_ struct checkup c = {};

        /* Of a device that does not say where it is nothing is known. */
        e->items[1].near_node = -1;
        c = look(*state, e);
        assert_silent(&c, "cxl-interleave");
        checkup_done(&c);
        e->items[1].near_node = 1;
        c = look(*state, e);
        assert_finds(&c, "cxl-interleave", CHECK_WARNING, "region0 interleaves mem2 next to node 1 with mem3 next to node 0",
                     "cxl destroy-region region0, then cxl create-region for each");
}

static void test_qos(void **state) {
        _cleanup_expanders_ struct expanders *e = example_expanders();
        _cleanup_checkup_ struct checkup c = {};

        e->regions[0].qos_mismatch = true;
        c = look(*state, e);
        assert_finds(&c, "cxl-qos", CHECK_WARNING, "region0: the QoS class of its devices is not that of its window",
                     "cxl list -DMv");
}

/* -- hwloc -- */

/* What hwloc wants of a machine before it looks at all, and an expander. */
static void put_cpus(const struct tree *t) {
        tree_put(t, "sys/devices/system/cpu/online", "0\n");
        tree_put(t, "sys/devices/system/cpu/cpu0/topology/core_cpus", "1\n");
        tree_put(t, NODE "/node0/cpumap", "1\n");
        tree_put(t, NODE "/node1/cpumap", "0\n");
}

static void put_expander(const struct tree *t) {
        tree_put(t, "sys/" DAX "/target_node", "1\n");
        tree_mkdir(t, "sys/bus/dax/devices");
        tree_link(t, "sys/bus/dax/devices/dax0.0", "../../../" DAX);
        tree_mkdir(t, "sys/bus/dax/drivers/kmem");
        tree_link(t, "sys/bus/dax/drivers/kmem/dax0.0", "../../../../" DAX);
        tree_put(t, "sys/" MEMDEV "/ram/size", "0x40000000\n");
        tree_put(t, "sys/" MEMDEV "/pmem/size", "0x0\n");
        tree_mkdir(t, "sys/bus/cxl/devices");
        tree_link(t, "sys/bus/cxl/devices/mem0", "../../../" MEMDEV);
}

static void test_hwloc_reads(void **state) {
        const struct tree *t = *state;
        _cleanup_hwloc_devices_ struct hwloc_devices *d = NULL;

        put_lists(t, "0-1", "0-1");
        put_node(t, 0, "0", 1024, "10 20");
        put_node(t, 1, "", 1024, "20 10");
        put_expander(t);
        assert_int_equal(setenv("HWLOC_HIDE_ERRORS", "2", 1), 0);
        /* A machine that it cannot load. */
        assert_int_equal(hwloc_read_devices(t->path, &d), 0);
        assert_int_equal(d->n_dax + d->n_memdevs, 0);
        d = hwloc_devices_free(d);

        put_cpus(t);
        assert_int_equal(hwloc_read_devices(t->path, &d), 0);
        assert_int_equal(d->n_dax, 1);
        assert_int_equal(d->dax[0].nid, 1);
        assert_string_equal(d->dax[0].device, "dax0.0");
        assert_string_equal(d->dax[0].region, "region0");
        assert_int_equal(d->n_memdevs, 1);
        assert_string_equal(d->memdevs[0].name, "mem0");
        assert_true(d->memdevs[0].ram_bytes == GIB);
        assert_true(d->memdevs[0].pmem_bytes == 0);
}

static struct checkup compare(const struct expanders *e, const struct hwloc_devices *d) {
        struct checkup c = {};

        compare_with_hwloc(&c, e, d);
        assert_int_equal(c.error, 0);
        return c;
}

static void test_hwloc_compared(void **state) {
        static char dax0[] = "dax0.0", dax1[] = "dax1.0", region0[] = "region0", region1[] = "region1", region7[] = "region7",
                    mem0[] = "mem0", mem1[] = "mem1", mem2[] = "mem2", mem3[] = "mem3";
        static const struct mem_range all = { 4 * GIB, 7 * GIB };
        const struct node node = { .id = 2, .ranges = (struct mem_range *) &all, .n_ranges = 1 };
        const struct topology t = { .nodes = (struct node *) &node, .n_nodes = 1 };
        struct hwloc_dax dax[] = { { 2, dax0, region0 }, { 2, dax1, region1 } };
        struct hwloc_memdev memdevs[] = { { mem0, GIB, 0 }, { mem1, GIB, 0 }, { mem2, GIB, 0 }, { mem3, GIB, 0 } };
        struct hwloc_devices d = { .dax = dax, .n_dax = 2, .memdevs = memdevs, .n_memdevs = 4 };
        _cleanup_expanders_ struct expanders *e = example_expanders();
        _cleanup_checkup_ struct checkup c = {};

        (void) state;
        expanders_place(e, &t);
        c = compare(e, &d);
        assert_finds(&c, "cxl-hwloc", CHECK_OK, "hwloc and libcxl agree on the expanders", "");

        checkup_done(&c);
        dax[1].nid = 3;
        c = compare(e, &d);
        assert_finds(&c, "cxl-hwloc", CHECK_WARNING, "hwloc has region1 (dax1.0) on node 3, libcxl on node 2", "daxctl list");
        assert_non_null(strstr(c.checks[0].meaning, "libcxl is believed"));

        /* Memory that is offline is on no node yet: no difference. A dax device of something else is none of libcxl's. */
        checkup_done(&c);
        e->regions[1].node = -1;
        c = compare(e, &d);
        assert_finds(&c, "cxl-hwloc", CHECK_OK, "hwloc and libcxl agree on the expanders", "");
        checkup_done(&c);
        dax[1].region = NULL;
        c = compare(e, &d);
        assert_finds(&c, "cxl-hwloc", CHECK_OK, "hwloc and libcxl agree on the expanders", "");
        checkup_done(&c);
        dax[1].region = region7;
        c = compare(e, &d);
        assert_finds(&c, "cxl-hwloc", CHECK_WARNING, "hwloc has region7 (dax1.0) on node 3, libcxl knows of no such region",
                     "");

        /* Memory that firmware has handed over as plain memory has no dax device. */
        checkup_done(&c);
        d.n_dax = 0;
        c = compare(e, &d);
        assert_finds(&c, "cxl-hwloc", CHECK_INFO, "libcxl has region0 on node 2, hwloc has no device of it", "");

        checkup_done(&c);
        d.n_dax = 1;
        memdevs[1].pmem_bytes = 2 * GIB;
        c = compare(e, &d);
        assert_finds(&c, "cxl-hwloc", CHECK_WARNING,
                     "mem1: hwloc has 1 GiB volatile and 2 GiB persistent of it, libcxl 1 GiB and 0 B", "");
        checkup_done(&c);
        memdevs[1].pmem_bytes = 0;
        d.n_memdevs = 3;
        c = compare(e, &d);
        assert_finds(&c, "cxl-hwloc", CHECK_WARNING, "libcxl has mem3, hwloc does not", "");
        /* An older hwloc has no such devices. */
        checkup_done(&c);
        d.n_memdevs = 0;
        c = compare(e, &d);
        assert_finds(&c, "cxl-hwloc", CHECK_OK, "hwloc and libcxl agree on the expanders", "");
        checkup_done(&c);
        d.n_memdevs = 4;
        e->n = 3;
        c = compare(e, &d);
        assert_finds(&c, "cxl-hwloc", CHECK_WARNING, "hwloc has mem0, libcxl does not", "");
        e->n = 4;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_regions, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_interleave, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_qos, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_hwloc_reads, tree_setup, tree_teardown),
                cmocka_unit_test(test_hwloc_compared),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
