/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"

/*
 * One thread for what may block: every write to DAMON; another one for the metrics file. One job at a time; whatever the job
 * works on belongs to the thread from worker_submit() until its completion is seen on the fd, and to the event loop otherwise.
 */
struct worker;

typedef void (*worker_job)(void *userdata);

int worker_new(struct worker **ret);

/* Waits for the job at hand, then ends the thread. */
struct worker *worker_free(struct worker *w);
DEFINE_CLEANUP(struct worker, worker_free)
#define _cleanup_worker_ _cleanup_(worker_freep)

/*
 * For a thread whose job may never come back: does not wait for it. The thread ends after it, if ever; it, the worker, and what
 * the job works on are left to the process's end, and may not be touched any more.
 */
void worker_abandon(struct worker *w);

/* An eventfd, readable when a job has been completed. */
int worker_fd(const struct worker *w);

/* -EBUSY while a job is at hand or its completion was not taken. */
int worker_submit(struct worker *w, worker_job job, void *userdata);

/* Takes the completion. 1 when there was one, 0 when not. */
int worker_take_completion(struct worker *w);
