/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

/*
 * Opens the runtime directory, made where it is missing, and takes the lock of that name in it, which lasts as long as the fd
 * *ret_lock. -EBUSY when another process has it; -EPERM when somebody else could write to the directory.
 */
int run_directory_open(const char *path, const char *lock_name, int *ret_run, int *ret_lock, struct diag *reterr);

#define RUN_LOCK "lock"                         /* the daemon's, and --restore's */
#define RUN_LOCK_PRIVILEGED "privileged.lock"   /* the privileged steps' */
