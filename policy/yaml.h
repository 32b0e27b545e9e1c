/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "policy/source.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * One YAML document as a tree in which every value knows where it stood. What a configuration does not need and an
 * attacker might use is refused whole: aliases and anchors (so no alias bombs), tags, merge keys, a second document,
 * nesting deeper than YAML_DEPTH_MAX.
 */
#define YAML_DEPTH_MAX 16

enum yaml_type { YAML_TEXT, YAML_LIST, YAML_MAPPING };

struct yaml_value {
        enum yaml_type type;
        struct position at;             /* an empty value stands where its key stands */
        char *text;                     /* YAML_TEXT: without NUL characters */
        bool plain;                     /* YAML_TEXT: not quoted, no block */
        struct yaml_value **keys;       /* YAML_MAPPING: all YAML_TEXT, as many as items; may hold the same key twice */
        struct yaml_value **items;      /* YAML_LIST, YAML_MAPPING */
        size_t n_items;
};

/*
 * Returns 0, with *ret NULL for a file without a document (empty, or comments only); -EBADMSG with the position in reterr;
 * -ENOMEM. YAML syntax comes first: a file that is no YAML says so, whatever else is wrong with it.
 */
int yaml_parse(const struct source *s, struct yaml_value **ret, struct diag *reterr);
struct yaml_value *yaml_value_free(struct yaml_value *v);
DEFINE_CLEANUP(struct yaml_value, yaml_value_free)
#define _cleanup_yaml_value_ _cleanup_(yaml_value_freep)

/* The value of a key; NULL when v is NULL or no mapping, or has no such key. */
const struct yaml_value *yaml_find(const struct yaml_value *v, const char *key);

/* No value at all: `key:`, `key: ~`, `key: null`. */
bool yaml_is_null(const struct yaml_value *v);

const char *yaml_type_to_string(enum yaml_type type);         /* "a plain value", "a list", "a mapping" */
