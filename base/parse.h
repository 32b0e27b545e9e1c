/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Strict parsers: the whole string is the value, no blanks, no sign, no exponent. All return 0, -EINVAL when the text is
 * not of the form, -ERANGE when it is but does not fit. *ret is written on success only.
 */
int parse_u64(const char *text, uint64_t *ret);                  /* decimal */
int parse_hex_u64(const char *text, uint64_t *ret);              /* hexadecimal, with or without 0x */
int parse_int(const char *text, int min, int max, int *ret);     /* decimal, an optional leading minus */

/* "200MiB", "4KiB", "512B": a whole number and one of B, KiB, MiB, GiB, TiB. Result in bytes. */
int parse_size(const char *text, uint64_t *ret_bytes);

/* "5ms", "1s", "2m": a whole number and one of us, ms, s, m, h. Result in microseconds. */
int parse_duration(const char *text, uint64_t *ret_us);

/* "5%", "7.5%", "99.95%": at most two decimals. Result in basis points (5% is 500). Any value up to 1000% parses. */
int parse_percent(const char *text, uint32_t *ret_bp);

/*
 * Formatting for people, into buf (always terminated, cut to fit), returning buf.
 * size: "200 MiB", "1.50 GiB", three significant digits, binary units. duration: "5 ms", "1 s", the largest whole unit.
 * percent: "5%", "7.5%", from basis points.
 */
#define FORMAT_MAX 32
char *format_size(uint64_t bytes, char *buf, size_t size);
char *format_duration(uint64_t us, char *buf, size_t size);
char *format_percent(uint32_t bp, char *buf, size_t size);
