/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/process.h"
#include "base/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <numa.h>
#include <sys/types.h>

static void free_mask(struct bitmask **mask) {
        if (*mask)
                numa_free_nodemask(*mask);
}

int process_move(uint64_t pid, int from, int to) {
        _cleanup_(free_mask) struct bitmask *old = numa_allocate_nodemask(), *new = numa_allocate_nodemask();

        if (!old || !new || pid > INT_MAX)
                return -EINVAL;
        (void) numa_bitmask_setbit(old, (unsigned) from);
        (void) numa_bitmask_setbit(new, (unsigned) to);
        if (numa_migrate_pages((pid_t) pid, old, new) >= 0)
                return 0;
        return errno == ESRCH || errno == EBUSY ? 0 : -errno;
}
