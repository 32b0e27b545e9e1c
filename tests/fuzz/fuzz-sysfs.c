/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Under test: topology/parse.c topology/iomem.c topology/ranges.c */
#include "topology/iomem.h"
#include "topology/kinds.h"
#include "topology/parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_merged(const struct range_list *l) {
        for (size_t i = 0; i < l->n; i++)
                if (l->items[i].start >= l->items[i].end || (i > 0 && l->items[i].start <= l->items[i - 1].end))
                        abort();
}

/* The texts of sysfs and procfs that topology/ reads. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_iomem_ struct iomem iomem = {};
        char *text = malloc(size + 1);
        uint16_t row[4] = {};
        struct idset cpus;
        uint64_t bytes;
        size_t line;
        int nid = -1;

        if (!text)
                return 0;
        memcpy(text, data, size);
        text[size] = '\0';

        (void) parse_node_memtotal(text, 0, &bytes);
        if (parse_node_distances(text, 4, row) < 0 && (row[0] || row[1] || row[2] || row[3]))
                abort();
        (void) parse_cpumap(text, &cpus);
        if (parse_gpu_node(text, &nid) == 0 && (nid < -1 || nid > NODE_ID_MAX))
                abort();
        (void) kinds_of_dax_link(text);
        if (iomem_parse(text, &iomem, &line) == 0) {
                _cleanup_ranges_ struct range_list common = {};

                check_merged(&iomem.ram);
                check_merged(&iomem.cxl);
                check_merged(&iomem.pmem);
                if (range_list_intersect(&iomem.ram, &iomem.cxl, &common) == 0 &&
                    (range_list_bytes(&common) != range_list_bytes(&iomem.cxl) ||
                     range_list_common_bytes(&iomem.ram, &iomem.cxl) != range_list_bytes(&common)))
                        abort();
        }
        free(text);
        return 0;
}
