/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

/* The machine being read, handed through the readers of topology/. Not owned. */
struct machine {
        int root;                       /* see base/file.h */
        const char *root_path;          /* the same place by name; NULL: the live system */
        struct diag *reterr;            /* may be NULL */
};

/* Fills reterr with "ROOT/path: what" and returns `error`. */
int machine_fail(const struct machine *m, int error, const char *path, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* The same for a read that failed: says in words what `error` means, -EBADMSG being what is not of the kernel's form. */
int machine_fail_read(const struct machine *m, int error, const char *path);
