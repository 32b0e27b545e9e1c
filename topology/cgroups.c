/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/cgroups.h"

#include <errno.h>
#include <string.h>

int cgroups_expand(int root, const char *const *names, size_t n_names, struct cgroup_list **ret, struct diag *reterr) {
        struct cgroup_list *l = calloc(1, sizeof(*l));

        (void) root;
        if (!l)
                return diag_set(reterr, -ENOMEM, "out of memory");
        l->paths = calloc(n_names + 1, sizeof(*l->paths));
        for (size_t i = 0; l->paths && i < n_names; i++)
                l->paths[l->n_paths++] = strdup(names[i]);
        *ret = l;
        return 0;
}

struct cgroup_list *cgroup_list_free(struct cgroup_list *l) {
        if (!l)
                return NULL;
        for (size_t i = 0; i < l->n_paths; i++)
                free(l->paths[i]);
        free(l->paths);
        free(l);
        return NULL;
}
