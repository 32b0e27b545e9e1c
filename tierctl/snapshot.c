/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/snapshot.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static void json_putp(json_object **o) {
        if (*o)
                (void) json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_putp)

/* A value of this type, or NULL. */
static json_object *get(json_object *o, const char *key, enum json_type type) {
        json_object *value = NULL;

        if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &value))
                return NULL;
        return json_object_is_type(value, type) ? value : NULL;
}

static uint64_t get_number(json_object *o, const char *key) {
        json_object *value = get(o, key, json_type_int);

        return value && json_object_get_int64(value) >= 0 ? json_object_get_uint64(value) : UNKNOWN_NUMBER;
}

/* What is shown as a sum is 0 where it is not known. */
static uint64_t get_count(json_object *o, const char *key) {
        uint64_t v = get_number(o, key);

        return v == UNKNOWN_NUMBER ? 0 : v;
}

/* Small numbers: ids and basis points; -1 where there is none, or it is out of bounds. */
static int get_small(json_object *o, const char *key) {
        uint64_t v = get_number(o, key);

        return v <= 100000 ? (int) v : -1;
}

static void get_text(json_object *o, const char *key, char *buf, size_t size) {
        json_object *value = get(o, key, json_type_string);

        (void) snprintf(buf, size, "%s", value ? json_object_get_string(value) : "");
        make_printable_line(buf);
}

static int dup_text(json_object *value, char **ret) {
        char *copy = strdup(json_object_get_string(value));

        if (!copy)
                return -ENOMEM;
        make_printable_line(copy);
        *ret = copy;
        return 0;
}

static void read_node(json_object *o, struct shown_node *n) {
        json_object *k = get(o, "kdamond", json_type_object);

        n->id = get_small(o, "id");
        n->tier = get_small(o, "tier");
        get_text(o, "kind", n->kind, sizeof(n->kind));
        n->total_bytes = get_count(o, "total_bytes");
        n->free_bytes = get_number(o, "free_bytes");
        n->free_bp = get_small(o, "free_bp");
        n->left_alone = json_object_get_boolean(get(o, "left_alone", json_type_boolean));
        n->has_kdamond = k != NULL;
        n->cpu_us = get_number(k, "cpu_us");
        n->restarts = get_count(k, "restarts");
        n->hot_bytes = get_number(k, "hot_bytes");
        n->cold_bytes = get_number(k, "cold_bytes");
}

static void read_scheme(json_object *o, struct shown_scheme *s) {
        json_object *goal = get(o, "goal", json_type_object);
        char text[32];

        get_text(o, "name", s->name, sizeof(s->name));
        get_text(o, "direction", text, sizeof(text));
        s->demotes = strcmp(text, "demote") == 0;
        s->source = get_small(o, "source");
        s->target = get_small(o, "target");
        s->goal_node = get_small(goal, "node");
        s->goal_bp = get_small(goal, "target_bp");
        get_text(goal, "metric", text, sizeof(text));
        s->goal_is_free = strcmp(text, "node_mem_free_bp") == 0;
        s->current_bp = get_small(o, "current_bp");
        s->rate = get_count(get(o, "quota", json_type_object), "rate_bytes_per_s");
        s->ceiling_rate = get_count(get(o, "ceiling", json_type_object), "rate_bytes_per_s");
        get_text(o, "reason", s->reason, sizeof(s->reason));
        s->tried_bytes = get_count(o, "tried_bytes");
        s->applied_bytes = get_count(o, "applied_bytes");
        s->quota_exceeded = get_count(o, "quota_exceeded");
}

static size_t length(json_object *array) {
        return array ? json_object_array_length(array) : 0;
}

static int read_lists(json_object *root, struct snapshot *s) {
        json_object *nodes = get(root, "nodes", json_type_array), *schemes = get(root, "schemes", json_type_array),
                    *notes = get(root, "notes", json_type_array);
        int r;

        s->n_tiers = length(get(root, "tiers", json_type_array));
        s->nodes = calloc(length(nodes) + 1, sizeof(*s->nodes));
        s->schemes = calloc(length(schemes) + 1, sizeof(*s->schemes));
        s->notes = calloc(length(notes) + 1, sizeof(*s->notes));
        if (!s->nodes || !s->schemes || !s->notes)
                return -ENOMEM;
        for (; s->n_nodes < length(nodes); s->n_nodes++)
                read_node(json_object_array_get_idx(nodes, s->n_nodes), s->nodes + s->n_nodes);
        for (; s->n_schemes < length(schemes); s->n_schemes++)
                read_scheme(json_object_array_get_idx(schemes, s->n_schemes), s->schemes + s->n_schemes);
        for (size_t i = 0; i < length(notes); i++) {
                json_object *note = json_object_array_get_idx(notes, i);

                if (!json_object_is_type(note, json_type_string))
                        continue;
                r = dup_text(note, s->notes + s->n_notes);
                if (r < 0)
                        return r;
                s->n_notes++;
        }
        return 0;
}

int snapshot_parse(const char *text, struct snapshot **ret) {
        _cleanup_json_ json_object *root = json_tokener_parse(text);
        _cleanup_snapshot_ struct snapshot *s = NULL;
        json_object *part;
        int r;

        if (!json_object_is_type(root, json_type_object))
                return -EBADMSG;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        get_text(root, "version", s->version, sizeof(s->version));
        get_text(root, "state", s->state, sizeof(s->state));
        get_text(root, "kernel", s->kernel, sizeof(s->kernel));
        get_text(root, "tuner", s->tuner, sizeof(s->tuner));
        get_text(root, "rank_source", s->rank_source, sizeof(s->rank_source));
        part = get(root, "config_file", json_type_string);
        if (part) {
                r = dup_text(part, &s->config_file);
                if (r < 0)
                        return r;
        }
        s->telemetry_interval_us = get_count(root, "telemetry_interval_us");
        s->started_realtime_us = get_number(root, "started_realtime_us");
        s->taken_realtime_us = get_number(root, "taken_realtime_us");
        s->taken_monotonic_us = get_number(root, "taken_monotonic_us");
        part = get(root, "counters", json_type_object);
        s->turns = get_count(part, "turns");
        s->failed_turns = get_count(part, "failed_turns");
        s->reloads = get_count(part, "reloads");
        s->replans = get_count(part, "replans");
        r = read_lists(root, s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

struct snapshot *snapshot_free(struct snapshot *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_notes; i++)
                free(s->notes[i]);
        free(s->notes);
        free(s->nodes);
        free(s->schemes);
        free(s->config_file);
        free(s);
        return NULL;
}

const struct shown_node *snapshot_node(const struct snapshot *s, int id) {
        for (size_t i = 0; i < s->n_nodes; i++)
                if (s->nodes[i].id == id)
                        return s->nodes + i;
        return NULL;
}

const struct shown_scheme *snapshot_scheme(const struct snapshot *s, const char *name) {
        for (size_t i = 0; i < s->n_schemes; i++)
                if (strcmp(s->schemes[i].name, name) == 0)
                        return s->schemes + i;
        return NULL;
}
