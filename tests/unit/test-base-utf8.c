/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static void test_decode(void **state) {
        static const struct {
                const char *text;
                size_t length;
        } cases[] = {
                { "a", 1 },                     { "\x7f", 1 },
                { "\xc3\xa4", 2 },              { "\xc2\x80", 2 },              { "\xdf\xbf", 2 },
                { "\xe0\xa0\x80", 3 },          { "\xe2\x82\xac", 3 },          { "\xef\xbf\xbd", 3 },
                { "\xed\x9f\xbf", 3 },          { "\xee\x80\x80", 3 },          { "\xf0\x90\x80\x80", 4 },
                { "\xf4\x8f\xbf\xbd", 4 },
                /* Continuations without a beginning, and beginnings without all of theirs. */
                { "\x80", 0 },                  { "\xbf", 0 },                  { "\xc3", 0 },
                { "\xc3(", 0 },                 { "\xe2\x82", 0 },              { "\xe2\x82x", 0 },
                { "\xf0\x9f\x98", 0 },
                /* Overlong. */
                { "\xc0\x80", 0 },              { "\xc1\xbf", 0 },              { "\xe0\x9f\xbf", 0 },
                { "\xf0\x8f\xbf\xbf", 0 },
                /* Surrogates, and beyond the last. */
                { "\xed\xa0\x80", 0 },          { "\xed\xbf\xbf", 0 },          { "\xf4\x90\x80\x80", 0 },
                { "\xf8\x88\x80\x80\x80", 0 },  { "\xff", 0 },                  { "\xfe", 0 },
        };

        uint32_t c;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(utf8_decode(cases[i].text, strlen(cases[i].text), &c), cases[i].length);
}

static void test_repair(void **state) {
        static const struct {
                const char *before, *after;
        } cases[] = {
                { "", "" },
                { "plain", "plain" },
                { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
                { "gr\xfc\xdf", "gr??" },
                { "\xe2\x82", "??" },
                { "\xe2\x82\xc3\xa4", "??\xc3\xa4" },
                { "a\xed\xa0\x80z", "a???z" },
                /* What is no character. */
                { "\xef\xbf\xbe", "???" },
                { "\xef\xb7\x90-", "??\?-" },
                { "\xf0\x9f\xbf\xbf", "????" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char text[64];

                (void) snprintf(text, sizeof(text), "%s", cases[i].before);
                assert_ptr_equal(utf8_repair(text), text);
                assert_string_equal(text, cases[i].after);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),
                cmocka_unit_test(test_repair),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
