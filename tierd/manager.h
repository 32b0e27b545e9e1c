/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "tierd/books.h"
#include "tierd/claim.h"
#include "tierd/saved.h"
#include "tierd/system.h"

#include <stdbool.h>

/*
 * The machine under management: what is known, planned and set. Every verb here may block for as long as the kernel takes
 * and is called on the worker thread; between jobs the event loop reads the results.
 */
struct manager {
        int root;                       /* borrowed */
        struct saved *saved;            /* borrowed */
        struct config *config;
        struct topology *topology;
        struct plan *plan;              /* NULL before manager_start() */
        struct capability capability;
        struct slot_map slots;
        struct tuner *tuner;            /* direct only */
        char stopped_modules[MODULE_NAMES_SIZE];        /* by the last start or reload: names, or "" */

        struct scheme_report *schemes;  /* every scheme of the plan, in plan order */
        size_t n_schemes;
        struct tuner_view *views;       /* one per kdamond, direct only */
        struct node_report *nodes;      /* every node that the plan touches, ascending */
        size_t n_nodes;
        struct quota_value *quotas;     /* in force, parallel to schemes; bytes 0: unknown, a write of them failed */
        uint64_t *restarted_us;         /* per kdamond: when it was last started again, 0: never */
};

/*
 * Takes over `config` in any case. Reads the topology and makes the plan; then, unless the plan is empty, remembers what it
 * changes, takes hold of DAMON, stops other users as configured, and starts every kdamond. An error leaves the system
 * as it was found.
 */
int manager_start(struct manager *m, int root, struct saved *saved, struct config *config, struct diag *reterr);

/*
 * One turn: starts a kdamond again that has ended by itself, reads the counts and the nodes, and under the direct tuner
 * sets new quotas. *ret_next_us: when the next turn is due. Returns 0, or MANAGER_RESTARTED with a sentence in reterr.
 * After an error the same call tries again what it did not get done.
 */
#define MANAGER_RESTARTED 1
int manager_turn(struct manager *m, uint64_t now_us, uint64_t *ret_next_us, struct diag *reterr);

/*
 * Makes the plan again under a new configuration, and brings the kernel to it: kdamonds of the same shape by an online
 * commit, so that what they learnt is kept; others are stopped or started. With nothing to manage any more everything is
 * put back, as by manager_stop(). `config` is taken over in any case. An error keeps the old configuration in force;
 * MANAGER_LOST, with a sentence in reterr, says that even this failed: stop.
 */
#define MANAGER_LOST 1
int manager_reload(struct manager *m, struct config *config, struct diag *reterr);

/*
 * Everything off, every remembered value put back. Goes on after an error and returns the first; CLAIM_FOREIGN when the
 * kdamonds were another program's by now, and were left alone. Safe on a half-started manager, and again after an error.
 */
int manager_stop(struct manager *m, struct diag *reterr);

/* Frees what the manager holds (not the system: that is manager_stop()). */
void manager_done(struct manager *m);

/* True when there is nothing to manage on this machine. */
static inline bool manager_is_idle(const struct manager *m) {
        return !m->plan || m->plan->n_kdamonds == 0;
}
