/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/ring.h"
#include "base/cleanup.h"

#include <string.h>

/* What stands before each record: its length. */
typedef uint32_t record_length;

static void ring_append(struct ring *r, const void *data, size_t len) {
        size_t at = (r->start + r->used) % RING_SIZE, head = MIN(len, RING_SIZE - at);

        memcpy(r->data + at, data, head);
        memcpy(r->data, (const unsigned char *) data + head, len - head);
        r->used += len;
}

/* The next `len` bytes, of which `keep` are wanted. */
static void ring_consume(struct ring *r, void *buf, size_t keep, size_t len) {
        size_t head = MIN(keep, RING_SIZE - r->start);

        memcpy(buf, r->data + r->start, head);
        memcpy((unsigned char *) buf + head, r->data, keep - head);
        r->start = (r->start + len) % RING_SIZE;
        r->used -= len;
}

bool ring_put(struct ring *r, size_t spare, const struct iovec *parts, size_t n) {
        size_t room = RING_SIZE - r->used, len = 0;
        record_length length;

        for (size_t i = 0; i < n; i++)
                len += parts[i].iov_len;
        if (room < sizeof(length) + spare || len > room - sizeof(length) - spare)
                return false;
        length = (record_length) len;
        ring_append(r, &length, sizeof(length));
        for (size_t i = 0; i < n; i++)
                ring_append(r, parts[i].iov_base, parts[i].iov_len);
        return true;
}

size_t ring_take(struct ring *r, void *buf, size_t size) {
        record_length length;
        size_t keep;

        if (ring_is_empty(r))
                return 0;
        ring_consume(r, &length, sizeof(length), sizeof(length));
        keep = MIN((size_t) length, size);
        ring_consume(r, buf, keep, length);
        return keep;
}
