/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "topology/cxl.h"

#include <json-c/json.h>
#include <stdbool.h>

/* 0 is what is not known. */
json_object *number_or_null(uint64_t v);

/* {"region": "region0", "memdevs": ["mem0"]} of the node's first region, with all devices of its regions; NULL: none. */
json_object *cxl_node_to_json(const struct expanders *e, int node);

/* {"regions": [...], "memdevs": [...]}: all there is, whether or not its memory is online; NULL: not known. */
json_object *cxl_to_json(const struct expanders *e);

/* A table of them, with a title; nothing when there are none. 0 or -ENOMEM. */
int cxl_print(const struct expanders *e, bool colour);
