/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/log.h"

#include <systemd/sd-id128.h>

/*
 * Where tierd's messages go: the journal, structured, when its stderr is a stream to it (started by systemd); else stderr,
 * one line each. The journal may be stopped, and its socket full: then a write blocks. So a thread of its own writes what the
 * others have put in a queue of bounded length; what finds it full is dropped and counted, and the count is told once there
 * is room again.
 */
struct journal;

enum journal_target { JOURNAL_AUTO, JOURNAL_JOURNAL, JOURNAL_CONSOLE, JOURNAL_NULL, _JOURNAL_TARGET_MAX };
const char *journal_target_to_string(enum journal_target target);

/* `max_level` is the highest syslog level that is written. 0, -ENOMEM, -EAGAIN. */
int journal_new(int max_level, struct journal **ret);

/* Waits for what is queued to be written, for a second at most. */
struct journal *journal_free(struct journal *j);
DEFINE_CLEANUP(struct journal, journal_free)
#define _cleanup_journal_ _cleanup_(journal_freep)

/* Safe from any thread. */
void journal_set_level(struct journal *j, int max_level);
int journal_level(const struct journal *j);
void journal_set_target(struct journal *j, enum journal_target target);
enum journal_target journal_target(const struct journal *j);

/* For messages without a MESSAGE_ID of their own. The handle follows journal_set_level() and lives as long as `j`. */
const struct log *journal_log(struct journal *j);

/*
 * One structured entry: at most JOURNAL_FIELDS_MAX fields beside MESSAGE, PRIORITY, MESSAGE_ID and SYSLOG_IDENTIFIER. Names are
 * the journal's (capitals, digits, underscores; tierd's begin with TIERD_). A field that does not fit in is a defect of the
 * caller and left out.
 */
#define JOURNAL_FIELDS_MAX 32
struct journal_entry {
        size_t n;
        size_t used;
        const char *fields[JOURNAL_FIELDS_MAX];
        char text[4096];
};
void journal_add(struct journal_entry *e, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
void journal_send(struct journal *j, int level, sd_id128_t id, const struct journal_entry *e, const char *format, ...)
        __attribute__((format(printf, 5, 6)));
