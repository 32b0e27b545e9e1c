/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "damon/ops.h"
#include "tierd/saved.h"

/*
 * The hold on DAMON's sysfs interface, kept in the record of what tierd changed, so that it can be given back after a
 * crash, and so that nobody else's kdamonds ever are.
 *
 * Writing nr_kdamonds makes every slot anew, and sysfs gives every directory that it makes a number of its own, never used
 * again in this boot (kernfs node ids, shown as inode numbers). So the number of slot 0 tells our slots from those that
 * another program has made since, be they as many as ours.
 */

/*
 * Takes hold: refuses with -EBUSY when nr_kdamonds is above 0, before anything is recorded or written; else records the
 * intention, writes the slots, and records them. -ENOENT when this kernel has no DAMON sysfs interface. After an error
 * nothing is held.
 */
int claim_take(int root, const struct slot_map *m, struct saved *saved, struct diag *reterr);

/* Whether what the record says is held is still ours: 0, or -ESTALE with a sentence. Only reads. */
int claim_check(int root, const struct saved *saved, struct diag *reterr);

/* The slots are another program's by now: nothing was written to DAMON. */
#define CLAIM_FOREIGN 1

/*
 * Gives back what the record says is held, by this tierd or an earlier one: kdamonds off, nr_kdamonds 0. Returns 0 also when
 * nothing is held; CLAIM_FOREIGN; after an error the record keeps the hold, so that the next call tries again.
 */
int claim_release(int root, struct saved *saved, struct diag *reterr);
