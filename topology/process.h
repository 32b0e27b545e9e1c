/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/*
 * What a process has mapped of a node's memory, by /proc below `root`; what several share counts for each. Without hugetlbfs,
 * whose pages have a pool of their own on each node. Negative errno where it cannot be read, of a process that has gone too.
 */
int process_bytes_on(int root, uint64_t pid, int nid, uint64_t *ret);

/*
 * Moves a process's pages from one node to another, shared ones too (migrate_pages(2): CAP_SYS_NICE, and for another user's
 * process CAP_SYS_PTRACE). 0 also where some or all stay, or the process has gone. -ENOMEM: the node `to` has no room; -EPERM,
 * -EACCES: not allowed; -EINVAL: a process without memory (the kernel's own, a zombie), or a node that the caller's cpuset does
 * not hold; others.
 */
int process_move(uint64_t pid, int from, int to);

/*
 * The same of a part of them, of about max_bytes, in order of their addresses (move_pages(2)); without hugetlbfs, and without
 * mappings that are all but empty. How much went is *ret_moved. For a process that has more than there is room for:
 * migrate_pages(2) goes on until the kernel finds no page any more, which takes it long, and it complains.
 */
int process_move_part(int root, uint64_t pid, int from, int to, uint64_t max_bytes, uint64_t *ret_moved);
