/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/client.h"
#include "tierctl/tierctl.h"

#include <errno.h>
#include <stdio.h>

/* pause, resume and reload: what changes the running daemon. Each returns when it is done. */

/*
 * For ever: a person may have to be asked for a password first, and the kernel takes its time over every write, hours where the
 * configuration has it count accesses for so long. Who has no more patience ends this: systemd in its time (it is the unit's
 * ExecReload=), a person at once. A daemon that hangs is ended by its watchdog, and the bus then tells.
 */
#define CONTROL_TIMEOUT_US UINT64_MAX

static int control(const char *method, struct diag *reterr) {
        _cleanup_client_ sd_bus *bus = NULL;
        int r;

        r = client_open(&bus, reterr);
        return r < 0 ? r : client_call(bus, method, true, CONTROL_TIMEOUT_US, NULL, reterr);
}

int verb_pause(const struct invocation *call) {
        struct diag d = {};

        (void) call;
        return control("Pause", &d) < 0 ? client_report(&d) : EXIT_WELL;
}

int verb_resume(const struct invocation *call) {
        struct diag d = {};

        (void) call;
        return control("Resume", &d) < 0 ? client_report(&d) : EXIT_WELL;
}

int verb_reload(const struct invocation *call) {
        struct diag d = {};
        int r;

        (void) call;
        r = control("Reload", &d);
        if (r != -EBADMSG)
                return r < 0 ? client_report(&d) : EXIT_WELL;
        /* It begins with file:line:col, as check's does, so that editors can jump there. */
        (void) fprintf(stderr, "%s\n", d.text);
        return EXIT_NO;
}
