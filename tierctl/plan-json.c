/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/plan-show.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdint.h>

static void json_putp(json_object **o) {
        if (*o)
                (void) json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_putp)

/* Puts `value` (owned from here on) into an object; an error once seen stays. NULL is what a failed constructor returns. */
static void put(json_object *o, const char *key, json_object *value, int *r) {
        if (*r < 0 || !value || json_object_object_add(o, key, value) < 0) {
                json_putp(&value);
                *r = -ENOMEM;
        }
}

static void put_null(json_object *o, const char *key, int *r) {
        if (*r >= 0 && json_object_object_add(o, key, NULL) < 0)
                *r = -ENOMEM;
}

static void append(json_object *array, json_object *value, int *r) {
        if (*r < 0 || !value || json_object_array_add(array, value) < 0) {
                json_putp(&value);
                *r = -ENOMEM;
        }
}

/* An object, or an array, that is already in its parent when it is filled. Never NULL: on failure the parent is returned. */
static json_object *put_new(json_object *o, const char *key, json_object *value, int *r) {
        put(o, key, value, r);
        return *r < 0 ? o : value;
}

static void put_number(json_object *o, const char *key, uint64_t v, int *r) {
        put(o, key, json_object_new_uint64(v), r);
}

static void put_access(json_object *o, const struct access_pattern *a, int *r) {
        json_object *access = put_new(o, "access", json_object_new_object(), r);

        if (*r < 0)
                return;
        put_number(access, "min_per_aggregation", a->min_per_aggregation, r);
        if (a->max_per_aggregation == UINT32_MAX)
                put_null(access, "max_per_aggregation", r);
        else
                put_number(access, "max_per_aggregation", a->max_per_aggregation, r);
        put_number(access, "min_age_us", a->min_age_us, r);
}

static json_object *filter_to_json(const struct filter *f, int *r) {
        json_object *o = json_object_new_object();

        if (!o)
                return NULL;
        put(o, "type", json_object_new_string(filter_type_to_string(f->type)), r);
        if (f->memcg_path)
                put(o, "memcg_path", json_object_new_string(f->memcg_path), r);
        put(o, "matching", json_object_new_boolean(f->matching), r);
        put(o, "allow", json_object_new_boolean(f->allow), r);
        return o;
}

static json_object *scheme_to_json(const struct scheme *s, int *r) {
        json_object *o = json_object_new_object(), *part;

        if (!o)
                return NULL;
        put(o, "direction", json_object_new_string(direction_to_string(s->direction)), r);
        put(o, "action", json_object_new_string(s->direction == DEMOTE ? "migrate_cold" : "migrate_hot"), r);
        put(o, "source", json_object_new_int(s->source_nid), r);
        put(o, "target", json_object_new_int(s->target_nid), r);

        part = put_new(o, "goal", json_object_new_object(), r);
        if (*r < 0)
                return o;
        put(part, "metric", json_object_new_string(goal_metric_to_string(s->goal_metric)), r);
        put(part, "node", json_object_new_int(s->goal_nid), r);
        put_number(part, "target_bp", s->goal_bp, r);

        part = put_new(o, "quota", json_object_new_object(), r);
        if (*r < 0)
                return o;
        put_number(part, "bytes", s->quota_bytes, r);
        put_number(part, "interval_ms", s->quota_interval_us / 1000, r);

        put_access(o, &s->access, r);

        part = put_new(o, "filters", json_object_new_array(), r);
        if (*r < 0)
                return o;
        for (size_t i = 0; i < s->n_filters; i++)
                append(part, filter_to_json(&s->filters[i], r), r);
        return o;
}

static json_object *probe_to_json(const struct probe *p, int *r) {
        json_object *o = json_object_new_object();

        if (!o)
                return NULL;
        put(o, "kind", json_object_new_string(probe_kind_to_string(p->kind)), r);
        put_access(o, &p->access, r);
        return o;
}

static json_object *range_to_json(const struct mem_range *range, int *r) {
        json_object *pair = json_object_new_array();

        if (!pair)
                return NULL;
        append(pair, json_object_new_uint64(range->start), r);
        append(pair, json_object_new_uint64(range->end), r);
        return pair;
}

static json_object *kdamond_to_json(const struct kdamond_plan *k, int *r) {
        json_object *o = json_object_new_object(), *part;

        if (!o)
                return NULL;
        put(o, "node", json_object_new_int(k->nid), r);

        part = put_new(o, "ranges", json_object_new_array(), r);
        for (size_t i = 0; *r >= 0 && i < k->n_ranges; i++)
                append(part, range_to_json(&k->ranges[i], r), r);
        part = put_new(o, "schemes", json_object_new_array(), r);
        for (size_t i = 0; *r >= 0 && i < k->n_schemes; i++)
                if (k->schemes[i].direction != AGE)
                        append(part, scheme_to_json(&k->schemes[i], r), r);
        for (size_t i = 0; *r >= 0 && i < k->n_schemes; i++)
                if (k->schemes[i].direction == AGE)
                        put_access(put_new(o, "aging", json_object_new_object(), r), &k->schemes[i].access, r);
        if (k->n_probes > 0) {
                part = put_new(o, "probes", json_object_new_array(), r);
                for (size_t i = 0; *r >= 0 && i < k->n_probes; i++)
                        append(part, probe_to_json(&k->probes[i], r), r);
        }
        return o;
}

static void put_monitoring(json_object *root, const struct monitoring_config *m, int *r) {
        json_object *o = put_new(root, "monitoring", json_object_new_object(), r), *tuned;

        if (*r < 0)
                return;
        put_number(o, "sample_us", m->sample_us, r);
        put_number(o, "aggregate_us", m->aggregate_us, r);
        put_number(o, "min_regions", m->min_regions, r);
        put_number(o, "max_regions", m->max_regions, r);
        if (!m->auto_intervals) {
                put_null(o, "auto", r);
                return;
        }
        tuned = put_new(o, "auto", json_object_new_object(), r);
        if (*r < 0)
                return;
        put_number(tuned, "access_bp", m->auto_access_bp, r);
        put_number(tuned, "aggregations", m->auto_aggregations, r);
        put_number(tuned, "sample_min_us", m->auto_sample_min_us, r);
        put_number(tuned, "sample_max_us", m->auto_sample_max_us, r);
}

int plan_print_json(const struct plan *p, FILE *f) {
        _cleanup_json_ json_object *root = NULL;
        json_object *part;
        const char *text;
        int r = 0;

        root = json_object_new_object();
        if (!root)
                return -ENOMEM;
        put(root, "tuner", json_object_new_string(tuner_kind_to_string(p->tuner)), &r);
        if (p->tuner == TUNER_KERNEL)
                put(root, "goal_tuner", json_object_new_string(goal_tuner_to_string(p->goal_tuner)), &r);
        part = put_new(root, "kdamonds", json_object_new_array(), &r);
        for (size_t i = 0; r >= 0 && i < p->n_kdamonds; i++)
                append(part, kdamond_to_json(&p->kdamonds[i], &r), &r);
        put_monitoring(root, &p->monitoring, &r);
        part = put_new(root, "notes", json_object_new_array(), &r);
        for (size_t i = 0; r >= 0 && i < p->n_notes; i++)
                append(part, json_object_new_string(p->notes[i].text), &r);
        if (r < 0)
                return r;

        text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                            JSON_C_TO_STRING_NOSLASHESCAPE);
        if (!text)
                return -ENOMEM;
        fprintf(f, "%s\n", text);
        return 0;
}
