/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "topology/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* /etc/tierd.yaml as plain data, defaults filled in. Reference: docs/DESIGN.md "Configuration", tierd.yaml(5). */

enum tuner_kind {
        TUNER_AUTO,
        TUNER_KERNEL,
        TUNER_FEEDBACK,
        TUNER_DIRECT,
        _TUNER_KIND_MAX,
};
const char *tuner_kind_to_string(enum tuner_kind tuner);

/* Whether tierd's own tuner decides (policy/tuner.h), not the kernel. */
static inline bool tuner_kind_is_own(enum tuner_kind tuner) {
        return tuner == TUNER_DIRECT || tuner == TUNER_FEEDBACK;
}

/* How the kernel comes to the goals of `tuner: kernel`. */
enum goal_tuner { GOAL_TUNER_CONSIST, GOAL_TUNER_TEMPORAL };
const char *goal_tuner_to_string(enum goal_tuner tuner);        /* the kernel's keyword */

enum balancing_policy { BALANCING_AUTO, BALANCING_OFF, BALANCING_KEEP };
enum keep_on_off { SETTING_KEEP, SETTING_ON, SETTING_OFF };
enum modules_policy { MODULES_STOP, MODULES_REFUSE };

/* One direction of movement out of a node. */
struct direction_config {
        bool enabled;
        uint32_t goal_bp;               /* demote: free of the source; promote: used of the target; basis points */
        uint64_t quota_bytes;           /* ceiling, per scheme, bytes per quota_interval_us */
        uint64_t quota_interval_us;
        uint64_t min_age_us;            /* demote only: unaccessed for at least this long */
        uint32_t min_access_bp;         /* promote only: share of the samples of an aggregation that saw an access */
        uint32_t weight_frequency;      /* 0…1000, the kernel's nr_accesses_permil: how much each counts against the other */
        uint32_t weight_age;            /* 0…1000, age_permil */
};

struct node_config {
        int id;
        bool managed;
        struct direction_config demote, promote;
};

enum exclude_type { EXCLUDE_CGROUP, EXCLUDE_ANON, EXCLUDE_FILE, EXCLUDE_HUGEPAGE };

struct exclude {
        enum exclude_type type;
        char *cgroup;                   /* EXCLUDE_CGROUP: path below the cgroup mount, "/db.slice" */
};

struct monitoring_config {
        uint64_t sample_us, aggregate_us, update_us;
        uint64_t min_regions, max_regions;
        bool auto_intervals;
        uint32_t auto_access_bp;        /* auto: {access, aggregations, sample_min, sample_max} */
        uint64_t auto_aggregations;
        uint64_t auto_sample_min_us, auto_sample_max_us;
};

struct config {
        struct tier_list tiers;         /* n_tiers 0: auto */
        struct monitoring_config monitoring;
        struct direction_config demote, promote;
        struct node_config *nodes;      /* what differs, merged with the general part, by ascending id */
        size_t n_nodes;
        struct exclude *excludes;
        size_t n_excludes;
        enum tuner_kind tuner;
        enum goal_tuner goal_tuner;
        enum balancing_policy numa_balancing;
        enum keep_on_off reclaim_demotion;
        enum modules_policy exclusive_modules;
        uint64_t telemetry_interval_us;
        char *metrics_file;             /* NULL: none */
        char *warnings;                 /* lines of "file:line:col: warning: …", or NULL */
};

/* The defaults: what an empty file means. Returns -ENOMEM or 0. */
int config_new(struct config **ret);
struct config *config_free(struct config *c);
DEFINE_CLEANUP(struct config, config_free)
#define _cleanup_config_ _cleanup_(config_freep)

/*
 * Parses YAML text of `len` bytes (it may hold NUL bytes: they are an error). `name` is how errors call the file.
 * Returns 0, or -EBADMSG with `name:line:col: what`, the source line and a caret in reterr (the first error), -EFBIG over
 * CONFIG_SIZE_MAX, -ENOMEM. Line and column count from 1, columns in characters.
 */
#define CONFIG_SIZE_MAX (UINT64_C(1) << 20)
int config_parse(const char *text, size_t len, const char *name, struct config **ret, struct diag *reterr);

/*
 * Reads and parses the file at `path` below `root`; `name` is how errors call it. -ENOENT when it is not there
 * (reterr says so): the caller decides whether that means the defaults.
 */
int config_read(int root, const char *path, const char *name, struct config **ret, struct diag *reterr);

/*
 * The same for a file that the operator named on a command line: opened as this process sees it, relative to its working
 * directory, pipes included ("/dev/stdin"). Errors call it by `path`.
 */
int config_load(const char *path, struct config **ret, struct diag *reterr);

/* What applies to schemes whose source is node `id`: the node's own entry, or the general part. Never fails. */
struct node_config config_for_node(const struct config *c, int id);
