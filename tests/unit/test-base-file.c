/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "base/file.h"
#include "tests/support/tree.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static void test_lines(void **state) {
        static const struct {
                const char *text;
                int result;
                const char *line;
        } cases[] = {
                { "",           0,        ""    },
                { "\n",         0,        ""    },
                { "abc",        3,        "abc" },
                { "abc\n",      3,        "abc" },
                { "abc\n\n",    -EBADMSG, NULL  },
                { "abc\ndef",   -EBADMSG, NULL  },
                { "12345678",   -EFBIG,   NULL  },
                { "1234567",    7,        "1234567" },
        };
        const struct tree *t = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char buf[8];
                int r;

                tree_put(t, "sys/a", "%s", cases[i].text);
                r = file_read_line(t->root, "sys/a", buf, sizeof(buf));
                assert_int_equal(r, cases[i].result);
                if (r >= 0)
                        assert_string_equal(buf, cases[i].line);
        }
}

/* A FIFO that nobody writes to must not be waited for. */
static void test_fifo(void **state) {
        const struct tree *t = *state;
        char buf[8];

        tree_put(t, "sys/beside", "x");
        assert_int_equal(mkfifoat(t->root, "sys/fifo", 0600), 0);
        assert_int_equal(file_read_line(t->root, "sys/fifo", buf, sizeof(buf)), 0);
        assert_string_equal(buf, "");
}

/* An attribute is read once: another read would find that a writer of this FIFO may have more to say (EAGAIN). */
static void test_one_read(void **state) {
        const struct tree *t = *state;
        char buf[8];
        int fd;

        tree_put(t, "sys/beside", "x");
        assert_int_equal(mkfifoat(t->root, "sys/fifo", 0600), 0);
        fd = openat(t->root, "sys/fifo", O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "123\n", 4), 4);
        assert_int_equal(file_read_line(t->root, "sys/fifo", buf, sizeof(buf)), 3);
        assert_string_equal(buf, "123");
        assert_int_equal(write(fd, "12345678", 8), 8);
        assert_int_equal(file_read(t->root, "sys/fifo", buf, sizeof(buf)), -EFBIG);
        assert_int_equal(file_read(t->root, "sys/fifo", buf, sizeof(buf)), -EAGAIN);
        (void) close(fd);
}

static void test_numbers(void **state) {
        static const struct {
                const char *text;
                int decimal, hexadecimal;
                uint64_t d, h;
        } cases[] = {
                { "12\n",                   0,        0,        12,          0x12       },
                { "0x12\n",                 -EBADMSG, 0,        0,           0x12       },
                { "ff\n",                   -EBADMSG, 0,        0,           0xff       },
                { "\n",                     -EBADMSG, -EBADMSG, 0,           0          },
                { "12 \n",                  -EBADMSG, -EBADMSG, 0,           0          },
                { "-1\n",                   -EBADMSG, -EBADMSG, 0,           0          },
                { "1\n2\n",                 -EBADMSG, -EBADMSG, 0,           0          },
                { "18446744073709551616\n", -EBADMSG, -EBADMSG, 0,           0          },
                { "00000000000000000000000000000000000000000000000000000000000000000000001\n", -EBADMSG, -EBADMSG, 0, 0 },
        };
        const struct tree *t = *state;
        uint64_t v;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                tree_put(t, "n", "%s", cases[i].text);
                v = 4711;
                assert_int_equal(file_read_u64(t->root, "n", &v), cases[i].decimal);
                assert_true(v == (cases[i].decimal == 0 ? cases[i].d : 4711));
                v = 4711;
                assert_int_equal(file_read_hex_u64(t->root, "n", &v), cases[i].hexadecimal);
                assert_true(v == (cases[i].hexadecimal == 0 ? cases[i].h : 4711));
        }
        assert_int_equal(file_read_u64(t->root, "missing", &v), -ENOENT);
}

static void test_nul_bytes(void **state) {
        const struct tree *t = *state;
        _cleanup_free_ char *all = NULL;
        struct idset s;
        char buf[16];
        size_t len;

        tree_put_bytes(t, "nul", "1\0002\n", 4);
        assert_int_equal(file_read(t->root, "nul", buf, sizeof(buf)), -EBADMSG);
        assert_int_equal(file_read_idset(t->root, "nul", 100, &s), -EBADMSG);
        assert_int_equal(file_read_alloc(t->root, "nul", 100, &all, &len), 0);
        assert_int_equal(len, 4);
}

static void test_long_files(void **state) {
        const struct tree *t = *state;
        static char text[20000];
        _cleanup_free_ char *all = NULL;
        size_t len;

        memset(text, 'x', sizeof(text));
        tree_put_bytes(t, "long", text, sizeof(text));
        assert_int_equal(file_read_alloc(t->root, "long", sizeof(text) - 1, &all, &len), -EFBIG);
        assert_null(all);
        assert_int_equal(file_read_alloc(t->root, "long", sizeof(text), &all, &len), 0);
        assert_int_equal(len, sizeof(text));
        assert_int_equal(strlen(all), sizeof(text));
}

/* A captured machine's links stay inside it, whatever they say. */
static void test_links_stay_inside(void **state) {
        const struct tree *t = *state;
        char buf[64];

        tree_put(t, "sys/devices/value", "inside\n");
        tree_link(t, "sys/class", "devices");
        tree_link(t, "absolute", "/sys/devices/value");
        tree_link(t, "up", "../../../../../../../sys/devices/value");
        assert_int_equal(file_read_line(t->root, "sys/class/value", buf, sizeof(buf)), 6);
        assert_string_equal(buf, "inside");
        if (file_read_line(t->root, "absolute", buf, sizeof(buf)) == -ENOENT)
                skip(); /* valgrind 3.19: no openat2(2) */
        assert_string_equal(buf, "inside");
        assert_int_equal(file_read_line(t->root, "up", buf, sizeof(buf)), 6);
        assert_string_equal(buf, "inside");
}

static void test_read_link(void **state) {
        const struct tree *t = *state;
        char buf[32];

        tree_link(t, "bus/dax0.0", "../devices/region0/dax0.0");
        tree_put(t, "bus/plain", "x");
        assert_int_equal(file_read_link(t->root, "bus/dax0.0", buf, sizeof(buf)), 25);
        assert_string_equal(buf, "../devices/region0/dax0.0");
        assert_int_equal(file_read_link(t->root, "bus/dax0.0", buf, 25), -ENAMETOOLONG);
        assert_int_equal(file_read_link(t->root, "bus/plain", buf, sizeof(buf)), -EINVAL);
        assert_int_equal(file_read_link(t->root, "bus", buf, sizeof(buf)), -EINVAL);
        assert_int_equal(file_read_link(t->root, "bus/none", buf, sizeof(buf)), -ENOENT);
}

static void test_directories(void **state) {
        const struct tree *t = *state;
        _cleanup_free_ uint64_t *numbers = NULL;
        struct idset s;
        char **names, text[64];
        size_t n;

        tree_mkdir(t, "d/node10");
        tree_mkdir(t, "d/node2");
        tree_mkdir(t, "d/node");
        tree_mkdir(t, "d/node2x");
        tree_mkdir(t, "d/node-1");
        tree_mkdir(t, "d/node99999999");
        tree_mkdir(t, "d/other3");

        assert_int_equal(dir_read_numbers(t->root, "d", "node", &numbers, &n), 0);
        assert_int_equal(n, 3);
        assert_true(numbers[0] == 2 && numbers[1] == 10 && numbers[2] == 99999999);
        assert_int_equal(dir_read_ids(t->root, "d", "node", NODE_ID_MAX, &s), 0);
        assert_int_equal(idset_format(&s, text, sizeof(text)), 4);
        assert_string_equal(text, "2,10");

        assert_int_equal(dir_read_names(t->root, "d", "node2", &names, &n), 0);
        assert_int_equal(n, 2);
        assert_string_equal(names[0], "node2");
        assert_string_equal(names[1], "node2x");
        assert_null(names_free(names, n));
        assert_int_equal(dir_read_names(t->root, "d/node", "", &names, &n), 0);
        assert_int_equal(n, 0);
        assert_null(names_free(names, n));
        assert_int_equal(dir_read_names(t->root, "none", "", &names, &n), -ENOENT);
}

static void test_names_of_directories(void **state) {
        const struct tree *t = *state;
        char **names = NULL;
        size_t n = 0;

        tree_mkdir(t, "d/b");
        tree_mkdir(t, "d/.a");
        tree_put(t, "d/file", "x");
        tree_link(t, "d/link", "b");
        assert_int_equal(dir_read_directories(t->root, "d", &names, &n), 0);
        assert_int_equal(n, 2);
        assert_string_equal(names[0], ".a");
        assert_string_equal(names[1], "b");
        assert_null(names_free(names, n));
        assert_int_equal(dir_read_directories(t->root, "none", &names, &n), -ENOENT);
        assert_int_equal(dir_read_directories(t->root, "d/file", &names, &n), -ENOTDIR);
}

static void test_write(void **state) {
        const struct tree *t = *state;
        char buf[16];

        assert_int_equal(file_write(t->root, "w", "1"), -ENOENT);
        tree_put(t, "w", "xyz");
        assert_int_equal(file_write(t->root, "w", "12"), 0);
        assert_int_equal(file_read(t->root, "w", buf, sizeof(buf)), 3);
        assert_string_equal(buf, "12z"); /* no O_TRUNC */
}

static void test_replace(void **state) {
        const struct tree *t = *state;
        struct stat st;
        char buf[16];

        tree_mkdir(t, "run");
        assert_int_equal(file_replace(t->root, "run/state", "one", 3), 0);
        assert_int_equal(file_replace(t->root, "run/state", "two", 3), 0);
        assert_int_equal(file_read(t->root, "run/state", buf, sizeof(buf)), 3);
        assert_string_equal(buf, "two");
        assert_int_equal(fstatat(t->root, "run/.state.new", &st, 0), -1);
        assert_int_equal(file_replace(t->root, "top", "x", 1), 0);
        assert_int_equal(file_exists(t->root, "top"), 1);
        assert_int_equal(file_replace(t->root, "none/state", "x", 1), -ENOENT);
}

static void test_exists(void **state) {
        const struct tree *t = *state;

        tree_put(t, "a", "x");
        assert_int_equal(file_exists(t->root, "a"), 1);
        assert_int_equal(file_exists(t->root, "b"), 0);
        assert_int_equal(file_exists(t->root, "a/b"), 0);
}

static void test_root_open(void **state) {
        const struct tree *t = *state;
        struct diag d = {};

        assert_int_equal(root_open("/nowhere/at/all", &d), -ENOENT);
        assert_non_null(strstr(d.text, "/nowhere/at/all"));
        assert_int_equal(root_open("/proc/self/status", &d), -ENOTDIR);
        assert_int_equal(close(root_open(t->path, &d)), 0);
}

static void test_path_format(void **state) {
        char buf[8];

        (void) state;
        assert_int_equal(path_format(buf, sizeof(buf), "%s", "1234567"), 0);
        assert_int_equal(path_format(buf, sizeof(buf), "%s", "12345678"), -ENAMETOOLONG);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, tree_setup, tree_teardown)

/* In a process of its own: this one's words are wanted. */
static void test_standard_files(void **state) {
        int status;
        pid_t pid;

        (void) state;
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) close(STDIN_FILENO);
                (void) close(STDERR_FILENO);
                _exit(standard_files_open() == 0 && fcntl(STDIN_FILENO, F_GETFD) >= 0 && fcntl(STDERR_FILENO, F_GETFD) >= 0 &&
                      write(STDERR_FILENO, "x", 1) == 1 ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_lines),
                TEST(test_fifo),
                TEST(test_one_read),
                TEST(test_numbers),
                TEST(test_nul_bytes),
                TEST(test_long_files),
                TEST(test_links_stay_inside),
                TEST(test_read_link),
                TEST(test_directories),
                TEST(test_names_of_directories),
                TEST(test_write),
                TEST(test_replace),
                TEST(test_exists),
                TEST(test_root_open),
                cmocka_unit_test(test_path_format),
                cmocka_unit_test(test_standard_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
