/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/plan.h"

#include <stdio.h>

/* A plan on paper. */

/* For programs: the JSON of tierctl(1), stable. 0 or -ENOMEM. */
int plan_print_json(const struct plan *p, FILE *f);

/* For people; may change. */
void plan_print_text(const struct plan *p, FILE *f);
