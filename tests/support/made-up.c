/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/support/made-up.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <stdio.h>

void put_lists(const struct tree *t, const char *online, const char *has_memory) {
        tree_put(t, NODE "/possible", "0-7\n");
        tree_put(t, NODE "/online", "%s\n", online);
        tree_put(t, NODE "/has_memory", "%s\n", has_memory);
        tree_put(t, MEMORY "/block_size_bytes", "8000000\n");
}

void put_node(const struct tree *t, int id, const char *cpus, unsigned mib, const char *distances) {
        char path[PATH_SIZE];

        (void) snprintf(path, sizeof(path), NODE "/node%d/cpulist", id);
        tree_put(t, path, "%s\n", cpus);
        (void) snprintf(path, sizeof(path), NODE "/node%d/meminfo", id);
        /* A sixteenth is free: enough for the goals, and for both directions to have something to do. */
        tree_put(t, path, "\nNode %d MemTotal:       %u kB\nNode %d MemFree:        %u kB\n", id, mib * 1024, id, mib * 64);
        (void) snprintf(path, sizeof(path), NODE "/node%d/distance", id);
        tree_put(t, path, "%s\n", distances);
}

void put_block(const struct tree *t, int node, unsigned index, const char *state) {
        char path[PATH_SIZE], target[PATH_SIZE];

        (void) snprintf(path, sizeof(path), MEMORY "/memory%u/phys_index", index);
        tree_put(t, path, "%08x\n", index);
        (void) snprintf(path, sizeof(path), MEMORY "/memory%u/state", index);
        tree_put(t, path, "%s\n", state);
        (void) snprintf(path, sizeof(path), NODE "/node%d/memory%u", node, index);
        (void) snprintf(target, sizeof(target), "../../memory/memory%u", index);
        tree_link(t, path, target);
}

void put_performance(const struct tree *t, int id, unsigned class, unsigned latency, unsigned bandwidth) {
        static const char *const names[] = { "read_latency", "write_latency", "read_bandwidth", "write_bandwidth" };
        char path[PATH_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                (void) snprintf(path, sizeof(path), NODE "/node%d/access%u/initiators/%s", id, class, names[i]);
                tree_put(t, path, "%u\n", i < 2 ? latency : bandwidth);
        }
}

void put_memory_tier(const struct tree *t, unsigned id, const char *nodes) {
        char path[PATH_SIZE];

        (void) snprintf(path, sizeof(path), "sys/devices/virtual/memory_tiering/memory_tier%u/nodelist", id);
        tree_put(t, path, "%s\n", nodes);
}

void put_two_nodes(const struct tree *t) {
        put_lists(t, "0-1", "0-1");
        put_node(t, 0, "0-1", 500, "10 20");
        put_node(t, 1, "", 480, "20 10");
        for (unsigned i = 0; i < 4; i++) {
                put_block(t, 0, i, "online");
                put_block(t, 1, 8 + i, "online");
        }
}
