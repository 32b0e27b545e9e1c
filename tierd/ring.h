/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Records of bytes in a fixed piece of memory, first in, first out. No lock: its owner has one. Zero-initialised: empty. */
#define RING_SIZE ((size_t) 128 << 10)
struct ring {
        size_t start, used;
        unsigned char data[RING_SIZE];
};

/* Appends one record made of n parts. False, with nothing changed, when less than `spare` bytes would be left. */
bool ring_put(struct ring *r, size_t spare, const struct iovec *parts, size_t n);

/* Takes the oldest record into buf. Returns its length, 0 when there is none; what does not fit in buf is cut. */
size_t ring_take(struct ring *r, void *buf, size_t size);

static inline bool ring_is_empty(const struct ring *r) {
        return r->used == 0;
}
