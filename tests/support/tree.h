/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A temporary directory filled by a test: a made-up machine, plain files and nothing behind them. Any failure ends the test. */
struct tree {
        char path[64];
        int root;
};

/* For cmocka: setup and teardown of a test whose state is a struct tree. */
int tree_setup(void **state);
int tree_teardown(void **state);

/* Makes a file with this text, and the directories above it; replaces it where it is. */
void tree_put(const struct tree *t, const char *path, const char *format, ...) __attribute__((format(printf, 3, 4)));
void tree_put_bytes(const struct tree *t, const char *path, const void *data, unsigned long len);
void tree_mkdir(const struct tree *t, const char *path);
void tree_link(const struct tree *t, const char *path, const char *target);
void tree_remove(const struct tree *t, const char *path);
