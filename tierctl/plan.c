/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "damon/capability.h"
#include "damon/ops.h"
#include "policy/config.h"
#include "policy/plan.h"
#include "tierctl/plan-show.h"
#include "tierctl/settings.h"
#include "tierctl/tierctl.h"
#include "topology/topology.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What tierd would do with this machine, this kernel and this configuration: nothing is written anywhere. */

static int failed(int r, struct diag *d) {
        (void) diag_default(d, r, "%s", strerror(-r));
        return report_failure(d);
}

/* --config, else the root's own, else the defaults. Returns an exit status; its errors begin with file:line:col. */
static int find_config(const struct invocation *call, struct config **ret) {
        char name[PATH_SIZE];
        struct diag d = {};
        int r;

        if (call->config)
                r = config_load(call->config, ret, &d);
        else
                r = settings_read(call->root, call->root_path, name, sizeof(name), ret, &d);
        if (r == -EBADMSG) {
                (void) fprintf(stderr, "%s\n", d.text);
                return EXIT_NO;
        }
        if (r < 0)
                return failed(r, &d);
        if ((*ret)->warnings)
                (void) fprintf(stderr, "%s\n", (*ret)->warnings);
        return EXIT_WELL;
}

static int find_capability(const struct invocation *call, struct capability *ret, struct diag *reterr) {
        char release[sizeof(ret->release)];
        int r;

        if (call->kernel)
                return capability_from_release(call->kernel, ret, reterr);
        r = capability_read_release(call->root, release, sizeof(release), reterr);
        if (r == -ENOENT)
                return diag_set(reterr, r,
                                "%s holds no proc/version, so the kernel is not known: name it with --kernel RELEASE",
                                call->root_path ? call->root_path : "/");
        if (r < 0)
                return r;
        return capability_from_release(release, ret, reterr);
}

/*
 * One line per write, in order. The paths are those of the live system, whatever --root was. A cgroup of a captured machine
 * may be called anything; what is printed is one line.
 */
static int print_ops(const struct topology *t, const struct plan *p, const struct capability *c, struct diag *reterr) {
        const struct slot_map slots = { .possible = t->possible };
        _cleanup_ops_ struct ops *ops = NULL;
        int r;

        if (p->n_kdamonds == 0)
                return 0;
        r = ops_make_all(&slots, p, c, &ops);
        if (r < 0)
                return diag_default(reterr, r, "cannot encode the plan for Linux %s: %s", c->release, strerror(-r));
        for (size_t i = 0; i < ops->n_ops; i++) {
                make_printable(ops->ops[i].value);
                (void) printf("/%s %s\n", ops->ops[i].path, ops->ops[i].value);
        }
        return 0;
}

int verb_plan(const struct invocation *call) {
        _cleanup_topology_ struct topology *t = NULL;
        _cleanup_cgroup_list_ struct cgroup_list *cgroups = NULL;
        _cleanup_config_ struct config *config = NULL;
        _cleanup_plan_ struct plan *p = NULL;
        struct plan_input in = {};
        struct plan_features features;
        struct capability capability;
        struct diag d = {};
        int r;

        r = find_config(call, &config);
        if (r != EXIT_WELL)
                return r;
        r = topology_read(call->root, call->root_path, config->tiers.n_tiers > 0 ? &config->tiers : NULL, &t, &d);
        if (r < 0)
                return failed(r, &d);
        r = find_capability(call, &capability, &d);
        if (r < 0) {
                int status = failed(r, &d);

                /* What is no release was typed. */
                return call->kernel && status == EXIT_NO ? EXIT_USAGE : status;
        }
        features = capability_features(&capability);
        r = settings_expand_groups(call->root, config, &cgroups, &d);
        if (r < 0)
                return failed(r, &d);
        in = (struct plan_input) { .topology = t, .config = config, .features = &features, .cgroups = cgroups };
        r = plan_make(&in, &p, &d);
        if (r < 0)
                return failed(r, &d);

        if (call->json)
                r = plan_print_json(p, stdout);
        else if (call->ops)
                r = print_ops(t, p, &capability, &d);
        else
                plan_print_text(p, stdout);
        if (r < 0)
                return failed(r, &d);
        return EXIT_WELL;
}
