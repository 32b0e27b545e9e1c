/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/report.h"
#include "base/parse.h"

#include <stdio.h>
#include <syslog.h>

static void report_tiers(const struct log *log, const struct topology *t) {
        for (size_t tier = 0; tier < t->n_tiers; tier++) {
                struct idset ids = {};
                uint64_t bytes = 0;
                char list[256], size[FORMAT_MAX];

                for (size_t i = 0; i < t->n_nodes; i++)
                        if (t->nodes[i].tier == (int) tier) {
                                idset_add(&ids, (unsigned) t->nodes[i].id);
                                bytes += t->nodes[i].memory_bytes;
                        }
                if (idset_format(&ids, list, sizeof(list)) < 0)
                        (void) snprintf(list, sizeof(list), "%zu of them", idset_count(&ids));
                log_write(log, LOG_INFO, "tier %zu: node%s %s, %s (ranked by %s)", tier,
                          idset_count(&ids) == 1 ? "" : "s", list, format_size(bytes, size, sizeof(size)),
                          rank_source_to_string(t->rank_source));
        }
}

static void report_scheme(const struct log *log, const struct scheme *s) {
        char goal[FORMAT_MAX], ceiling[FORMAT_MAX], interval[FORMAT_MAX];

        log_write(log, LOG_INFO, "node %d: %s to node %d, aiming at %s of node %d %s, at most %s per %s", s->source_nid,
                  direction_to_string(s->direction), s->target_nid, format_percent(s->goal_bp, goal, sizeof(goal)),
                  s->goal_nid, s->goal_metric == GOAL_NODE_MEM_FREE_BP ? "free" : "used",
                  format_size(s->quota_bytes, ceiling, sizeof(ceiling)),
                  format_duration(s->quota_interval_us, interval, sizeof(interval)));
}

void report_started(const struct log *log, const struct manager *m) {
        size_t n = 0;

        report_tiers(log, m->topology);
        /* What only serves another scheme is no news to people. */
        for (size_t i = 0; i < m->books.n_schemes; i++)
                if (m->books.schemes[i].scheme->direction != AGE) {
                        report_scheme(log, m->books.schemes[i].scheme);
                        n++;
                }
        for (size_t i = 0; i < m->books.plan->n_notes; i++)
                log_write(log, LOG_NOTICE, "%s", m->books.plan->notes[i].text);
        if (m->stopped_modules[0])
                log_write(log, LOG_NOTICE, "stopped %s, which held DAMON; put back at the end", m->stopped_modules);
        if (manager_is_idle(m))
                log_write(log, LOG_NOTICE, "nothing to manage on this machine");
        else
                log_write(log, LOG_INFO, "managing %zu nodes by %zu schemes, tuner %s, on Linux %s", m->books.plan->n_kdamonds,
                          n, tuner_kind_to_string(m->books.plan->tuner), m->capability.release);
}

/* Where the metric of a scheme's goal stands, in words. */
static const char *goal_current(const struct manager *m, const struct scheme *s, char buf[static FORMAT_MAX]) {
        for (size_t i = 0; i < m->books.n_nodes; i++) {
                const struct node_report *n = m->books.nodes + i;
                uint32_t free_bp;

                if (n->nid != s->goal_nid || n->total_bytes == 0)
                        continue;
                free_bp = (uint32_t) (MIN(n->free_bytes, n->total_bytes) * (unsigned __int128) 10000 / n->total_bytes);
                return format_percent(s->goal_metric == GOAL_NODE_MEM_FREE_BP ? free_bp : 10000 - free_bp, buf, FORMAT_MAX);
        }
        return "unknown";
}

int reports_renew(struct reports *r, const struct manager *m) {
        struct report_memory *schemes = calloc(m->books.n_schemes + 1, sizeof(*schemes));

        if (!schemes)
                return -ENOMEM;
        for (size_t i = 0; i < m->books.n_schemes; i++) {
                const struct scheme *s = m->books.schemes[i].scheme;

                schemes[i] = (struct report_memory) {
                        .direction = s->direction, .source_nid = s->source_nid, .target_nid = s->target_nid,
                };
                for (size_t j = 0; j < r->n_schemes; j++) {
                        const struct report_memory *old = r->schemes + j;

                        if (old->direction == s->direction && old->source_nid == s->source_nid &&
                            old->target_nid == s->target_nid)
                                schemes[i] = *old;
                }
        }
        free(r->schemes);
        r->schemes = schemes;
        r->n_schemes = m->books.n_schemes;
        return 0;
}

void reports_done(struct reports *r) {
        free(r->schemes);
        *r = (struct reports) {};
}

/* One scheme's line. `moved`: bytes since the line before. */
static void report_movement(const struct log *log, const struct manager *m, const struct scheme_report *r, uint64_t moved) {
        const struct scheme *s = r->scheme;
        char current[FORMAT_MAX], goal[FORMAT_MAX], quota[FORMAT_MAX], size[FORMAT_MAX];
        /* The quota of a window may be any number of bytes per any number of milliseconds; people compare rates. */
        uint64_t rate = r->quota_window_us ?
                (uint64_t) ((unsigned __int128) r->quota_bytes * 1000000 / r->quota_window_us) : 0;

        log_write(log, LOG_INFO, "%s %d -> %d: node %d %s %s (goal %s), quota %s/s%s%s%s, moved %s",
                  direction_to_string(s->direction), s->source_nid, s->target_nid, s->goal_nid,
                  s->goal_metric == GOAL_NODE_MEM_FREE_BP ? "free" : "used", goal_current(m, s, current),
                  format_percent(s->goal_bp, goal, sizeof(goal)), format_size(rate, quota, sizeof(quota)),
                  m->books.tuner ? " (" : "", m->books.tuner ? tuner_reason_to_string(r->reason) : "",
                  m->books.tuner ? ")" : "", format_size(moved, size, sizeof(size)));
}

void report_schemes(const struct log *log, const struct manager *m, struct reports *reports) {
        reports->down_bytes = reports->up_bytes = 0;
        for (size_t i = 0; i < m->books.n_schemes; i++) {
                const struct scheme_report *r = m->books.schemes + i;
                struct report_memory *before = reports->schemes + i;
                /* A count that went back belongs to a kdamond that was started anew. */
                uint64_t applied = r->stats.sz_applied,
                         moved = applied >= before->applied_bytes ? applied - before->applied_bytes : applied;

                before->applied_bytes = applied;
                if (r->scheme->direction == AGE)
                        continue;
                if (r->scheme->direction == DEMOTE)
                        reports->down_bytes += moved;
                else
                        reports->up_bytes += moved;
                report_movement(log, m, r, moved);
        }
}

void report_full_targets(const struct log *log, const struct manager *m, struct reports *reports) {
        for (size_t i = 0; i < m->books.n_schemes; i++) {
                const struct scheme_report *r = m->books.schemes + i;
                bool now = r->scheme->direction == DEMOTE && r->reason == TUNER_NO_ROOM;

                if (now == reports->schemes[i].full)
                        continue;
                reports->schemes[i].full = now;
                if (now)
                        log_write(log, LOG_WARNING, "node %d is full: node %d cannot demote to it, and waits",
                                  r->scheme->target_nid, r->scheme->source_nid);
                else
                        log_write(log, LOG_INFO, "node %d takes demotions from node %d again", r->scheme->target_nid,
                                  r->scheme->source_nid);
        }
}
