/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "base/parse.h"
#include "tierctl/client.h"
#include "tierctl/tierctl.h"
#include "topology/process.h"
#include "topology/topology.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * drain and undrain: a node before its memory is taken away, and one that is not taken away after all.
 *
 * tierd leaves the node alone first, else it would fill it again. Then each process's pages are moved off by migrate_pages(2),
 * which takes hot pages as well as cold ones, where DAMOS's demotion takes cold ones only and knows one target. What no process
 * has mapped (page cache, the kernel's own) it does not reach: taking the blocks offline moves that, as far as it can be moved.
 */

/* A pass over all processes; a page that is written to or locked at the wrong moment goes with a later one. */
#define PASSES_MAX 5
/* Two passes that differ by less than this: what is left does not go. */
#define STEP_BYTES (UINT64_C(1) << 20)

struct drain {
        const struct invocation *call;
        int nid;
        bool terminal;
        uint64_t begun_bytes;
        size_t denied; /* processes of the last pass that could not be asked */
        int error;     /* of the last of them */
};

static int read_node(const struct invocation *call, int *ret, struct diag *reterr) {
        if (parse_int(call->argv[0], 0, NODE_ID_MAX, ret) < 0)
                return diag_set(reterr, -EINVAL, "\"%s\" is not the number of a node", call->argv[0]);
        return 0;
}

static int ask(const char *method, int nid, struct diag *reterr) {
        _cleanup_client_ sd_bus *bus = NULL;
        int r;

        r = client_open(&bus, reterr);
        return r < 0 ? r : client_call_node(bus, method, nid, reterr);
}

/* In kB of the node's meminfo; 0 where it is not there. */
static uint64_t meminfo(int root, int nid, const char *field) {
        char path[PATH_SIZE], text[FILE_ATTR_MAX], label[64];
        const char *p;

        if (path_format(path, sizeof(path), "sys/devices/system/node/node%d/meminfo", nid) < 0 ||
            file_read(root, path, text, sizeof(text)) < 0)
                return 0;
        (void) snprintf(label, sizeof(label), "Node %d %s:", nid, field);
        p = strstr(text, label);
        return p ? strtoull(p + strlen(label), NULL, 10) * 1024 : 0;
}

/* The node with most room among those that stand in a tier; -1: none. It has to keep a twentieth of itself, as its goal is. */
static int find_target(const struct topology *t, const struct invocation *call, int nid) {
        uint64_t most = 0;
        int best = -1;

        for (size_t i = 0; i < t->n_nodes; i++) {
                const struct node *n = &t->nodes[i];
                uint64_t free_bytes = n->id != nid && n->tier >= 0 ? meminfo(call->root, n->id, "MemFree") : 0;
                uint64_t room = free_bytes > n->memory_bytes / 20 ? free_bytes - n->memory_bytes / 20 : 0;

                if (room > most) {
                        most = room;
                        best = n->id;
                }
        }
        return best;
}

static void show(const struct drain *d, bool done) {
        char left[FORMAT_MAX], all[FORMAT_MAX];
        uint64_t bytes = meminfo(d->call->root, d->nid, "MemUsed");

        if (!d->terminal && !done)
                return;
        (void) printf("%snode %d: %s in use of %s at first%s", d->terminal ? "\r\033[K" : "", d->nid,
                      format_size(bytes, left, sizeof(left)), format_size(d->begun_bytes, all, sizeof(all)), done ? "\n" : "");
        (void) fflush(stdout);
}

/* Every process's pages, each time to the node with most room. 0, or -ENOSPC when there is none. */
static int pass(struct drain *d, const struct topology *t) {
        uint64_t *pids = NULL;
        size_t n = 0;
        int r;

        r = dir_read_numbers(d->call->root, "proc", "", &pids, &n);
        if (r < 0)
                return r;
        d->denied = 0;
        for (size_t i = 0; i < n && r >= 0; i++) {
                int target = find_target(t, d->call, d->nid), k;

                if (target < 0) {
                        r = -ENOSPC;
                        break;
                }
                k = process_move(pids[i], d->nid, target);
                if (k == -EPERM || k == -EACCES) {
                        d->denied++;
                        d->error = k;
                }
                show(d, false);
        }
        free(pids);
        return r;
}

/* What is left, by what would move it. */
static int conclude(const struct drain *d, int result) {
        uint64_t mapped = meminfo(d->call->root, d->nid, "AnonPages") + meminfo(d->call->root, d->nid, "Mapped");
        uint64_t cache = meminfo(d->call->root, d->nid, "FilePages");
        char text[FORMAT_MAX];

        show(d, true);
        if (result == -ENOSPC) {
                (void) fprintf(stderr,
                               "tierctl: the other nodes have no room for what node %d holds; free memory there, or end "
                               "`tierctl undrain %d`\n",
                               d->nid, d->nid);
                return EXIT_NO;
        }
        if (d->denied > 0) {
                (void) fprintf(stderr, "tierctl: the pages of %zu processes may not be moved: %s; run it as root\n", d->denied,
                               strerror(-d->error));
                return EXIT_NOT_PERMITTED;
        }
        if (mapped >= STEP_BYTES) {
                (void) fprintf(stderr,
                               "tierctl: %s of processes' memory stay on node %d: locked or pinned, or in use all the time\n",
                               format_size(mapped, text, sizeof(text)), d->nid);
                return EXIT_NO;
        }
        if (cache >= STEP_BYTES)
                (void) printf("%s of page cache are left; taking the memory offline moves them.\n",
                              format_size(cache, text, sizeof(text)));
        (void) printf("tierd leaves node %d alone until it has gone, or `tierctl undrain %d`.\n", d->nid, d->nid);
        return EXIT_WELL;
}

int verb_drain(const struct invocation *call) {
        _cleanup_topology_ struct topology *t = NULL;
        struct drain d = { .call = call, .terminal = isatty(STDOUT_FILENO) };
        uint64_t before = UINT64_MAX;
        struct diag diag = {};
        int r;

        r = read_node(call, &d.nid, &diag);
        if (r < 0) {
                (void) fprintf(stderr, "tierctl: drain: %s\n", diag.text);
                return EXIT_USAGE;
        }
        r = topology_read(call->root, NULL, NULL, &t, &diag);
        if (r < 0)
                return report_failure(&diag);
        if (!topology_node(t, d.nid) || topology_node(t, d.nid)->memory_bytes == 0) {
                (void) fprintf(stderr, "tierctl: drain: there is no node %d with memory\n", d.nid);
                return EXIT_NO;
        }
        r = ask("Drain", d.nid, &diag);
        if (r < 0)
                return client_report(&diag);
        d.begun_bytes = meminfo(call->root, d.nid, "MemUsed");
        for (unsigned i = 0; i < PASSES_MAX && r >= 0; i++) {
                uint64_t left;

                r = pass(&d, t);
                left = meminfo(call->root, d.nid, "MemUsed");
                if (left < STEP_BYTES || (before != UINT64_MAX && left + STEP_BYTES > before))
                        break;
                before = left;
        }
        return conclude(&d, r);
}

int verb_undrain(const struct invocation *call) {
        struct diag diag = {};
        int nid, r;

        r = read_node(call, &nid, &diag);
        if (r < 0) {
                (void) fprintf(stderr, "tierctl: undrain: %s\n", diag.text);
                return EXIT_USAGE;
        }
        return ask("Undrain", nid, &diag) < 0 ? client_report(&diag) : EXIT_WELL;
}
