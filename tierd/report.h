/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/log.h"
#include "tierd/manager.h"

/* What tierd tells of itself, one message each, at LOG_INFO unless said otherwise. */

/* What was found and what is done about it: tiers, schemes, what was switched off, the plan's notes. */
void report_started(const struct log *log, const struct manager *m);

/* What was told last, so that the next line tells what is new. Zero-initialised; lives as long as the daemon. */
struct report_memory {
        enum direction direction;
        int source_nid, target_nid;
        uint64_t applied_bytes;         /* sz_applied */
        bool full;
};

struct reports {
        struct report_memory *schemes;  /* parallel to the manager's */
        size_t n_schemes;
        uint64_t down_bytes, up_bytes;  /* moved in the time of the last report */
};

/* For a new plan of the manager's: keeps what is known of schemes that stay. 0 or -ENOMEM, with nothing changed. */
int reports_renew(struct reports *r, const struct manager *m);
void reports_done(struct reports *r);

/* What each scheme did since the report before: a line per scheme. */
void report_schemes(const struct log *log, const struct manager *m, struct reports *reports);

/* A node that is full, and that it takes again: once per change (LOG_WARNING, LOG_INFO). */
void report_full_targets(const struct log *log, const struct manager *m, struct reports *reports);
