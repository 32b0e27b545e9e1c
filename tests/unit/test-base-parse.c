/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "base/parse.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef int (*parser)(const char *text, uint64_t *ret);

static int percent(const char *text, uint64_t *ret) {
        uint32_t bp;
        int r;

        r = parse_percent(text, &bp);
        if (r == 0)
                *ret = bp;
        return r;
}

static void test_values(void **state) {
        static const struct {
                parser parse;
                const char *text;
                int result;
                uint64_t value;
        } cases[] = {
                { parse_u64,      "0",                     0,       0                       },
                { parse_u64,      "18446744073709551615",  0,       UINT64_MAX              },
                { parse_u64,      "18446744073709551616",  -ERANGE, 0                       },
                { parse_u64,      "18446744073709551616x", -EINVAL, 0                       },
                { parse_u64,      "",                      -EINVAL, 0                       },
                { parse_u64,      " 1",                    -EINVAL, 0                       },
                { parse_u64,      "1 ",                    -EINVAL, 0                       },
                { parse_u64,      "+1",                    -EINVAL, 0                       },
                { parse_u64,      "-1",                    -EINVAL, 0                       },
                { parse_u64,      "1e3",                   -EINVAL, 0                       },
                { parse_u64,      "0x10",                  -EINVAL, 0                       },
                { parse_hex_u64,  "8000000",               0,       0x8000000               },
                { parse_hex_u64,  "0x8000000",             0,       0x8000000               },
                { parse_hex_u64,  "0XfF",                  0,       0xff                    },
                { parse_hex_u64,  "ffffffffffffffff",      0,       UINT64_MAX              },
                { parse_hex_u64,  "10000000000000000",     -ERANGE, 0                       },
                { parse_hex_u64,  "0x",                    -EINVAL, 0                       },
                { parse_hex_u64,  "",                      -EINVAL, 0                       },
                { parse_hex_u64,  "0xg",                   -EINVAL, 0                       },
                { parse_hex_u64,  "-1",                    -EINVAL, 0                       },
                { parse_size,     "200MiB",                0,       UINT64_C(200) << 20     },
                { parse_size,     "0B",                    0,       0                       },
                { parse_size,     "1TiB",                  0,       UINT64_C(1) << 40       },
                { parse_size,     "16777215TiB",           0,       UINT64_C(16777215) << 40 },
                { parse_size,     "16777216TiB",           -ERANGE, 0                       },
                { parse_size,     "99999999999999999999B", -ERANGE, 0                       },
                { parse_size,     "200",                   -EINVAL, 0                       },
                { parse_size,     "200MB",                 -EINVAL, 0                       },
                { parse_size,     "200 MiB",               -EINVAL, 0                       },
                { parse_size,     "200mib",                -EINVAL, 0                       },
                { parse_size,     "1.5GiB",                -EINVAL, 0                       },
                { parse_size,     "MiB",                   -EINVAL, 0                       },
                { parse_size,     "-1MiB",                 -EINVAL, 0                       },
                { parse_size,     "1MiBs",                 -EINVAL, 0                       },
                { parse_duration, "5ms",                   0,       5000                    },
                { parse_duration, "0s",                    0,       0                       },
                { parse_duration, "7us",                   0,       7                       },
                { parse_duration, "2m",                    0,       120000000               },
                { parse_duration, "1h",                    0,       UINT64_C(3600000000)    },
                { parse_duration, "5124095577h",           -ERANGE, 0                       },
                { parse_duration, "5",                     -EINVAL, 0                       },
                { parse_duration, "5 ms",                  -EINVAL, 0                       },
                { parse_duration, "5min",                  -EINVAL, 0                       },
                { parse_duration, "1s500ms",               -EINVAL, 0                       },
                { parse_duration, "ms",                    -EINVAL, 0                       },
                { percent,        "5%",                    0,       500                     },
                { percent,        "7.5%",                  0,       750                     },
                { percent,        "99.95%",                0,       9995                    },
                { percent,        "0.05%",                 0,       5                       },
                { percent,        "0%",                    0,       0                       },
                { percent,        "1000%",                 0,       100000                  },
                { percent,        "1000.01%",              -ERANGE, 0                       },
                { percent,        "99999999999999999999%", -ERANGE, 0                       },
                { percent,        "5",                     -EINVAL, 0                       },
                { percent,        "5 %",                   -EINVAL, 0                       },
                { percent,        ".5%",                   -EINVAL, 0                       },
                { percent,        "5.%",                   -EINVAL, 0                       },
                { percent,        "5.555%",                -EINVAL, 0                       },
                { percent,        "5,5%",                  -EINVAL, 0                       },
                { percent,        "-5%",                   -EINVAL, 0                       },
                { percent,        "%",                     -EINVAL, 0                       },
                { percent,        "5%%",                   -EINVAL, 0                       },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t v = 4711;
                int r = cases[i].parse(cases[i].text, &v);

                if (r != cases[i].result || v != (r == 0 ? cases[i].value : 4711))
                        fail_msg("\"%s\" gave %d, %llu", cases[i].text, r, (unsigned long long) v);
        }
}

static void test_parse_int(void **state) {
        static const struct {
                const char *text;
                int min, max, result, value;
        } cases[] = {
                { "0",           0,       1,       0,       0       },
                { "-1",          -1,      1,       0,       -1      },
                { "2",           0,       1,       -ERANGE, 0       },
                { "-2",          -1,      1,       -ERANGE, 0       },
                { "2147483647",  INT_MIN, INT_MAX, 0,       INT_MAX },
                { "-2147483648", INT_MIN, INT_MAX, 0,       INT_MIN },
                { "2147483648",  INT_MIN, INT_MAX, -ERANGE, 0       },
                { "-2147483649", INT_MIN, INT_MAX, -ERANGE, 0       },
                { "--1",         INT_MIN, INT_MAX, -EINVAL, 0       },
                { "-",           INT_MIN, INT_MAX, -EINVAL, 0       },
                { "",            INT_MIN, INT_MAX, -EINVAL, 0       },
                { "1 ",          INT_MIN, INT_MAX, -EINVAL, 0       },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int v = 4711;

                assert_int_equal(parse_int(cases[i].text, cases[i].min, cases[i].max, &v), cases[i].result);
                assert_int_equal(v, cases[i].result == 0 ? cases[i].value : 4711);
        }
}

static void test_format(void **state) {
        static const struct {
                uint64_t bytes;
                const char *text;
        } sizes[] = {
                { 0,                       "0 B"      },
                { 1023,                    "1023 B"   },
                { 1024,                    "1 KiB"    },
                { UINT64_C(200) << 20,     "200 MiB"  },
                { UINT64_C(3) << 29,       "1.50 GiB" },
                { (UINT64_C(21) << 30) + (UINT64_C(1) << 29), "21.5 GiB" },
                { UINT64_MAX,              "15.9 EiB" },
        };
        static const struct {
                uint64_t us;
                const char *text;
        } durations[] = {
                { 0,                     "0 s"     },
                { 5000,                  "5 ms"    },
                { 1000000,               "1 s"     },
                { 1500000,               "1500 ms" },
                { 7,                     "7 us"    },
                { UINT64_C(7200000000),  "2 h"     },
        };
        static const struct {
                uint32_t bp;
                const char *text;
        } percents[] = {
                { 500, "5%" }, { 750, "7.5%" }, { 9995, "99.95%" }, { 5, "0.05%" }, { 0, "0%" },
        };
        char buf[FORMAT_MAX];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                assert_string_equal(format_size(sizes[i].bytes, buf, sizeof(buf)), sizes[i].text);
        for (size_t i = 0; i < ELEMENTSOF(durations); i++)
                assert_string_equal(format_duration(durations[i].us, buf, sizeof(buf)), durations[i].text);
        for (size_t i = 0; i < ELEMENTSOF(percents); i++)
                assert_string_equal(format_percent(percents[i].bp, buf, sizeof(buf)), percents[i].text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_parse_int),
                cmocka_unit_test(test_format),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
