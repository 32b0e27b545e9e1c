/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/memtiers.h"
#include "base/file.h"
#include "topology/nodes.h"
#include "topology/rank.h"

#include <errno.h>
#include <inttypes.h>

#define MEMTIERS_DIRECTORY "sys/devices/virtual/memory_tiering"

int memtiers_read(const struct machine *m, const struct topology *t, uint64_t *keys) {
        _cleanup_free_ uint64_t *tiers = NULL;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < t->n_nodes; i++)
                keys[i] = RANK_NO_KEY;

        r = dir_read_numbers(m->root, MEMTIERS_DIRECTORY, "memory_tier", &tiers, &n);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return machine_fail_read(m, r, MEMTIERS_DIRECTORY);

        for (size_t k = 0; k < n; k++) {
                char path[PATH_SIZE];
                struct idset nodes;

                r = path_format(path, sizeof(path), MEMTIERS_DIRECTORY "/memory_tier%" PRIu64 "/nodelist", tiers[k]);
                if (r < 0)
                        return r;
                r = file_read_idset(m->root, path, NODE_ID_MAX, &nodes);
                if (r == -ENOENT) /* a tier whose last node left while we looked */
                        continue;
                if (r < 0)
                        return machine_fail_read(m, r, path);
                IDSET_FOREACH(id, &nodes) {
                        ssize_t i = topology_index(t, id);

                        if (i < 0)
                                continue;
                        if (keys[i] != RANK_NO_KEY)
                                return machine_fail(m, -EBADMSG, path, "node %d is in memory_tier%" PRIu64 " as well", id,
                                                    keys[i]);
                        keys[i] = tiers[k];
                }
        }
        return 0;
}
