/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/*
 * What `tuner: auto` means. By the trials in docs/DAMON.md the direct tuner moves a hot set up within seconds where the
 * kernel's own goals do not exchange at all once both are met, on every kernel with the migrate actions.
 */
#define TUNER_BEST TUNER_DIRECT

/* Memory counts as settled cold when it was not accessed for so many aggregations: one alone is noise (docs/DAMON.md). */
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

/* What the plan is made from, and the plan while it is made. */
struct maker {
        const struct topology *topology;
        const struct config *config;
        const struct plan_features *features;
        const struct idset *leaving;       /* NULL: none */
        const struct cgroup_list *cgroups; /* NULL: excluded groups stand for themselves */
        struct plan *plan;
        struct diag *reterr;
};

__attribute__((format(printf, 3, 4))) static int add_note(struct maker *m, enum note_kind kind, const char *format, ...) {
        struct note *p;
        char *text;
        va_list ap;
        int n;

        p = reallocarray(m->plan->notes, m->plan->n_notes + 1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        m->plan->notes = p;
        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                return -ENOMEM;
        p[m->plan->n_notes++] = (struct note) { .kind = kind, .text = text };
        return 0;
}

/* The configuration's nodes are there. Their memory is topology_read()'s business. */
static int check_nodes(struct maker *m) {
        const struct config *c = m->config;
        struct idset online = {};
        char list[256];

        for (size_t i = 0; i < m->topology->n_nodes; i++)
                idset_add(&online, (unsigned) m->topology->nodes[i].id);
        if (idset_format(&online, list, sizeof(list)) < 0)
                (void) snprintf(list, sizeof(list), "many");

        for (size_t i = 0; i < c->n_nodes; i++)
                if (!idset_has(&online, (unsigned) c->nodes[i].id))
                        return diag_set(m->reterr, -EINVAL,
                                        "the configuration names node %d under \"nodes\", and this machine has no such node "
                                        "(online: %s); remove the entry, or bring the node online",
                                        c->nodes[i].id, list);
        for (size_t i = 0; i < c->tiers.n_tiers; i++)
                IDSET_FOREACH(id, &c->tiers.tiers[i])
                        if (!idset_has(&online, (unsigned) id))
                                return diag_set(
                                        m->reterr, -EINVAL,
                                        "the configuration names node %d under \"tiers\", and this machine has no such node "
                                        "(online: %s); remove it there, or bring the node online",
                                        id, list);
        return 0;
}

/* Who decides the quotas. `managing`: there are schemes at all, so the kernel matters. */
static int choose_tuner(struct maker *m, bool managing) {
        enum tuner_kind tuner = m->config->tuner == TUNER_AUTO ? TUNER_BEST : m->config->tuner;

        if (tuner == TUNER_FEEDBACK)
                return diag_set(
                        m->reterr, -EINVAL,
                        "tuner: feedback is not in this release; write tuner: direct, which works on every kernel that can "
                        "migrate, or tuner: kernel");
        if (tuner == TUNER_KERNEL && managing && !m->features->node_goals)
                return diag_set(m->reterr, -EINVAL,
                                "tuner: kernel needs the quota goals node_mem_used_bp and node_mem_free_bp, which this kernel "
                                "does not have (Linux 6.16, or an older one with tierd's kernel patches); write tuner: direct");
        m->plan->tuner = tuner;
        return 0;
}

static int choose_monitoring(struct maker *m, bool managing) {
        struct monitoring_config *out = &m->plan->monitoring;

        *out = m->config->monitoring;
        if (!out->auto_intervals || !managing)
                return 0;
        if (!m->features->intervals_goal) {
                out->auto_intervals = false;
                return add_note(
                        m, NOTE_KERNEL,
                        "monitoring.auto: this kernel cannot tune the intervals (Linux 6.15 can); they stay as configured");
        }
        if (m->plan->tuner == TUNER_DIRECT) {
                /* Every commit writes the configured intervals back (docs/DAMON.md), and direct commits each turn. */
                out->auto_intervals = false;
                return add_note(
                        m, NOTE_ADVICE,
                        "monitoring.auto: tuner direct sets quotas all the time, and each setting would undo the tuning of the "
                        "intervals; they stay as configured");
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

/* What is excluded is rejected first, before `young` looks at (and clears) the page's access bit. */
static int add_filters(const struct maker *m, struct scheme *s) {
        const struct config *c = m->config;
        struct filter *filters;

        filters = calloc(c->n_excludes + 1, sizeof(*filters));
        if (!filters)
                return -ENOMEM;
        s->filters = filters;

        for (size_t i = 0; i < c->n_excludes; i++) {
                const struct exclude *e = &c->excludes[i];
                struct filter f = { .matching = true, .allow = false };

                switch (e->type) {
                case EXCLUDE_CGROUP:
                        f.type = FILTER_MEMCG;
                        f.memcg_path = strdup(e->cgroup);
                        if (!f.memcg_path)
                                return -ENOMEM;
                        break;
                case EXCLUDE_ANON:
                        f.type = FILTER_ANON;
                        break;
                case EXCLUDE_FILE:
                        f.type = FILTER_ANON;
                        f.matching = false;
                        break;
                case EXCLUDE_HUGEPAGE:
                        if (!m->features->hugepage_filter)
                                continue;
                        f.type = FILTER_HUGEPAGE_SIZE;
                        break;
                }
                filters[s->n_filters++] = f;
        }

        /* Demotion leaves what was just used, promotion what was not: regions are coarse, pages are not. */
        if (m->features->young_filter)
                filters[s->n_filters++] =
                        (struct filter){ .type = FILTER_YOUNG, .matching = s->direction == DEMOTE, .allow = false };
        return 0;
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
        return add_filters(m, s);
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
        s->filters = calloc(1, sizeof(*s->filters));
        s->n_filters = 0;
        if (!s->filters)
                return -ENOMEM;
        s->filters[s->n_filters++] = (struct filter){ .type = FILTER_YOUNG, .matching = true, .allow = false };
        k->n_schemes++;
        return 0;
}

/* The direct tuner decides by what these count. */
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

static bool is_managed(const struct maker *m, int nid) {
        const struct node *n = topology_node(m->topology, nid);

        return n && n->memory_bytes > 0 && n->tier >= 0 && config_for_node(m->config, nid).managed;
}

/* The neighbours that schemes of this node go to. */
static void find_targets(const struct maker *m, const struct node *n, struct idset *ret_demote, struct idset *ret_promote) {
        struct node_config c = config_for_node(m->config, n->id);

        *ret_demote = *ret_promote = (struct idset) {};
        if (!is_managed(m, n->id))
                return;
        if (c.demote.enabled)
                IDSET_FOREACH(id, &n->lower)
                        if (is_managed(m, id))
                                idset_add(ret_demote, (unsigned) id);
        if (c.promote.enabled)
                IDSET_FOREACH(id, &n->upper)
                        if (is_managed(m, id))
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
        if (m->plan->tuner != TUNER_DIRECT)
                return 0;
        r = add_aging(m, k);
        return r < 0 ? r : add_probes(m, k);
}

static int note_nodes(struct maker *m) {
        int r;

        for (size_t i = 0; i < m->topology->n_nodes; i++) {
                const struct node *n = &m->topology->nodes[i];

                r = 0;
                if (n->memory_bytes == 0)
                        r = add_note(m, NOTE_LEFT_OUT, "node %d: no memory, left out", n->id);
                else if (n->tier < 0 && m->config->tiers.n_tiers > 0)
                        r = add_note(m, NOTE_LEFT_OUT, "node %d: not named in tiers, left out", n->id);
                else if (n->tier < 0 && n->kind != NODE_GPU)
                        r = add_note(m, NOTE_LEFT_OUT,
                                     "node %d: the kernel does not list it among the nodes that have memory, left out", n->id);
                else if (n->tier < 0)
                        r = add_note(m, NOTE_LEFT_OUT, "node %d: %s memory, left alone; name it in tiers to have it managed",
                                     n->id, node_kind_to_string(n->kind));
                else if (!config_for_node(m->config, n->id).managed)
                        r = add_note(m, NOTE_LEFT_OUT, "node %d: managed: false, left out", n->id);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What the configuration asks for and this kernel does not give, or not as one might think. */
static int note_filters(struct maker *m) {
        const struct config *c = m->config;
        bool cgroup = false, hugepage = false;
        int r;

        if (!m->features->young_filter) {
                r = add_note(m, NOTE_KERNEL,
                             "this kernel has no filter for young pages (Linux 6.10 has): whole regions move, with what was "
                             "just used in cold ones and what was not in hot ones");
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < c->n_excludes; i++) {
                cgroup = cgroup || c->excludes[i].type == EXCLUDE_CGROUP;
                hugepage = hugepage || c->excludes[i].type == EXCLUDE_HUGEPAGE;
        }
        if (cgroup) {
                /* The filter compares the page's own memcg (mm/damon, DAMOS_FILTER_TYPE_MEMCG). */
                r = add_note(m, NOTE_ADVICE,
                             "exclude: to the kernel a cgroup is its own memory alone; groups below it need items of their "
                             "own");
                if (r < 0)
                        return r;
        }
        if (hugepage && !m->features->hugepage_filter)
                return add_note(m, NOTE_KERNEL,
                                "exclude: this kernel cannot tell huge pages apart (Linux 6.15 can): they move like all "
                                "others");
        return 0;
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

static int make(struct maker *m) {
        bool managing = has_schemes(m);
        int r;

        r = check_nodes(m);
        if (r < 0)
                return r;
        if (managing && !m->features->migrate)
                return diag_set(
                        m->reterr, -EOPNOTSUPP,
                        "this kernel's DAMON cannot migrate between nodes: it needs the actions migrate_hot and migrate_cold "
                        "(Linux 6.11, with CONFIG_DAMON_PADDR and CONFIG_DAMON_SYSFS)");
        r = choose_tuner(m, managing);
        if (r < 0)
                return r;
        r = choose_monitoring(m, managing);
        if (r < 0)
                return r;
        r = note_nodes(m);
        if (r < 0)
                return r;

        if (!managing)
                return add_note(m, NOTE_ADVICE, "%s: nothing to manage",
                                m->topology->n_tiers == 0   ? "no node has memory to be tiered"
                                : m->topology->n_tiers == 1 ? "one tier"
                                                            : "no direction is enabled between managed nodes");
        r = note_filters(m);
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
