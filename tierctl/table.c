/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GAP "  "
#define BOLD "\x1b[1m"
#define RESET "\x1b[0m"

struct table {
        const struct table_column *columns;
        size_t n_columns;
        char **cells;                   /* row by row */
        size_t n_cells, allocated;
};

struct table *table_new(const struct table_column *columns, size_t n_columns) {
        struct table *t = calloc(1, sizeof(*t));

        if (t) {
                t->columns = columns;
                t->n_columns = n_columns;
        }
        return t;
}

struct table *table_free(struct table *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_cells; i++)
                free(t->cells[i]);
        free(t->cells);
        free(t);
        return NULL;
}

int table_add(struct table *t, const char *format, ...) {
        va_list ap;
        char *cell;
        int n;

        if (t->n_cells == t->allocated) {
                size_t more = t->allocated ? t->allocated * 2 : 32;
                char **p = reallocarray(t->cells, more, sizeof(*p));

                if (!p)
                        return -ENOMEM;
                t->cells = p;
                t->allocated = more;
        }
        va_start(ap, format);
        n = vasprintf(&cell, format, ap);
        va_end(ap);
        if (n < 0)
                return -ENOMEM;
        t->cells[t->n_cells++] = cell;
        return 0;
}

size_t text_width(const char *text, size_t len) {
        size_t n = 0;

        /* Those bytes that begin a character. */
        for (; len > 0 && *text; text++, len--)
                n += ((unsigned char) *text & 0xc0) != 0x80;
        return n;
}

static void print_cell(FILE *f, const struct table_column *column, const char *text, size_t width, bool last) {
        size_t own = text_width(text, SIZE_MAX);
        int pad = own < width ? (int) (width - own) : 0;

        if (column->align == ALIGN_RIGHT)
                (void) fprintf(f, "%*s%s", pad, "", text);
        else
                (void) fprintf(f, "%s%*s", text, last ? 0 : pad, "");
        (void) fputs(last ? "" : GAP, f);
}

static size_t column_width(const struct table *t, size_t column) {
        size_t width = text_width(t->columns[column].title, SIZE_MAX);

        for (size_t i = column; i < t->n_cells; i += t->n_columns)
                width = MAX(width, text_width(t->cells[i], SIZE_MAX));
        return width;
}

enum { NOT_SHOWN = SIZE_MAX };

/* Leaves columns out, the highest rank first and of one rank the last first, until the others fit. */
static void leave_out(const struct table *t, size_t *widths, size_t width, const unsigned *ranks) {
        for (;;) {
                size_t total = 0, shown = 0, worst = 0;

                for (size_t c = 0; c < t->n_columns; c++) {
                        if (widths[c] == NOT_SHOWN)
                                continue;
                        total += widths[c] + (shown++ > 0 ? strlen(GAP) : 0);
                        if (widths[worst] == NOT_SHOWN || ranks[c] >= ranks[worst])
                                worst = c;
                }
                if (total <= width || widths[worst] == NOT_SHOWN || ranks[worst] == 0)
                        return;
                widths[worst] = NOT_SHOWN;
        }
}

static void print_row(const struct table *t, FILE *f, const size_t *widths, char *const *cells) {
        size_t last = 0;

        for (size_t c = 0; c < t->n_columns; c++)
                if (widths[c] != NOT_SHOWN)
                        last = c;
        for (size_t c = 0; c <= last; c++)
                if (widths[c] != NOT_SHOWN)
                        print_cell(f, &t->columns[c], cells ? cells[c] : t->columns[c].title, widths[c], c == last);
}

void table_print_within(const struct table *t, FILE *f, bool colour, size_t width, const unsigned *ranks) {
        _cleanup_free_ size_t *widths = calloc(t->n_columns + 1, sizeof(*widths));

        /* Without memory for widths there is none for the rest either. */
        if (!widths)
                return;
        for (size_t c = 0; c < t->n_columns; c++)
                widths[c] = column_width(t, c);
        if (ranks)
                leave_out(t, widths, width, ranks);

        (void) fputs(colour ? BOLD : "", f);
        print_row(t, f, widths, NULL);
        (void) fputs(colour ? RESET "\n" : "\n", f);
        for (size_t row = 0; (row + 1) * t->n_columns <= t->n_cells; row++) {
                print_row(t, f, widths, t->cells + row * t->n_columns);
                (void) fputc('\n', f);
        }
}

void table_print(const struct table *t, FILE *f, bool colour) {
        table_print_within(t, f, colour, SIZE_MAX, NULL);
}

void text_wrap(const char *text, size_t indent, size_t column, FILE *f) {
        text_wrap_within(text, indent, column, 80, f);
}

void text_wrap_within(const char *text, size_t indent, size_t column, size_t screen, FILE *f) {
        bool begun = false;

        for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
                size_t n = strcspn(text, " "), width = text_width(text, n);

                if (begun && column + 1 + width > screen) {
                        (void) fputc('\n', f);
                        column = 0;
                        begun = false;
                }
                if (begun || column == 0)
                        column += (size_t) fprintf(f, "%*s", begun ? 1 : (int) indent, "");
                (void) fwrite(text, 1, n, f);
                column += width;
                begun = true;
                text += n;
        }
        if (begun)
                (void) fputc('\n', f);
}

bool table_use_colour(FILE *f) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        if (no_color && *no_color)
                return false;
        if (term && strcmp(term, "dumb") == 0)
                return false;
        return isatty(fileno(f)) == 1;
}
