/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/source.h"
#include "base/cleanup.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Longer source lines are cut: a terminal's width, with room for what stands around it. */
#define LINE_CHARACTERS 100

/* The length in bytes of the character at `text`; a byte that is not UTF-8 counts as a character of its own. */
static size_t character_length(const char *text, size_t len) {
        uint32_t c;
        size_t n = utf8_decode(text, len, &c);

        return n > 0 ? n : 1;
}

static bool is_line_break_of_yaml_only(uint32_t c) {
        return c == 0x85 || c == 0x2028 || c == 0x2029;
}

/* What can be shown as it is: nothing that a terminal obeys, or that hides or turns around what stands beside it. */
static bool is_showable(uint32_t c) {
        bool invisible = (c >= 0x200b && c <= 0x200f) || c == 0xfeff;
        bool turns_text = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);

        return !utf8_is_control(c) && !is_line_break_of_yaml_only(c) && !invisible && !turns_text;
}

int source_open(const char *name, const char *text, size_t len, struct source *ret, struct diag *reterr) {
        struct source s = { .name = name, .text = text, .len = len };
        struct position at = { 1, 1 };
        size_t n;

        if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
                s.len = 0;      /* nothing of it can be shown */
                return source_error(&s, at, reterr, "the file is UTF-16 or UTF-32; save it as UTF-8");
        }
        if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
                s.text += 3;
                s.len -= 3;
        }

        for (size_t i = 0; i < s.len; i += n) {
                bool line_break = s.text[i] == '\n';
                uint32_t c = 0;

                n = utf8_decode(s.text + i, s.len - i, &c);
                if (n == 0)
                        return source_error(&s, at, reterr, "the byte 0x%02x is not valid UTF-8; save the file as UTF-8",
                                            (unsigned char) s.text[i]);
                if (c == 0)
                        return source_error(&s, at, reterr, "a NUL byte; is this a text file? Remove the byte");
                if (c == '\r' && !(i + 1 < s.len && s.text[i + 1] == '\n'))
                        return source_error(&s, at, reterr,
                                            "a carriage return without a line feed; end lines with a line feed");
                if (is_line_break_of_yaml_only(c))
                        return source_error(&s, at, reterr,
                                            "U+%04X is a line break to YAML, though not to an editor; remove it", c);
                if (c == 0xfeff || c == 0xfffe || c == 0xffff)
                        return source_error(&s, at, reterr, "U+%04X has no place inside a text; remove it", c);
                if (utf8_is_control(c) && c != '\n' && c != '\r' && c != '\t')
                        return source_error(&s, at, reterr, "the control character U+%04X; remove it", c);

                at.column++;
                if (line_break) {
                        at.line++;
                        at.column = 1;
                }
        }

        *ret = s;
        return 0;
}

/* The line's first byte and its length in bytes, without its line break. A line past the end is empty. */
static const char *find_line(const struct source *s, size_t line, size_t *ret_len) {
        const char *p = s->text, *end = s->text + s->len, *stop;

        for (size_t l = 1; l < line && p < end; l++) {
                const char *feed = memchr(p, '\n', (size_t) (end - p));

                p = feed ? feed + 1 : end;
        }
        stop = p < end ? memchr(p, '\n', (size_t) (end - p)) : NULL;
        if (!stop)
                stop = end;
        if (stop > p && stop[-1] == '\r')
                stop--;
        *ret_len = (size_t) (stop - p);
        return p;
}

char source_at(const struct source *s, struct position at) {
        size_t len, i = 0;
        const char *line = find_line(s, at.line, &len);

        for (size_t column = 1; column < at.column && i < len; column++)
                i += character_length(line + i, len - i);
        return i < len ? line[i] : '\0';
}

struct position source_settle(const struct source *s, struct position at) {
        struct position here = { 1, 1 }, last = { 1, 1 };
        size_t len;

        for (const char *p = find_line(s, at.line, &len); p < s->text + s->len; p++)
                if (!strchr(" \t\r\n", *p))
                        return at;

        for (size_t i = 0; i < s->len; i += character_length(s->text + i, s->len - i)) {
                here.column++;
                if (!strchr(" \t\r\n", s->text[i]))
                        last = here;
                if (s->text[i] == '\n')
                        here = (struct position) { here.line + 1, 1 };
        }
        return last;
}

/* What a line is shown as: every character in its place, none that a terminal would obey. */
static void show_line(const char *line, size_t len, size_t column, char *buf, size_t size, size_t *ret_caret) {
        size_t total = 0, skip = 0, n = 0, i = 0;

        for (size_t at = 0; at < len; at += character_length(line + at, len - at))
                total++;
        column = MIN(column, total + 1);
        if (total > LINE_CHARACTERS && column > LINE_CHARACTERS / 2)
                skip = column - LINE_CHARACTERS / 2;

        *ret_caret = column - skip - 1;
        if (skip > 0) {
                n = (size_t) snprintf(buf, size, "...");
                *ret_caret += 3;
        }
        for (size_t character = 0; i < len && character < skip + LINE_CHARACTERS; character++) {
                uint32_t c = 0;
                size_t length = utf8_decode(line + i, len - i, &c);
                bool valid = length > 0;

                if (!valid)
                        length = 1;
                if (character >= skip && n + length + 4 < size) {
                        if (!valid || !is_showable(c))
                                buf[n++] = c == '\t' ? ' ' : '?';
                        else {
                                memcpy(buf + n, line + i, length);
                                n += length;
                        }
                }
                i += length;
        }
        if (i < len)
                n += (size_t) snprintf(buf + n, size - n, "...");
        buf[n] = '\0';
}

int source_error(const struct source *s, struct position at, struct diag *reterr, const char *format, ...) {
        char what[1024], shown[LINE_CHARACTERS * 4 + 16];
        size_t len, caret;
        const char *line = find_line(s, at.line, &len);
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(what, sizeof(what), format, ap);
        va_end(ap);

        show_line(line, len, at.column, shown, sizeof(shown), &caret);
        return diag_set(reterr, -EBADMSG, "%.256s:%zu:%zu: %s\n  %s\n  %*s^", s->name, at.line, at.column, what, shown,
                        (int) caret, "");
}

char *source_quote(const char *text, char buf[static QUOTE_SIZE]) {
        size_t len = strlen(text), n = 0, i = 0;

        for (size_t character = 0; i < len && character < QUOTE_CHARACTERS; character++) {
                uint32_t c = 0;
                size_t length = utf8_decode(text + i, len - i, &c);

                if (length == 0 || !is_showable(c))
                        buf[n++] = '?';
                else {
                        memcpy(buf + n, text + i, length);
                        n += length;
                }
                i += length > 0 ? length : 1;
        }
        (void) snprintf(buf + n, QUOTE_SIZE - n, "%s", i < len ? "..." : "");
        return buf;
}
