/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "policy/plan.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * What this kernel's DAMON sysfs interface (/sys/kernel/mm/damon/admin) can do. For the live system it is probed on a
 * kdamond slot of our own; for a captured machine it follows from the release. The table by release, with its sources:
 * docs/kernels.md.
 */
struct capability {
        char release[80];               /* "6.12.117+deb12-amd64" */
        unsigned major, minor;
        bool patched;                   /* its local version says that it has tierd's patches */
        bool present;                   /* the sysfs interface is there at all (CONFIG_DAMON_SYSFS) */
        bool paddr;                     /* operations "paddr" */
        bool migrate;                   /* 6.11 */
        bool young_filter;              /* 6.10 */
        bool filters_dir;               /* 6.3: filters/; deprecated in 7.2, to go some day */
        bool anon_filter;               /* 6.3; not of filters_dir, because a patched 6.1 has it without these two */
        bool memcg_filter;              /* 6.3 */
        bool apply_interval;            /* 6.7: apply_interval_us */
        bool filter_allow;              /* 6.14 */
        bool ops_filters;               /* 6.15: core_filters/, ops_filters/ */
        bool hugepage_filter;           /* 6.15 */
        bool user_goals;                /* 6.9 */
        bool node_goals;                /* 6.16: node_mem_*_bp, nid */
        bool intervals_goal;            /* 6.15 */
        bool dests;                     /* 6.17 */
        bool refresh_ms;                /* 6.17 */
        bool addr_unit;                 /* 6.18 */
        bool obsolete_target;           /* 6.19 */
        bool max_nr_snapshots;          /* 7.0 */
        bool goal_tuner;                /* 7.1 */
        bool fail_charge;               /* 7.2 */
        bool pause;                     /* 7.2 */
        bool first_window_unlimited;    /* a fault, 6.11 to 6.13, unless patched: no quota in a scheme's first charge window */
        bool silent_commit;             /* before 6.15 the commit write succeeds even when the commit failed */
};

/*
 * From a release string ("6.12.117+deb12-amd64"), for captures and --kernel. One with "-tierd" in its local version
 * ("6.1.192-tierd") has, besides, what kernel-patches/ supplies for its series. -EINVAL when it does not start with N.N.
 */
int capability_from_release(const char *release, struct capability *ret, struct diag *reterr);

/* The release of proc/version below root; -ENOENT, -EBADMSG with reterr. */
int capability_read_release(int root, char *buf, size_t size, struct diag *reterr);

/*
 * Probes kdamond slot 0, which must be ours (nr_kdamonds written by us) and off: creates one context and scheme in it, looks
 * which files are there and which keywords they take, and leaves the slot with no context. The release only fills what no
 * file shows (the two faults).
 * Returns 0; negative errno with path, value and errno in reterr.
 */
int capability_probe(int root, struct capability *ret, struct diag *reterr);

struct plan_features capability_features(const struct capability *c);

/* Every feature there is: for what is to be planned before the kernel was asked. */
struct plan_features capability_features_all(void);
