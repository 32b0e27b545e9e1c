/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "topology/numa-maps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KIB UINT64_C(1024)

static struct idset nodes_of(const char *list) {
        struct idset s;

        assert_int_equal(idset_parse(list, NODE_ID_MAX, &s), 0);
        return s;
}

static struct bound_bytes parsed(const char *text, const char *nodes) {
        struct idset s = nodes_of(nodes);
        struct bound_bytes b;

        if (numa_maps_parse(text, strlen(text), &s, &b) < 0)
                fail_msg("not read: %s", text);
        return b;
}

static void assert_sums(const struct bound_bytes *b, enum bind_policy policy, uint64_t anon, uint64_t file) {
        for (size_t i = 0; i < _BIND_POLICY_MAX; i++) {
                assert_int_equal(b->anon[i], i == policy ? anon : 0);
                assert_int_equal(b->file[i], i == policy ? file : 0);
        }
}

/* Every policy with every flag, as mpol_to_str() writes it. */
static void test_policies(void **state) {
        static const struct {
                const char *text;
                enum bind_policy policy;
        } cases[] = {
                { "bind:0", BIND_STRICT },
                { "bind=static:0-1", BIND_STRICT },
                { "bind=static|balancing:0-1", BIND_STRICT },
                { "bind=relative", BIND_STRICT },
                { "prefer:1", BIND_PREFER },
                { "prefer=static:1", BIND_PREFER },
                { "prefer (many):0-1", BIND_PREFER_MANY },
                { "prefer (many)=balancing:0-1", BIND_PREFER_MANY },
                { "interleave:0,2", BIND_INTERLEAVE },
                { "weighted interleave:0,2", BIND_WEIGHTED },
                { "weighted interleave=relative:0,2", BIND_WEIGHTED },
                { "default", _BIND_POLICY_MAX },
                { "local", _BIND_POLICY_MAX },
                { "unknown", _BIND_POLICY_MAX },
                { "binding:0", _BIND_POLICY_MAX },
                { "preferable", _BIND_POLICY_MAX },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct bound_bytes b;
                char line[160];

                (void) snprintf(line, sizeof(line), "7f1200000000 %s anon=3 dirty=3 N0=1 N1=2 kernelpagesize_kB=4\n",
                                cases[i].text);
                b = parsed(line, "1");
                assert_sums(&b, cases[i].policy, 8 * KIB, 0);
                (void) snprintf(line, sizeof(line), "7f1200000000 %s", cases[i].text);
                b = parsed(line, "0-1");
                assert_sums(&b, cases[i].policy, 0, 0);
        }
        assert_string_equal(bind_policy_to_string(BIND_WEIGHTED), "weighted interleave");
        assert_string_equal(bind_policy_to_string(_BIND_POLICY_MAX), "unknown");
}

static void test_lines(void **state) {
        static const char text[] =
                "00400000 bind:0 file=/usr/bin/a\\040huge\\040N0=9 mapped=2 N0=2 kernelpagesize_kB=4\n"
                "00600000 bind:0 heap anon=3 dirty=3 active=0 N0=1 N1=2 kernelpagesize_kB=4\n"
                "7f0000000000 bind:0 huge anon=4 dirty=4 N0=4 kernelpagesize_kB=2048\n"
                "7f1000000000 bind:0 anon=1 dirty=1 swapcache=1 N0=1 kernelpagesize_kB=2048\n"
                "7f2000000000 bind:0 stack\n"
                "7f3000000000 default anon=9 N0=9 kernelpagesize_kB=4\n"
                "7f4000000000 interleave:0-1 file=/dev/zero\\040(deleted) dirty=6 N0=3 N1=3 kernelpagesize_kB=4\n";
        struct bound_bytes b;

        (void) state;
        b = parsed(text, "0");
        assert_int_equal(b.anon[BIND_STRICT], (4 + 2048) * KIB);
        assert_int_equal(b.file[BIND_STRICT], 8 * KIB);
        assert_int_equal(b.file[BIND_INTERLEAVE], 12 * KIB);
        b = parsed(text, "1");
        assert_int_equal(b.anon[BIND_STRICT], 8 * KIB);
        assert_int_equal(b.file[BIND_STRICT], 0);
        b = parsed(text, "2-5");
        assert_sums(&b, BIND_STRICT, 0, 0);
        b = parsed("", "0");
        assert_sums(&b, BIND_STRICT, 0, 0);
}

static void test_saturation(void **state) {
        struct bound_bytes b;

        (void) state;
        b = parsed("1 bind N0=18446744073709551615 kernelpagesize_kB=4\n2 bind N0=1 kernelpagesize_kB=4\n", "0");
        assert_true(b.anon[BIND_STRICT] == UINT64_MAX);
        b = parsed("1 bind N0=2 N0=18446744073709551615 kernelpagesize_kB=18446744073709551615\n", "0");
        assert_true(b.anon[BIND_STRICT] == UINT64_MAX);
        b = parsed("1 bind N0=0 kernelpagesize_kB=18446744073709551615\n", "0");
        assert_int_equal(b.anon[BIND_STRICT], 0);
}

static void test_what_it_is_not(void **state) {
        static const char *const bad[] = {
                "\n", "postgres\n", "1 bind:0 N0=x\n", "1 bind:0 N=1\n", "1 bind:0 Nx=1\n", "1 bind:0 N1024=1\n",
                "1 bind:0 N0=\n", "1 bind:0 kernelpagesize_kB=-4\n", "1 bind:0\n\n2 bind:0\n",
                "1 bind:0 N0=111111111111111111111111111111111111111\n",
        };
        struct idset nodes = nodes_of("0-7");
        struct bound_bytes b;

        (void) state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
                assert_int_equal(numa_maps_parse(bad[i], strlen(bad[i]), &nodes, &b), -EBADMSG);
        assert_int_equal(numa_maps_parse("1\0 bind:0\n", 10, &nodes, &b), -EBADMSG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_policies),
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_saturation),
                cmocka_unit_test(test_what_it_is_not),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
