/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/patience.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/idset.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

/*
 * The kernel answers a command within an aggregation. One kdamond has five of them at most when it is started, where its first
 * pass must be waited for (damon/kdamond.c), and as many on the way back when a reload fails; a turn has three.
 */
#define COMMANDS_MAX 10
#define AGGREGATE_MAX_US UINT64_C(86400000000)
/* What the unit allows for starting and stopping (tierd.service). */
#define UNIT_US UINT64_C(120000000)

static uint64_t patience_us(const struct monitoring_config *m, size_t n_kdamonds) {
        uint64_t aggregate_us = m->aggregate_us;

        /* The kernel keeps the ratio of the two. */
        if (m->auto_intervals)
                aggregate_us = aggregate_us / MAX(m->sample_us, UINT64_C(1)) * MAX(m->auto_sample_max_us, m->sample_us);
        /* Whatever the configuration says, nobody waits for longer; and it cannot overflow. */
        aggregate_us = MIN(aggregate_us, AGGREGATE_MAX_US);
        return n_kdamonds * COMMANDS_MAX * aggregate_us;
}

uint64_t patience_read(int root, const struct monitoring_config *m) {
        struct idset nodes = {};
        char text[FILE_ATTR_MAX];

        /* Where this cannot be read, topology_read() says why. */
        if (file_read_line(root, "sys/devices/system/node/has_memory", text, sizeof(text)) < 0 ||
            idset_parse(text, NODE_ID_MAX, &nodes) < 0)
                return patience_us(m, 1);
        return patience_us(m, idset_count(&nodes));
}

/* What is allowed suffices where the kernel takes half of it at most; else it is for all that does not wait for the kernel. */
static uint64_t allow(uint64_t unit_us, uint64_t kernel_us) {
        return kernel_us <= unit_us / 2 ? unit_us : unit_us + kernel_us;
}

void patience_grant(uint64_t us, uint64_t *told_us) {
        uint64_t unit_us;

        if (sd_watchdog_enabled(0, &unit_us) <= 0)
                return;
        us = allow(unit_us, us);
        /* What it is before anything is told. */
        if (us == MAX(*told_us, unit_us))
                return;
        *told_us = us;
        (void) sd_notifyf(0, "WATCHDOG_USEC=%" PRIu64, us);
}

void patience_extend(uint64_t us) {
        if (allow(UNIT_US, us) > UNIT_US)
                (void) sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, allow(UNIT_US, us));
}
