/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/tierctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int exit_status(int error) {
        switch (error) {
        case -EACCES:
        case -EPERM:
                return EXIT_NOT_PERMITTED;
        case -ENOMEM:
                return EXIT_INTERNAL;
        default:
                return EXIT_NO;
        }
}

int report_failure(const struct diag *d) {
        (void) fflush(stdout);
        (void) fprintf(stderr, "tierctl: %s\n", d->text[0] ? d->text : strerror(d->error < 0 ? -d->error : EIO));
        return exit_status(d->error);
}
