/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Exit statuses, part of the interface (tierctl(1)). */
enum {
        EXIT_WELL = 0,
        EXIT_NO = 1,            /* the answer is no: invalid configuration, machine cannot run tierd */
        EXIT_USAGE = 2,
        EXIT_NO_DAEMON = 3,
        EXIT_NOT_PERMITTED = 4,
        EXIT_INTERNAL = 5,
};

/* One call of tierctl, its options sorted out by main.c. Each verb lives in a file of its name. */
struct invocation {
        const char *root_path;          /* --root DIR; NULL: the live system */
        int root;                       /* that directory's fd, or of "/" */
        const char *kernel;             /* --kernel RELEASE; NULL */
        const char *config;             /* --config FILE; NULL */
        bool json;                      /* --json */
        bool ops;                       /* --ops */
        uint64_t interval_us;           /* --interval; 0: the verb's own */
        uint64_t iterations;            /* --iterations; 0: without end */
        int argc;                       /* what is left of the command line, without the verb */
        char **argv;
};

int verb_topology(const struct invocation *call);
int verb_plan(const struct invocation *call);
int verb_check(const struct invocation *call);
int verb_doctor(const struct invocation *call);
int verb_status(const struct invocation *call);
int verb_top(const struct invocation *call);
int verb_pause(const struct invocation *call);
int verb_resume(const struct invocation *call);
int verb_reload(const struct invocation *call);
int verb_drain(const struct invocation *call);
int verb_undrain(const struct invocation *call);
int verb_metrics(const struct invocation *call);

/*
 * What a failure means to the caller of tierctl: not permitted, out of memory (internal), or else the answer is no: what was
 * asked about is not there, or not as it must be.
 */
int exit_status(int error);

/* Prints "tierctl: TEXT" to stderr and returns the exit status of d->error. */
int report_failure(const struct diag *d);
