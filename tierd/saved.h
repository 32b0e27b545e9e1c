/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What tierd changed of the system, remembered in RUN_DIRECTORY/state before each change, so that tierd itself, or `tierd
 * --restore` after a crash, can put it back. The file names the boot it belongs to; another boot's is void. It is there
 * exactly as long as something is changed.
 */
#define RUN_DIRECTORY "/run/tierd"

struct saved;

/* The record of tierd itself, and that of the privileged steps beside it (tierd/restore.h). */
#define SAVED_STATE "state"
#define SAVED_PRIVILEGED "privileged"

/*
 * Opens the record of that name below `run` (the runtime directory's fd), empty or as an earlier tierd of this boot left it
 * (saved_is_empty() tells). `root` is where the values live. An unreadable, cut or foreign record is an error, never trusted:
 * -EBADMSG with the path in reterr.
 */
int saved_open(int root, int run, const char *name, struct saved **ret, struct diag *reterr);
struct saved *saved_free(struct saved *s);
DEFINE_CLEANUP(struct saved, saved_free)
#define _cleanup_saved_ _cleanup_(saved_freep)

bool saved_is_empty(const struct saved *s);

/*
 * Remembers the hold on DAMON (tierd/claim.h): this many slots; `identity` tells them from another program's, 0 before
 * they are made. 0 slots: no hold any more. Synced before it returns; an error leaves what was remembered.
 */
int saved_claim(struct saved *s, size_t n_slots, uint64_t identity, struct diag *reterr);
size_t saved_n_slots(const struct saved *s);            /* 0: no hold */
uint64_t saved_identity(const struct saved *s);

/*
 * Changes one attribute: remembers its present value (synced), then writes the new one. Nothing is done, and 0 returned,
 * when it has that value already. -ENOENT when there is no such attribute. The first value remembered for a path stays;
 * after a failed write it stays too, since putting it back does no harm.
 */
int saved_change(struct saved *s, const char *path, const char *value, struct diag *reterr);

/* Puts one value back, if it is remembered, and forgets it. */
int saved_put_back(struct saved *s, const char *path, struct diag *reterr);

/* Forgets a value without writing it: for a change that was not permitted, so never made. */
int saved_forget(struct saved *s, const char *path, struct diag *reterr);

/*
 * Puts every value back, the last change first. Goes on after an error and returns the first; what could not be put back
 * stays remembered, so that the next call tries it again. A value that is gone with its attribute (module unloaded) is no
 * error.
 */
int saved_restore(struct saved *s, struct diag *reterr);
