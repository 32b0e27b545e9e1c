/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Under test: base/idset.c */
#include "base/idset.h"
#include "topology/parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses can be written and parsed again, and is the same set; what does not leaves the output alone. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static char text[65536], formatted[65536];
        struct idset s = {}, again;
        int len;

        if (size >= sizeof(text))
                return 0;
        memcpy(text, data, size);
        text[size] = '\0';

        if (idset_parse(text, IDSET_MAX - 1, &s) < 0) {
                if (!idset_is_empty(&s))
                        abort();
        } else {
                len = idset_format(&s, formatted, sizeof(formatted));
                if (len < 0 || (size_t) len != strlen(formatted))
                        abort();
                if (idset_parse(formatted, IDSET_MAX - 1, &again) < 0 || !idset_equal(&s, &again))
                        abort();
        }
        (void) parse_cpumap(text, &s);
        return 0;
}
