/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "policy/config.h"
#include "topology/cgroups.h"

/*
 * The configuration of the machine below `root` (root_path: its name, NULL the live one): TIERD_SYSCONFDIR/tierd.yaml there, or
 * the defaults where there is none. `name`, of `size` bytes, gets the file's name as errors call it; "" where there is none.
 * 0, or what config_read() says.
 */
int settings_read(int root, const char *root_path, char *name, size_t size, struct config **ret, struct diag *reterr);

/*
 * The groups that the configuration's excludes stand for below `root`; NULL when it names none, or when a capture does not
 * tell. 0, or what cgroups_expand() says.
 */
int settings_expand_groups(int root, const struct config *c, struct cgroup_list **ret, struct diag *reterr);
