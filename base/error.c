/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

void make_printable(char *text) {
        for (; *text; text++)
                if (((unsigned char) *text < ' ' && *text != '\n') || *text == 0x7f)
                        *text = '?';
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
