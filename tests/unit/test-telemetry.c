/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/statuses.h"
#include "tierd/telemetry.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <syslog.h>

#define TURN (SECOND / 2)

/* A telemetry whose journal is this memory: an entry is its fields, a line each, and an empty line. */
struct desk {
        struct made_status made;
        struct journal *journal;
        struct telemetry *telemetry;
        pthread_mutex_t mutex;
        pthread_cond_t marked;
        char text[1 << 18];
        char read[1 << 18];
};

/* The last of what is waited for. */
static const char mark[] = "PRIORITY=2\nSYSLOG_IDENTIFIER=tierd\nMESSAGE=mark\n\n";

static bool is_marked(const struct desk *k) {
        size_t len = strlen(k->text);

        return len >= sizeof(mark) - 1 && strcmp(k->text + len - sizeof(mark) + 1, mark) == 0;
}

static int take(void *userdata, const struct iovec *fields, int n) {
        struct desk *k = userdata;
        size_t len;

        (void) pthread_mutex_lock(&k->mutex);
        len = strlen(k->text);
        for (int i = 0; i < n; i++)
                len += (size_t) snprintf(k->text + len, sizeof(k->text) - len, "%.*s\n", (int) fields[i].iov_len,
                                         (const char *) fields[i].iov_base);
        (void) snprintf(k->text + len, sizeof(k->text) - len, "\n");
        if (is_marked(k))
                (void) pthread_cond_signal(&k->marked);
        (void) pthread_mutex_unlock(&k->mutex);
        return 0;
}

static void journal_open(struct desk *k) {
        assert_int_equal(journal_new_to(LOG_INFO, &(struct journal_sink) { .send = take, .userdata = k }, &k->journal), 0);
        journal_set_target(k->journal, JOURNAL_JOURNAL);
}

static struct desk *desk_new(void) {
        struct desk *k = calloc(1, sizeof(*k));

        assert_non_null(k);
        (void) pthread_mutex_init(&k->mutex, NULL);
        (void) pthread_cond_init(&k->marked, NULL);
        made_status_init(&k->made);
        journal_open(k);
        assert_int_equal(telemetry_new(k->journal, &k->telemetry), 0);
        return k;
}

static void desk_done(struct desk **k) {
        (*k)->telemetry = telemetry_free((*k)->telemetry);
        (*k)->journal = journal_free((*k)->journal);
        free(*k);
}

/* Takes what was written so far: the journal's thread is waited for by a message that is known. */
static const char *written(struct desk *k) {
        journal_send(k->journal, LOG_CRIT, SD_ID128_NULL, NULL, "mark");
        (void) pthread_mutex_lock(&k->mutex);
        while (!is_marked(k))
                (void) pthread_cond_wait(&k->marked, &k->mutex);
        k->text[strlen(k->text) - sizeof(mark) + 1] = '\0';
        memcpy(k->read, k->text, sizeof(k->text));
        k->text[0] = '\0';
        (void) pthread_mutex_unlock(&k->mutex);
        return k->read;
}

/* "LEVEL MESSAGE" of each entry, for those whose fields do not matter. */
static void assert_messages(struct desk *k, const char *expected) {
        static char lines[65536];
        size_t len = 0;

        lines[0] = '\0';
        for (const char *p = written(k); *p; p = strstr(p, "\n\n") + 2) {
                const char *message = strstr(p, "MESSAGE=") + strlen("MESSAGE=");

                len += (size_t) snprintf(lines + len, sizeof(lines) - len, "%.*s %.*s\n", 1, p + strlen("PRIORITY="),
                                         (int) strcspn(message, "\n"), message);
        }
        assert_string_equal(lines, expected);
}

/* -- start -- */

static void test_started(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();
        char config[] = "/etc/tierd.yaml";

        (void) state;
        k->made.s.config_path = config;
        k->made.s.n_notes = 2;
        k->made.notes[0] = (struct status_note) { NOTE_LEFT_OUT, k->made.texts[0] };
        k->made.notes[1] = (struct status_note) { NOTE_KERNEL, k->made.texts[1] };
        (void) strcpy(k->made.texts[0], "node 3: no memory, left out");
        (void) strcpy(k->made.texts[1], "this kernel has no filter for young pages");
        k->made.s.n_schemes = 1;
        telemetry_started(k->telemetry, &k->made.s, "damon_stat");
        assert_string_equal(
                written(k),
                "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=e8440b0963bc479fadfe0e3c6b7ace38\n"
                "MESSAGE=managing 3 nodes by 1 scheme, tuner direct, on Linux 7.2.13; tiers 0 > 1 > 2, ranked by "
                "memory_tiering\n"
                "TIERD_VERSION=" TIERD_VERSION "\nTIERD_KERNEL=7.2.13\nTIERD_TIERS=0 > 1 > 2\n"
                "TIERD_RANK_SOURCE=memory_tiering\n"
                "TIERD_TUNER=direct\nTIERD_SCHEMES=1\nTIERD_CONFIG_FILE=/etc/tierd.yaml\n\n"
                "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=bdb9f648ea364f7eb24f26c1cd0964fb\n"
                "MESSAGE=stopped damon_stat, which held DAMON; put back at the end\n"
                "TIERD_NOTE=advice\nTIERD_STOPPED_MODULES=damon_stat\n\n"
                "PRIORITY=6\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=2111a7e404274fb9ae4184f512eabe06\n"
                "MESSAGE=demote 0 -> 1: aiming at 5% of node 0 free, at most 200 MiB per 1 s\n"
                "TIERD_SCHEME=demote-0-1\nTIERD_DIRECTION=demote\nTIERD_SOURCE=0\nTIERD_TARGET=1\n"
                "TIERD_GOAL_METRIC=node_mem_free_bp\nTIERD_GOAL_NODE=0\nTIERD_GOAL_BP=500\nTIERD_CURRENT_BP=499\n"
                "TIERD_CEILING_BYTES=209715200\nTIERD_CEILING_INTERVAL_US=1000000\n\n"
                "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=bdb9f648ea364f7eb24f26c1cd0964fb\n"
                "MESSAGE=node 3: no memory, left out\nTIERD_NOTE=left-out\n\n"
                "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=2aea24fdd5c2457d9d2192f9d9633d63\n"
                "MESSAGE=this kernel has no filter for young pages\nTIERD_NOTE=kernel\n\n");
        k->made.s.config_path = NULL;
}

static void test_started_idle(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();

        (void) state;
        k->made.s.n_schemes = 0;
        k->made.s.n_tiers = 0;
        k->made.s.state = STATUS_IDLE;
        telemetry_started(k->telemetry, &k->made.s, "");
        assert_string_equal(written(k), "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=e8440b0963bc479fadfe0e3c6b7ace38\n"
                                        "MESSAGE=nothing to manage on this machine\n"
                                        "TIERD_VERSION=" TIERD_VERSION "\nTIERD_KERNEL=7.2.13\nTIERD_TIERS=\n"
                                        "TIERD_RANK_SOURCE=memory_tiering\nTIERD_TUNER=direct\nTIERD_SCHEMES=0\n\n");
        telemetry_turn(k->telemetry, &k->made.s);
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_string_equal(written(k), "");
        assert_null(telemetry_free(NULL));
}

/* More nodes per tier than fit in a line. */
static void test_many_tiers(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();
        struct status_node *nodes = calloc(1024, sizeof(*nodes));
        const char *text;

        (void) state;
        assert_non_null(nodes);
        for (int i = 0; i < 1024; i++)
                nodes[i] = (struct status_node) { .nid = i, .tier = i % 2 + i / 512 * 2 };
        k->made.s.nodes = nodes;
        k->made.s.n_nodes = 1024;
        k->made.s.n_tiers = 1000;
        telemetry_started(k->telemetry, &k->made.s, "");
        text = written(k);
        assert_non_null(strstr(text, "TIERD_TIERS=256 nodes > 256 nodes > 256 nodes > 256 nodes >  > "));
        free(nodes);
}

/* -- plans that change -- */

static void test_plan_changed(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();

        (void) state;
        k->made.s.n_schemes = 2;
        k->made.s.n_notes = 1;
        k->made.notes[0] = (struct status_note) { NOTE_ADVICE, k->made.texts[0] };
        (void) strcpy(k->made.texts[0], "known");
        telemetry_started(k->telemetry, &k->made.s, "");
        (void) written(k);

        telemetry_plan_changed(k->telemetry, &k->made.s, "reload");
        assert_messages(k, "5 configuration reloaded; 2 schemes, tuner direct\n");

        /* Demotion from 0 has another goal, that from 1 is gone, promotion is new; so is a note. */
        k->made.schemes[DEMOTE_0_1].goal_bp = 1000;
        k->made.schemes[1] = k->made.schemes[PROMOTE_1_0];
        k->made.notes[1] = k->made.notes[0];
        k->made.notes[0] = (struct status_note) { NOTE_KERNEL, k->made.texts[1] };
        (void) strcpy(k->made.texts[1], "new");
        k->made.s.n_notes = 2;
        telemetry_plan_changed(k->telemetry, &k->made.s, "reload");
        assert_string_equal(written(k),
                            "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=3512fd48a151478cb9802123855301f4\n"
                            "MESSAGE=configuration reloaded; 2 schemes, tuner direct: 1 new, 1 removed, 1 changed\n"
                            "TIERD_WHY=reload\nTIERD_TUNER=direct\nTIERD_SCHEMES=2\nTIERD_ADDED=1\nTIERD_REMOVED=1\n"
                            "TIERD_CHANGED=1\n\n"
                            "PRIORITY=6\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=a20ebcfcfc8c49249709f65f97146c5b\n"
                            "MESSAGE=demote 1 -> 2: removed\n"
                            "TIERD_SCHEME=demote-1-2\nTIERD_DIRECTION=demote\nTIERD_SOURCE=1\nTIERD_TARGET=2\n\n"
                            "PRIORITY=6\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=697fa3dd2ae24bdbadd45f70bfe53d75\n"
                            "MESSAGE=demote 0 -> 1: now aiming at 10% of node 0 free, at most 200 MiB per 1 s\n"
                            "TIERD_SCHEME=demote-0-1\nTIERD_DIRECTION=demote\nTIERD_SOURCE=0\nTIERD_TARGET=1\n"
                            "TIERD_GOAL_METRIC=node_mem_free_bp\nTIERD_GOAL_NODE=0\nTIERD_GOAL_BP=1000\nTIERD_CURRENT_BP=499\n"
                            "TIERD_CEILING_BYTES=209715200\nTIERD_CEILING_INTERVAL_US=1000000\n\n"
                            "PRIORITY=6\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=2111a7e404274fb9ae4184f512eabe06\n"
                            "MESSAGE=promote 1 -> 0: aiming at 96% of node 0 used, at most 200 MiB per 1 s\n"
                            "TIERD_SCHEME=promote-1-0\nTIERD_DIRECTION=promote\nTIERD_SOURCE=1\nTIERD_TARGET=0\n"
                            "TIERD_GOAL_METRIC=node_mem_used_bp\nTIERD_GOAL_NODE=0\nTIERD_GOAL_BP=9600\n"
                            "TIERD_CURRENT_BP=9501\nTIERD_CEILING_BYTES=209715200\nTIERD_CEILING_INTERVAL_US=1000000\n\n"
                            "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=2aea24fdd5c2457d9d2192f9d9633d63\n"
                            "MESSAGE=new\nTIERD_NOTE=kernel\n\n");

        telemetry_plan_changed(k->telemetry, &k->made.s, "pause");
        telemetry_plan_changed(k->telemetry, &k->made.s, "resume");
        k->made.s.n_schemes = 0;
        telemetry_plan_changed(k->telemetry, &k->made.s, "hotplug");
        telemetry_plan_changed(k->telemetry, &k->made.s, "cgroups");
        telemetry_plan_changed(k->telemetry, &k->made.s, "boredom");
        assert_messages(k, "5 paused: nothing is moved until tierctl resume; 2 schemes, tuner direct\n"
                           "5 resumed; 2 schemes, tuner direct\n"
                           "5 the plan is made again for the memory that is there; 0 schemes, tuner direct: 0 new, 2 removed, "
                           "0 changed\n"
                           "6 demote 0 -> 1: removed\n"
                           "6 promote 1 -> 0: removed\n"
                           "5 the plan is made again for the control groups that are excluded; 0 schemes, tuner direct\n"
                           "5 boredom; 0 schemes, tuner direct\n");
}

static void groups_change(struct desk *k) {
        made_status_pass(&k->made, SECOND);
        telemetry_plan_changed(k->telemetry, &k->made.s, "cgroups");
}

/* Below an excluded group others come and go with every turn: that is told once a minute. */
static void test_groups_come_and_go(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();

        (void) state;
        k->made.s.n_schemes = 1;
        telemetry_started(k->telemetry, &k->made.s, "");
        (void) written(k);
        groups_change(k);
        assert_string_equal(written(k),
                            "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=3512fd48a151478cb9802123855301f4\n"
                            "MESSAGE=the plan is made again for the control groups that are excluded; 1 scheme, tuner direct\n"
                            "TIERD_WHY=cgroups\nTIERD_TUNER=direct\nTIERD_SCHEMES=1\nTIERD_ADDED=0\nTIERD_REMOVED=0\n"
                            "TIERD_CHANGED=0\nTIERD_TIMES=1\n\n");

        /* A note that comes with one waits too. */
        k->made.s.n_notes = 1;
        k->made.notes[0] = (struct status_note) { NOTE_ADVICE, k->made.texts[0] };
        (void) strcpy(k->made.texts[0], "a group is not there now");
        for (unsigned i = 1; i < 60; i++)
                groups_change(k);
        assert_string_equal(written(k), "");
        /* What else changes the plan is told, and does not. */
        telemetry_plan_changed(k->telemetry, &k->made.s, "pause");
        assert_messages(k, "5 paused: nothing is moved until tierctl resume; 1 scheme, tuner direct\n"
                           "5 a group is not there now\n");
        k->made.schemes[0].goal_bp = 1000;
        telemetry_plan_changed(k->telemetry, &k->made.s, "cgroups");
        assert_messages(k, "5 the plan is made again for the control groups that are excluded; 1 scheme, tuner direct: "
                           "0 new, 0 removed, 1 changed\n"
                           "6 demote 0 -> 1: now aiming at 10% of node 0 free, at most 200 MiB per 1 s\n");
        groups_change(k);
        assert_messages(k, "5 the plan is made again for the control groups that are excluded; 1 scheme, tuner direct "
                           "(60 times since this was last told)\n");

        /* The last ones are told when it is over. */
        groups_change(k);
        (void) strcpy(k->made.texts[0], "it is back");
        groups_change(k);
        made_status_pass(&k->made, 57 * SECOND);
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_null(strstr(written(k), "TIERD_WHY=cgroups"));
        made_status_pass(&k->made, SECOND);
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_non_null(strstr(written(k), "tuner direct (2 times since this was last told)\n"));
        assert_non_null(strstr(k->read, "MESSAGE=it is back\n"));
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_null(strstr(written(k), "TIERD_WHY=cgroups"));
}

/* -- samples -- */

static void test_sample(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();
        uint64_t down, up;

        (void) state;
        telemetry_started(k->telemetry, &k->made.s, "");
        (void) written(k);

        made_status_pass(&k->made, 10 * SECOND);
        made_status_move(&k->made, DEMOTE_0_1, 40 * MIB, 30 * MIB);
        made_status_move(&k->made, PROMOTE_1_0, 8 * MIB, 7 * MIB);
        made_status_free(&k->made, 0, k->made.nodes[0].free_bytes + 23 * MIB);
        made_status_free(&k->made, 1, k->made.nodes[1].free_bytes - 22 * MIB);
        k->made.nodes[0].cpu_us = 123456;
        k->made.nodes[0].view = (struct tuner_view) { 4 * MIB, 5 * GIB, 1000 };
        k->made.schemes[DEMOTE_0_1].total.qt_exceeds = 3;
        made_status_quota(&k->made, DEMOTE_0_1, 10, TUNER_GOAL);
        k->made.schemes[PROMOTE_1_0].reason = TUNER_NO_ROOM;
        telemetry_sample(k->telemetry, &k->made.s, &down, &up);
        assert_int_equal(down, 30 * MIB);
        assert_int_equal(up, 7 * MIB);
        /* The first one whole. */
        (void) written(k);
        *(strstr(k->read, "\n\n") + 2) = '\0';
        assert_string_equal(
                k->read,
                "PRIORITY=6\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=dcb2fb76dc894a26a939ae24ac0c7b32\n"
                "MESSAGE=demote 0 -> 1: node 0 free 5.1% (goal 5%), quota 19.9 MiB/s (goal), moved 30 MiB\n"
                "TIERD_SCHEME=demote-0-1\nTIERD_DIRECTION=demote\nTIERD_SOURCE=0\nTIERD_TARGET=1\nTIERD_INTERVAL_US=10000000\n"
                "TIERD_GOAL_METRIC=node_mem_free_bp\nTIERD_GOAL_NODE=0\nTIERD_GOAL_BP=500\nTIERD_CURRENT_BP=514\n"
                "TIERD_QUOTA_BYTES=1887436\nTIERD_QUOTA_WINDOW_US=90000\nTIERD_QUOTA_RATE=20971511\n"
                "TIERD_CEILING_BYTES=209715200\nTIERD_CEILING_INTERVAL_US=1000000\nTIERD_REASON=goal\n"
                "TIERD_TRIED_BYTES=41943040\nTIERD_TRIED_TOTAL_BYTES=41943040\n"
                "TIERD_APPLIED_BYTES=31457280\nTIERD_APPLIED_TOTAL_BYTES=31457280\n"
                "TIERD_QUOTA_EXCEEDED=3\n"
                "TIERD_MOVED_BYTES=23068672\nTIERD_SOURCE_USED_CHANGE_BYTES=-24117248\n"
                "TIERD_TARGET_USED_CHANGE_BYTES=23068672\n"
                "TIERD_SAMPLE_US=5000\nTIERD_AGGREGATE_US=100000\nTIERD_KDAMOND_CPU_US=123456\n"
                "TIERD_HOT_BYTES=4194304\nTIERD_COLD_BYTES=5368709120\n\n");

        /* What is new since; the totals go on. */
        made_status_pass(&k->made, 10 * SECOND);
        made_status_move(&k->made, DEMOTE_0_1, 2 * MIB, 2 * MIB);
        telemetry_sample(k->telemetry, &k->made.s, &down, &up);
        assert_int_equal(down, 2 * MIB);
        assert_int_equal(up, 0);
        assert_non_null(strstr(written(k), "TIERD_APPLIED_BYTES=2097152\nTIERD_APPLIED_TOTAL_BYTES=33554432\n"));
        assert_non_null(strstr(k->read, "TIERD_MOVED_BYTES=0\n"));
        assert_non_null(strstr(k->read, "TIERD_KDAMOND_CPU_US=0\n"));
}

static void test_sample_messages(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();

        (void) state;
        telemetry_started(k->telemetry, &k->made.s, "");
        (void) written(k);
        made_status_quota(&k->made, DEMOTE_0_1, 50, TUNER_EXCHANGE);
        made_status_move(&k->made, DEMOTE_0_1, 3 * GIB / 2, 3 * GIB / 2);
        k->made.schemes[PROMOTE_1_0].reason = TUNER_NO_ROOM;
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_messages(k, "6 demote 0 -> 1: node 0 free 5% (goal 5%), quota 100 MiB/s (exchange), moved 1.50 GiB\n"
                           "6 demote 1 -> 2: node 1 free 5% (goal 5%), quota 0 B/s (rest), moved 0 B\n"
                           "6 promote 1 -> 0: node 0 used 95% (goal 96%), quota 0 B/s (no room), moved 0 B\n"
                           "6 promote 2 -> 1: node 1 used 95% (goal 96%), quota 0 B/s (rest), moved 0 B\n");

        /* A reload keeps what a scheme counts from, drops others, and a scheme that was not told yet has no sample. */
        made_status_move(&k->made, PROMOTE_1_0, MIB, MIB);
        k->made.schemes[1] = k->made.schemes[PROMOTE_1_0];
        k->made.s.n_schemes = 2;
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        telemetry_plan_changed(k->telemetry, &k->made.s, "reload");
        (void) written(k);
        made_status_move(&k->made, 1, MIB, MIB);
        k->made.s.tuner = TUNER_KERNEL;
        k->made.schemes[0].current_bp = -1;
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_messages(k, "6 demote 0 -> 1: node 0 free unknown (goal 5%), quota 100 MiB/s, moved 0 B\n"
                           "6 promote 1 -> 0: node 0 used 95% (goal 96%), quota 0 B/s, moved 2 MiB\n");
}

/* The nodes are not measured when the plan is told: the accounting counts from the first turn. */
static void test_sample_not_measured(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();

        (void) state;
        k->made.s.n_schemes = 1;
        k->made.nodes[1].has_free = false;
        k->made.nodes[0].has_kdamond = false;
        k->made.schemes[0].current_bp = -1;
        telemetry_started(k->telemetry, &k->made.s, "");
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_null(strstr(written(k), "TIERD_MOVED_BYTES"));
        assert_null(strstr(k->read, "TIERD_CURRENT_BP"));
        assert_null(strstr(k->read, "TIERD_KDAMOND_CPU_US"));

        made_status_pass(&k->made, SECOND);
        k->made.nodes[1].has_free = true;
        telemetry_turn(k->telemetry, &k->made.s);
        made_status_pass(&k->made, SECOND);
        made_status_move(&k->made, 0, MIB, MIB);
        made_status_free(&k->made, 0, k->made.nodes[0].free_bytes + 2 * MIB);
        made_status_free(&k->made, 1, k->made.nodes[1].free_bytes - MIB);
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_non_null(strstr(written(k), "TIERD_MOVED_BYTES=1048576\n"));
        assert_non_null(strstr(k->read, "TIERD_APPLIED_BYTES=1048576\n"));
        assert_non_null(strstr(k->read, "TIERD_INTERVAL_US=2000000\n"));

        /* Memory came to the node: its change says nothing of what was moved. */
        k->made.nodes[1].total_bytes += GIB;
        made_status_move(&k->made, 0, MIB, 0);
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_null(strstr(written(k), "TIERD_MOVED_BYTES"));
        made_status_move(&k->made, 0, MIB, 0);
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_non_null(strstr(written(k), "TIERD_MOVED_BYTES=0\n"));
}

/* -- events -- */

static void turns(struct desk *k, unsigned seconds, uint64_t down, uint64_t up) {
        for (unsigned i = 0; i < 2 * seconds; i++) {
                made_status_pass(&k->made, TURN);
                if (down > 0)
                        made_status_move(&k->made, DEMOTE_0_1, down, down);
                if (up > 0)
                        made_status_move(&k->made, PROMOTE_1_0, up, up);
                telemetry_turn(k->telemetry, &k->made.s);
        }
}

static void test_events(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();

        (void) state;
        k->made.s.n_schemes = 3;
        k->made.schemes[DEMOTE_1_2].current_bp = -1;
        telemetry_started(k->telemetry, &k->made.s, "");
        (void) written(k);

        turns(k, 20, 0, 0);
        assert_messages(k, "6 demote 0 -> 1 has reached its goal: node 0 is 4.99% free (goal 5%)\n");
        made_status_free(&k->made, 0, GIB / 10);
        made_status_quota(&k->made, DEMOTE_0_1, 100, TUNER_GOAL);
        turns(k, 90, 0, 0);
        assert_messages(k, "5 demote 0 -> 1 has lost its goal: node 0 is 0.62% free (goal 5%)\n"
                           "6 promote 1 -> 0 has reached its goal: node 0 is 99.38% used (goal 96%)\n"
                           "4 demote 0 -> 1 stalls: its quota has been at its ceiling (200 MiB/s) for 1 min, and node 0, 0.62% "
                           "free, comes no nearer to the goal of 5%\n");
        k->made.schemes[DEMOTE_1_2].reason = TUNER_NO_ROOM;
        made_status_quota(&k->made, DEMOTE_0_1, 0, TUNER_REST);
        turns(k, 10, 0, 0);
        assert_string_equal(written(k),
                            "PRIORITY=4\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=4cda0eb984cb4588ba5f05e98f161d6e\n"
                            "MESSAGE=node 2 is full: node 1 cannot demote to it, and waits\n"
                            "TIERD_SCHEME=demote-1-2\nTIERD_DIRECTION=demote\nTIERD_SOURCE=1\nTIERD_TARGET=2\n"
                            "TIERD_GOAL_METRIC=node_mem_free_bp\nTIERD_GOAL_NODE=1\nTIERD_GOAL_BP=500\n"
                            "TIERD_QUOTA_BYTES=0\nTIERD_QUOTA_WINDOW_US=90000\nTIERD_QUOTA_RATE=0\n"
                            "TIERD_CEILING_BYTES=209715200\nTIERD_CEILING_INTERVAL_US=1000000\nTIERD_REASON=no room\n\n");
        k->made.schemes[DEMOTE_1_2].reason = TUNER_REST;
        turns(k, 30, 0, 0);
        assert_messages(k, "6 node 2 takes demotions from node 1 again\n");

        made_status_free(&k->made, 0, GIB);
        k->made.nodes[1].view.hot_bytes = GIB;
        turns(k, 61, 0, 0);
        (void) written(k);
        turns(k, 190, 4 * MIB, 5 * MIB);
        assert_non_null(strstr(written(k), "MESSAGE_ID=09a6f40d499a49e18281c3260f440fdf\n"));
        assert_non_null(strstr(k->read, "\nTIERD_DOWN_BYTES=1006632960\nTIERD_UP_BYTES=1258291200\n"
                                        "TIERD_HOT_BYTES=1073741824\n"));
        assert_non_null(strstr(k->read, "MESSAGE=nodes 0 and 1 exchange memory without gain: in 2 min 960 MiB went down and "
                                        "1.17 GiB came up, no goal came nearer, and node 1 is as hot as before (1 GiB)\n"));
        assert_non_null(strstr(k->read, "TIERD_INTERVAL_US=120"));
}

/* At rest: at most one entry per scheme and interval. */
static void test_steady_state(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();
        unsigned entries = 0, samples = 0;

        (void) state;
        telemetry_started(k->telemetry, &k->made.s, "");
        turns(k, 20, 0, 0);
        (void) written(k);
        for (int i = 0; i < 100; i++) {
                /* Allocations come and go. */
                made_status_free(&k->made, 0, 16 * GIB / 20 + (uint64_t) (i % 7) * 3 * MIB);
                turns(k, 10, i % 3 ? 0 : MIB, 0);
                telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
                for (const char *p = written(k); *p; p = strstr(p, "\n\n") + 2)
                        entries++;
                samples += _MADE_SCHEMES;
                assert_in_range(entries, 1, samples);
        }
        /* The one that moves in every third interval, then; the others in the first, and every sixth from there. */
        assert_int_equal(entries, 34 + (_MADE_SCHEMES - 1) * 17);
}

/* A scheme that stands still is told in every sixth interval; whatever changes is told at once. */
static void test_sample_quiet(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();
        static const char still[] = "MESSAGE=demote 0 -> 1: node 0 free 5% (goal 5%), quota 0 B/s (rest), moved 0 B\n";

        (void) state;
        k->made.s.n_schemes = 1;
        made_status_quota(&k->made, DEMOTE_0_1, 0, TUNER_REST);
        telemetry_started(k->telemetry, &k->made.s, "");
        (void) written(k);
        for (int i = 0; i < 3 * 6; i++) {
                made_status_pass(&k->made, 10 * SECOND);
                telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
                if (i % 6 > 0)
                        assert_string_equal(written(k), "");
                else {
                        const char *interval = i == 0 ? "TIERD_INTERVAL_US=10000000\n" : "TIERD_INTERVAL_US=60000000\n";

                        assert_non_null(strstr(written(k), interval));
                        assert_non_null(strstr(k->read, still));
                }
        }
        /* Each by itself. */
        k->made.schemes[0].reason = TUNER_NO_ROOM;
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_non_null(strstr(written(k), "TIERD_REASON=no room\n"));
        k->made.schemes[0].quota_bytes = 4096;
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_non_null(strstr(written(k), "TIERD_QUOTA_BYTES=4096\n"));
        made_status_move(&k->made, DEMOTE_0_1, MIB, 0);
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_non_null(strstr(written(k), "TIERD_TRIED_BYTES=1048576\n"));
        made_status_move(&k->made, DEMOTE_0_1, 0, MIB);
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_non_null(strstr(written(k), "TIERD_APPLIED_BYTES=1048576\n"));
        k->made.schemes[0].current_bp += 49;
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_string_equal(written(k), "");
        k->made.schemes[0].current_bp += 1;
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_non_null(strstr(written(k), "TIERD_CURRENT_BP"));
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_string_equal(written(k), "");
        /* Also where the plan was told between the change and the sample. */
        k->made.schemes[0].quota_bytes = 8192;
        telemetry_plan_changed(k->telemetry, &k->made.s, "pause");
        (void) written(k);
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_non_null(strstr(written(k), "TIERD_QUOTA_BYTES=8192\n"));
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_string_equal(written(k), "");
}

/* -- troubles -- */

static void test_troubles(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();
        uint64_t now = k->made.s.taken_us;
        struct diag d = { .error = -EBUSY, .text = "state: busy" };

        (void) state;
        k->made.s.n_schemes = 0;
        telemetry_trouble(k->telemetry, now, TROUBLE_TURN, LOG_WARNING, &d);
        assert_string_equal(written(k), "PRIORITY=4\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=c79719eff4384037b5ab616d5e3499d0\n"
                                        "MESSAGE=turn failed, trying again: state: busy\nERRNO=16\nTIERD_TIMES=1\n\n");
        for (int i = 1; i < 60; i++)
                telemetry_trouble(k->telemetry, now + (uint64_t) i * SECOND, TROUBLE_TURN, LOG_WARNING, &d);
        assert_string_equal(written(k), "");
        /* Another kind has its own minute. */
        d.error = 0;
        telemetry_trouble(k->telemetry, now, TROUBLE_KDAMOND, LOG_WARNING, &d);
        telemetry_trouble(k->telemetry, now, TROUBLE_METRICS_FILE, LOG_ERR, &d);
        telemetry_trouble(k->telemetry, now, TROUBLE_SYSTEM, LOG_NOTICE, &d);
        assert_messages(k, "4 state: busy\n3 state: busy\n5 state: busy\n");
        telemetry_trouble(k->telemetry, now + 60 * SECOND, TROUBLE_TURN, LOG_WARNING, &d);
        assert_messages(k, "4 turn failed, trying again: state: busy (60 times since this was last told)\n");
        /* What was held back is told when it is over. */
        telemetry_trouble(k->telemetry, now + 61 * SECOND, TROUBLE_TURN, LOG_WARNING, &d);
        telemetry_trouble(k->telemetry, now + 62 * SECOND, TROUBLE_TURN, LOG_WARNING, &d);
        k->made.s.taken_us = now + 119 * SECOND;
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_string_equal(written(k), "");
        k->made.s.taken_us = now + 120 * SECOND;
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        telemetry_sample(k->telemetry, &k->made.s, NULL, NULL);
        assert_messages(k, "4 turn failed, trying again: state: busy (2 times since this was last told)\n");
}

static void test_reload_refused(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();
        struct diag d = { .error = -EBADMSG, .text = "/etc/a:b.yaml:3:14: unknown key \"demot\"\n   demot: {}\n   ^" };

        (void) state;
        telemetry_trouble(k->telemetry, SECOND, TROUBLE_RELOAD, LOG_ERR, &d);
        assert_string_equal(written(k), "PRIORITY=3\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=8fef6add6c7249358244605b7d0bbe62\n"
                                        "MESSAGE=/etc/a:b.yaml:3:14: unknown key \"demot\"\n   demot: {}\n   ^\n"
                                        "the configuration before stays in force\nERRNO=74\nTIERD_TIMES=1\n"
                                        "TIERD_CONFIG_FILE=/etc/a:b.yaml\nTIERD_CONFIG_LINE=3\nTIERD_CONFIG_COLUMN=14\n\n");
        /* The same again, and something else. */
        telemetry_trouble(k->telemetry, 2 * SECOND, TROUBLE_RELOAD, LOG_ERR, &d);
        assert_string_equal(written(k), "");
        (void) snprintf(d.text, sizeof(d.text), "/sys/kernel: 1: 2: no, :5 :6:7 a:1:1111111111: b");
        telemetry_trouble(k->telemetry, 3 * SECOND, TROUBLE_RELOAD, LOG_ERR, &d);
        assert_non_null(strstr(written(k), "MESSAGE=/sys/kernel: 1: 2: no"));
        assert_null(strstr(k->read, "TIERD_CONFIG_FILE"));
}

static void test_memory_changed(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();

        (void) state;
        telemetry_memory_changed(k->telemetry, 2, 0, GIB);
        assert_string_equal(written(k), "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=327c86b00be14d38811fa28b3f095186\n"
                                        "MESSAGE=node 2 has memory now: 1 GiB\n"
                                        "TIERD_NODE=2\nTIERD_BEFORE_BYTES=0\nTIERD_AFTER_BYTES=1073741824\n\n");
        telemetry_memory_changed(k->telemetry, 2, GIB, 2 * GIB);
        telemetry_memory_changed(k->telemetry, 2, 2 * GIB, 2 * GIB);
        telemetry_memory_changed(k->telemetry, 2, 2 * GIB, GIB);
        assert_messages(k, "5 node 2 has more memory now: 2 GiB, and had 1 GiB\n"
                           "5 node 2 has less memory now: 1 GiB, and had 2 GiB\n");
        telemetry_memory_changed(k->telemetry, 2, GIB, 0);
        assert_string_equal(written(k), "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=0239ce26a27a46659e053b5dada83953\n"
                                        "MESSAGE=node 2 has lost its memory: it had 1 GiB\n"
                                        "TIERD_NODE=2\nTIERD_BEFORE_BYTES=1073741824\nTIERD_AFTER_BYTES=0\n\n");
}

static void test_restored(void **state) {
        _cleanup_(desk_done) struct desk *k = desk_new();

        (void) state;
        telemetry_restored(k->telemetry, true);
        telemetry_restored(k->telemetry, false);
        assert_string_equal(written(k), "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=7989e4b9259f4cfd91071ed3a28b96bc\n"
                                        "MESSAGE=put back what an earlier tierd had changed\nTIERD_WHY=leftovers\n\n"
                                        "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=7989e4b9259f4cfd91071ed3a28b96bc\n"
                                        "MESSAGE=stopped; everything is as it was before\nTIERD_WHY=stop\n\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_started),
                cmocka_unit_test(test_started_idle),
                cmocka_unit_test(test_many_tiers),
                cmocka_unit_test(test_plan_changed),
                cmocka_unit_test(test_groups_come_and_go),
                cmocka_unit_test(test_sample),
                cmocka_unit_test(test_sample_messages),
                cmocka_unit_test(test_sample_not_measured),
                cmocka_unit_test(test_sample_quiet),
                cmocka_unit_test(test_events),
                cmocka_unit_test(test_steady_state),
                cmocka_unit_test(test_troubles),
                cmocka_unit_test(test_reload_refused),
                cmocka_unit_test(test_memory_changed),
                cmocka_unit_test(test_restored),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
