/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/nodes.h"
#include "base/file.h"
#include "topology/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A row of 1024 three-digit distances is 4 KiB, a meminfo less than 2 KiB. */
#define NODE_FILE_MAX 65536

ssize_t topology_index(const struct topology *t, int id) {
        size_t low = 0, high = t->n_nodes;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (t->nodes[middle].id == id)
                        return (ssize_t) middle;
                if (t->nodes[middle].id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return -1;
}

/* 1 when read, 0 when the kernel does not have the file. */
static int read_optional_idset(const struct machine *m, const char *path, unsigned max, struct idset *ret) {
        int r;

        r = file_read_idset(m->root, path, max, ret);
        if (r == -ENOENT)
                return 0;
        return r < 0 ? machine_fail_read(m, r, path) : 1;
}

/* 1 when read, 0 when there is no such file; *ret is without NUL bytes inside. */
static int read_optional_text(const struct machine *m, const char *path, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t len;
        int r;

        r = file_read_alloc(m->root, path, NODE_FILE_MAX, &text, &len);
        if (r == -ENOENT)
                return 0;
        if (r == 0 && strlen(text) != len)
                r = -EBADMSG;
        if (r < 0)
                return machine_fail_read(m, r, path);
        *ret = TAKE_PTR(text);
        return 1;
}

static int read_online(const struct machine *m, struct idset *ret) {
        struct idset online, present;
        int r;

        r = read_optional_idset(m, NODE_DIRECTORY "/online", NODE_ID_MAX, &online);
        if (r < 0)
                return r;
        if (r == 0) {
                r = dir_read_ids(m->root, NODE_DIRECTORY, "node", NODE_ID_MAX, &present);
                if (r < 0 && r != -ENOENT)
                        return machine_fail_read(m, r, NODE_DIRECTORY);
                if (r == -ENOENT || idset_is_empty(&present))
                        return machine_fail(m, -ENOENT, NODE_DIRECTORY, "no NUMA nodes here");
                online = present;
        }
        if (idset_is_empty(&online))
                return machine_fail(m, -ENOENT, NODE_DIRECTORY "/online", "no NUMA nodes here");
        *ret = online;
        return 0;
}

static int read_cpus(const struct machine *m, struct node *node) {
        _cleanup_free_ char *text = NULL;
        char path[PATH_SIZE];
        int r;

        r = path_format(path, sizeof(path), NODE_DIRECTORY "/node%d/cpulist", node->id);
        if (r < 0)
                return r;
        r = read_optional_idset(m, path, IDSET_MAX - 1, &node->cpus);
        if (r != 0)
                return r < 0 ? r : 0;

        r = path_format(path, sizeof(path), NODE_DIRECTORY "/node%d/cpumap", node->id);
        if (r < 0)
                return r;
        r = read_optional_text(m, path, &text);
        if (r <= 0)
                return r;
        r = parse_cpumap(text, &node->cpus);
        return r < 0 ? machine_fail_read(m, r, path) : 0;
}

static int read_memory(const struct machine *m, struct node *node) {
        _cleanup_free_ char *text = NULL;
        char path[PATH_SIZE];
        int r;

        r = path_format(path, sizeof(path), NODE_DIRECTORY "/node%d/meminfo", node->id);
        if (r < 0)
                return r;
        r = read_optional_text(m, path, &text);
        if (r < 0)
                return r;
        if (r == 0)
                return machine_fail(m, -EBADMSG, path, "missing, although the node is online");
        r = parse_node_memtotal(text, node->id, &node->memory_bytes);
        if (r < 0)
                return machine_fail(m, r, path, "no line \"Node %d MemTotal: NUMBER kB\"", node->id);
        return 0;
}

static int read_distances(const struct machine *m, struct topology *t) {
        for (size_t i = 0; i < t->n_nodes; i++) {
                _cleanup_free_ char *text = NULL;
                char path[PATH_SIZE];
                int r;

                r = path_format(path, sizeof(path), NODE_DIRECTORY "/node%d/distance", t->nodes[i].id);
                if (r < 0)
                        return r;
                r = read_optional_text(m, path, &text);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                r = parse_node_distances(text, t->n_nodes, t->distances + i * t->n_nodes);
                if (r < 0)
                        return machine_fail(m, r, path, "not %zu distances, one for each online node", t->n_nodes);
        }
        return 0;
}

int nodes_read(const struct machine *m, struct topology *t, struct idset *ret_has_memory) {
        struct idset online, possible, has_memory;
        size_t n;
        int r;

        r = read_online(m, &online);
        if (r < 0)
                return r;
        r = read_optional_idset(m, NODE_DIRECTORY "/possible", NODE_ID_MAX, &possible);
        if (r < 0)
                return r;
        t->possible = r > 0 ? possible : online;
        r = read_optional_idset(m, NODE_DIRECTORY "/has_memory", NODE_ID_MAX, &has_memory);
        if (r < 0)
                return r;
        if (r == 0)
                has_memory = online;

        n = idset_count(&online);
        t->nodes = calloc(n, sizeof(*t->nodes));
        t->distances = calloc(n * n, sizeof(*t->distances));
        if (!t->nodes || !t->distances)
                return -ENOMEM;
        IDSET_FOREACH(id, &online) {
                struct node *node = &t->nodes[t->n_nodes++];

                node->id = id;
                node->tier = -1;
                idset_add(&t->possible, (unsigned) id);
                r = read_cpus(m, node);
                if (r < 0)
                        return r;
                r = read_memory(m, node);
                if (r < 0)
                        return r;
        }
        r = read_distances(m, t);
        if (r < 0)
                return r;
        *ret_has_memory = has_memory;
        return 0;
}
