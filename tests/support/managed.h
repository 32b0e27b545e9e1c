/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/support/tiered.h"
#include "tierd/manager.h"

/* A machine as tiered_new() makes it, what it looked like before, its record, and a manager, which manages nothing at first. */
struct fixture {
        struct scratch *s;
        char *before;
        int run;
        struct saved *saved;
        struct manager m;
};

struct fixture fixture_new(enum scratch_kernel kernel);

/* Fails the test, too, when the kernel would have crashed on what was written to it, or run a scheme without its quota. */
void fixture_done(struct fixture *f);
#define _cleanup_fixture_ _cleanup_(fixture_done)

/* manager_start() under a configuration of this text; a manager that was started is forgotten, not stopped. */
int start(struct fixture *f, const char *config, struct diag *d);

/* The same, and manager_stop() with assert_restored(), which must succeed. `after`: what was done before, told on failure. */
void started(struct fixture *f, const char *config);
void stopped(struct fixture *f, const char *after);

/* Nothing of tierd is left. */
void assert_restored(struct fixture *f, const char *after);

/* Of the writes from here on the one with this number, from 0, fails once, with EIO. */
void fail_once(const struct fixture *f, size_t at);

/* manager_turn() at this second must have this result. */
void turn_is(struct fixture *f, uint64_t now_s, int expected);

/* The kdamond of this slot ends by itself. */
void dies(struct fixture *f, int slot);

/* How many kdamonds run. */
unsigned running(const struct fixture *f);

/*
 * The kernel's counts stand as after so many passes. Free memory is at 0, and what is tried is moved, so the tuner demotes as
 * soon as it has seen enough.
 */
void count_on(struct fixture *f, uint64_t passes);

/* The kernel's files hold the quotas that the books say are in force. */
void assert_books(struct fixture *f, const char *where);
