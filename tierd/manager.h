/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "tierd/books.h"
#include "tierd/claim.h"
#include "tierd/saved.h"
#include "tierd/system.h"
#include "topology/cgroups.h"

#include <stdatomic.h>
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
        struct cgroup_list *cgroups;    /* what the configuration's excluded groups stand for in the plan; NULL: none named */
        struct idset leaving;           /* nodes whose memory is being taken away: left out of the plan */
        struct books books;             /* the plan, and what is known of it; no plan before manager_start() */
        struct capability capability;   /* found by trying while DAMON is held, else by the release */
        struct slot_map slots;
        uint64_t lag_us;                /* how long it takes from looking at the nodes to having set the quotas */
        atomic_bool hurry;              /* set by the loop at any time: a node is leaving, so a turn is to be cut short */
        struct idset restarted;         /* nodes whose kdamonds were started again, which nobody took note of yet */
        bool changed;                   /* by a replan that failed in the end, which the next one is to tell */
        bool paused;                    /* set by the caller between jobs; the next turn brings the kernel to it */
        char stopped_modules[MODULE_NAMES_SIZE];        /* by the last start or reload: names, or "" */
        struct diag advice;             /* what could not be set, and is gone on without; .error 0: nothing */
};

/*
 * Takes over `config` in any case. Reads the topology and makes the plan, without the nodes in `leaving` (NULL: none); then,
 * unless the plan is empty, remembers what it changes, takes hold of DAMON, stops other users as configured, and starts every
 * kdamond. An error leaves the system as it was found.
 */
int manager_start(struct manager *m, int root, struct saved *saved, struct config *config, const struct idset *leaving,
                  struct diag *reterr);

/*
 * One turn: starts a kdamond again that has ended by itself, reads the counts and the nodes, and under tierd's own tuner
 * sets new quotas. *ret_next_us: when the next turn is due, set with every outcome but an error. Returns 0, or with a sentence
 * in reterr:
 *   MANAGER_NODES, MANAGER_GROUPS  the plan does not fit the machine any more, because a node has lost its memory, or because
 *                      control groups below an excluded one came or went: call manager_replan(). With MANAGER_GROUPS kdamonds
 *                      that have ended are left off for it to start, and no kdamond that fails, or ended again, is an error.
 * After an error the same call tries again what it did not get done; -EINTR: it was cut short by m->hurry. -ESTALE: DAMON is
 * another program's by now; nothing of it was touched. An error that says that a kdamond ended again soon after it had been
 * started again comes after all else was done.
 */
#define MANAGER_NODES 1
#define MANAGER_GROUPS 2
int manager_turn(struct manager *m, uint64_t now_us, uint64_t *ret_next_us, struct diag *reterr);

/*
 * Whether the control groups below excluded ones are others by now than in the plan: what failed need not fail under the next
 * plan, however often that is. Reads the cgroup tree.
 */
bool manager_is_outdated(const struct manager *m);

/*
 * Once, after a turn of whatever outcome: true with a sentence in ret when kdamonds were started again, by that turn or by a
 * plan before it.
 */
bool manager_take_restarted(struct manager *m, struct diag *ret);

/*
 * Makes the plan again under a new configuration, and brings the kernel to it: kdamonds of the same shape by an online
 * commit, so that what they learnt is kept; others are stopped or started. With nothing to manage any more everything is
 * put back, as by manager_stop(). `config` is taken over in any case. An error keeps the old configuration in force;
 * MANAGER_LOST, with a sentence in reterr, says that even this failed: stop.
 */
#define MANAGER_LOST 1
int manager_reload(struct manager *m, struct config *config, struct diag *reterr);

/*
 * The same for the machine as it is now, under the configuration in force and without the nodes in `leaving`. Kdamonds whose
 * plan stays are not touched. First of all the kdamonds that move to or from a node which was not leaving before are made to
 * rest, as fast as the kernel allows. Returns MANAGER_CHANGED when the plan is another one, else 0; -ESTALE as a turn does.
 * There is no way back to a plan of a machine that is gone: after an error the kdamonds that could not be brought to the new
 * plan are off, and the same call tries again; what it then returns is about the plan before the first of these tries. No turn
 * before that has gone well: where the new plan could not even be made, the one before it is still there, with the nodes that
 * leave. Where nothing was held before nothing is held after an error.
 */
#define MANAGER_CHANGED 1
int manager_replan(struct manager *m, const struct idset *leaving, struct diag *reterr);

/*
 * Everything off, every remembered value put back. Goes on after an error and returns the first; CLAIM_FOREIGN when the
 * kdamonds were another program's by now, and were left alone. Safe on a half-started manager, and again after an error.
 */
int manager_stop(struct manager *m, struct diag *reterr);

/* Frees what the manager holds (not the system: that is manager_stop()). */
void manager_done(struct manager *m);

/* True when there is nothing to manage on this machine. */
static inline bool manager_is_idle(const struct manager *m) {
        return !m->books.plan || m->books.plan->n_kdamonds == 0;
}
