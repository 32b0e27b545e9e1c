/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/example-status.h"
#include "tierd/describe.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static void json_putp(json_object **o) {
        (void) json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_putp)

static json_object *describe(const struct status *s) {
        _cleanup_free_ char *text = NULL;
        enum json_tokener_error error;
        json_object *o;

        assert_int_equal(describe_status(s, &text), 0);
        assert_true(text[0] == '{' && text[strlen(text) - 1] == '}');
        o = json_tokener_parse_verbose(text, &error);
        assert_int_equal(error, json_tokener_success);
        return o;
}

/* A value on one line, by a pointer into the document ("/nodes/0/kdamond/pid"); "(none)" where there is no such key. */
static const char *at(json_object *o, const char *pointer) {
        json_object *value = NULL;

        if (json_pointer_get(o, pointer, &value) < 0)
                return "(none)";
        return json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static void test_values(void **state) {
        static const struct {
                const char *pointer, *value;
        } cases[] = {
                { "/version", "\"" TIERD_VERSION "\"" },
                { "/state", "\"managing\"" },
                { "/kernel", "\"6.12.57\"" },
                { "/tuner", "\"direct\"" },
                { "/rank_source", "\"hmat\"" },
                { "/config_file", "\"/etc/tierd.yaml\"" },
                { "/telemetry_interval_us", "10000000" },
                { "/started_realtime_us", "1795000000000000" },
                { "/taken_realtime_us", "1795100000000000" },
                { "/taken_monotonic_us", "1000000" },
                { "/counters", "{\"turns\":4242,\"failed_turns\":1,\"reloads\":2,\"replans\":3}" },
                { "/tiers", "[[0,1],[2]]" },
                { "/notes", "[\"node 3: no memory, left out\"]" },
                { "/nodes/0",
                  "{\"id\":0,\"tier\":0,\"kind\":\"dram\",\"total_bytes\":68719476736,\"free_bytes\":3221225472,"
                  "\"free_bp\":468,\"upper\":[],\"lower\":[2],\"left_alone\":false,"
                  "\"kdamond\":{\"pid\":700,\"cpu_us\":12000000,\"restarts\":0,"
                  "\"sample_us\":5000,\"aggregate_us\":100000,\"hot_bytes\":314572800,\"cold_bytes\":1073741824}}" },
                { "/nodes/2/upper", "[0,1]" },
                { "/nodes/2/kdamond/restarts", "1" },
                { "/nodes/3",
                  "{\"id\":3,\"tier\":null,\"kind\":\"unknown\",\"total_bytes\":0,\"free_bytes\":null,\"free_bp\":null,"
                  "\"upper\":[],\"lower\":[],\"left_alone\":false,\"kdamond\":null}" },
                { "/nodes/4", "(none)" },
                { "/schemes/0",
                  "{\"name\":\"demote-0-2\",\"direction\":\"demote\",\"source\":0,\"target\":2,"
                  "\"goal\":{\"metric\":\"node_mem_free_bp\",\"node\":0,\"target_bp\":500},\"current_bp\":468,"
                  "\"quota\":{\"bytes\":41943040,\"interval_us\":400000,\"rate_bytes_per_s\":104857600},"
                  "\"ceiling\":{\"bytes\":209715200,\"interval_us\":1000000,\"rate_bytes_per_s\":209715200},"
                  "\"reason\":\"exchange\",\"nr_tried\":1000,\"nr_applied\":900,\"tried_bytes\":3221225472,"
                  "\"applied_bytes\":2147483648,\"quota_exceeded\":7}" },
                { "/schemes/1/quota/rate_bytes_per_s", "0" },
                { "/schemes/2/goal", "{\"metric\":\"node_mem_used_bp\",\"node\":0,\"target_bp\":9600}" },
                { "/schemes/3/name", "\"promote-2-1\"" },
        };
        _cleanup_status_ struct status *s = example_status();
        _cleanup_json_ json_object *o = describe(s);

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(at(o, cases[i].pointer), cases[i].value);
}

/* What is not known is null, not a number that means so. */
static void test_nothing_known(void **state) {
        static const char *const unknown[] = { "/kernel", "/tuner", "/rank_source", "/config_file", "/taken_realtime_us",
                                               "/taken_monotonic_us" };
        _cleanup_status_ struct status *s = calloc(1, sizeof(*s));
        _cleanup_json_ json_object *o = NULL;

        (void) state;
        o = describe(s);
        assert_string_equal(at(o, "/state"), "\"starting\"");
        for (size_t i = 0; i < ELEMENTSOF(unknown); i++)
                assert_string_equal(at(o, unknown[i]), "null");
        assert_string_equal(at(o, "/nodes"), "[]");
        assert_string_equal(at(o, "/schemes"), "[]");
        assert_string_equal(at(o, "/tiers"), "[]");
        assert_string_equal(at(o, "/notes"), "[]");
}

static void test_little_known(void **state) {
        _cleanup_status_ struct status *s = example_status();
        _cleanup_json_ json_object *o = NULL;

        (void) state;
        s->tuner = TUNER_KERNEL;
        s->nodes[0].pid = 0;
        s->nodes[0].has_view = false;
        s->nodes[0].sample_us = s->nodes[0].aggregate_us = 0;
        s->nodes[1].has_free = false;
        s->schemes[0].current_bp = -1;
        o = describe(s);
        assert_string_equal(at(o, "/nodes/0/kdamond"),
                            "{\"pid\":null,\"cpu_us\":12000000,\"restarts\":0,\"sample_us\":null,\"aggregate_us\":null,"
                            "\"hot_bytes\":null,\"cold_bytes\":null}");
        assert_string_equal(at(o, "/nodes/1/free_bytes"), "null");
        assert_string_equal(at(o, "/nodes/1/free_bp"), "null");
        assert_string_equal(at(o, "/schemes/0/current_bp"), "null");
        assert_string_equal(at(o, "/schemes/0/reason"), "null");
}

static void test_limits(void **state) {
        _cleanup_status_ struct status *s = example_status();
        _cleanup_json_ json_object *o = NULL;

        (void) state;
        s->schemes[0].total.sz_tried = UINT64_MAX;
        s->schemes[0].ceiling_bytes = UINT64_MAX;
        s->nodes[0].total_bytes = s->nodes[0].free_bytes = UINT64_MAX;
        o = describe(s);
        assert_string_equal(at(o, "/schemes/0/tried_bytes"), "18446744073709551615");
        assert_string_equal(at(o, "/schemes/0/ceiling/rate_bytes_per_s"), "18446744073709551615");
        assert_string_equal(at(o, "/nodes/0/free_bp"), "10000");
}

static void test_odd_text(void **state) {
        _cleanup_status_ struct status *s = example_status();
        _cleanup_json_ json_object *o = NULL;

        (void) state;
        example_add_note(s, "quote \" backslash \\ line\nescape \x1b[31m byte \xff");
        o = describe(s);
        assert_string_equal(json_object_get_string(json_object_array_get_idx(json_object_object_get(o, "notes"), 1)),
                            "quote \" backslash \\ line\nescape \x1b[31m byte ?");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values),        cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_little_known),
                cmocka_unit_test(test_limits),        cmocka_unit_test(test_odd_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
