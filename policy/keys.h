/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/reader.h"

/* The keys of tierd.yaml: the tables, and the readers of what is not one plain value. */

extern const struct section root_section;               /* of struct config */
extern const struct section demote_section;             /* of struct direction_config */
extern const struct section promote_section;            /* of struct direction_config */

int read_tiers(struct reader *in, const struct entry *e, void *target);               /* struct tier_list */
int read_excludes(struct reader *in, const struct entry *e, void *target);            /* struct config */

/*
 * struct config: what differs by node, merged over the general part as it stands at the moment. In the file `nodes:` may
 * come before what it differs from, so it is read once in its place, for its errors, and again when all is known.
 */
int read_nodes(struct reader *in, const struct entry *e, void *target);

/* What is allowed but hardly meant. `document` may be NULL. */
int warn_about(struct reader *in, const struct yaml_value *document);
