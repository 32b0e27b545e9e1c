/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/doctor.h"
#include "tierctl/table.h"
#include "tierctl/tierctl.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Can this machine run tierd, and what would hold it back. The looks are in doctor-checks.c; here they are told. */

const char *check_state_to_string(enum check_state state) {
        static const char *const names[_CHECK_STATE_MAX] = {
                [CHECK_OK] = "ok",           [CHECK_INFO] = "info",       [CHECK_UNKNOWN] = "unknown",
                [CHECK_WARNING] = "warning", [CHECK_PROBLEM] = "problem",
        };

        return state < _CHECK_STATE_MAX ? names[state] : NULL;
}

void checkup_done(struct checkup *c) {
        free(c->checks);
        *c = (struct checkup){};
}

struct check *checkup_add(struct checkup *c, const char *id, enum check_state state) {
        static struct check spare;
        struct check *p;

        p = c->error < 0 ? NULL : reallocarray(c->checks, c->n_checks + 1, sizeof(*p));
        if (!p) {
                c->error = -ENOMEM;
                return &spare;
        }
        c->checks = p;
        p += c->n_checks++;
        *p = (struct check){ .id = id, .state = state };
        return p;
}

__attribute__((format(printf, 3, 0))) static void fill(char *buf, size_t size, const char *format, va_list ap) {
        (void) vsnprintf(buf, size, format, ap);
        make_printable(buf);
}

void check_summary(struct check *k, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        fill(k->summary, sizeof(k->summary), format, ap);
        va_end(ap);
}

void check_meaning(struct check *k, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        fill(k->meaning, sizeof(k->meaning), format, ap);
        va_end(ap);
}

void check_action(struct check *k, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        fill(k->action, sizeof(k->action), format, ap);
        va_end(ap);
}

static size_t count_state(const struct checkup *c, enum check_state state) {
        size_t n = 0;

        for (size_t i = 0; i < c->n_checks; i++)
                n += c->checks[i].state == state;
        return n;
}

static const char *verdict(const struct checkup *c) {
        if (count_state(c, CHECK_PROBLEM) > 0)
                return "no";
        return count_state(c, CHECK_WARNING) + count_state(c, CHECK_UNKNOWN) > 0 ? "warnings" : "ok";
}

/* Puts a string into an object; false when memory ran out. */
static bool put_string(json_object *o, const char *key, const char *text) {
        json_object *value = json_object_new_string(text);

        if (value && json_object_object_add(o, key, value) == 0)
                return true;
        (void) json_object_put(value);
        return false;
}

static json_object *check_to_json(const struct check *k) {
        json_object *o = json_object_new_object();

        if (o && put_string(o, "id", k->id) && put_string(o, "state", check_state_to_string(k->state)) &&
            put_string(o, "summary", k->summary) && put_string(o, "meaning", k->meaning) &&
            put_string(o, "action", k->action) && put_string(o, "patches", k->patches ? k->patches : ""))
                return o;
        (void) json_object_put(o);
        return NULL;
}

static int print_json(const struct checkup *c) {
        json_object *o = json_object_new_object(), *checks = NULL;
        int r = -ENOMEM;

        if (!o || !put_string(o, "verdict", verdict(c)))
                goto finish;
        checks = json_object_new_array();
        if (!checks || json_object_object_add(o, "checks", checks) < 0) {
                (void) json_object_put(checks);
                goto finish;
        }
        for (size_t i = 0; i < c->n_checks; i++) {
                json_object *k = check_to_json(&c->checks[i]);

                if (!k || json_object_array_add(checks, k) < 0) {
                        (void) json_object_put(k);
                        goto finish;
                }
        }
        r = 0;
        (void) printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                                        JSON_C_TO_STRING_NOSLASHESCAPE));
finish:
        (void) json_object_put(o);
        return r;
}

static void print_text(const struct checkup *c) {
        static const struct {
                const char *symbol, *colour;
        } look[_CHECK_STATE_MAX] = {
                [CHECK_OK] = { "✓", "\033[32m" },      [CHECK_INFO] = { "i", "" },
                [CHECK_UNKNOWN] = { "?", "\033[33m" }, [CHECK_WARNING] = { "!", "\033[33m" },
                [CHECK_PROBLEM] = { "✗", "\033[31m" },
        };
        bool colour = table_use_colour(stdout);
        size_t problems, doubts;
        int width = 0;

        for (size_t i = 0; i < c->n_checks; i++)
                width = MAX(width, (int) strlen(c->checks[i].id));
        for (size_t i = 0; i < c->n_checks; i++) {
                const struct check *k = &c->checks[i];

                (void) printf("%s%s%s %-*s  ", colour ? look[k->state].colour : "", look[k->state].symbol,
                              colour && look[k->state].colour[0] != '\0' ? "\033[0m" : "", width, k->id);
                text_wrap(k->summary, (size_t) width + 4, (size_t) width + 4, stdout);
                text_wrap(k->meaning, (size_t) width + 4, 0, stdout);
                text_wrap(k->action, (size_t) width + 4, 0, stdout);
        }

        problems = count_state(c, CHECK_PROBLEM);
        doubts = count_state(c, CHECK_WARNING) + count_state(c, CHECK_UNKNOWN);
        if (problems > 0)
                (void) printf("\ntierd cannot run here: see what is marked ✗ (%zu).\n", problems);
        else if (doubts > 0)
                (void) printf("\ntierd can run here, as far as could be seen; see what is marked ! or ? (%zu).\n", doubts);
        else
                (void) printf("\ntierd can run here.\n");
}

int verb_doctor(const struct invocation *call) {
        _cleanup_checkup_ struct checkup c = {};
        struct diag d = {};
        int r;

        r = checkup_make(call->root, call->root_path, &c);
        if (r >= 0 && c.n_checks > 0 && count_state(&c, CHECK_UNKNOWN) == c.n_checks) {
                (void) diag_set(&d, -EACCES, "Nothing of this machine can be read; run as root.");
                return report_failure(&d);
        }
        if (r >= 0) {
                if (call->json)
                        r = print_json(&c);
                else
                        print_text(&c);
        }
        if (r < 0) {
                (void) diag_set(&d, r, "%s", strerror(-r));
                return report_failure(&d);
        }
        return count_state(&c, CHECK_PROBLEM) > 0 ? EXIT_NO : EXIT_WELL;
}
