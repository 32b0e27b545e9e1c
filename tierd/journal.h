/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/log.h"

#include <systemd/sd-id128.h>
#include <sys/uio.h>

/*
 * Where tierd's messages go: the journal, structured, when its stderr is a stream to it (started by systemd); else stderr,
 * one line each. The journal may be stopped, and its socket full: then a write blocks. So a thread of its own writes what the
 * others have put in a queue of bounded length; what finds it full is dropped and counted, and the count is told once there
 * is room again.
 */
struct journal;

enum journal_target { JOURNAL_AUTO, JOURNAL_JOURNAL, JOURNAL_CONSOLE, JOURNAL_NULL, _JOURNAL_TARGET_MAX };
const char *journal_target_to_string(enum journal_target target);      /* "auto", "journal", "console", "null" */
int journal_target_from_string(const char *text);                      /* -EINVAL when it is none of them */

/* `max_level` is the highest syslog level that is written. 0, -ENOMEM, -EAGAIN. */
int journal_new(int max_level, struct journal **ret);

/* Waits for what is queued to be written, for a second at most. No other thread may use `j` any more. */
struct journal *journal_free(struct journal *j);
DEFINE_CLEANUP(struct journal, journal_free)
#define _cleanup_journal_ _cleanup_(journal_freep)

/* Safe from any thread. Levels are cut to syslog's. */
void journal_set_level(struct journal *j, int max_level);
int journal_level(const struct journal *j);
void journal_set_target(struct journal *j, enum journal_target target);
enum journal_target journal_target(const struct journal *j);

/* For messages without a MESSAGE_ID of their own. The handle follows journal_set_level() and lives as long as `j`. */
const struct log *journal_log(struct journal *j);

/*
 * One structured entry: at most JOURNAL_FIELDS_MAX fields beside MESSAGE, PRIORITY, MESSAGE_ID and SYSLOG_IDENTIFIER. Names are
 * the journal's (capitals, digits, underscores; tierd's begin with TIERD_), values are made printable. A field of another name,
 * or one that does not fit in, is a defect of the caller: it is left out and counted. Begin with = {} or with journal_begin(),
 * which leaves the text be.
 */
#define JOURNAL_FIELDS_MAX 32
struct journal_entry {
        size_t n;
        size_t used;
        unsigned left_out;
        char text[4096];                /* n times "NAME=value", each with a NUL behind it */
};
static inline void journal_begin(struct journal_entry *e) {
        e->n = e->used = e->left_out = 0;
}
void journal_add(struct journal_entry *e, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Queues the entry (NULL: no fields) with this message, cut to 2304 bytes and made printable; line feeds stay. SD_ID128_NULL:
 * no MESSAGE_ID. Never waits, and does not allocate. Safe from any thread.
 */
void journal_send(struct journal *j, int level, sd_id128_t id, const struct journal_entry *e, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

/*
 * What the thread writes to; for tests. `send` is sd_journal_sendv(3) and what it answers, `print` writes text that ends with
 * a line feed to stderr. Either may block.
 */
struct journal_sink {
        int (*send)(void *userdata, const struct iovec *fields, int n);
        void (*print)(void *userdata, const char *text, size_t len);
        void *userdata;
};
int journal_new_to(int max_level, const struct journal_sink *sink, struct journal **ret);
