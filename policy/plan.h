/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "policy/config.h"
#include "topology/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What tierd wants of the kernel, as plain data: for each source node one kdamond, with its ranges and its schemes.
 * How the kernel at hand is told is damon/'s business.
 */

/*
 * AGE moves nothing. It clears the accessed bits of pages in cold regions, so that the `young` filter of the demote scheme
 * means "accessed since", not "accessed ever": without it a page must be visited twice by demotion before it may go, the first
 * time in vain. Under tierd's own tuner only, beside a demote scheme, and only while there is something to demote.
 */
enum direction { DEMOTE, PROMOTE, AGE };
enum goal_metric { GOAL_NODE_MEM_FREE_BP, GOAL_NODE_MEM_USED_BP };

/* Limits are inclusive; UINT32_MAX/UINT64_MAX: no limit. */
struct access_pattern {
        uint32_t min_per_aggregation, max_per_aggregation;      /* accesses seen per aggregation interval */
        uint64_t min_age_us, max_age_us;                        /* how long the pattern was like this */
};

enum filter_type { FILTER_YOUNG, FILTER_ANON, FILTER_MEMCG, FILTER_HUGEPAGE_SIZE };

/* Evaluated in order per page; `matching` pages are allowed or rejected. damon/ encodes it for kernels without `allow`. */
struct filter {
        enum filter_type type;
        bool matching;                  /* false: the filter is about pages that are NOT of this type */
        bool allow;
        char *memcg_path;               /* FILTER_MEMCG only */
};

struct scheme {
        enum direction direction;       /* demote: migrate_cold; promote: migrate_hot; age: what this kernel has for it */
        int source_nid, target_nid;     /* age: the demote scheme's, of the same node */
        enum goal_metric goal_metric;
        int goal_nid;
        uint32_t goal_bp;
        uint64_t quota_bytes;           /* ceiling, bytes per quota_interval_us */
        uint64_t quota_interval_us;
        uint32_t weight_frequency, weight_age;
        struct access_pattern access;
        struct filter *filters;
        size_t n_filters;
};

/*
 * A `stat` scheme beside the moving ones: it moves nothing, and the growth of its sz_tried tells how many bytes of the
 * node match its pattern. tierd's tuner decides by them.
 */
enum probe_kind {
        PROBE_ALL,                      /* every region: its growth divided by the monitored bytes is the number of passes */
        PROBE_HOT,                      /* what the promote schemes would take */
        PROBE_COLD,                     /* what the demote scheme would take, settled for a while */
        _PROBE_KIND_MAX,
};
const char *probe_kind_to_string(enum probe_kind kind);         /* "all", "hot", "cold" */

struct probe {
        enum probe_kind kind;
        struct access_pattern access;
};

struct kdamond_plan {
        int nid;
        struct mem_range *ranges;
        size_t n_ranges;
        struct scheme *schemes;         /* demote first, then promote by ascending target, then age: fixed slots */
        size_t n_schemes;
        struct probe *probes;           /* after the schemes, see DAMON.md: a scheme split by its quota splits regions */
        size_t n_probes;
};

/* What an operator should know of the plan. */
enum note_kind {
        NOTE_LEFT_OUT,                  /* a node, or memory, that takes no part, and why */
        NOTE_KERNEL,                    /* what was asked for and cannot be had on this kernel */
        NOTE_ADVICE,                    /* anything else */
        _NOTE_KIND_MAX,
};
const char *note_kind_to_string(enum note_kind kind);         /* "left-out", "kernel", "advice" */
struct note {
        enum note_kind kind;
        char *text;                     /* a sentence */
};

struct plan {
        enum tuner_kind tuner;          /* never TUNER_AUTO */
        enum goal_tuner goal_tuner;     /* TUNER_KERNEL only */
        struct monitoring_config monitoring;
        struct kdamond_plan *kdamonds;  /* by ascending nid; none: nothing to manage */
        size_t n_kdamonds;
        struct note *notes;
        size_t n_notes;
};

/* What of this kernel a plan depends on; damon/capability.h fills it in. */
struct plan_features {
        unsigned major, minor;          /* its release, for what is said of it alone; 0: not known */
        bool paddr;                     /* monitors physical addresses */
        bool migrate;                   /* actions migrate_hot, migrate_cold with target_nid (6.11), on physical addresses */
        bool node_goals;                /* node_mem_{used,free}_bp with nid (6.16) */
        bool user_goals;                /* user_input goals (6.9) */
        bool intervals_goal;            /* 6.15 */
        bool goal_tuner;                /* 7.1 */
        bool young_filter;              /* 6.10 */
        bool anon_filter, memcg_filter; /* 6.3; a patched 6.1 has `young` without them */
        bool hugepage_filter;           /* 6.15 */
};

/* What a plan is made from. Borrowed. */
struct plan_input {
        const struct topology *topology;
        const struct config *config;
        const struct plan_features *features;
        const struct idset *leaving;    /* nodes whose memory is being taken away: left out, with a note; NULL: none */
        const struct cgroup_list *cgroups;      /* topology/cgroups.h: the groups that excludes stand for; NULL: themselves */
};

/*
 * Makes the plan. Pure: no file, no clock. A machine of one tier gives a plan without kdamonds and a note, and returns 0.
 * A configured node that is not there but may come (topology's `possible`) is a note.
 * Returns -EINVAL when it cannot be (a configured node that can never be there, no such tuner on this kernel: reterr says
 * what, and what to do), -EOPNOTSUPP when there is something to manage and `features` says that the kernel lacks the migrate
 * actions, or the filter for what is excluded; -ENOMEM.
 */
int plan_make(const struct plan_input *in, struct plan **ret, struct diag *reterr);
struct plan *plan_free(struct plan *p);
DEFINE_CLEANUP(struct plan, plan_free)
#define _cleanup_plan_ _cleanup_(plan_freep)

/* NULL when node nid has no kdamond in the plan. */
const struct kdamond_plan *plan_kdamond(const struct plan *p, int nid);

const char *direction_to_string(enum direction d);            /* "demote", "promote", "age" */
const char *goal_metric_to_string(enum goal_metric m);        /* the kernel's keyword */
const char *filter_type_to_string(enum filter_type t);        /* the kernel's keyword */
