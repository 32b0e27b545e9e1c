/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/idset.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * When to plan again, and without which nodes, by what is heard of memory blocks that come and go. Pure: events and the time
 * are arguments.
 *
 * A node's memory leaves block by block, and the kernel tells of each after it has gone. So the first one that goes puts the
 * whole node on the list of those that are leaving, at once: its schemes are to be gone before its last block is, since a
 * migration to a node without memory brings some kernels down (docs/kernels.md). When nothing more is heard of it for a while,
 * the plan is made again by what is left. Memory that comes, comes in bursts too, and has time.
 */

enum hotplug_action { HOTPLUG_LEAVES, HOTPLUG_COMES };

/* Zero-initialised. */
struct hotplug {
        struct idset leaving;
        uint64_t quiet_us[NODE_ID_MAX + 1];     /* of a node that is leaving: when it is taken to have come to rest */
        uint64_t due_us, latest_us;             /* of the next plan; 0: none is due */
};

/* nid -1: an event of a node that is not known (any more), or events were lost. */
void hotplug_event(struct hotplug *h, uint64_t now_us, enum hotplug_action action, int nid);

/* When to call hotplug_take() next, CLOCK_MONOTONIC like now_us; UINT64_MAX: nothing is due. */
uint64_t hotplug_next_us(const struct hotplug *h);

/*
 * True when the plan is to be made again, without the nodes in h->leaving; the caller does so, and calls hotplug_again() when
 * it failed.
 */
bool hotplug_take(struct hotplug *h, uint64_t now_us);
void hotplug_again(struct hotplug *h, uint64_t at_us);
