/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/example-status.h"
#include "tierctl/headline.h"
#include "tierctl/show.h"
#include "tierctl/snapshot.h"
#include "tierctl/status-text.h"
#include "tierctl/top-frame.h"
#include "tierd/describe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What the daemon says of itself, as an operator sees it. */

#define MIB (UINT64_C(1) << 20)
#define SECOND UINT64_C(1000000)

static struct snapshot *snapshot_of(const struct status *s) {
        _cleanup_free_ char *text = NULL;
        struct snapshot *shown = NULL;

        assert_int_equal(describe_status(s, &text), 0);
        assert_int_equal(snapshot_parse(text, &shown), 0);
        return shown;
}

/* A moment two seconds after the example was taken. */
static const struct moment after = { .realtime_us = UINT64_C(1795100002) * SECOND, .monotonic_us = 3 * SECOND };

/* -- reading -- */

static void test_parse(void **state) {
        _cleanup_status_ struct status *status = example_status();
        _cleanup_snapshot_ struct snapshot *s = NULL;
        const struct shown_scheme *scheme;

        (void) state;
        s = snapshot_of(status);
        assert_string_equal(s->state, "managing");
        assert_string_equal(s->kernel, "6.12.57");
        assert_string_equal(s->config_file, "/etc/tierd.yaml");
        assert_int_equal(s->n_tiers, 2);
        assert_int_equal(s->n_nodes, 4);
        assert_int_equal(s->turns, 4242);
        assert_int_equal(snapshot_node(s, 2)->restarts, 1);
        assert_int_equal(snapshot_node(s, 3)->tier, -1);
        assert_true(snapshot_node(s, 3)->free_bytes == UNKNOWN_NUMBER);
        assert_null(snapshot_node(s, 4));
        scheme = snapshot_scheme(s, "promote-2-0");
        assert_non_null(scheme);
        assert_false(scheme->demotes || scheme->goal_is_free);
        assert_int_equal(scheme->goal_bp, 9600);
        assert_int_equal(scheme->rate, 100 * MIB);
        assert_string_equal(scheme->reason, "exchange");
        assert_null(snapshot_scheme(s, "promote-0-2"));
}

/* Whatever is missing, or of another type, is unknown; a document of another version is no reason to fail. */
static void test_strange(void **state) {
        static const char *const fine[] = {
                "{}",
                "{\"state\": null, \"nodes\": null, \"schemes\": {}, \"notes\": [1, null, \"x\"], \"tiers\": 3}",
                "{\"nodes\": [null, 1, [], {}, {\"id\": -1, \"kdamond\": {\"pid\": \"x\"}}]}",
                "{\"schemes\": [{}, \"\", {\"goal\": 1}, {\"direction\": 7}]}",
                "{\"nodes\": [{\"id\": 99999999999999999999999, \"tier\": 1e300, \"free_bp\": -5}], \"unheard\": {\"of\": []}}",
        };
        static const char *const bad[] = { "", "null", "[]", "\"x\"", "{", "{\"state\": }", "12" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(fine); i++) {
                _cleanup_snapshot_ struct snapshot *s = NULL;
                _cleanup_free_ char *text = NULL;
                _cleanup_fclose_ FILE *f = NULL;
                size_t n;

                assert_int_equal(snapshot_parse(fine[i], &s), 0);
                f = open_memstream(&text, &n);
                assert_int_equal(status_print(s, &after, false, f), 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct snapshot *s = NULL;

                assert_int_equal(snapshot_parse(bad[i], &s), -EBADMSG);
                assert_null(s);
        }
}

static void test_no_steering(void **state) {
        _cleanup_snapshot_ struct snapshot *s = NULL;

        (void) state;
        assert_int_equal(snapshot_parse("{\"state\": \"a\\u001b[31mb\\nc\", \"notes\": [\"x\\u001b]0;t\\u0007\\ny\"]}", &s), 0);
        assert_string_equal(s->state, "a?[31mb c");
        assert_string_equal(s->notes[0], "x?]0;t? y");
}

/* -- the headline -- */

static void set_free(struct status *s, size_t scheme, int32_t bp) {
        s->schemes[scheme].current_bp = bp;
}

static void test_headlines(void **state) {
        static const struct {
                const char *what;
                enum mood mood;
                const char *text;
        } cases[] = {
                { "example", MOOD_GOOD, "OK: 2 tiers, 3 nodes; goals nearly met; quotas 100 MiB/s down, 100 MiB/s up" },
                { "met", MOOD_GOOD, "OK: 2 tiers, 3 nodes; goals met; quotas 100 MiB/s down, 100 MiB/s up" },
                { "rest", MOOD_GOOD, "OK: 2 tiers, 3 nodes; goals met, at rest" },
                { "half", MOOD_GOOD, "OK: 2 tiers, 3 nodes; goals met; quota 100 MiB/s up" },
                { "unmeasured", MOOD_GOOD, "OK: 2 tiers, 3 nodes; not measured yet" },
                { "at work", MOOD_GOOD, "OK: 2 tiers, 3 nodes; goals nearly met; quotas 100 MiB/s down, 100 MiB/s up" },
                { "low", MOOD_NOTICE, "LOW: node 0 has 3.4% free of 5% wanted; demoting to node 2 at up to 100 MiB/s" },
                { "two low", MOOD_NOTICE, "LOW: node 1 has 1.2% free of 5% wanted; not demoting (rest) (and 1 more)" },
                { "settling", MOOD_NOTICE,
                  "LOW: node 0 has 1.2% free of 5% wanted; not demoting yet, tierd still learns what is cold" },
                { "full", MOOD_BAD, "FULL: node 0 has 1.2% free of 5% wanted, node 2 below has no room" },
                { "full first", MOOD_BAD, "FULL: node 0 has 2% free of 5% wanted, node 2 below has no room (and 1 more)" },
                { "kernel full", MOOD_BAD, "FULL: node 0 has 1.2% free of 5% wanted, node 2 below has no room" },
                { "kernel low", MOOD_NOTICE, "LOW: node 0 has 1.2% free of 5% wanted; not demoting" },
                { "full but met", MOOD_GOOD, "OK: 2 tiers, 3 nodes; goals met; quota 100 MiB/s up" },
                { "stale", MOOD_BAD, "STALE: tierd has not measured for 2 min; see journalctl -u tierd" },
                { "paused", MOOD_NOTICE, "PAUSED: nothing moves until `tierctl resume`" },
                { "idle", MOOD_GOOD, "IDLE: there is nothing to manage on this machine" },
                { "starting", MOOD_NOTICE, "STARTING: tierd does not manage yet" },
                { "stopping", MOOD_NOTICE, "STOPPING: tierd puts everything back" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_status_ struct status *status = example_status();
                _cleanup_snapshot_ struct snapshot *s = NULL;
                const char *what = cases[i].what;
                uint64_t now = after.monotonic_us;
                char text[HEADLINE_MAX];

                if (strcmp(what, "met") == 0 || strcmp(what, "rest") == 0 || strcmp(what, "half") == 0)
                        set_free(status, 0, 480);
                if (strcmp(what, "rest") == 0)
                        status->schemes[0].quota_bytes = status->schemes[2].quota_bytes = 1;
                if (strcmp(what, "half") == 0)
                        status->schemes[0].quota_bytes = 0;
                if (strcmp(what, "unmeasured") == 0)
                        status->taken_us = 0;
                if (strcmp(what, "at work") == 0)
                        set_free(status, 0, 350);
                if (strcmp(what, "low") == 0)
                        set_free(status, 0, 349);
                if (strcmp(what, "two low") == 0) {
                        set_free(status, 0, 200);
                        set_free(status, 1, 125);
                }
                if (strcmp(what, "settling") == 0 || strcmp(what, "full") == 0 || strncmp(what, "kernel", 6) == 0) {
                        set_free(status, 0, 120);
                        status->schemes[0].quota_bytes = 0;
                        status->schemes[0].reason = strcmp(what, "settling") == 0 ? TUNER_SETTLING : TUNER_NO_ROOM;
                }
                if (strncmp(what, "kernel", 6) == 0)
                        status->tuner = TUNER_KERNEL;
                if (strcmp(what, "kernel full") == 0)
                        status->nodes[2].free_bytes = status->nodes[2].total_bytes / 200;
                if (strcmp(what, "full first") == 0) {
                        set_free(status, 0, 200);
                        status->schemes[0].reason = TUNER_NO_ROOM;
                        set_free(status, 1, 100);
                }
                if (strcmp(what, "full but met") == 0) {
                        set_free(status, 0, 500);
                        status->schemes[0].quota_bytes = 0;
                        status->schemes[0].reason = TUNER_NO_ROOM;
                }
                if (strcmp(what, "stale") == 0)
                        now += 120 * SECOND;
                for (enum status_state k = 0; k < _STATUS_STATE_MAX; k++)
                        if (strcmp(what, status_state_to_string(k)) == 0)
                                status->state = k;

                s = snapshot_of(status);
                assert_int_equal(headline_make(s, &(struct pace) {}, now, text), cases[i].mood);
                assert_string_equal(text, cases[i].text);
        }
}

static void test_measured_pace(void **state) {
        _cleanup_status_ struct status *status = example_status();
        _cleanup_snapshot_ struct snapshot *s = NULL;
        char text[HEADLINE_MAX];

        (void) state;
        set_free(status, 0, 500);
        s = snapshot_of(status);
        (void) headline_make(s, &(struct pace) { .known = true }, after.monotonic_us, text);
        assert_string_equal(text, "OK: 2 tiers, 3 nodes; goals met, nothing moves");
        (void) headline_make(s, &(struct pace) { .known = true, .down = 5 * MIB, .up = 1 }, after.monotonic_us, text);
        assert_string_equal(text, "OK: 2 tiers, 3 nodes; goals met; moving 5.00 MiB/s down, 1 B/s up");
}

static void test_formats(void **state) {
        static const struct {
                uint64_t value;
                const char *text;
        } ages[] = {
                { 0, "0.0 s" },          { 499999, "0.4 s" },        { 9999999, "9.9 s" },         { 10 * SECOND, "10 s" },
                { 119 * SECOND, "119 s" }, { 120 * SECOND, "2 min" }, { 7199 * SECOND, "119 min" }, { 7200 * SECOND, "2 h" },
                { 172799 * SECOND, "47 h" }, { 172800 * SECOND, "2 days" }, { UINT64_MAX, "213503982 days" },
        }, amounts[] = {
                { 0, "0 B" },          { 1023, "1023 B" },      { 1024, "1.00 KiB" },    { 10752, "10.5 KiB" },
                { 102400, "100 KiB" }, { 1047552, "1023 KiB" }, { 3 * MIB, "3.00 MiB" }, { UINT64_MAX, "15.9 EiB" },
        };
        char text[32];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(ages); i++)
                assert_string_equal(format_age(ages[i].value, text, sizeof(text)), ages[i].text);
        for (size_t i = 0; i < ELEMENTSOF(amounts); i++)
                assert_string_equal(format_amount(amounts[i].value, text, sizeof(text)), amounts[i].text);
        assert_string_equal(format_rate(0, text, sizeof(text)), "-");
        assert_string_equal(format_rate(MIB, text, sizeof(text)), "1.00 MiB/s");
}

/* -- status -- */

static void test_status(void **state) {
        _cleanup_status_ struct status *status = example_status();
        _cleanup_snapshot_ struct snapshot *s = NULL;
        _cleanup_free_ char *text = NULL;
        FILE *f;
        size_t n;

        (void) state;
        assert_int_equal(setenv("TZ", "UTC", 1), 0);
        s = snapshot_of(status);
        f = open_memstream(&text, &n);
        assert_int_equal(status_print(s, &after, false, f), 0);
        assert_int_equal(fclose(f), 0);
        assert_string_equal(
                text,
                "OK: 2 tiers, 3 nodes; goals nearly met; quotas 100 MiB/s down, 100 MiB/s up\n"
                "\n"
                "TIER  NODE  KIND        SIZE      FREE         WANTED      HOT      COLD   CPU\n"
                "   0     0  dram      64 GiB  3.00 GiB   4.6%    5.0%  300 MiB  1.00 GiB  0.0%\n"
                "   0     1  dram      64 GiB  4.00 GiB   6.2%    5.0%  300 MiB  1.00 GiB  0.0%\n"
                "   1     2  cxl      256 GiB   100 GiB  39.0%       -  300 MiB  1.00 GiB  0.0%\n"
                "   -     3  unknown        -         -      -       -        -         -     -\n"
                "\n"
                "MOVE     FROM  TO      GOAL    NOW    CEILING      QUOTA     MOVED  WHY\n"
                "demote      0   2   5% free   4.6%  200 MiB/s  100 MiB/s  2.00 GiB  exchange\n"
                "demote      1   2   5% free   6.2%  200 MiB/s          -  2.00 GiB  rest\n"
                "promote     2   0  96% used  95.3%  200 MiB/s  100 MiB/s  2.00 GiB  exchange\n"
                "promote     2   1  96% used  93.7%  200 MiB/s          -  2.00 GiB  rest\n"
                "\n"
                "tierd " TIERD_VERSION ", Linux 6.12.57, tuner direct, up 27 h, measured 2.0 s ago\n"
                "Configuration: /etc/tierd.yaml; tiers by hmat\n"
                "Since Wed 2026-11-18 11:06:40 UTC: 4242 turns (1 failed), 2 reloads, 3 replans\n"
                "Node 2: its kdamond had ended by itself and was started again (1)\n"
                "\n"
                "Notes:\n"
                "  node 3: no memory, left out\n");
}

/* -- top -- */

static size_t widest(const char *text) {
        size_t most = 0;

        while (*text) {
                size_t len = strcspn(text, "\n"), width = 0;

                for (size_t i = 0; i < len; i++)
                        width += ((unsigned char) text[i] & 0xc0) != 0x80;
                most = MAX(most, width);
                text += len + (text[len] == '\n');
        }
        return most;
}

struct two {
        struct snapshot *now, *before;
};

/* Two samples of which the second was taken 2 s after the first, and 80 MiB had gone down and 20 MiB up. */
static struct two two_samples(void) {
        _cleanup_status_ struct status *s = example_status();
        struct two t;

        t.before = snapshot_of(s);
        s->taken_us += 2 * SECOND;
        s->taken_realtime_us += 2 * SECOND;
        s->schemes[0].total.sz_applied += 80 * MIB;
        s->schemes[0].total.sz_tried += 160 * MIB;
        s->schemes[2].total.sz_applied += 20 * MIB;
        s->nodes[0].cpu_us += 20000;
        t.now = snapshot_of(s);
        return t;
}

static void test_frames(void **state) {
        static const struct {
                size_t width, rows;
                bool bars;
                const char *there, *not_there;
        } cases[] = {
                { 200, 50, true, "TRIED", "????" }, { 200, 50, true, "COLD", "????" },   { 200, 50, true, "q quits", "????" },
                { 80, 24, true, "IN USE", "TRIED" }, { 80, 24, false, "HOT", "IN USE" }, { 80, 24, true, "40.0 MiB/s", "COLD" },
                { 60, 20, true, "MOVING", "IN USE" }, { 60, 20, true, "1.0%", "QUOTA" }, { 40, 30, true, "MOVING", "GOAL" },
                { 80, 12, true, "TIER", "Linux" },  { 20, 5, true, "OK", "????" },        { 1, 1, true, "OK", "????" },
        };
        struct two t = two_samples();

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct frame frame = {
                        .show = { .now = t.now, .before = show_base(t.now, t.before), .width = cases[i].width,
                                  .bars = cases[i].bars },
                        .interval_us = 2 * SECOND, .live = true, .rows = cases[i].rows,
                };
                _cleanup_free_ char *text = NULL;

                assert_int_equal(frame_make(&frame, &after, &text), 0);
                assert_non_null(strstr(text, cases[i].there));
                assert_null(strstr(text, cases[i].not_there));
                /* From here down the terminal cuts. */
                if (cases[i].width >= 80)
                        assert_true(widest(text) <= cases[i].width);
        }
        snapshot_free(t.now);
        snapshot_free(t.before);
}

static void test_gone(void **state) {
        struct two t = two_samples();
        struct frame frame = {
                .show = { .now = t.now, .width = 80 }, .trouble = "tierd is not running", .interval_us = 2 * SECOND,
                .live = true, .rows = 24,
        };
        _cleanup_free_ char *live = NULL, *plain = NULL;

        (void) state;
        assert_int_equal(frame_make(&frame, &after, &live), 0);
        assert_int_equal(strncmp(live, "GONE: tierd is not running", 26), 0);
        /* What was known last stays on the screen; on paper it stands above. */
        assert_non_null(strstr(live, "TIER"));
        frame.live = false;
        assert_int_equal(frame_make(&frame, &after, &plain), 0);
        assert_non_null(strstr(plain, "\nGONE: tierd is not running"));
        assert_null(strstr(plain, "TIER"));
        snapshot_free(t.now);
        snapshot_free(t.before);
}

/* Rates are taken against an older snapshot of the same run, and no other. */
static void test_base(void **state) {
        struct two t = two_samples();
        struct pace pace = show_pace(&(struct show) { .now = t.now, .before = t.before });

        (void) state;
        assert_ptr_equal(show_base(t.now, t.before), t.before);
        assert_true(pace.known);
        assert_int_equal(pace.down, 40 * MIB);
        assert_int_equal(pace.up, 10 * MIB);
        assert_null(show_base(t.now, NULL));
        assert_null(show_base(NULL, t.before));
        assert_null(show_base(t.now, t.now));
        assert_null(show_base(t.before, t.now));
        t.before->started_realtime_us++;
        assert_null(show_base(t.now, t.before));
        assert_false(show_pace(&(struct show) { .now = t.now }).known);
        snapshot_free(t.now);
        snapshot_free(t.before);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),     cmocka_unit_test(test_strange),       cmocka_unit_test(test_no_steering),
                cmocka_unit_test(test_headlines), cmocka_unit_test(test_measured_pace), cmocka_unit_test(test_formats),
                cmocka_unit_test(test_status),    cmocka_unit_test(test_frames),        cmocka_unit_test(test_gone),
                cmocka_unit_test(test_base),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
