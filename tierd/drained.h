/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "base/idset.h"

/*
 * The nodes that are drained, remembered in RUN_DIRECTORY/drained, so that a tierd that is started anew leaves them alone as
 * the one before did. The file names the boot it belongs to; another boot's is void. It is there exactly as long as a node is.
 */
#define DRAINED_RECORD "drained"

/*
 * Reads the record below `run` (the runtime directory's fd). None, or another boot's: no node. -EBADMSG and others with a
 * sentence in reterr, where it cannot be believed. `root` is where the boot's id lives.
 */
int drained_read(int root, int run, struct idset *ret, struct diag *reterr);

/* Replaces it, synced, or removes it where no node is drained. */
int drained_write(int root, int run, const struct idset *drained, struct diag *reterr);
