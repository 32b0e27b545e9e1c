/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/telemetry-internal.h"
#include "base/parse.h"
#include "tierd/message-ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

int telemetry_new(struct journal *j, struct telemetry **ret) {
        _cleanup_telemetry_ struct telemetry *t = NULL;
        int r;

        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->journal = j;
        r = watch_new(&t->watch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

static void forget_notes(struct telemetry *t) {
        for (size_t i = 0; i < t->n_notes; i++)
                free(t->notes[i]);
        free(t->notes);
        t->notes = NULL;
        t->n_notes = 0;
}

struct telemetry *telemetry_free(struct telemetry *t) {
        if (!t)
                return NULL;
        t->watch = watch_free(t->watch);
        forget_notes(t);
        free(t->schemes);
        free(t);
        return NULL;
}

void telemetry_add_scheme(struct journal_entry *e, const struct status_scheme *s) {
        char name[STATUS_SCHEME_NAME_MAX];

        journal_add(e, "TIERD_SCHEME", "%s", status_scheme_name(s, name));
        journal_add(e, "TIERD_DIRECTION", "%s", direction_to_string(s->direction));
        journal_add(e, "TIERD_SOURCE", "%d", s->source_nid);
        journal_add(e, "TIERD_TARGET", "%d", s->target_nid);
}

void telemetry_add_goal(struct journal_entry *e, const struct status_scheme *s) {
        journal_add(e, "TIERD_GOAL_METRIC", "%s", goal_metric_to_string(s->goal_metric));
        journal_add(e, "TIERD_GOAL_NODE", "%d", s->goal_nid);
        journal_add(e, "TIERD_GOAL_BP", "%" PRIu32, s->goal_bp);
        if (s->current_bp >= 0)
                journal_add(e, "TIERD_CURRENT_BP", "%" PRId32, s->current_bp);
}

const char *goal_word(enum goal_metric metric) {
        return metric == GOAL_NODE_MEM_FREE_BP ? "free" : "used";
}

/* -- plans -- */

/* "0-1 > 2 > 3": the nodes of each tier, the fastest first. */
static void format_tiers(const struct status *s, char *buf, size_t size) {
        size_t len = 0;

        buf[0] = '\0';
        for (size_t tier = 0; tier < s->n_tiers && len < size; tier++) {
                struct idset ids = {};
                char list[128];

                for (size_t i = 0; i < s->n_nodes; i++)
                        if (s->nodes[i].tier == (int) tier)
                                idset_add(&ids, (unsigned) s->nodes[i].nid);
                if (idset_format(&ids, list, sizeof(list)) < 0)
                        (void) snprintf(list, sizeof(list), "%zu nodes", idset_count(&ids));
                len += (size_t) snprintf(buf + len, size - len, "%s%s", tier > 0 ? " > " : "", list);
        }
}

static size_t count_kdamonds(const struct status *s) {
        size_t n = 0;

        for (size_t i = 0; i < s->n_nodes; i++)
                n += s->nodes[i].has_kdamond;
        return n;
}

static void tell_scheme(struct telemetry *t, sd_id128_t id, const char *what, const struct status_scheme *s) {
        char goal[FORMAT_MAX], ceiling[FORMAT_MAX], interval[FORMAT_MAX];
        struct journal_entry e;

        journal_begin(&e);
        telemetry_add_scheme(&e, s);
        telemetry_add_goal(&e, s);
        journal_add(&e, "TIERD_CEILING_BYTES", "%" PRIu64, s->ceiling_bytes);
        journal_add(&e, "TIERD_CEILING_INTERVAL_US", "%" PRIu64, s->ceiling_interval_us);
        journal_send(t->journal, LOG_INFO, id, &e, "%s %d -> %d: %saiming at %s of node %d %s, at most %s per %s",
                     direction_to_string(s->direction), s->source_nid, s->target_nid, what,
                     format_percent(s->goal_bp, goal, sizeof(goal)), s->goal_nid, goal_word(s->goal_metric),
                     format_size(s->ceiling_bytes, ceiling, sizeof(ceiling)),
                     format_duration(s->ceiling_interval_us, interval, sizeof(interval)));
}

static void tell_removed(struct telemetry *t, const struct status_scheme *s) {
        struct journal_entry e;

        journal_begin(&e);
        telemetry_add_scheme(&e, s);
        journal_send(t->journal, LOG_INFO, MESSAGE_SCHEME_REMOVED, &e, "%s %d -> %d: removed",
                     direction_to_string(s->direction), s->source_nid, s->target_nid);
}

static void tell_note(struct telemetry *t, const struct status_note *note) {
        struct journal_entry e;

        journal_begin(&e);
        journal_add(&e, "TIERD_NOTE", "%s", note_kind_to_string(note->kind));
        journal_send(t->journal, LOG_NOTICE, note->kind == NOTE_KERNEL ? MESSAGE_KERNEL_LACKS : MESSAGE_NOTE, &e, "%s",
                     note->text);
}

static void tell_stopped(struct telemetry *t, const char *modules) {
        struct journal_entry e;

        journal_begin(&e);
        journal_add(&e, "TIERD_NOTE", "%s", note_kind_to_string(NOTE_ADVICE));
        journal_add(&e, "TIERD_STOPPED_MODULES", "%s", modules);
        journal_send(t->journal, LOG_NOTICE, MESSAGE_NOTE, &e, "stopped %s, which held DAMON; put back at the end", modules);
}

/* Tells the notes that are new, and remembers all. */
static void tell_notes(struct telemetry *t, const struct status *s) {
        char **notes;

        for (size_t i = 0; i < s->n_notes; i++) {
                bool known = false;

                for (size_t j = 0; j < t->n_notes; j++)
                        known = known || strcmp(t->notes[j], s->notes[i].text) == 0;
                if (!known)
                        tell_note(t, s->notes + i);
        }
        forget_notes(t);
        notes = calloc(s->n_notes + 1, sizeof(*notes));
        if (!notes)
                return;
        t->notes = notes;
        for (size_t i = 0; i < s->n_notes; i++) {
                notes[t->n_notes] = strdup(s->notes[i].text);
                if (!notes[t->n_notes])
                        return;
                t->n_notes++;
        }
}

static struct told_scheme *told_find(const struct telemetry *t, const struct status_scheme *s) {
        for (size_t i = 0; i < t->n_schemes; i++) {
                struct told_scheme *told = t->schemes + i;

                if (told->scheme.direction == s->direction && told->scheme.source_nid == s->source_nid &&
                    told->scheme.target_nid == s->target_nid)
                        return told;
        }
        return NULL;
}

/* What people configure of a scheme. */
static bool is_as_told(const struct status_scheme *a, const struct status_scheme *b) {
        return a->goal_metric == b->goal_metric && a->goal_nid == b->goal_nid && a->goal_bp == b->goal_bp &&
               a->ceiling_bytes == b->ceiling_bytes && a->ceiling_interval_us == b->ceiling_interval_us;
}

void told_scheme_count_from(struct told_scheme *told, const struct status *s, const struct status_scheme *scheme) {
        const struct status_node *source = status_node(s, scheme->source_nid), *target = status_node(s, scheme->target_nid);

        *told = (struct told_scheme) { .scheme = *scheme, .taken_us = s->taken_us, .total = scheme->total };
        told->cpu_us = source ? source->cpu_us : 0;
        told->measured = source && target && source->has_free && target->has_free;
        if (!told->measured)
                return;
        told->source_total = source->total_bytes;
        told->source_used = source->total_bytes - MIN(source->free_bytes, source->total_bytes);
        told->target_total = target->total_bytes;
        told->target_used = target->total_bytes - MIN(target->free_bytes, target->total_bytes);
}

/* Remembers the snapshot's schemes; those that stay go on with what they counted from. */
static void remember_plan(struct telemetry *t, const struct status *s) {
        struct told_scheme *schemes = calloc(s->n_schemes + 1, sizeof(*schemes));

        if (!schemes)
                return;
        for (size_t i = 0; i < s->n_schemes; i++) {
                const struct told_scheme *old = told_find(t, s->schemes + i);

                if (old) {
                        schemes[i] = *old;
                        schemes[i].scheme = s->schemes[i];
                        /* What has changed up to this snapshot was told by no sample: the next one is no quiet one. */
                        schemes[i].sampled = false;
                } else
                        told_scheme_count_from(schemes + i, s, s->schemes + i);
        }
        free(t->schemes);
        t->schemes = schemes;
        t->n_schemes = s->n_schemes;
}

void telemetry_started(struct telemetry *t, const struct status *s, const char *stopped_modules) {
        struct journal_entry e;
        char tiers[512];

        format_tiers(s, tiers, sizeof(tiers));
        journal_begin(&e);
        journal_add(&e, "TIERD_VERSION", "%s", TIERD_VERSION);
        journal_add(&e, "TIERD_KERNEL", "%s", s->release);
        journal_add(&e, "TIERD_TIERS", "%s", tiers);
        journal_add(&e, "TIERD_RANK_SOURCE", "%s", rank_source_to_string(s->rank_source));
        journal_add(&e, "TIERD_TUNER", "%s", tuner_kind_to_string(s->tuner));
        journal_add(&e, "TIERD_SCHEMES", "%zu", s->n_schemes);
        if (s->config_path)
                journal_add(&e, "TIERD_CONFIG_FILE", "%s", s->config_path);
        if (s->n_schemes == 0)
                journal_send(t->journal, LOG_NOTICE, MESSAGE_STARTED, &e, "nothing to manage on this machine");
        else
                journal_send(t->journal, LOG_NOTICE, MESSAGE_STARTED, &e,
                             "managing %zu nodes by %zu scheme%s, tuner %s, on Linux %s; tiers %s, ranked by %s",
                             count_kdamonds(s), s->n_schemes, s->n_schemes == 1 ? "" : "s",
                             tuner_kind_to_string(s->tuner), s->release, tiers, rank_source_to_string(s->rank_source));
        if (stopped_modules[0])
                tell_stopped(t, stopped_modules);
        for (size_t i = 0; i < s->n_schemes; i++)
                tell_scheme(t, MESSAGE_SCHEME_INSTALLED, "", s->schemes + i);
        tell_notes(t, s);
        remember_plan(t, s);
}

static const char *why_words(const char *why) {
        static const struct {
                const char *why, *words;
        } all[] = {
                { "reload", "configuration reloaded" },
                { "hotplug", "the plan is made again for the memory that is there" },
                { "pause", "paused: nothing is moved until tierctl resume" },
                { "resume", "resumed" },
                { "cgroups", "the plan is made again for the control groups that are excluded" },
        };

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                if (strcmp(all[i].why, why) == 0)
                        return all[i].words;
        return why;
}

struct changes {
        size_t added, removed, changed;
};

static struct changes count_changes(const struct telemetry *t, const struct status *s) {
        struct changes c = {};

        for (size_t i = 0; i < s->n_schemes; i++) {
                const struct status_scheme *now = s->schemes + i;
                const struct told_scheme *old = told_find(t, now);

                c.added += !old;
                c.changed += old && !is_as_told(&old->scheme, now);
        }
        for (size_t i = 0; i < t->n_schemes; i++) {
                const struct status_scheme *old = &t->schemes[i].scheme;

                c.removed += !status_scheme(s, old->direction, old->source_nid, old->target_nid);
        }
        return c;
}

/* `times`: of what is limited, how often it happened since this was told last; else 0. */
static void tell_plan(struct telemetry *t, const struct status *s, const char *why, const struct changes *c, uint64_t times) {
        char counts[128] = "", again[TIMES_MAX];
        struct journal_entry e;

        journal_begin(&e);
        journal_add(&e, "TIERD_WHY", "%s", why);
        journal_add(&e, "TIERD_TUNER", "%s", tuner_kind_to_string(s->tuner));
        journal_add(&e, "TIERD_SCHEMES", "%zu", s->n_schemes);
        journal_add(&e, "TIERD_ADDED", "%zu", c->added);
        journal_add(&e, "TIERD_REMOVED", "%zu", c->removed);
        journal_add(&e, "TIERD_CHANGED", "%zu", c->changed);
        if (times > 0)
                journal_add(&e, "TIERD_TIMES", "%" PRIu64, times);
        if (s->config_path)
                journal_add(&e, "TIERD_CONFIG_FILE", "%s", s->config_path);
        if (c->added + c->removed + c->changed > 0)
                (void) snprintf(counts, sizeof(counts), ": %zu new, %zu removed, %zu changed", c->added, c->removed,
                                c->changed);
        journal_send(t->journal, LOG_NOTICE, MESSAGE_PLAN_CHANGED, &e, "%s; %zu scheme%s, tuner %s%s%s", why_words(why),
                     s->n_schemes, s->n_schemes == 1 ? "" : "s", tuner_kind_to_string(s->tuner), counts,
                     telemetry_times(times, again));

        for (size_t i = 0; i < t->n_schemes; i++) {
                const struct status_scheme *old = &t->schemes[i].scheme;

                if (!status_scheme(s, old->direction, old->source_nid, old->target_nid))
                        tell_removed(t, old);
        }
        for (size_t i = 0; i < s->n_schemes; i++) {
                const struct told_scheme *old = told_find(t, s->schemes + i);

                if (!old)
                        tell_scheme(t, MESSAGE_SCHEME_INSTALLED, "", s->schemes + i);
                else if (!is_as_told(&old->scheme, s->schemes + i))
                        tell_scheme(t, MESSAGE_SCHEME_CHANGED, "now ", s->schemes + i);
        }
        tell_notes(t, s);
        remember_plan(t, s);
}

void telemetry_plan_changed(struct telemetry *t, const struct status *s, const char *why) {
        struct changes c = count_changes(t, s);
        uint64_t times = 0;

        if (strcmp(why, "cgroups") == 0 && c.added + c.removed + c.changed == 0 &&
            !limit_happened(&t->groups, s->taken_us, &times))
                return;
        tell_plan(t, s, why, &c, times);
}

void telemetry_flush_plan(struct telemetry *t, const struct status *s) {
        struct changes c = count_changes(t, s);
        uint64_t times;

        /* A plan that was not told yet is told with its own reason. */
        if (c.added + c.removed + c.changed == 0 && limit_passed(&t->groups, s->taken_us, &times))
                tell_plan(t, s, "cgroups", &c, times);
}
