/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/saved.h"
#include "base/file.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_MAX 65536
#define BOOT_ID "proc/sys/kernel/random/boot_id"

/* The record begins with its format and the boot, and ends with a line that only a whole one has. */
#define HEADER "tierd 2 boot "
#define LAST_LINE "end"

struct value {
        char *path, *original;
};

struct saved {
        int root, run;                  /* borrowed */
        char name[32];                  /* of the record, below run */
        char boot_id[64];
        size_t n_slots;
        uint64_t identity;
        struct value *values;
        size_t n_values;
};

static void value_done(struct value *v) {
        free(v->path);
        free(v->original);
        *v = (struct value) {};
}

struct saved *saved_free(struct saved *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_values; i++)
                value_done(s->values + i);
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

uint64_t saved_identity(const struct saved *s) {
        return s->identity;
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
                value_done(v);
                return -ENOMEM;
        }
        s->n_values++;
        return 0;
}

static void saved_remove(struct saved *s, size_t i) {
        value_done(s->values + i);
        s->n_values--;
        memmove(s->values + i, s->values + i + 1, (s->n_values - i) * sizeof(*s->values));
}

/* The index of what is remembered for a path; n_values: nothing. */
static size_t saved_find(const struct saved *s, const char *path) {
        size_t i;

        for (i = 0; i < s->n_values; i++)
                if (strcmp(s->values[i].path, path) == 0)
                        break;
        return i;
}

/* The record is root's own file; a path that leads anywhere but to attributes is damage all the same. */
static bool is_attribute_path(const char *path) {
        return (strncmp(path, "sys/", 4) == 0 || strncmp(path, "proc/sys/", 9) == 0) && !strstr(path, "..");
}

/* "N IDENTITY" */
static int saved_parse_slots(struct saved *s, char *text) {
        char *space = strchr(text, ' ');
        uint64_t n;

        if (!space)
                return -EBADMSG;
        *space = '\0';
        if (parse_u64(text, &n) < 0 || n == 0 || n > NODE_ID_MAX + 1 || parse_u64(space + 1, &s->identity) < 0)
                return -EBADMSG;
        s->n_slots = (size_t) n;
        return 0;
}

/* "PATH ORIGINAL": the original may hold blanks, a path cannot. */
static int saved_parse_value(struct saved *s, char *text) {
        char *space = strchr(text, ' ');

        if (!space)
                return -EBADMSG;
        *space = '\0';
        if (!is_attribute_path(text) || saved_find(s, text) < s->n_values)
                return -EBADMSG;
        return saved_append(s, text, space + 1);
}

static int saved_parse_line(struct saved *s, char *line) {
        if (strncmp(line, "slots ", 6) == 0)
                return s->n_slots == 0 ? saved_parse_slots(s, line + 6) : -EBADMSG;
        if (strncmp(line, "value ", 6) == 0)
                return saved_parse_value(s, line + 6);
        return -EBADMSG;
}

/* The record's text. One of another boot is left empty: its values died with it. */
static int saved_parse(struct saved *s, char *text) {
        char *line, *rest = text;
        int r;

        line = strsep(&rest, "\n");
        if (strncmp(line, HEADER, strlen(HEADER)) != 0)
                return -EBADMSG;
        if (strcmp(line + strlen(HEADER), s->boot_id) != 0)
                return 0;
        while ((line = strsep(&rest, "\n"))) {
                if (strcmp(line, LAST_LINE) == 0)
                        return rest && !*rest ? 0 : -EBADMSG;
                r = saved_parse_line(s, line);
                if (r < 0)
                        return r;
        }
        return -EBADMSG;
}

/* What another user has written, or could have, is not believed: tierd would write it to the kernel. */
static int check_owner(int run, const char *name, struct diag *reterr) {
        struct stat st;

        if (fstatat(run, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : diag_set(reterr, -errno, RUN_DIRECTORY "/%s: cannot look at it: %s", name,
                                                      strerror(errno));
        if (S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 0022) == 0)
                return 0;
        return diag_set(reterr, -EBADMSG,
                        RUN_DIRECTORY "/%s: this record of what tierd changed is not a file that only tierd's user can write, "
                        "so it is not trusted; look at it, write back the values that it names, and remove it", name);
}

int saved_open(int root, int run, const char *name, struct saved **ret, struct diag *reterr) {
        _cleanup_saved_ struct saved *s = NULL;
        _cleanup_free_ char *text = NULL;
        size_t len;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return diag_set(reterr, -ENOMEM, "out of memory");
        s->root = root;
        s->run = run;
        (void) snprintf(s->name, sizeof(s->name), "%s", name);
        r = file_read_line(root, BOOT_ID, s->boot_id, sizeof(s->boot_id));
        if (r < 0)
                return diag_set(reterr, r, "/" BOOT_ID ": cannot read: %s", strerror(-r));

        r = check_owner(run, name, reterr);
        if (r < 0)
                return r;
        r = file_read_alloc(run, name, RECORD_MAX, &text, &len);
        if (r < 0 && r != -ENOENT)
                return diag_set(reterr, r, RUN_DIRECTORY "/%s: cannot read the record of what tierd changed: %s", name,
                                strerror(-r));
        if (r == 0) {
                r = strlen(text) == len ? saved_parse(s, text) : -EBADMSG;
                if (r < 0)
                        return diag_set(reterr, r,
                                        RUN_DIRECTORY "/%s: this record of what tierd changed is damaged; look at it, write "
                                        "back the values that it names, and remove it", name);
        }
        *ret = TAKE_PTR(s);
        return 0;
}

static int saved_write(const struct saved *s, struct diag *reterr) {
        _cleanup_free_ char *text = NULL;
        FILE *f;
        size_t len = 0;
        int r;

        if (saved_is_empty(s)) {
                if (unlinkat(s->run, s->name, 0) < 0 && errno != ENOENT)
                        return diag_set(reterr, -errno, RUN_DIRECTORY "/%s: cannot remove: %s", s->name, strerror(errno));
                return 0;
        }

        f = open_memstream(&text, &len);
        if (!f)
                return diag_set(reterr, -ENOMEM, "out of memory");
        (void) fprintf(f, HEADER "%s\n", s->boot_id);
        if (s->n_slots > 0)
                (void) fprintf(f, "slots %zu %" PRIu64 "\n", s->n_slots, s->identity);
        for (size_t i = 0; i < s->n_values; i++)
                (void) fprintf(f, "value %s %s\n", s->values[i].path, s->values[i].original);
        (void) fputs(LAST_LINE "\n", f);
        r = ferror(f) ? -ENOMEM : 0;
        if (fclose(f) != 0 || r < 0)
                return diag_set(reterr, -ENOMEM, "out of memory");
        r = file_replace(s->run, s->name, text, len);
        if (r < 0)
                return diag_set(reterr, r,
                                RUN_DIRECTORY "/%s: cannot write the record of what tierd changes: %s; nothing is changed "
                                "that is not recorded", s->name, strerror(-r));
        return 0;
}

int saved_claim(struct saved *s, size_t n_slots, uint64_t identity, struct diag *reterr) {
        size_t slots_before = s->n_slots;
        uint64_t identity_before = s->identity;
        int r;

        s->n_slots = n_slots;
        s->identity = n_slots > 0 ? identity : 0;
        r = saved_write(s, reterr);
        if (r < 0) {
                s->n_slots = slots_before;
                s->identity = identity_before;
        }
        return r;
}

int saved_change(struct saved *s, const char *path, const char *value, struct diag *reterr) {
        char present[FILE_ATTR_MAX];
        int r;

        r = file_read_line(s->root, path, present, sizeof(present));
        if (r < 0)
                return diag_set(reterr, r, "/%s: cannot read: %s", path, strerror(-r));
        if (strcmp(present, value) == 0)
                return 0;

        if (saved_find(s, path) == s->n_values) {
                r = saved_append(s, path, present);
                if (r < 0)
                        return diag_set(reterr, r, "out of memory");
                r = saved_write(s, reterr);
                if (r < 0) {
                        /* Not recorded is not remembered: a second call must not take it for covered. */
                        saved_remove(s, s->n_values - 1);
                        return r;
                }
        }
        r = file_write(s->root, path, value);
        if (r < 0)
                return diag_set(reterr, r, "/%s: cannot write \"%s\": %s", path, value, strerror(-r));
        return 0;
}

/* Writes the original of value i; keeps it remembered when that fails. */
static int saved_put_back_at(struct saved *s, size_t i, struct diag *reterr) {
        const struct value *v = s->values + i;
        char present[FILE_ATTR_MAX];
        int r;

        /* A change that failed changed nothing; what may not be written (any more) needs no writing then. */
        r = file_read_line(s->root, v->path, present, sizeof(present));
        if (r < 0 || strcmp(present, v->original) != 0)
                r = file_write(s->root, v->path, v->original);
        if (r < 0 && r != -ENOENT)
                return diag_set(reterr, r, "/%s: cannot put back \"%s\": %s", v->path, v->original, strerror(-r));
        saved_remove(s, i);
        return 0;
}

int saved_put_back(struct saved *s, const char *path, struct diag *reterr) {
        size_t i = saved_find(s, path);
        int r;

        if (i == s->n_values)
                return 0;
        r = saved_put_back_at(s, i, reterr);
        return r < 0 ? r : saved_write(s, reterr);
}

int saved_forget(struct saved *s, const char *path, struct diag *reterr) {
        size_t i = saved_find(s, path);

        if (i == s->n_values)
                return 0;
        saved_remove(s, i);
        return saved_write(s, reterr);
}

int saved_restore(struct saved *s, struct diag *reterr) {
        int first = 0, r;

        for (size_t i = s->n_values; i-- > 0;) {
                r = saved_put_back_at(s, i, first < 0 ? NULL : reterr);
                if (r < 0 && first == 0)
                        first = r;
        }
        r = saved_write(s, first < 0 ? NULL : reterr);
        return first < 0 ? first : r;
}
