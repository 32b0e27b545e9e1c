/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierd/status.h"

/*
 * The snapshot as a JSON document, without a final newline: what Describe() answers and `tierctl status --json` prints.
 * tierctl(1) has its keys. It is stable: keys keep their names, types and meanings, new ones may join them. What is not known
 * is null. `ret` is a string in UTF-8 to be freed. 0 or -ENOMEM.
 */
int describe_status(const struct status *s, char **ret);
