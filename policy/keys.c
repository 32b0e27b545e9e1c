/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/keys.h"

#include <limits.h>
#include <string.h>

#define SECOND_US UINT64_C(1000000)
#define HOUR_US (3600 * SECOND_US)

/* No interval is longer than a day; a month keeps min_age's count of aggregations within the kernel's 32 bits (1 ms and up). */
#define INTERVAL_MAX_US (24 * HOUR_US)
#define AGE_MAX_US (UINT64_C(30) * 24 * HOUR_US)

/*
 * A command to a kdamond waits for its next sample (7.2, heeding no signal, and with every other user of DAMON behind it) or
 * aggregation (6.12): so long tierd can be neither reloaded nor stopped.
 */
#define SAMPLE_MAX_US (10 * SECOND_US)
#define AGGREGATE_MAX_US (600 * SECOND_US)

/* A report is several lines of the journal: more often than this it floods the journal, and keeps a CPU busy. */
#define TELEMETRY_MIN_US UINT64_C(100000)

/* Kernel, damon_set_attrs(): at least 3 regions. A million are some 100 MB of kernel memory, per node. */
#define REGIONS_MIN 3
#define REGIONS_MAX 1000000

/* The kernel's weights are permil (sysfs weights/nr_accesses_permil, age_permil). */
#define WEIGHT_MAX 1000

#define MONITORING(member) offsetof(struct monitoring_config, member)
#define DIRECTION(member) offsetof(struct direction_config, member)
#define CONFIG(member) offsetof(struct config, member)

#define SECTION(name, keys_, check_) const struct section name = { .keys = keys_, .n_keys = ELEMENTSOF(keys_), .check = check_ }

/* The first of two keys that the file gives: where an error about both belongs. */
static struct position where(const struct yaml_value *mapping, const char *a, const char *b) {
        const struct yaml_value *v = yaml_find(mapping, a);

        if (!v)
                v = yaml_find(mapping, b);
        return v ? v->at : mapping->at;
}

static int check_regions(struct reader *in, const struct yaml_value *mapping, const void *target) {
        const struct monitoring_config *m = target;

        if (m->min_regions > m->max_regions)
                return source_error(in->source, where(mapping, "min", "max"), in->reterr,
                                    "regions.min (%ju) is above regions.max (%ju); lower the one or raise the other",
                                    (uintmax_t) m->min_regions, (uintmax_t) m->max_regions);
        return 0;
}

static int check_auto(struct reader *in, const struct yaml_value *mapping, const void *target) {
        const struct monitoring_config *m = target;

        if (m->auto_sample_min_us > m->auto_sample_max_us)
                return source_error(in->source, where(mapping, "sample_min", "sample_max"), in->reterr,
                                    "sample_min is above sample_max; lower the one or raise the other");
        return 0;
}

static int check_monitoring(struct reader *in, const struct yaml_value *mapping, const void *target) {
        const struct monitoring_config *m = target;

        if (m->sample_us > m->aggregate_us)
                return source_error(in->source, where(mapping, "sample", "aggregate"), in->reterr,
                                    "sample is above aggregate; an aggregation needs at least one sample");
        /* Kernel, damon_valid_intervals_goal(): such a commit is refused whole. */
        if (m->auto_intervals && (m->sample_us < m->auto_sample_min_us || m->sample_us > m->auto_sample_max_us))
                return source_error(in->source, where(mapping, "sample", "auto"), in->reterr,
                                    "sample is where the tuning begins; it must lie between auto.sample_min and "
                                    "auto.sample_max");
        return 0;
}

static const struct key goal_free_keys[] = {
        { "free", read_percent, DIRECTION(goal_bp), .example = "5%" },
};
static SECTION(goal_free_section, goal_free_keys, NULL);

static const struct key goal_used_keys[] = {
        { "used", read_percent, DIRECTION(goal_bp), .example = "96%" },
};
static SECTION(goal_used_section, goal_used_keys, NULL);

static const struct key quota_keys[] = {
        { "bytes",    read_size,     DIRECTION(quota_bytes),       .example = "200MiB", .min = 1 },
        { "interval", read_whole_ms, DIRECTION(quota_interval_us), .example = "1s",     .min = 1, .max = INTERVAL_MAX_US },
};
static SECTION(quota_section, quota_keys, NULL);

static const struct key weight_keys[] = {
        { "frequency", read_weight, DIRECTION(weight_frequency), .example = "100", .max = WEIGHT_MAX },
        { "age",       read_weight, DIRECTION(weight_age),       .example = "100", .max = WEIGHT_MAX },
};
static SECTION(weights_section, weight_keys, NULL);

static const struct key demote_keys[] = {
        { "enabled", read_bool,     DIRECTION(enabled),    .example = "true" },
        { "goal",    read_section,  0,                     .example = "{free: 5%}", .section = &goal_free_section },
        { "quota",   read_section,  0,                     .example = "{bytes: 200MiB}", .section = &quota_section },
        { "min_age", read_duration, DIRECTION(min_age_us), .example = "30s", .max = AGE_MAX_US },
        { "weights", read_section,  0,                     .example = "{age: 100}", .section = &weights_section },
};
SECTION(demote_section, demote_keys, NULL);

static const struct key promote_keys[] = {
        { "enabled",    read_bool,    DIRECTION(enabled),       .example = "true" },
        { "goal",       read_section, 0,                        .example = "{used: 96%}", .section = &goal_used_section },
        { "quota",      read_section, 0,                        .example = "{bytes: 200MiB}", .section = &quota_section },
        { "min_access", read_percent, DIRECTION(min_access_bp), .example = "5%" },
        { "weights",    read_section, 0,                        .example = "{age: 100}", .section = &weights_section },
};
SECTION(promote_section, promote_keys, NULL);

static const struct key regions_keys[] = {
        { "min", read_count, MONITORING(min_regions), .example = "10",   .min = REGIONS_MIN, .max = REGIONS_MAX },
        { "max", read_count, MONITORING(max_regions), .example = "1000", .min = REGIONS_MIN, .max = REGIONS_MAX },
};
static SECTION(regions_section, regions_keys, check_regions);

static const struct key auto_keys[] = {
        { "access",       read_percent,  MONITORING(auto_access_bp),     .example = "4%" },
        { "aggregations", read_count,    MONITORING(auto_aggregations),  .example = "3",   .min = 1, .max = UINT_MAX },
        { "sample_min",   read_duration, MONITORING(auto_sample_min_us), .example = "5ms", .min = 1, .max = SAMPLE_MAX_US },
        { "sample_max",   read_duration, MONITORING(auto_sample_max_us), .example = "10s", .min = 1, .max = SAMPLE_MAX_US },
};
static SECTION(auto_section, auto_keys, check_auto);

/* `auto: off`, or what the tuning aims at; `auto: {}` is its defaults. */
static int read_auto(struct reader *in, const struct entry *e, void *target) {
        struct monitoring_config *m = target;
        char quote[QUOTE_SIZE];

        if (e->value->type == YAML_TEXT && strcmp(e->value->text, "off") == 0) {
                m->auto_intervals = false;
                return 0;
        }
        if (yaml_is_null(e->value))
                return entry_expect(in, e, YAML_TEXT, "off");
        if (e->value->type == YAML_TEXT)
                return entry_error(in, e,
                                   "\"auto\" cannot be \"%s\"; write off, or {access: 4%%, aggregations: 3, sample_min: 5ms, "
                                   "sample_max: 10s}",
                                   source_quote(e->value->text, quote));
        if (e->value->type != YAML_MAPPING)
                return entry_expect(in, e, YAML_MAPPING, "off or keys of its own");
        m->auto_intervals = true;
        return read_mapping(in, e->key->section, e, e->value, m);
}

static const struct key monitoring_keys[] = {
        { "sample",    read_duration, MONITORING(sample_us),    .example = "5ms",   .min = 1, .max = SAMPLE_MAX_US },
        { "aggregate", read_duration, MONITORING(aggregate_us), .example = "100ms", .min = 1, .max = AGGREGATE_MAX_US },
        { "update",    read_duration, MONITORING(update_us),    .example = "1s",    .min = 1, .max = INTERVAL_MAX_US },
        { "regions",   read_section,  0,                        .example = "{max: 1000}", .section = &regions_section },
        { "auto",      read_auto,     0,                        .example = "off",   .section = &auto_section },
};
static SECTION(monitoring_section, monitoring_keys, check_monitoring);

static const char *const tuner_choices[] = {
        [TUNER_AUTO] = "auto", [TUNER_KERNEL] = "kernel", [TUNER_FEEDBACK] = "feedback", [TUNER_DIRECT] = "direct", NULL,
};
static const char *const goal_tuner_choices[] = {
        [GOAL_TUNER_CONSIST] = "consist", [GOAL_TUNER_TEMPORAL] = "temporal", NULL,
};
static const struct key tuning_keys[] = {
        { "tuner",      read_choice, CONFIG(tuner),      .example = "auto",    .choices = tuner_choices },
        { "goal_tuner", read_choice, CONFIG(goal_tuner), .example = "consist", .choices = goal_tuner_choices },
};
static SECTION(tuning_section, tuning_keys, NULL);

static const char *const balancing_choices[] = {
        [BALANCING_AUTO] = "auto", [BALANCING_OFF] = "off", [BALANCING_KEEP] = "keep", NULL,
};
static const char *const keep_choices[] = { [SETTING_KEEP] = "keep", [SETTING_ON] = "on", [SETTING_OFF] = "off", NULL };
static const char *const modules_choices[] = { [MODULES_STOP] = "stop", [MODULES_REFUSE] = "refuse", NULL };
static const struct key system_keys[] = {
        { "numa_balancing",    read_choice, CONFIG(numa_balancing),    .example = "auto", .choices = balancing_choices },
        { "reclaim_demotion",  read_choice, CONFIG(reclaim_demotion),  .example = "keep", .choices = keep_choices },
        { "exclusive_modules", read_choice, CONFIG(exclusive_modules), .example = "stop", .choices = modules_choices },
};
static SECTION(system_section, system_keys, NULL);

static const struct key telemetry_keys[] = {
        { "interval",     read_duration,  CONFIG(telemetry_interval_us), .example = "10s",
          .min = TELEMETRY_MIN_US, .max = INTERVAL_MAX_US },
        { "metrics_file", read_file_path, CONFIG(metrics_file),          .example = "/run/tierd/metrics.prom" },
};
static SECTION(telemetry_section, telemetry_keys, NULL);

static const struct key root_keys[] = {
        { "tiers",      read_tiers,    CONFIG(tiers),      .example = "auto" },
        { "monitoring", read_section,  CONFIG(monitoring), .example = "{sample: 5ms}", .section = &monitoring_section },
        { "demote",     read_section,  CONFIG(demote),     .example = "{goal: {free: 5%}}", .section = &demote_section },
        { "promote",    read_section,  CONFIG(promote),    .example = "{goal: {used: 96%}}", .section = &promote_section },
        { "exclude",    read_excludes, 0,                  .example = "[{type: hugepage}]" },
        { "nodes",      read_nodes,    0,                  .example = "{3: {managed: false}}" },
        { "tuning",     read_section,  0,                  .example = "{tuner: auto}", .section = &tuning_section },
        { "system",     read_section,  0,                  .example = "{numa_balancing: auto}", .section = &system_section },
        { "telemetry",  read_section,  0,                  .example = "{interval: 10s}", .section = &telemetry_section },
};
SECTION(root_section, root_keys, NULL);
