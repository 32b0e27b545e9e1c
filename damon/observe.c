/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "damon/observe.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "damon/apply.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int kdamond_refresh(int root, int slot, bool with_quotas, struct diag *reterr) {
        int r;

        r = kdamond_command(root, slot, "update_schemes_stats", &APPLY_PATIENCE, reterr);
        if (r < 0 || !with_quotas)
                return r;
        return kdamond_command(root, slot, "update_schemes_effective_quotas", &APPLY_PATIENCE, reterr);
}

static int read_counter(int root, int slot, size_t scheme, const char *name, uint64_t *ret, struct diag *reterr) {
        char path[PATH_SIZE];
        int r;

        r = path_format(path, sizeof(path), DAMON_ADMIN "/%d/contexts/0/schemes/%zu/%s", slot, scheme, name);
        if (r < 0)
                return r;
        r = file_read_u64(root, path, ret);
        if (r < 0)
                return diag_set(reterr, r, "/%s: cannot read: %s", path, strerror(-r));
        return 0;
}

static int read_scheme(int root, int slot, size_t i, bool with_quotas, struct scheme_stats *ret, struct diag *reterr) {
        const struct {
                const char *name;
                uint64_t *value;
                bool wanted;
        } counters[] = {
                { "stats/nr_tried", &ret->nr_tried, true },
                { "stats/sz_tried", &ret->sz_tried, true },
                { "stats/nr_applied", &ret->nr_applied, true },
                { "stats/sz_applied", &ret->sz_applied, true },
                { "stats/qt_exceeds", &ret->qt_exceeds, true },
                { "quotas/effective_bytes", &ret->effective_bytes, with_quotas },
        };

        for (size_t k = 0; k < ELEMENTSOF(counters); k++) {
                int r;

                if (!counters[k].wanted)
                        continue;
                r = read_counter(root, slot, i, counters[k].name, counters[k].value, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

int kdamond_read_stats(int root, int slot, size_t n, bool with_quotas, struct scheme_stats *stats, struct diag *reterr) {
        _cleanup_free_ struct scheme_stats *fresh = NULL;

        if (n == 0)
                return 0;
        fresh = calloc(n, sizeof(*fresh));
        if (!fresh)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r;

                r = read_scheme(root, slot, i, with_quotas, &fresh[i], reterr);
                if (r < 0)
                        return r;
        }
        memcpy(stats, fresh, n * sizeof(*fresh));
        return 0;
}

int kdamond_read_tried(int root, int slot, size_t first, size_t n, uint64_t *tried, struct diag *reterr) {
        _cleanup_free_ uint64_t *fresh = NULL;

        if (n == 0)
                return 0;
        fresh = calloc(n, sizeof(*fresh));
        if (!fresh)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r;

                r = read_counter(root, slot, first + i, "stats/sz_tried", &fresh[i], reterr);
                if (r < 0)
                        return r;
        }
        memcpy(tried, fresh, n * sizeof(*fresh));
        return 0;
}

int kdamond_read_intervals(int root, int slot, bool tuned, uint64_t *ret_sample_us, uint64_t *ret_aggregate_us,
                           struct diag *reterr) {
        static const char *const names[] = { "sample_us", "aggr_us" };
        uint64_t values[ELEMENTSOF(names)];
        int r;

        if (tuned) {
                r = kdamond_command(root, slot, "update_tuned_intervals", &APPLY_PATIENCE, reterr);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[PATH_SIZE];

                r = path_format(path, sizeof(path), DAMON_ADMIN "/%d/contexts/0/monitoring_attrs/intervals/%s", slot, names[i]);
                if (r >= 0)
                        r = file_read_u64(root, path, values + i);
                if (r < 0)
                        return diag_set(reterr, r, "/%s: cannot read: %s", path, strerror(-r));
        }
        *ret_sample_us = values[0];
        *ret_aggregate_us = values[1];
        return 0;
}

/* proc_pid_stat(5): utime and stime are fields 14 and 15, in clock ticks; field 2 is the name, which may hold anything. */
int thread_read_cpu(int root, int pid, uint64_t *ret_us) {
        char path[PATH_SIZE], text[FILE_ATTR_MAX];
        uint64_t ticks = 0, tick_us = 1000000 / (uint64_t) sysconf(_SC_CLK_TCK);
        char *rest;
        int r;

        r = path_format(path, sizeof(path), "proc/%d/stat", pid);
        if (r < 0)
                return r;
        r = file_read(root, path, text, sizeof(text));
        if (r < 0)
                return r;
        rest = strrchr(text, ')');
        for (int field = 2; rest && field <= 15; field++) {
                char *word = strsep(&rest, " ");
                uint64_t value;

                if (field < 14)
                        continue;
                if (parse_u64(word, &value) < 0)
                        return -EBADMSG;
                ticks += value;
        }
        if (!rest)
                return -EBADMSG;
        *ret_us = ticks * tick_us;
        return 0;
}

/* "Node 0 MemTotal:       16384 kB": the number of the line that begins with this label, in bytes. */
static int meminfo_field(const char *text, const char *label, uint64_t *ret) {
        for (const char *line = text; *line != '\0';) {
                size_t len = strcspn(line, "\n");

                if (len > strlen(label) && strncmp(line, label, strlen(label)) == 0) {
                        const char *p = line + strlen(label);
                        char digits[24];
                        uint64_t kib;
                        size_t n;

                        p += strspn(p, " ");
                        n = strspn(p, "0123456789");
                        if (n == 0 || n >= sizeof(digits) || strncmp(p + n, " kB", 3) != 0)
                                return -EBADMSG;
                        memcpy(digits, p, n);
                        digits[n] = '\0';
                        if (parse_u64(digits, &kib) < 0 || kib > UINT64_MAX / 1024)
                                return -EBADMSG;
                        *ret = kib * 1024;
                        return 0;
                }
                line += len + (line[len] == '\n');
        }
        return -EBADMSG;
}

int node_read_meminfo(int root, int nid, uint64_t *ret_total, uint64_t *ret_free) {
        char path[PATH_SIZE], text[FILE_ATTR_MAX], label[64];
        uint64_t total, free_bytes;
        int r;

        r = path_format(path, sizeof(path), "sys/devices/system/node/node%d/meminfo", nid);
        if (r < 0)
                return r;
        r = file_read(root, path, text, sizeof(text));
        if (r < 0)
                return r == -EFBIG ? -EBADMSG : r;
        (void) snprintf(label, sizeof(label), "Node %d MemTotal:", nid);
        r = meminfo_field(text, label, &total);
        if (r < 0)
                return r;
        (void) snprintf(label, sizeof(label), "Node %d MemFree:", nid);
        r = meminfo_field(text, label, &free_bytes);
        if (r < 0)
                return r;
        *ret_total = total;
        *ret_free = free_bytes;
        return 0;
}
