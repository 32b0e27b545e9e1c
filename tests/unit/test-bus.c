/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/support/bus.h"
#include "tests/support/example-status.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

/* What the service shows, and what it tells those who watch. */

static struct test_bus test_bus;
static struct service service;
static sd_bus *client;

static int set_up(void **state) {
        (void) state;
        test_bus_new(&test_bus);
        test_bus_start(&test_bus);
        service_start(&service);
        client = bus_client();
        bus_await_name(client);
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        client = sd_bus_flush_close_unref(client);
        service_stop(&service);
        test_bus_done(&test_bus);
        return 0;
}

/* -- reading -- */

#define NODE_0 "/org/tierd1/node/0"
#define SCHEME "/org/tierd1/scheme/demote_0_2"

/* The property as text; an error's name where it cannot be had. */
static const char *property(const char *path, const char *interface, const char *name, const char *type) {
        static char text[4096];
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *answer = NULL;
        uint64_t t;
        uint32_t u;
        int i;
        const char *s;

        if (sd_bus_get_property(client, "org.tierd1", path, interface, name, &error, &answer, type) < 0)
                (void) snprintf(text, sizeof(text), "%s", error.name);
        else
                switch (type[0]) {
                case 's':
                        assert_true(sd_bus_message_read(answer, type, &s) > 0);
                        (void) snprintf(text, sizeof(text), "%s", s);
                        break;
                case 't':
                        assert_true(sd_bus_message_read(answer, type, &t) > 0);
                        (void) snprintf(text, sizeof(text), "%llu", (unsigned long long) t);
                        break;
                case 'u':
                        assert_true(sd_bus_message_read(answer, type, &u) > 0);
                        (void) snprintf(text, sizeof(text), "%u", u);
                        break;
                case 'i':
                case 'b':
                        assert_true(sd_bus_message_read(answer, type, &i) > 0);
                        (void) snprintf(text, sizeof(text), "%d", i);
                        break;
                default: {
                        /* Lists, with their elements one behind the other. */
                        size_t used = 0;
                        int r;

                        text[0] = '\0';
                        assert_true(sd_bus_message_enter_container(answer, 'a', type + 1) > 0);
                        while ((r = sd_bus_message_at_end(answer, 0)) == 0 && used < sizeof(text)) {
                                if (type[1] == 's') {
                                        assert_true(sd_bus_message_read(answer, "s", &s) > 0);
                                        used += (size_t) snprintf(text + used, sizeof(text) - used, "%s;", s);
                                } else if (type[1] == 'i') {
                                        assert_true(sd_bus_message_read(answer, "i", &i) > 0);
                                        used += (size_t) snprintf(text + used, sizeof(text) - used, "%d;", i);
                                } else {
                                        assert_true(sd_bus_message_enter_container(answer, 'a', "i") > 0);
                                        while (sd_bus_message_read(answer, "i", &i) > 0)
                                                used += (size_t) snprintf(text + used, sizeof(text) - used, "%d,", i);
                                        assert_true(sd_bus_message_exit_container(answer) >= 0);
                                        used += (size_t) snprintf(text + used, sizeof(text) - used, ";");
                                }
                        }
                        assert_int_equal(r, 1);
                }
                }
        sd_bus_error_free(&error);
        (void) sd_bus_message_unref(answer);
        return text;
}

static void test_properties(void **state) {
        static const struct {
                const char *path, *interface, *name, *type, *value;
        } cases[] = {
                { "/org/tierd1", "Manager", "Version", "s", TIERD_VERSION },
                { "/org/tierd1", "Manager", "State", "s", "managing" },
                { "/org/tierd1", "Manager", "Paused", "b", "0" },
                { "/org/tierd1", "Manager", "Tuner", "s", "direct" },
                { "/org/tierd1", "Manager", "KernelRelease", "s", "6.12.57" },
                { "/org/tierd1", "Manager", "RankSource", "s", "hmat" },
                { "/org/tierd1", "Manager", "Tiers", "aai", "0,1,;2,;" },
                { "/org/tierd1", "Manager", "ConfigurationFile", "s", "/etc/tierd.yaml" },
                { "/org/tierd1", "Manager", "TelemetryIntervalUSec", "t", "10000000" },
                { "/org/tierd1", "Manager", "StartedRealtimeUSec", "t", "1795000000000000" },
                { "/org/tierd1", "Manager", "TakenRealtimeUSec", "t", "1795100000000000" },
                { "/org/tierd1", "Manager", "Turns", "t", "4242" },
                { "/org/tierd1", "Manager", "FailedTurns", "t", "1" },
                { "/org/tierd1", "Manager", "Reloads", "t", "2" },
                { "/org/tierd1", "Manager", "Replans", "t", "3" },
                { "/org/tierd1", "Manager", "Notes", "as", "node 3: no memory, left out;" },
                { NODE_0, "Node", "Id", "i", "0" },
                { NODE_0, "Node", "Tier", "i", "0" },
                { NODE_0, "Node", "Kind", "s", "dram" },
                { NODE_0, "Node", "TotalBytes", "t", "68719476736" },
                { NODE_0, "Node", "FreeBytes", "t", "3221225472" },
                { NODE_0, "Node", "FreeBasisPoints", "i", "468" },
                { NODE_0, "Node", "Upper", "ai", "" },
                { NODE_0, "Node", "Lower", "ai", "2;" },
                { NODE_0, "Node", "Managed", "b", "1" },
                { NODE_0, "Node", "KdamondPID", "i", "700" },
                { NODE_0, "Node", "KdamondCPUUSec", "t", "12000000" },
                { NODE_0, "Node", "KdamondRestarts", "t", "0" },
                { NODE_0, "Node", "SampleUSec", "t", "5000" },
                { NODE_0, "Node", "AggregateUSec", "t", "100000" },
                { NODE_0, "Node", "HotBytes", "t", "314572800" },
                { NODE_0, "Node", "ColdBytes", "t", "1073741824" },
                { "/org/tierd1/node/2", "Node", "Upper", "ai", "0;1;" },
                /* What is not known. */
                { "/org/tierd1/node/3", "Node", "Tier", "i", "-1" },
                { "/org/tierd1/node/3", "Node", "FreeBytes", "t", "18446744073709551615" },
                { "/org/tierd1/node/3", "Node", "FreeBasisPoints", "i", "-1" },
                { "/org/tierd1/node/3", "Node", "HotBytes", "t", "18446744073709551615" },
                { SCHEME, "Scheme", "Name", "s", "demote-0-2" },
                { SCHEME, "Scheme", "Direction", "s", "demote" },
                { SCHEME, "Scheme", "Source", "i", "0" },
                { SCHEME, "Scheme", "Target", "i", "2" },
                { SCHEME, "Scheme", "GoalMetric", "s", "node_mem_free_bp" },
                { SCHEME, "Scheme", "GoalNode", "i", "0" },
                { SCHEME, "Scheme", "GoalBasisPoints", "u", "500" },
                { SCHEME, "Scheme", "CurrentBasisPoints", "i", "468" },
                { SCHEME, "Scheme", "CeilingBytes", "t", "209715200" },
                { SCHEME, "Scheme", "CeilingIntervalUSec", "t", "1000000" },
                { SCHEME, "Scheme", "CeilingBytesPerSecond", "t", "209715200" },
                { SCHEME, "Scheme", "QuotaBytes", "t", "41943040" },
                { SCHEME, "Scheme", "QuotaIntervalUSec", "t", "400000" },
                { SCHEME, "Scheme", "QuotaBytesPerSecond", "t", "104857600" },
                { SCHEME, "Scheme", "Reason", "s", "exchange" },
                { SCHEME, "Scheme", "RegionsTried", "t", "1000" },
                { SCHEME, "Scheme", "RegionsApplied", "t", "900" },
                { SCHEME, "Scheme", "BytesTried", "t", "3221225472" },
                { SCHEME, "Scheme", "BytesApplied", "t", "2147483648" },
                { SCHEME, "Scheme", "QuotaExceeded", "t", "7" },
                { "/org/tierd1/scheme/promote_2_1", "Scheme", "QuotaBytesPerSecond", "t", "0" },
                { "/org/tierd1/scheme/promote_2_1", "Scheme", "Reason", "s", "rest" },
                /* What there is not. */
                { "/org/tierd1", "Manager", "Secret", "s", SD_BUS_ERROR_UNKNOWN_PROPERTY },
                { "/org/tierd1", "Node", "Id", "i", SD_BUS_ERROR_UNKNOWN_PROPERTY },
                { "/org/tierd1/node/4", "Node", "Id", "i", SD_BUS_ERROR_UNKNOWN_OBJECT },
                { "/org/tierd1/node/00", "Node", "Id", "i", SD_BUS_ERROR_UNKNOWN_OBJECT },
                { "/org/tierd1/node/99999999999999999999", "Node", "Id", "i", SD_BUS_ERROR_UNKNOWN_OBJECT },
                { "/org/tierd1/scheme/demote_0_1", "Scheme", "Name", "s", SD_BUS_ERROR_UNKNOWN_OBJECT },
                { "/org/tierd1/scheme/demote_0_2/x", "Scheme", "Name", "s", SD_BUS_ERROR_UNKNOWN_OBJECT },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char interface[64];

                (void) snprintf(interface, sizeof(interface), "org.tierd1.%s", cases[i].interface);
                assert_string_equal(property(cases[i].path, interface, cases[i].name, cases[i].type), cases[i].value);
        }
}

static int use_kernel_tuner(struct served *s, const char *text) {
        (void) text;
        s->status->tuner = TUNER_KERNEL;
        return 0;
}

/* Under another tuner than tierd's own there is no reason. */
static void test_no_reason(void **state) {
        (void) state;
        assert_int_equal(service_run(&service, use_kernel_tuner, NULL), 0);
        assert_string_equal(property(SCHEME, "org.tierd1.Scheme", "Reason", "s"), "");
        assert_string_equal(property("/org/tierd1", "org.tierd1.Manager", "Tuner", "s"), "kernel");
}

static char *introspect(const char *path) {
        sd_bus_message *answer = NULL;
        const char *xml;
        char *copy;

        assert_true(sd_bus_call_method(client, "org.tierd1", path, "org.freedesktop.DBus.Introspectable", "Introspect", NULL,
                                       &answer, NULL) >= 0);
        assert_true(sd_bus_message_read(answer, "s", &xml) > 0);
        copy = strdup(xml);
        (void) sd_bus_message_unref(answer);
        return copy;
}

static void test_introspection(void **state) {
        static const struct {
                const char *path;
                const char *words[8];
        } cases[] = {
                { "/org/tierd1",
                  { "<interface name=\"org.tierd1.Manager\">", "<method name=\"Describe\">", "name=\"json\"",
                    "<interface name=\"org.freedesktop.DBus.ObjectManager\">", "<node name=\"node\"/>",
                    "<node name=\"scheme\"/>", "<property name=\"Version\" type=\"s\" access=\"read\">" } },
                { "/org/tierd1/node",
                  { "<node name=\"0\"/>", "<node name=\"1\"/>", "<node name=\"2\"/>", "<node name=\"3\"/>" } },
                { "/org/tierd1/scheme", { "<node name=\"demote_0_2\"/>", "<node name=\"promote_2_1\"/>" } },
                { NODE_0, { "<interface name=\"org.tierd1.Node\">" } },
                { SCHEME, { "<interface name=\"org.tierd1.Scheme\">" } },
                { "/org/freedesktop/LogControl1",
                  { "<interface name=\"org.freedesktop.LogControl1\">",
                    "<property name=\"LogLevel\" type=\"s\" access=\"readwrite\">" } },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *xml = introspect(cases[i].path);

                for (size_t k = 0; cases[i].words[k]; k++)
                        assert_non_null(strstr(xml, cases[i].words[k]));
                /* Only LogControl1 has what can be written. */
                assert_true(strstr(xml, "readwrite") == NULL || i == ELEMENTSOF(cases) - 1);
        }
}

static void test_managed_objects(void **state) {
        sd_bus_message *answer = NULL;
        size_t n_nodes = 0, n_schemes = 0;
        const char *path;

        (void) state;
        assert_true(sd_bus_call_method(client, "org.tierd1", "/org/tierd1", "org.freedesktop.DBus.ObjectManager",
                                       "GetManagedObjects", NULL, &answer, NULL) >= 0);
        assert_true(sd_bus_message_enter_container(answer, 'a', "{oa{sa{sv}}}") > 0);
        while (sd_bus_message_enter_container(answer, 'e', "oa{sa{sv}}") > 0) {
                assert_true(sd_bus_message_read(answer, "o", &path) > 0);
                n_nodes += strncmp(path, "/org/tierd1/node/", 17) == 0;
                n_schemes += strncmp(path, "/org/tierd1/scheme/", 19) == 0;
                assert_true(sd_bus_message_skip(answer, "a{sa{sv}}") > 0);
                assert_true(sd_bus_message_exit_container(answer) >= 0);
        }
        (void) sd_bus_message_unref(answer);
        assert_int_equal(n_nodes, 4);
        assert_int_equal(n_schemes, 4);
}

static int make_odd(struct served *s, const char *text) {
        (void) text;
        free(s->status->config_path);
        s->status->config_path = strdup("/etc/\xff\xfetierd.yaml");
        example_add_note(s->status, "cut \xe2\x82");
        example_add_note(s->status, "no character: \xef\xbf\xbf");
        bus_announce(s->bus, true);
        return 0;
}

/* Bytes that D-Bus does not take must not end the connection. */
static void test_odd_text(void **state) {
        static struct call_result result;
        sd_bus_message *answer = NULL;
        json_object *o;

        (void) state;
        assert_int_equal(service_run(&service, make_odd, NULL), 0);
        assert_string_equal(property("/org/tierd1", "org.tierd1.Manager", "ConfigurationFile", "s"), "/etc/??tierd.yaml");
        assert_string_equal(property("/org/tierd1", "org.tierd1.Manager", "Notes", "as"),
                            "node 3: no memory, left out;cut ??;no character: ???;");
        assert_true(sd_bus_call_method(client, "org.tierd1", "/org/tierd1", "org.freedesktop.DBus.Properties", "GetAll", NULL,
                                       &answer, "s", "org.tierd1.Manager") >= 0);
        (void) sd_bus_message_unref(answer);
        bus_call_manager(client, "Describe", false, &result);
        assert_int_equal(result.error, 0);
        o = json_tokener_parse(result.text);
        assert_non_null(o);
        assert_string_equal(json_object_get_string(json_object_object_get(o, "config_file")), "/etc/??tierd.yaml");
        (void) json_object_put(o);
}

static void test_texts(void **state) {
        static struct call_result result;
        json_object *o;

        (void) state;
        bus_call_manager(client, "Describe", false, &result);
        assert_int_equal(result.error, 0);
        o = json_tokener_parse(result.text);
        assert_non_null(o);
        assert_string_equal(json_object_get_string(json_object_object_get(o, "state")), "managing");
        assert_int_equal(json_object_array_length(json_object_object_get(o, "schemes")), 4);
        (void) json_object_put(o);

        bus_call_manager(client, "Metrics", false, &result);
        assert_int_equal(result.error, 0);
        assert_non_null(strstr(result.text, "# EOF\n"));
        bus_call_manager(client, "MetricsText", false, &result);
        assert_int_equal(result.error, 0);
        assert_true(strlen(result.text) > 0);
        assert_null(strstr(result.text, "# EOF"));
}

/* -- signals -- */

/* What was heard, one line each: "changed /path Name Name", "added /path", "removed /path". */
struct heard {
        char text[8192];
};

static void hear(struct heard *h, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void hear(struct heard *h, const char *format, ...) {
        size_t used = strlen(h->text);
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(h->text + used, sizeof(h->text) - used, format, ap);
        va_end(ap);
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        struct heard *h = userdata;
        const char *text;

        (void) reterr;
        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Properties", "PropertiesChanged")) {
                hear(h, "changed %s", sd_bus_message_get_path(m));
                assert_true(sd_bus_message_skip(m, "s") > 0);
                assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
                while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                        assert_true(sd_bus_message_read(m, "s", &text) > 0);
                        hear(h, " %s", text);
                        assert_true(sd_bus_message_skip(m, "v") > 0);
                        assert_true(sd_bus_message_exit_container(m) >= 0);
                }
                hear(h, "\n");
        } else if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded")) {
                assert_true(sd_bus_message_read(m, "o", &text) > 0);
                hear(h, "added %s\n", text);
        } else if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved")) {
                assert_true(sd_bus_message_read(m, "o", &text) > 0);
                hear(h, "removed %s\n", text);
        }
        return 0;
}

static void listen_to(struct heard *h) {
        assert_true(sd_bus_add_match(client, NULL, "type='signal',sender='org.tierd1',path_namespace='/org/tierd1'", on_signal,
                                     h) >= 0);
}

/* Lets the service do it, and takes what it has said up to then: its answer to a call comes behind its signals. */
static const char *heard_after(struct heard *h, served_function function, const char *text) {
        int r;

        h->text[0] = '\0';
        assert_int_equal(service_run(&service, function, text), 0);
        assert_true(sd_bus_call_method(client, "org.tierd1", "/org/tierd1", "org.freedesktop.DBus.Peer", "Ping", NULL, NULL,
                                       NULL) >= 0);
        while ((r = sd_bus_process(client, NULL)) > 0)
                ;
        assert_int_equal(r, 0);
        return h->text;
}

static int change_numbers(struct served *s, const char *text) {
        s->status->turns++;
        s->status->nodes[0].free_bytes++;
        s->status->schemes[0].total.sz_applied++;
        bus_announce(s->bus, strcmp(text, "all") == 0);
        return 0;
}

static int change_state(struct served *s, const char *text) {
        (void) text;
        s->status->state = STATUS_PAUSED;
        s->status->turns++;
        bus_announce(s->bus, false);
        return 0;
}

static int change_everything(struct served *s, const char *text) {
        struct status *t = s->status;

        (void) text;
        t->state = STATUS_IDLE;
        t->tuner = TUNER_KERNEL;
        (void) snprintf(t->release, sizeof(t->release), "6.18.1");
        t->rank_source = RANK_HWLOC;
        t->nodes[1].tier = 1;
        free(t->config_path);
        t->config_path = NULL;
        t->telemetry_interval_us++;
        t->started_realtime_us++;
        t->taken_realtime_us++;
        t->turns++;
        t->failed_turns++;
        t->reloads++;
        t->replans++;
        example_add_note(t, "one more");

        t->nodes[0] = (struct status_node) {
                .nid = 0, .tier = 2, .kind = NODE_HBM, .total_bytes = 1, .pid = 1, .cpu_us = 1, .restarts = 9, .sample_us = 1,
                .aggregate_us = 2,
        };
        idset_add(&t->nodes[0].upper, 5);
        t->schemes[0] = (struct status_scheme) {
                .direction = DEMOTE, .source_nid = 0, .target_nid = 2, .goal_nid = 1, .goal_metric = GOAL_NODE_MEM_USED_BP,
                .goal_bp = 1, .current_bp = -1, .ceiling_bytes = 1, .ceiling_interval_us = 1, .quota_bytes = 5,
                .quota_window_us = 1,
        };
        bus_announce(s->bus, true);
        return 0;
}

static int change_plan(struct served *s, const char *text) {
        (void) text;
        example_remove_node(s->status, 1);
        bus_announce(s->bus, false);
        return 0;
}

static int change_plan_back(struct served *s, const char *text) {
        (void) text;
        s->status = status_free(s->status);
        s->status = example_status();
        bus_announce(s->bus, false);
        return 0;
}

static void test_signals(void **state) {
        struct heard h = {};

        (void) state;
        listen_to(&h);
        assert_string_equal(heard_after(&h, serve_announce, "all"), "");
        /* Numbers wait for the interval. */
        assert_string_equal(heard_after(&h, change_numbers, ""), "");
        assert_string_equal(heard_after(&h, serve_announce, "all"),
                            "changed /org/tierd1 Turns\n"
                            "changed " NODE_0 " FreeBytes FreeBasisPoints\n"
                            "changed " SCHEME " BytesApplied\n");
        assert_string_equal(heard_after(&h, serve_announce, "all"), "");
        /* What is urgent does not, and takes nothing else along. */
        assert_string_equal(heard_after(&h, change_state, ""), "changed /org/tierd1 State Paused\n");
        assert_string_equal(heard_after(&h, serve_announce, ""), "");
        assert_string_equal(heard_after(&h, serve_announce, "all"), "changed /org/tierd1 Turns\n");
        /* Whatever can change is told. */
        assert_string_equal(heard_after(&h, change_everything, ""),
                            "changed /org/tierd1 State Paused Tuner KernelRelease RankSource Tiers ConfigurationFile "
                            "TelemetryIntervalUSec StartedRealtimeUSec TakenRealtimeUSec Turns FailedTurns Reloads Replans "
                            "Notes\n"
                            "changed " NODE_0 " Tier Kind TotalBytes FreeBytes FreeBasisPoints Upper Lower Managed KdamondPID "
                            "KdamondCPUUSec KdamondRestarts SampleUSec AggregateUSec HotBytes ColdBytes\n"
                            "changed /org/tierd1/node/1 Tier\n"
                            "changed " SCHEME " GoalMetric GoalNode GoalBasisPoints CurrentBasisPoints CeilingBytes "
                            "CeilingIntervalUSec CeilingBytesPerSecond QuotaBytes QuotaIntervalUSec QuotaBytesPerSecond Reason "
                            "RegionsTried RegionsApplied BytesTried BytesApplied QuotaExceeded\n"
                            "changed /org/tierd1/scheme/demote_1_2 Reason\n"
                            "changed /org/tierd1/scheme/promote_2_0 Reason\n"
                            "changed /org/tierd1/scheme/promote_2_1 Reason\n");
}

static void test_objects_come_and_go(void **state) {
        struct heard h = {};

        (void) state;
        listen_to(&h);
        assert_string_equal(heard_after(&h, change_plan, ""),
                            "removed /org/tierd1/node/1\n"
                            "removed /org/tierd1/scheme/demote_1_2\n"
                            "removed /org/tierd1/scheme/promote_2_1\n"
                            "changed /org/tierd1 Tiers\n");
        assert_string_equal(property("/org/tierd1/node/1", "org.tierd1.Node", "Id", "i"), SD_BUS_ERROR_UNKNOWN_OBJECT);
        assert_string_equal(heard_after(&h, change_plan_back, ""),
                            "changed /org/tierd1 Tiers\n"
                            "added /org/tierd1/node/1\n"
                            "added /org/tierd1/scheme/demote_1_2\n"
                            "added /org/tierd1/scheme/promote_2_1\n");
        assert_string_equal(property("/org/tierd1/node/1", "org.tierd1.Node", "Id", "i"), "1");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_properties, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_no_reason, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_introspection, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_managed_objects, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_odd_text, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_texts, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_signals, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_objects_come_and_go, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
