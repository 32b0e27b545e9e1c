/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/config.h"
#include "tierctl/tierctl.h"

#include <stdio.h>

/*
 * The configuration as it would be read. Errors begin with file:line:col, so that editors can jump there: nothing is put
 * in front of them.
 */
int verb_check(const struct invocation *call) {
        const char *path = call->argc > 0 ? call->argv[0] : TIERD_SYSCONFDIR "/tierd.yaml";
        _cleanup_config_ struct config *c = NULL;
        struct diag d = {};
        int r;

        r = config_load(path, &c, &d);
        if (r < 0) {
                (void) fprintf(stderr, "%s\n", d.text);
                return exit_status(r);
        }
        if (c->warnings)
                (void) fprintf(stderr, "%s\n", c->warnings);
        (void) printf("%s: valid\n", path);
        return EXIT_WELL;
}
