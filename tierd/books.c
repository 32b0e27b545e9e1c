/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/books.h"

#include <errno.h>

static int collect_nodes(const struct plan *p, struct node_report **ret, size_t *ret_n) {
        _cleanup_free_ struct node_report *nodes = NULL;
        struct idset ids = {};
        size_t n = 0;

        for (size_t i = 0; i < p->n_kdamonds; i++) {
                idset_add(&ids, (unsigned) p->kdamonds[i].nid);
                for (size_t j = 0; j < p->kdamonds[i].n_schemes; j++)
                        idset_add(&ids, (unsigned) p->kdamonds[i].schemes[j].target_nid);
        }
        nodes = calloc(idset_count(&ids) + 1, sizeof(*nodes));
        if (!nodes)
                return -ENOMEM;
        IDSET_FOREACH(id, &ids)
                nodes[n++].nid = id;
        *ret = TAKE_PTR(nodes);
        *ret_n = n;
        return 0;
}

void books_done(struct books *b) {
        b->tuner = tuner_free(b->tuner);
        b->plan = plan_free(b->plan);
        free(b->schemes);
        free(b->views);
        free(b->nodes);
        free(b->quotas);
        free(b->kdamonds);
        free(b->feedback);
        free(b->paces);
}

int books_make(struct plan *plan, struct books *ret) {
        _cleanup_books_ struct books b = {};
        size_t n = 0;
        int r;

        b.n_schemes = plan_n_schemes(plan);
        b.schemes = calloc(b.n_schemes + 1, sizeof(*b.schemes));
        b.quotas = calloc(b.n_schemes + 1, sizeof(*b.quotas));
        b.views = calloc(plan->n_kdamonds + 1, sizeof(*b.views));
        b.kdamonds = calloc(plan->n_kdamonds + 1, sizeof(*b.kdamonds));
        b.feedback = calloc(b.n_schemes + 1, sizeof(*b.feedback));
        b.paces = calloc(plan->n_kdamonds + 1, sizeof(*b.paces));
        if (!b.schemes || !b.quotas || !b.views || !b.kdamonds || !b.feedback || !b.paces)
                return -ENOMEM;
        for (size_t i = 0; i < b.n_schemes; i++)
                b.feedback[i] = feedback_start();
        r = collect_nodes(plan, &b.nodes, &b.n_nodes);
        if (r < 0)
                return r;
        if (tuner_kind_is_own(plan->tuner)) {
                r = tuner_new(plan, &b.tuner);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < plan->n_kdamonds; i++) {
                quota_values_start(plan, plan->kdamonds + i, b.quotas + n);
                for (size_t j = 0; j < plan->kdamonds[i].n_schemes; j++, n++)
                        b.schemes[n] = (struct scheme_report) {
                                .scheme = plan->kdamonds[i].schemes + j,
                                .quota_bytes = b.quotas[n].bytes,
                                .quota_window_us = b.quotas[n].reset_interval_ms * 1000,
                                .reason = TUNER_SETTLING,
                        };
        }
        b.plan = plan;
        *ret = b;
        b = (struct books) {};
        return 0;
}

void books_inherit(struct books *b, const struct books *from) {
        if (!from->plan)
                return;
        for (size_t i = 0; i < b->n_schemes; i++)
                for (size_t j = 0; j < from->n_schemes; j++) {
                        const struct scheme *s = b->schemes[i].scheme, *old = from->schemes[j].scheme;

                        if (s->direction != old->direction || s->source_nid != old->source_nid ||
                            s->target_nid != old->target_nid)
                                continue;
                        b->schemes[i].stats = from->schemes[j].stats;
                        b->schemes[i].reason = from->schemes[j].reason;
                        b->quotas[i] = from->quotas[j];
                        b->feedback[i] = from->feedback[j];
                }
        for (size_t i = 0; i < b->plan->n_kdamonds; i++)
                for (size_t j = 0; j < from->plan->n_kdamonds; j++)
                        if (b->plan->kdamonds[i].nid == from->plan->kdamonds[j].nid) {
                                b->kdamonds[i] = from->kdamonds[j];
                                b->views[i] = from->views[j];
                                b->paces[i] = from->paces[j];
                        }
        for (size_t i = 0; i < b->n_nodes; i++)
                for (size_t j = 0; j < from->n_nodes; j++)
                        if (b->nodes[i].nid == from->nodes[j].nid)
                                b->nodes[i] = from->nodes[j];
        if (b->tuner && from->tuner)
                tuner_inherit(b->tuner, from->tuner);
}
