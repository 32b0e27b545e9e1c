/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/rank.h"
#include "topology/nodes.h"

#include <errno.h>
#include <stdlib.h>

static int compare_keys(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

int rank_assign(struct topology *t, const bool *part, const uint64_t *keys) {
        _cleanup_free_ uint64_t *sorted = NULL;
        size_t n = 0, distinct = 0;

        sorted = calloc(t->n_nodes + 1, sizeof(*sorted));
        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_nodes; i++)
                if (part[i])
                        sorted[n++] = keys[i];
        qsort(sorted, n, sizeof(*sorted), compare_keys);
        for (size_t i = 0; i < n; i++)
                if (i == 0 || sorted[i] != sorted[i - 1])
                        sorted[distinct++] = sorted[i];

        for (size_t i = 0; i < t->n_nodes; i++) {
                const uint64_t *found;

                t->nodes[i].tier = -1;
                if (!part[i])
                        continue;
                found = bsearch(&keys[i], sorted, distinct, sizeof(*sorted), compare_keys);
                t->nodes[i].tier = (int) (found - sorted);
        }
        t->n_tiers = distinct;
        return 0;
}

bool rank_keys_suffice(const struct topology *t, const bool *part, const uint64_t *keys, bool several) {
        bool differ = false, any = false;
        uint64_t first = 0;

        for (size_t i = 0; i < t->n_nodes; i++) {
                if (!part[i])
                        continue;
                if (keys[i] == RANK_NO_KEY)
                        return false;
                if (!any)
                        first = keys[i];
                any = true;
                differ = differ || keys[i] != first;
        }
        return any && (differ || !several);
}

int rank_by_config(struct topology *t, const bool *has_memory, const struct tier_list *tiers, struct diag *reterr) {
        _cleanup_free_ uint64_t *keys = NULL;
        _cleanup_free_ bool *part = NULL;
        struct idset named = {};

        keys = calloc(t->n_nodes + 1, sizeof(*keys));
        part = calloc(t->n_nodes + 1, sizeof(*part));
        if (!keys || !part)
                return -ENOMEM;

        for (size_t tier = 0; tier < tiers->n_tiers; tier++) {
                if (idset_is_empty(&tiers->tiers[tier]))
                        return diag_set(reterr, -EINVAL, "tiers: tier %zu of the configuration names no node", tier);
                IDSET_FOREACH(id, &tiers->tiers[tier]) {
                        ssize_t i = topology_index(t, id);

                        if (i < 0 && !idset_has(&t->possible, (unsigned) id))
                                return diag_set(reterr, -EINVAL,
                                                "tiers: the configuration names node %d, and this machine has no such node "
                                                "and never will",
                                                id);
                        if (idset_has(&named, (unsigned) id))
                                return diag_set(reterr, -EINVAL, "tiers: the configuration names node %d twice", id);
                        idset_add(&named, (unsigned) id);
                        if (i < 0 || !has_memory[i])
                                continue;
                        part[i] = true;
                        keys[i] = tier;
                }
        }
        return rank_assign(t, part, keys);
}

/* An unknown distance is the farthest of all. */
static uint64_t distance(const struct topology *t, size_t from, size_t to) {
        uint16_t d = t->distances[from * t->n_nodes + to];

        return d > 0 ? d : UINT16_MAX;
}

static bool may_be_local(const struct node *node) {
        return node->kind == NODE_DRAM || node->kind == NODE_UNKNOWN;
}

void rank_mark_local(const struct topology *t, const bool *part, bool *local) {
        for (size_t i = 0; i < t->n_nodes; i++)
                local[i] = part[i] && !idset_is_empty(&t->nodes[i].cpus);

        for (size_t c = 0; c < t->n_nodes; c++) {
                uint64_t nearest = UINT64_MAX;

                if (idset_is_empty(&t->nodes[c].cpus) || t->nodes[c].memory_bytes > 0)
                        continue;
                for (size_t i = 0; i < t->n_nodes; i++)
                        if (part[i] && may_be_local(&t->nodes[i]))
                                nearest = MIN(nearest, distance(t, c, i));
                for (size_t i = 0; i < t->n_nodes; i++)
                        if (part[i] && may_be_local(&t->nodes[i]) && distance(t, c, i) == nearest)
                                local[i] = true;
        }
}

void rank_keys_by_kind(const struct topology *t, const bool *part, const bool *local, const enum node_kind *kinds,
                       uint64_t *keys) {
        static const uint64_t ranks[_NODE_KIND_MAX] = {
                [NODE_UNKNOWN] = RANK_NO_KEY,
                [NODE_HBM] = 0,
                [NODE_DRAM] = 1,
                [NODE_CXL] = 2,
                [NODE_PMEM] = 3,
                [NODE_GPU] = RANK_NO_KEY,
        };

        for (size_t i = 0; i < t->n_nodes; i++) {
                keys[i] = RANK_NO_KEY;
                if (part[i])
                        keys[i] = ranks[kinds[i] == NODE_UNKNOWN && local[i] ? NODE_DRAM : kinds[i]];
        }
}

void rank_keys_by_distance(const struct topology *t, const bool *part, const bool *local, uint64_t *keys) {
        for (size_t i = 0; i < t->n_nodes; i++) {
                uint64_t nearest = UINT16_MAX;

                keys[i] = RANK_NO_KEY;
                if (!part[i])
                        continue;
                if (t->nodes[i].kind == NODE_HBM) {
                        keys[i] = 0;
                        continue;
                }
                if (local[i]) {
                        keys[i] = 1;
                        continue;
                }
                for (size_t c = 0; c < t->n_nodes; c++)
                        if (!idset_is_empty(&t->nodes[c].cpus))
                                nearest = MIN(nearest, distance(t, i, c));
                keys[i] = 2 + nearest;
        }
}
