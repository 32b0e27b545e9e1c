/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/file.h"
#include "damon/ops.h"

/*
 * Shared by ops.c and ops-scheme.c only: a list under construction. The first error sticks, and what follows it is not
 * encoded, so that an encoder reads as the list of writes that it is.
 */
struct encoder {
        struct ops *ops;
        int error;
        char prefix[PATH_SIZE];         /* the directory that names are relative to */
};

int encoder_open(struct encoder *e);
int encoder_close(struct encoder *e, struct ops **ret);         /* takes the list, or frees it and returns the error */
void encoder_fail(struct encoder *e, int error);
void encoder_at(struct encoder *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

void encode(struct encoder *e, const char *value, const char *name);
void encode_u64(struct encoder *e, uint64_t value, const char *name);
void encode_int(struct encoder *e, int value, const char *name);

/* bytes and reset_interval_ms, relative to the scheme's directory. */
void encode_quota(struct encoder *e, struct quota_value q);

void encode_scheme(struct encoder *e, int slot, size_t index, const struct plan *p, const struct scheme *s,
                   const struct capability *c);
void encode_probe(struct encoder *e, int slot, size_t index, const struct plan *p, const struct probe *probe,
                  const struct capability *c);

/* Rounded up: a quota interval of less than a millisecond is not none. */
uint64_t us_to_ms(uint64_t us);
