/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Under test: tierctl/snapshot.c tierctl/headline.c tierctl/show.c */
/* Under test: tierctl/status-text.c tierctl/top-frame.c tierctl/terminal.c */
#include "tierctl/terminal.h"
#include "tierctl/top-frame.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of two bytes: how wide and high the screen is. */
static void draw(const struct snapshot *s, const struct snapshot *before, uint8_t width, uint8_t rows) {
        static const struct moment now = { .realtime_us = UINT64_C(1795100002000000), .monotonic_us = 3000000 };
        static int null = -1;
        struct frame frame = {
                .show = { .now = s, .before = width % 2 ? show_base(s, before) : NULL, .width = width, .bars = rows % 2 },
                .interval_us = 2000000, .live = true, .rows = rows,
        };
        char *text = NULL;
        FILE *f;

        if (null < 0)
                null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        f = fdopen(dup(null), "w");
        if (null < 0 || !f || status_print(s, &now, rows % 3 == 0, f) < 0 || fclose(f) != 0)
                abort();
        if (frame_make(&frame, &now, &text) < 0 ||
            terminal_draw(&(struct terminal) { .in = null, .out = null }, text, width, rows) < 0)
                abort();
        free(text);
}

/* What the daemon says of itself, right or wrong, can be shown on a screen of any size, and does not steer it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static char text[65536];
        struct snapshot *s = NULL, *before = NULL;

        if (size < 2 || size >= sizeof(text))
                return 0;
        memcpy(text, data + 2, size - 2);
        text[size - 2] = '\0';
        if (snapshot_parse(text, &s) < 0)
                return 0;
        for (size_t i = 0; i < s->n_notes; i++)
                if (strpbrk(s->notes[i], "\x1b\n\r\a"))
                        abort();
        /* The same a moment earlier, so that there are rates. */
        if (snapshot_parse(text, &before) < 0)
                abort();
        if (before->taken_monotonic_us > 0)
                before->taken_monotonic_us--;
        for (size_t i = 0; i < before->n_schemes; i++)
                before->schemes[i].applied_bytes /= 2;
        draw(s, before, data[0], data[1]);
        snapshot_free(before);
        snapshot_free(s);
        return 0;
}
