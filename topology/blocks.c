/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/blocks.h"
#include "base/file.h"
#include "topology/nodes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_DIRECTORY "sys/devices/system/memory"

struct block {
        uint64_t index;                 /* physical address by block size */
        size_t node;                    /* index into the topology's nodes */
};

struct block_list {
        struct block *items;
        size_t n, allocated;
};

static void block_list_done(struct block_list *l) {
        free(l->items);
}

static int block_list_add(struct block_list *l, uint64_t index, size_t node) {
        if (l->n == l->allocated) {
                size_t more = l->allocated ? l->allocated * 2 : 64;
                struct block *p = reallocarray(l->items, more, sizeof(*p));

                if (!p)
                        return -ENOMEM;
                l->items = p;
                l->allocated = more;
        }
        l->items[l->n++] = (struct block) { .index = index, .node = node };
        return 0;
}

static int compare_blocks(const void *a, const void *b) {
        const struct block *x = a, *y = b;

        if (x->index != y->index)
                return x->index < y->index ? -1 : 1;
        return x->node < y->node ? -1 : x->node > y->node;
}

/*
 * 1 when the block is online, 0 when not, or when it went while we looked. `state` says it in a word (drivers/base/memory.c,
 * state_show()); a block about to leave counts as gone.
 */
static int block_is_online(const struct machine *m, const char *directory) {
        char path[PATH_SIZE], state[64];
        uint64_t online;
        int r;

        r = path_format(path, sizeof(path), "%s/state", directory);
        if (r < 0)
                return r;
        r = file_read_line(m->root, path, state, sizeof(state));
        if (r >= 0) {
                if (strcmp(state, "online") == 0)
                        return 1;
                if (strcmp(state, "offline") == 0 || strcmp(state, "going-offline") == 0)
                        return 0;
                return machine_fail(m, -EBADMSG, path, "\"%s\" is no state of a memory block", state);
        }
        if (r != -ENOENT)
                return machine_fail_read(m, r == -EFBIG ? -EBADMSG : r, path);

        r = path_format(path, sizeof(path), "%s/online", directory);
        if (r < 0)
                return r;
        r = file_read_u64(m->root, path, &online);
        if (r == 0)
                return online != 0;
        if (r != -ENOENT)
                return machine_fail_read(m, r, path);

        r = file_exists(m->root, directory);
        return r < 0 ? machine_fail_read(m, r, directory) : r;
}

static int block_read(const struct machine *m, size_t node, int nid, uint64_t number, struct block_list *blocks) {
        char directory[PATH_SIZE], path[PATH_SIZE];
        uint64_t index;
        int r;

        r = path_format(directory, sizeof(directory), NODE_DIRECTORY "/node%d/memory%" PRIu64, nid, number);
        if (r < 0)
                return r;
        r = block_is_online(m, directory);
        if (r <= 0)
                return r;

        r = path_format(path, sizeof(path), "%s/phys_index", directory);
        if (r < 0)
                return r;
        r = file_read_hex_u64(m->root, path, &index);
        if (r == -ENOENT) /* memoryM is named after it (drivers/base/memory.c, phys_index_show()) */
                index = number;
        else if (r < 0)
                return machine_fail_read(m, r, path);
        return block_list_add(blocks, index, node);
}

int blocks_read(const struct machine *m, const struct topology *t, struct range_list *lists) {
        static const char size_path[] = MEMORY_DIRECTORY "/block_size_bytes";
        _cleanup_(block_list_done) struct block_list blocks = {};
        uint64_t size;
        int r;

        r = file_read_hex_u64(m->root, size_path, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return machine_fail_read(m, r, size_path);
        if (size == 0 || (size & (size - 1)) != 0)
                return machine_fail(m, -EBADMSG, size_path, "a block size of %#" PRIx64 " is no power of two", size);

        for (size_t i = 0; i < t->n_nodes; i++) {
                _cleanup_free_ uint64_t *numbers = NULL;
                char path[PATH_SIZE];
                size_t n;

                r = path_format(path, sizeof(path), NODE_DIRECTORY "/node%d", t->nodes[i].id);
                if (r < 0)
                        return r;
                r = dir_read_numbers(m->root, path, "memory", &numbers, &n);
                if (r == -ENOENT)
                        continue;
                if (r < 0)
                        return machine_fail_read(m, r, path);
                for (size_t k = 0; k < n; k++) {
                        r = block_read(m, i, t->nodes[i].id, numbers[k], &blocks);
                        if (r < 0)
                                return r;
                }
        }

        if (blocks.n > 0)
                qsort(blocks.items, blocks.n, sizeof(*blocks.items), compare_blocks);
        for (size_t i = 0, next; i < blocks.n; i = next) {
                const struct block *block = &blocks.items[i];
                bool shared = false;
                uint64_t end;

                for (next = i + 1; next < blocks.n && blocks.items[next].index == block->index; next++)
                        shared = shared || blocks.items[next].node != block->node;
                if (__builtin_mul_overflow(block->index + 1, size, &end) || end == 0)
                        return machine_fail(m, -EBADMSG, MEMORY_DIRECTORY,
                                            "block %#" PRIx64 " of %#" PRIx64 " bytes lies beyond all addresses", block->index,
                                            size);
                if (shared)
                        continue;
                r = range_list_add(&lists[block->node], end - size, end);
                if (r < 0)
                        return r;
        }
        return 0;
}
