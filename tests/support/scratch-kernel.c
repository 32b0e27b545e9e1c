/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "damon/ops.h"
#include "tests/support/scratch.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* An attribute of a directory, and the release that brought it. The path is relative to the directory. */
struct entry {
        const char *path, *initial;
        unsigned since;
        bool read_only;
};

static const struct entry KDAMOND[] = {
        { "state", "off", 0, false },
        { "pid", "-1", 0, true },
        { "refresh_ms", "0", 617, false },
        { "contexts/nr_contexts", "0", 0, false },
};

static const struct entry CONTEXT[] = {
        { "avail_operations", "vaddr\nfvaddr\npaddr", 0, true },
        { "operations", "vaddr", 0, false },
        { "addr_unit", "1", 618, false },
        { "pause", "N", 702, false },
        { "monitoring_attrs/intervals/sample_us", "5000", 0, false },
        { "monitoring_attrs/intervals/aggr_us", "100000", 0, false },
        { "monitoring_attrs/intervals/update_us", "60000000", 0, false },
        { "monitoring_attrs/intervals/intervals_goal/access_bp", "0", 615, false },
        { "monitoring_attrs/intervals/intervals_goal/aggrs", "0", 615, false },
        { "monitoring_attrs/intervals/intervals_goal/min_sample_us", "0", 615, false },
        { "monitoring_attrs/intervals/intervals_goal/max_sample_us", "0", 615, false },
        { "monitoring_attrs/nr_regions/min", "10", 0, false },
        { "monitoring_attrs/nr_regions/max", "1000", 0, false },
        { "targets/nr_targets", "0", 0, false },
        { "schemes/nr_schemes", "0", 0, false },
};

static const struct entry TARGET[] = {
        { "pid_target", "0", 0, false },
        { "obsolete_target", "N", 619, false },
        { "regions/nr_regions", "0", 0, false },
};

static const struct entry REGION[] = { { "start", "0", 0, false }, { "end", "0", 0, false } };

static const struct entry SCHEME[] = {
        { "action", "stat", 0, false },
        { "target_nid", "-1", 611, false },
        { "apply_interval_us", "0", 607, false },
        { "access_pattern/sz/min", "0", 0, false },
        { "access_pattern/sz/max", "0", 0, false },
        { "access_pattern/nr_accesses/min", "0", 0, false },
        { "access_pattern/nr_accesses/max", "0", 0, false },
        { "access_pattern/age/min", "0", 0, false },
        { "access_pattern/age/max", "0", 0, false },
        { "dests/nr_dests", "0", 617, false },
        { "quotas/ms", "0", 0, false },
        { "quotas/bytes", "0", 0, false },
        { "quotas/reset_interval_ms", "0", 0, false },
        { "quotas/effective_bytes", "0", 609, true },
        { "quotas/goal_tuner", "consist", 701, false },
        { "quotas/fail_charge_num", "0", 702, false },
        { "quotas/fail_charge_denom", "0", 702, false },
        { "quotas/weights/sz_permil", "0", 0, false },
        { "quotas/weights/nr_accesses_permil", "0", 0, false },
        { "quotas/weights/age_permil", "0", 0, false },
        { "quotas/goals/nr_goals", "0", 608, false },
        { "watermarks/metric", "none", 0, false },
        { "watermarks/interval_us", "0", 0, false },
        { "watermarks/high", "0", 0, false },
        { "watermarks/mid", "0", 0, false },
        { "watermarks/low", "0", 0, false },
        { "filters/nr_filters", "0", 603, false },
        { "core_filters/nr_filters", "0", 615, false },
        { "ops_filters/nr_filters", "0", 615, false },
        { "stats/nr_tried", "0", 0, true },
        { "stats/sz_tried", "0", 0, true },
        { "stats/nr_applied", "0", 0, true },
        { "stats/sz_applied", "0", 0, true },
        { "stats/sz_ops_filter_passed", "0", 614, true },
        { "stats/qt_exceeds", "0", 0, true },
        { "stats/nr_snapshots", "0", 700, true },
        { "stats/max_nr_snapshots", "0", 700, false },
        { "tried_regions/total_bytes", "0", 602, true },
};

static const struct entry FILTER[] = {
        { "type", "anon", 603, false },   { "matching", "N", 603, false }, { "allow", "N", 614, false },
        { "memcg_path", "", 603, false }, { "addr_start", "0", 606, false }, { "addr_end", "0", 606, false },
        { "min", "0", 615, false },     { "max", "0", 615, false },        { "damon_target_idx", "0", 606, false },
};

static const struct entry GOAL[] = {
        { "target_metric", "user_input", 609, false },
        { "target_value", "0", 0, false },
        { "current_value", "0", 0, false },
        { "nid", "0", 616, false },
        { "path", "", 619, false },
};

static const struct entry DEST[] = { { "id", "0", 0, false }, { "weight", "0", 0, false } };

/* Files whose number makes as many directories 0, 1, … beside them. */
static const struct {
        const char *name;
        const struct entry *entries;
        size_t n;
        long max;
} MAKERS[] = {
        { "nr_kdamonds", KDAMOND, ELEMENTSOF(KDAMOND), INT_MAX }, { "nr_contexts", CONTEXT, ELEMENTSOF(CONTEXT), 1 },
        { "nr_targets", TARGET, ELEMENTSOF(TARGET), INT_MAX },    { "nr_regions", REGION, ELEMENTSOF(REGION), INT_MAX },
        { "nr_schemes", SCHEME, ELEMENTSOF(SCHEME), INT_MAX },    { "nr_filters", FILTER, ELEMENTSOF(FILTER), INT_MAX },
        { "nr_goals", GOAL, ELEMENTSOF(GOAL), INT_MAX },          { "nr_dests", DEST, ELEMENTSOF(DEST), INT_MAX },
};

enum form { UNSIGNED_LONG, UNSIGNED_INT, SIGNED_INT, BOOLEAN, TEXT, KEYWORD };

/* How a value must look, by the attribute's name. Names that mean one thing only; UNSIGNED_LONG is the rest. */
static const struct {
        const char *name;
        enum form form;
} FORMS[] = {
        { "sz_permil", UNSIGNED_INT },
        { "nr_accesses_permil", UNSIGNED_INT },
        { "age_permil", UNSIGNED_INT },
        { "fail_charge_num", UNSIGNED_INT },
        { "fail_charge_denom", UNSIGNED_INT },
        { "refresh_ms", UNSIGNED_INT },
        { "target_nid", SIGNED_INT },
        { "nid", SIGNED_INT },
        { "pid_target", SIGNED_INT },
        { "damon_target_idx", SIGNED_INT },
        { "matching", BOOLEAN },
        { "allow", BOOLEAN },
        { "obsolete_target", BOOLEAN },
        { "pause", BOOLEAN },
        { "memcg_path", TEXT },
        { "path", TEXT },
        { "operations", KEYWORD },
        { "action", KEYWORD },
        { "type", KEYWORD },
        { "metric", KEYWORD },
        { "target_metric", KEYWORD },
        { "goal_tuner", KEYWORD },
};

/* Keywords by attribute and release; `dir` limits a filter type to the directories that take it ("" any). */
static const struct {
        const char *name, *keyword;
        unsigned since;
        const char *not_in;
} KEYWORDS[] = {
        { "operations", "vaddr", 0, NULL },
        { "operations", "fvaddr", 0, NULL },
        { "operations", "paddr", 0, NULL },
        { "action", "stat", 0, NULL },
        { "action", "pageout", 0, NULL },
        { "action", "migrate_hot", 611, NULL },
        { "action", "migrate_cold", 611, NULL },
        { "type", "anon", 603, "/core_filters/" },
        { "type", "memcg", 603, "/core_filters/" },
        { "type", "young", 610, "/core_filters/" },
        { "type", "hugepage_size", 615, "/core_filters/" },
        { "type", "addr", 606, "/ops_filters/" },
        { "type", "target", 606, "/ops_filters/" },
        { "metric", "none", 0, NULL },
        { "metric", "free_mem_rate", 0, NULL },
        { "target_metric", "user_input", 609, NULL },
        { "target_metric", "some_mem_psi_us", 609, NULL },
        { "target_metric", "node_mem_used_bp", 616, NULL },
        { "target_metric", "node_mem_free_bp", 616, NULL },
        { "goal_tuner", "consist", 701, NULL },
        { "goal_tuner", "temporal", 701, NULL },
};

/* What the patches of kernel-patches/6.1 add: attributes, their first value where it is another one, and keywords. */
static const struct {
        const char *name, *initial;
} PATCHED_6_1[] = {
        { "target_nid", "-1" },
        { "filters/nr_filters", "0" },
        { "type", "young" },
        { "matching", "N" },
        { "migrate_hot", NULL },
        { "migrate_cold", NULL },
        { "young", NULL },
};

/* Whether this kernel has what came with release `since`; *initial, which may be NULL, may become the patched one's. */
static bool has(const struct scratch *s, unsigned since, const char *name, const char **initial) {
        if (since <= s->version)
                return true;
        for (size_t i = 0; s->kernel == SCRATCH_6_1 && i < ELEMENTSOF(PATCHED_6_1); i++)
                if (strcmp(name, PATCHED_6_1[i].name) == 0) {
                        if (initial)
                                *initial = PATCHED_6_1[i].initial;
                        return true;
                }
        return false;
}

static void make_children(struct scratch *s, const char *dir, const struct entry *entries, size_t n, uint64_t count) {
        for (uint64_t i = 0; i < count; i++)
                for (size_t k = 0; k < n; k++) {
                        const char *initial = entries[k].initial;
                        char path[PATH_SIZE];

                        if (!has(s, entries[k].since, entries[k].path, &initial) ||
                            path_format(path, sizeof(path), "%s/%llu/%s", dir, (unsigned long long) i, entries[k].path) < 0)
                                continue;
                        if (s->no_paddr && strcmp(entries[k].path, "avail_operations") == 0)
                                scratch_make(s, path, "vaddr\nfvaddr", 0400);
                        else
                                scratch_make(s, path, initial, entries[k].read_only ? 0400 : 0600);
                }
}

static bool is_running(struct scratch *s, int slot) {
        return strcmp(scratch_getf(s, DAMON_ADMIN "/%d/state", slot), "on") == 0;
}

static int store_children(struct scratch *s, const char *dir, size_t maker, const char *value) {
        char path[PATH_SIZE];
        uint64_t n, old;

        if (parse_u64(value, &n) < 0 || n > (uint64_t) MAKERS[maker].max)
                return -EINVAL;
        if (parse_u64(scratch_getf(s, "%s/%s", dir, MAKERS[maker].name), &old) < 0)
                return -EIO;
        if (strcmp(MAKERS[maker].name, "nr_kdamonds") == 0) {
                for (uint64_t i = 0; i < old; i++)
                        if (is_running(s, (int) i))
                                return -EBUSY;
                memset(s->started, 0, sizeof(s->started));
        }
        for (uint64_t i = 0; i < old; i++) {
                (void) path_format(path, sizeof(path), "%s/%llu", dir, (unsigned long long) i);
                scratch_remove(s, path);
        }
        make_children(s, dir, MAKERS[maker].entries, MAKERS[maker].n, n);
        return 0;
}

static uint64_t number(struct scratch *s, const char *dir, const char *name) {
        uint64_t v = 0;

        (void) parse_u64(scratch_getf(s, "%s/%s", dir, name), &v);
        return v;
}

static bool is_text(struct scratch *s, const char *dir, const char *name, const char *text) {
        return strcmp(scratch_getf(s, "%s/%s", dir, name), text) == 0;
}

/* damon_set_attrs(), damon_valid_intervals_goal(). */
static int check_attrs(struct scratch *s, const char *context) {
        char dir[PATH_SIZE];
        uint64_t sample, aggregate, min, max;

        (void) path_format(dir, sizeof(dir), "%s/monitoring_attrs", context);
        sample = number(s, dir, "intervals/sample_us");
        aggregate = number(s, dir, "intervals/aggr_us");
        min = number(s, dir, "nr_regions/min");
        max = number(s, dir, "nr_regions/max");
        if (number(s, dir, "intervals/intervals_goal/aggrs") > 0) {
                uint64_t low = number(s, dir, "intervals/intervals_goal/min_sample_us");
                uint64_t high = number(s, dir, "intervals/intervals_goal/max_sample_us");

                if (low > high || sample < low || sample > high)
                        return -EINVAL;
        }
        return min < 3 || min > max || sample > aggregate ? -EINVAL : 0;
}

/* damon_sysfs_add_targets(), damon_sysfs_set_regions(), damon_set_regions(). */
static int check_targets(struct scratch *s, const char *context) {
        uint64_t n = number(s, context, "targets/nr_targets"), regions, last_end = 0;

        if (is_text(s, context, "operations", "paddr") && n > 1)
                return -EINVAL;
        for (uint64_t i = 0; i < n; i++) {
                char dir[PATH_SIZE];

                (void) path_format(dir, sizeof(dir), "%s/targets/%llu/regions", context, (unsigned long long) i);
                regions = number(s, dir, "nr_regions");
                for (uint64_t k = 0; k < regions; k++) {
                        char region[PATH_SIZE];
                        uint64_t start, end;

                        (void) path_format(region, sizeof(region), "%s/%llu", dir, (unsigned long long) k);
                        start = number(s, region, "start");
                        end = number(s, region, "end");
                        if (start >= end || (k > 0 && last_end > start))
                                return -EINVAL;
                        last_end = end;
                }
        }
        return 0;
}

static bool has_memory(struct scratch *s, const char *text) {
        uint64_t nid;

        return parse_u64(text, &nid) == 0 && nid <= NODE_ID_MAX && idset_has(&s->memory, (unsigned) nid);
}

/* damon_sysfs_memcg_path_to_id(): by the group's path in the memory controller's hierarchy, of either version. */
static bool has_group(struct scratch *s, const char *group) {
        static const char *const mounts[] = { "sys/fs/cgroup", "sys/fs/cgroup/memory" };
        struct stat st;

        if (group[0] != '/')
                return false;
        for (size_t i = 0; i < ELEMENTSOF(mounts); i++) {
                char path[PATH_SIZE];

                if (path_format(path, sizeof(path), "%s%s/memory.stat", mounts[i], group[1] == '\0' ? "" : group) == 0 &&
                    fstatat(s->root, path, &st, 0) == 0)
                        return true;
        }
        return false;
}

/* damon_sysfs_mk_scheme(): every error of a scheme becomes ENOMEM. */
static int check_scheme(struct scratch *s, const char *scheme) {
        static const char *const filter_dirs[] = { "filters", "core_filters", "ops_filters" };

        if (strncmp(scratch_getf(s, "%s/action", scheme), "migrate_", 8) == 0 &&
            !has_memory(s, scratch_getf(s, "%s/target_nid", scheme)))
                s->oops = "migration to a node without memory";
        for (uint64_t i = 0; i < number(s, scheme, "quotas/goals/nr_goals"); i++)
                if (strncmp(scratch_getf(s, "%s/quotas/goals/%d/target_metric", scheme, (int) i), "node_", 5) == 0 &&
                    !has_memory(s, scratch_getf(s, "%s/quotas/goals/%d/nid", scheme, (int) i)))
                        s->oops = "a goal on a node without memory";
        for (size_t d = 0; d < ELEMENTSOF(filter_dirs); d++) {
                uint64_t n;

                if (parse_u64(scratch_getf(s, "%s/%s/nr_filters", scheme, filter_dirs[d]), &n) < 0)
                        continue;
                for (int i = 0; i < (int) n; i++)
                        if (strcmp(scratch_getf(s, "%s/%s/%d/type", scheme, filter_dirs[d], i), "memcg") == 0 &&
                            !has_group(s, scratch_getf(s, "%s/%s/%d/memcg_path", scheme, filter_dirs[d], i)))
                                return -ENOMEM;
        }
        return 0;
}

/*
 * damos_adjust_quota() of 6.12: a scheme's first pass sets its quota only when the charge window has no length. The pass
 * comes after apply_interval_us; a commit is taken over at an aggregation, before that round's pass.
 */
static void charge_windows(struct scratch *s, int slot, const char *context, bool commit) {
        uint64_t sample = MAX(number(s, context, "monitoring_attrs/intervals/sample_us"), UINT64_C(1));
        uint64_t aggregate = number(s, context, "monitoring_attrs/intervals/aggr_us");
        int n = (int) number(s, context, "schemes/nr_schemes");

        for (int i = 0; i < n && i < SCRATCH_SCHEMES_MAX; i++) {
                char scheme[PATH_SIZE];
                uint64_t interval;

                (void) path_format(scheme, sizeof(scheme), "%s/schemes/%d", context, i);
                if (number(s, scheme, "quotas/bytes") == 0 || s->settled[slot][i])
                        continue;
                interval = number(s, scheme, "apply_interval_us");
                if (commit && s->stats_asked[slot] >= 3)
                        s->settled[slot][i] = true;
                else if (number(s, scheme, "quotas/reset_interval_ms") > 0)
                        s->unlimited = true;
                else
                        s->settled[slot][i] = (interval ? interval : aggregate) / sample < aggregate / sample;
        }
}

static bool has_window_fault(const struct scratch *s) {
        return s->version >= 611 && s->version < 614;
}

static int check_context(struct scratch *s, const char *context) {
        int r;

        r = check_attrs(s, context);
        if (r == 0)
                r = check_targets(s, context);
        for (uint64_t i = 0; r == 0 && i < number(s, context, "schemes/nr_schemes"); i++) {
                char scheme[PATH_SIZE];

                (void) path_format(scheme, sizeof(scheme), "%s/schemes/%llu", context, (unsigned long long) i);
                r = check_scheme(s, scheme);
        }
        return r;
}

static void set_running(struct scratch *s, int slot, bool on) {
        char path[PATH_SIZE], pid[16];

        (void) path_format(path, sizeof(path), DAMON_ADMIN "/%d/state", slot);
        scratch_make(s, path, on ? "on" : "off", 0600);
        (void) path_format(path, sizeof(path), DAMON_ADMIN "/%d/pid", slot);
        (void) snprintf(pid, sizeof(pid), "%d", on ? 1000 + slot : -1);
        scratch_make(s, path, pid, 0400);
}

static bool exclusive_runs(struct scratch *s) {
        return strcmp(scratch_get(s, "sys/module/damon_stat/parameters/enabled"), "Y") == 0 ||
               strcmp(scratch_get(s, "sys/module/damon_reclaim/parameters/enabled"), "Y") == 0 ||
               strcmp(scratch_get(s, "sys/module/damon_lru_sort/parameters/enabled"), "Y") == 0;
}

static int start(struct scratch *s, int slot, const char *context) {
        int r;

        if (is_running(s, slot))
                return -EBUSY;
        r = check_context(s, context);
        if (r < 0)
                return r;
        if (exclusive_runs(s))
                return -EBUSY;
        memset(s->settled[slot], 0, sizeof(s->settled[slot]));
        s->stats_asked[slot] = 0;
        s->started[slot] = true;
        s->starts++;
        set_running(s, slot, true);
        if (has_window_fault(s))
                charge_windows(s, slot, context, false);
        return 0;
}

static int commit(struct scratch *s, int slot, const char *context) {
        int r;

        r = s->commit_kills ? -EINVAL : check_context(s, context);
        s->commit_kills = false;
        if (r < 0) {
                if (s->version >= 615)
                        return r;
                set_running(s, slot, false);
                return 0;
        }
        s->commits++;
        if (has_window_fault(s))
                charge_windows(s, slot, context, true);
        return 0;
}

static int store_state(struct scratch *s, int slot, const char *value) {
        static const struct {
                const char *command;
                unsigned since;
        } others[] = {
                { "commit_schemes_quota_goals", 608 },  { "update_schemes_stats", 0 },
                { "update_schemes_tried_bytes", 606 },  { "update_schemes_tried_regions", 602 },
                { "clear_schemes_tried_regions", 602 }, { "update_schemes_effective_quotas", 609 },
                { "update_tuned_intervals", 615 },
        };
        char context[PATH_SIZE];

        if (slot >= SCRATCH_SLOTS_MAX)
                return -ENOMEM;
        (void) path_format(context, sizeof(context), DAMON_ADMIN "/%d/contexts/0", slot);
        if (strcmp(value, "off") == 0) {
                if (!is_running(s, slot))
                        return s->started[slot] ? -EPERM : -EINVAL;
                set_running(s, slot, false);
                return 0;
        }
        if (strcmp(scratch_getf(s, DAMON_ADMIN "/%d/contexts/nr_contexts", slot), "1") != 0)
                return -EINVAL;
        if (strcmp(value, "on") == 0)
                return start(s, slot, context);
        if (!is_running(s, slot))
                return -EINVAL;
        if (strcmp(value, "commit") == 0)
                return commit(s, slot, context);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (strcmp(value, others[i].command) == 0 && others[i].since <= s->version) {
                        s->stats_asked[slot] += strcmp(value, "update_schemes_stats") == 0;
                        s->feeds += strcmp(value, "commit_schemes_quota_goals") == 0;
                        return 0;
                }
        return -EINVAL;
}

static enum form form_of(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(FORMS); i++)
                if (strcmp(name, FORMS[i].name) == 0)
                        return FORMS[i].form;
        return UNSIGNED_LONG;
}

static bool is_valid(struct scratch *s, const char *path, const char *name, const char *value) {
        uint64_t v;
        int i;

        switch (form_of(name)) {
        case UNSIGNED_LONG:
                return parse_u64(value, &v) == 0 && !(v == 0 && strcmp(name, "addr_unit") == 0);
        case UNSIGNED_INT:
                return parse_u64(value, &v) == 0 && v <= UINT32_MAX;
        case SIGNED_INT:
                return parse_int(value, INT_MIN, INT_MAX, &i) == 0;
        case BOOLEAN:
                return strcmp(value, "Y") == 0 || strcmp(value, "N") == 0;
        case TEXT:
                return true;
        case KEYWORD:
                for (size_t k = 0; k < ELEMENTSOF(KEYWORDS); k++)
                        if (strcmp(name, KEYWORDS[k].name) == 0 && strcmp(value, KEYWORDS[k].keyword) == 0 &&
                            has(s, KEYWORDS[k].since, value, NULL) && !(KEYWORDS[k].not_in && strstr(path, KEYWORDS[k].not_in)))
                                return true;
                return false;
        }
        return false;
}

int scratch_store(struct scratch *s, const char *path, const char *value) {
        const char *name = strrchr(path, '/');
        char dir[PATH_SIZE];
        struct stat st;
        int r, slot;

        if (!name || fstatat(s->root, path, &st, 0) < 0)
                return -ENOENT;
        if ((st.st_mode & 0200) == 0)
                return -EACCES;
        r = path_format(dir, sizeof(dir), "%.*s", (int) (name - path), path);
        if (r < 0)
                return r;
        name++;

        if (strcmp(name, "state") == 0 && sscanf(path, DAMON_ADMIN "/%d/state", &slot) == 1)
                return store_state(s, slot, value);
        for (size_t i = 0; i < ELEMENTSOF(MAKERS); i++)
                if (strcmp(name, MAKERS[i].name) == 0) {
                        r = store_children(s, dir, i, value);
                        if (r < 0)
                                return r;
                        scratch_make(s, path, value, 0600);
                        return 0;
                }
        if (!is_valid(s, path, name, value))
                return -EINVAL;
        scratch_make(s, path, value, 0600);
        return 0;
}
