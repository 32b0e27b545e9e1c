/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierctl/show.h"
#include "tierctl/status-text.h"

/* What `tierctl top` shows at one moment. */
struct frame {
        struct show show;               /* its `now` is the last snapshot that was had */
        const char *trouble;            /* why there is none that is newer; NULL: there is */
        uint64_t interval_us;
        bool live;                      /* on a terminal: else one of many, below each other */
        size_t rows;                    /* of the terminal */
};

/* The frame as lines of text, to be freed. 0 or -ENOMEM. */
int frame_make(const struct frame *frame, const struct moment *now, char **ret);
