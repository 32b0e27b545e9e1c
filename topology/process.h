/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/*
 * Moves a process's pages from one node to another, those it shares included (migrate_pages(2), which needs CAP_SYS_NICE for
 * another user's). 0 also where some stay, or the process has gone, or is the kernel's; -EPERM, -EACCES where it is not
 * allowed; -EINVAL.
 */
int process_move(uint64_t pid, int from, int to);
