/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/plan-internal.h"

#include <errno.h>
#include <string.h>

static int add_group(struct scheme *s, const char *path) {
        struct filter f = { .type = FILTER_MEMCG, .matching = true, .memcg_path = strdup(path) };

        if (!f.memcg_path)
                return -ENOMEM;
        s->filters[s->n_filters++] = f;
        return 0;
}

/* The groups that all excluded ones stand for come where the first of them stands. */
static int add_groups(const struct maker *m, struct scheme *s) {
        int r = 0;

        for (size_t i = 0; i < s->n_filters; i++)
                if (s->filters[i].type == FILTER_MEMCG)
                        return 0;
        for (size_t i = 0; i < m->cgroups->n_paths && r >= 0; i++)
                r = add_group(s, m->cgroups->paths[i]);
        return r;
}

/*
 * What is excluded is rejected first, before `young` looks at (and clears) the page's access bit: who looks after that memory
 * has use for it.
 */
int maker_add_filters(const struct maker *m, struct scheme *s) {
        const struct config *c = m->config;
        int r = 0;

        s->n_filters = 0;
        s->filters = calloc(c->n_excludes + (m->cgroups ? m->cgroups->n_paths : 0) + 1, sizeof(*s->filters));
        if (!s->filters)
                return -ENOMEM;

        for (size_t i = 0; i < c->n_excludes && r >= 0; i++) {
                const struct exclude *e = &c->excludes[i];

                switch (e->type) {
                case EXCLUDE_CGROUP:
                        r = m->cgroups ? add_groups(m, s) : add_group(s, e->cgroup);
                        break;
                case EXCLUDE_ANON:
                case EXCLUDE_FILE:
                        s->filters[s->n_filters++] = (struct filter) {
                                .type = FILTER_ANON,
                                .matching = e->type == EXCLUDE_ANON,
                        };
                        break;
                case EXCLUDE_HUGEPAGE:
                        if (m->features->hugepage_filter)
                                s->filters[s->n_filters++] = (struct filter) { .type = FILTER_HUGEPAGE_SIZE, .matching = true };
                        break;
                }
        }
        if (r < 0)
                return r;

        /*
         * Demotion leaves what was just used, promotion what was not: regions are coarse, pages are not. Aging looks at the
         * pages as demotion does.
         */
        if (m->features->young_filter)
                s->filters[s->n_filters++] = (struct filter) { .type = FILTER_YOUNG, .matching = s->direction != PROMOTE };
        return 0;
}
