/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "damon/ops-internal.h"
#include "policy/feedback.h"

#include <string.h>

/*
 * The kernel's "no limit": ULONG_MAX for sizes. Counts and ages are unsigned int inside (struct damos_access_pattern),
 * and sysfs cuts what is larger without a word.
 */
#define SIZE_MAX_KERNEL UINT64_MAX
#define COUNT_MAX_KERNEL UINT64_C(4294967295)

/*
 * "hugepage" to an operator is a PMD-sized one: 2 MiB on x86-64. Smaller folios of several pages are everyday page cache.
 */
#define HUGEPAGE_MIN_BYTES (UINT64_C(2) << 20)

/* An age is counted in aggregation intervals: the least age rounds up, so that it is never undercut. */
static uint64_t min_age(uint64_t age_us, uint64_t aggregate_us) {
        uint64_t n;

        if (aggregate_us == 0)
                return 0;
        n = age_us / aggregate_us + (age_us % aggregate_us != 0);
        return MIN(n, COUNT_MAX_KERNEL);
}

static uint64_t max_age(uint64_t age_us, uint64_t aggregate_us) {
        if (age_us == UINT64_MAX || aggregate_us == 0)
                return COUNT_MAX_KERNEL;
        return MIN(age_us / aggregate_us, COUNT_MAX_KERNEL);
}

static void encode_access_pattern(struct encoder *e, const struct access_pattern *a, const struct monitoring_config *c) {
        encode_u64(e, 0, "access_pattern/sz/min");
        encode_u64(e, SIZE_MAX_KERNEL, "access_pattern/sz/max");
        encode_u64(e, a->min_per_aggregation, "access_pattern/nr_accesses/min");
        encode_u64(e, a->max_per_aggregation, "access_pattern/nr_accesses/max");
        encode_u64(e, min_age(a->min_age_us, c->aggregate_us), "access_pattern/age/min");
        encode_u64(e, max_age(a->max_age_us, c->aggregate_us), "access_pattern/age/max");
}

void encode_quota(struct encoder *e, struct quota_value q) {
        /* bytes 0 would mean no limit; one byte is less than a page, and stops the scheme. */
        encode_u64(e, q.bytes == 0 ? 1 : q.bytes, "quotas/bytes");
        encode_u64(e, q.reset_interval_ms, "quotas/reset_interval_ms");
}

static void encode_goal(struct encoder *e, const char *scheme, const struct plan *p, const struct scheme *s,
                        const struct capability *c) {
        if (p->tuner == TUNER_DIRECT) {
                if (c->user_goals)
                        encode(e, "0", "quotas/goals/nr_goals");
                return;
        }
        if (p->tuner == TUNER_KERNEL ? !c->node_goals : !c->user_goals) {
                encoder_fail(e, -EOPNOTSUPP);
                return;
        }

        encode(e, "1", "quotas/goals/nr_goals");
        encoder_at(e, "%s/quotas/goals/0", scheme);
        encode(e, p->tuner == TUNER_KERNEL ? goal_metric_to_string(s->goal_metric) : "user_input", "target_metric");
        encode_u64(e, p->tuner == TUNER_FEEDBACK ? FEEDBACK_TARGET : s->goal_bp, "target_value");
        /* The kernel reads it of user_input goals only: at rest, until it is fed. */
        encode_u64(e, p->tuner == TUNER_FEEDBACK ? FEEDBACK_REST : 0, "current_value");
        if (c->node_goals)
                /* An invalid nid is dereferenced before 40250b2dded0, hence never left to a default. */
                encode_int(e, s->goal_nid, "nid");
        encoder_at(e, "%s", scheme);
}

/* `s` NULL: a scheme without limits, for probes. */
static void encode_quotas_dir(struct encoder *e, const char *scheme, const struct plan *p, const struct scheme *s,
                              const struct capability *c) {
        /* Time quotas are never set: one can freeze a scheme at zero bytes (before 8bbde987c2b8). */
        encode(e, "0", "quotas/ms");
        if (!s) {
                encode(e, "0", "quotas/bytes");
                encode(e, "0", "quotas/reset_interval_ms");
        } else if (c->first_window_unlimited)
                encode_quota(e, (struct quota_value){ .bytes = 1, .reset_interval_ms = 0 });
        else
                encode_quota(e, (struct quota_value){
                                        .bytes = tuner_kind_is_own(p->tuner) ? 1 : s->quota_bytes,
                                        .reset_interval_ms = us_to_ms(s->quota_interval_us),
                                });
        encode(e, "0", "quotas/weights/sz_permil");
        encode_u64(e, s ? s->weight_frequency : 0, "quotas/weights/nr_accesses_permil");
        encode_u64(e, s ? s->weight_age : 0, "quotas/weights/age_permil");
        if (c->goal_tuner)
                /* The law that `feedback` reckons with is that of consist. */
                encode(e, goal_tuner_to_string(p->goal_tuner), "quotas/goal_tuner");
        if (c->fail_charge) {
                /* A denominator of 0: failed bytes are charged in full, as on every kernel before. */
                encode(e, "0", "quotas/fail_charge_num");
                encode(e, "0", "quotas/fail_charge_denom");
        }
        if (s)
                encode_goal(e, scheme, p, s, c);
        else if (c->user_goals)
                encode(e, "0", "quotas/goals/nr_goals");
}

static void encode_watermarks(struct encoder *e) {
        encode(e, "none", "watermarks/metric");
        encode(e, "0", "watermarks/interval_us");
        encode(e, "0", "watermarks/high");
        encode(e, "0", "watermarks/mid");
        encode(e, "0", "watermarks/low");
}

static bool filter_is_known(const struct filter *f, const struct capability *c) {
        switch (f->type) {
        case FILTER_YOUNG:
                return c->young_filter;
        case FILTER_HUGEPAGE_SIZE:
                return c->hugepage_filter;
        case FILTER_MEMCG:
                return c->memcg_filter && f->memcg_path && f->memcg_path[0] != '\0';
        case FILTER_ANON:
                return c->anon_filter;
        }
        return false;
}

/*
 * From 6.15 on the first filter that matches decides, and the last one's opposite is the rest's fate. Before, only rejecting
 * means anything (6.14 knows `allow`, but rejects nothing for it), so an allowing filter can be said in one place alone: last,
 * as "reject what is not of it".
 */
static void encode_filters(struct encoder *e, const char *scheme, const struct filter *filters, size_t n,
                           const struct capability *c) {
        const char *dir = c->ops_filters ? "ops_filters" : "filters";
        char nr[32];

        if (c->ops_filters) {
                if (c->filters_dir)
                        encode(e, "0", "filters/nr_filters");
                encode(e, "0", "core_filters/nr_filters");
        } else if (!c->filters_dir) {
                if (n > 0)
                        encoder_fail(e, -EOPNOTSUPP);
                return;
        }

        (void) snprintf(nr, sizeof(nr), "%s/nr_filters", dir);
        encode_u64(e, n, nr);
        for (size_t i = 0; i < n; i++) {
                const struct filter *f = &filters[i];
                bool matching = f->matching, allow = f->allow;

                if (!filter_is_known(f, c)) {
                        encoder_fail(e, -EOPNOTSUPP);
                        return;
                }
                if (!c->ops_filters && allow) {
                        if (i + 1 < n) {
                                encoder_fail(e, -EOPNOTSUPP);
                                return;
                        }
                        matching = !matching;
                        allow = false;
                }
                encoder_at(e, "%s/%s/%zu", scheme, dir, i);
                encode(e, filter_type_to_string(f->type), "type");
                encode(e, matching ? "Y" : "N", "matching");
                if (c->filter_allow)
                        encode(e, allow ? "Y" : "N", "allow");
                if (f->type == FILTER_MEMCG)
                        encode(e, f->memcg_path, "memcg_path");
                if (f->type == FILTER_HUGEPAGE_SIZE) {
                        encode_u64(e, HUGEPAGE_MIN_BYTES, "min");
                        encode_u64(e, SIZE_MAX_KERNEL, "max");
                }
        }
        encoder_at(e, "%s", scheme);
}

static void encode_rest(struct encoder *e, const struct capability *c) {
        if (c->dests)
                encode(e, "0", "dests/nr_dests");
        if (c->max_nr_snapshots)
                encode(e, "0", "stats/max_nr_snapshots");
}

/*
 * 0 is once per aggregation; another value starves a scheme whose intervals tune themselves (DAMON.md, "Known faults").
 *
 * Where the first charge window has no quota, the first pass of the scheme must come before the commit that sets the real
 * quota, because it is that pass that takes the quota of 1 byte over (damos_adjust_quota(), 6.12). The kernel commits at the
 * first aggregation at the earliest, before that round's pass, and puts the next pass off (kdamond_fn(), damon_set_attrs()).
 * So the pass is ordered for one sample earlier.
 */
static uint64_t apply_interval_us(const struct monitoring_config *m, const struct capability *c) {
        if (!c->first_window_unlimited)
                return 0;
        return m->aggregate_us > m->sample_us ? m->aggregate_us - m->sample_us : 1;
}

/*
 * Aging. From 6.14 on `stat` walks the pages of a region past the filters, and the young filter clears what it finds
 * (damon_pa_stat(), damos_folio_filter_match(); the capability `filter_allow` came in the same release). Before, `stat` looks
 * at no page; there a migration that every page is rejected from does the same, once young has looked at it
 * (__damos_pa_filter_out(), 6.12): what the scheme's own filters leave is anonymous or it is not. A patched 6.1 knows `young`
 * alone: what is young is rejected, and cleared, by the scheme's own filter, and the rest by its opposite. A page that became
 * young between the two, or was locked when the first looked, passes both; the second has cleared it, so a third rejects it.
 */
static void encode_aging_filters(struct encoder *e, const char *dir, const struct scheme *s, const struct capability *c) {
        _cleanup_free_ struct filter *all = NULL;
        size_t n = s->n_filters;

        if (c->filter_allow) {
                encode_filters(e, dir, s->filters, n, c);
                return;
        }
        all = calloc(n + 3, sizeof(*all));
        if (!all) {
                encoder_fail(e, -ENOMEM);
                return;
        }
        if (n > 0)
                memcpy(all, s->filters, n * sizeof(*all));
        if (c->anon_filter)
                all[n++] = (struct filter) { .type = FILTER_ANON, .matching = true };
        else if (n == 0 || all[n - 1].type != FILTER_YOUNG || !all[n - 1].matching)
                all[n++] = (struct filter) { .type = FILTER_YOUNG, .matching = true };
        all[n++] = (struct filter) { .type = c->anon_filter ? FILTER_ANON : FILTER_YOUNG, .matching = false };
        if (!c->anon_filter)
                all[n++] = (struct filter) { .type = FILTER_YOUNG, .matching = false };
        encode_filters(e, dir, all, n, c);
}

static const char *scheme_action(const struct scheme *s, const struct capability *c) {
        switch (s->direction) {
        case DEMOTE:
                return "migrate_cold";
        case PROMOTE:
                return "migrate_hot";
        case AGE:
                return c->filter_allow ? "stat" : "migrate_cold";
        }
        return "stat";
}

void encode_scheme(struct encoder *e, int slot, size_t index, const struct plan *p, const struct scheme *s,
                   const struct capability *c) {
        char scheme[PATH_SIZE];

        if (!c->migrate) {
                encoder_fail(e, -EOPNOTSUPP);
                return;
        }
        /* A node that is not there is a kernel oops from 6.11 on (before 7e6c313); never let one out of this room. */
        if (s->target_nid < 0 || s->target_nid == s->source_nid) {
                encoder_fail(e, -EINVAL);
                return;
        }
        encoder_fail(e, path_format(scheme, sizeof(scheme), DAMON_ADMIN "/%d/contexts/0/schemes/%zu", slot, index));
        encoder_at(e, "%s", scheme);
        encode(e, scheme_action(s, c), "action");
        encode_int(e, s->target_nid, "target_nid");
        if (c->apply_interval)
                encode_u64(e, apply_interval_us(&p->monitoring, c), "apply_interval_us");
        encode_access_pattern(e, &s->access, &p->monitoring);
        encode_quotas_dir(e, scheme, p, s, c);
        encode_watermarks(e);
        if (s->direction == AGE)
                encode_aging_filters(e, scheme, s, c);
        else
                encode_filters(e, scheme, s->filters, s->n_filters, c);
        encode_rest(e, c);
}

void encode_probe(struct encoder *e, int slot, size_t index, const struct plan *p, const struct probe *probe,
                  const struct capability *c) {
        char scheme[PATH_SIZE];

        encoder_fail(e, path_format(scheme, sizeof(scheme), DAMON_ADMIN "/%d/contexts/0/schemes/%zu", slot, index));
        encoder_at(e, "%s", scheme);
        encode(e, "stat", "action");
        if (c->migrate)
                encode_int(e, -1, "target_nid");
        if (c->apply_interval)
                encode(e, "0", "apply_interval_us");
        encode_access_pattern(e, &probe->access, &p->monitoring);
        encode_quotas_dir(e, scheme, p, NULL, c);
        encode_watermarks(e);
        encode_filters(e, scheme, NULL, 0, c);
        encode_rest(e, c);
}
