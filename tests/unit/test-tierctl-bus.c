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
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* tierctl as a program, asking a tierd that is made up: its words, its exit statuses, and what it does to a terminal. */

#define PATIENCE_MS 60000

static struct test_bus test_bus;
static struct service service;
static sd_bus *client;

static int with_nothing(void **state) {
        (void) state;
        test_bus_new(&test_bus);
        return 0;
}

static int with_bus(void **state) {
        (void) with_nothing(state);
        test_bus_start(&test_bus);
        client = bus_client();
        return 0;
}

static int with_service(void **state) {
        (void) with_bus(state);
        service_start(&service);
        bus_await_name(client);
        return 0;
}

static int without_bus(void **state) {
        (void) state;
        client = client ? sd_bus_close_unref(client) : NULL;
        test_bus_done(&test_bus);
        return 0;
}

static int without_service(void **state) {
        service_stop(&service);
        return without_bus(state);
}

/* -- running it -- */

/* Stands beside the directory of the tests, in this build. */
static int open_tierctl(void) {
        char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
        _cleanup_close_ int directory = -EBADF;
        int fd;

        assert_true(n > 0);
        path[n] = '\0';
        *strrchr(path, '/') = '\0';
        directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(directory >= 0);
        fd = openat(directory, "../tierctl", O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

#define ARGUMENTS_MAX 8

static void split(char *line, char **argv) {
        static char name[] = "tierctl";
        size_t n = 0;

        argv[n++] = name;
        for (char *word = strtok(line, " "); word && n < ARGUMENTS_MAX; word = strtok(NULL, " "))
                argv[n++] = word;
        argv[n] = NULL;
}

struct run {
        char out[32768], err[4096];
        int status;                     /* as of waitpid() */
};

static void read_all(int fd, char *buf, size_t size) {
        size_t n = 0;
        ssize_t r;

        while ((r = read(fd, buf + n, size - 1 - n)) > 0)
                n += (size_t) r;
        buf[n] = '\0';
}

/* Starts it by descriptor: another user may not be able to reach it by name. */
static pid_t start(const char *line, uid_t uid, int out, int err) {
        int program = open_tierctl();
        pid_t pid;

        (void) fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                char copy[256], *argv[ARGUMENTS_MAX + 1];

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) snprintf(copy, sizeof(copy), "%s", line);
                split(copy, argv);
                if (dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0 &&
                    (uid == 0 || setresuid(uid, uid, uid) == 0))
                        (void) fexecve(program, argv, environ);
                _exit(126);
        }
        (void) close(program);
        return pid;
}

static struct run *finish(pid_t pid, int out, int err) {
        static struct run run;

        read_all(out, run.out, sizeof(run.out));
        read_all(err, run.err, sizeof(run.err));
        (void) close(out);
        (void) close(err);
        assert_int_equal(waitpid(pid, &run.status, 0), pid);
        return &run;
}

static struct run *tierctl_as(uid_t uid, const char *line) {
        int out[2], err[2];
        pid_t pid;

        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        assert_int_equal(pipe2(err, O_CLOEXEC), 0);
        pid = start(line, uid, out[1], err[1]);
        (void) close(out[1]);
        (void) close(err[1]);
        return finish(pid, out[0], err[0]);
}

static struct run *tierctl(const char *line) {
        return tierctl_as(0, line);
}

static void assert_says(const struct run *run, int status, const char *out, const char *err) {
        if (!WIFEXITED(run->status) || WEXITSTATUS(run->status) != status || !strstr(run->out, out) || !strstr(run->err, err))
                fail_msg("exit status %x, not %d with \"%s\" and \"%s\":\n%s%s", (unsigned) run->status, status, out, err,
                         run->out, run->err);
}

static const char *const verbs[] = { "status", "status --json", "top",    "top --iterations 1",
                                     "pause",  "resume",        "reload", "metrics" };

/* -- without a daemon -- */

static void test_no_bus(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                assert_says(tierctl(verbs[i]), 3, "", "tierctl: cannot reach the system bus");
}

/* Asking does not start it, though the bus could. */
static void test_no_daemon(void **state) {
        static struct call_result result;
        char path[128], activated[128];
        FILE *f;

        (void) state;
        (void) snprintf(path, sizeof(path), "%s/org.tierd1.service", test_bus.path);
        (void) snprintf(activated, sizeof(activated), "%s/activated", test_bus.path);
        f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fprintf(f, "[D-BUS Service]\nName=org.tierd1\nExec=/bin/sh -c \"touch %s; exit 1\"\n", activated) > 0);
        assert_int_equal(fclose(f), 0);
        assert_true(sd_bus_call_method(client, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                       "ReloadConfig", NULL, NULL, NULL) >= 0);

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                assert_says(tierctl(verbs[i]), 3, "", "tierctl: tierd is not running; `systemctl start tierd` starts it");
        assert_int_equal(access(activated, F_OK), -1);
        /* This would have. */
        bus_call_manager(client, "Describe", false, &result);
        assert_true(result.error < 0);
        assert_int_equal(access(activated, F_OK), 0);
}

/* -- with one -- */

static void test_reading(void **state) {
        static struct call_result result;
        const struct run *run;
        char expected[sizeof(result.text) + 2];

        (void) state;
        assert_says(tierctl("status"), 0, "STALE: tierd has not measured", "");
        assert_says(tierctl("status"), 0, "demote      0   2   5% free", "");
        bus_call_manager(client, "Describe", false, &result);
        (void) snprintf(expected, sizeof(expected), "%s\n", result.text);
        run = tierctl("status --json");
        assert_int_equal(run->status, 0);
        assert_string_equal(run->out, expected);
        bus_call_manager(client, "Metrics", false, &result);
        run = tierctl("metrics");
        assert_int_equal(run->status, 0);
        assert_string_equal(run->out, result.text);
        assert_non_null(strstr(run->out, "# EOF\n"));
        /* Anyone may. */
        if (geteuid() == 0) {
                assert_says(tierctl_as(65534, "status"), 0, "STALE", "");
                assert_says(tierctl_as(65534, "metrics"), 0, "# EOF", "");
                assert_says(tierctl_as(65534, "top --iterations 1"), 0, "STALE", "");
        }
}

static void test_control(void **state) {
        static const char refusal[] = "/etc/tierd.yaml:3:7: unknown key \"demot\"\n  demot: {}\n      ^";
        const struct run *run;

        (void) state;
        if (geteuid() != 0)
                skip();
        assert_says(tierctl("pause"), 0, "", "");
        assert_says(tierctl("status"), 0, "PAUSED: nothing moves until `tierctl resume`", "");
        assert_says(tierctl("resume"), 0, "", "");
        assert_says(tierctl("status"), 0, "STALE", "");
        run = tierctl("reload");
        assert_says(run, 0, "", "");
        assert_string_equal(run->out, "");
        assert_string_equal(run->err, "");
        assert_int_equal(service_run(&service, serve_count_reloads, NULL), 1);

        assert_int_equal(service_run(&service, serve_refuse, refusal), 0);
        run = tierctl("reload");
        assert_says(run, 1, "", refusal);
        /* As it is, and nothing in front: editors jump to file:line:column. */
        assert_int_equal(strncmp(run->err, refusal, strlen(refusal)), 0);

        for (size_t i = 0; i < 3; i++)
                assert_says(tierctl_as(65534, ((const char *[]) { "pause", "resume", "reload" })[i]), 4, "",
                            "tierctl: not permitted: only root may");
        assert_int_equal(service_run(&service, serve_count_reloads, NULL), 2);
}

static int fail_with_io_error(struct served *s, const char *text) {
        s->error = -EIO;
        (void) snprintf(s->text, sizeof(s->text), "%s", text);
        return 0;
}

static void test_failures(void **state) {
        (void) state;
        if (geteuid() != 0)
                skip();
        assert_int_equal(service_run(&service, fail_with_io_error, "/sys/x: cannot write 1: Input/output error"), 0);
        assert_says(tierctl("reload"), 5, "", "tierctl: /sys/x: cannot write 1: Input/output error\n");
        assert_says(tierctl("pause"), 5, "", "tierctl: /sys/x");
}

static int stop_bus(struct served *s, const char *text) {
        (void) text;
        s->bus = bus_free(s->bus);
        return 0;
}

/* tierd stops, or dies, while a caller waits. */
static void test_end_while_asked(void **state) {
        struct service other;
        int out[2], err[2];
        pid_t pid;

        (void) state;
        if (geteuid() != 0)
                skip();
        for (int dies = 0; dies < 2; dies++) {
                struct service *s = dies ? &other : &service;

                if (dies) {
                        service_start(&other);
                        bus_await_name(client);
                }
                assert_int_equal(service_run(s, serve_hold, NULL), 0);
                assert_int_equal(pipe2(out, O_CLOEXEC), 0);
                assert_int_equal(pipe2(err, O_CLOEXEC), 0);
                pid = start("reload", 0, out[1], err[1]);
                (void) close(out[1]);
                (void) close(err[1]);
                while (service_run(s, serve_count_waiting, NULL) == 0)
                        (void) usleep(1000);
                if (dies) {
                        (void) kill(s->pid, SIGKILL);
                        (void) waitpid(s->pid, NULL, 0);
                        (void) close(s->fd);
                } else
                        assert_int_equal(service_run(s, stop_bus, NULL), 0);
                assert_says(finish(pid, out[0], err[0]), 3, "",
                            dies ? "tierd ended before it answered" : "tierctl: tierd is being stopped");
        }
}

/* -- top on paper -- */

/* As of now: a snapshot like those that tierd makes. */
static int measure(struct served *s, const char *text) {
        struct timespec ts;

        (void) text;
        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        s->status->taken_us = (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
        s->status->schemes[0].total.sz_applied += UINT64_C(1) << 30;
        return 0;
}

static void test_top_on_paper(void **state) {
        const struct run *run;
        const char *second;

        (void) state;
        assert_int_equal(service_run(&service, measure, NULL), 0);
        run = tierctl("top --iterations 2 --interval 100ms");
        assert_int_equal(run->status, 0);
        second = strstr(run->out, "OK: 2 tiers");
        assert_non_null(second);
        assert_non_null(strstr(second + 1, "OK: 2 tiers"));
        assert_null(strchr(run->out, '\x1b'));
        assert_null(strstr(run->out, "IN USE"));
        assert_string_equal(run->err, "");
}

/* -- top on a terminal -- */

#define ENTER "\x1b[?1049h"
#define LEAVE "\x1b[?1049l"

struct screen {
        int fd;
        pid_t pid;
        struct termios before;
        char seen[65536];               /* what it has written since the last look */
        size_t n;
};

static void screen_start(struct screen *s, const char *line) {
        struct winsize size = { .ws_col = 80, .ws_row = 24 };
        int program = open_tierctl();

        s->n = 0;
        s->seen[0] = '\0';
        (void) fflush(NULL);
        s->pid = forkpty(&s->fd, NULL, NULL, &size);
        assert_true(s->pid >= 0);
        if (s->pid == 0) {
                char copy[256], *argv[ARGUMENTS_MAX + 1];

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) snprintf(copy, sizeof(copy), "%s", line);
                split(copy, argv);
                (void) fexecve(program, argv, environ);
                _exit(126);
        }
        (void) close(program);
        assert_int_equal(tcgetattr(s->fd, &s->before), 0);
}

/* Reads until the words were written; then forgets what was. False when the terminal is closed first. */
static bool screen_await(struct screen *s, const char *words) {
        time_t deadline = time(NULL) + PATIENCE_MS / 1000;
        char *found;

        while (!(found = strstr(s->seen, words))) {
                struct pollfd p = { .fd = s->fd, .events = POLLIN };
                ssize_t r;

                if (s->n > sizeof(s->seen) / 2) {
                        /* Old frames. */
                        s->n -= sizeof(s->seen) / 4;
                        memmove(s->seen, s->seen + sizeof(s->seen) / 4, s->n + 1);
                }
                /* It may draw and draw, and never this. */
                if (poll(&p, 1, PATIENCE_MS) != 1 || time(NULL) > deadline)
                        fail_msg("\"%s\" was not shown", words);
                r = read(s->fd, s->seen + s->n, sizeof(s->seen) - 1 - s->n);
                if (r <= 0)
                        return false;
                s->n += (size_t) r;
                s->seen[s->n] = '\0';
        }
        found += strlen(words);
        s->n -= (size_t) (found - s->seen);
        memmove(s->seen, found, s->n + 1);
        return true;
}

static void screen_key(struct screen *s, char key) {
        assert_int_equal(write(s->fd, &key, 1), 1);
}

/* It has ended, and left the terminal as it was. */
static int screen_end(struct screen *s, bool live) {
        struct termios now;
        int status;

        if (live)
                assert_true(screen_await(s, "\x1b[?25h" LEAVE));
        assert_int_equal(tcgetattr(s->fd, &now), 0);
        assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
        assert_int_equal(tcgetattr(s->fd, &now), 0);
        assert_int_equal(now.c_lflag, s->before.c_lflag);
        assert_memory_equal(now.c_cc, s->before.c_cc, sizeof(now.c_cc));
        (void) close(s->fd);
        return status;
}

static void resize(struct screen *s, unsigned short columns, unsigned short rows) {
        struct winsize size = { .ws_col = columns, .ws_row = rows };

        assert_int_equal(ioctl(s->fd, TIOCSWINSZ, &size), 0);
}

static void test_top_on_screen(void **state) {
        static struct screen s;
        int status;

        (void) state;
        assert_int_equal(setenv("TERM", "xterm", 1), 0);
        assert_int_equal(setenv("LC_ALL", "C.UTF-8", 1), 0);
        assert_int_equal(unsetenv("NO_COLOR"), 0);
        assert_int_equal(service_run(&service, measure, NULL), 0);
        /* It draws at once, and again only when something asks for it. */
        screen_start(&s, "top --interval 1h");
        assert_true(screen_await(&s, ENTER));
        assert_true(screen_await(&s, "\x1b[1;32mOK: 2 tiers"));
        assert_true(screen_await(&s, "█"));
        assert_true(screen_await(&s, "node 3: no memory"));
        resize(&s, 200, 50);
        assert_true(screen_await(&s, "every 1 h, q quits"));
        assert_true(screen_await(&s, "COLD"));
        assert_true(screen_await(&s, "node 3: no memory"));
        /* A new measurement, by any key. */
        assert_int_equal(service_run(&service, measure, NULL), 0);
        screen_key(&s, ' ');
        assert_true(screen_await(&s, "; moving "));
        assert_true(screen_await(&s, "MOVING"));
        screen_key(&s, 'q');
        status = screen_end(&s, true);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_top_signals(void **state) {
        static const int signals[] = { SIGTERM, SIGHUP, SIGQUIT };
        static struct screen s;
        int status;

        (void) state;
        assert_int_equal(setenv("TERM", "xterm", 1), 0);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                screen_start(&s, "top --interval 1h");
                assert_true(screen_await(&s, "node 3: no memory"));
                assert_int_equal(kill(s.pid, signals[i]), 0);
                status = screen_end(&s, true);
                assert_true(WIFSIGNALED(status));
                assert_int_equal(WTERMSIG(status), signals[i]);
        }

        /* Ctrl-C, by the terminal. */
        screen_start(&s, "top --interval 1h");
        assert_true(screen_await(&s, "node 3: no memory"));
        screen_key(&s, 3);
        status = screen_end(&s, true);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);

        /* Stopped, it gives the terminal back, and takes it again. */
        screen_start(&s, "top --interval 1h");
        assert_true(screen_await(&s, "node 3: no memory"));
        for (int i = 0; i < 3; i++) {
                struct termios now;

                assert_int_equal(kill(s.pid, SIGTSTP), 0);
                assert_true(screen_await(&s, "\x1b[?25h" LEAVE));
                assert_int_equal(waitpid(s.pid, &status, WUNTRACED), s.pid);
                assert_true(WIFSTOPPED(status));
                assert_int_equal(tcgetattr(s.fd, &now), 0);
                assert_int_equal(now.c_lflag, s.before.c_lflag);
                assert_int_equal(kill(s.pid, SIGCONT), 0);
                assert_true(screen_await(&s, ENTER));
                assert_true(screen_await(&s, "node 3: no memory"));
        }
        screen_key(&s, 'q');
        status = screen_end(&s, true);
        assert_true(WIFEXITED(status));
}

/* The terminal itself goes away: nobody is left to be shown anything. */
static void test_top_hung_up(void **state) {
        static struct screen s;
        int status;

        (void) state;
        assert_int_equal(setenv("TERM", "xterm", 1), 0);
        screen_start(&s, "top --interval 1h");
        assert_true(screen_await(&s, "node 3: no memory"));
        (void) close(s.fd);
        assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
}

static void test_top_modestly(void **state) {
        static struct screen s;
        int status;

        (void) state;
        assert_int_equal(service_run(&service, measure, NULL), 0);
        /* A terminal that knows no sequences gets none. */
        assert_int_equal(setenv("TERM", "dumb", 1), 0);
        screen_start(&s, "top --iterations 2 --interval 100ms");
        assert_true(screen_await(&s, "node 3: no memory"));
        assert_true(screen_await(&s, "node 3: no memory"));
        assert_null(strchr(s.seen, '\x1b'));
        status = screen_end(&s, false);
        assert_int_equal(status, 0);

        /* No colours, where none are wanted; and no blocks where they cannot be shown. */
        assert_int_equal(setenv("TERM", "xterm", 1), 0);
        assert_int_equal(setenv("NO_COLOR", "1", 1), 0);
        assert_int_equal(setenv("LC_ALL", "C", 1), 0);
        screen_start(&s, "top --interval 1h");
        assert_true(screen_await(&s, ENTER));
        assert_true(screen_await(&s, "\x1b[KOK: 2 tiers"));
        assert_true(screen_await(&s, "\x1b[KTIER"));
        assert_true(screen_await(&s, "HOT"));
        assert_true(screen_await(&s, "node 3: no memory"));
        screen_key(&s, 'q');
        (void) screen_end(&s, true);
}

/* The daemon goes, the bus goes, both come back; top stays. */
static void test_top_waits(void **state) {
        static struct screen s;
        struct service other;
        int status;

        (void) state;
        assert_int_equal(setenv("TERM", "xterm", 1), 0);
        service_start(&other);
        bus_await_name(client);
        assert_int_equal(service_run(&other, measure, NULL), 0);
        screen_start(&s, "top --interval 100ms");
        assert_true(screen_await(&s, "OK: 2 tiers"));
        service_stop(&other);
        assert_true(screen_await(&s, "GONE: tierd is not running"));
        service_start(&other);
        assert_true(screen_await(&s, "STALE: tierd has not measured"));
        service_stop(&other);
        assert_true(screen_await(&s, "GONE: tierd is not running"));
        test_bus_stop(&test_bus);
        assert_true(screen_await(&s, "GONE: cannot reach the system bus"));
        test_bus_start(&test_bus);
        service_start(&other);
        assert_true(screen_await(&s, "STALE: tierd has not measured"));
        screen_key(&s, 'q');
        status = screen_end(&s, true);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        service_stop(&other);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_no_bus, with_nothing, without_bus),
                cmocka_unit_test_setup_teardown(test_no_daemon, with_bus, without_bus),
                cmocka_unit_test_setup_teardown(test_reading, with_service, without_service),
                cmocka_unit_test_setup_teardown(test_control, with_service, without_service),
                cmocka_unit_test_setup_teardown(test_failures, with_service, without_service),
                cmocka_unit_test_setup_teardown(test_end_while_asked, with_service, without_service),
                cmocka_unit_test_setup_teardown(test_top_on_paper, with_service, without_service),
                cmocka_unit_test_setup_teardown(test_top_on_screen, with_service, without_service),
                cmocka_unit_test_setup_teardown(test_top_signals, with_service, without_service),
                cmocka_unit_test_setup_teardown(test_top_hung_up, with_service, without_service),
                cmocka_unit_test_setup_teardown(test_top_modestly, with_service, without_service),
                cmocka_unit_test_setup_teardown(test_top_waits, with_bus, without_bus),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
