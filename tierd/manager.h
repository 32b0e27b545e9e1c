/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "damon/observe.h"
#include "policy/plan.h"
#include "policy/tuner.h"
#include "tierd/saved.h"

#include <stdbool.h>

/*
 * The machine under management: what is known, planned and set. Every verb here may block for as long as the kernel takes and is
 * called on the worker thread; between jobs the event loop reads the results.
 */

/* One scheme as last observed. */
struct scheme_report {
        const struct scheme *scheme;    /* of the manager's plan */
        struct scheme_stats stats;      /* since its kdamond started */
        uint64_t quota_bytes;           /* in force, per quota_window_us: set by tierd, or the kernel's effective one */
        uint64_t quota_window_us;
        enum tuner_reason reason;       /* under the direct tuner */
};

struct node_report {
        int nid;
        uint64_t total_bytes, free_bytes;
};

struct manager {
        int root;                       /* borrowed */
        struct saved *saved;            /* borrowed */
        struct config *config;
        struct topology *topology;
        struct plan *plan;              /* NULL before manager_start() */
        struct capability capability;
        struct slot_map slots;
        struct tuner *tuner;            /* direct only */
        bool claimed;
        char stopped_modules[128];      /* names, or "" */

        struct scheme_report *schemes;  /* every scheme of the plan, in plan order */
        size_t n_schemes;
        struct tuner_view *views;       /* one per kdamond, direct only */
        struct node_report *nodes;      /* every node that the plan touches, ascending */
        size_t n_nodes;
        struct quota_value *quotas;     /* in force, parallel to schemes */
};

/*
 * Takes over `config` in any case. Reads the topology and makes the plan; then, unless the plan is empty, remembers what it
 * changes, takes hold of DAMON, stops other users as configured, and starts every kdamond. An error leaves the system
 * as it was found.
 */
int manager_start(struct manager *m, int root, struct saved *saved, struct config *config, struct diag *reterr);

/*
 * One turn: reads the counts and the nodes, and under the direct tuner sets new quotas. *ret_next_us: when the next turn is due.
 */
int manager_turn(struct manager *m, uint64_t now_us, uint64_t *ret_next_us, struct diag *reterr);

/*
 * Makes the plan again under a new configuration, and brings the kernel to it: kdamonds of the same shape by an online commit,
 * so that what they learnt is kept; others are stopped or started. An error while planning changes nothing and keeps the old
 * configuration (-EINVAL, -EOPNOTSUPP); `config` is taken over in any case.
 */
int manager_reload(struct manager *m, struct config *config, struct diag *reterr);

/* Everything off, every remembered value put back. Goes on after an error; returns the first. Safe on a half-started manager. */
int manager_stop(struct manager *m, struct diag *reterr);

/* Frees what the manager holds (not the system: that is manager_stop()). */
void manager_done(struct manager *m);

/* True when there is nothing to manage on this machine. */
static inline bool manager_is_idle(const struct manager *m) {
        return !m->plan || m->plan->n_kdamonds == 0;
}
