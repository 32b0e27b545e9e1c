/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "damon/apply.h"

/*
 * One attribute of the DAMON tree, with patience. Shared inside damon/.
 *
 * Retried: EBUSY (another writer holds damon_sysfs_lock, or a command runs), EAGAIN, EINTR.
 * Everything else is the caller's to sort into "unsupported" and "permanent".
 */

/* Returns 0 or the errno, with path, value and errno in reterr. */
int attribute_write(int root, const char *path, const char *value, const struct apply_patience *patience,
                    struct diag *reterr);

/* The attribute's line. Returns its length or the errno, with path and errno in reterr. */
int attribute_read(int root, const char *path, char *buf, size_t size, const struct apply_patience *patience,
                   struct diag *reterr);
