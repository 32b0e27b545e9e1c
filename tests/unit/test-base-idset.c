/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "base/idset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_parse_and_format(void **state) {
        static const struct {
                const char *text, *canonical;
                size_t count;
        } cases[] = {
                { "",                  "",        0    },
                { "\n",                "",        0    },
                { "0",                 "0",       1    },
                { "0\n",               "0",       1    },
                { "0-3,8",             "0-3,8",   5    },
                { "8,0-3",             "0-3,8",   5    },
                { "1,2,3",             "1-3",     3    },
                { "5-5",               "5",       1    },
                { "0-3,2-6",           "0-6",     7    },
                { "63,64",             "63-64",   2    },
                { "0-8191",            "0-8191",  8192 },
                { "8191",              "8191",    1    },
                { "007",               "7",       1    },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct idset s;
                char text[64];

                assert_int_equal(idset_parse(cases[i].text, IDSET_MAX - 1, &s), 0);
                assert_int_equal(idset_count(&s), cases[i].count);
                assert_int_equal(idset_format(&s, text, sizeof(text)), (int) strlen(cases[i].canonical));
                assert_string_equal(text, cases[i].canonical);
        }
}

static void test_bad_input(void **state) {
        static const struct {
                const char *text;
                unsigned max;
                int error;
        } cases[] = {
                { " 0",          1023, -EINVAL },
                { "0 ",          1023, -EINVAL },
                { "0, 1",        1023, -EINVAL },
                { "-1",          1023, -EINVAL },
                { "+1",          1023, -EINVAL },
                { ",",           1023, -EINVAL },
                { "0,",          1023, -EINVAL },
                { "0,\n",        1023, -EINVAL },
                { ",0",          1023, -EINVAL },
                { "0,,1",        1023, -EINVAL },
                { "0-",          1023, -EINVAL },
                { "3-0",         1023, -EINVAL },
                { "0-1-2",       1023, -EINVAL },
                { "0x1",         1023, -EINVAL },
                { "all",         1023, -EINVAL },
                { "0\n\n",       1023, -EINVAL },
                { "0\n1",        1023, -EINVAL },
                { "0-7:2/4",     1023, -EINVAL },
                { "1024",        1023, -ERANGE },
                { "0-1024",      1023, -ERANGE },
                { "8192",        8192, -ERANGE },
                { "4294967296",  1023, -ERANGE },
                { "99999999999999999999999", IDSET_MAX, -ERANGE },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct idset s = {}, before;

                idset_add(&s, 5);
                before = s;
                assert_int_equal(idset_parse(cases[i].text, cases[i].max, &s), cases[i].error);
                assert_true(idset_equal(&s, &before));
        }
}

static void test_members(void **state) {
        struct idset s = {};
        int seen = 0;

        (void) state;
        assert_true(idset_is_empty(&s));
        assert_int_equal(idset_next(&s, 0), -1);
        idset_add(&s, 0);
        idset_add(&s, 64);
        idset_add(&s, 8191);
        idset_add(&s, 8192);            /* beyond: ignored */
        assert_int_equal(idset_count(&s), 3);
        assert_false(idset_has(&s, 8192));
        assert_int_equal(idset_next(&s, -5), 0);
        assert_int_equal(idset_next(&s, 1), 64);
        assert_int_equal(idset_next(&s, 65), 8191);
        assert_int_equal(idset_next(&s, 8192), -1);
        IDSET_FOREACH(id, &s)
                seen += id;
        assert_int_equal(seen, 64 + 8191);
        idset_remove(&s, 64);
        idset_remove(&s, 63);
        idset_remove(&s, 8192);
        assert_int_equal(idset_count(&s), 2);
        assert_int_equal(idset_next(&s, 1), 8191);
}

static void test_format_does_not_fit(void **state) {
        struct idset s = {};
        char text[4] = "xyz";

        (void) state;
        for (unsigned id = 0; id < 20; id += 2)
                idset_add(&s, id);
        assert_int_equal(idset_format(&s, text, sizeof(text)), -ENOSPC);
        assert_true(memchr(text, '\0', sizeof(text)) != NULL);
        assert_int_equal(idset_format(&s, text, 0), -ENOSPC);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_and_format),
                cmocka_unit_test(test_bad_input),
                cmocka_unit_test(test_members),
                cmocka_unit_test(test_format_does_not_fit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
