/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/process.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "topology/numa-maps.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <numa.h>
#include <numaif.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* A line of a mapping with a long name has some 300 bytes, and a process has 65530 mappings unless it is allowed more. */
#define MAPS_MAX ((size_t) 256 << 20)
/* How many pages the kernel is asked about at once. */
#define PAGES_AT_ONCE 1024
/* Address space that is reserved, and all but empty, is not searched: not more than this, or so many times what is there. */
#define SEARCHED_BYTES (UINT64_C(64) << 20)
#define SEARCHED_TIMES 256

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

static int read_maps(int root, uint64_t pid, const char *name, char **ret, size_t *ret_len) {
        char path[PATH_SIZE];
        int r;

        r = path_format(path, sizeof(path), "proc/%" PRIu64 "/%s", pid, name);
        return r < 0 ? r : file_read_alloc(root, path, MAPS_MAX, ret, ret_len);
}

int process_bytes_on(int root, uint64_t pid, int nid, uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        struct numa_mapping mapping;
        struct idset nodes = {};
        uint64_t sum = 0;
        size_t len;
        int r;

        idset_add(&nodes, (unsigned) nid);
        r = read_maps(root, pid, "numa_maps", &text, &len);
        if (r < 0)
                return r;
        for (const char *p = text; (r = numa_maps_take(&p, text + len, &nodes, &mapping)) > 0;)
                if (!mapping.hugetlb && __builtin_add_overflow(sum, mapping.bytes, &sum))
                        sum = UINT64_MAX;
        if (r == 0)
                *ret = sum;
        return r;
}

/* The end of the mapping that begins at `start`, in the text of "maps", from *p on, which goes with it; 0: there is none. */
static uint64_t find_end(const char **p, uint64_t start) {
        while (**p) {
                uint64_t from, to;
                const char *feed;
                char *after;

                /* Not sscanf(), which looks for the end of the whole text first, each time. */
                from = strtoull(*p, &after, 16);
                if (after == *p || *after != '-' || from > start)
                        return 0;
                to = strtoull(after + 1, NULL, 16);
                feed = strchr(*p, '\n');
                *p = feed ? feed + 1 : *p + strlen(*p);
                if (from == start)
                        return to;
        }
        return 0;
}

struct part {
        pid_t pid;
        int from, to;
        uint64_t page_bytes;
        uint64_t left_bytes, moved_bytes; /* of all that is to go, and what went */
};

/* Those of the pages that are on the node, and how much that is. 0 or negative errno. */
static int move_pages_at(struct part *part, void **pages, size_t n, uint64_t *ret_seen) {
        int nodes[PAGES_AT_ONCE], status[PAGES_AT_ONCE];
        size_t k = 0;

        if (numa_move_pages(part->pid, n, pages, NULL, status, 0) < 0)
                return -errno;
        for (size_t i = 0; i < n && k * part->page_bytes < part->left_bytes; i++)
                if (status[i] == part->from) {
                        pages[k] = pages[i];
                        nodes[k++] = part->to;
                }
        *ret_seen = k * part->page_bytes;
        if (k == 0)
                return 0;
        /* That some could not be moved is no error, and leaves those after them without a word. */
        for (size_t i = 0; i < k; i++)
                status[i] = -1;
        if (numa_move_pages(part->pid, k, pages, nodes, status, MPOL_MF_MOVE_ALL) < 0)
                return -errno;
        part->left_bytes -= MIN(part->left_bytes, k * part->page_bytes);
        for (size_t i = 0; i < k; i++)
                part->moved_bytes += status[i] == part->to ? part->page_bytes : 0;
        return 0;
}

/* Until all is seen that the mapping has on the node. */
static int move_mapping(struct part *part, const struct numa_mapping *mapping, uint64_t end) {
        void *pages[PAGES_AT_ONCE];
        uint64_t address = mapping->start, seen = 0;

        while (address < end && seen < mapping->bytes && part->left_bytes > 0) {
                uint64_t more = 0;
                size_t n = 0;
                int r;

                for (; n < PAGES_AT_ONCE && address < end; address += part->page_bytes)
                        pages[n++] = (void *) (uintptr_t) address; /* NOLINT(performance-no-int-to-ptr): another process's */
                r = move_pages_at(part, pages, n, &more);
                if (r < 0)
                        return r;
                seen += more;
        }
        return 0;
}

static bool is_sparse(const struct numa_mapping *mapping, uint64_t end) {
        uint64_t size = end - mapping->start;

        return size > SEARCHED_BYTES && size / SEARCHED_TIMES > mapping->bytes;
}

int process_move_part(int root, uint64_t pid, int from, int to, uint64_t max_bytes, uint64_t *ret_moved) {
        struct part part = { .pid = (pid_t) pid, .from = from, .to = to, .left_bytes = max_bytes };
        _cleanup_free_ char *maps = NULL, *numa_maps = NULL;
        struct numa_mapping mapping;
        struct idset nodes = {};
        const char *m;
        size_t len;
        int r;

        *ret_moved = 0;
        if (pid > INT_MAX)
                return -EINVAL;
        part.page_bytes = (uint64_t) sysconf(_SC_PAGESIZE);
        idset_add(&nodes, (unsigned) from);
        r = read_maps(root, pid, "maps", &maps, &len);
        if (r == 0)
                r = read_maps(root, pid, "numa_maps", &numa_maps, &len);
        if (r < 0)
                return r;
        m = maps;
        for (const char *p = numa_maps; part.left_bytes > 0;) {
                uint64_t end;

                r = numa_maps_take(&p, numa_maps + len, &nodes, &mapping);
                if (r <= 0)
                        break;
                end = find_end(&m, mapping.start);

                if (mapping.bytes == 0 || mapping.hugetlb || end <= mapping.start || is_sparse(&mapping, end))
                        continue;
                r = move_mapping(&part, &mapping, end);
                if (r < 0)
                        break;
        }
        *ret_moved = part.moved_bytes;
        return r == -ESRCH ? 0 : MIN(r, 0);
}
