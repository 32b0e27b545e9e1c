/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "base/idset.h"
#include "base/parse.h"
#include "tierctl/client.h"
#include "tierctl/snapshot.h"
#include "tierctl/tierctl.h"
#include "topology/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * drain and undrain: a node before its memory is taken away, and one that is not taken away after all.
 *
 * tierd leaves the node alone first, else it would fill it again. Then each process's pages are moved off by migrate_pages(2),
 * which takes hot pages as well as cold ones, where DAMOS's demotion takes cold ones only and knows one target. It goes on
 * until the kernel has reclaimed what it can and finds no page, so it is not asked to move what there is no room for: of that
 * a part goes, by move_pages(2). What no process has mapped (page cache, huge pages that are reserved, the kernel's own)
 * neither reaches: taking the blocks offline moves that, as far as it can be moved.
 */

/* A pass over all processes; a page that is written to or locked at the wrong moment goes with a later one. */
#define PASSES_MAX 5
/* Two passes that differ by less than this: what is left does not go. And less room than this is none. */
#define STEP_BYTES (UINT64_C(1) << 20)
/* What a node is to keep free: a fiftieth of it, which is less than tierd leaves free; or what the kernel wants, if more. */
#define KEPT_FREE 50
/* 1024 nodes with a paragraph of less than 8 KiB for each of five zones. */
#define ZONEINFO_MAX ((size_t) 64 << 20)

struct drain {
        int root, nid;
        bool terminal;
        const struct snapshot *machine; /* as the daemon has it, which knows what it is to leave alone */
        uint64_t *kept; /* of each of its nodes: bytes that are to stay free */
        uint64_t begun_bytes;
        size_t denied, without_room; /* processes of the last pass that could not be moved */
};

/* Of a node's meminfo, bytes. -ENOENT: the node has gone. */
static int meminfo(int root, int nid, const char *field, uint64_t *ret) {
        char path[PATH_SIZE], text[FILE_ATTR_MAX], label[64];
        const char *p;
        int r;

        r = path_format(path, sizeof(path), "sys/devices/system/node/node%d/meminfo", nid);
        if (r == 0)
                r = file_read(root, path, text, sizeof(text));
        if (r < 0)
                return r;
        (void) snprintf(label, sizeof(label), "Node %d %s:", nid, field);
        p = strstr(text, label);
        if (!p)
                return -EBADMSG;
        *ret = strtoull(p + strlen(label), NULL, 10) * 1024;
        return 0;
}

/* Processes' memory on the node; none when it has gone. */
static int mapped_bytes(const struct drain *d, uint64_t *ret) {
        uint64_t anonymous, files;
        int r;

        r = meminfo(d->root, d->nid, "AnonPages", &anonymous);
        if (r == 0)
                r = meminfo(d->root, d->nid, "Mapped", &files);
        if (r == 0)
                *ret = anonymous + files;
        else if (r == -ENOENT)
                *ret = 0;
        return r == -ENOENT ? 0 : r;
}

static uint64_t *kept_of(const struct drain *d, long nid) {
        for (size_t i = 0; i < d->machine->n_nodes; i++)
                if (d->machine->nodes[i].id == nid)
                        return &d->kept[i];
        return NULL;
}

/* Adds to d->kept what the kernel wants free on each node lest it reclaim there: the high watermarks of the node's zones. */
static void add_watermarks(struct drain *d) {
        _cleanup_free_ char *text = NULL;
        uint64_t *kept = NULL;
        char *rest, *line;
        size_t len;

        if (file_read_alloc(d->root, "proc/zoneinfo", ZONEINFO_MAX, &text, &len) < 0)
                return;
        rest = text;
        while ((line = strsep(&rest, "\n"))) {
                if (strncmp(line, "Node ", strlen("Node ")) == 0) {
                        char *end;
                        long nid = strtol(line + strlen("Node "), &end, 10);

                        kept = *end == ',' ? kept_of(d, nid) : NULL;
                }
                line += strspn(line, " ");
                /* "high:" is of the per-CPU lists. */
                if (kept && strncmp(line, "high ", strlen("high ")) == 0)
                        *kept += strtoull(line + strlen("high "), NULL, 10) * (uint64_t) sysconf(_SC_PAGESIZE);
        }
}

/* Sets d->kept, which is the caller's to free. 0 or -ENOMEM. */
static int read_kept(struct drain *d) {
        d->kept = calloc(d->machine->n_nodes + 1, sizeof(*d->kept));
        if (!d->kept)
                return -ENOMEM;
        add_watermarks(d);
        for (size_t i = 0; i < d->machine->n_nodes; i++)
                d->kept[i] = MAX(d->kept[i], d->machine->nodes[i].total_bytes / KEPT_FREE);
        return 0;
}

/* What a node can take: free memory, and page cache that the kernel gives up for it. */
static uint64_t room_on(int root, int nid, uint64_t kept) {
        uint64_t free_bytes, active, inactive;

        if (meminfo(root, nid, "MemFree", &free_bytes) < 0 || meminfo(root, nid, "Active(file)", &active) < 0 ||
            meminfo(root, nid, "Inactive(file)", &inactive) < 0)
                return 0;
        free_bytes += active + inactive;
        /* Whoever goes on to the last page goes page by page. */
        return free_bytes > kept + STEP_BYTES ? free_bytes - kept : 0;
}

/* Whether tierd uses the node, and it is not the one that is emptied. */
static bool is_candidate(const struct drain *d, const struct shown_node *n) {
        return n->id != d->nid && !n->left_alone && n->total_bytes > 0;
}

static bool has_candidate(const struct drain *d) {
        for (size_t i = 0; i < d->machine->n_nodes; i++)
                if (is_candidate(d, d->machine->nodes + i))
                        return true;
        return false;
}

/* The candidate with most room, and how much; -1: none has any. */
static int find_target(const struct drain *d, uint64_t *ret_room) {
        uint64_t most = 0;
        int best = -1;

        for (size_t i = 0; i < d->machine->n_nodes; i++) {
                const struct shown_node *n = d->machine->nodes + i;
                uint64_t room = is_candidate(d, n) ? room_on(d->root, n->id, d->kept[i]) : 0;

                if (room > most) {
                        most = room;
                        best = n->id;
                }
        }
        *ret_room = most;
        return best;
}

static void show(const struct drain *d, bool done) {
        char left[FORMAT_MAX], all[FORMAT_MAX];
        uint64_t bytes;

        if ((!d->terminal && !done) || meminfo(d->root, d->nid, "MemUsed", &bytes) < 0)
                return;
        (void) printf("%snode %d: %s in use of %s at first%s", d->terminal ? "\r\033[K" : "", d->nid,
                      format_size(bytes, left, sizeof(left)), format_size(d->begun_bytes, all, sizeof(all)), done ? "\n" : "");
        (void) fflush(stdout);
}

/* What no node has room for as a whole goes in parts, as far as there is room. */
static int move_parts(const struct drain *d, uint64_t pid, uint64_t bytes) {
        uint64_t room, moved;
        int target;

        while (bytes > 0 && (target = find_target(d, &room)) >= 0) {
                int r;

                r = process_move_part(d->root, pid, d->nid, target, MIN(room, bytes), &moved);
                if (r < 0)
                        return r;
                bytes -= MIN(bytes, moved);
                show(d, false);
                /* Each part is searched for from the beginning: not for single pages. */
                if (moved < STEP_BYTES)
                        break;
        }
        return bytes > 0 ? -ENOMEM : 0;
}

static int move_process(const struct drain *d, uint64_t pid) {
        uint64_t room, bytes, used;
        int target = find_target(d, &room);

        if (target < 0)
                return -ENOMEM;
        /* The kernel walks all of a process for its numa_maps: only where the node as a whole does not fit. */
        if (meminfo(d->root, d->nid, "MemUsed", &used) == 0 && used <= room)
                return process_move(pid, d->nid, target);
        if (process_bytes_on(d->root, pid, d->nid, &bytes) == 0 && bytes > room)
                return move_parts(d, pid, bytes);
        return process_move(pid, d->nid, target);
}

/* Every process's pages, each time to the node that has most room then. */
static int pass(struct drain *d) {
        uint64_t *pids = NULL;
        size_t n = 0;
        int r;

        r = dir_read_numbers(d->root, "proc", "", &pids, &n);
        if (r < 0)
                return r;
        d->denied = d->without_room = 0;
        for (size_t i = 0; i < n; i++) {
                int k = move_process(d, pids[i]);

                d->denied += k == -EPERM || k == -EACCES;
                d->without_room += k == -ENOMEM;
                show(d, false);
        }
        free(pids);
        return 0;
}

/* Until nothing more goes. *ret_mapped: the processes' memory that stays. */
static int empty(struct drain *d, uint64_t *ret_mapped) {
        uint64_t before = UINT64_MAX;

        for (unsigned i = 0; i < PASSES_MAX; i++) {
                int r;

                r = pass(d);
                if (r == 0)
                        r = mapped_bytes(d, ret_mapped);
                if (r < 0)
                        return r;
                if (*ret_mapped < STEP_BYTES || (before != UINT64_MAX && *ret_mapped + STEP_BYTES > before))
                        break;
                before = *ret_mapped;
        }
        show(d, true);
        return 0;
}

static int conclude(const struct drain *d, uint64_t mapped) {
        char text[FORMAT_MAX];
        uint64_t cache = 0;

        if (mapped >= STEP_BYTES) {
                (void) fprintf(stderr,
                               "tierctl: %s of processes' memory stay on node %d: %s; tierd leaves the node alone until "
                               "`tierctl undrain %d`\n",
                               format_size(mapped, text, sizeof(text)), d->nid,
                               !has_candidate(d)     ? "tierd uses no other node that could take them"
                               : d->without_room > 0 ? "the other nodes that tierd uses have no room"
                               : d->denied > 0       ? "some processes may not be asked to move theirs"
                                                     : "it is pinned, or bound to the node, or comes anew all the time",
                               d->nid);
                return d->without_room == 0 && d->denied > 0 ? EXIT_NOT_PERMITTED : EXIT_NO;
        }
        (void) meminfo(d->root, d->nid, "FilePages", &cache);
        if (cache >= STEP_BYTES)
                (void) printf("%s of page cache are left; taking the memory offline moves them.\n",
                              format_size(cache, text, sizeof(text)));
        (void) printf("tierd leaves node %d alone until its memory has gone, or `tierctl undrain %d`.\n", d->nid, d->nid);
        return EXIT_WELL;
}

static int read_nid(const struct invocation *call, const char *verb, int *ret) {
        if (parse_int(call->argv[0], 0, NODE_ID_MAX, ret) == 0)
                return 0;
        (void) fprintf(stderr, "tierctl: %s: \"%s\" is not the number of a node\n", verb, call->argv[0]);
        return -EINVAL;
}

/* Asks the daemon to leave the node alone, and how it sees the machine then. */
static int begin(int nid, struct snapshot **ret, struct diag *reterr) {
        _cleanup_client_ sd_bus *bus = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        /* Whether the kernel lets this caller do it is known beforehand by asking for nothing. */
        r = process_move((uint64_t) getpid(), nid, nid);
        if (r < 0)
                return diag_set(reterr, r == -EPERM ? -EACCES : -EIO, "the kernel does not move pages for this caller: %s",
                                strerror(-r));
        r = client_open(&bus, reterr);
        if (r == 0)
                r = client_call_node(bus, "Drain", nid, reterr);
        if (r == 0)
                r = client_call(bus, "Describe", false, CLIENT_READ_TIMEOUT_US, &text, reterr);
        if (r < 0)
                return r;
        r = snapshot_parse(text, ret);
        return r < 0 ? diag_set(reterr, r == -ENOMEM ? r : -EIO, "tierd's answer cannot be read; is it of another version?")
                     : 0;
}

int verb_drain(const struct invocation *call) {
        _cleanup_snapshot_ struct snapshot *machine = NULL;
        _cleanup_free_ uint64_t *kept = NULL;
        struct drain d = { .root = call->root, .terminal = isatty(STDOUT_FILENO) };
        uint64_t mapped = 0, total = 0;
        struct diag diag = {};
        int r;

        if (read_nid(call, "drain", &d.nid) < 0)
                return EXIT_USAGE;
        r = meminfo(call->root, d.nid, "MemTotal", &total);
        if (r == -ENOENT || (r == 0 && total == 0)) {
                (void) fprintf(stderr, "tierctl: drain: there is no node %d%s\n", d.nid, r == 0 ? " with memory" : "");
                return EXIT_NO;
        }
        if (r == 0)
                r = meminfo(call->root, d.nid, "MemUsed", &d.begun_bytes);
        if (r == 0) {
                r = begin(d.nid, &machine, &diag);
                if (r < 0)
                        return client_report(&diag);
                d.machine = machine;
                r = read_kept(&d);
                kept = d.kept;
        }
        if (r == 0)
                r = empty(&d, &mapped);
        if (r < 0) {
                (void) diag_default(&diag, r, "cannot read how much node %d holds: %s", d.nid, strerror(-r));
                return report_failure(&diag);
        }
        return conclude(&d, mapped);
}

int verb_undrain(const struct invocation *call) {
        _cleanup_client_ sd_bus *bus = NULL;
        struct diag diag = {};
        int nid, r;

        if (read_nid(call, "undrain", &nid) < 0)
                return EXIT_USAGE;
        r = client_open(&bus, &diag);
        if (r == 0)
                r = client_call_node(bus, "Undrain", nid, &diag);
        return r < 0 ? client_report(&diag) : EXIT_WELL;
}
