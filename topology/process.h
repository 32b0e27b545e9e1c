/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/*
 * Moves a process's pages from one node to another, shared ones too (migrate_pages(2): CAP_SYS_NICE, and for another user's
 * process CAP_SYS_PTRACE). 0 also where some or all stay, or the process has gone. -ENOMEM: the node `to` has no room; -EPERM,
 * -EACCES: not allowed; -EINVAL: a process without memory (the kernel's own, a zombie), or a node that the caller's cpuset does
 * not hold; others.
 */
int process_move(uint64_t pid, int from, int to);
