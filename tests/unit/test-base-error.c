/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

static void test_printable(void **state) {
        static const struct {
                const char *text, *printable;
        } cases[] = {
                { "", "" },
                { "two\nlines", "two\nlines" },
                { "größe \xe2\x86\x92 \xf0\x9f\x90\xa7", "größe \xe2\x86\x92 \xf0\x9f\x90\xa7" },
                { "\033[31mred\r\t\x7f", "?[31mred???" },
                { "\xc2\x9b" "31m", "??31m" },          /* U+009B: the same as ESC [ */
                { "\x9b" "31m", "?31m" },
                { "cut \xe2\x86", "cut ??" },
                { "\xc0\xaf \xed\xa0\x80", "?? ???" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char text[64];

                (void) snprintf(text, sizeof(text), "%s", cases[i].text);
                make_printable(text);
                assert_string_equal(text, cases[i].printable);
        }
}

/* A text that is cut within a character is UTF-8 all the same. */
static void test_cut(void **state) {
        struct diag d = {};
        char text[sizeof(d.text) + 3];

        (void) state;
        for (size_t i = 0; i + 2 < sizeof(text); i += 2)
                memcpy(text + i, "\xc3\xb6", 3);
        assert_int_equal(diag_set(&d, -EINVAL, "%s", text), -EINVAL);
        assert_int_equal(strlen(d.text), sizeof(d.text) - 1);
        assert_int_equal(d.text[sizeof(d.text) - 2], '?');
        assert_int_equal(d.text[sizeof(d.text) - 3], '\xb6');
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_printable),
                cmocka_unit_test(test_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
