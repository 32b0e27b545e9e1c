/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void make_printable(char *text) {
        size_t len = strlen(text), n;

        for (size_t i = 0; i < len; i += n) {
                uint32_t c;

                n = utf8_decode(text + i, len - i, &c);
                if (n > 0 && (!utf8_is_control(c) || c == '\n'))
                        continue;
                n = n > 0 ? n : 1;
                memset(text + i, '?', n);
        }
}

void make_printable_line(char *text) {
        make_printable(text);
        for (; *text; text++)
                if (*text == '\n')
                        *text = ' ';
}

int copy_printable_line(const char *text, size_t len, char **ret) {
        *ret = strndup(text, len);
        if (!*ret)
                return -ENOMEM;
        make_printable_line(*ret);
        return 0;
}

static void __attribute__((format(printf, 3, 0))) diag_setv(struct diag *d, int error, const char *format, va_list ap) {
        d->error = error;
        (void) vsnprintf(d->text, sizeof(d->text), format, ap);
        make_printable(d->text);
}

int (diag_set)(struct diag *reterr, int error, const char *format, ...) {
        va_list ap;

        if (!reterr)
                return error;

        va_start(ap, format);
        diag_setv(reterr, error, format, ap);
        va_end(ap);
        return error;
}

int (diag_default)(struct diag *reterr, int error, const char *format, ...) {
        va_list ap;

        if (!reterr || (reterr->error == error && reterr->text[0] != '\0'))
                return error;

        va_start(ap, format);
        diag_setv(reterr, error, format, ap);
        va_end(ap);
        return error;
}
