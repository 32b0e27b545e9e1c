/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

#include <stddef.h>

/* The text of one configuration file, and the words that point into it. */

/* Both count from 1; columns in characters (code points), as editors that know UTF-8 do. */
struct position {
        size_t line, column;
};

struct source {
        const char *name;               /* how errors call the file */
        const char *text;               /* UTF-8, without byte order mark */
        size_t len;
};

/*
 * Takes the text over (it is not copied), passing over a UTF-8 byte order mark, which Windows editors put in front.
 * -EBADMSG when it holds what no configuration needs and what would make lines and columns ambiguous: invalid UTF-8,
 * another encoding, control characters, line breaks that only YAML counts (U+0085, U+2028, U+2029, a lone CR).
 */
int source_open(const char *name, const char *text, size_t len, struct source *ret, struct diag *reterr);

/* The byte at a position, '\0' at the end of the text or of the line. */
char source_at(const struct source *s, struct position at);

/* A position with nothing but blanks from its line on is moved back, behind the last character that is none. */
struct position source_settle(const struct source *s, struct position at);

/*
 * Says what is wrong at a position, and returns -EBADMSG:
 *
 *     tierd.yaml:3:19: "20OMiB" is not a size; write …
 *             quota: {bytes: 20OMiB}
 *                            ^
 *
 * The source line stands two columns in, each tab of it shown as one blank, so the caret is at column + 2. A line that is
 * too long is cut around the position.
 */
int source_error(const struct source *s, struct position at, struct diag *reterr, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* A piece of the file for use inside a sentence: at most QUOTE_CHARACTERS, control characters as "?", in `buf`, returned. */
#define QUOTE_CHARACTERS 40
#define QUOTE_SIZE (QUOTE_CHARACTERS * 4 + 4)
char *source_quote(const char *text, char buf[static QUOTE_SIZE]);
