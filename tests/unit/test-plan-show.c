/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/plan-show.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* The JSON is an interface: keys, their order, their types. */

#define GIB (UINT64_C(1) << 30)

static struct mem_range ranges[] = { { 0, 4 * GIB } };
static struct filter filters[] = {
        { .type = FILTER_MEMCG, .matching = true, .memcg_path = (char *) "/db.slice/a \"b\"" },
        { .type = FILTER_YOUNG, .matching = true },
};
static struct scheme schemes[] = {
        {
                .direction = DEMOTE,
                .source_nid = 0,
                .target_nid = 2,
                .goal_metric = GOAL_NODE_MEM_FREE_BP,
                .goal_bp = 500,
                .quota_bytes = UINT64_C(200) << 20,
                .quota_interval_us = 1000000,
                .weight_frequency = 100,
                .weight_age = 50,
                .access = { .max_age_us = UINT64_MAX },
                .filters = filters,
                .n_filters = 2,
        },
};
static struct probe probes[] = {
        { .kind = PROBE_ALL, .access = { .max_per_aggregation = UINT32_MAX, .max_age_us = UINT64_MAX } },
};
static struct kdamond_plan kdamonds[] = {
        { .nid = 0, .ranges = ranges, .n_ranges = 1, .schemes = schemes, .n_schemes = 1, .probes = probes, .n_probes = 1 },
};
static char note[] = "node 3: no memory, left out";
static struct note notes[] = { { .kind = NOTE_LEFT_OUT, .text = note } };
static const struct plan plan = {
        .tuner = TUNER_DIRECT,
        .monitoring = { .sample_us = 5000, .aggregate_us = 100000, .update_us = 1000000, .min_regions = 10,
                        .max_regions = 1000 },
        .kdamonds = kdamonds,
        .n_kdamonds = 1,
        .notes = notes,
        .n_notes = 1,
};

/* What `print` writes, in fresh memory. */
static char *capture(const struct plan *p, bool json) {
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        assert_non_null(f);
        if (json)
                assert_int_equal(plan_print_json(p, f), 0);
        else
                plan_print_text(p, f);
        assert_int_equal(fclose(f), 0);
        return text;
}

static void test_json(void **state) {
        static const char expected[] =
                "{\"tuner\":\"direct\",\"kdamonds\":[{\"node\":0,\"ranges\":[[0,4294967296]],\"schemes\":["
                "{\"direction\":\"demote\",\"action\":\"migrate_cold\",\"source\":0,\"target\":2,"
                "\"goal\":{\"metric\":\"node_mem_free_bp\",\"node\":0,\"target_bp\":500},"
                "\"quota\":{\"bytes\":209715200,\"interval_ms\":1000},"
                "\"access\":{\"min_per_aggregation\":0,\"max_per_aggregation\":0,\"min_age_us\":0},"
                "\"filters\":[{\"type\":\"memcg\",\"memcg_path\":\"/db.slice/a \\\"b\\\"\",\"matching\":true,\"allow\":false},"
                "{\"type\":\"young\",\"matching\":true,\"allow\":false}]}],"
                "\"probes\":[{\"kind\":\"all\",\"access\":"
                "{\"min_per_aggregation\":0,\"max_per_aggregation\":null,\"min_age_us\":0}}]}],"
                "\"monitoring\":{\"sample_us\":5000,\"aggregate_us\":100000,\"min_regions\":10,"
                "\"max_regions\":1000,\"auto\":null},"
                "\"notes\":[\"node 3: no memory, left out\"]}";
        _cleanup_free_ char *text = capture(&plan, true);
        json_object *o;

        (void) state;
        assert_memory_equal(text, "{\n  \"tuner\": \"direct\",\n", 23);
        o = json_tokener_parse(text);
        assert_non_null(o);
        assert_string_equal(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                            expected);
        assert_int_equal(json_object_put(o), 1);
}

static void test_json_intervals(void **state) {
        struct plan tuned = plan;
        _cleanup_free_ char *text = NULL;

        (void) state;
        tuned.n_kdamonds = tuned.n_notes = 0;
        tuned.monitoring.auto_intervals = true;
        tuned.monitoring.auto_access_bp = 400;
        tuned.monitoring.auto_aggregations = 3;
        tuned.monitoring.auto_sample_min_us = 5000;
        tuned.monitoring.auto_sample_max_us = 10000000;
        text = capture(&tuned, true);
        assert_non_null(strstr(text, "\"kdamonds\": [\n  ],"));
        assert_non_null(strstr(text, "\"notes\": [\n  ]"));
        assert_non_null(strstr(text, "\"auto\": {\n      \"access_bp\": 400,\n      \"aggregations\": 3,\n"
                                     "      \"sample_min_us\": 5000,\n      \"sample_max_us\": 10000000\n    }"));
}

static void test_text(void **state) {
        static const char expected[] =
                "tuner: direct\n"
                "monitoring: sample 5 ms, aggregate 100 ms, update 1 s, 10 to 1000 regions\n"
                "\n"
                "node 0\n"
                "  0x0-0x100000000 (4 GiB)\n"
                "  demote to node 2\n"
                "    goal     5% of node 0 free\n"
                "    quota    at most 200 MiB per 1 s\n"
                "    pages    of regions without access\n"
                "    weights  frequency 100, age 50\n"
                "    except   those of cgroup /db.slice/a \"b\"\n"
                "             those accessed lately\n"
                "\n"
                "notes:\n"
                "  node 3: no memory, left out\n";
        _cleanup_free_ char *text = capture(&plan, false);

        (void) state;
        assert_string_equal(text, expected);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_json_intervals),
                cmocka_unit_test(test_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
