/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

/*
 * The operator's terminal while something live is drawn on it, by plain control sequences (ECMA-48, and the private modes that
 * every terminal in use knows: alternate screen, cursor, line wrapping). One that is not entered may be left; entering twice is
 * fine.
 */
struct terminal {
        int in, out;
        bool keys;                      /* `in` is a terminal too, and was set to give every key at once */
        bool entered;
        struct termios before;
};

/* Whether live drawing makes sense: `out` is a terminal, and not one that knows no sequences (TERM=dumb). */
bool terminal_is_live(int out);

/* Whether what is printed may hold UTF-8's line-drawing; by the locale. */
bool terminal_has_blocks(void);

/* 0 or a negative errno. */
int terminal_enter(struct terminal *t);
void terminal_leave(struct terminal *t);

/* In columns and rows; 80 by 24 where it cannot be told. */
void terminal_size(int out, size_t *ret_columns, size_t *ret_rows);

/*
 * Draws a frame: lines of text, each cut to `columns`, the first `rows` of them. Colours (SGR sequences) within lines take no
 * room, and end with their line. One write, so that there is no half of a frame to be seen. 0 or a negative errno.
 */
int terminal_draw(const struct terminal *t, const char *text, size_t columns, size_t rows);
