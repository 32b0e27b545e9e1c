/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/system.h"
#include "base/file.h"
#include "damon/apply.h"

#include <errno.h>
#include <string.h>

#define NUMA_BALANCING "proc/sys/kernel/numa_balancing"
#define RECLAIM_DEMOTION "sys/kernel/mm/numa/demotion_enabled"

/* damon_read_exclusive(), with a sentence for its failure. */
static int read_modules(int root, char names[static MODULE_NAMES_SIZE], struct diag *reterr) {
        int r;

        r = damon_read_exclusive(root, names, MODULE_NAMES_SIZE);
        if (r < 0)
                return diag_set(reterr, r, "/sys/module/damon_*/parameters/enabled: cannot read who holds DAMON: %s",
                                strerror(-r));
        return r;
}

int system_check_modules(int root, const struct config *c, struct diag *reterr) {
        char names[MODULE_NAMES_SIZE];
        int r;

        if (c->exclusive_modules != MODULES_REFUSE)
                return 0;
        r = read_modules(root, names, reterr);
        if (r > 0)
                return diag_set(reterr, -EBUSY,
                                "%s of the kernel holds DAMON, and the configuration says exclusive_modules: refuse; write N "
                                "to its /sys/module/…/parameters/enabled, or set exclusive_modules: stop", names);
        return r;
}

int system_stop_modules(int root, struct saved *saved, char ret_stopped[static MODULE_NAMES_SIZE], struct diag *reterr) {
        char names[MODULE_NAMES_SIZE], list[MODULE_NAMES_SIZE], path[PATH_SIZE];
        char *rest = list;
        int n, r;

        n = read_modules(root, names, reterr);
        if (n < 0)
                return n;
        memcpy(list, names, sizeof(list));
        for (int i = 0; i < n && rest; i++) {
                const char *name = strsep(&rest, ",");

                name += strspn(name, " ");
                r = path_format(path, sizeof(path), "sys/module/%s/parameters/enabled", name);
                if (r < 0)
                        return diag_set(reterr, r, "the module \"%s\": its path is too long", name);
                r = saved_change(saved, path, "N", reterr);
                if (r < 0)
                        return r;
        }
        memcpy(ret_stopped, names, sizeof(names));
        return 0;
}

/* NULL: as it was before tierd. */
static int set(struct saved *saved, const char *path, const char *value, struct diag *reterr) {
        struct diag d = {};
        int r;

        r = value ? saved_change(saved, path, value, &d) : saved_put_back(saved, path, &d);
        if (r < 0 && r != -ENOENT)
                return diag_set(reterr, r, "%s", d.text);
        return 0;
}

static bool wants_no_balancing(const struct topology *t, const struct config *c) {
        return c->numa_balancing == BALANCING_OFF ||
               (c->numa_balancing == BALANCING_AUTO && topology_count_cpu_nodes(t) <= 1);
}

int system_set_numa_balancing(const struct topology *t, const struct config *c, struct saved *saved, struct diag *reterr) {
        return set(saved, NUMA_BALANCING, wants_no_balancing(t, c) ? "0" : NULL, reterr);
}

/* No privilege, or a mount that the unit's sandbox made read-only; of the setting itself, not of the record of it. */
static bool is_denied(int error, const struct diag *d) {
        return (error == -EPERM || error == -EACCES || error == -EROFS) &&
               strncmp(d->text, "/" NUMA_BALANCING, strlen("/" NUMA_BALANCING)) == 0;
}

int system_set_balancing(const struct topology *t, const struct config *c, struct saved *saved, struct diag *ret_advice,
                         struct diag *reterr) {
        static const char *const demotion[] = { [SETTING_KEEP] = NULL, [SETTING_ON] = "true", [SETTING_OFF] = "false" };
        struct diag d = {};
        int r;

        r = system_set_numa_balancing(t, c, saved, &d);
        if (is_denied(r, &d)) {
                /* What this process could not change it need not put back; what it could change once, it must. */
                r = wants_no_balancing(t, c) ? saved_forget(saved, NUMA_BALANCING, reterr) : 0;
                if (r < 0)
                        return r;
                (void) diag_set(ret_advice, d.error,
                                "%s; going on with it as it is. Setting it takes a privilege that this process does not have: "
                                "tierd.service does it when it is started or reloaded by systemctl", d.text);
        } else if (r < 0)
                return diag_set(reterr, r, "%s", d.text);
        return set(saved, RECLAIM_DEMOTION, demotion[c->reclaim_demotion], reterr);
}
