/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/support/bus.h"
#include "tests/support/example-status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>

#define PATIENCE_MS 60000

/* -- the bus -- */

static const char bus_config[] =
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
        " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
        "<busconfig>\n"
        "  <listen>unix:path=%s/socket</listen>\n"
        "  <auth>EXTERNAL</auth>\n"
        "  <servicedir>%s</servicedir>\n"
        "  <policy context=\"default\">\n"
        "    <allow user=\"*\"/>\n"
        "    <allow own=\"*\"/>\n"
        "    <allow send_destination=\"*\" eavesdrop=\"true\"/>\n"
        "    <allow receive_sender=\"*\" eavesdrop=\"true\"/>\n"
        "  </policy>\n"
        "</busconfig>\n";

void test_bus_new(struct test_bus *b) {
        char name[96];
        FILE *f;

        *b = (struct test_bus) { .path = "/tmp/tierd-bus-XXXXXX", .pid = -1 };
        assert_non_null(mkdtemp(b->path));
        assert_int_equal(chmod(b->path, 0755), 0);
        (void) snprintf(name, sizeof(name), "%s/bus.conf", b->path);
        f = fopen(name, "we");
        assert_non_null(f);
        assert_true(fprintf(f, bus_config, b->path, b->path) > 0);
        assert_int_equal(fclose(f), 0);
        (void) snprintf(b->address, sizeof(b->address), "unix:path=%s/socket", b->path);
        assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", b->address, 1), 0);
}

void test_bus_start(struct test_bus *b) {
        char config[96], told[256];
        int p[2];

        (void) snprintf(config, sizeof(config), "--config-file=%s/bus.conf", b->path);
        assert_int_equal(pipe(p), 0);
        b->pid = fork();
        assert_true(b->pid >= 0);
        if (b->pid == 0) {
                /* A test that fails leaves nothing running. */
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) dup2(p[1], STDOUT_FILENO);
                (void) close(p[0]);
                (void) close(p[1]);
                /* It complains of limits that a test's user may not raise. */
                if (!freopen("/dev/null", "we", stderr))
                        _exit(126);
                (void) execlp("dbus-daemon", "dbus-daemon", config, "--nofork", "--nopidfile", "--print-address=1", NULL);
                _exit(127);
        }
        (void) close(p[1]);
        /* It prints its address when it listens. */
        if (read(p[0], told, sizeof(told)) <= 0)
                fail_msg("dbus-daemon cannot be started; `make deps` installs it");
        (void) close(p[0]);
}

void test_bus_stop(struct test_bus *b) {
        if (b->pid < 0)
                return;
        (void) kill(b->pid, SIGKILL);
        (void) waitpid(b->pid, NULL, 0);
        b->pid = -1;
}

void test_bus_done(struct test_bus *b) {
        static const char *const names[] = { "bus.conf", "socket", "org.tierd1.service", "activated" };
        char path[96];

        test_bus_stop(b);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", b->path, names[i]);
                (void) unlink(path);
        }
        (void) rmdir(b->path);
}

/* -- the service -- */

static const struct status *on_status(void *userdata) {
        return ((struct served *) userdata)->status;
}

static void on_request(struct served *s, struct bus_request *request) {
        if (s->hold && s->n_waiting < WAITING_MAX)
                s->waiting[s->n_waiting++] = request;
        else
                bus_request_finish(request, s->error, s->text);
}

static void on_reload(void *userdata, struct bus_request *request) {
        struct served *s = userdata;

        s->reloads++;
        on_request(s, request);
}

static void on_pause(void *userdata, bool paused, struct bus_request *request) {
        struct served *s = userdata;

        *(paused ? &s->pauses : &s->resumes) += 1;
        s->status->state = paused ? STATUS_PAUSED : STATUS_MANAGING;
        bus_announce(s->bus, false);
        on_request(s, request);
}

static void on_drain(void *userdata, int nid, bool drained, struct bus_request *request) {
        struct served *s = userdata;

        *(drained ? &s->drains : &s->undrains) += 1;
        s->drained = nid;
        on_request(s, request);
}

static int on_get_level(void *userdata) {
        return ((struct served *) userdata)->level;
}

static int on_set_level(void *userdata, int level) {
        ((struct served *) userdata)->level = level;
        return 0;
}

static const char *on_get_target(void *userdata) {
        return ((struct served *) userdata)->target;
}

static int on_set_target(void *userdata, const char *target) {
        struct served *s = userdata;

        (void) snprintf(s->target, sizeof(s->target), "%s", target);
        return 0;
}

struct command {
        served_function function;       /* the processes are one program, forked; NULL: the end */
        char text[2048];
};

static int on_command(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct served *s = userdata;
        struct command c;
        ssize_t n;
        int answer;

        (void) source;
        (void) revents;
        n = recv(fd, &c, sizeof(c), 0);
        if (n != (ssize_t) sizeof(c) || !c.function)
                return sd_event_exit(s->event, n == (ssize_t) sizeof(c) ? 0 : 1);
        answer = c.function(s, c.text);
        return send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) == (ssize_t) sizeof(answer) ? 0 : -EIO;
}

static void say(void *userdata, int level, const char *message) {
        (void) userdata;
        (void) level;
        (void) fprintf(stderr, "service: %s\n", message);
}

static int serve(int fd) {
        static const struct bus_handlers handlers = {
                .status = on_status,       .reload = on_reload,         .pause = on_pause,   .drain = on_drain,
                .get_level = on_get_level, .set_level = on_set_level,   .get_target = on_get_target,
                .set_target = on_set_target,
        };
        static const struct log log = { .write = say, .max_level = LOG_DEBUG };
        struct served s = { .level = LOG_INFO, .target = "auto" };
        int r;

        s.status = example_status();
        if (sd_event_new(&s.event) < 0 || sd_event_add_io(s.event, NULL, fd, POLLIN, on_command, &s) < 0 ||
            bus_new(s.event, &handlers, &s, &log, &s.bus) < 0)
                return 1;
        r = sd_event_loop(s.event);
        s.bus = bus_free(s.bus);
        s.status = status_free(s.status);
        sd_event_unref(s.event);
        (void) close(fd);
        return r;
}

void service_start(struct service *s) {
        int p[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p), 0);
        (void) fflush(NULL);
        s->pid = fork();
        assert_true(s->pid >= 0);
        if (s->pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) close(p[0]);
                /* Through exit(), so that a sanitizer has a look at what was left. */
                exit(serve(p[1]));
        }
        (void) close(p[1]);
        s->fd = p[0];
}

static void service_send(struct service *s, served_function function, const char *text) {
        struct command c = { .function = function };

        (void) snprintf(c.text, sizeof(c.text), "%s", text ? text : "");
        assert_int_equal(send(s->fd, &c, sizeof(c), MSG_NOSIGNAL), sizeof(c));
}

int service_run(struct service *s, served_function function, const char *text) {
        struct pollfd p = { .fd = s->fd, .events = POLLIN };
        int answer;

        service_send(s, function, text);
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        assert_int_equal(recv(s->fd, &answer, sizeof(answer), 0), sizeof(answer));
        return answer;
}

void service_stop(struct service *s) {
        struct pollfd p = { .fd = s->fd, .events = POLLIN };
        int status;

        service_send(s, NULL, NULL);
        /* Its end closes the socket. */
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        (void) close(s->fd);
}

int serve_nothing(struct served *s, const char *text) {
        (void) s;
        (void) text;
        return 0;
}

int serve_count_waiting(struct served *s, const char *text) {
        (void) text;
        return (int) s->n_waiting;
}

int serve_hold(struct served *s, const char *text) {
        (void) text;
        s->hold = true;
        return 0;
}

int serve_finish(struct served *s, const char *text) {
        (void) text;
        s->hold = false;
        s->error = 0;
        for (size_t i = 0; i < s->n_waiting; i++)
                bus_request_finish(s->waiting[i], 0, NULL);
        s->n_waiting = 0;
        return 0;
}

int serve_refuse(struct served *s, const char *text) {
        s->error = -EBADMSG;
        (void) snprintf(s->text, sizeof(s->text), "%s", text);
        return 0;
}

int serve_announce(struct served *s, const char *text) {
        bus_announce(s->bus, strcmp(text, "all") == 0);
        return 0;
}

int serve_count_reloads(struct served *s, const char *text) {
        (void) text;
        return (int) s->reloads;
}

/* -- callers -- */

sd_bus *bus_client(void) {
        sd_bus *bus = NULL;

        assert_true(sd_bus_open_system(&bus) >= 0);
        return bus;
}

/* The name comes and goes by signals of the bus; to see none of them go by, the match comes first. */
void bus_await_name(sd_bus *bus) {
        int r;

        assert_true(sd_bus_add_match(bus, NULL, "type='signal',member='NameOwnerChanged',arg0='org.tierd1'", NULL, NULL) >= 0);
        for (;;) {
                int owned;
                sd_bus_message *answer = NULL;

                assert_true(sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                               "NameHasOwner", NULL, &answer, "s", "org.tierd1") >= 0);
                assert_true(sd_bus_message_read(answer, "b", &owned) > 0);
                (void) sd_bus_message_unref(answer);
                if (owned)
                        break;
                r = sd_bus_process(bus, NULL);
                assert_true(r >= 0);
                if (r == 0)
                        assert_true(sd_bus_wait(bus, PATIENCE_MS * UINT64_C(1000)) > 0);
        }
        /* The bus has given the name; behind its answer to that comes this call. */
        r = sd_bus_call_method(bus, "org.tierd1", "/org/tierd1", "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, NULL);
        assert_true(r >= 0);
}

static void take_error(const sd_bus_error *error, int r, struct call_result *ret) {
        ret->error = MIN(r, 0);
        if (r >= 0)
                return;
        (void) snprintf(ret->name, sizeof(ret->name), "%s", error->name ? error->name : "");
        (void) snprintf(ret->message, sizeof(ret->message), "%s", error->message ? error->message : "");
}

void bus_call_manager(sd_bus *bus, const char *method, bool interactive, struct call_result *ret) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL, *answer = NULL;
        const char *text, *argument = strchr(method, ' ');
        char name[64];
        int r;

        memset(ret, 0, sizeof(*ret));
        (void) snprintf(name, sizeof(name), "%.*s", argument ? (int) (argument - method) : (int) strlen(method), method);
        assert_true(sd_bus_message_new_method_call(bus, &m, "org.tierd1", "/org/tierd1", "org.tierd1.Manager", name) >= 0);
        if (argument)
                assert_true(sd_bus_message_append(m, "i", atoi(argument + 1)) >= 0);
        assert_true(sd_bus_message_set_allow_interactive_authorization(m, interactive) >= 0);
        r = sd_bus_call(bus, m, 0, &error, &answer);
        take_error(&error, r, ret);
        if (r >= 0 && sd_bus_message_has_signature(answer, "s")) {
                assert_true(sd_bus_message_read(answer, "s", &text) > 0);
                (void) snprintf(ret->text, sizeof(ret->text), "%s", text);
        }
        sd_bus_error_free(&error);
        (void) sd_bus_message_unref(m);
        (void) sd_bus_message_unref(answer);
}

/* Calls as another user, in a process of its own; `property` NULL: the manager's method. */
static void call_as_nobody(const char *method, bool interactive, const char *property, const char *value,
                           struct call_result *ret) {
        int p[2];
        size_t had = 0;
        pid_t pid;

        memset(ret, 0, sizeof(*ret));
        ret->error = -EHOSTDOWN;
        assert_int_equal(pipe(p), 0);
        (void) fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                static struct call_result result = { .error = -EHOSTDOWN };
                sd_bus_error error = SD_BUS_ERROR_NULL;
                sd_bus *bus = NULL;

                if (setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0 &&
                    sd_bus_open_system(&bus) >= 0) {
                        if (method)
                                bus_call_manager(bus, method, interactive, &result);
                        else
                                take_error(&error, sd_bus_set_property(bus, "org.tierd1", "/org/freedesktop/LogControl1",
                                                                       "org.freedesktop.LogControl1", property, &error, "s",
                                                                       value), &result);
                }
                _exit(write(p[1], &result, sizeof(result)) == (ssize_t) sizeof(result) ? 0 : 1);
        }
        (void) close(p[1]);
        while (had < sizeof(*ret)) {
                ssize_t n = read(p[0], (char *) ret + had, sizeof(*ret) - had);

                if (n <= 0)
                        break;
                had += (size_t) n;
        }
        (void) close(p[0]);
        (void) waitpid(pid, NULL, 0);
}

void bus_call_as_nobody(const char *method, bool interactive, struct call_result *ret) {
        call_as_nobody(method, interactive, NULL, NULL, ret);
}

void bus_set_as_nobody(const char *property, const char *value, struct call_result *ret) {
        call_as_nobody(NULL, false, property, value, ret);
}
