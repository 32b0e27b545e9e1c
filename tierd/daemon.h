/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "base/log.h"
#include "tierd/journal.h"
#include "tierd/metrics-writer.h"

#include <stdbool.h>

struct daemon_options {
        int root;                       /* the machine, see base/file.h */
        const char *run_directory;      /* by name: it is made where it is missing */
        const char *config_path;        /* --config; NULL: the default, which may be missing */
        struct journal *journal;        /* where everything is told; NULL: nowhere (--prepare, --restore) */
        const struct log *log;          /* the same, for plain messages */
        bool lock_memory;               /* lock its own memory, and take it from the top tier */
        metrics_write write_metrics;    /* NULL: metrics_write_file() */
};

/*
 * Manages the machine until SIGTERM or SIGINT; SIGHUP reloads. Returns 0 after an orderly stop; a negative errno with a
 * diagnosis when it could not start, or had to give up; the system is then as it was found, or reterr or the log says what is
 * not. Blocks these signals for good.
 */
int daemon_run(const struct daemon_options *options, struct diag *reterr);
