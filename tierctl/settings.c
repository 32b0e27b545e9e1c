/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/settings.h"
#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int settings_read(int root, const char *root_path, char *name, size_t size, struct config **ret, struct diag *reterr) {
        static const char path[] = TIERD_SYSCONFDIR "/tierd.yaml";
        int r;

        if (path_format(name, size, "%s%s", root_path ? root_path : "", path) < 0)
                (void) path_format(name, size, "%s", path);
        r = config_read(root, path + strspn(path, "/"), name, ret, reterr);
        if (r != -ENOENT)
                return r;
        name[0] = '\0';
        return config_new(ret);
}

int settings_expand_groups(int root, const struct config *c, struct cgroup_list **ret, struct diag *reterr) {
        _cleanup_free_ const char **names = NULL;
        size_t n = 0;

        names = calloc(c->n_excludes + 1, sizeof(*names));
        if (!names)
                return diag_set(reterr, -ENOMEM, "out of memory");
        for (size_t i = 0; i < c->n_excludes; i++)
                if (c->excludes[i].type == EXCLUDE_CGROUP)
                        names[n++] = c->excludes[i].cgroup;
        *ret = NULL;
        return n > 0 ? MIN(cgroups_expand(root, names, n, ret, reterr), 0) : 0;
}
