/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/missing.h"
#include "policy/plan-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/*
 * What `tuner: auto` means. By the trials in docs/tuner.md the direct tuner moves a hot set up within seconds where the
 * kernel's own goals do not exchange at all once both are met, on every kernel with the migrate actions.
 */
#define TUNER_BEST TUNER_DIRECT

/* Memory counts as settled cold when it was not accessed for so many aggregations: one alone is noise (docs/tuner.md). */
#define SETTLED_AGGREGATIONS 5

const char *direction_to_string(enum direction d) {
        static const char *const names[] = { [DEMOTE] = "demote", [PROMOTE] = "promote", [AGE] = "age" };

        return names[d];
}

const char *goal_metric_to_string(enum goal_metric m) {
        return m == GOAL_NODE_MEM_FREE_BP ? "node_mem_free_bp" : "node_mem_used_bp";
}

const char *filter_type_to_string(enum filter_type t) {
        static const char *const names[] = {
                [FILTER_YOUNG] = "young",
                [FILTER_ANON] = "anon",
                [FILTER_MEMCG] = "memcg",
                [FILTER_HUGEPAGE_SIZE] = "hugepage_size",
        };

        return t < ELEMENTSOF(names) ? names[t] : "unknown";
}

const char *note_kind_to_string(enum note_kind kind) {
        static const char *const names[_NOTE_KIND_MAX] = {
                [NOTE_LEFT_OUT] = "left-out",
                [NOTE_KERNEL] = "kernel",
                [NOTE_ADVICE] = "advice",
        };

        return kind < _NOTE_KIND_MAX ? names[kind] : "unknown";
}

const char *probe_kind_to_string(enum probe_kind kind) {
        static const char *const names[] = { [PROBE_ALL] = "all", [PROBE_HOT] = "hot", [PROBE_COLD] = "cold" };

        return kind < _PROBE_KIND_MAX ? names[kind] : "unknown";
}

struct plan *plan_free(struct plan *p) {
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n_kdamonds; i++) {
                struct kdamond_plan *k = &p->kdamonds[i];

                for (size_t j = 0; j < k->n_schemes; j++) {
                        for (size_t f = 0; f < k->schemes[j].n_filters; f++)
                                free(k->schemes[j].filters[f].memcg_path);
                        free(k->schemes[j].filters);
                }
                free(k->schemes);
                free(k->probes);
                free(k->ranges);
        }
        free(p->kdamonds);
        for (size_t i = 0; i < p->n_notes; i++)
                free(p->notes[i].text);
        free(p->notes);
        free(p);
        return NULL;
}

const struct kdamond_plan *plan_kdamond(const struct plan *p, int nid) {
        for (size_t i = 0; i < p->n_kdamonds; i++)
                if (p->kdamonds[i].nid == nid)
                        return &p->kdamonds[i];
        return NULL;
}

/* Who decides the quotas. `managing`: there are schemes at all, so the kernel matters. */
static int choose_tuner(struct maker *m, bool managing) {
        enum tuner_kind tuner = m->config->tuner == TUNER_AUTO ? TUNER_BEST : m->config->tuner;
        char text[256];

        if (tuner == TUNER_FEEDBACK && managing && !m->features->user_goals)
                return diag_set(m->reterr, -EINVAL, "tuner: feedback needs quota goals that are fed: %s; write tuner: direct",
                                missing_describe(MISSING_USER_GOALS, m->features->major, m->features->minor, text,
                                                 sizeof(text)));
        if (tuner == TUNER_KERNEL && managing && !m->features->node_goals)
                return diag_set(m->reterr, -EINVAL,
                                "tuner: kernel needs the quota goals node_mem_used_bp and node_mem_free_bp: %s; write tuner: "
                                "direct",
                                missing_describe(MISSING_NODE_GOALS, m->features->major, m->features->minor, text,
                                                 sizeof(text)));
        m->plan->tuner = tuner;
        m->plan->goal_tuner = GOAL_TUNER_CONSIST;
        if (tuner != TUNER_KERNEL || m->config->goal_tuner == GOAL_TUNER_CONSIST || !managing)
                return 0;
        if (!m->features->goal_tuner)
                return maker_note(m, NOTE_KERNEL,
                                  "tuning.goal_tuner: this kernel has one way only to come to its goals (Linux 7.1 has "
                                  "temporal); consist it is");
        m->plan->goal_tuner = m->config->goal_tuner;
        return 0;
}

static int choose_monitoring(struct maker *m, bool managing) {
        struct monitoring_config *out = &m->plan->monitoring;

        *out = m->config->monitoring;
        if (!out->auto_intervals || !managing)
                return 0;
        if (!m->features->intervals_goal) {
                out->auto_intervals = false;
                return maker_note(
                        m, NOTE_KERNEL,
                        "monitoring.auto: this kernel cannot tune the intervals (Linux 6.15 can); they stay as configured");
        }
        if (tuner_kind_is_own(m->plan->tuner)) {
                /* Every commit writes the configured intervals back (docs/kernels.md), and tierd's tuner counts by them. */
                out->auto_intervals = false;
                return maker_note(
                        m, NOTE_ADVICE,
                        "monitoring.auto: tuner %s sets quotas all the time, and each setting would undo the tuning of the "
                        "intervals; they stay as configured", tuner_kind_to_string(m->plan->tuner));
        }
        return 0;
}

/* Accesses per aggregation that `bp` of its samples make: rounded up, at least one. */
static uint32_t min_accesses(const struct monitoring_config *mon, uint32_t bp) {
        uint64_t samples = mon->aggregate_us / MAX(mon->sample_us, UINT64_C(1)), n;

        samples = MIN(samples, (uint64_t) UINT32_MAX);
        n = (samples * bp + 9999) / 10000;
        return (uint32_t) MAX(n, UINT64_C(1));
}

static int add_scheme(const struct maker *m, struct kdamond_plan *k, enum direction direction, int target,
                      const struct direction_config *d) {
        struct scheme *s = &k->schemes[k->n_schemes++];

        *s = (struct scheme) {
                .direction = direction,
                .source_nid = k->nid,
                .target_nid = target,
                .goal_metric = direction == DEMOTE ? GOAL_NODE_MEM_FREE_BP : GOAL_NODE_MEM_USED_BP,
                .goal_nid = direction == DEMOTE ? k->nid : target,
                .goal_bp = d->goal_bp,
                .quota_bytes = d->quota_bytes,
                .quota_interval_us = d->quota_interval_us,
                .weight_frequency = d->weight_frequency,
                .weight_age = d->weight_age,
                .access = {
                        .min_per_aggregation = direction == DEMOTE ? 0 : min_accesses(&m->plan->monitoring, d->min_access_bp),
                        .max_per_aggregation = direction == DEMOTE ? 0 : UINT32_MAX,
                        .min_age_us = direction == DEMOTE ? d->min_age_us : 0,
                        .max_age_us = UINT64_MAX,
                },
        };
        return maker_add_filters(m, s);
}

/*
 * The scheme that clears the accessed bits for the node's demote scheme, the first one. Its quota's ceiling is the demotion's:
 * pages are then aged as fast as they could ever be demoted.
 */
static int add_aging(const struct maker *m, struct kdamond_plan *k) {
        const struct scheme *demote = &k->schemes[0];
        struct scheme *s = &k->schemes[k->n_schemes];

        if (demote->direction != DEMOTE || !m->features->young_filter)
                return 0;
        *s = *demote;
        s->direction = AGE;
        /* No page comes before another: a sweep. */
        s->weight_frequency = s->weight_age = 0;
        k->n_schemes++;
        return maker_add_filters(m, s);
}

/* tierd's tuner decides by what these count. */
static int add_probes(const struct maker *m, struct kdamond_plan *k) {
        const struct scheme *demote = NULL, *promote = NULL;

        for (size_t i = 0; i < k->n_schemes; i++) {
                if (k->schemes[i].direction == DEMOTE)
                        demote = &k->schemes[i];
                else if (k->schemes[i].direction == PROMOTE)
                        promote = &k->schemes[i];
        }

        k->probes = calloc(_PROBE_KIND_MAX, sizeof(*k->probes));
        if (!k->probes)
                return -ENOMEM;
        k->probes[k->n_probes++] = (struct probe) {
                .kind = PROBE_ALL,
                .access = { .max_per_aggregation = UINT32_MAX, .max_age_us = UINT64_MAX },
        };
        if (promote)
                k->probes[k->n_probes++] = (struct probe) { .kind = PROBE_HOT, .access = promote->access };
        if (demote) {
                struct probe cold = { .kind = PROBE_COLD, .access = demote->access };

                cold.access.min_age_us = MAX(cold.access.min_age_us, SETTLED_AGGREGATIONS * m->plan->monitoring.aggregate_us);
                k->probes[k->n_probes++] = cold;
        }
        return 0;
}

static int copy_ranges(const struct maker *m, const struct node *n, struct kdamond_plan *k) {
        if (n->n_ranges == 0)
                return diag_set(m->reterr, -EINVAL,
                                "node %d: no physical address range is known (from its memory blocks in sysfs), so it cannot "
                                "be monitored; write \"nodes: {%d: {managed: false}}\" to leave it alone",
                                n->id, n->id);
        for (size_t i = 0; i < n->n_ranges; i++)
                if (n->ranges[i].start >= n->ranges[i].end)
                        return diag_set(m->reterr, -EINVAL,
                                        "node %d: the physical address range 0x%" PRIx64 "-0x%" PRIx64 " holds no memory",
                                        n->id, n->ranges[i].start, n->ranges[i].end);

        k->ranges = calloc(n->n_ranges, sizeof(*k->ranges));
        if (!k->ranges)
                return -ENOMEM;
        memcpy(k->ranges, n->ranges, n->n_ranges * sizeof(*k->ranges));
        k->n_ranges = n->n_ranges;
        return 0;
}

bool maker_manages(const struct maker *m, int nid) {
        const struct node *n = topology_node(m->topology, nid);

        return n && n->memory_bytes > 0 && n->tier >= 0 && config_for_node(m->config, nid).managed &&
               !(m->leaving && idset_has(m->leaving, (unsigned) nid));
}

/* The neighbours that schemes of this node go to. */
static void find_targets(const struct maker *m, const struct node *n, struct idset *ret_demote, struct idset *ret_promote) {
        struct node_config c = config_for_node(m->config, n->id);

        *ret_demote = *ret_promote = (struct idset) {};
        if (!maker_manages(m, n->id))
                return;
        if (c.demote.enabled)
                IDSET_FOREACH(id, &n->lower)
                        if (maker_manages(m, id))
                                idset_add(ret_demote, (unsigned) id);
        if (c.promote.enabled)
                IDSET_FOREACH(id, &n->upper)
                        if (maker_manages(m, id))
                                idset_add(ret_promote, (unsigned) id);
}

static int add_kdamond(struct maker *m, const struct node *n) {
        struct node_config c = config_for_node(m->config, n->id);
        struct idset demote, promote;
        struct kdamond_plan *k;
        size_t n_schemes;
        int r;

        find_targets(m, n, &demote, &promote);
        n_schemes = idset_count(&demote) + idset_count(&promote);
        if (n_schemes == 0)
                return 0;

        k = &m->plan->kdamonds[m->plan->n_kdamonds++];
        k->nid = n->id;
        r = copy_ranges(m, n, k);
        if (r < 0)
                return r;
        k->schemes = calloc(n_schemes + 1, sizeof(*k->schemes));
        if (!k->schemes)
                return -ENOMEM;
        IDSET_FOREACH(target, &demote) {
                r = add_scheme(m, k, DEMOTE, target, &c.demote);
                if (r < 0)
                        return r;
        }
        IDSET_FOREACH(target, &promote) {
                r = add_scheme(m, k, PROMOTE, target, &c.promote);
                if (r < 0)
                        return r;
        }
        if (!tuner_kind_is_own(m->plan->tuner))
                return 0;
        r = add_aging(m, k);
        return r < 0 ? r : add_probes(m, k);
}

static bool has_schemes(const struct maker *m) {
        for (size_t i = 0; i < m->topology->n_nodes; i++) {
                struct idset demote, promote;

                find_targets(m, &m->topology->nodes[i], &demote, &promote);
                if (!idset_is_empty(&demote) || !idset_is_empty(&promote))
                        return true;
        }
        return false;
}

static int refuse_kernel(const struct maker *m) {
        const struct plan_features *f = m->features;
        char text[256];

        return diag_set(m->reterr, -EOPNOTSUPP, "this kernel's DAMON cannot migrate between nodes: %s",
                        missing_describe(f->paddr || f->major < 6 ? MISSING_MIGRATE : MISSING_PADDR, f->major, f->minor, text,
                                         sizeof(text)));
}

static int make(struct maker *m) {
        bool managing = has_schemes(m);
        int r;

        r = maker_check_nodes(m);
        if (r < 0)
                return r;
        if (managing && !m->features->migrate)
                return refuse_kernel(m);
        r = managing ? maker_check_excludes(m) : 0;
        if (r < 0)
                return r;
        r = choose_tuner(m, managing);
        if (r < 0)
                return r;
        r = choose_monitoring(m, managing);
        if (r < 0)
                return r;
        r = maker_note_nodes(m);
        if (r < 0)
                return r;

        if (!managing)
                return maker_note(m, NOTE_ADVICE, "%s: nothing to manage",
                                m->topology->n_tiers == 0   ? "no node has memory to be tiered"
                                : m->topology->n_tiers == 1 ? "one tier"
                                                            : "no direction is enabled between managed nodes");
        r = maker_note_kernel(m);
        if (r < 0)
                return r;

        m->plan->kdamonds = calloc(m->topology->n_nodes, sizeof(*m->plan->kdamonds));
        if (!m->plan->kdamonds)
                return -ENOMEM;
        for (size_t i = 0; i < m->topology->n_nodes; i++) {
                r = add_kdamond(m, &m->topology->nodes[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

int plan_make(const struct plan_input *in, struct plan **ret, struct diag *reterr) {
        _cleanup_plan_ struct plan *p = NULL;
        struct maker m = {
                .topology = in->topology,
                .config = in->config,
                .features = in->features,
                .leaving = in->leaving,
                .cgroups = in->cgroups,
                .reterr = reterr,
        };
        int r;

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        m.plan = p;
        r = make(&m);
        if (r < 0)
                return diag_default(reterr, r, "cannot make a plan: %s", strerror(-r));
        *ret = TAKE_PTR(p);
        return 0;
}
