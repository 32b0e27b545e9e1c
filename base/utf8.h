/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one character of the `len` bytes at text. Returns its length in bytes; 0: the bytes are not UTF-8 (RFC 3629). */
size_t utf8_decode(const char *text, size_t len, uint32_t *ret);

/* C0, DEL and C1: what a terminal might obey. */
static inline bool utf8_is_control(uint32_t c) {
        return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/*
 * File names, notes and lines of a configuration may hold any bytes; D-Bus, JSON and OpenMetrics take UTF-8 alone, and a
 * message with anything else in it is not sent at all. Every byte that is no part of a character becomes a question mark, and
 * so do those of code points that Unicode keeps for no character, which sd-bus refuses. Returns text.
 */
char *utf8_repair(char *text);
