/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/configuration.h"

#include <errno.h>

int configuration_load(const char *path, struct config **ret, const char **ret_path, struct diag *reterr) {
        const char *from = path ? path : CONFIGURATION_DEFAULT;
        int r;

        r = config_load(from, ret, reterr);
        if (r == -ENOENT && !path) {
                from = NULL;
                r = config_new(ret);
        }
        if (r < 0)
                return diag_default(reterr, r, "out of memory");
        if (ret_path)
                *ret_path = from;
        return 0;
}
