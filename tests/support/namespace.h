/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * For a child process: mounts of its own from here on, as root or as root of a user namespace of its own. False where that
 * cannot be had: the child ends with NAMESPACE_NONE, and the test is skipped. No thread may have been started.
 */
#define NAMESPACE_NONE 77
bool namespace_enter(void);

/* Runs it in a child process, waits, and returns its exit status; -1 when it ended otherwise. */
int namespace_run(int (*run)(void *userdata), void *userdata);
