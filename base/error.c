/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

void make_printable(char *text) {
        for (; *text; text++)
                if (((unsigned char) *text < ' ' && *text != '\n') || *text == 0x7f)
                        *text = '?';
}

int (diag_set)(struct diag *reterr, int error, const char *format, ...) {
        va_list ap;

        if (!reterr)
                return error;

        reterr->error = error;
        va_start(ap, format);
        (void) vsnprintf(reterr->text, sizeof(reterr->text), format, ap);
        va_end(ap);
        make_printable(reterr->text);
        return error;
}

int (diag_default)(struct diag *reterr, int error, const char *format, ...) {
        va_list ap;

        if (!reterr || (reterr->error == error && reterr->text[0] != '\0'))
                return error;

        reterr->error = error;
        va_start(ap, format);
        (void) vsnprintf(reterr->text, sizeof(reterr->text), format, ap);
        va_end(ap);
        make_printable(reterr->text);
        return error;
}
