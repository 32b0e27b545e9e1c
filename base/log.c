/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void log_write(const struct log *log, int level, const char *format, ...) {
        char message[2304];
        va_list ap;

        if (!log || !log->write || level > log->max_level)
                return;
        va_start(ap, format);
        (void) vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        log->write(log->userdata, level, message);
}
