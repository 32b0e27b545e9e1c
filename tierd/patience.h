/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/config.h"

#include <stdint.h>

/*
 * What systemd is to wait for. The unit's times suit aggregation intervals of up to some seconds; with longer ones the kernel
 * takes longer over its commands than the unit allows, and a daemon that is well would be killed.
 */

/*
 * How long the kernel may take over the commands of one job under this configuration, at most: every node with memory may get a
 * kdamond.
 */
uint64_t patience_read(int root, const struct monitoring_config *m);

/*
 * Where there is a watchdog whose time does not suffice for that, has systemd add it. *told_us: what was told
 * last, 0 at first; the same is not told again.
 */
void patience_grant(uint64_t us, uint64_t *told_us);

/* A start, a reload or a stop that begins now, or has to wait for what is at hand, may take so much longer. */
void patience_extend(uint64_t us);
