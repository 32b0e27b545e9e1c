/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tierd/watchdog.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define HOUR_US UINT64_C(3600000000)
/* Long against nothing: only a loop that hangs takes it. */
#define PATIENCE_US UINT64_C(60000000)

/* An event loop as the daemon's, and systemd's end of what it is told. */
struct desk {
        sd_event *event;
        int notify;
        struct watchdog *watchdog;
};

static void desk_done(struct desk *k) {
        k->watchdog = watchdog_free(k->watchdog);
        sd_event_unref(k->event);
        (void) close(k->notify);
        assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
        assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}
#define _cleanup_desk_ _cleanup_(desk_done)

static struct desk desk_new(uint64_t allowed_us) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        socklen_t len = sizeof(address);
        struct desk k = {};
        char text[128];

        /* The kernel finds a name that is free, in no directory. */
        k.notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(k.notify >= 0);
        assert_int_equal(bind(k.notify, (struct sockaddr *) &address, sizeof(address.sun_family)), 0);
        assert_int_equal(getsockname(k.notify, (struct sockaddr *) &address, &len), 0);
        (void) snprintf(text, sizeof(text), "@%.*s", (int) (len - offsetof(struct sockaddr_un, sun_path) - 1),
                        address.sun_path + 1);
        assert_int_equal(setenv("NOTIFY_SOCKET", text, 1), 0);
        (void) snprintf(text, sizeof(text), "%llu", (unsigned long long) allowed_us);
        assert_int_equal(setenv("WATCHDOG_USEC", text, 1), 0);
        assert_int_equal(sd_event_new(&k.event), 0);
        assert_int_equal(watchdog_new(k.event, &k.watchdog), 0);
        assert_non_null(k.watchdog);
        return k;
}

/* How often systemd was told since this was last asked. */
static unsigned told(struct desk *k) {
        unsigned times = 0;
        char text[64];
        ssize_t n;

        while ((n = recv(k->notify, text, sizeof(text) - 1, 0)) > 0) {
                text[n] = '\0';
                assert_string_equal(text, "WATCHDOG=1");
                times++;
        }
        assert_int_equal(errno, EAGAIN);
        return times;
}

static int on_passed(sd_event_source *source, uint64_t usec, void *userdata) {
        bool *passed = userdata;

        (void) source;
        (void) usec;
        *passed = true;
        return 0;
}

/* The loop goes on until its own clock says that this has passed: timers that were due earlier have had their turn. */
static void pass(struct desk *k, uint64_t us) {
        sd_event_source *timer = NULL;
        bool passed = false;

        assert_int_equal(sd_event_add_time_relative(k->event, &timer, CLOCK_MONOTONIC, us, 1, on_passed, &passed), 0);
        while (!passed)
                assert_true(sd_event_run(k->event, PATIENCE_US) > 0);
        sd_event_source_unref(timer);
}

static void job(struct desk *k) {
        watchdog_job_begins(k->watchdog);
        (void) sd_event_run(k->event, 0);
        watchdog_job_done(k->watchdog);
}

static void test_unwatched(void **state) {
        sd_event *event = NULL;
        struct watchdog *w = NULL;

        (void) state;
        assert_int_equal(sd_event_new(&event), 0);
        assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
        assert_int_equal(watchdog_new(event, &w), 0);
        assert_null(w);
        watchdog_job_begins(w);
        watchdog_job_done(w);
        assert_null(watchdog_free(w));
        assert_int_equal(setenv("WATCHDOG_USEC", "soon", 1), 0);
        assert_true(watchdog_new(event, &w) < 0);
        assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
        sd_event_unref(event);
}

/* Nothing to do: by the timer alone, again and again. */
static void test_no_job(void **state) {
        _cleanup_desk_ struct desk k = desk_new(20000);
        unsigned times = 0;

        (void) state;
        while (times < 5) {
                assert_true(sd_event_run(k.event, PATIENCE_US) > 0);
                times += told(&k);
        }
}

/* At rest: jobs all the time, each of which is soon done. */
static void test_many_jobs(void **state) {
        _cleanup_desk_ struct desk k = desk_new(HOUR_US);

        (void) state;
        for (unsigned i = 0; i < 10000; i++)
                job(&k);
        assert_int_equal(told(&k), 0);
}

/* A job that may take its time has most of what is allowed; then the jobs that follow send nothing for a while. */
static void test_job_after_a_while(void **state) {
        _cleanup_desk_ struct desk k = desk_new(800000);

        (void) state;
        pass(&k, 100000);
        watchdog_job_begins(k.watchdog);
        assert_int_equal(told(&k), 1);
        watchdog_job_done(k.watchdog);
        watchdog_job_begins(k.watchdog);
        watchdog_job_done(k.watchdog);
        assert_int_equal(told(&k), 0);
}

/* One that is stuck: not a word, however long, until it is done. */
static void test_stuck_job(void **state) {
        _cleanup_desk_ struct desk k = desk_new(20000);

        (void) state;
        watchdog_job_begins(k.watchdog);
        (void) told(&k);
        pass(&k, UINT64_C(10) * 20000);
        assert_int_equal(told(&k), 0);
        watchdog_job_done(k.watchdog);
        assert_int_equal(told(&k), 1);
        /* And life goes on. */
        while (told(&k) == 0)
                assert_true(sd_event_run(k.event, PATIENCE_US) > 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unwatched),
                cmocka_unit_test(test_no_job),
                cmocka_unit_test(test_many_jobs),
                cmocka_unit_test(test_job_after_a_while),
                cmocka_unit_test(test_stuck_job),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
