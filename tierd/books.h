/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "damon/observe.h"
#include "damon/ops.h"
#include "policy/feedback.h"
#include "policy/plan.h"
#include "policy/tuner.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One scheme as last observed. */
struct scheme_report {
        const struct scheme *scheme;    /* of the manager's plan */
        struct scheme_stats stats;      /* since its kdamond started */
        uint64_t quota_bytes;           /* in force, per quota_window_us: set by tierd, or the kernel's effective one */
        uint64_t quota_window_us;
        enum tuner_reason reason;       /* of tierd's own tuner */
};

/* One kdamond, as far as it is not a scheme's. */
struct kdamond_report {
        int pid;                        /* of its kernel thread; 0: not known */
        bool stale;                     /* it could be neither brought to the plan nor stopped: it follows another plan */
        uint64_t cpu_us;                /* of that thread */
        uint64_t sample_us, aggregate_us;       /* in force; 0: not known yet */
        uint64_t restarts;              /* how often it was started again after it had ended by itself */
        uint64_t restarted_us;          /* when the turn began that found it ended, the last time; 0: never */
        unsigned again;                 /* how many of the last restarts, in a row, came soon after the one before */
        bool ended;                     /* by itself, and was not started again yet */
};

struct node_report {
        int nid;
        uint64_t total_bytes, free_bytes;
};

/* A plan, and what the manager keeps with it; made whole before it takes the old one's place. */
struct books {
        struct plan *plan;
        struct tuner *tuner;            /* direct and feedback */
        struct feedback *feedback;      /* used by feedback: parallel to schemes */
        struct feedback_pace *paces;    /* one per kdamond; used by feedback */
        struct scheme_report *schemes;  /* every scheme of the plan, in plan order */
        size_t n_schemes;
        struct quota_value *quotas;     /* in force, parallel to schemes; bytes 0: unknown, a write of them failed */
        struct kdamond_report *kdamonds;        /* one per kdamond, like... */
        struct tuner_view *views;       /* ...these, of the tuner's */
        struct node_report *nodes;      /* every node that the plan touches, ascending */
        size_t n_nodes;
};

/* Quotas are what kdamonds start with. Takes over `plan` on success. 0 or -ENOMEM. */
int books_make(struct plan *plan, struct books *ret);

/*
 * Takes over what is known of the nodes, schemes and kdamonds that both plans have: counts, reasons, the quotas in force, the
 * tuner's memory.
 */
void books_inherit(struct books *b, const struct books *from);
void books_done(struct books *b);
#define _cleanup_books_ _cleanup_(books_done)
