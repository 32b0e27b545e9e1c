/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/drained.h"
#include "base/file.h"
#include "tierd/saved.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BOOT_ID "proc/sys/kernel/random/boot_id"
#define RECORD RUN_DIRECTORY "/" DRAINED_RECORD

/* One line: "tierd 1 boot ID nodes 2,5-6". */
#define HEADER "tierd 1 boot "
#define NODES " nodes "
/* Every other node that there can be, five characters each, and what stands before them. */
#define LINE_MAX_BYTES ((NODE_ID_MAX + 1) / 2 * 5 + 128)

static int read_boot_id(int root, char *buf, size_t size, struct diag *reterr) {
        int r;

        r = file_read_line(root, BOOT_ID, buf, size);
        return r < 0 ? diag_set(reterr, r, "/" BOOT_ID ": cannot read: %s", strerror(-r)) : 0;
}

/* -EBADMSG: it is no record. */
static int parse(char *line, const char *boot_id, struct idset *ret) {
        char *nodes = strstr(line, NODES);
        struct idset s;

        if (strncmp(line, HEADER, strlen(HEADER)) != 0 || !nodes)
                return -EBADMSG;
        *nodes = '\0';
        if (idset_parse(nodes + strlen(NODES), NODE_ID_MAX, &s) < 0 || idset_is_empty(&s))
                return -EBADMSG;
        *ret = strcmp(line + strlen(HEADER), boot_id) == 0 ? s : (struct idset) {};
        return 0;
}

int drained_read(int root, int run, struct idset *ret, struct diag *reterr) {
        char line[LINE_MAX_BYTES], boot_id[64];
        int r;

        r = file_read_line(run, DRAINED_RECORD, line, sizeof(line));
        if (r == -ENOENT) {
                *ret = (struct idset) {};
                return 0;
        }
        if (r == -EFBIG)
                r = -EBADMSG;
        if (r < 0 && r != -EBADMSG)
                return diag_set(reterr, r, RECORD ": cannot read the record of drained nodes: %s", strerror(-r));
        if (r >= 0) {
                r = read_boot_id(root, boot_id, sizeof(boot_id), reterr);
                if (r < 0)
                        return r;
                r = parse(line, boot_id, ret);
        }
        return r < 0 ? diag_set(reterr, r, RECORD ": this record of drained nodes is damaged") : 0;
}

int drained_write(int root, int run, const struct idset *drained, struct diag *reterr) {
        char line[LINE_MAX_BYTES], nodes[LINE_MAX_BYTES - 100], boot_id[64];
        int r;

        if (idset_is_empty(drained)) {
                if (unlinkat(run, DRAINED_RECORD, 0) < 0 && errno != ENOENT)
                        return diag_set(reterr, -errno, RECORD ": cannot remove: %s", strerror(errno));
                return 0;
        }
        r = read_boot_id(root, boot_id, sizeof(boot_id), reterr);
        if (r < 0)
                return r;
        r = idset_format(drained, nodes, sizeof(nodes));
        if (r >= 0)
                r = path_format(line, sizeof(line), HEADER "%s" NODES "%s\n", boot_id, nodes);
        if (r >= 0)
                r = file_replace(run, DRAINED_RECORD, line, strlen(line));
        return r < 0 ? diag_set(reterr, r, RECORD ": cannot write the record of drained nodes: %s", strerror(-r)) : 0;
}
