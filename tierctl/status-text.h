/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierctl/headline.h"
#include "tierctl/snapshot.h"

#include <stdio.h>

/* When a snapshot is shown. */
struct moment {
        uint64_t realtime_us, monotonic_us;
};
struct moment moment_now(void);

/* The whole of a snapshot for people, in 80 columns; may change. 0 or -ENOMEM. */
int status_print(const struct snapshot *s, const struct moment *now, bool colour, FILE *f);

/* The headline's colour, and the end of it; "" without. */
const char *mood_colour(enum mood mood, bool colour);
#define COLOUR_END "\x1b[0m"

/* One line: versions, tuner, for how long tierd has run and when it has measured. */
void status_format_run(const struct snapshot *s, const struct moment *now, char *buf, size_t size);
