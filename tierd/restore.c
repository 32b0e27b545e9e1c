/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/restore.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "damon/apply.h"
#include "damon/capability.h"
#include "damon/ops.h"
#include "policy/plan.h"
#include "tierd/claim.h"
#include "tierd/configuration.h"
#include "tierd/run-directory.h"
#include "tierd/system.h"
#include "topology/topology.h"

#include <errno.h>
#include <syslog.h>

void restore_log_foreign(const struct log *log) {
        log_write(log, LOG_WARNING, "the kdamonds that tierd had made are gone, and others are in their place (/" DAMON_ADMIN
                                    "): they are left alone");
}

int restore_left_over(int root, struct saved *saved, const struct log *log, struct diag *reterr) {
        int r, r2;

        r = claim_release(root, saved, reterr);
        if (r == CLAIM_FOREIGN)
                restore_log_foreign(log);
        r2 = saved_restore(saved, r < 0 ? NULL : reterr);
        return r < 0 ? r : r2;
}

/* One record. 1 when there was something to put back, and it was. */
static int restore_record(const struct daemon_options *options, int run, const char *name, struct diag *reterr) {
        _cleanup_saved_ struct saved *saved = NULL;
        int r;

        r = saved_open(options->root, run, name, &saved, reterr);
        if (r < 0)
                return r;
        if (saved_is_empty(saved))
                return 0;
        r = restore_left_over(options->root, saved, options->log, reterr);
        return r < 0 ? r : 1;
}

int restore_run(const struct daemon_options *options, struct diag *reterr) {
        _cleanup_close_ int lock = -EBADF, run = -EBADF, privileged_run = -EBADF, privileged_lock = -EBADF;
        int first, second;

        first = run_directory_open(options->run_directory, RUN_LOCK, &run, &lock, reterr);
        if (first < 0)
                return first;
        first = run_directory_open(options->run_directory, RUN_LOCK_PRIVILEGED, &privileged_run, &privileged_lock, reterr);
        if (first < 0)
                return first;
        first = restore_record(options, run, SAVED_STATE, reterr);
        /* One record that cannot be put back is no reason to leave the other. */
        second = restore_record(options, run, SAVED_PRIVILEGED, first < 0 ? NULL : reterr);
        if (first > 0 || second > 0)
                log_write(options->log, LOG_NOTICE, "put back what an earlier tierd had changed");
        return first < 0 ? first : MIN(second, 0);
}

/*
 * 1 when the daemon would manage something, 0 when not. What this kernel's DAMON can do is the daemon's to find out; one
 * without DAMON is refused here already.
 */
static int has_work(int root, const struct config *config, const struct topology *topology, struct diag *reterr) {
        _cleanup_plan_ struct plan *plan = NULL;
        struct plan_features features = capability_features_all();
        struct plan_input input = { .config = config, .topology = topology, .features = &features };
        int r;

        r = plan_make(&input, &plan, reterr);
        if (r < 0 || plan->n_kdamonds == 0)
                return r;
        /* Whose kdamonds there are does not matter here: it says why there can be none. */
        r = file_exists(root, DAMON_ADMIN "/nr_kdamonds");
        if (r == 0)
                r = damon_read_owners(root, reterr);
        return r < 0 ? r : 1;
}

int prepare_run(const struct daemon_options *options, struct diag *reterr) {
        _cleanup_close_ int lock = -EBADF, run = -EBADF;
        _cleanup_saved_ struct saved *saved = NULL;
        _cleanup_config_ struct config *config = NULL;
        _cleanup_topology_ struct topology *topology = NULL;
        int r;

        r = run_directory_open(options->run_directory, RUN_LOCK_PRIVILEGED, &run, &lock, reterr);
        if (r < 0)
                return r;
        r = saved_open(options->root, run, SAVED_PRIVILEGED, &saved, reterr);
        if (r < 0)
                return r;
        r = configuration_load(options->config_path, &config, NULL, reterr);
        if (r < 0)
                return r;
        r = topology_read(options->root, NULL, config->tiers.n_tiers > 0 ? &config->tiers : NULL, &topology, reterr);
        if (r < 0)
                return r;
        r = has_work(options->root, config, topology, reterr);
        if (r < 0)
                return r;
        if (r == 0)
                return saved_restore(saved, reterr);
        return system_set_numa_balancing(topology, config, saved, reterr);
}
