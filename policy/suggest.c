/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/suggest.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

size_t edit_distance(const char *a, const char *b) {
        size_t rows[3][SUGGEST_WORD_MAX + 1];
        size_t la = strlen(a), lb = strlen(b);
        size_t *before = rows[0], *last = rows[1], *now = rows[2];

        if (la > SUGGEST_WORD_MAX || lb > SUGGEST_WORD_MAX)
                return SIZE_MAX;

        for (size_t j = 0; j <= lb; j++)
                last[j] = j;
        for (size_t i = 1; i <= la; i++) {
                size_t *oldest = before;
                int ca = tolower((unsigned char) a[i - 1]);

                now[0] = i;
                for (size_t j = 1; j <= lb; j++) {
                        int cb = tolower((unsigned char) b[j - 1]);

                        now[j] = MIN(last[j], now[j - 1]) + 1;
                        now[j] = MIN(now[j], last[j - 1] + (ca != cb));
                        if (i > 1 && j > 1 && ca == tolower((unsigned char) b[j - 2]) &&
                            cb == tolower((unsigned char) a[i - 2]))
                                now[j] = MIN(now[j], before[j - 2] + 1);
                }
                before = last;
                last = now;
                now = oldest;
        }
        return last[lb];
}

const char *suggest_nearest(const char *word, const char *const *words, size_t n) {
        const char *nearest = NULL;
        size_t least = SIZE_MAX;

        for (size_t i = 0; i < n; i++) {
                /* One slip in a short word, one more for every four letters: farther is another word. */
                size_t distance = edit_distance(word, words[i]), allowed = 1 + strlen(words[i]) / 4;

                if (distance <= allowed && distance < strlen(words[i]) && distance < least) {
                        least = distance;
                        nearest = words[i];
                }
        }
        return nearest;
}
