/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "damon/apply.h"
#include "policy/missing.h"
#include "tierctl/doctor-internal.h"
#include "tierctl/settings.h"

#include <errno.h>
#include <string.h>

/* Each look names what it read; sources for the kernel's behaviour: docs/kernels.md. */

static bool not_permitted(int r) {
        return r == -EACCES || r == -EPERM;
}

void cannot_tell(struct check *k, const char *path, int r) {
        k->state = CHECK_UNKNOWN;
        check_summary(k, "/%s: cannot read: %s", path, strerror(-r));
        if (not_permitted(r))
                check_action(k, "Run tierctl doctor as root: only root may read this file.");
}

/* Returns whether the interface is there. */
static bool look_at_damon(struct patient *p) {
        struct check *k = checkup_add(p->c, "damon", CHECK_OK), *owners;
        struct diag d = {};
        int r, tierd;

        r = damon_read_owners(p->root, &d);
        if (r == -ENOENT) {
                k->state = CHECK_PROBLEM;
                check_summary(k, "the kernel has no DAMON interface below /sys/kernel/mm/damon/admin");
                check_meaning(
                        k, "tierd sees and moves memory through DAMON. Stock kernels of Debian 12 and Ubuntu 24.04 are built "
                           "without it; those of Debian 13, Fedora, CentOS Stream, Amazon Linux and Oracle have it.");
                check_action(k, "%s", d.text);
                k->patches = missing_supplier(MISSING_DAMON, p->capability.major, p->capability.minor);
                return false;
        }
        if (r < 0) {
                cannot_tell(k, DAMON_ADMIN "/nr_kdamonds", r);
                return true;
        }
        check_summary(k, "the DAMON interface is there");

        owners = checkup_add(p->c, "owners", CHECK_OK);
        if (r == 0) {
                check_summary(owners, "no other program holds DAMON");
                return true;
        }
        tierd = file_exists(p->root, "run/tierd/state");
        if (tierd > 0) {
                owners->state = CHECK_INFO;
                check_summary(owners, "%d kdamond slot%s held, most likely by tierd itself (/run/tierd/state is there)", r,
                              r == 1 ? " is" : "s are");
                return true;
        }
        owners->state = CHECK_PROBLEM;
        check_summary(owners, "another program holds DAMON: nr_kdamonds is %d", r);
        check_meaning(owners, "tierd refuses to start beside it: changing the number of kdamonds would throw its work away.");
        check_action(owners, "%s", d.text);
        return true;
}

/* DAMON_RECLAIM and its like need physical address monitoring, so where they are built in, it is. */
static void look_at_paddr(struct patient *p) {
        static const char *const modules[] = { "damon_reclaim", "damon_lru_sort", "damon_stat" };
        struct check *k = checkup_add(p->c, "paddr", CHECK_OK);
        char path[PATH_SIZE], text[64];

        /* Where someone has staged a context, it names them. */
        if (file_read(p->root, DAMON_ADMIN "/0/contexts/0/avail_operations", text, sizeof(text)) >= 0 &&
            strstr(text, "paddr\n")) {
                check_summary(k, "DAMON monitors physical addresses");
                return;
        }
        for (size_t i = 0; i < ELEMENTSOF(modules); i++) {
                int r = path_format(path, sizeof(path), "sys/module/%s", modules[i]);

                if (r >= 0)
                        r = file_exists(p->root, path);
                if (r > 0) {
                        check_summary(k, "DAMON monitors physical addresses");
                        return;
                }
                if (r < 0) {
                        cannot_tell(k, path, r);
                        return;
                }
        }
        k->state = CHECK_INFO;
        check_summary(k, "physical address monitoring cannot be told without starting it");
        check_meaning(
                k,
                "It is there when the kernel is built with CONFIG_DAMON_PADDR. tierd finds out when it starts, and says so.");
}

static void look_at_modules(struct patient *p) {
        struct check *k = checkup_add(p->c, "exclusive-modules", CHECK_OK);
        char names[128];
        int n;

        n = damon_read_exclusive(p->root, names, sizeof(names));
        if (n < 0) {
                cannot_tell(k, "sys/module/damon_*/parameters/enabled", n);
                return;
        }
        if (n == 0) {
                check_summary(k, "none of the kernel's own DAMON modules runs");
                return;
        }
        check_summary(k, "enabled: %s", names);
        if (p->config && p->config->exclusive_modules == MODULES_REFUSE) {
                k->state = CHECK_PROBLEM;
                check_meaning(k, "While one of these runs, the kernel refuses every other kdamond, and `exclusive_modules: "
                                 "refuse` in tierd.yaml keeps tierd from stopping them: it does not start.");
                check_action(k, "Write N to /sys/module/…/parameters/enabled, or set `exclusive_modules: stop`.");
                return;
        }
        k->state = CHECK_WARNING;
        check_meaning(k, "While one of these runs, the kernel refuses every other kdamond. tierd stops them when it starts and "
                         "puts them "
                         "back when it ends; with `exclusive_modules: refuse` it does not start.");
        check_action(k, "Nothing, or switch it off for good on the kernel command line (such as damon_stat.enabled=N).");
}

static void look_at_balancing(struct patient *p) {
        static const char path[] = "proc/sys/kernel/numa_balancing";
        struct check *k = checkup_add(p->c, "numa-balancing", CHECK_OK);
        uint64_t mode;
        int r;

        r = file_read_u64(p->root, path, &mode);
        if (r == -ENOENT || (r >= 0 && mode == 0)) {
                check_summary(k, r < 0 ? "the kernel has no NUMA balancing" : "NUMA balancing is off");
                return;
        }
        if (r < 0) {
                cannot_tell(k, path, r);
                return;
        }
        check_summary(k, "NUMA balancing is on (mode %llu)", (unsigned long long) mode);
        if ((mode & 2) != 0 || (p->topology && topology_count_cpu_nodes(p->topology) > 1)) {
                k->state = CHECK_WARNING;
                check_meaning(
                        k,
                        "It moves hot pages too, and before DAMON sees them: two movers work against each other. Where CPUs "
                        "sit on "
                        "several nodes tierd leaves it on by itself, because there it also brings pages to their own socket.");
                check_action(k, "Set `numa_balancing: off` in tierd.yaml if promotion between tiers matters more here.");
        } else {
                k->state = CHECK_INFO;
                check_meaning(k, "tierd switches it off while it runs, unless told `numa_balancing: keep`, and puts it back at "
                                 "its end.");
        }
}

static void look_at_demotion(struct patient *p) {
        static const char path[] = "sys/kernel/mm/numa/demotion_enabled";
        struct check *k = checkup_add(p->c, "reclaim-demotion", CHECK_OK);
        char value[16];
        int r;

        r = file_read_line(p->root, path, value, sizeof(value));
        if (r == -ENOENT) {
                check_summary(k, "reclaim cannot demote on this kernel");
                if (p->config && p->config->reclaim_demotion == SETTING_ON) {
                        k->state = CHECK_WARNING;
                        check_meaning(k, "`reclaim_demotion: on` in tierd.yaml has no effect here.");
                }
                return;
        }
        if (r < 0) {
                cannot_tell(k, path, r);
                return;
        }
        if (strcmp(value, "true") == 0) {
                check_summary(k, "reclaim demotes before it swaps");
                check_meaning(k, "A fast backup beside tierd, for allocation bursts.");
        } else {
                k->state = CHECK_INFO;
                check_summary(k, "reclaim swaps or drops pages instead of demoting them");
                check_meaning(
                        k, "When memory fills faster than tierd demotes, pages leave memory although a lower tier has room.");
                check_action(k, "`reclaim_demotion: on` in tierd.yaml makes reclaim demote as well.");
        }
}

static void look_at_tiers(struct patient *p, int topology_error, const char *why) {
        struct check *k = checkup_add(p->c, "tiers", CHECK_OK);

        if (topology_error == -EINVAL && p->config && p->config->tiers.n_tiers > 0) {
                k->state = CHECK_PROBLEM;
                check_summary(k, "the tiers of the configuration are not of this machine");
                check_meaning(k, "%s", why);
                check_action(k, "Name nodes that tierctl topology shows, or write `tiers: auto`.");
                return;
        }
        if (!p->topology) {
                k->state = not_permitted(topology_error) ? CHECK_UNKNOWN : CHECK_PROBLEM;
                check_summary(k, "the memory nodes cannot be read");
                check_meaning(k, "%s", why);
                return;
        }
        if (p->topology->n_tiers < 2) {
                k->state = CHECK_WARNING;
                check_summary(k, "all memory is of one tier: there is nothing to manage");
                check_meaning(k, "tierd starts, finds no node below or above another one, and waits for such a node to come.");
                check_action(
                        k, "If that is not what this machine is, say what it is with `tiers:` in tierd.yaml; tierctl topology "
                           "shows the nodes.");
                return;
        }
        check_summary(k, "%zu tiers, ranked by %s", p->topology->n_tiers, rank_source_to_string(p->topology->rank_source));
        if (p->topology->rank_source == RANK_DISTANCE) {
                k->state = CHECK_INFO;
                check_meaning(
                        k, "The firmware describes no performance (HMAT), so nodes are ranked by having CPUs and by distance.");
                check_action(k, "Compare with tierctl topology; `tiers:` in tierd.yaml overrides it.");
        }
}

/* Memory blocks of the node that are there and not in use. */
static int count_offline(int root, int nid, size_t *ret_offline, size_t *ret_all) {
        _cleanup_free_ uint64_t *blocks = NULL;
        char path[PATH_SIZE], state[32];
        size_t n, offline = 0;
        int r;

        r = path_format(path, sizeof(path), "sys/devices/system/node/node%d", nid);
        if (r >= 0)
                r = dir_read_numbers(root, path, "memory", &blocks, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = path_format(path, sizeof(path), "sys/devices/system/memory/memory%llu/state",
                                (unsigned long long) blocks[i]);
                if (r >= 0)
                        r = file_read_line(root, path, state, sizeof(state));
                if (r >= 0 && strcmp(state, "offline") == 0)
                        offline++;
        }
        *ret_offline = offline;
        *ret_all = n;
        return 0;
}

static void look_at_blocks(struct patient *p) {
        size_t nodes = 0;

        for (size_t i = 0; p->topology && i < p->topology->n_nodes; i++) {
                size_t offline, all;
                struct check *k;
                int nid = p->topology->nodes[i].id;

                if (count_offline(p->root, nid, &offline, &all) < 0 || offline == 0)
                        continue;
                nodes++;
                k = checkup_add(p->c, "offline-memory", CHECK_WARNING);
                check_summary(k, "node %d: %zu of %zu memory blocks are offline", nid, offline, all);
                check_meaning(k, "The kernel does not use them, so neither does tierd.");
                check_action(k, "Online them with daxctl online-memory, or by writing online_movable to "
                                "/sys/devices/system/memory/memoryN/state.");
        }
        if (nodes == 0 && p->topology)
                check_summary(checkup_add(p->c, "offline-memory", CHECK_OK), "no node has memory that is offline");
}

static void look_at_thp(struct patient *p) {
        char text[128], mode[32] = "";
        const char *open, *close;
        struct check *k;

        if (file_read_line(p->root, "sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text)) < 0)
                return;
        open = strchr(text, '[');
        close = open ? strchr(open, ']') : NULL;
        if (!close || (size_t) (close - open) >= sizeof(mode))
                return;
        memcpy(mode, open + 1, (size_t) (close - open) - 1);
        k = checkup_add(p->c, "huge-pages", CHECK_OK);
        check_summary(k, "transparent huge pages: %s", mode);
        if (strcmp(mode, "never") != 0)
                check_meaning(k, "They are moved whole: one hot page keeps its huge page in fast memory.");
}

/* The machine's own configuration; NULL when tierd could not use it. */
static struct config *look_at_configuration(struct patient *p, const char *root_path) {
        struct check *k = checkup_add(p->c, "configuration", CHECK_OK);
        _cleanup_config_ struct config *c = NULL;
        char name[PATH_SIZE];
        struct diag d = {};
        int r;

        r = settings_read(p->root, root_path, name, sizeof(name), &c, &d);
        if (r < 0) {
                k->state = not_permitted(r) ? CHECK_UNKNOWN : CHECK_PROBLEM;
                check_summary(k, r == -EBADMSG ? "the configuration is invalid" : "the configuration cannot be read");
                /* The source line and the caret below it need columns of their own. */
                check_meaning(k, "%.*s", (int) strcspn(d.text, "\n"), d.text);
                if (r == -EBADMSG)
                        check_action(k, "tierctl check shows the place.");
                return NULL;
        }
        if (name[0] == '\0')
                check_summary(k, "there is no " TIERD_SYSCONFDIR "/tierd.yaml: the defaults hold");
        else if (c->warnings) {
                k->state = CHECK_INFO;
                check_summary(k, "%s is valid", name);
                check_meaning(k, "%s", c->warnings);
        } else
                check_summary(k, "%s is valid", name);
        return TAKE_PTR(c);
}

/* What tierd would do here; NULL when there can be no plan, or not enough is known for one. */
static struct plan *look_at_plan(struct patient *p) {
        struct plan_features features = capability_features(&p->capability);
        _cleanup_cgroup_list_ struct cgroup_list *cgroups = NULL;
        struct plan_input in = { .topology = p->topology, .config = p->config, .features = &features };
        struct plan *plan = NULL;
        struct diag d = {};
        struct check *k;
        int r;

        if (!p->topology || !p->config || !p->release_known || !p->capability.migrate)
                return NULL;
        r = settings_expand_groups(p->root, p->config, &cgroups, &d);
        in.cgroups = cgroups;
        if (r >= 0)
                r = plan_make(&in, &plan, &d);
        if (r >= 0)
                return plan;
        if (r == -ENOMEM)
                p->c->error = r;
        k = checkup_add(p->c, "plan", not_permitted(r) ? CHECK_UNKNOWN : CHECK_PROBLEM);
        check_summary(k, "there can be no plan for this machine under its configuration");
        check_meaning(k, "%s", d.text);
        return NULL;
}

int checkup_make(int root, const char *root_path, struct checkup *c) {
        _cleanup_config_ struct config *config = NULL;
        _cleanup_topology_ struct topology *t = NULL;
        _cleanup_expanders_ struct expanders *e = NULL;
        _cleanup_plan_ struct plan *plan = NULL;
        struct patient p = { .root = root, .c = c };
        struct diag d = {};
        int r;

        look_at_kernel(&p);
        p.config = config = look_at_configuration(&p, root_path);
        r = topology_read(root, root_path, config && config->tiers.n_tiers > 0 ? &config->tiers : NULL, &t, &d);
        if (r == -ENOMEM)
                return r;
        p.topology = t;
        if (t && expanders_read(root_path, t, &e) < 0)
                return -ENOMEM;
        p.expanders = e;

        if (look_at_damon(&p)) {
                look_at_paddr(&p);
                look_at_modules(&p);
        }
        look_at_tiers(&p, r, d.text);
        p.plan = plan = look_at_plan(&p);
        look_at_blocks(&p);
        look_at_expanders(&p);
        look_at_hwloc(&p);
        look_at_bound_memory(&p);
        look_at_tuners(&p);
        look_at_filters(&p);
        look_at_balancing(&p);
        look_at_demotion(&p);
        look_at_thp(&p);
        look_at_faults(&p);
        return c->error;
}
