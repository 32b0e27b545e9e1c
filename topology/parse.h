/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/idset.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The text of single attributes of sysfs and procfs, as the kernel writes it. Pure: a NUL-terminated buffer in, a value out.
 * All return 0, or -EBADMSG when the text is not of the form; *ret is written on success only.
 */

/* nodeN/meminfo: "Node N MemTotal:  987692 kB" among other lines. Result in bytes. */
int parse_node_memtotal(const char *text, int nid, uint64_t *ret_bytes);

/* nodeN/distance: "10 20 40", exactly n numbers, one per online node in the order of their ids. */
int parse_node_distances(const char *text, size_t n, uint16_t *ret);

/* nodeN/cpumap: "00000000,000000ff", 32 bits a word, the highest first. */
int parse_cpumap(const char *text, struct idset *ret);

/* proc/driver/nvidia/gpus/ADDRESS/numa_status: the node of a GPU's memory, "Node: 2" on a line; -1: it has none. */
int parse_gpu_node(const char *text, int *ret_nid);
