/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Under test: topology/numa-maps.c */
#include "topology/numa-maps.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum(const struct bound_bytes *b) {
        uint64_t n = 0;

        for (size_t i = 0; i < _BIND_POLICY_MAX; i++) {
                if (b->anon[i] > UINT64_MAX / 16 || b->file[i] > UINT64_MAX / 16)
                        return UINT64_MAX;
                n += b->anon[i] + b->file[i];
        }
        return n;
}

/* Text of exactly `size` bytes, so that a byte read beyond it is seen. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct idset none = {}, some = {}, all = {};
        struct bound_bytes b[3] = {};
        char *text = malloc(size + (size == 0));
        int r;

        if (!text)
                return 0;
        if (size > 0)
                memcpy(text, data, size);
        for (unsigned id = 0; id <= NODE_ID_MAX; id++)
                idset_add(&all, id);
        idset_add(&some, 0);

        r = numa_maps_parse(text, size, &none, &b[0]);
        /* Which nodes count is no matter of form; more nodes hold no less. */
        if (numa_maps_parse(text, size, &some, &b[1]) != r || numa_maps_parse(text, size, &all, &b[2]) != r)
                abort();
        if (sum(&b[0]) != 0 || sum(&b[1]) > sum(&b[2]))
                abort();
        free(text);
        return 0;
}
