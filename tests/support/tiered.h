/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/log.h"
#include "policy/config.h"
#include "tests/support/scratch.h"

/*
 * A scratch machine for the daemon: node 0 with CPUs above node 1 above node 2, in three memory tiers of 512 MiB each;
 * kernel.numa_balancing on, reclaim demotion off, DAMON_STAT on where the kernel has it; a boot, and a runtime directory
 * run/tierd, whose fd is *ret_run.
 */
struct scratch *tiered_new(enum scratch_kernel kernel, int *ret_run);

/* Reboots: another boot id. */
void tiered_reboot(struct scratch *s);

/* A configuration of this text. */
struct config *config_of(const char *text);

/* Fails the test, naming the first line that differs, when the machine is not as this snapshot says. */
void assert_as_found(struct scratch *s, const char *snapshot, const char *after);

/* A log into memory: "LEVEL message" lines, the syslog level as a number. */
struct memory_log {
        struct log log;
        char text[16384];
};
void memory_log_init(struct memory_log *m);
