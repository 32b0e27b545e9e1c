/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Text in aligned columns, for people. Cells are UTF-8, one column on the screen a character. The last column is not padded, so
 * no line ends in blanks.
 */
enum column_align { ALIGN_LEFT, ALIGN_RIGHT };

struct table_column {
        const char *title;
        enum column_align align;
};

struct table;

/* `columns` must outlive the table. NULL when memory ran out. */
struct table *table_new(const struct table_column *columns, size_t n_columns);
struct table *table_free(struct table *t);
DEFINE_CLEANUP(struct table, table_free)
#define _cleanup_table_ _cleanup_(table_freep)

/* Appends the next cell, from left to right; the row ends with its last column. 0 or -ENOMEM. */
int table_add(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the titles and every full row. Titles are bold with `colour`. */
void table_print(const struct table *t, FILE *f, bool colour);

/*
 * The same within `width` columns of the screen, as far as it goes: columns are left out, those with the highest rank first.
 * `ranks` has one per column; one of rank 0 always stays.
 */
void table_print_within(const struct table *t, FILE *f, bool colour, size_t width, const unsigned *ranks);

/*
 * A paragraph: words, broken so that lines end within 80 columns where they can, each line behind `indent` blanks. The first
 * one stands behind what is on its line already, `column` columns of it (0: its indent is printed as well).
 */
void text_wrap(const char *text, size_t indent, size_t column, FILE *f);

/* The same on a screen of that many columns. */
void text_wrap_within(const char *text, size_t indent, size_t column, size_t screen, FILE *f);

/* How many columns the first `len` bytes of UTF-8 text take: one a character. */
size_t text_width(const char *text, size_t len);

/* Colour is for people at a terminal who have not asked to be spared it (NO_COLOR, TERM=dumb). */
bool table_use_colour(FILE *f);
