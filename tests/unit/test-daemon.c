/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "damon/ops.h"
#include "tests/support/bus.h"
#include "tests/support/tiered.h"
#include "tierd/daemon.h"
#include "tierd/drained.h"
#include "tierd/metrics.h"
#include "tierd/restore.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <time.h>

/* The daemon as a process of its own, on a scratch machine: its signals, what it tells systemd, and how it ends. */

#define PATIENCE_MS 60000

struct fixture {
        struct scratch *s;
        char *before;
        char run_path[128], config_path[128], log_path[128];
        int run, notify;
        bool metrics_hang;              /* metrics are written as write_hanging() does */
        pid_t pid;
};

static struct fixture fixture_new(enum scratch_kernel kernel) {
        struct fixture f = { .pid = -1 };
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        f.s = tiered_new(kernel, &f.run);
        f.before = scratch_snapshot(f.s);
        (void) snprintf(f.run_path, sizeof(f.run_path), "%s/run/tierd", f.s->path);
        (void) snprintf(f.config_path, sizeof(f.config_path), "%s/run/tierd.yaml", f.s->path);
        (void) snprintf(f.log_path, sizeof(f.log_path), "%s/run/log", f.s->path);
        scratch_put(f.s, "run/tierd.yaml", "telemetry: {interval: 1s}");
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/notify", f.s->path);
        f.notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_true(f.notify >= 0);
        assert_int_equal(bind(f.notify, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
        /* No bus: the machine's own is nobody's to test with. */
        assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/tierd-test-bus", 1), 0);
        return f;
}

static void fixture_done(struct fixture *f) {
        free(f->before);
        (void) close(f->run);
        (void) close(f->notify);
        scratch_free(f->s);
}
#define _cleanup_fixture_ _cleanup_(fixture_done)

/* For tests that do not read what it tells systemd: reports soon fill a socket that nobody reads. */
static struct fixture fixture_new_untold(enum scratch_kernel kernel) {
        struct fixture f = fixture_new(kernel);

        assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
        return f;
}

/* What goes to the journal, as lines of level and message. */
static int send_to_file(void *userdata, const struct iovec *fields, int n) {
        const char *message = "", *level = "";

        for (int i = 0; i < n; i++) {
                if (strncmp(fields[i].iov_base, "MESSAGE=", 8) == 0)
                        message = (const char *) fields[i].iov_base + 8;
                if (strncmp(fields[i].iov_base, "PRIORITY=", 9) == 0)
                        level = (const char *) fields[i].iov_base + 9;
        }
        (void) fprintf(userdata, "%s %s\n", level, message);
        (void) fflush(userdata);
        return 0;
}

/* A file system that hangs: each write of metrics says that it has begun, and goes on when the test lets it. */
static int begun[2], gate[2];

static int write_hanging(const char *text, const char *path, struct diag *reterr) {
        char c = 'x';

        if (write(begun[1], &c, 1) != 1 || read(gate[0], &c, 1) != 1)
                return diag_set(reterr, -EPIPE, "the test has gone");
        return metrics_write_file(text, path, reterr);
}

/* The daemon's life; its exit status is that of main.c. */
static int live(struct fixture *f) {
        _cleanup_fclose_ FILE *file = fopen(f->log_path, "ae");
        _cleanup_journal_ struct journal *journal = NULL;
        struct journal_sink sink = { .send = send_to_file, .userdata = file };
        struct daemon_options options = {
                .root = f->s->root, .run_directory = f->run_path, .config_path = f->config_path,
        };
        struct diag d = {};
        int r;

        if (!file || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || journal_new_to(LOG_INFO, &sink, &journal) < 0)
                return 3;
        if (f->metrics_hang)
                options.write_metrics = write_hanging;
        journal_set_target(journal, JOURNAL_JOURNAL);
        options.journal = journal;
        options.log = journal_log(journal);
        r = daemon_run(&options, &d);
        if (r < 0)
                log_write(options.log, LOG_ERR, "ended: %s", d.text);
        return r < 0;
}

/* Begins it; `faults` of the scratch are the child's. */
static void begin(struct fixture *f) {
        f->pid = fork();
        assert_true(f->pid >= 0);
        if (f->pid == 0) {
                int status = live(f);

                free(f->before);
                exit(status);
        }
}

/* Waits until systemd was told this; how many of the messages by then were for the watchdog. */
static unsigned told(struct fixture *f, const char *what) {
        struct pollfd p = { .fd = f->notify, .events = POLLIN };
        unsigned watchdog = 0;
        char text[1024];

        do {
                ssize_t n;

                if (poll(&p, 1, PATIENCE_MS) != 1)
                        fail_msg("\"%s\" was never told", what);
                n = recv(f->notify, text, sizeof(text) - 1, 0);
                assert_true(n >= 0);
                text[n] = '\0';
                watchdog += strcmp(text, "WATCHDOG=1") == 0;
        } while (!strstr(text, what));
        return watchdog;
}

static char log_text[65536];

static const char *logged(struct fixture *f) {
        FILE *file = fopen(f->log_path, "re");
        size_t n = file ? fread(log_text, 1, sizeof(log_text) - 1, file) : 0;

        log_text[n] = '\0';
        if (file)
                (void) fclose(file);
        return log_text;
}

static void wait_for_log(struct fixture *f, const char *what) {
        for (int i = 0; i < PATIENCE_MS / 10; i++) {
                if (strstr(logged(f), what))
                        return;
                (void) usleep(10000);
        }
        fail_msg("\"%s\" was never logged: %s", what, log_text);
}

static void ended(struct fixture *f, int expected) {
        int status = -1;

        assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
                fail_msg("wait status 0x%x: %s", (unsigned) status, logged(f));
}

/* Waits until the file is there, or not. */
static void wait_for_file(struct fixture *f, const char *path, bool there) {
        for (int i = 0; i < PATIENCE_MS / 10; i++) {
                if ((faccessat(f->s->root, path, F_OK, 0) == 0) == there)
                        return;
                (void) usleep(10000);
        }
        fail_msg("%s was never %s", path, there ? "there" : "gone");
}

static void configure_metrics(struct fixture *f, const char *name) {
        char text[256];

        (void) snprintf(text, sizeof(text), "telemetry: {interval: 100ms, metrics_file: %s/run/%s}", f->s->path, name);
        scratch_put(f->s, "run/tierd.yaml", text);
}

/* Everything as found, and no record left. */
static void as_found(struct fixture *f) {
        assert_as_found(f->s, f->before, "the end");
        assert_int_equal(faccessat(f->run, "state", F_OK, 0), -1);
}

/* Has the daemon read this configuration. */
static void reload(struct fixture *f, const char *configuration) {
        scratch_put(f->s, "run/tierd.yaml", configuration);
        assert_int_equal(kill(f->pid, SIGHUP), 0);
}

static void test_life(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);

        (void) state;
        begin(&f);
        told(&f, "READY=1");
        assert_string_equal(scratch_get(f.s, DAMON_ADMIN "/2/state"), "on");
        wait_for_log(&f, "tiers 0 > 1 > 2, ranked by memory_tiering\n");
        wait_for_log(&f, "stopped damon_stat");

        /* A good configuration, a bad one, and none. */
        reload(&f, "demote: {goal: {free: 10%}}");
        told(&f, "RELOADING=1");
        told(&f, "READY=1");
        wait_for_log(&f, "5 configuration reloaded");
        wait_for_log(&f, "aiming at 10% of node 0 free");
        reload(&f, "demote: {gaol: {free: 10%}}");
        told(&f, "READY=1");
        wait_for_log(&f, "tierd.yaml:1:10: ");
        wait_for_log(&f, "the configuration before stays in force");
        assert_null(strstr(logged(&f), "stays in force\nthe configuration before"));
        reload(&f, "nodes: {9: {managed: false}}");
        told(&f, "READY=1");
        wait_for_log(&f, "3 the configuration names node 9");

        /* There and back. */
        reload(&f, "tiers: [[0, 1, 2]]");
        told(&f, "STATUS=Nothing to manage");
        assert_as_found(f.s, f.before, "nothing to manage");
        reload(&f, "telemetry: {interval: 100ms}");
        told(&f, "STATUS=Managing 3 nodes");
        wait_for_log(&f, "6 demote 0 -> 1: ");

        assert_int_equal(kill(f.pid, SIGTERM), 0);
        told(&f, "STOPPING=1");
        ended(&f, 0);
        wait_for_log(&f, "5 stopped; everything is as it was before\n");
        as_found(&f);
}

/* While the start is at work: the order to stop, with others before and after it. */
static void send_several(const struct scratch *s) {
        if (s->writes == 100 || s->writes == 300) {
                assert_int_equal(kill(getpid(), SIGHUP), 0);
                assert_int_equal(kill(getpid(), SIGTERM), 0);
                assert_int_equal(kill(getpid(), SIGINT), 0);
        }
}

static void send_reload(const struct scratch *s) {
        if (s->writes == 100)
                assert_int_equal(kill(getpid(), SIGHUP), 0);
}

static void test_stop_during_start(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_6_18);

        (void) state;
        f.s->before_write = send_several;
        begin(&f);
        ended(&f, 0);
        assert_null(strstr(logged(&f), "managing"));
        as_found(&f);
}

static void test_reload_during_start(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_6_18);

        (void) state;
        f.s->before_write = send_reload;
        begin(&f);
        told(&f, "READY=1");
        told(&f, "RELOADING=1");
        told(&f, "READY=1");
        assert_int_equal(kill(f.pid, SIGINT), 0);
        ended(&f, 0);
        as_found(&f);
}

static void test_start_fails(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);

        (void) state;
        f.s->fault_at = 100;
        f.s->fault_error = -EIO;
        f.s->fault_times = 1;
        begin(&f);
        ended(&f, 1);
        wait_for_log(&f, "ended: /sys/kernel/mm/damon/admin/kdamonds/0/");
        wait_for_log(&f, ": Input/output error");
        as_found(&f);
        scratch_reset_faults(f.s);

        scratch_put(f.s, "run/tierd.yaml", "demote: no");
        begin(&f);
        ended(&f, 1);
        wait_for_log(&f, "tierd.yaml:1:9: ");
        as_found(&f);
}

static void test_second_and_killed(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        struct memory_log memory;
        struct daemon_options options = { .root = f.s->root, .run_directory = f.run_path, .log = &memory.log };
        struct diag d = {};
        pid_t first;
        int status;

        (void) state;
        memory_log_init(&memory);
        begin(&f);
        told(&f, "READY=1");
        first = f.pid;
        assert_int_equal(restore_run(&options, &d), -EBUSY);
        assert_non_null(strstr(d.text, "another tierd is running"));
        begin(&f);
        ended(&f, 1);
        wait_for_log(&f, "ended: another tierd is running");
        assert_string_equal(scratch_get(f.s, DAMON_ADMIN "/0/state"), "on");

        /* Killed, and a new one puts back before it starts. */
        assert_int_equal(kill(first, SIGKILL), 0);
        assert_int_equal(waitpid(first, &status, 0), first);
        begin(&f);
        told(&f, "READY=1");
        wait_for_log(&f, "an earlier tierd ended without");

        /* Killed, and one that cannot start puts back all the same. */
        assert_int_equal(kill(f.pid, SIGKILL), 0);
        assert_int_equal(waitpid(f.pid, &status, 0), f.pid);
        scratch_put(f.s, "run/tierd.yaml", "demote: no");
        begin(&f);
        ended(&f, 1);
        wait_for_log(&f, "tierd.yaml:1:9: ");
        as_found(&f);
        scratch_put(f.s, "run/tierd.yaml", "");
        begin(&f);
        told(&f, "READY=1");

        /* Killed, and --restore does. */
        assert_int_equal(kill(f.pid, SIGKILL), 0);
        assert_int_equal(waitpid(f.pid, &status, 0), f.pid);
        assert_int_equal(restore_run(&options, &d), 0);
        assert_string_equal(memory.text, "5 put back what an earlier tierd had changed\n");
        as_found(&f);
        assert_int_equal(restore_run(&options, &d), 0);
        as_found(&f);
}

static void test_kdamond_ends(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_6_12);

        (void) state;
        begin(&f);
        told(&f, "READY=1");
        scratch_make(f.s, DAMON_ADMIN "/1/state", "off", 0600);
        wait_for_log(&f, "4 node 1: the kdamond had ended by itself; it was started again");
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
        as_found(&f);
}

/* Turns fail, until it gives up. */
static void test_gives_up(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        static const char meminfo[] = "sys/devices/system/node/node1/meminfo";
        char text[512];

        (void) state;
        assert_true(file_read(f.s->root, meminfo, text, sizeof(text)) > 0);
        begin(&f);
        told(&f, "READY=1");
        scratch_put(f.s, meminfo, "rubbish");
        wait_for_log(&f, "4 turn failed, trying again: /sys/devices/system/node/node1/meminfo: ");
        ended(&f, 1);
        wait_for_log(&f, "3 ended: giving up after 5 failed turns in a row; the last: /sys/devices");
        text[strlen(text) - 1] = '\0';
        scratch_put(f.s, meminfo, text);
        as_found(&f);
}

/*
 * A node that goes away while the machine is read: the kernel names it still, and it has no numbers any more. The plan is tried
 * again after a while, not at once until tierd gives up; and no turn is made by the plan before.
 */
static void test_plan_fails(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        static const char meminfo[] = "sys/devices/system/node/node2/meminfo";
        char text[512];

        (void) state;
        assert_true(file_read(f.s->root, meminfo, text, sizeof(text)) > 0);
        text[strlen(text) - 1] = '\0';
        begin(&f);
        told(&f, "READY=1");
        assert_int_equal(unlinkat(f.s->root, meminfo, 0), 0);
        wait_for_log(&f, "missing, although the node is online (1 of 5)");
        /* An order waits as well. */
        assert_int_equal(kill(f.pid, SIGHUP), 0);
        scratch_put(f.s, meminfo, text);
        told(&f, "RELOADING=1");
        told(&f, "READY=1");
        wait_for_log(&f, "5 configuration reloaded");
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
        as_found(&f);

        /* For good: what cannot be planned is not managed. */
        begin(&f);
        told(&f, "READY=1");
        assert_int_equal(unlinkat(f.s->root, meminfo, 0), 0);
        ended(&f, 1);
        wait_for_log(&f, "giving up after 5 failed turns in a row; the last: ");
        scratch_put(f.s, meminfo, text);
        as_found(&f);
}

/* The job of a reload, once: it is in the kernel for five times what the watchdog allows. */
static void stay_in_kernel(const struct scratch *s) {
        struct timespec t = { .tv_nsec = 500000000 };
        static bool stayed;

        if (stayed || faccessat(s->root, "run/slow", F_OK, 0) < 0)
                return;
        stayed = true;
        (void) sd_notify(0, "X_SLOW=begins");
        while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
                ;
        (void) sd_notify(0, "X_SLOW=ends");
}

static void test_watchdog(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);

        (void) state;
        /* Many jobs, and not a message for each. */
        assert_int_equal(setenv("WATCHDOG_USEC", "3600000000", 1), 0);
        begin(&f);
        assert_int_equal(told(&f, "READY=1"), 0);
        for (unsigned i = 0; i < 10; i++) {
                assert_int_equal(kill(f.pid, SIGHUP), 0);
                assert_int_equal(told(&f, "READY=1"), 0);
        }
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);

        /* None while one is stuck, so that systemd ends it; else they come, with jobs or without. */
        assert_int_equal(setenv("WATCHDOG_USEC", "100000", 1), 0);
        f.s->before_write = stay_in_kernel;
        begin(&f);
        told(&f, "READY=1");
        told(&f, "WATCHDOG=1");
        scratch_put(f.s, "run/slow", "");
        reload(&f, "demote: {goal: {free: 10%}}");
        told(&f, "X_SLOW=begins");
        assert_int_equal(told(&f, "X_SLOW=ends"), 0);
        told(&f, "WATCHDOG=1");
        reload(&f, "tiers: [[0, 1, 2]]");
        told(&f, "STATUS=Nothing to manage");
        told(&f, "WATCHDOG=1");
        told(&f, "WATCHDOG=1");
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
        assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
        as_found(&f);
}

static void test_metrics_file(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new_untold(SCRATCH_7_2);

        (void) state;
        configure_metrics(&f, "a.prom");
        begin(&f);
        wait_for_file(&f, "run/a.prom", true);
        /* Another name, none, and a name again. */
        configure_metrics(&f, "b.prom");
        assert_int_equal(kill(f.pid, SIGHUP), 0);
        wait_for_file(&f, "run/b.prom", true);
        assert_int_equal(faccessat(f.s->root, "run/a.prom", F_OK, 0), -1);
        reload(&f, "telemetry: {interval: 100ms}");
        wait_for_file(&f, "run/b.prom", false);
        configure_metrics(&f, "nowhere/c.prom");
        assert_int_equal(kill(f.pid, SIGHUP), 0);
        wait_for_log(&f, "/run/nowhere/c.prom: cannot write the metrics: No such file or directory");
        configure_metrics(&f, "b.prom");
        assert_int_equal(kill(f.pid, SIGHUP), 0);
        wait_for_file(&f, "run/b.prom", true);
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
        assert_int_equal(faccessat(f.s->root, "run/b.prom", F_OK, 0), -1);
        as_found(&f);
}

/* As long as run/churn is there: with every plan that is written a new group is below the excluded one by then. */
static void churn(const struct scratch *s) {
        static unsigned writes, made;
        char path[64];

        if (++writes % 100 > 0 || faccessat(s->root, "run/churn", F_OK, 0) < 0)
                return;
        (void) snprintf(path, sizeof(path), "sys/fs/cgroup/db.slice/%u", ++made);
        (void) mkdirat(s->root, path, 0755);
        (void) snprintf(path, sizeof(path), "sys/fs/cgroup/db.slice/%u/memory.stat", made);
        (void) mknodat(s->root, path, S_IFREG | 0644, 0);
}

/* Begins it beside a bus of its own; returns a caller's connection, once it is there to be called. */
static sd_bus *begin_on_bus(struct fixture *f, struct test_bus *bus) {
        sd_bus *client;

        test_bus_new(bus);
        test_bus_start(bus);
        begin(f);
        client = bus_client();
        bus_await_name(client);
        return client;
}

/* No turn finds the plan to fit: a pause is in force all the same, a reload is done; a resume waits until there is peace. */
static void test_groups_all_the_time(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new_untold(SCRATCH_7_2);
        _cleanup_test_bus_ struct test_bus bus;
        _cleanup_free_ struct call_result *result = calloc(1, sizeof(*result));
        sd_bus *client;

        (void) state;
        assert_non_null(result);
        scratch_put(f.s, "run/tierd.yaml", "exclude: [{cgroup: /db.slice}]\ntuning: {tuner: kernel}");
        f.s->before_write = churn;
        client = begin_on_bus(&f, &bus);
        scratch_put(f.s, "run/churn", "");
        scratch_put(f.s, "sys/fs/cgroup/db.slice/first/memory.stat", "");
        wait_for_log(&f, "5 the plan is made again for the control groups that are excluded");
        bus_call_manager(client, "Pause", false, result);
        if (result->error != 0)
                fail_msg("%s", result->text);
        assert_int_equal(kill(f.pid, SIGHUP), 0);
        wait_for_log(&f, "5 configuration reloaded");
        assert_int_equal(unlinkat(f.s->root, "run/churn", 0), 0);
        bus_call_manager(client, "Resume", false, result);
        assert_int_equal(result->error, 0);
        sd_bus_flush_close_unref(client);
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
}

static unsigned count_on(struct scratch *s) {
        unsigned n = 0;

        for (unsigned i = 0; i < 3; i++)
                n += strcmp(scratch_getf(s, DAMON_ADMIN "/%u/state", i), "on") == 0;
        return n;
}

/* Emptied nodes stay out of every plan, reloads' too, until they are given back. */
static void test_drain(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new_untold(SCRATCH_7_2);
        _cleanup_test_bus_ struct test_bus bus;
        _cleanup_free_ struct call_result *result = calloc(1, sizeof(*result));
        sd_bus *client;

        (void) state;
        assert_non_null(result);
        client = begin_on_bus(&f, &bus);
        bus_call_manager(client, "Drain 9", false, result);
        assert_string_equal(result->name, "org.tierd1.Error.NoSuchNode");
        assert_non_null(strstr(result->message, "no node 9"));
        bus_call_manager(client, "Drain -1", false, result);
        assert_string_equal(result->name, "org.tierd1.Error.NoSuchNode");

        bus_call_manager(client, "Drain 2", false, result);
        assert_int_equal(result->error, 0);
        /* In force when it is answered: two nodes are left, and no scheme goes to the third. */
        assert_int_equal(count_on(f.s), 2);
        bus_call_manager(client, "Describe", false, result);
        assert_null(strstr(result->text, "\"target\": 2"));
        assert_null(strstr(result->text, "\"source\": 2"));
        assert_non_null(strstr(result->text, "\"target\": 1"));
        assert_non_null(strstr(result->text, "\"left_alone\": true"));
        bus_call_manager(client, "Drain 2", false, result);
        assert_int_equal(result->error, 0);
        bus_call_manager(client, "Reload", false, result);
        assert_int_equal(result->error, 0);
        assert_int_equal(count_on(f.s), 2);
        bus_call_manager(client, "Drain 1", false, result);
        assert_int_equal(result->error, 0);
        assert_int_equal(count_on(f.s), 0);

        bus_call_manager(client, "Undrain 1", false, result);
        assert_int_equal(result->error, 0);
        bus_call_manager(client, "Undrain 2", false, result);
        assert_int_equal(result->error, 0);
        assert_int_equal(count_on(f.s), 3);
        bus_call_manager(client, "Describe", false, result);
        assert_non_null(strstr(result->text, "\"target\": 2"));
        assert_null(strstr(result->text, "\"left_alone\": true"));
        sd_bus_flush_close_unref(client);
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
        as_found(&f);
}

/* Begins it anew, with a bus of its own; how many nodes it manages, and whether one is left alone. */
static unsigned managed_anew(struct fixture *f, const char *order, bool *ret_left_alone) {
        _cleanup_test_bus_ struct test_bus bus;
        _cleanup_free_ struct call_result *result = calloc(1, sizeof(*result));
        sd_bus *client;
        unsigned n;

        assert_non_null(result);
        client = begin_on_bus(f, &bus);
        for (int i = 0; i < PATIENCE_MS / 10; i++) {
                bus_call_manager(client, "Describe", false, result);
                if (!strstr(result->text, "\"state\": \"starting\""))
                        break;
                (void) usleep(10000);
        }
        *ret_left_alone = strstr(result->text, "\"left_alone\": true");
        n = count_on(f->s);
        if (order) {
                bus_call_manager(client, order, false, result);
                if (result->error != 0)
                        fail_msg("%s: %s", order, result->message);
        }
        sd_bus_flush_close_unref(client);
        return n;
}

/* A tierd that is started anew, after an orderly end or another, leaves alone what the one before did, until the next boot. */
static void test_drained_before(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new_untold(SCRATCH_7_2);
        static const char meminfo[] = "sys/devices/system/node/node2/meminfo";
        char text[80], numbers[512];
        bool left_alone;
        int status;

        (void) state;
        assert_int_equal(managed_anew(&f, "Drain 2", &left_alone), 3);
        assert_false(left_alone);
        assert_true(file_read(f.run, DRAINED_RECORD, text, sizeof(text)) > 0);
        assert_string_equal(text, "tierd 1 boot 6ff33a5c-6ab6-4e0c-9d1c-3f1d6b1e2a01 nodes 2\n");
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
        as_found(&f);
        assert_int_equal(managed_anew(&f, "Drain 1", &left_alone), 2);
        assert_true(left_alone);
        wait_for_log(&f, "5 node 2 was drained before this start, and is left alone until its memory has gone, or `tierctl "
                         "undrain 2`");
        assert_int_equal(kill(f.pid, SIGKILL), 0);
        assert_int_equal(waitpid(f.pid, &status, 0), f.pid);

        /* With nothing to manage, and back. */
        assert_int_equal(managed_anew(&f, "Undrain 1", &left_alone), 0);
        wait_for_log(&f, "5 node 1 was drained before this start");
        assert_int_equal(count_on(f.s), 2);
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);

        /* What has gone in between is used when it comes again. */
        assert_true(file_read(f.s->root, meminfo, numbers, sizeof(numbers)) > 0);
        numbers[strlen(numbers) - 1] = '\0';
        scratch_put(f.s, meminfo, "Node 2 MemTotal: 0 kB\nNode 2 MemFree: 0 kB");
        assert_int_equal(managed_anew(&f, NULL, &left_alone), 2);
        assert_int_equal(faccessat(f.run, DRAINED_RECORD, F_OK, 0), -1);
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
        scratch_put(f.s, meminfo, numbers);
        assert_int_equal(managed_anew(&f, "Drain 0", &left_alone), 3);
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);

        /* Another boot knows of nothing; nor does anybody of a record that is none. */
        tiered_reboot(f.s);
        assert_int_equal(managed_anew(&f, NULL, &left_alone), 3);
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
        scratch_put(f.s, "run/tierd/drained", "node 1");
        assert_int_equal(managed_anew(&f, NULL, &left_alone), 3);
        wait_for_log(&f, "4 /run/tierd/drained: this record of drained nodes is damaged; every node is used");
        assert_int_equal(faccessat(f.run, DRAINED_RECORD, F_OK, 0), -1);
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
}

/* Whom the configuration leaves alone can be drained, which changes nothing, and is left alone when it is given back. */
static void test_drain_unmanaged(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new_untold(SCRATCH_7_2);
        bool left_alone;

        (void) state;
        scratch_put(f.s, "run/tierd.yaml", "nodes: {2: {managed: false}}");
        assert_int_equal(managed_anew(&f, "Drain 2", &left_alone), 2);
        assert_true(left_alone);
        assert_int_equal(count_on(f.s), 2);
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
        assert_int_equal(managed_anew(&f, "Undrain 2", &left_alone), 2);
        assert_true(left_alone);
        assert_int_equal(count_on(f.s), 2);
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        ended(&f, 0);
        as_found(&f);
}

static void one_began(void) {
        struct pollfd p = { .fd = begun[0], .events = POLLIN };
        char c;

        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        assert_int_equal(read(begun[0], &c, 1), 1);
}

/* A hung file system stops neither turns nor bus nor reloads, and everything is put back before the daemon ends without it. */
static void test_metrics_hang(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new_untold(SCRATCH_7_2);
        _cleanup_test_bus_ struct test_bus bus;
        _cleanup_free_ struct call_result *result = calloc(1, sizeof(*result));
        sd_bus *client;

        (void) state;
        assert_non_null(result);
        assert_int_equal(pipe2(begun, O_CLOEXEC), 0);
        assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
        test_bus_new(&bus);
        test_bus_start(&bus);
        f.metrics_hang = true;
        configure_metrics(&f, "tierd.prom");
        begin(&f);
        one_began();
        wait_for_log(&f, "tierd.prom: the metrics are not written any more: a write begun 3 s ago has not ended");
        scratch_make(f.s, DAMON_ADMIN "/1/state", "off", 0600);
        wait_for_log(&f, "4 node 1: the kdamond had ended by itself; it was started again");
        client = bus_client();
        bus_await_name(client);
        bus_call_manager(client, "Metrics", false, result);
        assert_int_equal(result->error, 0);
        assert_non_null(strstr(result->text, "tierd_"));
        assert_int_equal(kill(f.pid, SIGHUP), 0);
        wait_for_log(&f, "5 configuration reloaded");
        assert_int_equal(faccessat(f.s->root, "run/tierd.prom", F_OK, 0), -1);

        /* It comes back, and the next write hangs again. */
        assert_int_equal(write(gate[1], "x", 1), 1);
        wait_for_file(&f, "run/tierd.prom", true);
        one_began();
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        wait_for_log(&f, "5 stopped; everything is as it was before\n");
        as_found(&f);
        ended(&f, 0);
        wait_for_log(&f, "4 the metrics file is not removed: its file system does not answer");
        assert_int_equal(unlinkat(f.s->root, "run/tierd.prom", 0), 0);
        sd_bus_flush_close_unref(client);

        /* One that comes back in time is followed by the removal. */
        assert_int_equal(unlink(f.log_path), 0);
        begin(&f);
        one_began();
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        wait_for_log(&f, "5 stopped; everything is as it was before\n");
        assert_int_equal(write(gate[1], "x", 1), 1);
        ended(&f, 0);
        assert_int_equal(faccessat(f.s->root, "run/tierd.prom", F_OK, 0), -1);
        as_found(&f);
        for (int i = 0; i < 2; i++) {
                (void) close(begun[i]);
                (void) close(gate[i]);
        }
}

/* What a Pause is answered with. */
struct answer {
        bool came;
        char name[128], message[2048];
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct answer *a = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        (void) error;
        a->came = true;
        (void) snprintf(a->name, sizeof(a->name), "%s", e && e->name ? e->name : "");
        (void) snprintf(a->message, sizeof(a->message), "%s", e && e->message ? e->message : "");
        return 0;
}

static void ask(sd_bus *client, const char *method, struct answer *a) {
        *a = (struct answer) {};
        assert_true(sd_bus_call_method_async(client, NULL, "org.tierd1", "/org/tierd1", "org.tierd1.Manager", method, on_answer,
                                             a, NULL) >= 0);
        assert_true(sd_bus_flush(client) >= 0);
}

static void process(sd_bus *client) {
        int r;

        while ((r = sd_bus_process(client, NULL)) > 0)
                ;
        assert_true(r >= 0);
}

static void await(sd_bus *client, const struct answer *a) {
        process(client);
        while (!a->came) {
                if (sd_bus_wait(client, (uint64_t) PATIENCE_MS * 1000) <= 0)
                        fail_msg("no answer came");
                process(client);
        }
}

static uint64_t failed_turns(sd_bus *client) {
        uint64_t n = 0;

        assert_true(sd_bus_get_property_trivial(client, "org.tierd1", "/org/tierd1", "org.tierd1.Manager", "FailedTurns", NULL,
                                                't', &n) >= 0);
        return n;
}

static unsigned at_rest(struct fixture *f) {
        unsigned n = 0;

        for (int node = 0; node < 3; node++)
                n += strcmp(scratch_getf(f->s, DAMON_ADMIN "/%d/contexts/0/schemes/0/quotas/bytes", node), "1") == 0;
        return n;
}

/* A pause whose turn fails stands until one goes well, and is answered then; or tierd gives up, and says so. */
static void test_pause_and_failure(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new_untold(SCRATCH_7_2);
        _cleanup_test_bus_ struct test_bus bus;
        static const char meminfo[] = "sys/devices/system/node/node1/meminfo";
        struct answer a;
        char text[512];
        uint64_t failed;
        sd_bus *client;

        (void) state;
        if (geteuid() != 0)
                skip();
        assert_true(file_read(f.s->root, meminfo, text, sizeof(text)) > 0);
        text[strlen(text) - 1] = '\0';
        test_bus_new(&bus);
        test_bus_start(&bus);
        begin(&f);
        client = bus_client();
        bus_await_name(client);
        ask(client, "Pause", &a);
        await(client, &a);
        assert_string_equal(a.message, "");
        assert_int_equal(at_rest(&f), 3);
        ask(client, "Resume", &a);
        await(client, &a);
        assert_string_equal(a.message, "");

        scratch_put(f.s, meminfo, "rubbish");
        wait_for_log(&f, "4 turn failed, trying again: /sys/devices/system/node/node1/meminfo: ");
        ask(client, "Pause", &a);
        failed = failed_turns(client);
        for (int i = 0; i < PATIENCE_MS / 10 && failed_turns(client) == failed; i++)
                (void) usleep(10000);
        process(client);
        assert_false(a.came);
        scratch_put(f.s, meminfo, text);
        await(client, &a);
        assert_string_equal(a.message, "");
        assert_int_equal(at_rest(&f), 3);

        scratch_put(f.s, meminfo, "rubbish");
        ask(client, "Resume", &a);
        await(client, &a);
        assert_string_equal(a.name, "org.tierd1.Error.Failed");
        assert_non_null(strstr(a.message, "giving up after 5 failed turns in a row; the last: /sys/devices"));
        ended(&f, 1);
        sd_bus_flush_close_unref(client);
        scratch_put(f.s, meminfo, text);
        as_found(&f);
}

/* Where the configuration makes the kernel take long, systemd is asked for more time, and for less when it is over. */
static void test_patience(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);

        (void) state;
        assert_int_equal(setenv("WATCHDOG_USEC", "120000000", 1), 0);
        scratch_put(f.s, "run/tierd.yaml", "monitoring: {aggregate: 10s}");
        begin(&f);
        told(&f, "WATCHDOG_USEC=420000000");
        told(&f, "EXTEND_TIMEOUT_USEC=420000000");
        told(&f, "READY=1");
        reload(&f, "monitoring: {aggregate: 20s}");
        told(&f, "RELOADING=1");
        told(&f, "WATCHDOG_USEC=720000000");
        told(&f, "EXTEND_TIMEOUT_USEC=720000000");
        told(&f, "READY=1");
        /* The way to a faster one is as slow as what is left. */
        reload(&f, "");
        told(&f, "EXTEND_TIMEOUT_USEC=720000000");
        told(&f, "WATCHDOG_USEC=120000000");
        told(&f, "READY=1");
        reload(&f, "monitoring: {auto: {sample_max: 1s}}");
        told(&f, "WATCHDOG_USEC=720000000");
        assert_int_equal(kill(f.pid, SIGTERM), 0);
        told(&f, "EXTEND_TIMEOUT_USEC=720000000");
        told(&f, "STOPPING=1");
        ended(&f, 0);
        as_found(&f);
        assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
}

/* The privileged step changes what the daemon would want changed, and nothing where it would have nothing to manage. */
static void test_prepare(void **state) {
        static const char *const idle[] = {
                "tiers: [[0, 1, 2]]",
                "demote: {enabled: false}\npromote: {enabled: false}",
                "nodes: {0: {managed: false}, 1: {managed: false}, 2: {managed: false}}",
        };
        static const char balancing[] = "proc/sys/kernel/numa_balancing";
        _cleanup_fixture_ struct fixture f = fixture_new(SCRATCH_7_2);
        struct memory_log memory;
        struct daemon_options options = {
                .root = f.s->root, .run_directory = f.run_path, .config_path = f.config_path, .log = &memory.log,
        };
        struct diag d = {};

        (void) state;
        memory_log_init(&memory);
        for (size_t i = 0; i < ELEMENTSOF(idle); i++) {
                scratch_put(f.s, "run/tierd.yaml", idle[i]);
                assert_int_equal(prepare_run(&options, &d), 0);
                assert_string_equal(scratch_get(f.s, balancing), "1");
                scratch_put(f.s, "run/tierd.yaml", "");
                assert_int_equal(prepare_run(&options, &d), 0);
                assert_string_equal(scratch_get(f.s, balancing), "0");
        }
        /* What is wrong changes nothing; what was managed and is no more is put back. */
        scratch_put(f.s, "run/tierd.yaml", "demote: no");
        assert_int_equal(prepare_run(&options, &d), -EBADMSG);
        assert_string_equal(scratch_get(f.s, balancing), "0");
        scratch_put(f.s, "run/tierd.yaml", idle[1]);
        assert_int_equal(prepare_run(&options, &d), 0);
        assert_string_equal(scratch_get(f.s, balancing), "1");
        assert_int_equal(faccessat(f.run, SAVED_PRIVILEGED, F_OK, 0), -1);

        scratch_put(f.s, "run/tierd.yaml", "");
        assert_int_equal(prepare_run(&options, &d), 0);
        assert_int_equal(restore_run(&options, &d), 0);
        assert_string_equal(memory.text, "5 put back what an earlier tierd had changed\n");
        as_found(&f);

        /* Where the daemon could not start for want of DAMON, it says so at once. */
        scratch_remove(f.s, "sys/kernel/mm/damon");
        assert_int_equal(prepare_run(&options, &d), -ENOENT);
        assert_non_null(strstr(d.text, "CONFIG_DAMON"));
        assert_string_equal(scratch_get(f.s, balancing), "1");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_life),
                cmocka_unit_test(test_stop_during_start),
                cmocka_unit_test(test_reload_during_start),
                cmocka_unit_test(test_start_fails),
                cmocka_unit_test(test_second_and_killed),
                cmocka_unit_test(test_kdamond_ends),
                cmocka_unit_test(test_gives_up),
                cmocka_unit_test(test_plan_fails),
                cmocka_unit_test(test_watchdog),

                cmocka_unit_test(test_metrics_file),
                cmocka_unit_test(test_groups_all_the_time),
                cmocka_unit_test(test_metrics_hang),
                cmocka_unit_test(test_drain),
                cmocka_unit_test(test_drained_before),
                cmocka_unit_test(test_drain_unmanaged),
                cmocka_unit_test(test_pause_and_failure),
                cmocka_unit_test(test_patience),
                cmocka_unit_test(test_prepare),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
