/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/yaml.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

/* The values that are open while events come in, outermost first, and the key that waits for its value in each. */
struct builder {
        const struct source *source;
        struct yaml_value *open[YAML_DEPTH_MAX];
        struct yaml_value *key[YAML_DEPTH_MAX];
        size_t depth;
        struct yaml_value *root;
        bool seen_document;
};

static void builder_done(struct builder *b) {
        for (size_t i = 0; i < ELEMENTSOF(b->key); i++)
                b->key[i] = yaml_value_free(b->key[i]);
        b->root = yaml_value_free(b->root);
}

static void yaml_event_deletep(yaml_event_t *e) {
        yaml_event_delete(e);
}

static void yaml_parser_deletep(yaml_parser_t *p) {
        yaml_parser_delete(p);
}

/* libyaml counts from 0, and in characters. */
static struct position position_of(const yaml_mark_t *mark) {
        return (struct position) { .line = mark->line + 1, .column = mark->column + 1 };
}

struct yaml_value *yaml_value_free(struct yaml_value *v) {
        if (!v)
                return NULL;
        for (size_t i = 0; i < v->n_items; i++) {
                if (v->keys)
                        (void) yaml_value_free(v->keys[i]);
                (void) yaml_value_free(v->items[i]);
        }
        free(v->keys);
        free(v->items);
        free(v->text);
        free(v);
        return NULL;
}

/* Room for one more item, by doubling at each power of two. */
static int make_room(struct yaml_value *v) {
        struct yaml_value **p;

        if ((v->n_items & (v->n_items - 1)) != 0)
                return 0;
        p = reallocarray(v->items, v->n_items ? v->n_items * 2 : 1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        v->items = p;
        if (v->type != YAML_MAPPING)
                return 0;
        p = reallocarray(v->keys, v->n_items ? v->n_items * 2 : 1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        v->keys = p;
        return 0;
}

/* Puts a value where it belongs: as the root, an item, a key, or the value of the key before it. Owns it from then on. */
static int add_value(struct builder *b, struct yaml_value *v, struct diag *reterr) {
        struct yaml_value *parent = b->depth > 0 ? b->open[b->depth - 1] : NULL;
        int r;

        if (!parent) {
                b->root = v;
                return 0;
        }

        if (parent->type == YAML_MAPPING && !b->key[b->depth - 1]) {
                b->key[b->depth - 1] = v;
                if (v->type != YAML_TEXT)
                        return source_error(b->source, v->at, reterr,
                                            "%s cannot be a key; write \"key: value\" with a plain word as the key",
                                            yaml_type_to_string(v->type));
                if (v->plain && strcmp(v->text, "<<") == 0)
                        return source_error(b->source, v->at, reterr, "merge keys are not allowed; write the keys out");
                if (v->text[0] == '\0')
                        return source_error(b->source, v->at, reterr, "an empty key; write \"key: value\"");
                return 0;
        }

        r = make_room(parent);
        if (r < 0) {
                (void) yaml_value_free(v);
                return r;
        }
        if (parent->type == YAML_MAPPING) {
                struct yaml_value *key = TAKE_PTR(b->key[b->depth - 1]);

                parent->keys[parent->n_items] = key;
                if (v->type == YAML_TEXT && v->plain && v->text[0] == '\0')
                        v->at = key->at;
        }
        parent->items[parent->n_items++] = v;
        return 0;
}

static int start_value(struct builder *b, const yaml_event_t *e, enum yaml_type type, const yaml_char_t *anchor,
                       const yaml_char_t *tag, struct diag *reterr) {
        struct position at = position_of(&e->start_mark);
        struct yaml_value *v;
        int r;

        if (anchor)
                return source_error(b->source, at, reterr, "anchors are not allowed; write the value where it is needed");
        if (tag)
                return source_error(b->source, at, reterr,
                                    "tags are not allowed; write the value alone, quoted where it must be text");
        if (type != YAML_TEXT && b->depth >= YAML_DEPTH_MAX)
                return source_error(b->source, at, reterr, "nesting deeper than %d; no key needs that", YAML_DEPTH_MAX);

        v = calloc(1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        v->type = type;
        v->at = at;

        if (type == YAML_TEXT) {
                const char *text = (const char *) e->data.scalar.value;

                if (memchr(text, '\0', e->data.scalar.length)) {
                        (void) yaml_value_free(v);
                        return source_error(b->source, at, reterr, "a NUL character in a value; remove it");
                }
                v->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
                v->text = strdup(text);
                if (!v->text) {
                        (void) yaml_value_free(v);
                        return -ENOMEM;
                }
        }

        r = add_value(b, v, reterr);
        if (r < 0)
                return r;
        if (type != YAML_TEXT)
                b->open[b->depth++] = v;
        return 0;
}

static int take_event(struct builder *b, const yaml_event_t *e, struct diag *reterr) {
        switch (e->type) {
        case YAML_DOCUMENT_START_EVENT:
                if (b->seen_document)
                        return source_error(b->source, position_of(&e->start_mark), reterr,
                                            "a second document; keep one, and remove this \"---\" and what follows");
                b->seen_document = true;
                return 0;
        case YAML_ALIAS_EVENT:
                return source_error(b->source, position_of(&e->start_mark), reterr,
                                    "aliases are not allowed; write the value where it is needed");
        case YAML_SCALAR_EVENT:
                return start_value(b, e, YAML_TEXT, e->data.scalar.anchor, e->data.scalar.tag, reterr);
        case YAML_SEQUENCE_START_EVENT:
                return start_value(b, e, YAML_LIST, e->data.sequence_start.anchor, e->data.sequence_start.tag, reterr);
        case YAML_MAPPING_START_EVENT:
                return start_value(b, e, YAML_MAPPING, e->data.mapping_start.anchor, e->data.mapping_start.tag, reterr);
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
                b->depth--;
                return 0;
        case YAML_NO_EVENT:
        case YAML_STREAM_START_EVENT:
        case YAML_STREAM_END_EVENT:
        case YAML_DOCUMENT_END_EVENT:
                return 0;
        }
        return 0;
}

/* libyaml's words are those of a parser's author: the ones that people meet are said again for them. */
static int syntax_error(const struct source *s, const yaml_parser_t *p, struct diag *reterr) {
        static const struct {
                const char *problem, *what;
                bool where_it_began;
        } known[] = {
                { "mapping values are not allowed in this context",
                  "a \":\" where no key can stand; check the indentation, and quote a value that holds \": \"", false },
                { "could not find expected ':'", "this is no \"key: value\"; a \":\" with a blank behind it is missing", true },
                { "did not find expected key",
                  "the indentation fits none of the lines above; align it with the key it belongs to", false },
                { "did not find expected '-' indicator",
                  "this does not go on with the list above; begin with \"- \", or check the indentation", false },
                { "block sequence entries are not allowed in this context",
                  "a \"-\" where no list can begin; check the indentation", false },
                { "did not find expected ',' or '}'", "no \",\" or \"}\" where one must be; close the \"{\"", false },
                { "did not find expected ',' or ']'", "no \",\" or \"]\" where one must be; close the \"[\"", false },
                { "did not find expected node content", "a value is missing here; write one, in quotes where it is text",
                  false },
                { "found unknown directive name", "no such directive; remove this line", false },
                { "found unexpected end of stream", "this quote is never closed; close it", true },
                { "did not find expected <document start>", "this cannot follow what is above; check the indentation", false },
        };
        /* At the end of a file without a last line feed libyaml is a line too far. */
        struct position at = source_settle(s, position_of(&p->problem_mark)),
                        began = source_settle(s, position_of(&p->context_mark));
        bool has_context = p->context != NULL;
        bool flow = p->problem && strcmp(p->problem, "did not find expected node content") == 0;
        bool no_value = flow || (p->problem && strcmp(p->problem, "did not find expected key") == 0);
        char c = source_at(s, at);

        if (p->error == YAML_MEMORY_ERROR)
                return -ENOMEM;
        if (p->problem && strcmp(p->problem, "found character that cannot start any token") == 0) {
                if (c == '\t')
                        return source_error(s, at, reterr, "a tab cannot indent; use blanks");
                return source_error(s, at, reterr, "\"%c\" cannot begin a value; put the value in quotes", c);
        }
        if (no_value && c == ':')
                return source_error(s, at, reterr, "an empty key; write \"key: value\"");
        if (no_value && (c == ']' || c == '}') && !flow)
                return source_error(s, at, reterr, "a \"%c\" that closes nothing; remove it", c);
        for (size_t i = 0; p->problem && i < ELEMENTSOF(known); i++) {
                if (strcmp(p->problem, known[i].problem) != 0)
                        continue;
                /* What is missing at the end of the file is missing where it was opened. */
                if (has_context && (known[i].where_it_began || c == '\0'))
                        at = began;
                return source_error(s, at, reterr, "%s", known[i].what);
        }
        return source_error(s, at, reterr, "not valid YAML: %s; put text with special characters in quotes",
                            p->problem ? p->problem : "the parser gave no reason");
}

int yaml_parse(const struct source *s, struct yaml_value **ret, struct diag *reterr) {
        _cleanup_(builder_done) struct builder b = { .source = s };
        _cleanup_(yaml_parser_deletep) yaml_parser_t parser = {};
        int r;

        if (!yaml_parser_initialize(&parser))
                return -ENOMEM;
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser, (const unsigned char *) s->text, s->len);

        for (;;) {
                _cleanup_(yaml_event_deletep) yaml_event_t event = {};

                if (!yaml_parser_parse(&parser, &event))
                        return syntax_error(s, &parser, reterr);
                r = take_event(&b, &event, reterr);
                if (r < 0)
                        return r;
                if (event.type == YAML_STREAM_END_EVENT)
                        break;
        }

        *ret = TAKE_PTR(b.root);
        return 0;
}

const struct yaml_value *yaml_find(const struct yaml_value *v, const char *key) {
        if (!v || v->type != YAML_MAPPING)
                return NULL;
        for (size_t i = 0; i < v->n_items; i++)
                if (strcmp(v->keys[i]->text, key) == 0)
                        return v->items[i];
        return NULL;
}

bool yaml_is_null(const struct yaml_value *v) {
        static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };

        if (v->type != YAML_TEXT || !v->plain)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(nulls); i++)
                if (strcmp(v->text, nulls[i]) == 0)
                        return true;
        return false;
}

const char *yaml_type_to_string(enum yaml_type type) {
        static const char *const names[] = {
                [YAML_TEXT] = "a plain value", [YAML_LIST] = "a list", [YAML_MAPPING] = "a mapping"
        };

        return names[type];
}
