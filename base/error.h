/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/*
 * The error doctrine, for every room.
 *
 * A function that can fail returns an int: 0 (or a documented count) on success, a negative errno on failure.
 * A negative errno from below is forwarded unchanged. What a caller must decide about is not an error: it is a
 * named positive outcome (such as PLAN_NOTHING_TO_MANAGE), documented at its function and never forwarded.
 *
 * Outputs are parameters named ret_x and are written on success only. A function whose failure a person will read
 * takes a last parameter `struct diag *reterr` and fills it where the failure occurs, with what, where and what to do:
 * the path, the value, the line. The room that owns the conversation with the operator (tierd/, tierctl/) prints it,
 * once. No other room prints, or logs above debug.
 *
 * Memory that runs out is -ENOMEM, like any other failure: nothing here aborts.
 */

/* A diagnosis: one complete sentence or `file:line:col: …` block, without a final newline. Never allocates. */
struct diag {
        int error;              /* the negative errno that goes with it; 0: nothing was said */
        char text[2048];
};

/*
 * Control characters but line feeds, and bytes that are not UTF-8, become question marks: what stands in a file of a captured
 * machine, or in a file's name, must not steer the terminal that it is shown on, nor turn a journal entry into a binary one.
 */
void make_printable(char *text);

/* The same with blanks for line feeds: for a cell of a table, or what else is one line. */
void make_printable_line(char *text);

/* A copy of at most `len` bytes of the text, made so. 0 or -ENOMEM. */
int copy_printable_line(const char *text, size_t len, char **ret);

/*
 * Sets the text, cut to fit and made printable, and returns `error`, so that `return diag_set(reterr, -EINVAL, …)` works.
 * reterr may be NULL.
 */
int diag_set(struct diag *reterr, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for failures that nothing has explained yet: keeps an earlier text for this same failure. */
int diag_default(struct diag *reterr, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * An analyzer sees one file at a time and takes -errno for any number; this tells it that what is forwarded here is a
 * negative errno. (A name in parentheses is no macro: error.c defines the two so.)
 */
#ifdef __clang_analyzer__
static inline int diag_failure(int error) {
        if (error >= 0)
                __builtin_unreachable();
        return error;
}
#define diag_set(reterr, error, ...) ((diag_set)(reterr, error, __VA_ARGS__), diag_failure(error))
#define diag_default(reterr, error, ...) ((diag_default)(reterr, error, __VA_ARGS__), diag_failure(error))
#endif
