/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "base/log.h"

struct daemon_options {
        const char *config_path;        /* --config; NULL: the default, which may be missing */
        const struct log *log;
};

/*
 * Manages the machine until SIGTERM or SIGINT; SIGHUP reloads. Returns 0 after an orderly stop; a negative errno with a diagnosis when it
 * could not start, or had to give up; the system is then as it was found, or reterr says what is not.
 */
int daemon_run(const struct daemon_options *options, struct diag *reterr);

/* Puts back what an earlier tierd of this boot left changed. Returns 0 also when there was nothing to do. */
int daemon_restore(const struct log *log, struct diag *reterr);
