/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "damon/observe.h"
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

int kdamond_read_stats(int root, int slot, size_t scheme, enum stats_set set, struct scheme_stats *ret, struct diag *reterr) {
        struct scheme_stats fresh = {};
        const struct {
                const char *name;
                uint64_t *value;
                enum stats_set since;
        } counters[] = {
                { "stats/sz_tried", &fresh.sz_tried, STATS_TRIED },
                { "stats/sz_applied", &fresh.sz_applied, STATS_TUNED_BY },
                { "stats/nr_tried", &fresh.nr_tried, STATS_SHOWN },
                { "stats/nr_applied", &fresh.nr_applied, STATS_SHOWN },
                { "stats/qt_exceeds", &fresh.qt_exceeds, STATS_SHOWN },
                { "quotas/effective_bytes", &fresh.effective_bytes, STATS_WITH_QUOTA },
        };

        for (size_t i = 0; i < ELEMENTSOF(counters) && counters[i].since <= set; i++) {
                int r;

                r = read_counter(root, slot, scheme, counters[i].name, counters[i].value, reterr);
                if (r < 0)
                        return r;
        }
        *ret = fresh;
        return 0;
}

int kdamond_read_effective(int root, int slot, size_t n, uint64_t *ret, struct diag *reterr) {
        int r;

        r = kdamond_command(root, slot, "update_schemes_effective_quotas", &APPLY_PATIENCE, reterr);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = read_counter(root, slot, i, "quotas/effective_bytes", ret + i, reterr);
        return r;
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
