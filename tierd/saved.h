/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The system's values that tierd changes, remembered in RUN_DIRECTORY/state before each change, so that tierd itself, or
 * `tierd --restore` after a crash, can put them back. The file names the boot it belongs to; another boot's is void.
 */

struct saved;

/*
 * Opens the record below `run` (the runtime directory's fd), empty or as an earlier tierd of this boot left it
 * (saved_is_empty() tells). `root` is where the values live. An unreadable or foreign record is an error, never trusted:
 * -EBADMSG with the path in reterr.
 */
int saved_open(int root, int run, struct saved **ret, struct diag *reterr);
struct saved *saved_free(struct saved *s);
DEFINE_CLEANUP(struct saved, saved_free)
#define _cleanup_saved_ _cleanup_(saved_freep)

bool saved_is_empty(const struct saved *s);

/* Remembers that nr_kdamonds is ours, with this many slots. Synced before it returns. */
int saved_claim(struct saved *s, size_t n_slots, struct diag *reterr);
size_t saved_n_slots(const struct saved *s);            /* 0: not claimed */

/*
 * Changes one attribute: remembers its present value (synced), then writes the new one. Nothing is done, and 0 returned, when it
 * has that value already. -ENOENT when there is no such attribute. The first value remembered for a path stays.
 */
int saved_change(struct saved *s, const char *path, const char *value, struct diag *reterr);

/*
 * Puts every value back, the last change first, and removes the record when all went well. Goes on after an error and returns
 * the first. A value that is gone with its attribute (module unloaded) is no error.
 */
int saved_restore(struct saved *s, struct diag *reterr);
