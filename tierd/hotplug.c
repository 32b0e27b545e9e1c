/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/hotplug.h"
#include "base/cleanup.h"

/*
 * A node that is leaving has come to rest when nothing was heard of it for this long. Offlining one full block of 128 MiB
 * migrates 32,768 pages, which takes well under a second on hardware; a pause of several means that it is over, or given up.
 */
#define LEAVING_QUIET_US UINT64_C(5000000)
/* A burst of blocks that come is over after this pause, and is waited for no longer than that. */
#define COMING_QUIET_US UINT64_C(1000000)
#define COMING_LATEST_US UINT64_C(5000000)

static void schedule(struct hotplug *h, uint64_t now_us, uint64_t delay_us) {
        if (h->latest_us == 0)
                h->latest_us = now_us + COMING_LATEST_US;
        h->due_us = MIN(now_us + delay_us, h->latest_us);
}

void hotplug_event(struct hotplug *h, uint64_t now_us, enum hotplug_action action, int nid) {
        bool known = nid >= 0 && nid <= NODE_ID_MAX;

        if (known && action == HOTPLUG_LEAVES) {
                if (!idset_has(&h->leaving, (unsigned) nid)) {
                        idset_add(&h->leaving, (unsigned) nid);
                        h->due_us = now_us;
                        h->latest_us = now_us;
                }
                h->quiet_us[nid] = now_us + LEAVING_QUIET_US;
                return;
        }
        /* Blocks that come back end the leaving of their node earlier: its offlining was given up, or has been undone. */
        if (known && idset_has(&h->leaving, (unsigned) nid)) {
                h->quiet_us[nid] = now_us + COMING_QUIET_US;
                return;
        }
        schedule(h, now_us, COMING_QUIET_US);
}

uint64_t hotplug_next_us(const struct hotplug *h) {
        uint64_t next = h->due_us > 0 ? h->due_us : UINT64_MAX;

        IDSET_FOREACH(nid, &h->leaving)
                next = MIN(next, h->quiet_us[nid]);
        return next;
}

bool hotplug_take(struct hotplug *h, uint64_t now_us) {
        struct idset still = {};
        bool due = h->due_us > 0 && h->due_us <= now_us;

        IDSET_FOREACH(nid, &h->leaving) {
                if (h->quiet_us[nid] > now_us)
                        idset_add(&still, (unsigned) nid);
                else
                        due = true;
        }
        h->leaving = still;
        if (due)
                h->due_us = h->latest_us = 0;
        return due;
}

void hotplug_again(struct hotplug *h, uint64_t at_us) {
        h->due_us = h->latest_us = at_us;
}
