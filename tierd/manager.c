/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/manager.h"
#include "damon/apply.h"

#include <errno.h>
#include <string.h>

/* With the kernel's own tuner a turn only looks; the effective quota changes once per quota interval, a second by default. */
#define KERNEL_TURN_US UINT64_C(1000000)

/*
 * A kdamond that ended by itself is started again, unless it had been a shorter while ago: what ends it each time would
 * end it the next time too. Long against a turn, short against the time in which an operator looks at the journal.
 */
#define RESTART_AGAIN_US UINT64_C(60000000)

/* Swaps the manager's books with b. */
static void manager_swap_books(struct manager *m, struct books *b) {
        struct books old = {
                .plan = m->plan, .tuner = m->tuner, .schemes = m->schemes, .views = m->views,
                .nodes = m->nodes, .quotas = m->quotas, .restarted_us = m->restarted_us,
                .n_schemes = m->n_schemes, .n_nodes = m->n_nodes,
        };

        m->plan = b->plan;
        m->tuner = b->tuner;
        m->schemes = b->schemes;
        m->views = b->views;
        m->nodes = b->nodes;
        m->quotas = b->quotas;
        m->restarted_us = b->restarted_us;
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
        r = plan_make(&(struct plan_input) { .topology = topology, .config = config, .features = &features }, &plan, reterr);
        if (r < 0)
                return r;
        r = books_make(plan, ret);
        if (r < 0)
                return diag_set(reterr, r, "out of memory");
        TAKE_PTR(plan);
        *ret_topology = TAKE_PTR(topology);
        return 0;
}

static struct quota_value *quotas_of(const struct manager *m, size_t kdamond) {
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

/* Once a plan says that there is something to manage: everything from the claim to the running kdamonds. */
static int manager_take_hold(struct manager *m, struct diag *reterr) {
        _cleanup_books_ struct books books = {};
        _cleanup_topology_ struct topology *topology = NULL;
        int r;

        /* Both refusals come before anything is changed. */
        r = system_check_modules(m->root, m->config, reterr);
        if (r < 0)
                return r;
        r = claim_take(m->root, &m->slots, m->saved, reterr);
        if (r < 0)
                return r;

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

        r = system_stop_modules(m->root, m->saved, m->stopped_modules, reterr);
        if (r < 0)
                return r;
        r = system_set_balancing(m->topology, m->config, m->saved, reterr);
        if (r < 0)
                return r;
        return start_kdamonds(m, reterr);
}

/* Undoes everything after `error`, whose sentence reterr holds; what cannot be undone is told in the same breath. */
static int manager_undo(struct manager *m, int error, struct diag *reterr) {
        struct diag undo = {}, first;

        if (manager_stop(m, &undo) >= 0 || !reterr)
                return error;
        first = *reterr;
        return diag_set(reterr, error, "%s (Nor could everything be put back: %s; `tierd --restore` tries again)", first.text,
                        undo.text);
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
        return r < 0 ? manager_undo(m, r, reterr) : 0;
}

int manager_stop(struct manager *m, struct diag *reterr) {
        int r, r2;

        r = claim_release(m->root, m->saved, reterr);
        r2 = saved_restore(m->saved, r < 0 ? NULL : reterr);
        return r < 0 || r2 >= 0 ? r : r2;
}

/*
 * Reads the counts of kdamond i into schemes[], and what the tuner wants of them. `tried` and `applied` have room for its
 * schemes.
 */
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

/*
 * Brings the kernel's quotas to what the tuner decided; a kdamond whose quotas stay is left in peace (a commit costs
 * passes).
 */
static int set_quotas(struct manager *m, const struct tuner_quota *decided, struct diag *reterr) {
        size_t n = 0;
        int r;

        for (size_t i = 0; i < m->plan->n_kdamonds; i++) {
                const struct kdamond_plan *k = m->plan->kdamonds + i;
                struct quota_value *q = m->quotas + n;
                _cleanup_free_ struct quota_value *fresh = NULL;
                bool changed = false;

                fresh = calloc(k->n_schemes + 1, sizeof(*fresh));
                if (!fresh)
                        return diag_set(reterr, -ENOMEM, "out of memory");

                for (size_t j = 0; j < k->n_schemes; j++) {
                        const struct tuner_quota *d = decided + n + j;
                        /* Stopped is written as 1 (damon/ops.h), and its window does not matter. */
                        struct quota_value v = {
                                .bytes = MAX(d->bytes, UINT64_C(1)), .reset_interval_ms = d->window_us / 1000,
                        };

                        m->schemes[n + j].reason = d->reason;
                        m->schemes[n + j].quota_bytes = d->bytes;
                        m->schemes[n + j].quota_window_us = d->window_us;
                        changed = changed || v.bytes != q[j].bytes ||
                                  (v.bytes > 1 && v.reset_interval_ms != q[j].reset_interval_ms);
                        fresh[j] = v;
                }
                n += k->n_schemes;
                if (!changed)
                        continue;
                /* Until the kernel has taken them, the books say nothing that the next turn could find to be so already. */
                memset(q, 0, k->n_schemes * sizeof(*q));
                r = kdamond_set_quotas(m->root, &m->slots, k, &m->capability, fresh, reterr);
                if (r < 0)
                        return r;
                memcpy(q, fresh, k->n_schemes * sizeof(*q));
        }
        return 0;
}

/*
 * Starts kdamond i again if it has ended: a commit that failed inside the kernel ends it (before 6.15), and on some kernels
 * every command to it goes on to succeed. 0 or MANAGER_RESTARTED.
 */
static int keep_running(struct manager *m, size_t i, uint64_t now_us, struct diag *reterr) {
        const struct kdamond_plan *k = m->plan->kdamonds + i;
        struct quota_value *quotas = quotas_of(m, i);
        uint64_t before = m->restarted_us[i];
        struct diag d = {};
        int slot = slot_of(&m->slots, k->nid), r;

        r = kdamond_is_running(m->root, slot, &APPLY_PATIENCE, reterr);
        if (r != 0)
                return MIN(r, 0);
        if (before > 0 && now_us - before < RESTART_AGAIN_US)
                return diag_set(reterr, -EIO,
                                "node %d: its kdamond (/" DAMON_ADMIN "/%d) has ended by itself again, soon after it was "
                                "started anew; the kernel's log may say why", k->nid, slot);

        /* Under direct it stands still until the tuner speaks again, which sees by the counts that they began anew. */
        quota_values_start(m->plan, k, quotas);
        r = kdamond_start(m->root, &m->slots, m->plan, k, &m->capability, quotas, &d);
        if (r < 0)
                return diag_set(reterr, r, "node %d: its kdamond has ended by itself, and does not start again: %s", k->nid,
                                d.text);
        m->restarted_us[i] = now_us;
        return MANAGER_RESTARTED;
}

/* The turn's outcome, with a sentence when kdamonds of these nodes were started again. */
static int turn_outcome(const struct idset *restarted, struct diag *reterr) {
        char list[256];

        if (idset_is_empty(restarted))
                return 0;
        if (idset_format(restarted, list, sizeof(list)) < 0)
                (void) snprintf(list, sizeof(list), "%zu of them", idset_count(restarted));
        (void) diag_set(reterr, 0,
                        "node%s %s: the kdamond had ended by itself; it was started again, and learns the node's memory anew",
                        idset_count(restarted) == 1 ? "" : "s", list);
        return MANAGER_RESTARTED;
}

int manager_turn(struct manager *m, uint64_t now_us, uint64_t *ret_next_us, struct diag *reterr) {
        _cleanup_free_ struct tuner_kdamond *kdamonds = NULL;
        _cleanup_free_ struct tuner_node *nodes = NULL;
        _cleanup_free_ struct tuner_quota *decided = NULL;
        _cleanup_free_ uint64_t *tried = NULL, *applied = NULL;
        struct idset restarted = {};
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
                r = keep_running(m, i, now_us, reterr);
                if (r < 0)
                        return r;
                if (r == MANAGER_RESTARTED)
                        idset_add(&restarted, (unsigned) m->plan->kdamonds[i].nid);
                r = observe_kdamond(m, i, m->schemes + n, kdamonds + i, tried + n, applied + n, reterr);
                if (r < 0)
                        return r;
                n += m->plan->kdamonds[i].n_schemes;
        }
        for (size_t i = 0; i < m->n_nodes; i++) {
                struct node_report *node = m->nodes + i;

                r = node_read_meminfo(m->root, node->nid, &node->total_bytes, &node->free_bytes);
                if (r < 0)
                        return diag_set(reterr, r, "/sys/devices/system/node/node%d/meminfo: cannot read: %s%s", node->nid,
                                        strerror(-r), r == -ENOENT ? "; was the node taken away?" : "");
                nodes[i] = (struct tuner_node) {
                        .nid = node->nid, .total_bytes = node->total_bytes, .free_bytes = node->free_bytes,
                };
        }

        *ret_next_us = KERNEL_TURN_US;
        if (!m->tuner)
                return turn_outcome(&restarted, reterr);
        *ret_next_us = tuner_step(m->tuner,
                                  &(struct tuner_sample) {
                                          .now_us = now_us, .nodes = nodes, .n_nodes = m->n_nodes, .kdamonds = kdamonds,
                                  },
                                  decided, m->views);
        r = set_quotas(m, decided, reterr);
        return r < 0 ? r : turn_outcome(&restarted, reterr);
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

/*
 * Brings kdamond i to the plan's values, whatever it is doing. `keep`: what runs is of the same shape, and is to be kept
 * with what it learnt. An error that leaves it running leaves it as it was.
 */
static int bring_kdamond(struct manager *m, size_t i, bool keep, struct diag *reterr) {
        const struct kdamond_plan *k = m->plan->kdamonds + i;
        int slot = slot_of(&m->slots, k->nid), r;

        r = kdamond_is_running(m->root, slot, &APPLY_PATIENCE, reterr);
        if (r < 0)
                return r;
        if (r > 0 && keep) {
                r = kdamond_update(m->root, &m->slots, m->plan, k, &m->capability, quotas_of(m, i), reterr);
                if (r == 0 || kdamond_is_running(m->root, slot, &APPLY_PATIENCE, NULL) != 0)
                        return r;
                /* The commit ended it (before 6.15). */
        } else if (r > 0) {
                r = kdamond_stop(m->root, slot, reterr);
                if (r < 0)
                        return r;
        }
        return kdamond_start(m->root, &m->slots, m->plan, k, &m->capability, quotas_of(m, i), reterr);
}

/* Brings the kernel from one plan, or from the middle of it, to the manager's. */
static int change_kdamonds(struct manager *m, const struct plan *from, struct diag *reterr) {
        int r;

        for (size_t i = 0; i < from->n_kdamonds; i++)
                if (!plan_kdamond(m->plan, from->kdamonds[i].nid)) {
                        r = kdamond_stop(m->root, slot_of(&m->slots, from->kdamonds[i].nid), reterr);
                        if (r < 0)
                                return r;
                }
        for (size_t i = 0; i < m->plan->n_kdamonds; i++) {
                const struct kdamond_plan *k = m->plan->kdamonds + i, *before = plan_kdamond(from, k->nid);

                r = bring_kdamond(m, i, before && m->plan->tuner == from->tuner && same_shape(before, k), reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Brings the whole system from one plan to the manager's plan and configuration. */
static int change_system(struct manager *m, const struct plan *from, struct diag *reterr) {
        int r;

        /* With nothing to manage nothing is held. */
        m->stopped_modules[0] = '\0';
        if (manager_is_idle(m))
                return MIN(manager_stop(m, reterr), 0);
        if (saved_n_slots(m->saved) == 0)
                return manager_take_hold(m, reterr);
        r = system_check_modules(m->root, m->config, reterr);
        if (r == 0)
                r = system_stop_modules(m->root, m->saved, m->stopped_modules, reterr);
        if (r == 0)
                r = system_set_balancing(m->topology, m->config, m->saved, reterr);
        return r < 0 ? r : change_kdamonds(m, from, reterr);
}

/* What a reload replaces. */
struct state {
        struct config *config;
        struct topology *topology;
        struct books books;
};

static void state_done(struct state *s) {
        books_done(&s->books);
        s->topology = topology_free(s->topology);
        s->config = config_free(s->config);
}

static void manager_swap_state(struct manager *m, struct state *s) {
        struct config *config = m->config;
        struct topology *topology = m->topology;

        m->config = s->config;
        m->topology = s->topology;
        s->config = config;
        s->topology = topology;
        manager_swap_books(m, &s->books);
}

int manager_reload(struct manager *m, struct config *config, struct diag *reterr) {
        _cleanup_(state_done) struct state other = { .config = config };
        struct diag first = {}, second = {};
        int r;

        r = make_books(m->root, config, &m->capability, &other.topology, &other.books, reterr);
        if (r < 0)
                return r;
        manager_swap_state(m, &other);
        r = change_system(m, other.books.plan, &first);
        if (r == 0)
                return 0;

        manager_swap_state(m, &other);
        if (change_system(m, other.books.plan, &second) == 0)
                return diag_set(reterr, r, "%s", first.text);
        (void) diag_set(reterr, r, "%s (Nor could the configuration before be put in force again: %s)", first.text,
                        second.text);
        return MANAGER_LOST;
}
