/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

/*
 * The metrics file, written on a thread of its own: its file system may be on a network or a dying disk, and hang. One thing at
 * a time; what it works on is its own.
 */
struct metrics_writer;

/* As metrics_write_file() (tierd/metrics.h), which it is but in tests. */
typedef int (*metrics_write)(const char *text, const char *path, struct diag *reterr);

int metrics_writer_new(metrics_write function, struct metrics_writer **ret);

/*
 * Waits for nothing: what is at hand is left, with its thread and memory, to the process's end. (A thread in an uninterruptible
 * sleep delays that end.)
 */
struct metrics_writer *metrics_writer_free(struct metrics_writer *w);

/* An eventfd, readable when the work at hand has ended. */
int metrics_writer_fd(const struct metrics_writer *w);

/*
 * Begins to write the text, which is taken over in any case, to `path`; a file of another name that was written before is
 * removed. 0, -EBUSY while something is at hand or its end was not taken, -ENOMEM.
 */
int metrics_writer_submit(struct metrics_writer *w, char *text, const char *path);

/* Begins to remove what was written. 1, 0 when there is nothing to remove, -EBUSY as above. */
int metrics_writer_remove(struct metrics_writer *w);

/* Takes the end of the work: 1 when there was one, with how it went in ret (.error 0: well), 0 when not. */
int metrics_writer_take(struct metrics_writer *w, struct diag *ret);
