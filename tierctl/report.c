/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/tierctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int report_failure(const struct diag *d, int otherwise) {
        (void) fflush(stdout);
        (void) fprintf(stderr, "tierctl: %s\n", d->text[0] ? d->text : strerror(d->error < 0 ? -d->error : EIO));
        return d->error == -EACCES || d->error == -EPERM ? EXIT_NOT_PERMITTED : otherwise;
}
