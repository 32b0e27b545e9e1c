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
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <syslog.h>

/* Callers that want something done: who may, how many, and what becomes of those that go away. */

static struct test_bus test_bus;
static struct service service;
static sd_bus *client;
static struct call_result result;

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

/* Tests with two users take root to start them. */
static void need_root(void) {
        if (geteuid() != 0)
                skip();
}

static int count_pauses(struct served *s, const char *text) {
        (void) text;
        return (int) (s->pauses * 10 + s->resumes);
}

static int count_drains(struct served *s, const char *text) {
        (void) text;
        return s->drained * 100 + (int) (s->drains * 10 + s->undrains);
}

static int count_requests(struct served *s, const char *text) {
        (void) text;
        return (int) s->bus->n_requests;
}

static int get_level(struct served *s, const char *text) {
        (void) text;
        return s->level;
}

static int is_target(struct served *s, const char *text) {
        return strcmp(s->target, text) == 0;
}

static void test_root(void **state) {
        static const char refusal[] = "/etc/tierd.yaml:3:7: unknown key \"demot\"; did you mean demote?\n  demot: {}\n      ^";

        (void) state;
        need_root();
        bus_call_manager(client, "Reload", false, &result);
        assert_int_equal(result.error, 0);
        assert_int_equal(service_run(&service, serve_count_reloads, NULL), 1);

        /* The refusal comes as it is, lines and all; only what is no text is mended. */
        assert_int_equal(service_run(&service, serve_refuse, refusal), 0);
        bus_call_manager(client, "Reload", false, &result);
        assert_string_equal(result.name, "org.tierd1.Error.InvalidConfiguration");
        assert_string_equal(result.message, refusal);
        assert_int_equal(service_run(&service, serve_refuse, "x.yaml:1:1: not UTF-8: \xff"), 0);
        bus_call_manager(client, "Reload", false, &result);
        assert_string_equal(result.message, "x.yaml:1:1: not UTF-8: ?");
        assert_int_equal(service_run(&service, serve_refuse, ""), 0);
        bus_call_manager(client, "Reload", false, &result);
        assert_true(strlen(result.message) > 0);
        assert_int_equal(service_run(&service, serve_count_reloads, NULL), 4);

        assert_int_equal(service_run(&service, serve_finish, NULL), 0);
        bus_call_manager(client, "Pause", false, &result);
        assert_int_equal(result.error, 0);
        bus_call_manager(client, "Resume", false, &result);
        assert_int_equal(result.error, 0);
        assert_int_equal(service_run(&service, count_pauses, NULL), 11);
        bus_call_manager(client, "Drain 7", false, &result);
        assert_int_equal(result.error, 0);
        assert_int_equal(service_run(&service, count_drains, NULL), 710);
        bus_call_manager(client, "Undrain 3", false, &result);
        assert_int_equal(result.error, 0);
        assert_int_equal(service_run(&service, count_drains, NULL), 311);
}

static int refuse_as(struct served *s, const char *text) {
        s->error = -(int) strtol(text, NULL, 10);
        (void) snprintf(s->text, sizeof(s->text), "because");
        return 0;
}

static void test_errors(void **state) {
        static const struct {
                int error;
                const char *method, *name;
        } cases[] = {
                { EBADMSG, "Reload", "org.tierd1.Error.InvalidConfiguration" },
                { ENOENT, "Reload", "org.tierd1.Error.InvalidConfiguration" },
                { EACCES, "Reload", "org.tierd1.Error.InvalidConfiguration" },
                { EINVAL, "Reload", "org.tierd1.Error.InvalidConfiguration" },
                { EINVAL, "Pause", "org.tierd1.Error.Failed" },
                { EIO, "Reload", "org.tierd1.Error.Failed" },
                { ESTALE, "Reload", "org.tierd1.Error.Failed" },
                { EROFS, "Reload", "org.tierd1.Error.Failed" },
                { EBUSY, "Resume", "org.tierd1.Error.Failed" },
                { ESHUTDOWN, "Reload", "org.tierd1.Error.Stopping" },
                { ENODEV, "Drain 7", "org.tierd1.Error.NoSuchNode" },
                { ENOMEM, "Pause", SD_BUS_ERROR_NO_MEMORY },
        };

        (void) state;
        need_root();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char number[16];

                (void) snprintf(number, sizeof(number), "%d", cases[i].error);
                assert_int_equal(service_run(&service, refuse_as, number), 0);
                bus_call_manager(client, cases[i].method, false, &result);
                assert_string_equal(result.name, cases[i].name);
                assert_string_equal(result.message, "because");
        }
}

static int set_log(const char *property, const char *value, char *ret_name) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_set_property(client, "org.tierd1", "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1", property,
                                &error, "s", value);
        (void) snprintf(ret_name, 128, "%s", error.name ? error.name : "");
        sd_bus_error_free(&error);
        return r < 0 ? r : 0;
}

static const char *get_log(const char *property) {
        static char text[64];
        char *value = NULL;

        assert_true(sd_bus_get_property_string(client, "org.tierd1", "/org/freedesktop/LogControl1",
                                               "org.freedesktop.LogControl1", property, NULL, &value) >= 0);
        (void) snprintf(text, sizeof(text), "%s", value);
        free(value);
        return text;
}

static void test_log_control(void **state) {
        char name[128];

        (void) state;
        assert_string_equal(get_log("LogLevel"), "info");
        assert_string_equal(get_log("LogTarget"), "auto");
        assert_string_equal(get_log("SyslogIdentifier"), "tierd");
        assert_true(set_log("LogLevel", "loud", name) < 0);
        assert_string_equal(name, SD_BUS_ERROR_INVALID_ARGS);
        assert_true(set_log("LogTarget", "nowhere", name) < 0);
        assert_string_equal(name, SD_BUS_ERROR_INVALID_ARGS);
        assert_true(set_log("SyslogIdentifier", "me", name) < 0);
        assert_string_equal(name, SD_BUS_ERROR_PROPERTY_READ_ONLY);
        assert_true(set_log("LogColour", "red", name) < 0);
        assert_string_equal(name, SD_BUS_ERROR_UNKNOWN_PROPERTY);
        need_root();
        assert_int_equal(set_log("LogLevel", "debug", name), 0);
        assert_int_equal(service_run(&service, get_level, NULL), LOG_DEBUG);
        assert_string_equal(get_log("LogLevel"), "debug");
        assert_int_equal(set_log("LogTarget", "console", name), 0);
        assert_int_equal(service_run(&service, is_target, "console"), 1);
        assert_string_equal(get_log("LogTarget"), "console");
}

/* -- another user -- */

static void test_nobody(void **state) {
        static const char *const methods[] = { "Reload", "Pause", "Resume", "Drain 1", "Undrain 1" };

        (void) state;
        need_root();
        bus_call_as_nobody("Describe", false, &result);
        assert_int_equal(result.error, 0);
        assert_non_null(strstr(result.text, "\"state\": \"managing\""));
        bus_call_as_nobody("Metrics", false, &result);
        assert_int_equal(result.error, 0);
        for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
                bus_call_as_nobody(methods[i], true, &result);
                assert_string_equal(result.name, SD_BUS_ERROR_ACCESS_DENIED);
                assert_non_null(strstr(result.message, "only root may"));
                assert_non_null(strstr(result.message, "no polkit"));
        }
        bus_set_as_nobody("LogLevel", "debug", &result);
        assert_string_equal(result.name, SD_BUS_ERROR_ACCESS_DENIED);
        bus_set_as_nobody("LogTarget", "null", &result);
        assert_string_equal(result.name, SD_BUS_ERROR_ACCESS_DENIED);
        assert_int_equal(service_run(&service, serve_count_reloads, NULL), 0);
        assert_int_equal(service_run(&service, count_pauses, NULL), 0);
        assert_int_equal(service_run(&service, get_level, NULL), LOG_INFO);
        assert_int_equal(service_run(&service, is_target, "auto"), 1);
}

/*
 * A polkit of the test's own, in a process of its own: what it says goes by the letters of `answer`: y yes, n no, c challenge
 * unless it may ask, e error, g garbage, s silence. It tells `told` one letter for each question, and 'x' for one called back.
 */
struct authority {
        char answer;
        int told;
};

static int on_check(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const struct authority *a = userdata;
        const char *kind, *key, *name, *action, *id;
        uint32_t flags;
        bool allowed;

        if (sd_bus_message_is_method_call(m, "org.freedesktop.PolicyKit1.Authority", "CancelCheckAuthorization"))
                return write(a->told, "x", 1) == 1 ? sd_bus_reply_method_return(m, NULL) : -EIO;
        if (!sd_bus_message_is_method_call(m, "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization"))
                return 0;
        if (sd_bus_message_read(m, "(sa{sv})sa{ss}us", &kind, 1, &key, "s", &name, &action, 0, &flags, &id) < 0 ||
            strcmp(kind, "system-bus-name") != 0 || strcmp(key, "name") != 0 || name[0] != ':' || !*id)
                return sd_bus_error_setf(reterr, SD_BUS_ERROR_INVALID_ARGS, "not a question");
        if (write(a->told, action + strlen("org.tierd1."), 1) != 1)
                return -EIO;
        switch (a->answer) {
        case 'e':
                return sd_bus_error_setf(reterr, "org.freedesktop.PolicyKit1.Error.Failed", "Action %s is not registered",
                                         action);
        case 'g':
                return sd_bus_reply_method_return(m, "s", "yes!");
        case 's':
                return 1;
        default:
                allowed = a->answer == 'y' || (a->answer == 'c' && flags == 1);
                return sd_bus_reply_method_return(m, "(bba{ss})", allowed, a->answer == 'c' && !allowed, 0);
        }
}

static pid_t authority_start(char answer, int *ret_told) {
        char ready;
        int p[2];
        pid_t pid;

        assert_int_equal(pipe(p), 0);
        (void) fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                struct authority a = { .answer = answer, .told = p[1] };
                sd_bus *bus = NULL;

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (sd_bus_open_system(&bus) < 0 || sd_bus_add_object(bus, NULL, "/org/freedesktop/PolicyKit1/Authority",
                                                                      on_check, &a) < 0 ||
                    sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0) < 0 || write(p[1], "!", 1) != 1)
                        _exit(1);
                for (;;)
                        if (sd_bus_process(bus, NULL) < 0 || sd_bus_wait(bus, UINT64_MAX) < 0)
                                _exit(1);
        }
        (void) close(p[1]);
        assert_int_equal(read(p[0], &ready, 1), 1);
        assert_int_equal(ready, '!');
        *ret_told = p[0];
        return pid;
}

static void authority_end(pid_t pid, int told) {
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
        (void) close(told);
}

static int count_done(void) {
        return service_run(&service, serve_count_reloads, NULL) * 100 + service_run(&service, count_pauses, NULL) +
               service_run(&service, count_drains, NULL) * 10000;
}

static void test_polkit(void **state) {
        static const struct {
                char answer;
                bool interactive;
                const char *method, *name, *words;
        } cases[] = {
                { 'y', false, "Reload", "", "" },
                { 'y', false, "Pause", "", "" },
                { 'y', false, "Resume", "", "" },
                { 'n', true, "Reload", SD_BUS_ERROR_ACCESS_DENIED, "org.tierd1.reload" },
                { 'n', true, "Pause", SD_BUS_ERROR_ACCESS_DENIED, "org.tierd1.pause" },
                { 'y', false, "Drain 2", "", "" },
                { 'n', true, "Undrain 2", SD_BUS_ERROR_ACCESS_DENIED, "org.tierd1.drain" },
                { 'c', false, "Reload", SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, "password" },
                { 'c', true, "Reload", "", "" },
                { 'e', false, "Reload", SD_BUS_ERROR_ACCESS_DENIED, "is not registered" },
                { 'g', false, "Reload", SD_BUS_ERROR_ACCESS_DENIED, "not of the form" },
        };

        (void) state;
        need_root();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int told, before = count_done();
                pid_t pid = authority_start(cases[i].answer, &told);
                char letter;

                bus_call_as_nobody(cases[i].method, cases[i].interactive, &result);
                assert_string_equal(result.name, cases[i].name);
                assert_non_null(strstr(result.message, cases[i].words));
                assert_int_equal(read(told, &letter, 1), 1);
                assert_int_equal(letter, strcmp(cases[i].method, "Reload") == 0 ? 'r'
                                         : strstr(cases[i].method, "rain")      ? 'd'
                                                                                : 'p');
                /* It was done exactly where polkit said yes. */
                assert_int_equal(count_done() != before, cases[i].name[0] == '\0');
                authority_end(pid, told);
        }
        /* Root is not a question. */
        bus_call_manager(client, "Reload", false, &result);
        assert_int_equal(result.error, 0);
}

/* -- many callers, and callers that go -- */

struct caller {
        pid_t pid;
        char name[64];                  /* on the bus */
};

/* A process of the user that calls the method `n` times and waits for no answer. Returns once the bus has the calls. */
static struct caller call_and_wait(uid_t uid, const char *method, unsigned n) {
        struct caller caller = {};
        int p[2];

        assert_int_equal(pipe(p), 0);
        (void) fflush(NULL);
        caller.pid = fork();
        assert_true(caller.pid >= 0);
        if (caller.pid == 0) {
                sd_bus *bus = NULL;
                const char *name;

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if ((uid != 0 && setresuid(uid, uid, uid) < 0) || sd_bus_open_system(&bus) < 0)
                        _exit(1);
                for (unsigned i = 0; i < n; i++)
                        if (sd_bus_call_method_async(bus, NULL, "org.tierd1", "/org/tierd1", "org.tierd1.Manager", method, NULL,
                                                     NULL, NULL) < 0)
                                _exit(1);
                if (sd_bus_get_unique_name(bus, &name) < 0 || sd_bus_flush(bus) < 0 ||
                    write(p[1], name, strlen(name)) != (ssize_t) strlen(name))
                        _exit(1);
                for (;;)
                        (void) pause();
        }
        (void) close(p[1]);
        assert_true(read(p[0], caller.name, sizeof(caller.name) - 1) > 0);
        (void) close(p[0]);
        return caller;
}

/* Returns when the bus has noticed, and told the service. */
static void end_caller(const struct caller *caller) {
        int there = 1;

        (void) kill(caller->pid, SIGKILL);
        (void) waitpid(caller->pid, NULL, 0);
        while (there) {
                sd_bus_message *answer = NULL;

                assert_true(sd_bus_call_method(client, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                               "NameHasOwner", NULL, &answer, "s", caller->name) >= 0);
                assert_true(sd_bus_message_read(answer, "b", &there) > 0);
                (void) sd_bus_message_unref(answer);
        }
        bus_call_manager(client, "Describe", false, &result);
        assert_int_equal(result.error, 0);
}

/* Until the number of requests in the daemon's hands is this. */
static void await_waiting(int wanted) {
        while (service_run(&service, serve_count_waiting, NULL) != wanted)
                (void) usleep(1000);
}

struct answers {
        unsigned done, refused, other;
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        struct answers *a = userdata;

        (void) reterr;
        if (!sd_bus_message_is_method_error(m, NULL))
                a->done++;
        else if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_LIMITS_EXCEEDED))
                a->refused++;
        else
                a->other++;
        return 0;
}

static void process_until(const struct answers *a, unsigned n) {
        while (a->done + a->refused + a->other < n) {
                int r = sd_bus_process(client, NULL);

                assert_true(r >= 0);
                if (r == 0)
                        assert_true(sd_bus_wait(client, UINT64_C(60000000)) > 0);
        }
}

static void test_too_many(void **state) {
        struct answers a = {};

        (void) state;
        need_root();
        assert_int_equal(service_run(&service, serve_hold, NULL), 0);
        for (int i = 0; i < 80; i++)
                assert_true(sd_bus_call_method_async(client, NULL, "org.tierd1", "/org/tierd1", "org.tierd1.Manager", "Reload",
                                                     on_answer, &a, NULL) >= 0);
        process_until(&a, 16);
        assert_int_equal(a.refused, 16);
        await_waiting(64);
        /* Reading goes on. */
        bus_call_manager(client, "Describe", false, &result);
        assert_int_equal(result.error, 0);
        assert_int_equal(service_run(&service, serve_finish, NULL), 0);
        process_until(&a, 80);
        assert_int_equal(a.done, 64);
        /* There is room again. */
        bus_call_manager(client, "Reload", false, &result);
        assert_int_equal(result.error, 0);
}

/* The daemon answers a caller that has gone meanwhile. */
static void test_gone_while_handed(void **state) {
        struct caller caller;

        (void) state;
        need_root();
        assert_int_equal(service_run(&service, serve_hold, NULL), 0);
        caller = call_and_wait(0, "Reload", 3);
        await_waiting(3);
        end_caller(&caller);
        assert_int_equal(service_run(&service, count_requests, NULL), 3);
        assert_int_equal(service_run(&service, serve_finish, NULL), 0);
        assert_int_equal(service_run(&service, count_requests, NULL), 0);
        bus_call_manager(client, "Reload", false, &result);
        assert_int_equal(result.error, 0);
}

/* While polkit thinks, its callers do not keep root waiting; when they go, polkit is told, and their places are free. */
static void test_silent_polkit(void **state) {
        int told;
        struct caller caller;
        pid_t authority;
        char letter;

        (void) state;
        need_root();
        authority = authority_start('s', &told);
        caller = call_and_wait(65534, "Reload", 40);
        for (int i = 0; i < 16; i++) {
                assert_int_equal(read(told, &letter, 1), 1);
                assert_int_equal(letter, 'r');
        }
        bus_call_as_nobody("Reload", false, &result);
        assert_string_equal(result.name, SD_BUS_ERROR_LIMITS_EXCEEDED);
        bus_call_manager(client, "Reload", false, &result);
        assert_int_equal(result.error, 0);
        assert_int_equal(service_run(&service, count_requests, NULL), 16);

        end_caller(&caller);
        for (int i = 0; i < 16; i++) {
                assert_int_equal(read(told, &letter, 1), 1);
                assert_int_equal(letter, 'x');
        }
        assert_int_equal(service_run(&service, count_requests, NULL), 0);
        authority_end(authority, told);
        bus_call_as_nobody("Reload", false, &result);
        assert_string_equal(result.name, SD_BUS_ERROR_ACCESS_DENIED);
        assert_int_equal(service_run(&service, serve_count_reloads, NULL), 1);
}

static int stop_bus(struct served *s, const char *text) {
        (void) text;
        s->bus = bus_free(s->bus);
        return 0;
}

/* Who still waits when tierd stops is told so. */
static void test_stop(void **state) {
        struct answers a = {};
        struct caller caller;

        (void) state;
        need_root();
        assert_int_equal(service_run(&service, serve_hold, NULL), 0);
        caller = call_and_wait(0, "Pause", 2);
        for (int i = 0; i < 5; i++)
                assert_true(sd_bus_call_method_async(client, NULL, "org.tierd1", "/org/tierd1", "org.tierd1.Manager", "Reload",
                                                     on_answer, &a, NULL) >= 0);
        assert_true(sd_bus_flush(client) >= 0);
        await_waiting(7);
        assert_int_equal(service_run(&service, stop_bus, NULL), 0);
        process_until(&a, 5);
        assert_int_equal(a.other, 5);
        (void) kill(caller.pid, SIGKILL);
        (void) waitpid(caller.pid, NULL, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_root, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_log_control, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_nobody, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_polkit, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_gone_while_handed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_silent_polkit, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
