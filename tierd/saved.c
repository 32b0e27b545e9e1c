/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/saved.h"
#include "base/file.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define RECORD "state"
#define RECORD_MAX 65536
#define BOOT_ID "proc/sys/kernel/random/boot_id"

struct value {
        char *path, *original;
};

struct saved {
        int root, run;                  /* borrowed */
        char boot_id[64];
        size_t n_slots;
        struct value *values;
        size_t n_values;
};

struct saved *saved_free(struct saved *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_values; i++) {
                free(s->values[i].path);
                free(s->values[i].original);
        }
        free(s->values);
        free(s);
        return NULL;
}

bool saved_is_empty(const struct saved *s) {
        return s->n_slots == 0 && s->n_values == 0;
}

size_t saved_n_slots(const struct saved *s) {
        return s->n_slots;
}

static int saved_append(struct saved *s, const char *path, const char *original) {
        struct value *values, *v;

        values = reallocarray(s->values, s->n_values + 1, sizeof(*values));
        if (!values)
                return -ENOMEM;
        s->values = values;
        v = values + s->n_values;
        *v = (struct value) { .path = strdup(path), .original = strdup(original) };
        if (!v->path || !v->original) {
                free(v->path);
                free(v->original);
                return -ENOMEM;
        }
        s->n_values++;
        return 0;
}

/* The record is root's own file; a path that leads anywhere but to attributes is damage all the same. */
static bool is_attribute_path(const char *path) {
        return (strncmp(path, "sys/", 4) == 0 || strncmp(path, "proc/sys/", 9) == 0) && !strstr(path, "..");
}

/* One line of the record: "slots N", or "value PATH ORIGINAL" (the original may hold blanks, a path cannot). */
static int saved_parse_line(struct saved *s, char *line) {
        char *space, *path;
        uint64_t n;

        if (strncmp(line, "slots ", 6) == 0) {
                if (parse_u64(line + 6, &n) < 0 || n > NODE_ID_MAX + 1)
                        return -EBADMSG;
                s->n_slots = (size_t) n;
                return 0;
        }
        if (strncmp(line, "value ", 6) != 0)
                return -EBADMSG;
        path = line + 6;
        space = strchr(path, ' ');
        if (!space)
                return -EBADMSG;
        *space = '\0';
        if (!is_attribute_path(path))
                return -EBADMSG;
        return saved_append(s, path, space + 1);
}

/* The record's text. The first line names its format and the boot. A record of another boot is left empty: its values died with it. */
static int saved_parse(struct saved *s, char *text) {
        char *line, *rest = text, header[128];
        int r;

        r = path_format(header, sizeof(header), "tierd 1 boot %s", s->boot_id);
        if (r < 0)
                return r;
        line = strsep(&rest, "\n");
        if (strncmp(line, "tierd 1 boot ", 13) != 0)
                return -EBADMSG;
        if (strcmp(line, header) != 0)
                return 0;
        while ((line = strsep(&rest, "\n")))
                if (*line) {
                        r = saved_parse_line(s, line);
                        if (r < 0)
                                return r;
                }
        return 0;
}

int saved_open(int root, int run, struct saved **ret, struct diag *reterr) {
        _cleanup_saved_ struct saved *s = NULL;
        _cleanup_free_ char *text = NULL;
        size_t len;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return diag_set(reterr, -ENOMEM, "out of memory");
        s->root = root;
        s->run = run;
        r = file_read_line(root, BOOT_ID, s->boot_id, sizeof(s->boot_id));
        if (r < 0)
                return diag_set(reterr, r, "/" BOOT_ID ": cannot read: %s", strerror(-r));

        r = file_read_alloc(run, RECORD, RECORD_MAX, &text, &len);
        if (r < 0 && r != -ENOENT)
                return diag_set(reterr, r, "the record of changed values (%s) cannot be read: %s", RECORD, strerror(-r));
        if (r == 0) {
                r = saved_parse(s, text);
                if (r < 0)
                        return diag_set(reterr, r,
                                        "the record of changed values (%s) is damaged; look at it, put back what it names, "
                                        "and remove it", RECORD);
        }
        *ret = TAKE_PTR(s);
        return 0;
}

static int saved_write(const struct saved *s, struct diag *reterr) {
        _cleanup_free_ char *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t len = 0;
        int r;

        f = open_memstream(&text, &len);
        if (!f)
                return diag_set(reterr, -ENOMEM, "out of memory");
        fprintf(f, "tierd 1 boot %s\n", s->boot_id);
        if (s->n_slots > 0)
                fprintf(f, "slots %zu\n", s->n_slots);
        for (size_t i = 0; i < s->n_values; i++)
                fprintf(f, "value %s %s\n", s->values[i].path, s->values[i].original);
        if (fflush(f) != 0 || ferror(f))
                return diag_set(reterr, -ENOMEM, "out of memory");
        r = file_replace(s->run, RECORD, text, len);
        if (r < 0)
                return diag_set(reterr, r,
                                "the record of changed values cannot be written to the runtime directory: %s; "
                                "without it nothing is changed", strerror(-r));
        return 0;
}

int saved_claim(struct saved *s, size_t n_slots, struct diag *reterr) {
        size_t before = s->n_slots;
        int r;

        s->n_slots = n_slots;
        r = saved_write(s, reterr);
        if (r < 0)
                s->n_slots = before;
        return r;
}

static bool saved_has(const struct saved *s, const char *path) {
        for (size_t i = 0; i < s->n_values; i++)
                if (strcmp(s->values[i].path, path) == 0)
                        return true;
        return false;
}

int saved_change(struct saved *s, const char *path, const char *value, struct diag *reterr) {
        char present[FILE_ATTR_MAX];
        int r;

        r = file_read_line(s->root, path, present, sizeof(present));
        if (r < 0)
                return diag_set(reterr, r, "/%s: cannot read: %s", path, strerror(-r));
        if (strcmp(present, value) == 0)
                return 0;

        if (!saved_has(s, path)) {
                r = saved_append(s, path, present);
                if (r == 0)
                        r = saved_write(s, reterr);
                if (r < 0)
                        return diag_default(reterr, r, "out of memory");
        }
        r = file_write(s->root, path, value);
        if (r < 0)
                return diag_set(reterr, r, "/%s: cannot write \"%s\": %s", path, value, strerror(-r));
        return 0;
}

int saved_restore(struct saved *s, struct diag *reterr) {
        int r, first = 0;

        while (s->n_values > 0) {
                struct value *v = s->values + --s->n_values;

                r = file_write(s->root, v->path, v->original);
                if (r < 0 && r != -ENOENT && first == 0)
                        first = diag_set(reterr, r, "/%s: cannot put back \"%s\": %s", v->path, v->original, strerror(-r));
                free(v->path);
                free(v->original);
        }
        s->n_slots = 0;
        if (first < 0)
                return first;

        if (unlinkat(s->run, RECORD, 0) < 0 && errno != ENOENT)
                return diag_set(reterr, -errno, "the record of changed values cannot be removed: %s", strerror(errno));
        return 0;
}
