/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/client.h"
#include "tierctl/headline.h"
#include "tierctl/show.h"
#include "tierctl/status-text.h"
#include "tierctl/table.h"
#include "tierctl/tierctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* What the running daemon does, as of its last measurement. */

int verb_status(const struct invocation *call) {
        _cleanup_client_ sd_bus *bus = NULL;
        _cleanup_snapshot_ struct snapshot *s = NULL;
        _cleanup_free_ char *text = NULL;
        struct diag d = {};
        int r;

        r = client_open(&bus, &d);
        if (r >= 0)
                r = client_call(bus, "Describe", false, CLIENT_READ_TIMEOUT_US, &text, &d);
        if (r < 0)
                return client_report(&d);
        if (call->json) {
                (void) puts(text);
                return EXIT_WELL;
        }
        r = snapshot_parse(text, &s);
        if (r >= 0) {
                struct moment now = moment_now();

                r = status_print(s, &now, table_use_colour(stdout), stdout);
        }
        if (r < 0) {
                (void) diag_set(&d, r == -ENOMEM ? r : -EIO, "tierd's answer cannot be read: %s; is it of another version?",
                                strerror(-r));
                return client_report(&d);
        }
        return EXIT_WELL;
}
