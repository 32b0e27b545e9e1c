/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/client.h"
#include "tierctl/tierctl.h"

#include <stdio.h>

/* The daemon's metrics as OpenMetrics text. */
int verb_metrics(const struct invocation *call) {
        _cleanup_client_ sd_bus *bus = NULL;
        _cleanup_free_ char *text = NULL;
        struct diag d = {};
        int r;

        (void) call;
        r = client_open(&bus, &d);
        if (r >= 0)
                r = client_call(bus, "Metrics", false, CLIENT_READ_TIMEOUT_US, &text, &d);
        if (r < 0)
                return client_report(&d);
        (void) fputs(text, stdout);
        return EXIT_WELL;
}
