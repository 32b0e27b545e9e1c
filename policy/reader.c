/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/reader.h"
#include "policy/keys.h"
#include "policy/suggest.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

int reader_warn(struct reader *in, struct position at, const char *format, ...) {
        _cleanup_free_ char *what = NULL;
        char *all;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&what, format, ap);
        va_end(ap);
        if (n < 0) {
                what = NULL;
                return -ENOMEM;
        }
        if (asprintf(&all, "%s%s%s:%zu:%zu: warning: %s", in->config->warnings ? in->config->warnings : "",
                     in->config->warnings ? "\n" : "", in->source->name, at.line, at.column, what) < 0)
                return -ENOMEM;
        free(in->config->warnings);
        in->config->warnings = all;
        return 0;
}

/* Whether a key of this name is at home in the section or below it, and where ("demote.goal"; "" is the section itself). */
static bool find_home(const struct section *s, const char *name, char *path, size_t size) {
        char below[64];

        for (size_t i = 0; i < s->n_keys; i++)
                if (strcmp(s->keys[i].name, name) == 0) {
                        (void) snprintf(path, size, "%s", "");
                        return true;
                }
        for (size_t i = 0; i < s->n_keys; i++) {
                if (!s->keys[i].section || !find_home(s->keys[i].section, name, below, sizeof(below)))
                        continue;
                (void) snprintf(path, size, "%.20s%s%.40s", s->keys[i].name, below[0] ? "." : "", below);
                return true;
        }
        return false;
}

static int unknown_key(struct reader *in, const struct section *s, const struct entry *parent, const struct yaml_value *name) {
        const char *names[SECTION_KEYS_MAX], *nearest, *outer = parent ? parent->name->text : NULL;
        char quote[QUOTE_SIZE], home[64], place[QUOTE_SIZE + 16] = "", list[512] = "";
        size_t n = 0;

        for (size_t i = 0; i < s->n_keys; i++) {
                names[i] = s->keys[i].name;
                n += (size_t) snprintf(list + n, sizeof(list) - n, "%s%s", i > 0 ? ", " : "", names[i]);
        }
        (void) source_quote(name->text, quote);
        if (outer)
                (void) snprintf(place, sizeof(place), " in \"%.*s\"", QUOTE_SIZE, outer);

        nearest = suggest_nearest(name->text, names, s->n_keys);
        if (nearest)
                return source_error(in->source, name->at, in->reterr, "unknown key \"%s\"%s; did you mean \"%s\"?", quote,
                                    place, nearest);
        /* First below this section, for demote's own "goal" rather than promote's; then anywhere. */
        if (find_home(s, name->text, home, sizeof(home)) || find_home(&root_section, name->text, home, sizeof(home)))
                return source_error(in->source, name->at, in->reterr, "unknown key \"%s\"%s; it belongs in %s", quote, place,
                                    home[0] ? home : "the top level");
        return source_error(in->source, name->at, in->reterr, "unknown key \"%s\"%s; the keys here are %s", quote, place, list);
}

int read_mapping(struct reader *in, const struct section *s, const struct entry *e, const struct yaml_value *mapping,
                 void *target) {
        const struct yaml_value *seen[SECTION_KEYS_MAX] = {};
        int r;

        for (size_t i = 0; i < mapping->n_items; i++) {
                const struct yaml_value *name = mapping->keys[i];
                struct entry child = { .name = name, .value = mapping->items[i] };
                size_t at;

                for (at = 0; at < s->n_keys; at++)
                        if (strcmp(s->keys[at].name, name->text) == 0)
                                break;
                if (at == s->n_keys)
                        return unknown_key(in, s, e, name);
                if (seen[at])
                        return source_error(in->source, name->at, in->reterr,
                                            "\"%s\" is given twice; keep this or the one of line %zu", name->text,
                                            seen[at]->at.line);
                seen[at] = name;

                child.key = &s->keys[at];
                r = child.key->read(in, &child, (char *) target + child.key->offset);
                if (r < 0)
                        return r;
        }
        return s->check ? s->check(in, mapping, target) : 0;
}

int read_section(struct reader *in, const struct entry *e, void *target) {
        int r;

        /* A section whose keys are all commented out. */
        if (yaml_is_null(e->value))
                return 0;
        r = entry_expect(in, e, YAML_MAPPING, "keys of its own");
        if (r < 0)
                return r;
        return read_mapping(in, e->key->section, e, e->value, target);
}
