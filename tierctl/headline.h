/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierctl/snapshot.h"

/*
 * One line for an operator who has been woken up: is it well, and if not, what is wrong with which node. Its first word is the
 * verdict: OK, IDLE, STARTING, STOPPING, PAUSED, LOW (a node has less free memory than it should), FULL (it has, and the tier
 * below has no room), STALE (tierd is there, but has not measured for a while).
 */
enum mood { MOOD_GOOD, MOOD_NOTICE, MOOD_BAD };

/* What moves, bytes per second, as measured; not `known`: the line tells the quotas. */
struct pace {
        bool known;
        uint64_t down, up;
};

/* Pure. `now_monotonic_us` is CLOCK_MONOTONIC's, as taken_monotonic_us is. */
#define HEADLINE_MAX 256
enum mood headline_make(const struct snapshot *s, const struct pace *pace, uint64_t now_monotonic_us,
                        char buf[static HEADLINE_MAX]);

/* A time that has passed, for people: "0.4 s", "12 s", "5 min", "27 h", "12 days". */
char *format_age(uint64_t us, char *buf, size_t size);

/* A size that changes: always three digits, so that it keeps its place on the screen. "3.00 GiB", "24.1 GiB", "300 MiB". */
char *format_amount(uint64_t bytes, char *buf, size_t size);

/* "100 MiB/s"; "-" for none. */
char *format_rate(uint64_t bytes_per_s, char *buf, size_t size);
