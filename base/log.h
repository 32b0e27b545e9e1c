/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A log handle: where a message goes is its owner's choice (journal, stderr, a test's memory), so no room below tierd/
 * knows. Levels are syslog's (LOG_ERR … LOG_DEBUG). Only tierd/ and tierctl/ log above LOG_DEBUG.
 */
struct log {
        void (*write)(void *userdata, int level, const char *message);
        void *userdata;
        int max_level;
};

/* Formats and passes on; a NULL handle, or a level above max_level, is silence. */
void log_write(const struct log *log, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
