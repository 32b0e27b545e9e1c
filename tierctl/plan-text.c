/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/parse.h"
#include "tierctl/plan-show.h"
#include "tierctl/table.h"

#include <inttypes.h>
#include <limits.h>
#include <stdint.h>

#define LABEL "    %-9s"

static void print_access(const struct access_pattern *a, const struct monitoring_config *m, FILE *f) {
        char age[FORMAT_MAX];

        fprintf(f, LABEL, "pages");
        if (a->max_per_aggregation == 0)
                fprintf(f, "of regions without access");
        else
                fprintf(f, "of regions accessed in at least %" PRIu32 " of %" PRIu64 " samples", a->min_per_aggregation,
                        m->aggregate_us / m->sample_us);
        if (a->min_age_us > 0)
                fprintf(f, ", for %s or longer", format_duration(a->min_age_us, age, sizeof(age)));
        fprintf(f, "\n");
}

static void print_filter(const struct filter *f, FILE *out) {
        static const char *const words[][2] = {
                [FILTER_YOUNG] = { "those not accessed lately", "those accessed lately" },
                [FILTER_ANON] = { "file pages", "anonymous pages" },
                [FILTER_HUGEPAGE_SIZE] = { "base pages", "huge pages" },
        };

        if (f->type == FILTER_MEMCG) {
                char path[PATH_MAX];

                /* A group of a captured machine may be called anything. */
                (void) snprintf(path, sizeof(path), "%s", f->memcg_path);
                make_printable(path);
                fprintf(out, "%s cgroup %s", f->matching ? "those of" : "those not of", path);
        } else
                fprintf(out, "%s", words[f->type][f->matching]);
}

static void print_scheme(const struct scheme *s, const struct monitoring_config *m, FILE *f) {
        char bytes[FORMAT_MAX], interval[FORMAT_MAX], goal[FORMAT_MAX];

        fprintf(f, "  %s to node %d\n", direction_to_string(s->direction), s->target_nid);
        fprintf(f, LABEL "%s of node %d %s\n", "goal", format_percent(s->goal_bp, goal, sizeof(goal)), s->goal_nid,
                s->goal_metric == GOAL_NODE_MEM_FREE_BP ? "free" : "used");
        fprintf(f, LABEL "at most %s per %s\n", "quota", format_size(s->quota_bytes, bytes, sizeof(bytes)),
                format_duration(s->quota_interval_us, interval, sizeof(interval)));
        print_access(&s->access, m, f);
        fprintf(f, LABEL "frequency %" PRIu32 ", age %" PRIu32 "\n", "weights", s->weight_frequency, s->weight_age);
        for (size_t i = 0; i < s->n_filters; i++) {
                fprintf(f, LABEL, i == 0 ? "except" : "");
                print_filter(&s->filters[i], f);
                fprintf(f, "\n");
        }
}

void plan_print_text(const struct plan *p, FILE *f) {
        const struct monitoring_config *m = &p->monitoring;
        char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];

        fprintf(f, "tuner: %s%s\n", tuner_kind_to_string(p->tuner),
                p->goal_tuner == GOAL_TUNER_TEMPORAL ? ", all of a quota until its goal is met (temporal)" : "");
        fprintf(f, "monitoring: sample %s, aggregate %s, update %s, %" PRIu64 " to %" PRIu64 " regions\n",
                format_duration(m->sample_us, a, sizeof(a)), format_duration(m->aggregate_us, b, sizeof(b)),
                format_duration(m->update_us, c, sizeof(c)), m->min_regions, m->max_regions);
        if (m->auto_intervals)
                fprintf(f, "intervals tune themselves: %s of accesses over %" PRIu64 " aggregations, sample %s to %s\n",
                        format_percent(m->auto_access_bp, c, sizeof(c)), m->auto_aggregations,
                        format_duration(m->auto_sample_min_us, a, sizeof(a)),
                        format_duration(m->auto_sample_max_us, b, sizeof(b)));

        for (size_t i = 0; i < p->n_kdamonds; i++) {
                const struct kdamond_plan *k = &p->kdamonds[i];

                fprintf(f, "\nnode %d\n", k->nid);
                for (size_t j = 0; j < k->n_ranges; j++)
                        fprintf(f, "  0x%" PRIx64 "-0x%" PRIx64 " (%s)\n", k->ranges[j].start, k->ranges[j].end,
                                format_size(k->ranges[j].end - k->ranges[j].start, a, sizeof(a)));
                for (size_t j = 0; j < k->n_schemes; j++)
                        if (k->schemes[j].direction == AGE)
                                fprintf(f,
                                        "  age, while there is something to demote\n" LABEL
                                        "of what demotion may take: accessed bits are cleared, none moves\n",
                                        "pages");
                        else
                                print_scheme(&k->schemes[j], m, f);
        }

        if (p->n_notes > 0)
                fprintf(f, "\nnotes:\n");
        for (size_t i = 0; i < p->n_notes; i++)
                text_wrap(p->notes[i].text, 2, 0, f);
}
