/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/telemetry-internal.h"
#include "base/parse.h"
#include "tierd/message-ids.h"

#include <inttypes.h>
#include <stdlib.h>
#include <syslog.h>

/* A counter's growth. Totals go on over restarts; one that went back all the same began anew. */
static uint64_t growth(uint64_t before, uint64_t now) {
        return now >= before ? now - before : now;
}

static void add_quota(struct journal_entry *e, const struct status *s, const struct status_scheme *scheme) {
        journal_add(e, "TIERD_QUOTA_BYTES", "%" PRIu64, scheme->quota_bytes);
        journal_add(e, "TIERD_QUOTA_WINDOW_US", "%" PRIu64, scheme->quota_window_us);
        journal_add(e, "TIERD_QUOTA_RATE", "%" PRIu64, status_scheme_rate(scheme));
        journal_add(e, "TIERD_CEILING_BYTES", "%" PRIu64, scheme->ceiling_bytes);
        journal_add(e, "TIERD_CEILING_INTERVAL_US", "%" PRIu64, scheme->ceiling_interval_us);
        if (tuner_kind_is_own(s->tuner))
                journal_add(e, "TIERD_REASON", "%s", tuner_reason_to_string(scheme->reason));
}

static void add_counts(struct journal_entry *e, const struct scheme_stats *before, const struct scheme_stats *now) {
        journal_add(e, "TIERD_TRIED_BYTES", "%" PRIu64, growth(before->sz_tried, now->sz_tried));
        journal_add(e, "TIERD_TRIED_TOTAL_BYTES", "%" PRIu64, now->sz_tried);
        journal_add(e, "TIERD_APPLIED_BYTES", "%" PRIu64, growth(before->sz_applied, now->sz_applied));
        journal_add(e, "TIERD_APPLIED_TOTAL_BYTES", "%" PRIu64, now->sz_applied);
        journal_add(e, "TIERD_QUOTA_EXCEEDED", "%" PRIu64, growth(before->qt_exceeds, now->qt_exceeds));
}

/*
 * What the nodes' own accounting says beside the kernel's counts, which are too high from 6.16 to 7.2: a promotion that falls
 * back to its source is counted there as applied. What left the source and came to the target is at most what moved, over both
 * directions of the edge. A node whose size changed meanwhile tells nothing.
 */
static void add_accounting(struct journal_entry *e, const struct told_scheme *before, const struct told_scheme *now) {
        int64_t source, target;

        if (!before->measured || !now->measured || before->source_total != now->source_total ||
            before->target_total != now->target_total)
                return;
        source = (int64_t) now->source_used - (int64_t) before->source_used;
        target = (int64_t) now->target_used - (int64_t) before->target_used;
        journal_add(e, "TIERD_MOVED_BYTES", "%" PRId64, MAX(MIN(-source, target), INT64_C(0)));
        journal_add(e, "TIERD_SOURCE_USED_CHANGE_BYTES", "%" PRId64, source);
        journal_add(e, "TIERD_TARGET_USED_CHANGE_BYTES", "%" PRId64, target);
}

/* What the source's kdamond does and sees. */
static void add_kdamond(struct journal_entry *e, const struct status_node *source, const struct told_scheme *before) {
        if (!source || !source->has_kdamond)
                return;
        journal_add(e, "TIERD_SAMPLE_US", "%" PRIu64, source->sample_us);
        journal_add(e, "TIERD_AGGREGATE_US", "%" PRIu64, source->aggregate_us);
        journal_add(e, "TIERD_KDAMOND_CPU_US", "%" PRIu64, growth(before->cpu_us, source->cpu_us));
        if (!source->has_view)
                return;
        journal_add(e, "TIERD_HOT_BYTES", "%" PRIu64, source->view.hot_bytes);
        journal_add(e, "TIERD_COLD_BYTES", "%" PRIu64, source->view.cold_bytes);
}

/*
 * A scheme that stands still is told in one of six intervals, each minute by default: that it does, and that tierd watches it.
 * A server at rest is not to fill its journal with the same numbers.
 */
#define QUIET_INTERVALS 6
/* What free memory may drift meanwhile. */
#define QUIET_DRIFT_BP 50

static bool is_quiet(const struct told_scheme *told, const struct status_scheme *now) {
        const struct status_scheme *then = &told->scheme;

        return told->sampled && told->quiet + 1 < QUIET_INTERVALS && now->quota_bytes == then->quota_bytes &&
               now->reason == then->reason && now->total.sz_tried == told->total.sz_tried &&
               now->total.sz_applied == told->total.sz_applied && abs(now->current_bp - then->current_bp) < QUIET_DRIFT_BP;
}

/* Returns the bytes applied since the sample before. */
static uint64_t sample_scheme(struct telemetry *t, const struct status *s, struct told_scheme *told,
                              const struct status_scheme *scheme) {
        char current[FORMAT_MAX] = "unknown", goal[FORMAT_MAX], quota[FORMAT_MAX], size[FORMAT_MAX];
        uint64_t applied = growth(told->total.sz_applied, scheme->total.sz_applied);
        bool direct = tuner_kind_is_own(s->tuner);
        struct told_scheme now;
        struct journal_entry e;

        if (is_quiet(told, scheme)) {
                told->quiet++;
                return 0;
        }
        told_scheme_count_from(&now, s, scheme);
        journal_begin(&e);
        telemetry_add_scheme(&e, scheme);
        journal_add(&e, "TIERD_INTERVAL_US", "%" PRIu64, s->taken_us - told->taken_us);
        telemetry_add_goal(&e, scheme);
        add_quota(&e, s, scheme);
        add_counts(&e, &told->total, &scheme->total);
        add_accounting(&e, told, &now);
        add_kdamond(&e, status_node(s, scheme->source_nid), told);
        /* In tenths of a percent: the journal stores a text once, and free memory always moves a little. */
        if (scheme->current_bp >= 0)
                format_percent(((uint32_t) scheme->current_bp + 5) / 10 * 10, current, sizeof(current));
        journal_send(t->journal, LOG_INFO, MESSAGE_SAMPLE, &e,
                     "%s %d -> %d: node %d %s %s (goal %s), quota %s/s%s%s%s, moved %s",
                     direction_to_string(scheme->direction), scheme->source_nid, scheme->target_nid, scheme->goal_nid,
                     goal_word(scheme->goal_metric), current, format_percent(scheme->goal_bp, goal, sizeof(goal)),
                     format_size(status_scheme_rate(scheme), quota, sizeof(quota)), direct ? " (" : "",
                     direct ? tuner_reason_to_string(scheme->reason) : "", direct ? ")" : "",
                     format_size(applied, size, sizeof(size)));
        now.sampled = true;
        *told = now;
        return applied;
}

static struct told_scheme *told_at(struct telemetry *t, const struct status *s, size_t i) {
        const struct status_scheme *a = s->schemes + i, *b;

        if (i >= t->n_schemes)
                return NULL;
        b = &t->schemes[i].scheme;
        return a->direction == b->direction && a->source_nid == b->source_nid && a->target_nid == b->target_nid ?
                       t->schemes + i :
                       NULL;
}

void telemetry_sample(struct telemetry *t, const struct status *s, uint64_t *ret_down_bytes, uint64_t *ret_up_bytes) {
        uint64_t down = 0, up = 0;

        /* A scheme of a plan that was not told yet has its sample next time. */
        for (size_t i = 0; i < s->n_schemes; i++) {
                struct told_scheme *told = told_at(t, s, i);

                if (told)
                        *(s->schemes[i].direction == DEMOTE ? &down : &up) += sample_scheme(t, s, told, s->schemes + i);
        }
        telemetry_flush_troubles(t, s->taken_us);
        telemetry_flush_plan(t, s);
        if (ret_down_bytes)
                *ret_down_bytes = down;
        if (ret_up_bytes)
                *ret_up_bytes = up;
}

/* -- what happened -- */

static const struct {
        int level;
        sd_id128_t id;
} event_kinds[_WATCH_KIND_MAX] = {
        [WATCH_GOAL_REACHED] = { LOG_INFO, MESSAGE_GOAL_REACHED }, [WATCH_GOAL_LOST] = { LOG_NOTICE, MESSAGE_GOAL_LOST },
        [WATCH_STALL] = { LOG_WARNING, MESSAGE_STALL },            [WATCH_PING_PONG] = { LOG_WARNING, MESSAGE_PING_PONG },
        [WATCH_TARGET_FULL] = { LOG_WARNING, MESSAGE_TARGET_FULL }, [WATCH_TARGET_TAKES] = { LOG_INFO, MESSAGE_TARGET_TAKES },
};

static void word_goal(const struct watch_event *event, char *buf, size_t size) {
        const struct status_scheme *s = event->scheme;
        char current[FORMAT_MAX], goal[FORMAT_MAX], rate[FORMAT_MAX], span[FORMAT_MAX];

        format_percent((uint32_t) MAX(s->current_bp, 0), current, sizeof(current));
        format_percent(s->goal_bp, goal, sizeof(goal));
        if (event->kind == WATCH_STALL)
                (void) snprintf(buf, size,
                                "%s %d -> %d stalls: its quota has been at its ceiling (%s/s) for %s, and node %d, %s %s, "
                                "comes no nearer to the goal of %s",
                                direction_to_string(s->direction), s->source_nid, s->target_nid,
                                format_size(status_scheme_rate(s), rate, sizeof(rate)),
                                format_duration(event->us / 1000000 * 1000000, span, sizeof(span)), s->goal_nid, current,
                                goal_word(s->goal_metric), goal);
        else
                (void) snprintf(buf, size, "%s %d -> %d has %s its goal: node %d is %s %s (goal %s)",
                                direction_to_string(s->direction), s->source_nid, s->target_nid,
                                event->kind == WATCH_GOAL_REACHED ? "reached" : "lost", s->goal_nid, current,
                                goal_word(s->goal_metric), goal);
}

static void word_edge(const struct watch_event *event, char *buf, size_t size) {
        const struct status_scheme *s = event->scheme;
        char down[FORMAT_MAX], up[FORMAT_MAX], hot[FORMAT_MAX], span[FORMAT_MAX];

        if (event->kind == WATCH_TARGET_FULL)
                (void) snprintf(buf, size, "node %d is full: node %d cannot demote to it, and waits", s->target_nid,
                                s->source_nid);
        else if (event->kind == WATCH_TARGET_TAKES)
                (void) snprintf(buf, size, "node %d takes demotions from node %d again", s->target_nid, s->source_nid);
        else
                (void) snprintf(buf, size,
                                "nodes %d and %d exchange memory without gain: in %s %s went down and %s came up, no goal came "
                                "nearer, and node %d is as hot as before (%s)",
                                s->source_nid, s->target_nid,
                                format_duration(event->us / 1000000 * 1000000, span, sizeof(span)),
                                format_size(event->down_bytes, down, sizeof(down)),
                                format_size(event->up_bytes, up, sizeof(up)), s->target_nid,
                                event->hot_bytes > 0 ? format_size(event->hot_bytes, hot, sizeof(hot)) : "unknown");
}

static void tell_event(struct telemetry *t, const struct status *s, const struct watch_event *event) {
        const struct status_scheme *scheme = event->scheme;
        struct journal_entry e;
        char text[512];

        journal_begin(&e);
        telemetry_add_scheme(&e, scheme);
        telemetry_add_goal(&e, scheme);
        add_quota(&e, s, scheme);
        if (event->us > 0)
                journal_add(&e, "TIERD_INTERVAL_US", "%" PRIu64, event->us);
        if (event->kind == WATCH_PING_PONG) {
                journal_add(&e, "TIERD_DOWN_BYTES", "%" PRIu64, event->down_bytes);
                journal_add(&e, "TIERD_UP_BYTES", "%" PRIu64, event->up_bytes);
                if (event->hot_bytes > 0)
                        journal_add(&e, "TIERD_HOT_BYTES", "%" PRIu64, event->hot_bytes);
        }
        if (event->kind <= WATCH_STALL)
                word_goal(event, text, sizeof(text));
        else
                word_edge(event, text, sizeof(text));
        journal_send(t->journal, event_kinds[event->kind].level, event_kinds[event->kind].id, &e, "%s", text);
}

void telemetry_turn(struct telemetry *t, const struct status *s) {
        const struct watch_event *events;
        size_t n;

        if (watch_step(t->watch, s, &events, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++)
                tell_event(t, s, events + i);
        /* The plan is told before the nodes are first measured: then its samples count from here. */
        for (size_t i = 0; i < s->n_schemes; i++) {
                struct told_scheme *told = told_at(t, s, i), now;

                if (!told || told->measured)
                        continue;
                told_scheme_count_from(&now, s, s->schemes + i);
                now.taken_us = told->taken_us;
                now.total = told->total;
                now.cpu_us = told->cpu_us;
                *told = now;
        }
}
