/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/log.h"
#include "tierd/manager.h"

/* What tierd tells of itself, one message each, at LOG_INFO unless said otherwise. */

/* What was found and what is done about it: tiers, schemes, what was switched off, the plan's notes. */
void report_started(const struct log *log, const struct manager *m);

/* What one scheme did since the report before: a line per scheme. `previous` holds their sz_applied, updated. */
void report_schemes(const struct log *log, const struct manager *m, uint64_t *previous);

/* A lowest tier that is full, and that it takes again: once per change (LOG_WARNING, LOG_INFO). `full` has one flag per scheme. */
void report_full_targets(const struct log *log, const struct manager *m, bool *full);
