/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "topology/hwloc.h"
#include "topology/iomem.h"
#include "topology/kinds.h"
#include "topology/parse.h"
#include "topology/ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_memtotal(void **state) {
        static const struct {
                const char *text;
                int result;
                uint64_t bytes;
        } cases[] = {
                { "Node 3 MemTotal:         987692 kB\nNode 3 MemFree: 1 kB\n", 0,        UINT64_C(987692) << 10 },
                { "Node 3 MemFree: 1 kB\nNode 3 MemTotal: 7 kB",                0,        7168                   },
                { "\nNode 3 MemTotal:       0 kB\n",                            0,        0                      },
                { "",                                                          -EBADMSG, 0                      },
                { "Node 4 MemTotal:         987692 kB\n",                      -EBADMSG, 0                      },
                { "Node 3 MemTotal: kB\n",                                     -EBADMSG, 0                      },
                { "Node 3 MemTotal: -5 kB\n",                                  -EBADMSG, 0                      },
                { "Node 3 MemTotal: 5 MB\n",                                   -EBADMSG, 0                      },
                { "Node 3 MemTotal: 5 kBs\n",                                  -EBADMSG, 0                      },
                { "Node 3 MemTotal: 5\n",                                      -EBADMSG, 0                      },
                { "Node 3 MemTotal: 18014398509481983 kB\n",                   0,        UINT64_MAX - 1023      },
                { "Node 3 MemTotal: 18014398509481984 kB\n",                   -EBADMSG, 0                      },
                { "Node 3 MemTotal: 99999999999999999999 kB\n",                -EBADMSG, 0                      },
                { "MemTotal: 5 kB\n",                                          -EBADMSG, 0                      },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t bytes = 4711;

                assert_int_equal(parse_node_memtotal(cases[i].text, 3, &bytes), cases[i].result);
                assert_true(bytes == (cases[i].result == 0 ? cases[i].bytes : 4711));
        }
}

static void test_distances(void **state) {
        static const struct {
                const char *text;
                int result;
        } cases[] = {
                { "10 20 40\n",      0        },
                { "10 20 40",        0        },
                { "10  20 40 \n",    0        },
                { "10 20\n",         -EBADMSG },
                { "10 20 40 50\n",   -EBADMSG },
                { "10 20 x\n",       -EBADMSG },
                { "10 20 -40\n",     -EBADMSG },
                { "10 20 65536\n",   -EBADMSG },
                { "10,20,40\n",      -EBADMSG },
                { "10 20 40\n\n",    -EBADMSG },
                { "10 20\n40\n",     -EBADMSG },
                { "",                -EBADMSG },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint16_t row[3] = { 1, 2, 3 };

                assert_int_equal(parse_node_distances(cases[i].text, 3, row), cases[i].result);
                if (cases[i].result == 0)
                        assert_true(row[0] == 10 && row[1] == 20 && row[2] == 40);
                else
                        assert_true(row[0] == 1 && row[1] == 2 && row[2] == 3);
        }
}

static void test_cpumap(void **state) {
        static const struct {
                const char *text;
                int result;
                const char *cpus;
        } cases[] = {
                { "0\n",                  0,        ""          },
                { "f\n",                  0,        "0-3"       },
                { "00000001,80000000\n",  0,        "31-32"     },
                { "00f00f0f",             0,        "0-3,8-11,20-23" },
                { "1,00000000,00000000",  0,        "64"        },
                { "\n",                   -EBADMSG, NULL        },
                { "",                     -EBADMSG, NULL        },
                { "0,\n",                 -EBADMSG, NULL        },
                { ",0\n",                 -EBADMSG, NULL        },
                { "100000000\n",          -EBADMSG, NULL        },
                { "0x1\n",                -EBADMSG, NULL        },
                { "g\n",                  -EBADMSG, NULL        },
                { "1\n1\n",               -EBADMSG, NULL        },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct idset s = {};
                char text[64];

                assert_int_equal(parse_cpumap(cases[i].text, &s), cases[i].result);
                assert_true(idset_format(&s, text, sizeof(text)) >= 0);
                assert_string_equal(text, cases[i].cpus ? cases[i].cpus : "");
        }
}

static void test_gpu_node(void **state) {
        static const struct {
                const char *text;
                int result, nid;
        } cases[] = {
                { "Node:                255\nStatus: online\n", 0,        255  },
                { "Status: online\nNode: 2\n",                  0,        2    },
                { "Node: -1\n",                                 0,        -1   },
                { "Status: offline\n",                          0,        -1   },
                { "Node: many\n",                               -EBADMSG, 4711 },
                { "Node: 1024\n",                               -EBADMSG, 4711 },
                { "Node:\n",                                    -EBADMSG, 4711 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int nid = 4711;

                assert_int_equal(parse_gpu_node(cases[i].text, &nid), cases[i].result);
                assert_int_equal(nid, cases[i].nid);
        }
}

static void test_range_lists(void **state) {
        _cleanup_ranges_ struct range_list a = {}, b = {}, common = {}, none = {};

        (void) state;
        assert_int_equal(range_list_add(&a, 50, 60), 0);
        assert_int_equal(range_list_add(&a, 0, 10), 0);
        assert_int_equal(range_list_add(&a, 10, 20), 0);
        assert_int_equal(range_list_add(&a, 5, 15), 0);
        assert_int_equal(range_list_add(&a, 30, 30), 0);
        range_list_merge(&a);
        assert_int_equal(a.n, 2);
        assert_true(a.items[0].start == 0 && a.items[0].end == 20 && a.items[1].start == 50 && a.items[1].end == 60);
        assert_true(range_list_bytes(&a) == 30);

        assert_int_equal(range_list_add(&b, 1, 2), 0);
        assert_int_equal(range_list_add(&b, 15, 55), 0);
        range_list_merge(&b);
        assert_int_equal(range_list_intersect(&a, &b, &common), 0);
        assert_int_equal(common.n, 3);
        assert_true(common.items[2].start == 50 && common.items[2].end == 55);
        assert_true(range_list_common_bytes(&a, &b) == 11);

        range_list_merge(&none);
        assert_true(range_list_common_bytes(&a, &none) == 0);
}

static void test_iomem(void **state) {
        static const char text[] =
                "00000000-00000fff : Reserved\n"
                "00001000-0009fbff : System RAM\n"
                "00100000-7fffffff : System RAM\n"
                "  01000000-01ffffff : Kernel code\n"
                "80000000-bfffffff : PCI Bus 0000:00\n"
                "100000000-1ffffffff : CXL Window 0\n"
                "  100000000-13fffffff : region0\n"
                "    100000000-13fffffff : dax0.0\n"
                "      100000000-137ffffff : System RAM (kmem)\n"
                "200000000-2ffffffff : Persistent Memory\n"
                "  200000000-2ffffffff : namespace0.0\n"
                "    210000000-21fffffff : dax1.0\n"
                "      210000000-21fffffff : System RAM (kmem)\n"
                "300000000-30fffffff : System RAM (NVIDIA)\n"
                "400000000-40fffffff : System RAM Reserved\n"
                "500000000-50fffffff : System RAM (virtio_mem)\n"
                "ffffffff00000000-ffffffffffffffff : System RAM\n";
        _cleanup_iomem_ struct iomem iomem = {};
        size_t line;

        (void) state;
        assert_int_equal(iomem_parse(text, &iomem, &line), 0);
        assert_int_equal(iomem.ram.n, 7);
        assert_true(iomem.ram.items[0].start == 0x1000 && iomem.ram.items[0].end == 0x9fc00);
        assert_true(iomem.ram.items[2].start == 0x100000000 && iomem.ram.items[2].end == 0x138000000);
        assert_true(iomem.ram.items[6].end == UINT64_MAX);
        assert_int_equal(iomem.cxl.n, 1);
        assert_true(iomem.cxl.items[0].end == 0x138000000);
        assert_int_equal(iomem.pmem.n, 1);
        assert_true(iomem.pmem.items[0].start == 0x210000000);
        assert_int_equal(iomem.gpu.n, 1);
}

static void test_iomem_unreadable(void **state) {
        static const char *const texts[] = {
                "",
                "00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n",
                "00001000-00001fff : PCI Bus 0000:00\n",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_iomem_ struct iomem iomem = {};

                assert_int_equal(iomem_parse(texts[i], &iomem, NULL), IOMEM_UNREADABLE);
                assert_int_equal(iomem.ram.n, 0);
        }
}

static void test_iomem_garbage(void **state) {
        static const char *const lines[] = {
                "hello", "1000", "1000-", "1000-2000", "1000-2000 :", "1000-2000 System RAM", "2000-1000 : System RAM",
                " 1000-2000 : System RAM", "0x1000-0x2000 : System RAM", "10000000000000000-10000000000000001 : System RAM",
                "                                1000-2000 : System RAM", "-1000 : System RAM", "\n",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                _cleanup_iomem_ struct iomem iomem = {};
                char text[256];
                size_t line = 0;

                (void) snprintf(text, sizeof(text), "00001000-00001fff : System RAM\n%s\n", lines[i]);
                assert_int_equal(iomem_parse(text, &iomem, &line), -EBADMSG);
                assert_int_equal(line, 2);
                assert_int_equal(iomem.ram.n, 0);
        }
}

static void test_names(void **state) {
        (void) state;
        assert_int_equal(hwloc_subtype_kind(NULL), NODE_UNKNOWN);
        assert_int_equal(hwloc_subtype_kind("DRAM"), NODE_DRAM);
        assert_int_equal(hwloc_subtype_kind("HBM"), NODE_HBM);
        assert_int_equal(hwloc_subtype_kind("MCDRAM"), NODE_HBM);
        assert_int_equal(hwloc_subtype_kind("NVM"), NODE_PMEM);
        assert_int_equal(hwloc_subtype_kind("CXL-DRAM"), NODE_CXL);
        assert_int_equal(hwloc_subtype_kind("GPUMemory"), NODE_GPU);
        assert_int_equal(hwloc_subtype_kind("SPM"), NODE_UNKNOWN);

        assert_int_equal(kinds_of_dax_link("../../../devices/platform/ACPI0017:00/root0/decoder0.0/region0/dax_region0/dax0.0"),
                         NODE_CXL);
        assert_int_equal(kinds_of_dax_link("../../../devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region1/dax1.0/dax1.0"),
                         NODE_PMEM);
        assert_int_equal(kinds_of_dax_link("../../../devices/platform/hmem.0/dax2.0"), NODE_UNKNOWN);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_memtotal),         cmocka_unit_test(test_distances),
                cmocka_unit_test(test_cpumap),           cmocka_unit_test(test_gpu_node),
                cmocka_unit_test(test_range_lists),      cmocka_unit_test(test_iomem),
                cmocka_unit_test(test_iomem_unreadable), cmocka_unit_test(test_iomem_garbage),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
