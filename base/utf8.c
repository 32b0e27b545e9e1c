/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/utf8.h"

#include <string.h>

size_t utf8_decode(const char *text, size_t len, uint32_t *ret) {
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        const unsigned char *p = (const unsigned char *) text;
        size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf8 ? 4 : 0;
        uint32_t c;

        if (n == 0 || n > len)
                return 0;
        c = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }
        if (n > 1 && (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)))
                return 0;
        *ret = c;
        return n;
}

/* Code points that Unicode keeps for no character. */
static bool is_noncharacter(uint32_t c) {
        return (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

char *utf8_repair(char *text) {
        size_t len = strlen(text), n;

        for (size_t i = 0; i < len; i += n > 0 ? n : 1) {
                uint32_t c;

                n = utf8_decode(text + i, len - i, &c);
                if (n > 0 && is_noncharacter(c))
                        n = 0;
                if (n == 0)
                        text[i] = '?';
        }
        return text;
}
