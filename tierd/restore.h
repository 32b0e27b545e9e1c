/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "base/log.h"
#include "tierd/daemon.h"
#include "tierd/saved.h"

#include <stdbool.h>

/*
 * What is done outside of the daemon's life.
 *
 * tierd.service gives the daemon no capability; what needs one is done by steps of the unit that run with full privileges:
 * `tierd --prepare` before the start and at a reload, `tierd --restore` after the end, however it came about. What the first
 * changes it remembers in a record of its own (SAVED_PRIVILEGED), since the daemon has its record open meanwhile.
 */

/*
 * Puts back what an earlier tierd of this boot left changed, the privileged step included. Returns 0 also when there was
 * nothing to do.
 */
int restore_run(const struct daemon_options *options, struct diag *reterr);

/*
 * Sets kernel.numa_balancing as the configuration says for this machine, or puts it back. A machine with nothing to manage is
 * left as it is. An error leaves the setting as it was.
 */
int prepare_run(const struct daemon_options *options, struct diag *reterr);

/* Puts back what the record says an earlier tierd of this boot changed. */
int restore_left_over(int root, struct saved *saved, const struct log *log, struct diag *reterr);

/* The interface was another program's by now, and was left alone. */
void restore_log_foreign(const struct log *log);
