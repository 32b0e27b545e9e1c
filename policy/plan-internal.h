/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/plan.h"
#include "topology/cgroups.h"

/* Shared by plan.c and its parts only: what the plan is made from, and the plan while it is made. */
struct maker {
        const struct topology *topology;
        const struct config *config;
        const struct plan_features *features;
        const struct idset *leaving;       /* NULL: none */
        const struct cgroup_list *cgroups; /* NULL: excluded groups stand for themselves */
        struct plan *plan;
        struct diag *reterr;
};

/* Takes part: has memory that is not being taken away, stands in a tier, and the configuration lets it. */
bool maker_manages(const struct maker *m, int nid);

/* --- plan-notes.c. 0 or -ENOMEM, but for maker_check_nodes() */

int maker_note(struct maker *m, enum note_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The nodes that the configuration names are there, or may come: -EINVAL, reterr saying which is not. */
int maker_check_nodes(struct maker *m);

/* What is excluded can be told apart by this kernel: -EOPNOTSUPP, reterr saying what cannot. What must not move is no note. */
int maker_check_excludes(struct maker *m);

/* Which nodes take no part, and why. */
int maker_note_nodes(struct maker *m);

/* What the configuration asks for and this kernel does not give, or not as one might think. */
int maker_note_kernel(struct maker *m);

/* --- plan-filters.c */

/* What the scheme's pages must pass, by its direction: first what is excluded, then `young`. 0 or -ENOMEM. */
int maker_add_filters(const struct maker *m, struct scheme *s);
