/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/telemetry-internal.h"
#include "base/parse.h"
#include "tierd/message-ids.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

static const struct {
        sd_id128_t id;
        const char *before, *after;     /* the diagnosis */
} trouble_kinds[_TROUBLE_MAX] = {
        [TROUBLE_TURN] = { MESSAGE_TURN_FAILED, "turn failed, trying again: ", "" },
        [TROUBLE_KDAMOND] = { MESSAGE_KDAMOND_RESTARTED, "", "" },
        [TROUBLE_RELOAD] = { MESSAGE_RELOAD_REFUSED, "", "\nthe configuration before stays in force" },
        [TROUBLE_METRICS_FILE] = { MESSAGE_METRICS_FILE, "", "" },
        [TROUBLE_SYSTEM] = { MESSAGE_SYSTEM, "", "" },
};

/* ":12" and what follows; NULL: it is not of this form. */
static const char *take_number(const char *text, unsigned *ret) {
        size_t len = *text == ':' ? strspn(text + 1, "0123456789") : 0;

        if (len == 0 || len > 9)
                return NULL;
        *ret = (unsigned) strtoul(text + 1, NULL, 10);
        return text + 1 + len;
}

/* "FILE:LINE:COLUMN: …", as config_parse() says it; other texts have no such fields. A file's name may hold colons. */
static void add_place(struct journal_entry *e, const char *text) {
        for (const char *colon = strchr(text, ':'); colon; colon = strchr(colon + 1, ':')) {
                unsigned line, column;
                const char *p;

                p = take_number(colon, &line);
                p = p ? take_number(p, &column) : NULL;
                if (!p || p[0] != ':' || p[1] != ' ')
                        continue;
                journal_add(e, "TIERD_CONFIG_FILE", "%.*s", (int) (colon - text), text);
                journal_add(e, "TIERD_CONFIG_LINE", "%u", line);
                journal_add(e, "TIERD_CONFIG_COLUMN", "%u", column);
                return;
        }
}

const char *telemetry_times(uint64_t times, char buf[static TIMES_MAX]) {
        buf[0] = '\0';
        if (times > 1)
                (void) snprintf(buf, TIMES_MAX, " (%" PRIu64 " times since this was last told)", times);
        return buf;
}

static void tell_trouble(struct telemetry *t, enum telemetry_trouble kind, uint64_t times) {
        const struct trouble *trouble = t->troubles + kind;
        struct journal_entry e;
        char again[TIMES_MAX];

        journal_begin(&e);
        if (trouble->last.error < 0)
                journal_add(&e, "ERRNO", "%d", -trouble->last.error);
        journal_add(&e, "TIERD_TIMES", "%" PRIu64, times);
        if (kind == TROUBLE_RELOAD)
                add_place(&e, trouble->last.text);
        journal_send(t->journal, trouble->level, trouble_kinds[kind].id, &e, "%s%s%s%s", trouble_kinds[kind].before,
                     trouble->last.text, telemetry_times(times, again), trouble_kinds[kind].after);
}

void telemetry_trouble(struct telemetry *t, uint64_t now_us, enum telemetry_trouble kind, int level, const struct diag *d) {
        struct trouble *trouble = t->troubles + kind;
        uint64_t times;

        /* An operator who tries something else wants to know what is wrong with that. */
        if (kind == TROUBLE_RELOAD && strcmp(trouble->last.text, d->text) != 0)
                trouble->limit = (struct limit) {};
        trouble->level = level;
        trouble->last = *d;
        if (limit_happened(&trouble->limit, now_us, &times))
                tell_trouble(t, kind, times);
}

void telemetry_flush_troubles(struct telemetry *t, uint64_t now_us) {
        uint64_t times;

        for (int kind = 0; kind < _TROUBLE_MAX; kind++)
                if (limit_passed(&t->troubles[kind].limit, now_us, &times))
                        tell_trouble(t, (enum telemetry_trouble) kind, times);
}

void telemetry_memory_changed(struct telemetry *t, int nid, uint64_t before_bytes, uint64_t after_bytes) {
        bool more = after_bytes > before_bytes;
        char before[FORMAT_MAX], after[FORMAT_MAX];
        struct journal_entry e;

        if (before_bytes == after_bytes)
                return;
        journal_begin(&e);
        journal_add(&e, "TIERD_NODE", "%d", nid);
        journal_add(&e, "TIERD_BEFORE_BYTES", "%" PRIu64, before_bytes);
        journal_add(&e, "TIERD_AFTER_BYTES", "%" PRIu64, after_bytes);
        format_size(before_bytes, before, sizeof(before));
        format_size(after_bytes, after, sizeof(after));
        if (before_bytes == 0)
                journal_send(t->journal, LOG_NOTICE, MESSAGE_MEMORY_ADDED, &e, "node %d has memory now: %s", nid, after);
        else if (after_bytes == 0)
                journal_send(t->journal, LOG_NOTICE, MESSAGE_MEMORY_REMOVED, &e, "node %d has lost its memory: it had %s", nid,
                             before);
        else
                journal_send(t->journal, LOG_NOTICE, more ? MESSAGE_MEMORY_ADDED : MESSAGE_MEMORY_REMOVED, &e,
                             "node %d has %s memory now: %s, and had %s", nid, more ? "more" : "less", after, before);
}

void telemetry_restored(struct telemetry *t, bool leftovers) {
        struct journal_entry e;

        journal_begin(&e);
        journal_add(&e, "TIERD_WHY", "%s", leftovers ? "leftovers" : "stop");
        journal_send(t->journal, LOG_NOTICE, MESSAGE_RESTORED, &e, "%s",
                     leftovers ? "put back what an earlier tierd had changed" : "stopped; everything is as it was before");
}
