/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/system.h"
#include "base/file.h"

#include <errno.h>
#include <string.h>

#define NUMA_BALANCING "proc/sys/kernel/numa_balancing"
#define RECLAIM_DEMOTION "sys/kernel/mm/numa/demotion_enabled"

/*
 * The in-kernel users of damon_start(), all of them with a parameter `enabled` (mm/damon/{stat,reclaim,lru_sort}.c,
 * samples/damon/{mtier,prcl,wsse}.c). While one runs, a kdamond of the sysfs interface is refused.
 */
static const char *const modules[] = {
        "damon_stat", "damon_reclaim", "damon_lru_sort", "damon_sample_mtier", "damon_sample_prcl", "damon_sample_wsse",
};

/* 1 when the module's `enabled` is on. */
static int module_is_enabled(int root, const char *module, char *path, size_t size) {
        char value[16];
        int r;

        r = path_format(path, size, "sys/module/%s/parameters/enabled", module);
        if (r < 0)
                return r;
        r = file_read_line(root, path, value, sizeof(value));
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        return strcmp(value, "Y") == 0 || strcmp(value, "1") == 0;
}

int system_stop_modules(int root, enum modules_policy policy, struct saved *saved, char *ret_stopped, size_t size,
                        struct diag *reterr) {
        char path[PATH_SIZE];
        size_t len = 0;
        int r;

        if (ret_stopped)
                ret_stopped[0] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(modules); i++) {
                r = module_is_enabled(root, modules[i], path, sizeof(path));
                if (r < 0)
                        return diag_set(reterr, r, "/%s: cannot read: %s", path, strerror(-r));
                if (r == 0)
                        continue;
                if (policy == MODULES_REFUSE)
                        return diag_set(reterr, -EBUSY,
                                        "%s holds DAMON (/%s is Y) and the configuration says exclusive_modules: refuse; "
                                        "switch it off, or set exclusive_modules: stop", modules[i], path);
                r = saved_change(saved, path, "N", reterr);
                if (r < 0)
                        return r;
                if (ret_stopped && len < size) {
                        int n = snprintf(ret_stopped + len, size - len, "%s%s", len ? ", " : "", modules[i]);

                        len += n > 0 ? (size_t) n : 0;
                }
        }
        return 0;
}

/* How many nodes have CPUs: more than one, and NUMA balancing also brings pages to their own socket. */
static size_t count_cpu_nodes(const struct topology *t) {
        size_t n = 0;

        for (size_t i = 0; i < t->n_nodes; i++)
                n += !idset_is_empty(&t->nodes[i].cpus);
        return n;
}

int system_set_balancing(const struct topology *t, const struct config *c, struct saved *saved, struct diag *reterr) {
        bool off = c->numa_balancing == BALANCING_OFF || (c->numa_balancing == BALANCING_AUTO && count_cpu_nodes(t) <= 1);
        int r;

        if (off) {
                r = saved_change(saved, NUMA_BALANCING, "0", reterr);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        if (c->reclaim_demotion != SETTING_KEEP) {
                r = saved_change(saved, RECLAIM_DEMOTION, c->reclaim_demotion == SETTING_ON ? "true" : "false", reterr);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        return 0;
}
