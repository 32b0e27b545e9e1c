/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/manager-internal.h"
#include "damon/apply.h"

#include <errno.h>
#include <string.h>

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

/* Whether two plans want the same of the kernel for one node: what they write tells. 1, 0, or a negative errno. */
static int same_writes(const struct manager *m, const struct plan *p, const struct kdamond_plan *k, const struct plan *q,
                       const struct kdamond_plan *l, struct diag *reterr) {
        _cleanup_ops_ struct ops *a = NULL, *b = NULL;
        int r;

        r = ops_make_kdamond(&m->slots, p, k, &m->capability, &a);
        if (r == 0)
                r = ops_make_kdamond(&m->slots, q, l, &m->capability, &b);
        if (r < 0)
                return diag_set(reterr, r, "node %d: its schemes cannot be written for this kernel: %s", k->nid, strerror(-r));
        return ops_equal(a, b);
}

/*
 * Brings kdamond i to the plan's values, whatever it is doing. `keep`: what runs is of the same shape, and is to be kept
 * with what it learnt. An error that leaves it running leaves it as it was.
 */
static int bring_kdamond(struct manager *m, size_t i, bool keep, struct diag *reterr) {
        const struct kdamond_plan *k = m->books.plan->kdamonds + i;
        int slot = slot_of(&m->slots, k->nid), r;

        manager_reset_quotas(m, i);
        r = kdamond_is_running(m->root, slot, &APPLY_PATIENCE, reterr);
        if (r < 0)
                return r;
        if (r > 0 && keep) {
                r = kdamond_update(m->root, &m->slots, m->books.plan, k, &m->capability, manager_quotas(m, i), reterr);
                if (r == 0 || kdamond_is_running(m->root, slot, &APPLY_PATIENCE, NULL) != 0)
                        return r;
                /* The commit ended it (before 6.15). */
        } else if (r > 0) {
                r = kdamond_stop(m->root, slot, reterr);
                if (r < 0)
                        return r;
        }
        m->books.kdamonds[i].pid = 0;
        r = kdamond_start(m->root, &m->slots, m->books.plan, k, &m->capability, manager_quotas(m, i), reterr);
        if (r == 0 && m->books.kdamonds[i].ended)
                manager_note_restart(m, i);
        return r;
}

/* Brings kdamond i from one plan, or from the middle of it, to the manager's. *ret_changed: it was not so already. */
static int change_kdamond(struct manager *m, size_t i, const struct state *from, bool *ret_changed, struct diag *reterr) {
        const struct plan *p = from->books.plan;
        const struct kdamond_plan *k = m->books.plan->kdamonds + i, *before = plan_kdamond(p, k->nid);
        bool stale = before && from->books.kdamonds[before - p->kdamonds].stale;
        bool alike = before && !stale && m->books.plan->tuner == p->tuner && same_shape(before, k);
        int r;

        if (alike && cgroup_list_equal(m->cgroups, from->cgroups)) {
                r = same_writes(m, m->books.plan, k, p, before, reterr);
                /* One that could not be brought to its plan the last time is off, and is tried again. */
                if (r > 0)
                        r = kdamond_is_running(m->root, slot_of(&m->slots, k->nid), &APPLY_PATIENCE, reterr);
                if (r != 0)
                        return MIN(r, 0);
        }
        *ret_changed = true;
        return bring_kdamond(m, i, alike, reterr);
}

/*
 * Brings the kernel from one plan, or from the middle of it, to the manager's. `on`: goes on after an error with the others,
 * and leaves those off that could not be brought to the plan; returns the first error.
 */
static int change_kdamonds(struct manager *m, const struct state *from, bool on, bool *ret_changed, struct diag *reterr) {
        int first = 0, r;

        /* All slots, not only those of the plan before: one that did not stop the last time is tried again. */
        IDSET_FOREACH(nid, &m->slots.possible) {
                if (plan_kdamond(m->books.plan, nid))
                        continue;
                *ret_changed = *ret_changed || plan_kdamond(from->books.plan, nid);
                r = kdamond_stop(m->root, slot_of(&m->slots, nid), first < 0 ? NULL : reterr);
                if (r < 0 && !on)
                        return r;
                first = first < 0 ? first : r;
        }
        for (size_t i = 0; i < m->books.plan->n_kdamonds; i++) {
                r = change_kdamond(m, i, from, ret_changed, first < 0 ? NULL : reterr);
                if (r < 0 && !on)
                        return r;
                m->books.kdamonds[i].stale =
                        r < 0 && kdamond_stop(m->root, slot_of(&m->slots, m->books.plan->kdamonds[i].nid), NULL) < 0;
                first = first < 0 ? first : r;
        }
        return first;
}

/* Brings the whole system from one plan to the manager's plan and configuration. */
static int change_system(struct manager *m, const struct state *from, bool on, bool *ret_changed, struct diag *reterr) {
        int r, r2;

        /* With nothing to manage nothing is held. */
        m->stopped_modules[0] = '\0';
        m->advice = (struct diag) {};
        if (manager_is_idle(m)) {
                *ret_changed = *ret_changed || from->books.plan->n_kdamonds > 0;
                return MIN(manager_stop(m, reterr), 0);
        }
        if (saved_n_slots(m->saved) == 0) {
                *ret_changed = true;
                return manager_take_hold(m, reterr);
        }
        r = claim_check(m->root, m->saved, reterr);
        if (r < 0)
                return r;
        r = system_check_modules(m->root, m->config, reterr);
        if (r == 0)
                r = system_stop_modules(m->root, m->saved, m->stopped_modules, reterr);
        if (r == 0)
                r = manager_set_balancing(m, reterr);
        if (r < 0 && !on)
                return r;
        /* A setting that cannot be had is no reason to leave schemes to a node that is gone. */
        r2 = change_kdamonds(m, from, on, ret_changed, r < 0 ? NULL : reterr);
        return r < 0 ? r : r2;
}

int manager_reload(struct manager *m, struct config *config, struct diag *reterr) {
        _cleanup_state_ struct state other = { .config = config, .leaving = m->leaving };
        struct diag first = {}, second = {};
        bool changed = false;
        int r;

        r = state_read(m->root, config, manager_capability(m), &other, reterr);
        if (r < 0)
                return r;
        manager_swap_state(m, &other);
        books_inherit(&m->books, &other.books);
        r = change_system(m, &other, false, &changed, &first);
        if (r == 0)
                return 0;

        manager_swap_state(m, &other);
        if (change_system(m, &other, false, &changed, &second) == 0)
                return diag_set(reterr, r, "%s", first.text);
        (void) diag_set(reterr, r, "%s (Nor could the configuration before be put in force again: %s)", first.text,
                        second.text);
        return MANAGER_LOST;
}

static bool moves_by(const struct kdamond_plan *k, const struct idset *nodes) {
        bool moves = idset_has(nodes, (unsigned) k->nid);

        for (size_t i = 0; i < k->n_schemes; i++)
                moves = moves || idset_has(nodes, (unsigned) k->schemes[i].target_nid);
        return moves;
}

/*
 * The last block of a node that is leaving may go within a tenth of a second. By stopping quotas what was learnt is kept, but
 * on 6.12 a commit waits for the aggregation to end, and is asked after every 100 ms; switching off takes a sample. An error
 * changes nothing: the plan that follows has no such scheme.
 */
static void calm_down(struct manager *m, const struct idset *leaving) {
        for (size_t i = 0; !manager_is_idle(m) && i < m->books.plan->n_kdamonds; i++) {
                const struct kdamond_plan *k = m->books.plan->kdamonds + i;
                struct quota_value *q = manager_quotas(m, i);

                if (!moves_by(k, leaving) || moves_by(k, &m->leaving))
                        continue;
                if (m->capability.silent_commit) {
                        (void) kdamond_stop(m->root, slot_of(&m->slots, k->nid), NULL);
                        continue;
                }
                for (size_t j = 0; j < k->n_schemes; j++)
                        q[j].bytes = 1;
                /* The books know nothing of what was not taken. */
                if (kdamond_set_quotas(m->root, &m->slots, k, &m->capability, q, NULL) < 0)
                        memset(q, 0, k->n_schemes * sizeof(*q));
        }
}

int manager_replan(struct manager *m, const struct idset *leaving, struct diag *reterr) {
        _cleanup_state_ struct state other = { .leaving = *leaving };
        bool held = saved_n_slots(m->saved) > 0, changed = m->changed;
        int r;

        m->hurry = false;
        /* Before the haste: what is another program's by now is not to be hurried. */
        if (held) {
                r = claim_check(m->root, m->saved, reterr);
                if (r < 0)
                        return r;
        }
        calm_down(m, leaving);
        r = state_read(m->root, m->config, manager_capability(m), &other, reterr);
        if (r < 0)
                return r;
        manager_swap_state(m, &other);
        books_inherit(&m->books, &other.books);
        r = change_system(m, &other, true, &changed, reterr);
        if (r < 0 && !held) {
                /* Nothing was managed before, so there is a way back. By this plan a turn would take others' slots for lost. */
                r = manager_undo(m, r, reterr);
                manager_swap_state(m, &other);
                changed = m->changed;
        }
        m->changed = r < 0 && changed;
        return r < 0 ? r : changed ? MANAGER_CHANGED : 0;
}
