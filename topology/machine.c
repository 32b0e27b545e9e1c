/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/machine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int machine_fail(const struct machine *m, int error, const char *path, const char *format, ...) {
        const char *root = m->root_path ? m->root_path : "";
        size_t len = strlen(root);
        char what[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(what, sizeof(what), format, ap);
        va_end(ap);
        while (len > 0 && root[len - 1] == '/')
                len--;
        return diag_set(m->reterr, error, "%.*s/%s: %s", (int) len, root, path, what);
}

int machine_fail_read(const struct machine *m, int error, const char *path) {
        if (error == -EBADMSG)
                return machine_fail(m, error, path, "not what the kernel writes here");
        return machine_fail(m, error, path, "cannot read: %s", strerror(-error));
}
