/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/manager.h"
#include "damon/apply.h"
#include "tierd/system.h"

#include <errno.h>
#include <string.h>

/* With the kernel's own tuner a turn only looks; the effective quota changes once per quota interval, a second by default. */
#define KERNEL_TURN_US UINT64_C(1000000)

/* The quotas before the tuner's first word: stopped under direct, the ceiling under the kernel's tuner. */
static void initial_quotas(const struct plan *p, struct quota_value *quotas) {
        size_t n = 0;

        for (size_t i = 0; i < p->n_kdamonds; i++)
                for (size_t j = 0; j < p->kdamonds[i].n_schemes; j++) {
                        const struct scheme *s = p->kdamonds[i].schemes + j;

                        quotas[n++] = (struct quota_value) {
                                .bytes = p->tuner == TUNER_DIRECT ? 0 : s->quota_bytes,
                                .reset_interval_ms = s->quota_interval_us / 1000,
                        };
                }
}

static int collect_nodes(const struct plan *p, struct node_report **ret, size_t *ret_n) {
        _cleanup_free_ struct node_report *nodes = NULL;
        struct idset ids = {};
        size_t n = 0;

        for (size_t i = 0; i < p->n_kdamonds; i++) {
                idset_add(&ids, (unsigned) p->kdamonds[i].nid);
                for (size_t j = 0; j < p->kdamonds[i].n_schemes; j++)
                        idset_add(&ids, (unsigned) p->kdamonds[i].schemes[j].target_nid);
        }
        nodes = calloc(idset_count(&ids) + 1, sizeof(*nodes));
        if (!nodes)
                return -ENOMEM;
        IDSET_FOREACH(id, &ids)
                nodes[n++].nid = id;
        *ret = TAKE_PTR(nodes);
        *ret_n = n;
        return 0;
}

/* What goes with one plan; made whole before it takes the old one's place. */
struct books {
        struct plan *plan;
        struct tuner *tuner;
        struct scheme_report *schemes;
        struct tuner_view *views;
        struct node_report *nodes;
        struct quota_value *quotas;
        size_t n_schemes, n_nodes;
};

static void books_done(struct books *b) {
        b->tuner = tuner_free(b->tuner);
        b->plan = plan_free(b->plan);
        free(b->schemes);
        free(b->views);
        free(b->nodes);
        free(b->quotas);
}
#define _cleanup_books_ _cleanup_(books_done)

/* Takes over `plan` on success. */
static int books_make(struct plan *plan, struct books *ret) {
        _cleanup_books_ struct books b = {};
        size_t n = 0;
        int r;

        b.n_schemes = plan_n_schemes(plan);
        b.schemes = calloc(b.n_schemes + 1, sizeof(*b.schemes));
        b.quotas = calloc(b.n_schemes + 1, sizeof(*b.quotas));
        b.views = calloc(plan->n_kdamonds + 1, sizeof(*b.views));
        if (!b.schemes || !b.quotas || !b.views)
                return -ENOMEM;
        r = collect_nodes(plan, &b.nodes, &b.n_nodes);
        if (r < 0)
                return r;
        if (plan->tuner == TUNER_DIRECT) {
                r = tuner_new(plan, &b.tuner);
                if (r < 0)
                        return r;
        }
        initial_quotas(plan, b.quotas);
        for (size_t i = 0; i < plan->n_kdamonds; i++)
                for (size_t j = 0; j < plan->kdamonds[i].n_schemes; j++, n++)
                        b.schemes[n] = (struct scheme_report) {
                                .scheme = plan->kdamonds[i].schemes + j,
                                .quota_bytes = b.quotas[n].bytes,
                                .quota_window_us = b.quotas[n].reset_interval_ms * 1000,
                                .reason = TUNER_SETTLING,
                        };
        b.plan = plan;
        *ret = b;
        b = (struct books) {};
        return 0;
}

/* Swaps the manager's books with b. */
static void manager_swap_books(struct manager *m, struct books *b) {
        struct books old = {
                .plan = m->plan, .tuner = m->tuner, .schemes = m->schemes, .views = m->views,
                .nodes = m->nodes, .quotas = m->quotas, .n_schemes = m->n_schemes, .n_nodes = m->n_nodes,
        };

        m->plan = b->plan;
        m->tuner = b->tuner;
        m->schemes = b->schemes;
        m->views = b->views;
        m->nodes = b->nodes;
        m->quotas = b->quotas;
        m->n_schemes = b->n_schemes;
        m->n_nodes = b->n_nodes;
        *b = old;
}

void manager_done(struct manager *m) {
        _cleanup_books_ struct books b = {};

        manager_swap_books(m, &b);
        m->topology = topology_free(m->topology);
        m->config = config_free(m->config);
}

/* The plan under the given configuration, and what it was made from. */
static int make_books(int root, const struct config *config, const struct capability *capability,
                      struct topology **ret_topology, struct books *ret, struct diag *reterr) {
        _cleanup_topology_ struct topology *topology = NULL;
        _cleanup_plan_ struct plan *plan = NULL;
        struct plan_features features = capability_features(capability);
        int r;

        r = topology_read(root, NULL, config->tiers.n_tiers > 0 ? &config->tiers : NULL, &topology, reterr);
        if (r < 0)
                return r;
        r = plan_make(topology, config, &features, &plan, reterr);
        if (r < 0)
                return r;
        r = books_make(plan, ret);
        if (r < 0)
                return diag_set(reterr, r, "out of memory");
        TAKE_PTR(plan);
        *ret_topology = TAKE_PTR(topology);
        return 0;
}

static const struct quota_value *quotas_of(const struct manager *m, size_t kdamond) {
        size_t n = 0;

        for (size_t i = 0; i < kdamond; i++)
                n += m->plan->kdamonds[i].n_schemes;
        return m->quotas + n;
}

static int start_kdamonds(struct manager *m, struct diag *reterr) {
        int r;

        for (size_t i = 0; i < m->plan->n_kdamonds; i++) {
                r = kdamond_start(m->root, &m->slots, m->plan, m->plan->kdamonds + i, &m->capability, quotas_of(m, i), reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Once the first plan says that there is something to manage: everything from the claim to the running kdamonds. */
static int manager_take_hold(struct manager *m, struct diag *reterr) {
        _cleanup_books_ struct books books = {};
        _cleanup_topology_ struct topology *topology = NULL;
        int r;

        r = saved_claim(m->saved, idset_count(&m->slots.possible), reterr);
        if (r < 0)
                return r;
        r = damon_claim(m->root, &m->slots, reterr);
        if (r < 0)
                return r;
        m->claimed = true;

        /* The plan again, by what the kernel showed rather than by what its release promises. */
        r = capability_probe(m->root, &m->capability, reterr);
        if (r < 0)
                return r;
        r = make_books(m->root, m->config, &m->capability, &topology, &books, reterr);
        if (r < 0)
                return r;
        manager_swap_books(m, &books);
        topology_free(m->topology);
        m->topology = TAKE_PTR(topology);

        r = system_stop_modules(m->root, m->config->exclusive_modules, m->saved,
                                m->stopped_modules, sizeof(m->stopped_modules), reterr);
        if (r < 0)
                return r;
        r = system_set_balancing(m->topology, m->config, m->saved, reterr);
        if (r < 0)
                return r;
        return start_kdamonds(m, reterr);
}

int manager_start(struct manager *m, int root, struct saved *saved, struct config *config, struct diag *reterr) {
        _cleanup_books_ struct books books = {};
        char release[sizeof(m->capability.release)];
        int r;

        *m = (struct manager) { .root = root, .saved = saved, .config = config };

        r = capability_read_release(root, release, sizeof(release), reterr);
        if (r < 0)
                return r;
        r = capability_from_release(release, &m->capability, reterr);
        if (r < 0)
                return r;
        r = make_books(root, config, &m->capability, &m->topology, &books, reterr);
        if (r < 0)
                return r;
        m->slots.possible = m->topology->possible;
        manager_swap_books(m, &books);
        if (manager_is_idle(m))
                return 0;

        r = manager_take_hold(m, reterr);
        if (r < 0) {
                struct diag second = {};

                (void) manager_stop(m, &second);
                return r;
        }
        return 0;
}

int manager_stop(struct manager *m, struct diag *reterr) {
        int r = 0, r2;

        if (m->claimed) {
                r = damon_release(m->root, &m->slots, reterr);
                m->claimed = r < 0;
        }
        r2 = saved_restore(m->saved, r < 0 ? NULL : reterr);
        return r < 0 ? r : r2;
}

/* Reads the counts of kdamond i into schemes[], and what the tuner wants of them. `tried` and `applied` have room for its schemes. */
static int observe_kdamond(struct manager *m, size_t i, struct scheme_report *schemes, struct tuner_kdamond *ret,
                           uint64_t *tried, uint64_t *applied, struct diag *reterr) {
        const struct kdamond_plan *k = m->plan->kdamonds + i;
        _cleanup_free_ struct scheme_stats *stats = NULL;
        size_t n = k->n_schemes + k->n_probes;
        bool kernel_tunes = m->plan->tuner != TUNER_DIRECT;
        int slot = slot_of(&m->slots, k->nid), r;

        stats = calloc(n + 1, sizeof(*stats));
        if (!stats)
                return diag_set(reterr, -ENOMEM, "out of memory");
        r = kdamond_refresh(m->root, slot, kernel_tunes, reterr);
        if (r < 0)
                return r;
        r = kdamond_read_stats(m->root, slot, &m->capability, n, stats, reterr);
        if (r < 0)
                return r;

        *ret = (struct tuner_kdamond) { .scheme_tried = tried, .scheme_applied = applied };
        for (size_t j = 0; j < k->n_ranges; j++)
                ret->monitored_bytes += k->ranges[j].end - k->ranges[j].start;
        for (size_t j = 0; j < k->n_schemes; j++) {
                schemes[j].stats = stats[j];
                tried[j] = stats[j].sz_tried;
                applied[j] = stats[j].sz_applied;
                if (kernel_tunes)
                        schemes[j].quota_bytes = stats[j].effective_bytes;
        }
        for (size_t j = 0; j < k->n_probes; j++)
                ret->probe_tried[k->probes[j].kind] = stats[k->n_schemes + j].sz_tried;
        return 0;
}

/* Brings the kernel's quotas to what the tuner decided; a kdamond whose quotas stay is left in peace (a commit costs passes). */
static int set_quotas(struct manager *m, const struct tuner_quota *decided, struct diag *reterr) {
        size_t n = 0;
        int r;

        for (size_t i = 0; i < m->plan->n_kdamonds; i++) {
                const struct kdamond_plan *k = m->plan->kdamonds + i;
                struct quota_value *q = m->quotas + n;
                bool changed = false;

                for (size_t j = 0; j < k->n_schemes; j++) {
                        const struct tuner_quota *d = decided + n + j;
                        struct quota_value v = { .bytes = d->bytes, .reset_interval_ms = d->window_us / 1000 };

                        m->schemes[n + j].reason = d->reason;
                        m->schemes[n + j].quota_bytes = d->bytes;
                        m->schemes[n + j].quota_window_us = d->window_us;
                        changed = changed || v.bytes != q[j].bytes || (v.bytes > 0 && v.reset_interval_ms != q[j].reset_interval_ms);
                        q[j] = v;
                }
                n += k->n_schemes;
                if (!changed)
                        continue;
                r = kdamond_set_quotas(m->root, &m->slots, k, &m->capability, q, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

int manager_turn(struct manager *m, uint64_t now_us, uint64_t *ret_next_us, struct diag *reterr) {
        _cleanup_free_ struct tuner_kdamond *kdamonds = NULL;
        _cleanup_free_ struct tuner_node *nodes = NULL;
        _cleanup_free_ struct tuner_quota *decided = NULL;
        _cleanup_free_ uint64_t *tried = NULL, *applied = NULL;
        size_t n = 0;
        int r;

        kdamonds = calloc(m->plan->n_kdamonds + 1, sizeof(*kdamonds));
        nodes = calloc(m->n_nodes + 1, sizeof(*nodes));
        decided = calloc(m->n_schemes + 1, sizeof(*decided));
        tried = calloc(m->n_schemes + 1, sizeof(*tried));
        applied = calloc(m->n_schemes + 1, sizeof(*applied));
        if (!kdamonds || !nodes || !decided || !tried || !applied)
                return diag_set(reterr, -ENOMEM, "out of memory");

        for (size_t i = 0; i < m->plan->n_kdamonds; i++) {
                r = observe_kdamond(m, i, m->schemes + n, kdamonds + i, tried + n, applied + n, reterr);
                if (r < 0)
                        return r;
                n += m->plan->kdamonds[i].n_schemes;
        }
        for (size_t i = 0; i < m->n_nodes; i++) {
                struct node_report *node = m->nodes + i;

                r = node_read_meminfo(m->root, node->nid, &node->total_bytes, &node->free_bytes);
                if (r < 0)
                        return diag_set(reterr, r, "node %d: cannot read its meminfo: %s", node->nid, strerror(-r));
                nodes[i] = (struct tuner_node) {
                        .nid = node->nid, .total_bytes = node->total_bytes, .free_bytes = node->free_bytes,
                };
        }

        *ret_next_us = KERNEL_TURN_US;
        if (!m->tuner)
                return 0;
        *ret_next_us = tuner_step(m->tuner,
                                  &(struct tuner_sample) {
                                          .now_us = now_us, .nodes = nodes, .n_nodes = m->n_nodes, .kdamonds = kdamonds,
                                  },
                                  decided, m->views);
        return set_quotas(m, decided, reterr);
}

/* Whether the kernel can pair the new kdamond's schemes with the old one's by index. */
static bool same_shape(const struct kdamond_plan *a, const struct kdamond_plan *b) {
        if (a->n_schemes != b->n_schemes || a->n_probes != b->n_probes)
                return false;
        for (size_t i = 0; i < a->n_schemes; i++)
                if (a->schemes[i].direction != b->schemes[i].direction ||
                    a->schemes[i].target_nid != b->schemes[i].target_nid)
                        return false;
        for (size_t i = 0; i < a->n_probes; i++)
                if (a->probes[i].kind != b->probes[i].kind)
                        return false;
        return true;
}

/* Stages a running kdamond anew and commits it: regions, ages and statistics stay. */
static int commit_kdamond(struct manager *m, const struct kdamond_plan *k, const struct quota_value *quotas,
                          struct diag *reterr) {
        _cleanup_ops_ struct ops *stage = NULL;
        int r;

        r = ops_make_kdamond(&m->slots, m->plan, k, &m->capability, &stage);
        if (r < 0)
                return diag_set(reterr, r, "out of memory");
        r = apply_ops(m->root, stage, &APPLY_PATIENCE, NULL, reterr);
        if (r < 0)
                return r;
        return kdamond_set_quotas(m->root, &m->slots, k, &m->capability, quotas, reterr);
}

/* Brings the kernel from the old plan to the manager's. */
static int change_kdamonds(struct manager *m, const struct plan *old, struct diag *reterr) {
        int r;

        for (size_t i = 0; i < old->n_kdamonds; i++)
                if (!plan_kdamond(m->plan, old->kdamonds[i].nid)) {
                        r = kdamond_stop(m->root, slot_of(&m->slots, old->kdamonds[i].nid), reterr);
                        if (r < 0)
                                return r;
                }
        for (size_t i = 0; i < m->plan->n_kdamonds; i++) {
                const struct kdamond_plan *k = m->plan->kdamonds + i, *before = plan_kdamond(old, k->nid);

                if (before && m->plan->tuner == old->tuner && same_shape(before, k))
                        r = commit_kdamond(m, k, quotas_of(m, i), reterr);
                else {
                        r = before ? kdamond_stop(m->root, slot_of(&m->slots, k->nid), reterr) : 0;
                        if (r == 0)
                                r = kdamond_start(m->root, &m->slots, m->plan, k, &m->capability, quotas_of(m, i), reterr);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int manager_reload(struct manager *m, struct config *config, struct diag *reterr) {
        _cleanup_config_ struct config *new_config = config;
        _cleanup_topology_ struct topology *topology = NULL;
        _cleanup_books_ struct books books = {};
        int r;

        r = make_books(m->root, new_config, &m->capability, &topology, &books, reterr);
        if (r < 0)
                return r;

        config_free(m->config);
        m->config = TAKE_PTR(new_config);
        topology_free(m->topology);
        m->topology = TAKE_PTR(topology);
        manager_swap_books(m, &books);

        if (!m->claimed)
                return manager_is_idle(m) ? 0 : manager_take_hold(m, reterr);
        r = system_stop_modules(m->root, m->config->exclusive_modules, m->saved, NULL, 0, reterr);
        if (r < 0)
                return r;
        r = system_set_balancing(m->topology, m->config, m->saved, reterr);
        if (r < 0)
                return r;
        return change_kdamonds(m, books.plan, reterr);
}
