/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "damon/observe.h"
#include "damon/ops.h"
#include "policy/plan.h"
#include "policy/tuner.h"

#include <stddef.h>
#include <stdint.h>

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

/* What the manager keeps with one plan (see struct manager); made whole before it takes the old one's place. */
struct books {
        struct plan *plan;
        struct tuner *tuner;
        struct scheme_report *schemes;
        struct tuner_view *views;
        struct node_report *nodes;
        struct quota_value *quotas;
        uint64_t *restarted_us;
        size_t n_schemes, n_nodes;
};

/* Quotas are what kdamonds start with. Takes over `plan` on success. 0 or -ENOMEM. */
int books_make(struct plan *plan, struct books *ret);
void books_done(struct books *b);
#define _cleanup_books_ _cleanup_(books_done)
