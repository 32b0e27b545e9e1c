/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/metrics.h"
#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* An integer, and how many of its last digits are decimals. No floating point: every number is exact. */
struct value {
        uint64_t n;
        unsigned decimals;
};
#define BP_DECIMALS 4                   /* basis points, as a ratio */
#define US_DECIMALS 6                   /* microseconds, as seconds */

enum type { GAUGE, COUNTER };

struct writer;

/* A family is about the whole of tierd, each node, or each scheme, and a getter says false where the value is not known. */
struct family {
        const char *name;               /* of its samples: a counter's ends in _total */
        enum type type;
        const char *unit;               /* a gauge's; NULL: none */
        const char *help;
        bool (*whole)(const struct status *s, struct value *ret);
        bool (*node)(const struct status_node *n, struct value *ret);
        bool (*scheme)(const struct status_scheme *s, struct value *ret);
        void (*others)(struct writer *w, const struct status *s);
};

struct writer {
        FILE *f;
        enum metrics_format format;
        const struct family *family;
        bool begun;                     /* the family has a sample */
        bool labelled;                  /* the sample has a label */
};

/* -- the two formats -- */

/* A family without samples is not mentioned. */
static void family_begin(struct writer *w) {
        const struct family *family = w->family;

        if (w->begun)
                return;
        w->begun = true;
        if (w->format == METRICS_TEXT) {
                (void) fprintf(w->f, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                               family->type == COUNTER ? "counter" : "gauge");
                return;
        }
        if (family->type == GAUGE)
                (void) fprintf(w->f, "# TYPE %s gauge\n", family->name);
        if (family->unit)
                (void) fprintf(w->f, "# UNIT %s %s\n", family->name, family->unit);
        (void) fprintf(w->f, "# HELP %s %s\n", family->name, family->help);
}

static void sample_begin(struct writer *w) {
        family_begin(w);
        (void) fputs(w->family->name, w->f);
        w->labelled = false;
}

/* Both formats escape the same three characters. */
static void label_text(struct writer *w, const char *name, const char *value) {
        (void) fprintf(w->f, "%s%s=\"", w->labelled ? "," : "{", name);
        for (; *value; value++)
                switch (*value) {
                case '\n':
                        (void) fputs("\\n", w->f);
                        break;
                case '\\':
                case '"':
                        (void) fputc('\\', w->f);
                        (void) fputc(*value, w->f);
                        break;
                default:
                        (void) fputc(*value, w->f);
                }
        (void) fputc('"', w->f);
        w->labelled = true;
}

static void label_int(struct writer *w, const char *name, int value) {
        char text[16];

        (void) snprintf(text, sizeof(text), "%d", value);
        label_text(w, name, text);
}

static void sample_end(struct writer *w, struct value v) {
        uint64_t one = 1, fraction;
        unsigned decimals = v.decimals;

        for (unsigned i = 0; i < v.decimals; i++)
                one *= 10;
        fraction = v.n % one;
        for (; decimals > 0 && fraction % 10 == 0; decimals--)
                fraction /= 10;
        (void) fprintf(w->f, "%s %" PRIu64, w->labelled ? "}" : "", v.n / one);
        if (decimals > 0)
                (void) fprintf(w->f, ".%0*" PRIu64, (int) decimals, fraction);
        (void) fputc('\n', w->f);
}

static struct value count(uint64_t n) {
        return (struct value) { .n = n };
}

static struct value seconds(uint64_t us) {
        return (struct value) { .n = us, .decimals = US_DECIMALS };
}

static struct value ratio(uint32_t bp) {
        return (struct value) { .n = bp, .decimals = BP_DECIMALS };
}

static void label_scheme(struct writer *w, const struct status_scheme *s) {
        label_text(w, "direction", direction_to_string(s->direction));
        label_int(w, "source", s->source_nid);
        label_int(w, "target", s->target_nid);
}

/* -- the whole -- */

static void build_info(struct writer *w, const struct status *s) {
        (void) s;
        sample_begin(w);
        label_text(w, "version", TIERD_VERSION);
        sample_end(w, count(1));
}

static void manager_info(struct writer *w, const struct status *s) {
        sample_begin(w);
        label_text(w, "kernel", s->release);
        label_text(w, "tuner", tuner_kind_to_string(s->tuner));
        label_text(w, "ranked_by", rank_source_to_string(s->rank_source));
        sample_end(w, count(1));
}

static void state(struct writer *w, const struct status *s) {
        for (int i = 0; i < _STATUS_STATE_MAX; i++) {
                sample_begin(w);
                label_text(w, "state", status_state_to_string((enum status_state) i));
                sample_end(w, count(s->state == (enum status_state) i));
        }
}

static void notes(struct writer *w, const struct status *s) {
        for (int kind = 0; kind < _NOTE_KIND_MAX; kind++) {
                uint64_t n = 0;

                for (size_t i = 0; i < s->n_notes; i++)
                        n += s->notes[i].kind == (enum note_kind) kind;
                sample_begin(w);
                label_text(w, "kind", note_kind_to_string((enum note_kind) kind));
                sample_end(w, count(n));
        }
}

#define WHOLE(name, expression)                                                 \
        static bool name(const struct status *s, struct value *ret) {           \
                *ret = (expression);                                            \
                return true;                                                    \
        }
WHOLE(start_time, seconds(s->started_realtime_us))
WHOLE(snapshot_time, seconds(s->taken_realtime_us))
WHOLE(telemetry_interval, seconds(s->telemetry_interval_us))
WHOLE(tiers, count(s->n_tiers))
WHOLE(turns, count(s->turns))
WHOLE(failed_turns, count(s->failed_turns))
WHOLE(reloads, count(s->reloads))
WHOLE(replans, count(s->replans))

/* -- nodes -- */

static void node_info(struct writer *w, const struct status *s) {
        for (size_t i = 0; i < s->n_nodes; i++) {
                const struct status_node *n = s->nodes + i;

                sample_begin(w);
                label_int(w, "node", n->nid);
                if (n->tier >= 0)
                        label_int(w, "tier", n->tier);
                else
                        label_text(w, "tier", "none");
                label_text(w, "kind", node_kind_to_string(n->kind));
                sample_end(w, count(1));
        }
}

#define NODE(name, known, expression)                                           \
        static bool name(const struct status_node *n, struct value *ret) {      \
                if (!(known))                                                   \
                        return false;                                           \
                *ret = (expression);                                            \
                return true;                                                    \
        }
NODE(node_memory, n->total_bytes > 0, count(n->total_bytes))
NODE(node_free, n->has_free, count(n->free_bytes))
NODE(node_hot, n->has_view, count(n->view.hot_bytes))
NODE(node_cold, n->has_view, count(n->view.cold_bytes))
NODE(kdamond_cpu, n->has_kdamond, seconds(n->cpu_us))
NODE(kdamond_restarts, n->has_kdamond, count(n->restarts))
NODE(kdamond_sample, n->has_kdamond && n->sample_us > 0, seconds(n->sample_us))
NODE(kdamond_aggregate, n->has_kdamond && n->aggregate_us > 0, seconds(n->aggregate_us))

/* -- schemes -- */

static void scheme_info(struct writer *w, const struct status *s) {
        for (size_t i = 0; i < s->n_schemes; i++) {
                sample_begin(w);
                label_scheme(w, s->schemes + i);
                label_text(w, "goal_metric", goal_metric_to_string(s->schemes[i].goal_metric));
                label_int(w, "goal_node", s->schemes[i].goal_nid);
                sample_end(w, count(1));
        }
}

static void scheme_reason(struct writer *w, const struct status *s) {
        for (size_t i = 0; tuner_kind_is_own(s->tuner) && i < s->n_schemes; i++)
                for (int reason = 0; reason < _TUNER_REASON_MAX; reason++) {
                        sample_begin(w);
                        label_scheme(w, s->schemes + i);
                        label_text(w, "reason", tuner_reason_to_string((enum tuner_reason) reason));
                        sample_end(w, count(s->schemes[i].reason == (enum tuner_reason) reason));
                }
}

static uint64_t rate(uint64_t bytes, uint64_t us) {
        return us == 0 ? 0 : (uint64_t) MIN((unsigned __int128) bytes * 1000000 / us, (unsigned __int128) UINT64_MAX);
}

#define SCHEME(name, known, expression)                                         \
        static bool name(const struct status_scheme *s, struct value *ret) {    \
                if (!(known))                                                   \
                        return false;                                           \
                *ret = (expression);                                            \
                return true;                                                    \
        }
SCHEME(scheme_goal, true, ratio(s->goal_bp))
SCHEME(scheme_current, s->current_bp >= 0, ratio((uint32_t) s->current_bp))
SCHEME(scheme_quota, true, count(status_scheme_rate(s)))
SCHEME(scheme_ceiling, true, count(rate(s->ceiling_bytes, s->ceiling_interval_us)))
SCHEME(scheme_tried_regions, true, count(s->total.nr_tried))
SCHEME(scheme_tried, true, count(s->total.sz_tried))
SCHEME(scheme_applied_regions, true, count(s->total.nr_applied))
SCHEME(scheme_applied, true, count(s->total.sz_applied))
SCHEME(scheme_exceeded, true, count(s->total.qt_exceeds))

/* -- all of it, in this order. docs/monitoring.md has a table of them. -- */

static const struct family families[] = {
        { "tierd_build_info", GAUGE, NULL, "The version of tierd; always 1.", .others = build_info },
        { "tierd_manager_info", GAUGE, NULL, "What tierd works on and how: kernel, tuner, and what ranked the nodes; always 1.",
          .others = manager_info },
        { "tierd_state", GAUGE, NULL, "What tierd is doing: 1 for the state it is in, 0 for the others.", .others = state },
        { "tierd_start_time_seconds", GAUGE, "seconds", "When tierd began, in seconds since 1970.", .whole = start_time },
        { "tierd_snapshot_timestamp_seconds", GAUGE, "seconds", "When all of this was measured, in seconds since 1970.",
          .whole = snapshot_time },
        { "tierd_telemetry_interval_seconds", GAUGE, "seconds", "How often tierd tells of itself, as configured.",
          .whole = telemetry_interval },
        { "tierd_turns_total", COUNTER, NULL, "Turns: looks at the machine, each with new quotas.", .whole = turns },
        { "tierd_failed_turns_total", COUNTER, NULL, "Turns that failed and were tried again.", .whole = failed_turns },
        { "tierd_reloads_total", COUNTER, NULL, "Configurations put in force since the first one.", .whole = reloads },
        { "tierd_replans_total", COUNTER, NULL, "Plans made again because memory came or went.", .whole = replans },
        { "tierd_tiers", GAUGE, NULL, "Tiers that the machine's memory has.", .whole = tiers },
        { "tierd_notes", GAUGE, NULL, "Notes on the plan: what is left out, what the kernel lacks, advice.", .others = notes },

        { "tierd_node_info", GAUGE, NULL, "Tier and kind of each node of memory; always 1.", .others = node_info },
        { "tierd_node_memory_bytes", GAUGE, "bytes", "Memory of the node.", .node = node_memory },
        { "tierd_node_free_bytes", GAUGE, "bytes", "Free memory of the node.", .node = node_free },
        { "tierd_node_hot_bytes", GAUGE, "bytes", "Bytes that a promotion out of the node would take, as DAMON sees it.",
          .node = node_hot },
        { "tierd_node_cold_bytes", GAUGE, "bytes",
          "Bytes that a demotion out of the node would take, settled for a while, as DAMON sees it; free memory is among them.",
          .node = node_cold },
        { "tierd_kdamond_cpu_seconds_total", COUNTER, NULL, "CPU time of the kernel threads that watch the node.",
          .node = kdamond_cpu },
        { "tierd_kdamond_restarts_total", COUNTER, NULL, "How often the node's kdamond ended by itself and was started again.",
          .node = kdamond_restarts },
        { "tierd_kdamond_sample_interval_seconds", GAUGE, "seconds", "Sampling interval in force on the node.",
          .node = kdamond_sample },
        { "tierd_kdamond_aggregation_interval_seconds", GAUGE, "seconds", "Aggregation interval in force on the node.",
          .node = kdamond_aggregate },

        { "tierd_scheme_info", GAUGE, NULL, "Each scheme's goal: which metric of which node; always 1.",
          .others = scheme_info },
        { "tierd_scheme_goal_ratio", GAUGE, "ratio", "The scheme's goal, as a part of the goal node's memory.",
          .scheme = scheme_goal },
        { "tierd_scheme_current_ratio", GAUGE, "ratio", "Where the metric of the scheme's goal stands.",
          .scheme = scheme_current },
        { "tierd_scheme_quota_bytes_per_second", GAUGE, "bytes_per_second", "The quota in force, as a rate; 0 at rest.",
          .scheme = scheme_quota },
        { "tierd_scheme_ceiling_bytes_per_second", GAUGE, "bytes_per_second", "The quota as configured, as a rate.",
          .scheme = scheme_ceiling },
        { "tierd_scheme_reason", GAUGE, NULL, "What decided the quota: 1 for the reason, 0 for the others.",
          .others = scheme_reason },
        { "tierd_scheme_tried_regions_total", COUNTER, NULL, "Regions that the scheme was tried on.",
          .scheme = scheme_tried_regions },
        { "tierd_scheme_tried_bytes_total", COUNTER, NULL, "Bytes that the scheme was tried on.", .scheme = scheme_tried },
        { "tierd_scheme_applied_regions_total", COUNTER, NULL, "Regions that the scheme moved something of.",
          .scheme = scheme_applied_regions },
        { "tierd_scheme_applied_bytes_total", COUNTER, NULL,
          "Bytes moved, as the kernel counts; from Linux 6.16 to 7.2 it counts promotions that found no room too.",
          .scheme = scheme_applied },
        { "tierd_scheme_quota_exceeded_total", COUNTER, NULL,
          "Charge windows in which the quota was used up; Linux 7.2 counts every window at rest too.",
          .scheme = scheme_exceeded },
};

static void write_family(struct writer *w, const struct status *s) {
        const struct family *family = w->family;
        struct value v;

        if (family->others)
                family->others(w, s);
        if (family->whole && family->whole(s, &v)) {
                sample_begin(w);
                sample_end(w, v);
        }
        for (size_t i = 0; family->node && i < s->n_nodes; i++)
                if (family->node(s->nodes + i, &v)) {
                        sample_begin(w);
                        label_int(w, "node", s->nodes[i].nid);
                        sample_end(w, v);
                }
        for (size_t i = 0; family->scheme && i < s->n_schemes; i++)
                if (family->scheme(s->schemes + i, &v)) {
                        sample_begin(w);
                        label_scheme(w, s->schemes + i);
                        sample_end(w, v);
                }
}

int metrics_format(const struct status *s, enum metrics_format format, char **ret) {
        struct writer w = { .format = format };
        _cleanup_free_ char *text = NULL;
        bool failed;
        size_t size;

        w.f = open_memstream(&text, &size);
        if (!w.f)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(families); i++) {
                w.family = families + i;
                w.begun = false;
                write_family(&w, s);
        }
        if (format == METRICS_OPENMETRICS)
                (void) fputs("# EOF\n", w.f);
        /* The one thing that a stream in memory can want for is memory. */
        failed = ferror(w.f);
        if (fclose(w.f) != 0 || failed)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}
