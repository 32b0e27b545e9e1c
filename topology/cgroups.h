/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Control groups that hold memory (cgroup2 at sys/fs/cgroup, or the memory controller's own hierarchy below it). To DAMON's
 * memcg filter a group is its own memory alone, without that of the groups below it, and a group that is not there, or has no
 * memory controller of its own, makes the kernel refuse the scheme. So a group that a configuration names is taken for itself
 * and all below it, as they are at the moment. docs/kernels.md, "Control groups".
 */
struct cgroup_list {
        char **paths;           /* below the mount, "/db.slice/a.service", sorted, each once */
        uint64_t *ids;          /* which group stood at the path: its inode's number; 0: it went meanwhile */
        size_t n_paths;
};

/* More than this in one configuration is refused: each is a filter of every scheme, asked for every page. */
#define CGROUPS_MAX 256

/* No hierarchy with a memory controller can be seen below the root: *ret is NULL, for groups that stand for themselves. */
#define CGROUPS_UNKNOWN 1

/*
 * The groups that `names` (n_names paths) stand for: those that are there, with all below them that have a memory controller
 * of their own. Where a named group is there and has none, the nearest group above it that has one stands in for it, since the
 * kernel counts its memory as that one's. A name that is not there gives nothing.
 * 0 or CGROUPS_UNKNOWN; -E2BIG over CGROUPS_MAX, -ENOMEM, or what reading said.
 */
int cgroups_expand(int root, const char *const *names, size_t n_names, struct cgroup_list **ret, struct diag *reterr);

/*
 * The same groups: not only paths. The kernel looks a filter's path up when it takes the scheme over, and from then on means
 * that group: one that was made anew at the same path (a service that was started again) is another. NULL equals NULL alone.
 */
bool cgroup_list_equal(const struct cgroup_list *a, const struct cgroup_list *b);

struct cgroup_list *cgroup_list_free(struct cgroup_list *l);
DEFINE_CLEANUP(struct cgroup_list, cgroup_list_free)
#define _cleanup_cgroup_list_ _cleanup_(cgroup_list_freep)
