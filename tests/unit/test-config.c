/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "policy/config.h"
#include "policy/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config *parse(const char *text) {
        struct config *c = NULL;
        struct diag d = {};

        if (config_parse(text, strlen(text), "tierd.yaml", &c, &d) < 0)
                fail_msg("refused:\n%s\n%s", text, d.text);
        return c;
}

static void assert_same_direction(const struct direction_config *a, const struct direction_config *b) {
        assert_int_equal(a->enabled, b->enabled);
        assert_int_equal(a->goal_bp, b->goal_bp);
        assert_int_equal(a->quota_bytes, b->quota_bytes);
        assert_int_equal(a->quota_interval_us, b->quota_interval_us);
        assert_int_equal(a->min_age_us, b->min_age_us);
        assert_int_equal(a->min_access_bp, b->min_access_bp);
        assert_int_equal(a->weight_frequency, b->weight_frequency);
        assert_int_equal(a->weight_age, b->weight_age);
}

static void assert_same(const struct config *a, const struct config *b) {
        assert_int_equal(a->tiers.n_tiers, b->tiers.n_tiers);
        assert_memory_equal(&a->monitoring, &b->monitoring, sizeof(a->monitoring));
        assert_same_direction(&a->demote, &b->demote);
        assert_same_direction(&a->promote, &b->promote);
        assert_int_equal(a->n_nodes, b->n_nodes);
        assert_int_equal(a->n_excludes, b->n_excludes);
        assert_int_equal(a->tuner, b->tuner);
        assert_int_equal(a->numa_balancing, b->numa_balancing);
        assert_int_equal(a->reclaim_demotion, b->reclaim_demotion);
        assert_int_equal(a->exclusive_modules, b->exclusive_modules);
        assert_int_equal(a->telemetry_interval_us, b->telemetry_interval_us);
        assert_true((a->metrics_file == NULL) == (b->metrics_file == NULL));
}

/* What a file may be without saying anything. */
static void test_empty(void **state) {
        static const char *const texts[] = {
                "",
                "\n",
                "# nothing\n",
                "---\n",
                "---\n...\n",
                "{}",
                "~\n",
                "null",
                "\xef\xbb\xbf",
                "\xef\xbb\xbf# nothing\r\n",
                "demote:\npromote:\nmonitoring:\nexclude:\nnodes:\ntuning:\nsystem:\ntelemetry:\n",
                "demote: {}\npromote: ~\n",
                "demote:\n  goal:\n  quota:\n  weights:\npromote:\n  goal: {}\n",
                "monitoring:\n  regions:\n  auto: off\n",
                "%YAML 1.1\n---\ndemote: {enabled: true}\n",
                "tiers: auto\nexclude: []\nnodes: {}\ntelemetry: {metrics_file: null}\n",
        };
        _cleanup_config_ struct config *expected = NULL;

        (void) state;
        assert_int_equal(config_new(&expected), 0);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_config_ struct config *c = parse(texts[i]);

                assert_same(c, expected);
                assert_null(c->warnings);
        }
}

/* The file that is installed says the defaults, commented out or not. */
static void test_installed_file(void **state) {
        _cleanup_config_ struct config *expected = NULL, *c = NULL, *uncommented = NULL;
        _cleanup_fclose_ FILE *f = fopen("etc/tierd.yaml", "re");
        char text[16384], bare[16384];
        struct diag d = {};
        size_t len, n = 0;

        (void) state;
        assert_non_null(f);
        len = fread(text, 1, sizeof(text) - 1, f);
        text[len] = '\0';
        assert_int_equal(config_new(&expected), 0);
        c = parse(text);
        assert_same(c, expected);

        /* "#key" is a default commented out; "# Words" are words. */
        for (size_t i = 0; i <= len; i++)
                if (text[i] != '#' || text[i + 1] == ' ' || text[i + 1] == '\n')
                        bare[n++] = text[i];
        if (config_parse(bare, n - 1, "etc/tierd.yaml", &uncommented, &d) < 0)
                fail_msg("with its comments taken away:\n%s", d.text);
        assert_same(uncommented, expected);
        assert_null(uncommented->warnings);
}

static void test_everything(void **state) {
        static const char text[] =
                "tiers: [[0, 1], [2], [3]]\n"
                "monitoring:\n"
                "  sample: 10ms\n"
                "  aggregate: 200ms\n"
                "  update: 2s\n"
                "  regions: {min: 3, max: 2000}\n"
                "  auto: {access: 4.5%, aggregations: 4, sample_min: 1ms, sample_max: 5s}\n"
                "demote:\n"
                "  enabled: no\n"
                "  goal: {free: \"7.25%\"}\n"
                "  quota: {bytes: 1GiB, interval: 500ms}\n"
                "  min_age: 30s\n"
                "  weights: {frequency: 0, age: 1000}\n"
                "promote:\n"
                "  enabled: On\n"
                "  goal: {used: 93%}\n"
                "  quota: {bytes: 512KiB, interval: 2m}\n"
                "  min_access: 0.01%\n"
                "  weights: {frequency: 7, age: 9}\n"
                "exclude:\n"
                "  - {cgroup: /db.slice/pg-1.service}\n"
                "  - type: anon\n"
                "  - {type: hugepage}\n"
                "nodes:\n"
                "  3: {managed: off}\n"
                "  2: {demote: {goal: {free: 10%}}, promote: {enabled: false}}\n"
                "tuning: {tuner: kernel, goal_tuner: temporal}\n"
                "system: {numa_balancing: off, reclaim_demotion: on, exclusive_modules: refuse}\n"
                "telemetry: {interval: 1m, metrics_file: /run/größe}\n";
        _cleanup_config_ struct config *c = parse(text);

        (void) state;
        assert_int_equal(c->tiers.n_tiers, 3);
        assert_true(idset_has(&c->tiers.tiers[0], 0) && idset_has(&c->tiers.tiers[0], 1) &&
                    idset_count(&c->tiers.tiers[0]) == 2);
        assert_true(idset_has(&c->tiers.tiers[2], 3));
        assert_int_equal(c->monitoring.sample_us, 10000);
        assert_int_equal(c->monitoring.aggregate_us, 200000);
        assert_int_equal(c->monitoring.update_us, 2000000);
        assert_int_equal(c->monitoring.min_regions, 3);
        assert_int_equal(c->monitoring.max_regions, 2000);
        assert_true(c->monitoring.auto_intervals);
        assert_int_equal(c->monitoring.auto_access_bp, 450);
        assert_int_equal(c->monitoring.auto_aggregations, 4);
        assert_int_equal(c->monitoring.auto_sample_min_us, 1000);
        assert_int_equal(c->monitoring.auto_sample_max_us, 5000000);
        assert_false(c->demote.enabled);
        assert_int_equal(c->demote.goal_bp, 725);
        assert_int_equal(c->demote.quota_bytes, UINT64_C(1) << 30);
        assert_int_equal(c->demote.quota_interval_us, 500000);
        assert_int_equal(c->demote.min_age_us, 30000000);
        assert_int_equal(c->demote.weight_frequency, 0);
        assert_int_equal(c->demote.weight_age, 1000);
        assert_true(c->promote.enabled);
        assert_int_equal(c->promote.goal_bp, 9300);
        assert_int_equal(c->promote.quota_bytes, 512 << 10);
        assert_int_equal(c->promote.quota_interval_us, 120000000);
        assert_int_equal(c->promote.min_access_bp, 1);
        assert_int_equal(c->promote.weight_frequency, 7);
        assert_int_equal(c->promote.weight_age, 9);
        assert_int_equal(c->n_excludes, 3);
        assert_int_equal(c->excludes[0].type, EXCLUDE_CGROUP);
        assert_string_equal(c->excludes[0].cgroup, "/db.slice/pg-1.service");
        assert_int_equal(c->excludes[1].type, EXCLUDE_ANON);
        assert_int_equal(c->excludes[2].type, EXCLUDE_HUGEPAGE);
        assert_int_equal(c->n_nodes, 2);
        assert_int_equal(c->nodes[0].id, 2);
        assert_int_equal(c->nodes[0].demote.goal_bp, 1000);
        assert_int_equal(c->nodes[0].demote.quota_bytes, UINT64_C(1) << 30);
        assert_false(c->nodes[0].promote.enabled);
        assert_int_equal(c->nodes[1].id, 3);
        assert_false(c->nodes[1].managed);
        assert_int_equal(c->tuner, TUNER_KERNEL);
        assert_int_equal(c->goal_tuner, GOAL_TUNER_TEMPORAL);
        assert_int_equal(c->numa_balancing, BALANCING_OFF);
        assert_int_equal(c->reclaim_demotion, SETTING_ON);
        assert_int_equal(c->exclusive_modules, MODULES_REFUSE);
        assert_int_equal(c->telemetry_interval_us, 60000000);
        assert_string_equal(c->metrics_file, "/run/größe");
}

/* A node's part lies over the general part, wherever that stands. */
static void test_merge_in_any_order(void **state) {
        static const char *const texts[] = {
                "nodes:\n  2: {demote: {goal: {free: 10%}}}\n  1:\ndemote: {quota: {bytes: 7MiB}, min_age: 3s}\n",
                "demote: {quota: {bytes: 7MiB}, min_age: 3s}\nnodes:\n  1: {}\n  2: {demote: {goal: {free: 10%}}}\n",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_config_ struct config *c = parse(texts[i]);
                struct node_config n = config_for_node(c, 2);

                assert_int_equal(n.id, 2);
                assert_true(n.managed);
                assert_int_equal(n.demote.goal_bp, 1000);
                assert_int_equal(n.demote.quota_bytes, 7 << 20);
                assert_int_equal(n.demote.min_age_us, 3000000);
                assert_int_equal(n.promote.goal_bp, 9600);
                n = config_for_node(c, 1);
                assert_same_direction(&n.demote, &c->demote);
                n = config_for_node(c, 77);
                assert_int_equal(n.id, 77);
                assert_true(n.managed);
                assert_same_direction(&n.demote, &c->demote);
                assert_same_direction(&n.promote, &c->promote);
        }
}

static void test_edges_that_are_fine(void **state) {
        static const char *const texts[] = {
                "demote: {min_age: 0s}",
                "demote: {min_age: 720h}",
                "demote: {goal: {free: 0.01%}}",
                "promote: {goal: {used: 99.99%}}",
                "monitoring: {sample: 100ms, aggregate: 100ms}",
                "monitoring: {regions: {min: 3, max: 3}}",
                "nodes: {1023: {managed: no}}",
                "tiers: [[0]]",
                "tiers:\n- - 0\n- - 1\n",
                "demote: {weights: {frequency: 0, age: 0}}",
                "demote: {enabled: YES}",
                "demote: {enabled: 'true'}",
                "\"demote\": {'enabled': true}",
                "exclude: [{cgroup: /}]",
                "exclude: [{cgroup: /a b/c..d}]",
                "demote:\r\n  enabled: true\r\n",
                "demote: {quota: {interval: 1ms, bytes: 1B}}",
                "monitoring: {auto: {}}",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_config_ struct config *c = parse(texts[i]);

                assert_non_null(c);
        }
}

static void test_warnings(void **state) {
        static const struct {
                const char *text, *expected;
        } cases[] = {
                { "demote: {goal: {free: 5%}}\npromote: {goal: {used: 95%}}\n", NULL },
                { "demote: {goal: {free: 4.99%}}\npromote: {goal: {used: 95%}}\n",
                  "tierd.yaml:1:23: warning: demote.goal.free and promote.goal.used" },
                { "demote: {goal: {free: 1%}}\n", "tierd.yaml:1:23: warning: " },
                { "promote: {goal: {used: 90%}}\n", "tierd.yaml:1:24: warning: " },
                { "promote: {enabled: false, goal: {used: 90%}}\n", NULL },
                { "nodes:\n  2: {demote: {goal: {free: 1%}}}\n", "tierd.yaml:2:29: warning: " },
                { "nodes:\n  2: {promote: {goal: {used: 90%}}}\n", "tierd.yaml:2:30: warning: " },
                { "exclude:\n  - {type: anon}\n  - {type: file}\n", "tierd.yaml:2:3: warning: anon and file together" },
                { "tuning: {tuner: feedback}\n", NULL },
                { "tuning: {tuner: kernel, goal_tuner: temporal}\n", NULL },
                { "tuning: {goal_tuner: consist}\n", NULL },
                { "tuning: {goal_tuner: temporal}\n",
                  "tierd.yaml:1:22: warning: goal_tuner has no effect without tuner: kernel" },
                { "telemetry: {interval: 100ms, metrics_file: null}\n", NULL },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_config_ struct config *c = parse(cases[i].text);

                if (!cases[i].expected)
                        assert_null(c->warnings);
                else {
                        assert_non_null(c->warnings);
                        if (strncmp(c->warnings, cases[i].expected, strlen(cases[i].expected)) != 0)
                                fail_msg("%s: %s", cases[i].text, c->warnings);
                        assert_null(strchr(c->warnings, '\n'));
                }
        }
}

/* Error blocks, to the letter. */
static void test_blocks(void **state) {
        static const struct {
                const char *text, *block;
        } cases[] = {
                { "demote:\n  quota: {bytes: 20OMiB}\n", "tierd.yaml:2:18: \"20OMiB\" is not a size; write a whole number and "
                                                         "B, KiB, MiB, GiB or TiB, without a blank, such as 200MiB\n"
                                                         "    quota: {bytes: 20OMiB}\n"
                                                         "                   ^" },
                { "demote:\n  qouta: {bytes: 200MiB}\n",
                  "tierd.yaml:2:3: unknown key \"qouta\" in \"demote\"; did you mean \"quota\"?\n"
                  "    qouta: {bytes: 200MiB}\n"
                  "    ^" },
                { "demote:\n\tenabled: true\n", "tierd.yaml:2:1: a tab cannot indent; use blanks\n"
                                                "   enabled: true\n"
                                                "  ^" },
                { "telemetry: {metrics_file: /größe,\tintervall: 1s}\n",
                  "tierd.yaml:1:35: unknown key \"intervall\" in \"telemetry\"; did you mean \"interval\"?\n"
                  "  telemetry: {metrics_file: /größe, intervall: 1s}\n"
                  "                                    ^" },
                { "demote: {min_age: 5s", "tierd.yaml:1:9: no \",\" or \"}\" where one must be; close the \"{\"\n"
                                          "  demote: {min_age: 5s\n"
                                          "          ^" },
                { "demote:\r\n  min_age:\r\n",
                  "tierd.yaml:2:3: \"min_age\" has no value; write for example \"min_age: 30s\", or remove it\n"
                  "    min_age:\n"
                  "    ^" },
                { "tiers: [[0, 1], [1]]\n", "tierd.yaml:1:18: node 1 is named already; a node stands in one tier, once\n"
                                            "  tiers: [[0, 1], [1]]\n"
                                            "                   ^" },
                { "tuning: {goal_tuner: eager}\n",
                  "tierd.yaml:1:22: \"goal_tuner\" cannot be \"eager\"; write one of consist, temporal\n"
                  "  tuning: {goal_tuner: eager}\n"
                  "                       ^" },
                { "tuning: {tuner: fast}\n",
                  "tierd.yaml:1:17: \"tuner\" cannot be \"fast\"; write one of auto, kernel, feedback, direct\n"
                  "  tuning: {tuner: fast}\n"
                  "                  ^" },
                { "demote: {enabled: true}\n---\n",
                  "tierd.yaml:2:1: a second document; keep one, and remove this \"---\" and what follows\n"
                  "  ---\n"
                  "  ^" },
                { "# a\xff\n", "tierd.yaml:1:4: the byte 0xff is not valid UTF-8; save the file as UTF-8\n"
                               "  # a?\n"
                               "     ^" },
                { "demote: {enabled: perhaps} #"
                  "............................................................................................................"
                  "............",
                  "tierd.yaml:1:19: \"perhaps\" is neither true nor false; write one of them\n"
                  "  demote: {enabled: perhaps} #"
                  "........................................................................"
                  "...\n"
                  "                    ^" },
                { "{                                                                                                           "
                  "       x: 1}",
                  "tierd.yaml:1:116: unknown key \"x\"; the keys here are tiers, monitoring, demote, promote, exclude, nodes, "
                  "tuning, system, "
                  "telemetry\n"
                  "  ...                                                 x: 1}\n"
                  "                                                      ^" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct config *c = NULL;
                struct diag d = {};

                assert_int_equal(config_parse(cases[i].text, strlen(cases[i].text), "tierd.yaml", &c, &d), -EBADMSG);
                assert_null(c);
                assert_string_equal(d.text, cases[i].block);
        }
}

static void test_size_limit(void **state) {
        _cleanup_free_ char *text = malloc(CONFIG_SIZE_MAX + 1);
        _cleanup_config_ struct config *c = NULL;
        struct config *none = NULL;
        struct diag d = {};

        (void) state;
        assert_non_null(text);
        memset(text, '#', CONFIG_SIZE_MAX + 1);
        assert_int_equal(config_parse(text, CONFIG_SIZE_MAX, "big.yaml", &c, &d), 0);
        assert_int_equal(config_parse(text, CONFIG_SIZE_MAX + 1, "big.yaml", &none, &d), -EFBIG);
        assert_null(none);
        assert_non_null(strstr(d.text, "big.yaml: larger than a configuration may be"));
}

static void test_files(void **state) {
        char directory[] = "/tmp/tierd-test-config.XXXXXX", path[128];
        _cleanup_config_ struct config *c = NULL, *d2 = NULL;
        _cleanup_close_ int root = -EBADF;
        struct config *none = NULL;
        struct diag d = {};

        (void) state;
        assert_non_null(mkdtemp(directory));
        root = root_open(directory, &d);
        assert_true(root >= 0);

        assert_int_equal(config_read(root, "tierd.yaml", "/etc/tierd.yaml", &none, &d), -ENOENT);
        assert_string_equal(d.text, "/etc/tierd.yaml: cannot read this configuration: No such file or directory");
        assert_int_equal(config_load("/nonexistent/tierd.yaml", &none, &d), -ENOENT);
        assert_int_equal(config_load(directory, &none, &d), -EISDIR);
        assert_int_equal(config_read(root, ".", directory, &none, &d), -EISDIR);
        assert_null(none);

        assert_int_equal(file_replace(root, "tierd.yaml", "demote: {min_age: 9s}\n", 22), 0);
        assert_int_equal(config_read(root, "tierd.yaml", "/etc/tierd.yaml", &c, &d), 0);
        assert_int_equal(c->demote.min_age_us, 9000000);
        (void) snprintf(path, sizeof(path), "%s/tierd.yaml", directory);
        assert_int_equal(config_load(path, &d2, &d), 0);
        assert_int_equal(d2->demote.min_age_us, 9000000);

        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(directory), 0);
}

static void test_suggest(void **state) {
        static const char *const words[] = { "free", "frequency", "enabled", "min_age", "max" };
        static const struct {
                const char *a, *b;
                size_t distance;
        } cases[] = {
                { "", "", 0 },           { "", "abc", 3 },           { "abc", "", 3 },         { "quota", "quota", 0 },
                { "qouta", "quota", 1 }, { "quot", "quota", 1 },     { "quotas", "quota", 1 }, { "quxta", "quota", 1 },
                { "QUOTA", "quota", 0 }, { "kitten", "sitting", 3 }, { "ca", "abc", 3 },       { "min-age", "min_age", 1 },
                { "ab", "ba", 1 },       { "a cat", "an act", 2 },
        };
        char longest[SUGGEST_WORD_MAX + 2] = "";

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(edit_distance(cases[i].a, cases[i].b), cases[i].distance);
                assert_int_equal(edit_distance(cases[i].b, cases[i].a), cases[i].distance);
        }
        memset(longest, 'x', SUGGEST_WORD_MAX);
        assert_int_equal(edit_distance(longest, longest), 0);
        longest[SUGGEST_WORD_MAX] = 'x';
        assert_true(edit_distance(longest, "x") == SIZE_MAX);

        assert_string_equal(suggest_nearest("fre", words, ELEMENTSOF(words)), "free");
        assert_string_equal(suggest_nearest("Frequence", words, ELEMENTSOF(words)), "frequency");
        assert_string_equal(suggest_nearest("enable", words, ELEMENTSOF(words)), "enabled");
        assert_null(suggest_nearest("colour", words, ELEMENTSOF(words)));
        assert_null(suggest_nearest("", words, ELEMENTSOF(words)));
        assert_null(suggest_nearest("x", words, 0));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_installed_file),
                cmocka_unit_test(test_everything),
                cmocka_unit_test(test_merge_in_any_order),
                cmocka_unit_test(test_edges_that_are_fine),
                cmocka_unit_test(test_warnings),
                cmocka_unit_test(test_blocks),
                cmocka_unit_test(test_size_limit),
                cmocka_unit_test(test_files),
                cmocka_unit_test(test_suggest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
