/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/support/bus.h"
#include "tierd/bus-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Calls that mean nothing: refused, and the service as it was. */

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

/* What a leak would show in: requests and descriptors. */
static int count_held(struct served *s, const char *text) {
        _cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
        int n = 0;

        (void) text;
        while (d && readdir(d))
                n++;
        return n * 1000 + (int) s->bus->n_requests;
}

static bool is_well(void) {
        static struct call_result result;

        bus_call_manager(client, "Describe", false, &result);
        if (result.error < 0)
                print_error("%s: %s\n", result.name, result.message);
        return result.error == 0;
}

static void test_refused(void **state) {
        static const struct {
                const char *path, *interface, *member, *types;
                const char *name;
        } cases[] = {
                { "/org/tierd1", "org.tierd1.Manager", "Reload", "s", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.tierd1.Manager", "Pause", "b", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.tierd1.Manager", "Resume", "ss", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.tierd1.Manager", "Drain", "", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.tierd1.Manager", "Undrain", "s", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.tierd1.Manager", "Describe", "s", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.tierd1.Manager", "Metrics", "u", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.tierd1.Manager", "MetricsText", "o", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.tierd1.Manager", "reload", "", SD_BUS_ERROR_UNKNOWN_METHOD },
                { "/org/tierd1", "org.tierd1.Manager", "Evict", "s", SD_BUS_ERROR_UNKNOWN_METHOD },
                { "/org/tierd1", "org.tierd1.Node", "Reload", "", SD_BUS_ERROR_UNKNOWN_METHOD },
                { "/org/tierd1", "org.tierd2.Manager", "Reload", "", SD_BUS_ERROR_UNKNOWN_METHOD },
                { "/org/tierd1", NULL, "Reload", "", SD_BUS_ERROR_UNKNOWN_OBJECT },
                { "/org/tierd1/node/0", "org.tierd1.Manager", "Reload", "", SD_BUS_ERROR_UNKNOWN_METHOD },
                { "/org/tierd1/node/9", "org.tierd1.Manager", "Reload", "", SD_BUS_ERROR_UNKNOWN_OBJECT },
                { "/", "org.tierd1.Manager", "Reload", "", SD_BUS_ERROR_UNKNOWN_OBJECT },
                { "/org/freedesktop/LogControl1", "org.tierd1.Manager", "Reload", "", SD_BUS_ERROR_UNKNOWN_METHOD },
                { "/org/tierd1", "org.freedesktop.DBus.Properties", "Get", "", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.freedesktop.DBus.Properties", "Get", "u", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.freedesktop.DBus.Properties", "GetAll", "u", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.freedesktop.DBus.Properties", "Set", "ss", SD_BUS_ERROR_UNKNOWN_PROPERTY },
                { "/org/freedesktop/LogControl1", "org.freedesktop.DBus.Properties", "Set", "s", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/freedesktop/LogControl1", "org.freedesktop.DBus.Properties", "Set", "u", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.freedesktop.DBus.Introspectable", "Introspect", "s", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "s", SD_BUS_ERROR_INVALID_ARGS },
                { "/org/tierd1/node", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "",
                  SD_BUS_ERROR_UNKNOWN_METHOD },
        };
        int before;

        (void) state;
        before = service_run(&service, count_held, NULL);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                sd_bus_error error = SD_BUS_ERROR_NULL;
                sd_bus_message *m = NULL;

                assert_true(sd_bus_message_new_method_call(client, &m, "org.tierd1", cases[i].path, cases[i].interface,
                                                           cases[i].member) >= 0);
                for (const char *t = cases[i].types; *t; t++) {
                        const uint32_t zero = 0;
                        const void *value = *t == 's' || *t == 'o' ? (const void *) "/x" : &zero;

                        assert_true(sd_bus_message_append_basic(m, *t, value) >= 0);
                }
                assert_true(sd_bus_call(client, m, 0, &error, NULL) < 0);
                assert_string_equal(error.name, cases[i].name);
                sd_bus_error_free(&error);
                (void) sd_bus_message_unref(m);
        }
        assert_true(is_well());
        assert_int_equal(service_run(&service, count_held, NULL), before);
        assert_int_equal(service_run(&service, serve_count_reloads, NULL), 0);
}

/* The settings of the log by values of every wrong type. */
static void test_wrong_variants(void **state) {
        static const struct {
                const char *types;
                const char *name;
        } cases[] = {
                { "u", SD_BUS_ERROR_INVALID_ARGS },  { "o", SD_BUS_ERROR_INVALID_ARGS },
                { "as", SD_BUS_ERROR_INVALID_ARGS }, { "v", SD_BUS_ERROR_INVALID_ARGS },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                sd_bus_error error = SD_BUS_ERROR_NULL;
                sd_bus_message *m = NULL;

                assert_true(sd_bus_message_new_method_call(client, &m, "org.tierd1", "/org/freedesktop/LogControl1",
                                                           "org.freedesktop.DBus.Properties", "Set") >= 0);
                assert_true(sd_bus_message_append(m, "ss", "org.freedesktop.LogControl1", "LogLevel") >= 0);
                assert_true(sd_bus_message_open_container(m, 'v', cases[i].types) >= 0);
                switch (cases[i].types[0]) {
                case 'u':
                        assert_true(sd_bus_message_append(m, "u", 7U) >= 0);
                        break;
                case 'o':
                        assert_true(sd_bus_message_append(m, "o", "/debug") >= 0);
                        break;
                case 'v':
                        assert_true(sd_bus_message_append(m, "v", "s", "debug") >= 0);
                        break;
                default:
                        assert_true(sd_bus_message_append(m, "as", 1, "debug") >= 0);
                }
                assert_true(sd_bus_message_close_container(m) >= 0);
                assert_true(sd_bus_call(client, m, 0, &error, NULL) < 0);
                assert_string_equal(error.name, cases[i].name);
                sd_bus_error_free(&error);
                (void) sd_bus_message_unref(m);
        }
        assert_true(is_well());
}

/* As much as the bus lets through, and open files that nobody wants. */
static void test_huge(void **state) {
        enum { HUGE = 16 << 20, FDS = 10 };
        _cleanup_free_ char *text = malloc(HUGE);
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL;
        int before;

        (void) state;
        assert_non_null(text);
        memset(text, 'x', HUGE - 1);
        text[HUGE - 1] = '\0';
        before = service_run(&service, count_held, NULL);
        assert_true(sd_bus_call_method(client, "org.tierd1", "/org/tierd1", "org.tierd1.Manager", "Reload", &error, NULL, "s",
                                       text) < 0);
        assert_string_equal(error.name, SD_BUS_ERROR_INVALID_ARGS);
        sd_bus_error_free(&error);
        assert_true(sd_bus_call_method(client, "org.tierd1", "/org/freedesktop/LogControl1", "org.freedesktop.DBus.Properties",
                                       "Set", &error, NULL, "ssv", "org.freedesktop.LogControl1", "LogLevel", "s", text) < 0);
        assert_string_equal(error.name, SD_BUS_ERROR_INVALID_ARGS);
        sd_bus_error_free(&error);

        assert_true(sd_bus_message_new_method_call(client, &m, "org.tierd1", "/org/tierd1", "org.tierd1.Manager", "Describe") >=
                    0);
        for (int i = 0; i < FDS; i++) {
                _cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

                assert_true(sd_bus_message_append(m, "h", fd) >= 0);
        }
        assert_true(sd_bus_call(client, m, 0, &error, NULL) < 0);
        sd_bus_error_free(&error);
        (void) sd_bus_message_unref(m);
        assert_true(is_well());
        assert_int_equal(service_run(&service, count_held, NULL), before);
}

/* -- at random -- */

static uint64_t random_state;

/* xorshift64*, so that a seed gives the same run everywhere. */
static unsigned random_below(unsigned n) {
        random_state ^= random_state >> 12;
        random_state ^= random_state << 25;
        random_state ^= random_state >> 27;
        return (unsigned) ((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

#define PICK(list) (list)[random_below(ELEMENTSOF(list))]

static const char *const texts[] = {
        "", "x", "org.tierd1.Manager", "org.tierd1.Node", "org.tierd1.Scheme", "org.freedesktop.LogControl1", "LogLevel",
        "LogTarget", "State", "Id", "Name", "debug", "journal", "no such thing", "\xc3\xa4", "%s%n%s%n", "../../../etc/passwd",
};

static void append_typed(sd_bus_message *m, const char *type, unsigned depth);

static void append_basic(sd_bus_message *m, char type) {
        uint64_t number = random_below(2) ? random_below(UINT32_MAX) : random_below(3);
        const void *value = &number;

        if (type == 's')
                value = PICK(texts);
        else if (type == 'o')
                value = "/org/tierd1/node/0";
        else if (type == 'g')
                value = "a{sv}";
        else if (type == 'b')
                number &= 1;
        assert_true(sd_bus_message_append_basic(m, type, value) >= 0);
}

/* Contents of a structure or of a dictionary's entry: single letters. */
static void append_members(sd_bus_message *m, char container, const char *contents, size_t n, unsigned depth) {
        char members[8] = {};

        memcpy(members, contents, n);
        assert_true(sd_bus_message_open_container(m, container, members) >= 0);
        for (size_t i = 0; i < n; i++)
                append_typed(m, (char[]) { members[i], '\0' }, depth);
        assert_true(sd_bus_message_close_container(m) >= 0);
}

static const char *const types[] = {
        "y", "b", "n", "q", "i", "u", "x", "t", "d", "s", "o", "g", "v", "as", "au", "a{sv}", "(su)", "(sv)", "aas", "s", "s",
};

static void append_typed(sd_bus_message *m, const char *type, unsigned depth) {
        switch (type[0]) {
        case 'v': {
                const char *contents = depth > 0 ? PICK(types) : "u";

                assert_true(sd_bus_message_open_container(m, 'v', contents) >= 0);
                append_typed(m, contents, depth > 0 ? depth - 1 : 0);
                assert_true(sd_bus_message_close_container(m) >= 0);
                return;
        }
        case 'a':
                assert_true(sd_bus_message_open_container(m, 'a', type + 1) >= 0);
                for (unsigned n = random_below(4); n > 0; n--)
                        append_typed(m, type + 1, depth);
                assert_true(sd_bus_message_close_container(m) >= 0);
                return;
        case '{':
                append_members(m, 'e', type + 1, strlen(type) - 2, depth);
                return;
        case '(':
                append_members(m, 'r', type + 1, strlen(type) - 2, depth);
                return;
        default:
                append_basic(m, type[0]);
        }
}

static sd_bus_message *random_message(void) {
        static const char *const paths[] = {
                "/", "/org", "/org/tierd1", "/org/tierd1/node", "/org/tierd1/node/0", "/org/tierd1/node/7",
                "/org/tierd1/scheme", "/org/tierd1/scheme/demote_0_2", "/org/tierd1/scheme/x",
                "/org/freedesktop/LogControl1", "/org/tierd1/node/_",
        };
        static const char *const interfaces[] = {
                "org.tierd1.Manager", "org.tierd1.Node", "org.tierd1.Scheme", "org.freedesktop.LogControl1",
                "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.Properties",
                "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Peer",
                "org.freedesktop.DBus", "a.b",
        };
        static const char *const members[] = {
                "Reload",
                "Pause",
                "Resume",
                "Drain",
                "Undrain",
                "Describe",
                "Metrics",
                "MetricsText",
                "Get",
                "Set",
                "GetAll",
                "Introspect",
                "GetManagedObjects",
                "Ping",
                "GetMachineId",
                "Disconnected",
                "NameOwnerChanged",
                "PropertiesChanged",
                "X",
        };
        static const char *const names[] = { "LogLevel", "LogTarget", "State", "Notes", "SyslogIdentifier" };
        sd_bus_message *m = NULL;

        if (random_below(16) == 0) {
                assert_true(sd_bus_message_new_signal(client, &m, "/org/tierd1", "a.b", PICK(members)) >= 0);
                assert_true(sd_bus_message_set_destination(m, "org.tierd1") >= 0);
        } else
                assert_true(sd_bus_message_new_method_call(client, &m, "org.tierd1", PICK(paths),
                                                           random_below(16) ? PICK(interfaces) : NULL, PICK(members)) >= 0);
        if (random_below(4) == 0)
                /* Nearly right: a property's name, and any value. */
                assert_true(sd_bus_message_append(m, "ss", PICK(texts), PICK(names)) >= 0);
        for (unsigned n = random_below(4); n > 0; n--)
                append_typed(m, PICK(types), 3);
        return m;
}

static void test_random(void **state) {
        enum { MESSAGES = 20000, AT_ONCE = 50 };
        int before;

        (void) state;
        random_state = 20261120;
        before = service_run(&service, count_held, NULL);
        for (int i = 0; i < MESSAGES; i++) {
                sd_bus_message *m = random_message();
                int r;

                /* Answers that nobody takes, and calls that want none. */
                if (random_below(2) && sd_bus_message_is_method_call(m, NULL, NULL))
                        assert_true(sd_bus_message_set_expect_reply(m, false) >= 0);
                assert_true(sd_bus_send(client, m, NULL) >= 0);
                (void) sd_bus_message_unref(m);
                if (i % AT_ONCE != 0)
                        continue;
                assert_true(is_well());
                while ((r = sd_bus_process(client, NULL)) > 0)
                        ;
                assert_int_equal(r, 0);
        }
        assert_true(is_well());
        assert_int_equal(service_run(&service, count_held, NULL), before);
        /* What was right among it was done, where the test's user may. */
        assert_true(geteuid() != 0 || service_run(&service, serve_count_reloads, NULL) > 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_wrong_variants, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_huge, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_random, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
