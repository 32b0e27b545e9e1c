/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology/cxl.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

int expander_text(char **ret, const char *text) {
        *ret = NULL;
        if (!text || text[0] == '\0')
                return 0;
        return copy_printable_line(text, strlen(text), ret);
}

static uint64_t common_bytes(const struct mem_range *a, const struct mem_range *b) {
        uint64_t start = MAX(a->start, b->start), end = MIN(a->end, b->end);

        return end > start ? end - start : 0;
}

void expanders_place(struct expanders *e, const struct topology *t) {
        for (size_t i = 0; e && i < e->n_regions; i++) {
                struct expander_region *region = &e->regions[i];
                uint64_t most = 0;

                region->node = -1;
                for (size_t k = 0; k < t->n_nodes; k++) {
                        uint64_t bytes = 0;

                        for (size_t n = 0; n < t->nodes[k].n_ranges; n++)
                                bytes += common_bytes(&region->range, &t->nodes[k].ranges[n]);
                        if (bytes > most) {
                                most = bytes;
                                region->node = t->nodes[k].id;
                        }
                }
        }
}

const struct expander_region *expanders_next_region(const struct expanders *e, int node, const struct expander_region *after) {
        if (!e)
                return NULL;
        for (size_t i = after ? (size_t) (after - e->regions) + 1 : 0; i < e->n_regions; i++)
                if (e->regions[i].node == node)
                        return e->regions + i;
        return NULL;
}

struct expanders *expanders_free(struct expanders *e) {
        if (!e)
                return NULL;
        for (size_t i = 0; i < e->n; i++) {
                free(e->items[i].name);
                free(e->items[i].firmware);
                free(e->items[i].location);
        }
        for (size_t i = 0; i < e->n_regions; i++) {
                free(e->regions[i].name);
                free(e->regions[i].decoder);
                free(e->regions[i].expanders);
        }
        free(e->items);
        free(e->regions);
        free(e);
        return NULL;
}
