/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "policy/config.h"

#define CONFIGURATION_DEFAULT TIERD_SYSCONFDIR "/tierd.yaml"

/*
 * The configuration of `path`; NULL: of the default file, which may be missing: then the defaults, and *ret_path (may be NULL)
 * is NULL, else the file's name. 0, or what config_load() says, with file, line and column in reterr.
 */
int configuration_load(const char *path, struct config **ret, const char **ret_path, struct diag *reterr);
