/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/support/openmetrics.h"
#include "base/cleanup.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <string.h>

#define FAMILIES_MAX 256
#define SAMPLES_MAX 1024
#define LABELS_MAX 16

struct family {
        char name[128], type[32], unit[64];
        bool has_type, has_unit, has_help, has_sample;
};

struct reader {
        bool open;                      /* OpenMetrics; else the text format */
        struct family families[FAMILIES_MAX];
        size_t n_families;
        const char *samples[SAMPLES_MAX];       /* of all families: the labels, sorted, behind the name */
        size_t n_samples;
        char *why;
        size_t size;
        unsigned line;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct reader *r, const char *format, ...) {
        size_t len = (size_t) snprintf(r->why, r->size, "line %u: ", r->line);
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(r->why + len, r->size - len, format, ap);
        va_end(ap);
        return false;
}

static size_t name_length(const char *text, bool label) {
        size_t len = strspn(text, label ? "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_" :
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");

        return *text >= '0' && *text <= '9' ? 0 : len;
}

static bool ends_with(const char *text, const char *end) {
        size_t a = strlen(text), b = strlen(end);

        return a > b && strcmp(text + a - b, end) == 0;
}

/* The family at hand if it has this name, else a new one; NULL when that name had its turn. */
static struct family *family_of(struct reader *r, const char *name) {
        struct family *last = r->n_families > 0 ? r->families + r->n_families - 1 : NULL;

        if (last && strcmp(last->name, name) == 0)
                return last;
        for (size_t i = 0; i < r->n_families; i++)
                if (strcmp(r->families[i].name, name) == 0)
                        return NULL;
        if (r->n_families == FAMILIES_MAX || strlen(name) >= sizeof(last->name))
                return NULL;
        last = r->families + r->n_families++;
        (void) snprintf(last->name, sizeof(last->name), "%s", name);
        return last;
}

static bool read_help(struct reader *r, const char *text) {
        for (const char *p = text; *p; p++)
                if (*p == '\\' && !strchr(r->open ? "\\\"n" : "\\n", *++p))
                        return wrong(r, "an escape that there is not");
                else if (!*p)
                        return wrong(r, "a backslash at the end");
        return true;
}

/* "KEYWORD NAME TEXT", of a "# " line. */
static bool read_descriptor(struct reader *r, const char *line) {
        char keyword[8], name[128];
        int end = 0;
        struct family *f;
        const char *text;

        if (sscanf(line, "%7[A-Z] %127[^ ]%n", keyword, name, &end) != 2 || line[end] != ' ')
                return wrong(r, "not a descriptor");
        text = line + end + 1;
        if (name_length(name, false) != strlen(name))
                return wrong(r, "%s is no name", name);
        f = family_of(r, name);
        if (!f)
                return wrong(r, "%s again", name);
        if (f->has_sample)
                return wrong(r, "%s: a descriptor behind its samples", name);
        if (strcmp(keyword, "HELP") == 0) {
                if (f->has_help)
                        return wrong(r, "%s: HELP again", name);
                f->has_help = true;
                return read_help(r, text);
        }
        if (strcmp(keyword, "TYPE") == 0) {
                if (f->has_type)
                        return wrong(r, "%s: TYPE again", name);
                if (strcmp(text, "gauge") != 0 && strcmp(text, "counter") != 0)
                        return wrong(r, "%s: no such type here", text);
                f->has_type = true;
                (void) snprintf(f->type, sizeof(f->type), "%s", text);
                return true;
        }
        if (strcmp(keyword, "UNIT") == 0 && r->open) {
                char suffix[72];

                if (f->has_unit)
                        return wrong(r, "%s: UNIT again", name);
                f->has_unit = true;
                (void) snprintf(suffix, sizeof(suffix), "_%.64s", text);
                return ends_with(name, suffix) || wrong(r, "%s: its unit is not %s", name, text);
        }
        return wrong(r, "%s is no descriptor", keyword);
}

static int compare_labels(const void *a, const void *b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* One label at *text. Returns it as fresh text; NULL, having said why. */
static char *read_label(struct reader *r, const char **text) {
        const char *p = *text;
        size_t len = name_length(p, true);

        if (len == 0 || p[len] != '=' || p[len + 1] != '"') {
                (void) wrong(r, "not a label: %.20s", p);
                return NULL;
        }
        for (p += len + 2; *p != '"'; p++)
                if (*p == '\0' || (*p == '\\' && (*++p == '\0' || !strchr("\\\"n", *p)))) {
                        (void) wrong(r, "not a label's value: %.20s", *text);
                        return NULL;
                }
        len = (size_t) (p + 1 - *text);
        *text += len;
        return strndup(*text - len, len);
}

/* Reads `{a="x",b="y"}` at *line, if there is one, and puts it behind `key` sorted by name. */
static bool read_labels(struct reader *r, const char **line, char *key, size_t size) {
        char *labels[LABELS_MAX] = {};
        const char *p = *line;
        size_t n = 0;
        bool ok = true;

        if (*p != '{')
                return true;
        do {
                p++;
                labels[n] = read_label(r, &p);
                ok = labels[n] != NULL;
                n += ok;
        } while (ok && *p == ',' && n < LABELS_MAX);
        if (ok && *p != '}')
                ok = wrong(r, "no end of labels: %.20s", p);
        qsort(labels, n, sizeof(*labels), compare_labels);
        for (size_t i = 0; i < n; i++) {
                size_t len = strcspn(labels[i], "=") + 1;

                if (i > 0 && strncmp(labels[i - 1], labels[i], len) == 0)
                        ok = wrong(r, "the same label twice: %s", labels[i]);
                (void) snprintf(key + strlen(key), size - strlen(key), ",%s", labels[i]);
        }
        for (size_t i = 0; i < n; i++)
                free(labels[i]);
        *line = p + 1;
        return ok;
}

/* Whole numbers and decimals, as tierd writes them. */
static bool read_value(struct reader *r, const char *text, bool may_be_negative) {
        size_t digits;

        if (may_be_negative && *text == '-')
                text++;
        digits = strspn(text, "0123456789");
        text += digits;
        if (digits > 0 && *text == '.') {
                digits = strspn(++text, "0123456789");
                text += digits;
        }
        return (digits > 0 && *text == '\0') || wrong(r, "not a value: %s", text);
}

static bool read_sample(struct reader *r, const char *line) {
        size_t len = name_length(line, false);
        char name[128], key[1024];
        struct family *f;
        bool counter;

        if (len == 0 || len >= sizeof(name))
                return wrong(r, "not a sample: %.20s", line);
        (void) snprintf(name, sizeof(name), "%.*s", (int) len, line);
        (void) snprintf(key, sizeof(key), "%s", name);
        line += len;

        f = r->n_families > 0 ? r->families + r->n_families - 1 : NULL;
        /* To OpenMetrics a counter's samples have a longer name than it has itself. */
        counter = f && f->has_type && strcmp(f->type, "counter") == 0;
        if (counter && r->open) {
                if (strncmp(name, f->name, strlen(f->name)) != 0 || strcmp(name + strlen(f->name), "_total") != 0)
                        return wrong(r, "%s is no sample of the counter %s", name, f->name);
        } else
                f = family_of(r, name);
        if (!f)
                return wrong(r, "%s again", name);
        f->has_sample = true;
        if (!r->open && (!f->has_type || !f->has_help))
                return wrong(r, "%s has no HELP or no TYPE", name);
        if (!r->open && counter != ends_with(name, "_total"))
                return wrong(r, "%s: its type and its name say different things", name);

        if (!read_labels(r, &line, key, sizeof(key)))
                return false;
        for (size_t i = 0; i < r->n_samples; i++)
                if (strcmp(r->samples[i], key) == 0)
                        return wrong(r, "%s again", key);
        if (r->n_samples == SAMPLES_MAX)
                return wrong(r, "too many samples");
        r->samples[r->n_samples++] = strdup(key);
        if (*line != ' ')
                return wrong(r, "no blank before the value");
        return read_value(r, line + 1, !counter);
}

/* No family may be named as a sample of another one may be. */
static bool check_names(struct reader *r) {
        for (size_t i = 0; i < r->n_families; i++)
                for (size_t j = 0; j < r->n_families; j++) {
                        const char *a = r->families[i].name, *b = r->families[j].name;
                        bool counter = strcmp(r->families[i].type, "counter") == 0;

                        if (counter && strncmp(a, b, strlen(a)) == 0 &&
                            (strcmp(b + strlen(a), "_total") == 0 || strcmp(b + strlen(a), "_created") == 0))
                                return wrong(r, "%s clashes with the counter %s", b, a);
                }
        return true;
}

static bool read_lines(struct reader *r, const char *text) {
        const char *end = text + strlen(text);

        for (const char *p = text; p < end;) {
                size_t len = strcspn(p, "\n"), n;
                char line[2048];

                r->line++;
                if (p[len] != '\n' || len >= sizeof(line))
                        return wrong(r, "no end of the line");
                for (size_t i = 0; i < len; i += n) {
                        uint32_t c;

                        n = utf8_decode(p + i, len - i, &c);
                        if (n == 0 || utf8_is_control(c))
                                return wrong(r, "a byte that is no text");
                }
                (void) snprintf(line, sizeof(line), "%.*s", (int) len, p);
                p += len + 1;
                if (r->open && strcmp(line, "# EOF") == 0)
                        return *p == '\0' ? check_names(r) : wrong(r, "text behind the end");
                if (strncmp(line, "# ", 2) == 0 ? !read_descriptor(r, line + 2) : !read_sample(r, line))
                        return false;
        }
        return !r->open || wrong(r, "no end");
}

static bool check(bool open, const char *text, char *why, size_t size) {
        _cleanup_free_ struct reader *r = calloc(1, sizeof(*r));
        bool ok;

        if (!r)
                return false;
        r->open = open;
        r->why = why;
        r->size = size;
        ok = read_lines(r, text);
        for (size_t i = 0; i < r->n_samples; i++)
                free((char *) r->samples[i]);
        return ok;
}

bool openmetrics_check(const char *text, char *why, size_t size) {
        return check(true, text, why, size);
}

bool metrics_text_check(const char *text, char *why, size_t size) {
        return check(false, text, why, size);
}
