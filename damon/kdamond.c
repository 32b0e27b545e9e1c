/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "base/file.h"
#include "damon/apply.h"
#include "damon/attribute.h"

#include <string.h>

/*
 * The doctrine of this file: what starts a kdamond, or gives a running one new values, either leaves it running with them, or
 * says why not and leaves nothing half done that the kernel would act on.
 */

static int encoding_failed(int r, const struct kdamond_plan *k, const struct capability *c, struct diag *reterr) {
        switch (r) {
        case -EOPNOTSUPP:
                return diag_set(reterr, r,
                                "node %d: kernel %s cannot express this plan: it lacks a filter, a goal or an action that the "
                                "configuration asks for.",
                                k->nid, c->release);
        case -EINVAL:
                return diag_set(
                        reterr, r,
                        "node %d: the plan does not fit this machine: the node is not a possible one, or a scheme has no "
                        "node to migrate to.",
                        k->nid);
        default:
                return diag_default(reterr, r, "node %d: cannot encode the plan: %s", k->nid, strerror(-r));
        }
}

/* Before 6.15 the write of a command succeeds even when it failed, which ends the kdamond: where that is, its state tells. */
static int check_survived(int root, int slot, const char *command, const struct capability *c, struct diag *reterr) {
        int r;

        if (!c->silent_commit)
                return 0;
        r = kdamond_is_running(root, slot, &APPLY_PATIENCE, reterr);
        if (r < 0)
                return r;
        if (r == 0)
                return diag_set(
                        reterr, -EIO,
                        "/" DAMON_ADMIN "/%d/state: the kernel took \"%s\" but ended the kdamond: this release (%s) "
                        "does not say why; the likely cause is a value that it refuses, such as the cgroup of a filter that "
                        "is gone.",
                        slot, command, c->release);
        return 0;
}

/* Makes what is staged take effect. */
static int kdamond_commit(int root, int slot, const struct capability *c, struct diag *reterr) {
        int r;

        r = kdamond_command(root, slot, "commit", &APPLY_PATIENCE, reterr);
        return r < 0 ? r : check_survived(root, slot, "commit", c, reterr);
}

/*
 * The pass that the first window's workaround needs before the commit (see encode_scheme()) comes one sample before the
 * aggregation, unless an aggregation is a single sample. Then it comes in the kdamond's first round, but after the moment of
 * the commit. Three commands, one after the other, put that round behind us: the kernel answers this one at two moments of a
 * round (after_sampling, after_aggregation; 6.12), so the third is answered in the second round at the earliest.
 */
static int settle_first_pass(int root, int slot, const struct monitoring_config *m, struct diag *reterr) {
        int r = 0;

        if (m->aggregate_us >= 2 * m->sample_us)
                return 0;
        for (int i = 0; i < 3 && r >= 0; i++)
                r = kdamond_command(root, slot, "update_schemes_stats", &APPLY_PATIENCE, reterr);
        return r;
}

static int settle(int root, int slot, const struct slot_map *m, const struct plan *p, const struct kdamond_plan *k,
                  const struct capability *c, const struct quota_value *quotas, struct diag *reterr) {
        _cleanup_ops_ struct ops *settled = NULL;
        int r;

        r = settle_first_pass(root, slot, &p->monitoring, reterr);
        if (r < 0)
                return r;
        r = ops_make_settled(m, k, quotas, &settled);
        if (r < 0)
                return encoding_failed(r, k, c, reterr);
        r = apply_ops(root, settled, &APPLY_PATIENCE, NULL, reterr);
        if (r < 0)
                return r;
        return kdamond_commit(root, slot, c, reterr);
}

/* The values asked for, or those of the plan in fresh memory. */
static int quotas_or_start(const struct plan *p, const struct kdamond_plan *k, const struct quota_value **quotas,
                           struct quota_value **ret_own) {
        _cleanup_free_ struct quota_value *own = NULL;

        if (*quotas)
                return 0;
        own = calloc(MAX(k->n_schemes, (size_t) 1), sizeof(*own));
        if (!own)
                return -ENOMEM;
        quota_values_start(p, k, own);
        *quotas = own;
        *ret_own = TAKE_PTR(own);
        return 0;
}

static int stage(int root, const struct slot_map *m, const struct plan *p, const struct kdamond_plan *k,
                 const struct capability *c, const struct quota_value *quotas, struct diag *reterr) {
        _cleanup_ops_ struct ops *staged = NULL, *values = NULL;
        int r;

        r = ops_make_kdamond(m, p, k, c, &staged);
        if (r < 0)
                return encoding_failed(r, k, c, reterr);
        r = ops_make_quotas(m, k, quotas, &values);
        if (r < 0)
                return encoding_failed(r, k, c, reterr);
        r = apply_ops(root, staged, &APPLY_PATIENCE, NULL, reterr);
        if (r < 0)
                return r;
        /* Where the first window has no quota, the real values wait for settle(). */
        return c->first_window_unlimited ? 0 : apply_ops(root, values, &APPLY_PATIENCE, NULL, reterr);
}

static int start_staged(int root, int slot, const struct slot_map *m, const struct plan *p, const struct kdamond_plan *k,
                        const struct capability *c, const struct quota_value *quotas, struct diag *reterr) {
        int r;

        r = kdamond_command(root, slot, "on", &APPLY_PATIENCE, reterr);
        if (r < 0)
                return r;
        if (c->first_window_unlimited && k->n_schemes > 0) {
                r = settle(root, slot, m, p, k, c, quotas, reterr);
                if (r < 0)
                        return r;
        }
        r = kdamond_is_running(root, slot, &APPLY_PATIENCE, reterr);
        if (r < 0)
                return r;
        if (r == 0)
                return diag_set(reterr, -EIO, "/" DAMON_ADMIN "/%d/state: the kdamond ended as soon as it was started.", slot);
        return 0;
}

int kdamond_start(int root, const struct slot_map *m, const struct plan *p, const struct kdamond_plan *k,
                  const struct capability *c, const struct quota_value *quotas, struct diag *reterr) {
        _cleanup_free_ struct quota_value *own = NULL;
        int slot = slot_of(m, k->nid), r, q;
        struct diag first = {}, undo = {};

        if (slot < 0)
                return encoding_failed(-EINVAL, k, c, reterr);
        r = quotas_or_start(p, k, &quotas, &own);
        if (r < 0)
                return encoding_failed(r, k, c, reterr);
        r = kdamond_is_running(root, slot, &APPLY_PATIENCE, reterr);
        if (r < 0)
                return r;
        if (r > 0)
                return diag_set(reterr, -EBUSY, "/" DAMON_ADMIN "/%d: the kdamond of node %d runs already.", slot, k->nid);

        r = stage(root, m, p, k, c, quotas, &first);
        if (r >= 0)
                r = start_staged(root, slot, m, p, k, c, quotas, &first);
        if (r >= 0)
                return 0;

        q = kdamond_stop(root, slot, &undo);
        if (q < 0)
                return diag_set(reterr, r, "%s (Nor could the kdamond be taken back: %s)", first.text, undo.text);
        return diag_set(reterr, r, "%s", first.text);
}

int kdamond_update(int root, const struct slot_map *m, const struct plan *p, const struct kdamond_plan *k,
                   const struct capability *c, const struct quota_value *quotas, struct diag *reterr) {
        _cleanup_free_ struct quota_value *own = NULL;
        int slot = slot_of(m, k->nid), r;

        if (slot < 0)
                return encoding_failed(-EINVAL, k, c, reterr);
        r = quotas_or_start(p, k, &quotas, &own);
        if (r < 0)
                return encoding_failed(r, k, c, reterr);
        r = stage(root, m, p, k, c, quotas, reterr);
        if (r < 0)
                return r;
        r = kdamond_commit(root, slot, c, reterr);
        if (r < 0 || !c->first_window_unlimited || k->n_schemes == 0)
                return r;
        /* Schemes that this commit added have a first window like those of a start. */
        return settle(root, slot, m, p, k, c, quotas, reterr);
}

/*
 * A commit takes the intervals of sysfs over, which are those of the start where the kernel tunes them: asked for just before,
 * they are the tuned ones, and the commit leaves them alone. Returns 0 where nothing is tuned.
 */
static int keep_tuned_intervals(int root, int slot, const struct capability *c, struct diag *reterr) {
        char path[PATH_SIZE], aggrs[24];
        int r;

        if (!c->intervals_goal)
                return 0;
        r = path_format(path, sizeof(path), DAMON_ADMIN "/%d/contexts/0/monitoring_attrs/intervals/intervals_goal/aggrs", slot);
        if (r < 0)
                return r;
        r = attribute_read(root, path, aggrs, sizeof(aggrs), &APPLY_PATIENCE, reterr);
        if (r < 0 || strcmp(aggrs, "0") == 0)
                return MIN(r, 0);
        return kdamond_command(root, slot, "update_tuned_intervals", &APPLY_PATIENCE, reterr);
}

int kdamond_set_quotas(int root, const struct slot_map *m, const struct kdamond_plan *k, const struct capability *c,
                       const struct quota_value *quotas, struct diag *reterr) {
        _cleanup_ops_ struct ops *o = NULL;
        int slot = slot_of(m, k->nid), r;

        r = ops_make_quotas(m, k, quotas, &o);
        if (r < 0)
                return encoding_failed(r, k, c, reterr);
        r = apply_ops(root, o, &APPLY_PATIENCE, NULL, reterr);
        if (r < 0)
                return r;
        r = keep_tuned_intervals(root, slot, c, reterr);
        if (r < 0)
                return r;
        return kdamond_commit(root, slot, c, reterr);
}

int kdamond_feed(int root, const struct slot_map *m, const struct kdamond_plan *k, const struct capability *c,
                 const uint64_t *scores, const struct quota_value *quotas, struct diag *reterr) {
        static const char command[] = "commit_schemes_quota_goals";
        _cleanup_ops_ struct ops *o = NULL;
        int slot = slot_of(m, k->nid), r;

        r = ops_make_feeds(m, k, scores, &o);
        if (r < 0)
                return encoding_failed(r, k, c, reterr);
        r = apply_ops(root, o, &APPLY_PATIENCE, NULL, reterr);
        if (r < 0)
                return r;
        /* A commit takes goals over as well. */
        if (quotas)
                return kdamond_set_quotas(root, m, k, c, quotas, reterr);
        r = kdamond_command(root, slot, command, &APPLY_PATIENCE, reterr);
        return r < 0 ? r : check_survived(root, slot, command, c, reterr);
}
