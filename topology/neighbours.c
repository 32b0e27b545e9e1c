/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/neighbours.h"

static bool is_nearer(const struct topology *t, size_t from, size_t a, size_t b) {
        const struct node *x = &t->nodes[a], *y = &t->nodes[b];
        uint16_t distance_x = t->distances[from * t->n_nodes + a], distance_y = t->distances[from * t->n_nodes + b];

        /* 0 is unknown; as the largest number it comes last. */
        if (distance_x != distance_y)
                return (uint16_t) (distance_x - 1) < (uint16_t) (distance_y - 1);
        if (x->read_latency_ns != y->read_latency_ns)
                return x->read_latency_ns - 1 < y->read_latency_ns - 1;
        if (x->memory_bytes != y->memory_bytes)
                return x->memory_bytes > y->memory_bytes;
        return x->id < y->id;
}

/* Index of the node of `tier` nearest to node `from`; n_nodes: there is none. */
static size_t nearest(const struct topology *t, size_t from, int tier) {
        size_t best = t->n_nodes;

        for (size_t i = 0; i < t->n_nodes; i++)
                if (t->nodes[i].tier == tier && (best == t->n_nodes || is_nearer(t, from, i, best)))
                        best = i;
        return best;
}

void neighbours_choose(struct topology *t) {
        for (size_t i = 0; i < t->n_nodes; i++) {
                t->nodes[i].upper = (struct idset) {};
                t->nodes[i].lower = (struct idset) {};
        }

        for (size_t i = 0; i < t->n_nodes; i++) {
                size_t lower;

                if (t->nodes[i].tier < 0)
                        continue;
                lower = nearest(t, i, t->nodes[i].tier + 1);
                if (lower == t->n_nodes)
                        continue;
                idset_add(&t->nodes[i].lower, (unsigned) t->nodes[lower].id);
                idset_add(&t->nodes[lower].upper, (unsigned) t->nodes[i].id);
        }

        for (size_t i = 0; i < t->n_nodes; i++) {
                size_t upper;

                if (t->nodes[i].tier <= 0 || !idset_is_empty(&t->nodes[i].upper))
                        continue;
                upper = nearest(t, i, t->nodes[i].tier - 1);
                if (upper < t->n_nodes)
                        idset_add(&t->nodes[i].upper, (unsigned) t->nodes[upper].id);
        }
}
