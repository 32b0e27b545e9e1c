/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/status.h"
#include "tierd/manager.h"

#include <errno.h>
#include <string.h>

static const char *const state_names[_STATUS_STATE_MAX] = {
        [STATUS_STARTING] = "starting", [STATUS_MANAGING] = "managing", [STATUS_PAUSED] = "paused",
        [STATUS_IDLE] = "idle",         [STATUS_STOPPING] = "stopping",
};

const char *status_state_to_string(enum status_state state) {
        return state < _STATUS_STATE_MAX ? state_names[state] : "unknown";
}

struct status *status_free(struct status *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_notes; i++)
                free(s->notes[i].text);
        free(s->notes);
        free(s->nodes);
        free(s->schemes);
        free(s->config_path);
        free(s);
        return NULL;
}

const struct status_scheme *status_scheme(const struct status *s, enum direction direction, int source_nid, int target_nid) {
        for (size_t i = 0; i < s->n_schemes; i++)
                if (s->schemes[i].direction == direction && s->schemes[i].source_nid == source_nid &&
                    s->schemes[i].target_nid == target_nid)
                        return s->schemes + i;
        return NULL;
}

const struct status_node *status_node(const struct status *s, int nid) {
        for (size_t i = 0; i < s->n_nodes; i++)
                if (s->nodes[i].nid == nid)
                        return s->nodes + i;
        return NULL;
}

uint64_t status_scheme_rate(const struct status_scheme *s) {
        unsigned __int128 rate;

        /* 0 is "no limit" to the kernel, so rest is written as 1. */
        if (s->quota_bytes <= 1 || s->quota_window_us == 0)
                return 0;
        rate = (unsigned __int128) s->quota_bytes * 1000000 / s->quota_window_us;
        return rate > UINT64_MAX ? UINT64_MAX : (uint64_t) rate;
}

const char *status_scheme_name(const struct status_scheme *s, char buf[static STATUS_SCHEME_NAME_MAX]) {
        (void) snprintf(buf, STATUS_SCHEME_NAME_MAX, "%s-%d-%d", direction_to_string(s->direction), s->source_nid,
                        s->target_nid);
        return buf;
}

/* Adds to a total what a count has grown by; one that went back belongs to a kdamond that was started anew. */
static void grow(uint64_t *total, uint64_t before, uint64_t now) {
        *total += now >= before ? now - before : now;
}

static void grow_stats(struct scheme_stats *total, const struct scheme_stats *before, const struct scheme_stats *now) {
        /* All counts of a scheme begin anew together; sz_tried tells, being there whenever any other is. */
        static const struct scheme_stats none;
        const struct scheme_stats *from = now->nr_tried < before->nr_tried || now->sz_tried < before->sz_tried ? &none : before;

        grow(&total->nr_tried, from->nr_tried, now->nr_tried);
        grow(&total->sz_tried, from->sz_tried, now->sz_tried);
        grow(&total->nr_applied, from->nr_applied, now->nr_applied);
        grow(&total->sz_applied, from->sz_applied, now->sz_applied);
        grow(&total->qt_exceeds, from->qt_exceeds, now->qt_exceeds);
        total->effective_bytes = now->effective_bytes;
}

static int32_t current_bp(const struct manager *m, const struct scheme *s) {
        for (size_t i = 0; i < m->books.n_nodes; i++) {
                const struct node_report *n = m->books.nodes + i;
                int32_t free_bp;

                if (n->nid != s->goal_nid || n->total_bytes == 0)
                        continue;
                free_bp = (int32_t) (MIN(n->free_bytes, n->total_bytes) * (unsigned __int128) 10000 / n->total_bytes);
                return s->goal_metric == GOAL_NODE_MEM_FREE_BP ? free_bp : 10000 - free_bp;
        }
        return -1;
}

static void take_scheme(const struct manager *m, const struct scheme_report *r, const struct status *before,
                        struct status_scheme *ret) {
        const struct scheme *s = r->scheme;
        const struct status_scheme *old = before ? status_scheme(before, s->direction, s->source_nid, s->target_nid) : NULL;

        *ret = (struct status_scheme) {
                .direction = s->direction, .source_nid = s->source_nid, .target_nid = s->target_nid, .goal_nid = s->goal_nid,
                .goal_metric = s->goal_metric, .goal_bp = s->goal_bp, .current_bp = current_bp(m, s),
                .ceiling_bytes = s->quota_bytes, .ceiling_interval_us = s->quota_interval_us,
                .quota_bytes = r->quota_bytes, .quota_window_us = r->quota_window_us, .reason = r->reason,
                .raw = r->stats,
        };
        if (old)
                ret->total = old->total;
        grow_stats(&ret->total, old ? &old->raw : &(struct scheme_stats) {}, &ret->raw);
}

static void take_kdamond(const struct manager *m, size_t i, const struct status_node *old, struct status_node *ret) {
        const struct kdamond_report *k = m->books.kdamonds + i;

        ret->has_kdamond = true;
        ret->pid = k->pid;
        ret->raw_cpu_us = k->cpu_us;
        ret->cpu_us = old ? old->cpu_us : 0;
        grow(&ret->cpu_us, old ? old->raw_cpu_us : 0, k->cpu_us);
        ret->restarts = k->restarts;
        ret->sample_us = k->sample_us;
        ret->aggregate_us = k->aggregate_us;
        ret->view = m->books.views[i];
        ret->has_view = m->books.tuner && ret->view.passes > 0;
}

static void take_node(const struct manager *m, const struct node *n, const struct status *before, struct status_node *ret) {
        const struct status_node *old = before ? status_node(before, n->id) : NULL;

        *ret = (struct status_node) {
                .nid = n->id, .tier = n->tier, .kind = n->kind, .total_bytes = n->memory_bytes,
                .upper = n->upper, .lower = n->lower,
                .left_alone = n->tier < 0 || !config_for_node(m->config, n->id).managed ||
                              idset_has(&m->leaving, (unsigned) n->id),
        };
        /* A node that no scheme touches is not measured each turn: its free memory is that of the last look at it. */
        for (size_t i = 0; i < m->books.n_nodes; i++)
                if (m->books.nodes[i].nid == n->id && m->books.nodes[i].total_bytes > 0) {
                        ret->total_bytes = m->books.nodes[i].total_bytes;
                        ret->free_bytes = m->books.nodes[i].free_bytes;
                        ret->has_free = true;
                }
        for (size_t i = 0; m->books.plan && i < m->books.plan->n_kdamonds; i++)
                if (m->books.plan->kdamonds[i].nid == n->id)
                        take_kdamond(m, i, old, ret);
}

static int take_notes(const struct manager *m, struct status *s) {
        const struct plan *p = m->books.plan;

        s->notes = calloc((p ? p->n_notes : 0) + 2, sizeof(*s->notes));
        if (!s->notes)
                return -ENOMEM;
        for (size_t i = 0; p && i < p->n_notes; i++) {
                char *text = strdup(p->notes[i].text);

                if (!text)
                        return -ENOMEM;
                s->notes[s->n_notes++] = (struct status_note) { .kind = p->notes[i].kind, .text = text };
        }
        if (m->advice.error != 0) {
                char *text = strdup(m->advice.text);

                if (!text)
                        return -ENOMEM;
                s->notes[s->n_notes++] = (struct status_note) { .kind = NOTE_ADVICE, .text = text };
        }
        return 0;
}

int status_take(const struct manager *m, const struct status *before, struct status **ret) {
        _cleanup_status_ struct status *s = NULL;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        if (before) {
                *s = *before;
                s->config_path = NULL;
                s->nodes = NULL;
                s->schemes = NULL;
                s->notes = NULL;
                s->n_nodes = s->n_schemes = s->n_notes = 0;
                if (before->config_path) {
                        s->config_path = strdup(before->config_path);
                        if (!s->config_path)
                                return -ENOMEM;
                }
        }
        (void) snprintf(s->release, sizeof(s->release), "%s", m->capability.release);
        s->tuner = m->books.plan ? m->books.plan->tuner : TUNER_AUTO;
        if (m->topology) {
                s->rank_source = m->topology->rank_source;
                s->n_tiers = m->topology->n_tiers;
        }
        if (m->config)
                s->telemetry_interval_us = m->config->telemetry_interval_us;

        s->nodes = calloc((m->topology ? m->topology->n_nodes : 0) + 1, sizeof(*s->nodes));
        s->schemes = calloc(m->books.n_schemes + 1, sizeof(*s->schemes));
        if (!s->nodes || !s->schemes)
                return -ENOMEM;
        for (size_t i = 0; m->topology && i < m->topology->n_nodes; i++)
                take_node(m, m->topology->nodes + i, before, s->nodes + s->n_nodes++);
        for (size_t i = 0; i < m->books.n_schemes; i++)
                if (m->books.schemes[i].scheme->direction != AGE)
                        take_scheme(m, m->books.schemes + i, before, s->schemes + s->n_schemes++);
        if (take_notes(m, s) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(s);
        return 0;
}
