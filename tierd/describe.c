/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/describe.h"
#include "base/utf8.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

static void json_putp(json_object **o) {
        if (*o)
                (void) json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_putp)

/* Puts `value` (owned from here on; NULL is what a failed constructor returns) into an object; an error once seen stays. */
static void put(json_object *o, const char *key, json_object *value, int *r) {
        if (*r < 0 || !value || json_object_object_add(o, key, value) < 0) {
                json_putp(&value);
                *r = -ENOMEM;
        }
}

static void append(json_object *array, json_object *value, int *r) {
        if (*r < 0 || !value || json_object_array_add(array, value) < 0) {
                json_putp(&value);
                *r = -ENOMEM;
        }
}

/* An object, or an array, that is already in its parent when it is filled; on failure the parent, which stays as it is. */
static json_object *put_new(json_object *o, const char *key, json_object *value, int *r) {
        put(o, key, value, r);
        return *r < 0 ? o : value;
}

static void put_null(json_object *o, const char *key, int *r) {
        if (*r >= 0 && json_object_object_add(o, key, NULL) < 0)
                *r = -ENOMEM;
}

static void put_number(json_object *o, const char *key, uint64_t v, int *r) {
        put(o, key, json_object_new_uint64(v), r);
}

static void put_number_if(json_object *o, const char *key, bool known, uint64_t v, int *r) {
        if (known)
                put_number(o, key, v, r);
        else
                put_null(o, key, r);
}

/* Names of files and texts of notes may hold any bytes. */
static json_object *text_to_json(const char *text) {
        _cleanup_free_ char *copy = strdup(text);

        return copy ? json_object_new_string(utf8_repair(copy)) : NULL;
}

static void put_text_if(json_object *o, const char *key, bool known, const char *text, int *r) {
        if (known)
                put(o, key, text_to_json(text), r);
        else
                put_null(o, key, r);
}

static void put_ids(json_object *o, const char *key, const struct idset *ids, int *r) {
        json_object *array = put_new(o, key, json_object_new_array(), r);

        IDSET_FOREACH(id, ids) {
                if (*r < 0)
                        return;
                append(array, json_object_new_int(id), r);
        }
}

static void put_tiers(json_object *root, const struct status *s, int *r) {
        json_object *tiers = put_new(root, "tiers", json_object_new_array(), r);

        for (size_t tier = 0; *r >= 0 && tier < s->n_tiers; tier++) {
                json_object *members = json_object_new_array();

                append(tiers, members, r);
                for (size_t i = 0; *r >= 0 && i < s->n_nodes; i++)
                        if (s->nodes[i].tier == (int) tier)
                                append(members, json_object_new_int(s->nodes[i].nid), r);
        }
}

static void put_kdamond(json_object *o, const struct status_node *n, int *r) {
        json_object *k = put_new(o, "kdamond", json_object_new_object(), r);

        if (*r < 0)
                return;
        put_number_if(k, "pid", n->pid > 0, (uint64_t) n->pid, r);
        put_number(k, "cpu_us", n->cpu_us, r);
        put_number(k, "restarts", n->restarts, r);
        put_number_if(k, "sample_us", n->sample_us > 0, n->sample_us, r);
        put_number_if(k, "aggregate_us", n->aggregate_us > 0, n->aggregate_us, r);
        put_number_if(k, "hot_bytes", n->has_view, n->view.hot_bytes, r);
        put_number_if(k, "cold_bytes", n->has_view, n->view.cold_bytes, r);
}

static json_object *node_to_json(const struct status_node *n, int *r) {
        json_object *o = json_object_new_object();
        int32_t free_bp = status_node_free_bp(n);

        if (!o)
                return NULL;
        put(o, "id", json_object_new_int(n->nid), r);
        put_number_if(o, "tier", n->tier >= 0, (uint64_t) n->tier, r);
        put(o, "kind", json_object_new_string(node_kind_to_string(n->kind)), r);
        put_number(o, "total_bytes", n->total_bytes, r);
        put_number_if(o, "free_bytes", n->has_free, n->free_bytes, r);
        put_number_if(o, "free_bp", free_bp >= 0, (uint64_t) free_bp, r);
        put_ids(o, "upper", &n->upper, r);
        put_ids(o, "lower", &n->lower, r);
        put(o, "left_alone", json_object_new_boolean(n->left_alone), r);
        if (n->has_kdamond)
                put_kdamond(o, n, r);
        else
                put_null(o, "kdamond", r);
        return o;
}

static void put_rate(json_object *o, const char *key, uint64_t bytes, uint64_t interval_us, uint64_t rate, int *r) {
        json_object *quota = put_new(o, key, json_object_new_object(), r);

        if (*r < 0)
                return;
        put_number(quota, "bytes", bytes, r);
        put_number(quota, "interval_us", interval_us, r);
        put_number(quota, "rate_bytes_per_s", rate, r);
}

static json_object *scheme_to_json(const struct status *s, const struct status_scheme *scheme, int *r) {
        json_object *o = json_object_new_object(), *goal;
        char name[STATUS_SCHEME_NAME_MAX];

        if (!o)
                return NULL;
        put(o, "name", json_object_new_string(status_scheme_name(scheme, name)), r);
        put(o, "direction", json_object_new_string(direction_to_string(scheme->direction)), r);
        put(o, "source", json_object_new_int(scheme->source_nid), r);
        put(o, "target", json_object_new_int(scheme->target_nid), r);

        goal = put_new(o, "goal", json_object_new_object(), r);
        if (*r < 0)
                return o;
        put(goal, "metric", json_object_new_string(goal_metric_to_string(scheme->goal_metric)), r);
        put(goal, "node", json_object_new_int(scheme->goal_nid), r);
        put_number(goal, "target_bp", scheme->goal_bp, r);
        put_number_if(o, "current_bp", scheme->current_bp >= 0, (uint64_t) scheme->current_bp, r);

        put_rate(o, "quota", scheme->quota_bytes, scheme->quota_window_us, status_scheme_rate(scheme), r);
        put_rate(o, "ceiling", scheme->ceiling_bytes, scheme->ceiling_interval_us, status_scheme_ceiling_rate(scheme), r);
        put_text_if(o, "reason", tuner_kind_is_own(s->tuner), tuner_reason_to_string(scheme->reason), r);
        put_number(o, "nr_tried", scheme->total.nr_tried, r);
        put_number(o, "nr_applied", scheme->total.nr_applied, r);
        put_number(o, "tried_bytes", scheme->total.sz_tried, r);
        put_number(o, "applied_bytes", scheme->total.sz_applied, r);
        put_number(o, "quota_exceeded", scheme->total.qt_exceeds, r);
        return o;
}

static void put_counters(json_object *root, const struct status *s, int *r) {
        json_object *o = put_new(root, "counters", json_object_new_object(), r);

        if (*r < 0)
                return;
        put_number(o, "turns", s->turns, r);
        put_number(o, "failed_turns", s->failed_turns, r);
        put_number(o, "reloads", s->reloads, r);
        put_number(o, "replans", s->replans, r);
}

int describe_status(const struct status *s, char **ret) {
        _cleanup_json_ json_object *root = json_object_new_object();
        json_object *part;
        const char *text;
        char *copy;
        int r = 0;

        if (!root)
                return -ENOMEM;
        put(root, "version", json_object_new_string(TIERD_VERSION), &r);
        put(root, "state", json_object_new_string(status_state_to_string(s->state)), &r);
        put_text_if(root, "kernel", s->release[0] != '\0', s->release, &r);
        put_text_if(root, "tuner", s->tuner != TUNER_AUTO, tuner_kind_to_string(s->tuner), &r);
        put_text_if(root, "rank_source", s->n_tiers > 0, rank_source_to_string(s->rank_source), &r);
        put_text_if(root, "config_file", s->config_path, s->config_path, &r);
        put_number(root, "telemetry_interval_us", s->telemetry_interval_us, &r);
        put_number(root, "started_realtime_us", s->started_realtime_us, &r);
        put_number_if(root, "taken_realtime_us", s->taken_us > 0, s->taken_realtime_us, &r);
        put_number_if(root, "taken_monotonic_us", s->taken_us > 0, s->taken_us, &r);
        put_counters(root, s, &r);
        put_tiers(root, s, &r);

        part = put_new(root, "nodes", json_object_new_array(), &r);
        for (size_t i = 0; r >= 0 && i < s->n_nodes; i++)
                append(part, node_to_json(s->nodes + i, &r), &r);
        part = put_new(root, "schemes", json_object_new_array(), &r);
        for (size_t i = 0; r >= 0 && i < s->n_schemes; i++)
                append(part, scheme_to_json(s, s->schemes + i, &r), &r);
        part = put_new(root, "notes", json_object_new_array(), &r);
        for (size_t i = 0; r >= 0 && i < s->n_notes; i++)
                append(part, text_to_json(s->notes[i].text), &r);
        if (r < 0)
                return r;

        text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                            JSON_C_TO_STRING_NOSLASHESCAPE);
        copy = text ? strdup(text) : NULL;
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}
