/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/iomem.h"
#include "base/file.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* One line is some 60 bytes; even 64 TiB hotplugged block by block has no more than half a million. */
#define IOMEM_SIZE_MAX (64U << 20)

/* The kernel indents no further than this, whatever the depth (kernel/resource.c, MAX_IORES_LEVEL: 5); some room beyond. */
#define IOMEM_LEVELS 8

enum parent { PARENT_OTHER, PARENT_CXL, PARENT_PMEM };

void iomem_done(struct iomem *iomem) {
        range_list_done(&iomem->ram);
        range_list_done(&iomem->cxl);
        range_list_done(&iomem->pmem);
        range_list_done(&iomem->gpu);
        range_list_done(&iomem->soft);
        range_list_done(&iomem->dax);
}

static int take_hex(const char **p, uint64_t *ret) {
        uint64_t v = 0;
        int digits = 0;

        for (;; (*p)++, digits++) {
                unsigned d;

                if (**p >= '0' && **p <= '9')
                        d = (unsigned) (**p - '0');
                else if (**p >= 'a' && **p <= 'f')
                        d = (unsigned) (**p - 'a') + 10;
                else
                        break;
                if (v >> 60)
                        return -EBADMSG;
                v = v << 4 | d;
        }
        if (digits == 0)
                return -EBADMSG;
        *ret = v;
        return 0;
}

struct line {
        size_t level;
        uint64_t first, last;
        const char *name;               /* not terminated */
        size_t name_len;
};

/* "  00100000-7ffdefff : System RAM", two blanks a level. Returns the start of the next line in *p. */
static int take_line(const char **p, struct line *ret) {
        struct line line = {};
        const char *q = *p;

        while (q[0] == ' ' && q[1] == ' ') {
                q += 2;
                line.level++;
        }
        if (take_hex(&q, &line.first) < 0 || *q++ != '-' || take_hex(&q, &line.last) < 0 || strncmp(q, " : ", 3) != 0 ||
            line.last < line.first)
                return -EBADMSG;
        line.name = q + 3;
        line.name_len = strcspn(line.name, "\n");
        q = line.name + line.name_len;
        *p = *q ? q + 1 : q;
        *ret = line;
        return 0;
}

static bool name_starts(const struct line *line, const char *prefix) {
        size_t len = strlen(prefix);

        return line->name_len >= len && memcmp(line->name, prefix, len) == 0;
}

static bool name_is(const struct line *line, const char *name) {
        return line->name_len == strlen(name) && name_starts(line, name);
}

/* Puts what the line names on its list, if on any. */
static int add_line(struct iomem *iomem, const struct line *line, enum parent within, uint64_t end) {
        int r;

        if (name_is(line, "Soft Reserved"))
                return range_list_add(&iomem->soft, line->first, end);
        if (name_starts(line, "dax"))
                return range_list_add(&iomem->dax, line->first, end);
        /* "System RAM (kmem)", "System RAM (virtio_mem)": hotplugged by a driver, counts as well. */
        if (!name_is(line, "System RAM") && !name_starts(line, "System RAM ("))
                return 0;
        r = range_list_add(&iomem->ram, line->first, end);
        if (r < 0)
                return r;
        if (within == PARENT_CXL)
                return range_list_add(&iomem->cxl, line->first, end);
        if (within == PARENT_PMEM)
                return range_list_add(&iomem->pmem, line->first, end);
        if (name_is(line, "System RAM (NVIDIA)"))
                return range_list_add(&iomem->gpu, line->first, end);
        return 0;
}

int iomem_parse(const char *text, struct iomem *ret, size_t *reterr_line) {
        _cleanup_iomem_ struct iomem iomem = {};
        enum parent parents[IOMEM_LEVELS] = {};
        bool addresses = false;
        size_t number = 0;
        int r;

        for (const char *p = text; *p;) {
                enum parent within;
                struct line line;
                uint64_t end;

                number++;
                r = take_line(&p, &line);
                if (r < 0 || line.level >= IOMEM_LEVELS) {
                        if (reterr_line)
                                *reterr_line = number;
                        return -EBADMSG;
                }
                addresses = addresses || line.last > 0;
                end = line.last == UINT64_MAX ? line.last : line.last + 1;

                within = line.level > 0 ? parents[line.level - 1] : PARENT_OTHER;
                if (name_starts(&line, "CXL Window"))
                        within = PARENT_CXL;
                else if (name_starts(&line, "Persistent Memory"))
                        within = PARENT_PMEM;
                /* Levels that a line jumps over inherit as well: the file is not required to name them. */
                for (size_t i = line.level; i < IOMEM_LEVELS; i++)
                        parents[i] = within;

                r = add_line(&iomem, &line, within, end);
                if (r < 0)
                        return r;
        }

        if (!addresses || iomem.ram.n == 0) {
                *ret = (struct iomem) {};
                return IOMEM_UNREADABLE;
        }
        range_list_merge(&iomem.ram);
        range_list_merge(&iomem.cxl);
        range_list_merge(&iomem.pmem);
        range_list_merge(&iomem.gpu);
        range_list_merge(&iomem.soft);
        range_list_merge(&iomem.dax);
        *ret = iomem;
        iomem = (struct iomem) {};
        return 0;
}

int iomem_read(const struct machine *m, struct iomem *ret) {
        static const char path[] = "proc/iomem";
        _cleanup_free_ char *text = NULL;
        size_t len, line = 0;
        int r;

        r = file_read_alloc(m->root, path, IOMEM_SIZE_MAX, &text, &len);
        if (r == -ENOENT || r == -EACCES || r == -EPERM) {
                *ret = (struct iomem) {};
                return IOMEM_UNREADABLE;
        }
        if (r < 0)
                return machine_fail_read(m, r, path);
        if (strlen(text) != len)
                return machine_fail_read(m, -EBADMSG, path);
        r = iomem_parse(text, ret, &line);
        if (r == -EBADMSG)
                return machine_fail(m, r, path, "line %zu is not \"START-END : NAME\"", line);
        if (r < 0)
                return machine_fail_read(m, r, path);
        return r;
}
