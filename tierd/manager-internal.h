/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierd/manager.h"

/* Shared by manager.c, manager-turn.c and manager-change.c only. */

/* A plan with its books, and what it was made from. */
struct state {
        struct config *config;          /* NULL: the manager's stays */
        struct topology *topology;
        struct cgroup_list *cgroups;
        struct idset leaving;
        struct books books;
};
void state_done(struct state *s);
#define _cleanup_state_ _cleanup_(state_done)

/*
 * The state of the machine as it is now, under `config`. s->config is not touched; s->leaving is an input. `capability` NULL:
 * the kernel was not asked yet, and its plan shows no more than whether there is anything to manage.
 */
int state_read(int root, const struct config *config, const struct capability *capability, struct state *s,
               struct diag *reterr);

/* What the kernel was found to offer; NULL while nothing is held, for then it was not asked. */
const struct capability *manager_capability(const struct manager *m);

/* Swaps what the manager has with s; its configuration only when s has one. */
void manager_swap_state(struct manager *m, struct state *s);

/* Everything from the claim to the running kdamonds, once a plan says that there is something to manage. */
int manager_take_hold(struct manager *m, struct diag *reterr);

/* Undoes everything after `error`, whose sentence reterr holds; what cannot be undone is told in the same breath. */
int manager_undo(struct manager *m, int error, struct diag *reterr);

/* kernel.numa_balancing and reclaim demotion; what only a privileged process may set becomes m->advice. */
int manager_set_balancing(struct manager *m, struct diag *reterr);

/* --- manager-feedback.c: the `feedback` tuner's hand */

/* Takes the passes of this turn in: `kdamonds` are its samples. `ret` gets the quota in force of every scheme. */
void manager_feedback_observe(struct manager *m, const struct tuner_kdamond *kdamonds, uint64_t *ret);

/* Feeds every kdamond's goals so that its quotas come to what was decided; nothing where they are fed so already. */
int manager_feedback_set(struct manager *m, const struct tuner_quota *decided, struct diag *reterr);

/* --- manager.c */

/* Of kdamond i: its quotas in the books, and what they are when it starts. */
struct quota_value *manager_quotas(const struct manager *m, size_t i);
void manager_reset_quotas(struct manager *m, size_t i);

/* Kdamond i, which had ended by itself, runs again: told by manager_take_restarted(). */
void manager_note_restart(struct manager *m, size_t i);

/* The groups that the configuration's excludes stand for now; NULL when it names none. */
int manager_expand_groups(int root, const struct config *config, struct cgroup_list **ret, struct diag *reterr);
