/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "tests/support/statuses.h"
#include "tierd/metrics.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

/* What docs/monitoring/ says of metrics, against the metrics there are. */

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:"

static char *read_text(const char *path) {
        _cleanup_close_ int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        char *text = NULL;
        size_t len;

        if (file_read_alloc(here, path, 1 << 20, &text, &len) < 0)
                fail_msg("%s: cannot read", path);
        return text;
}

static char *metrics_at_work(void) {
        struct made_status *m = calloc(1, sizeof(*m));
        char *text = NULL;

        assert_non_null(m);
        made_status_at_work(m);
        assert_int_equal(metrics_format(&m->s, METRICS_TEXT, &text), 0);
        free(m);
        return text;
}

/* "# TYPE NAME " is in the metrics. */
static bool is_metric(const char *metrics, const char *name, size_t len) {
        char line[256];

        (void) snprintf(line, sizeof(line), "# TYPE %.*s ", (int) len, name);
        return strstr(metrics, line) != NULL;
}

/* Every word of the text that begins with tierd_ is a metric. Returns how many there were. */
static size_t check_words(const char *metrics, const char *where, const char *text) {
        size_t n = 0;

        for (const char *p = strstr(text, "tierd_"); p; p = strstr(p, "tierd_")) {
                size_t len = strspn(p, NAME_CHARACTERS);

                if (p == text || !strchr(NAME_CHARACTERS, p[-1])) {
                        if (!is_metric(metrics, p, len))
                                fail_msg("%s: there is no metric %.*s", where, (int) len, p);
                        n++;
                }
                p += len;
        }
        return n;
}

/* Every expression below this object; the titles of panels stand in docs/monitoring.md. */
static void check_dashboard(const char *metrics, const char *manual, struct json_object *o, size_t *expressions) {
        if (json_object_is_type(o, json_type_array))
                for (size_t i = 0; i < json_object_array_length(o); i++)
                        check_dashboard(metrics, manual, json_object_array_get_idx(o, i), expressions);
        if (!json_object_is_type(o, json_type_object))
                return;
        json_object_object_foreach(o, key, value) {
                if (strcmp(key, "expr") == 0 || strcmp(key, "query") == 0 || strcmp(key, "definition") == 0) {
                        if (json_object_is_type(value, json_type_string) && strstr(json_object_get_string(value), "tierd"))
                                *expressions += check_words(metrics, "the dashboard", json_object_get_string(value)) > 0;
                }
                check_dashboard(metrics, manual, value, expressions);
        }
        if (json_object_object_get_ex(o, "gridPos", NULL)) {
                struct json_object *title;

                assert_true(json_object_object_get_ex(o, "title", &title));
                if (!strstr(manual, json_object_get_string(title)))
                        fail_msg("docs/monitoring.md does not speak of the panel %s", json_object_get_string(title));
        }
}

static void test_dashboard(void **state) {
        _cleanup_free_ char *metrics = metrics_at_work(), *text = read_text("docs/monitoring/tierd-dashboard.json"),
                            *manual = read_text("docs/monitoring.md");
        struct json_tokener *tokener = json_tokener_new();
        struct json_object *dashboard, *panels;
        size_t expressions = 0;

        (void) state;
        assert_non_null(tokener);
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
        dashboard = json_tokener_parse_ex(tokener, text, (int) strlen(text));
        if (!dashboard)
                fail_msg("%s", json_tokener_error_desc(json_tokener_get_error(tokener)));
        assert_true(json_object_object_get_ex(dashboard, "panels", &panels));
        assert_in_range(json_object_array_length(panels), 10, 50);
        check_dashboard(metrics, manual, dashboard, &expressions);
        assert_in_range(expressions, 20, 100);
        json_object_put(dashboard);
        json_tokener_free(tokener);
}

static void test_rules(void **state) {
        _cleanup_free_ char *metrics = metrics_at_work(), *rules = read_text("docs/monitoring/tierd-rules.yml"),
                            *tests = read_text("tests/monitoring/rules-test.yml"), *manual = read_text("docs/monitoring.md"),
                            *ids = read_text("man/tierd.journal-fields.7");
        size_t alerts = 0;

        (void) state;
        assert_in_range(check_words(metrics, "the rules", rules), 15, 100);
        assert_in_range(check_words(metrics, "the rules' tests", tests), 30, 200);
        /* Each alert is explained, and tested both ways: where nothing is wrong and where something is. */
        for (const char *p = strstr(rules, "- alert: "); p; p = strstr(p, "- alert: ")) {
                char name[64], quiet[128], fires[128];

                p += strlen("- alert: ");
                (void) snprintf(name, sizeof(name), "| `%.*s` |", (int) strcspn(p, "\n"), p);
                (void) snprintf(quiet, sizeof(quiet), "alertname: %.*s}", (int) strcspn(p, "\n"), p);
                (void) snprintf(fires, sizeof(fires), "alertname: %.*s\n        exp_alerts:", (int) strcspn(p, "\n"), p);
                if (!strstr(manual, name) || !strstr(tests, quiet) || !strstr(tests, fires))
                        fail_msg("the alert %.*s is not explained, or not tested both ways", (int) strcspn(p, "\n"), p);
                alerts++;
        }
        assert_in_range(alerts, 5, 50);
        for (const char *p = strstr(rules, "MESSAGE_ID="); p; p = strstr(p, "MESSAGE_ID=")) {
                char item[64];

                p += strlen("MESSAGE_ID=");
                (void) snprintf(item, sizeof(item), ".It Li %.32s\n", p);
                assert_non_null(strstr(ids, item));
        }
}

/* The table of docs/monitoring.md is complete, and names nothing else; with the labels that each has. */
static void test_manual(void **state) {
        _cleanup_free_ char *metrics = metrics_at_work(), *manual = read_text("docs/monitoring.md");

        (void) state;
        for (const char *p = strstr(metrics, "# TYPE "); p; p = strstr(p, "# TYPE ")) {
                char row[256];

                p += strlen("# TYPE ");
                (void) snprintf(row, sizeof(row), "\n| `%.*s` |", (int) strcspn(p, " "), p);
                if (!strstr(manual, row))
                        fail_msg("docs/monitoring.md lacks %s", row + 1);
        }
        for (const char *p = strstr(manual, "\n| `tierd_"); p; p = strstr(p, "\n| `tierd_")) {
                p += strlen("\n| `");
                if (!is_metric(metrics, p, strcspn(p, "`")))
                        fail_msg("docs/monitoring.md: there is no metric %.*s", (int) strcspn(p, "`"), p);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_dashboard),
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_manual),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
