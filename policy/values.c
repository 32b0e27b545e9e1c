/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/parse.h"
#include "policy/reader.h"
#include "policy/suggest.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

int entry_error(struct reader *in, const struct entry *e, const char *format, ...) {
        char what[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(what, sizeof(what), format, ap);
        va_end(ap);
        return source_error(in->source, e->value->at, in->reterr, "%s", what);
}

int entry_expect(struct reader *in, const struct entry *e, enum yaml_type type, const char *takes) {
        if (yaml_is_null(e->value) && type == YAML_TEXT)
                return entry_error(in, e, "\"%s\" has no value; write for example \"%s: %s\", or remove it", e->key->name,
                                   e->key->name, e->key->example);
        if (type == YAML_MAPPING && e->value->type == YAML_TEXT && strchr(e->value->text, ':'))
                return entry_error(in, e, "\"%s\" takes keys of its own: a blank is missing behind the \":\"", e->key->name);
        if (e->value->type != type)
                return entry_error(in, e, "\"%s\" takes %s, not %s; write for example \"%s: %s\"", e->key->name, takes,
                                   yaml_type_to_string(e->value->type), e->key->name, e->key->example);
        return 0;
}

int read_bool(struct reader *in, const struct entry *e, void *target) {
        static const char *const yes[] = { "true", "yes", "on" }, *const no[] = { "false", "no", "off" };
        char quote[QUOTE_SIZE];
        int r;

        r = entry_expect(in, e, YAML_TEXT, "true or false");
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                if (strcasecmp(e->value->text, yes[i]) == 0) {
                        *(bool *) target = true;
                        return 0;
                }
                if (strcasecmp(e->value->text, no[i]) == 0) {
                        *(bool *) target = false;
                        return 0;
                }
        }
        return entry_error(in, e, "\"%s\" is neither true nor false; write one of them", source_quote(e->value->text, quote));
}

/* A number is below what its key allows, or above. `format` is how people read it. */
static int check_limits(struct reader *in, const struct entry *e, uint64_t v, char *(*format)(uint64_t, char *, size_t)) {
        char buf[FORMAT_MAX], quote[QUOTE_SIZE];

        (void) source_quote(e->value->text, quote);
        if (v < e->key->min && e->key->min == 1)
                return entry_error(in, e, "\"%s\" must be above zero, not %s; write for example %s", e->key->name, quote,
                                   e->key->example);
        if (v < e->key->min)
                return entry_error(in, e, "\"%s\" must be at least %s, not %s", e->key->name,
                                   format(e->key->min, buf, sizeof(buf)), quote);
        if (e->key->max > 0 && v > e->key->max)
                return entry_error(in, e, "\"%s\" must be at most %s, not %s", e->key->name,
                                   format(e->key->max, buf, sizeof(buf)), quote);
        return 0;
}

static char *format_number(uint64_t v, char *buf, size_t size) {
        (void) snprintf(buf, size, "%" PRIu64, v);
        return buf;
}

struct number_form {
        const char *takes, *how;
        int (*parse)(const char *text, uint64_t *ret);
        char *(*format)(uint64_t v, char *buf, size_t size);
};

static int read_number(struct reader *in, const struct entry *e, const struct number_form *form, uint64_t *ret) {
        char quote[QUOTE_SIZE];
        uint64_t v;
        int r;

        r = entry_expect(in, e, YAML_TEXT, form->takes);
        if (r < 0)
                return r;
        (void) source_quote(e->value->text, quote);
        if (e->value->text[0] == '-')
                return entry_error(in, e, "\"%s\" cannot be negative; write for example %s", e->key->name, e->key->example);
        r = form->parse(e->value->text, &v);
        if (r == -ERANGE)
                return entry_error(in, e, "\"%s\" is too large a number; write for example %s", quote, e->key->example);
        if (r < 0)
                return entry_error(in, e, "\"%s\" is not %s; write %s, such as %s", quote, form->takes, form->how,
                                   e->key->example);
        r = check_limits(in, e, v, form->format);
        if (r < 0)
                return r;
        *ret = v;
        return 0;
}

int read_size(struct reader *in, const struct entry *e, void *target) {
        static const struct number_form form = {
                "a size", "a whole number and B, KiB, MiB, GiB or TiB, without a blank", parse_size, format_size,
        };

        return read_number(in, e, &form, target);
}

static const struct number_form duration_form = {
        "a duration", "a whole number and us, ms, s, m or h, without a blank", parse_duration, format_duration,
};

int read_duration(struct reader *in, const struct entry *e, void *target) {
        return read_number(in, e, &duration_form, target);
}

int read_whole_ms(struct reader *in, const struct entry *e, void *target) {
        char quote[QUOTE_SIZE];
        uint64_t v = 0;
        int r;

        r = read_number(in, e, &duration_form, &v);
        if (r < 0)
                return r;
        if (v % 1000 != 0)
                return entry_error(in, e, "\"%s\" counts in whole milliseconds, not %s; write for example %s", e->key->name,
                                   source_quote(e->value->text, quote), e->key->example);
        *(uint64_t *) target = v;
        return 0;
}

/* 010 is ten to some readers of YAML and eight to others. */
static int parse_count(const char *text, uint64_t *ret) {
        return text[0] == '0' && text[1] != '\0' ? -EINVAL : parse_u64(text, ret);
}

static const struct number_form count_form = {
        "a whole number", "digits only, without a leading zero", parse_count, format_number,
};

int read_count(struct reader *in, const struct entry *e, void *target) {
        return read_number(in, e, &count_form, target);
}

int read_weight(struct reader *in, const struct entry *e, void *target) {
        uint64_t v = 0;
        int r;

        r = read_number(in, e, &count_form, &v);
        if (r < 0)
                return r;
        *(uint32_t *) target = (uint32_t) v;
        return 0;
}

int read_percent(struct reader *in, const struct entry *e, void *target) {
        const char *text = e->value->text, *dot;
        char quote[QUOTE_SIZE];
        uint32_t bp = 0;
        int r;

        r = entry_expect(in, e, YAML_TEXT, "a percentage");
        if (r < 0)
                return r;
        (void) source_quote(text, quote);
        dot = strchr(text, '.');
        r = parse_percent(text, &bp);
        if (r == -EINVAL && dot && strspn(text, "0123456789") == (size_t) (dot - text) && strspn(dot + 1, "0123456789") > 2)
                return entry_error(in, e, "\"%s\" has more than two decimals; write for example %s", quote, e->key->example);
        if (r == -EINVAL && text[0] != '-')
                return entry_error(in, e, "\"%s\" is not a percentage; write a number and %%, without a blank, such as %s",
                                   quote, e->key->example);
        if (r < 0 || bp == 0 || bp >= 10000)
                return entry_error(in, e, "\"%s\" must be above 0%% and below 100%%, not %s", e->key->name, quote);
        *(uint32_t *) target = bp;
        return 0;
}

int read_choice(struct reader *in, const struct entry *e, void *target) {
        char quote[QUOTE_SIZE], list[128] = "";
        const char *nearest;
        size_t n = 0, used = 0;
        int r;

        for (; e->key->choices[n]; n++)
                used += (size_t) snprintf(list + used, sizeof(list) - used, "%s%s", n > 0 ? ", " : "", e->key->choices[n]);
        r = entry_expect(in, e, YAML_TEXT, "one word");
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (strcmp(e->value->text, e->key->choices[i]) == 0) {
                        /* Every enumeration here is an unsigned int to the compiler: none has a negative value. */
                        *(unsigned *) target = (unsigned) i;
                        return 0;
                }

        (void) source_quote(e->value->text, quote);
        nearest = suggest_nearest(e->value->text, e->key->choices, n);
        if (nearest)
                return entry_error(in, e, "\"%s\" cannot be \"%s\"; did you mean \"%s\"? (one of %s)", e->key->name, quote,
                                   nearest, list);
        return entry_error(in, e, "\"%s\" cannot be \"%s\"; write one of %s", e->key->name, quote, list);
}

int read_file_path(struct reader *in, const struct entry *e, void *target) {
        char *path = NULL;
        int r;

        if (!yaml_is_null(e->value)) {
                r = entry_expect(in, e, YAML_TEXT, "a path");
                if (r < 0)
                        return r;
                if (e->value->text[0] != '/' || strpbrk(e->value->text, "\n\r"))
                        return entry_error(in, e, "\"%s\" must be an absolute path on one line; write for example %s",
                                           e->key->name, e->key->example);
                if (strlen(e->value->text) >= PATH_MAX)
                        return entry_error(in, e, "\"%s\" is longer than a path can be (%d bytes)", e->key->name, PATH_MAX - 1);
                path = strdup(e->value->text);
                if (!path)
                        return -ENOMEM;
        }
        free(*(char **) target);
        *(char **) target = path;
        return 0;
}

int read_node_id(struct reader *in, const struct yaml_value *v, int *ret) {
        char quote[QUOTE_SIZE];
        uint64_t id = 0;
        int r;

        if (v->type != YAML_TEXT)
                return source_error(in->source, v->at, in->reterr, "a node id is a whole number, not %s; write for example 0",
                                    yaml_type_to_string(v->type));
        r = parse_count(v->text, &id);
        if (r == -ERANGE || (r == 0 && id > NODE_ID_MAX))
                return source_error(in->source, v->at, in->reterr, "no node has the id %s; ids end at %d",
                                    source_quote(v->text, quote), NODE_ID_MAX);
        if (r < 0)
                return source_error(in->source, v->at, in->reterr, "\"%s\" is not a node id; write a whole number such as 0",
                                    source_quote(v->text, quote));
        *ret = (int) id;
        return 0;
}
