/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/manager-internal.h"
#include "damon/apply.h"

#include <errno.h>
#include <string.h>

void state_done(struct state *s) {
        books_done(&s->books);
        s->cgroups = cgroup_list_free(s->cgroups);
        s->topology = topology_free(s->topology);
        s->config = config_free(s->config);
}

#define SWAP(a, b)                    \
        ({                            \
                __auto_type _a = (a); \
                (a) = (b);            \
                (b) = _a;             \
        })

void manager_swap_state(struct manager *m, struct state *s) {
        if (s->config)
                SWAP(m->config, s->config);
        SWAP(m->topology, s->topology);
        SWAP(m->cgroups, s->cgroups);
        SWAP(m->leaving, s->leaving);
        SWAP(m->books, s->books);
}

void manager_done(struct manager *m) {
        _cleanup_state_ struct state s = {};

        manager_swap_state(m, &s);
        m->config = config_free(m->config);
}

int manager_expand_groups(int root, const struct config *config, struct cgroup_list **ret, struct diag *reterr) {
        _cleanup_free_ const char **names = NULL;
        size_t n = 0;

        names = calloc(config->n_excludes + 1, sizeof(*names));
        if (!names)
                return diag_set(reterr, -ENOMEM, "out of memory");
        for (size_t i = 0; i < config->n_excludes; i++)
                if (config->excludes[i].type == EXCLUDE_CGROUP)
                        names[n++] = config->excludes[i].cgroup;
        if (n == 0) {
                *ret = NULL;
                return 0;
        }
        return cgroups_expand(root, names, n, ret, reterr);
}

int state_read(int root, const struct config *config, const struct capability *capability, struct state *s,
               struct diag *reterr) {
        _cleanup_plan_ struct plan *plan = NULL;
        struct plan_features features = capability ? capability_features(capability) : capability_features_all();
        struct plan_input input = { .config = config, .features = &features, .leaving = &s->leaving };
        int r;

        r = topology_read(root, NULL, config->tiers.n_tiers > 0 ? &config->tiers : NULL, &s->topology, reterr);
        if (r < 0)
                return r;
        r = manager_expand_groups(root, config, &s->cgroups, reterr);
        if (r < 0)
                return r;
        input.topology = s->topology;
        input.cgroups = s->cgroups;
        r = plan_make(&input, &plan, reterr);
        if (r < 0)
                return r;
        r = books_make(plan, &s->books);
        if (r < 0)
                return diag_set(reterr, r, "out of memory");
        TAKE_PTR(plan);
        return 0;
}

const struct capability *manager_capability(const struct manager *m) {
        return saved_n_slots(m->saved) > 0 ? &m->capability : NULL;
}

struct quota_value *manager_quotas(const struct manager *m, size_t i) {
        size_t n = 0;

        for (size_t j = 0; j < i; j++)
                n += m->books.plan->kdamonds[j].n_schemes;
        return m->books.quotas + n;
}

void manager_reset_quotas(struct manager *m, size_t i) {
        struct quota_value *q = manager_quotas(m, i);

        quota_values_start(m->books.plan, m->books.plan->kdamonds + i, q);
        for (size_t j = 0; j < m->books.plan->kdamonds[i].n_schemes; j++) {
                m->books.feedback[q - m->books.quotas + (ptrdiff_t) j] = feedback_start();
                if (m->paused)
                        q[j].bytes = 1;
        }
}

static int start_kdamonds(struct manager *m, struct diag *reterr) {
        int r;

        for (size_t i = 0; i < m->books.plan->n_kdamonds; i++) {
                manager_reset_quotas(m, i);
                r = kdamond_start(m->root, &m->slots, m->books.plan, m->books.plan->kdamonds + i, &m->capability,
                                  manager_quotas(m, i), reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

int manager_set_balancing(struct manager *m, struct diag *reterr) {
        m->advice = (struct diag) {};
        return system_set_balancing(m->topology, m->config, m->saved, &m->advice, reterr);
}

int manager_take_hold(struct manager *m, struct diag *reterr) {
        _cleanup_state_ struct state fresh = { .leaving = m->leaving };
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
        r = state_read(m->root, m->config, &m->capability, &fresh, reterr);
        if (r < 0)
                return r;
        manager_swap_state(m, &fresh);

        r = system_stop_modules(m->root, m->saved, m->stopped_modules, reterr);
        if (r < 0)
                return r;
        r = manager_set_balancing(m, reterr);
        if (r < 0)
                return r;
        return start_kdamonds(m, reterr);
}

int manager_undo(struct manager *m, int error, struct diag *reterr) {
        struct diag undo = {}, first;

        if (manager_stop(m, &undo) >= 0 || !reterr)
                return error;
        first = *reterr;
        return diag_set(reterr, error, "%s (Nor could everything be put back: %s; `tierd --restore` tries again)", first.text,
                        undo.text);
}

int manager_start(struct manager *m, int root, struct saved *saved, struct config *config, const struct idset *leaving,
                  struct diag *reterr) {
        _cleanup_state_ struct state first = { .leaving = leaving ? *leaving : (struct idset) {} };
        char release[sizeof(m->capability.release)];
        int r;

        *m = (struct manager) { .root = root, .saved = saved, .config = config };

        r = capability_read_release(root, release, sizeof(release), reterr);
        if (r < 0)
                return r;
        r = capability_from_release(release, &m->capability, reterr);
        if (r < 0)
                return r;
        r = state_read(root, config, NULL, &first, reterr);
        if (r < 0)
                return r;
        manager_swap_state(m, &first);
        m->slots.possible = m->topology->possible;
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
