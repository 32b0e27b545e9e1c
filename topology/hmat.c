/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/hmat.h"
#include "base/file.h"
#include "topology/nodes.h"
#include "topology/rank.h"

#include <errno.h>
#include <stdlib.h>

/* include/linux/memory-tiers.h: MEMTIER_CHUNK_BITS and MEMTIER_ADISTANCE_DRAM, the middle of the fifth chunk. */
#define CHUNK_BITS 7
#define ADISTANCE_DRAM ((UINT64_C(4) << CHUNK_BITS) + (UINT64_C(1) << (CHUNK_BITS - 1)))

/* Beyond any real figure (4 s, 4 PiB/s), and small enough for the products below. */
#define FIGURE_MAX UINT32_MAX

int hmat_read(const struct machine *m, const struct topology *t, unsigned class, struct perf *perf) {
        for (size_t i = 0; i < t->n_nodes; i++) {
                const struct {
                        const char *name;
                        uint64_t *value;
                } figures[] = {
                        { "read_latency",    &perf[i].read_latency_ns     },
                        { "write_latency",   &perf[i].write_latency_ns    },
                        { "read_bandwidth",  &perf[i].read_bandwidth_mib  },
                        { "write_bandwidth", &perf[i].write_bandwidth_mib },
                };

                for (size_t k = 0; k < ELEMENTSOF(figures); k++) {
                        char path[PATH_SIZE];
                        uint64_t v;
                        int r;

                        *figures[k].value = 0;
                        r = path_format(path, sizeof(path), NODE_DIRECTORY "/node%d/access%u/initiators/%s", t->nodes[i].id,
                                        class, figures[k].name);
                        if (r < 0)
                                return r;
                        r = file_read_u64(m->root, path, &v);
                        if (r == -ENOENT)
                                continue;
                        if (r == 0 && v > FIGURE_MAX)
                                r = -EBADMSG;
                        if (r < 0)
                                return machine_fail_read(m, r, path);
                        *figures[k].value = v;
                }
        }
        return 0;
}

/* Read and write together; one of them unknown counts as the other. 0: unknown. */
static uint64_t both(uint64_t reading, uint64_t writing) {
        return MIN(reading ? reading : writing, (uint64_t) FIGURE_MAX) +
               MIN(writing ? writing : reading, (uint64_t) FIGURE_MAX);
}

static uint64_t latency(const struct perf *p) {
        return both(p->read_latency_ns, p->write_latency_ns);
}

static uint64_t bandwidth(const struct perf *p) {
        return both(p->read_bandwidth_mib, p->write_bandwidth_mib);
}

static int compare_adistances(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

/* Replaces each abstract distance by that of the fastest node of its group. */
static int group(const struct topology *t, const bool *part, uint64_t *keys) {
        _cleanup_free_ uint64_t *leaders = NULL;
        size_t n = 0, n_leaders = 0;

        leaders = calloc(t->n_nodes + 1, sizeof(*leaders));
        if (!leaders)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_nodes; i++)
                if (part[i])
                        leaders[n++] = keys[i];
        qsort(leaders, n, sizeof(*leaders), compare_adistances);
        for (size_t i = 0; i < n; i++) {
                uint64_t v = leaders[i], leader = n_leaders > 0 ? leaders[n_leaders - 1] : 0;

                if (n_leaders > 0 && (v >> CHUNK_BITS == leader >> CHUNK_BITS || v - leader <= leader / 10))
                        continue;
                leaders[n_leaders++] = v;
        }

        for (size_t i = 0; i < t->n_nodes; i++) {
                size_t low = 0, high = n_leaders;

                if (!part[i])
                        continue;
                while (high - low > 1) {
                        size_t middle = low + (high - low) / 2;

                        if (leaders[middle] <= keys[i])
                                low = middle;
                        else
                                high = middle;
                }
                keys[i] = leaders[low];
        }
        return 0;
}

int hmat_keys(const struct topology *t, const bool *part, const bool *local, const struct perf *perf, uint64_t *keys) {
        bool latencies = true, bandwidths = true;
        const struct perf *dram = NULL, *first = NULL;

        for (size_t i = 0; i < t->n_nodes; i++) {
                keys[i] = RANK_NO_KEY;
                if (!part[i])
                        continue;
                latencies = latencies && latency(&perf[i]) > 0;
                bandwidths = bandwidths && bandwidth(&perf[i]) > 0;
                if (!first)
                        first = &perf[i];
                if (!dram && local[i] && t->nodes[i].kind != NODE_HBM)
                        dram = &perf[i];
        }
        if (!first || (!latencies && !bandwidths))
                return RANK_UNRANKED;
        if (!dram)
                dram = first;

        for (size_t i = 0; i < t->n_nodes; i++) {
                unsigned __int128 adistance = ADISTANCE_DRAM;

                if (!part[i])
                        continue;
                /* In the kernel's order, so that the truncation is the kernel's too. */
                if (latencies)
                        adistance = adistance * latency(&perf[i]) / latency(dram);
                if (bandwidths)
                        adistance = adistance * bandwidth(dram) / bandwidth(&perf[i]);
                keys[i] = adistance >= RANK_NO_KEY ? RANK_NO_KEY - 1 : (uint64_t) adistance;
        }
        return group(t, part, keys);
}
