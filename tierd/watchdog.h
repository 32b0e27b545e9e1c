/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"

#include <systemd/sd-event.h>

/*
 * Tells systemd that tierd lives, where the unit has WatchdogSec=. The worker is watched too: while a job is at hand nothing is
 * sent, so one that is stuck in the kernel ends the daemon rather than leave the last quotas in force.
 *
 * sd_event_set_watchdog(3) sends each time it is switched on: a message, and a wake-up of PID 1, for every job. Here it is one
 * for an eighth of the time allowed, and while there is no job, one for half of it. So a job has seven eighths of that time at
 * least.
 */
struct watchdog;

/* *ret is NULL where nobody watches, which is legal below. 0 or negative errno. */
int watchdog_new(sd_event *event, struct watchdog **ret);
struct watchdog *watchdog_free(struct watchdog *w);
DEFINE_CLEANUP(struct watchdog, watchdog_free)
#define _cleanup_watchdog_ _cleanup_(watchdog_freep)

/* A job is handed to the worker; it is back. One at a time. */
void watchdog_job_begins(struct watchdog *w);
void watchdog_job_done(struct watchdog *w);
