/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every file of tests/bad-config is refused where and as its line of `expected` says. Run from the top of the sources. */
#define DIRECTORY "tests/bad-config"

/* Characters, as UTF-8 counts them. */
static size_t characters(const char *text, size_t len) {
        size_t n = 0;

        for (size_t i = 0; i < len; i++)
                n += ((unsigned char) text[i] & 0xc0) != 0x80;
        return n;
}

/* The block is whole: where and what, the line, and a caret below the column that the first line names. */
static void check_block(const char *file, const char *text, unsigned line, unsigned column) {
        const char *source_line, *caret;
        char where[1024];
        size_t n;

        (void) snprintf(where, sizeof(where), "%s:%u:%u: ", file, line, column);
        if (strncmp(text, where, strlen(where)) != 0)
                fail_msg("%s: expected at %u:%u, got:\n%s", file, line, column, text);

        source_line = strchr(text, '\n');
        assert_non_null(source_line);
        assert_memory_equal(++source_line, "  ", 2);
        caret = strchr(source_line, '\n');
        assert_non_null(caret);
        n = strspn(++caret, " ");
        assert_string_equal(caret + n, "^");
        if (!strstr(source_line, "...")) {
                if (n != column + 1)
                        fail_msg("%s: the caret is not at column %u:\n%s", file, column, text);
                assert_true(characters(source_line, (size_t) (caret - source_line) - 1) + 1 >= n);
        }
}

static void test_bad_configurations(void **state) {
        _cleanup_fclose_ FILE *f = NULL;
        char entry[512];
        size_t n = 0;

        (void) state;
        f = fopen(DIRECTORY "/expected", "re");
        assert_non_null(f);

        while (fgets(entry, sizeof(entry), f)) {
                char file[256], path[512], first_line[2048];
                _cleanup_config_ struct config *c = NULL;
                unsigned line, column;
                struct diag d = {};
                const char *what;
                int used = 0;

                if (entry[0] == '#')
                        continue;
                entry[strcspn(entry, "\n")] = '\0';
                assert_int_equal(sscanf(entry, "%255[^:]: %u:%u: %n", file, &line, &column, &used), 3);
                what = entry + used;
                assert_true(used > 0 && what[0] != '\0');

                (void) snprintf(path, sizeof(path), DIRECTORY "/%s", file);
                if (config_load(path, &c, &d) != -EBADMSG)
                        fail_msg("%s was not refused: %s", file, d.text);
                assert_null(c);
                assert_int_equal(d.error, -EBADMSG);
                check_block(path, d.text, line, column);

                (void) snprintf(first_line, sizeof(first_line), "%.*s", (int) strcspn(d.text, "\n"), d.text);
                if (!strstr(first_line, what))
                        fail_msg("%s: expected \"%s\" in:\n%s", file, what, first_line);
                n++;
        }
        assert_true(n >= 80);

        /* No file without its line. */
        {
                _cleanup_closedir_ DIR *dir = opendir(DIRECTORY);
                size_t n_files = 0;

                assert_non_null(dir);
                for (struct dirent *e; (e = readdir(dir));)
                        n_files += strstr(e->d_name, ".yaml") != NULL;
                assert_int_equal(n_files, n);
        }
}

/* Each of them, cut short at every byte: whatever comes out, it is an answer. */
static void test_cut_configurations(void **state) {
        _cleanup_closedir_ DIR *dir = opendir(DIRECTORY);

        (void) state;
        assert_non_null(dir);
        for (struct dirent *e; (e = readdir(dir));) {
                _cleanup_fclose_ FILE *f = NULL;
                char path[512], text[8192];
                size_t len;

                if (!strstr(e->d_name, ".yaml"))
                        continue;
                (void) snprintf(path, sizeof(path), DIRECTORY "/%s", e->d_name);
                f = fopen(path, "re");
                assert_non_null(f);
                len = fread(text, 1, sizeof(text), f);
                for (size_t i = 0; i <= len; i++) {
                        /* A copy of its own, so that a sanitizer sees a read past the end. */
                        _cleanup_free_ char *piece = malloc(i > 0 ? i : 1);
                        _cleanup_config_ struct config *c = NULL;
                        struct diag d = {};
                        int r;

                        assert_non_null(piece);
                        memcpy(piece, text, i);
                        r = config_parse(piece, i, "x", &c, &d);
                        assert_true(r == 0 ? c != NULL : r == -EBADMSG && d.text[0] != '\0');
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bad_configurations),
                cmocka_unit_test(test_cut_configurations),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
