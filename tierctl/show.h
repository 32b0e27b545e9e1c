/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierctl/snapshot.h"

#include <stdio.h>

/* What `tierctl status` and `tierctl top` have in common: a snapshot as tables, within the width of the screen. */
struct show {
        const struct snapshot *now;
        const struct snapshot *before;          /* for rates; NULL: none are shown */
        size_t width;                           /* columns; what does not fit is left out, the least important first */
        bool colour;
        bool bars;                              /* UTF-8's blocks may be used */
};

/*
 * The snapshot that rates can be taken against: `before` if it is of the same run of tierd and older, else NULL. Either may be
 * NULL.
 */
const struct snapshot *show_base(const struct snapshot *now, const struct snapshot *before);

/* What has moved between show_base() and now, per second. */
struct pace;
struct pace show_pace(const struct show *s);

/* One row for each node, the fastest tier first; and one for each scheme. Nothing where there are none. 0 or -ENOMEM. */
int show_nodes(const struct show *s, FILE *f);
int show_schemes(const struct show *s, FILE *f);
