/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/client.h"
#include "tierctl/tierctl.h"

#include <errno.h>
#include <stdio.h>

/* pause, resume and reload: what changes the running daemon. Each returns when it is done. */

static int control(const char *method, struct diag *reterr) {
        _cleanup_client_ sd_bus *bus = NULL;
        int r;

        r = client_open(&bus, reterr);
        return r < 0 ? r : client_call(bus, method, true, CLIENT_ORDER_TIMEOUT_US, NULL, reterr);
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
