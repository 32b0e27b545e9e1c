/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/config.h"
#include "policy/yaml.h"

/*
 * Values by key tables: each section of the configuration is a table of keys, each key names its reader, where in the
 * section's struct the result goes, and what is allowed.
 */

struct key;
struct section;

/* One configuration being read. */
struct reader {
        const struct source *source;
        struct config *config;
        struct diag *reterr;
};

/* One occurrence of a key. */
struct entry {
        const struct key *key;
        const struct yaml_value *name;  /* the key as it stands in the file */
        const struct yaml_value *value;
};

/* Reads a value into `target`, the key's offset added already. 0 or a negative errno with reterr. */
typedef int (*value_reader)(struct reader *in, const struct entry *e, void *target);

struct key {
        const char *name;
        value_reader read;
        size_t offset;
        const char *example;            /* for errors: a value that would do */
        uint64_t min, max;              /* numbers, inclusive; max 0: no upper limit */
        const char *const *choices;     /* read_choice: by the enumeration's values; NULL ends them */
        const struct section *section;  /* read_section */
};

struct section {
        const struct key *keys;
        size_t n_keys;
        /* What concerns several keys at once; `mapping` is NULL where the section is empty. May be NULL. */
        int (*check)(struct reader *in, const struct yaml_value *mapping, const void *target);
};
#define SECTION_KEYS_MAX 16

int read_section(struct reader *in, const struct entry *e, void *target);
int read_mapping(struct reader *in, const struct section *s, const struct entry *e, const struct yaml_value *mapping,
                 void *target);

int read_bool(struct reader *in, const struct entry *e, void *target);                /* bool */
int read_size(struct reader *in, const struct entry *e, void *target);                /* uint64_t bytes */
int read_duration(struct reader *in, const struct entry *e, void *target);            /* uint64_t microseconds */
int read_whole_ms(struct reader *in, const struct entry *e, void *target);            /* the same, whole milliseconds only */
int read_percent(struct reader *in, const struct entry *e, void *target); /* uint32_t basis points, between 0 and 100 % */
int read_count(struct reader *in, const struct entry *e, void *target);               /* uint64_t */
int read_weight(struct reader *in, const struct entry *e, void *target);              /* uint32_t */
int read_choice(struct reader *in, const struct entry *e, void *target);              /* an enumeration */
int read_file_path(struct reader *in, const struct entry *e, void *target);           /* char *, NULL for null */

/* An error at a value, or at the key where there is no value. */
int entry_error(struct reader *in, const struct entry *e, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* 0 when the value is of this type; else says what the key takes ("a size") and returns the error. */
int entry_expect(struct reader *in, const struct entry *e, enum yaml_type type, const char *takes);

/* A node id, "0" to "1023". */
int read_node_id(struct reader *in, const struct yaml_value *v, int *ret);

/* Adds a line to the configuration's warnings. */
int reader_warn(struct reader *in, struct position at, const char *format, ...) __attribute__((format(printf, 3, 4)));
