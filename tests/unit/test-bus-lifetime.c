/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/support/bus.h"
#include "tests/support/example-status.h"
#include "tierd/bus-internal.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* A bus that is not there, goes, comes back, or is none: tierd's loop goes on. */

#define PATIENCE_MS 60000

static struct test_bus test_bus;
static struct service service;
static struct call_result result;

static int set_up(void **state) {
        (void) state;
        test_bus_new(&test_bus);
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        test_bus_done(&test_bus);
        return 0;
}

static int count_requests(struct served *s, const char *text) {
        (void) text;
        return (int) s->bus->n_requests;
}

/* The loop turns: it takes a hundred errands. */
static void assert_turning(void) {
        for (int i = 0; i < 100; i++)
                assert_int_equal(service_run(&service, serve_announce, i % 2 ? "all" : ""), 0);
}

static void assert_served(void) {
        sd_bus *client = bus_client();

        bus_await_name(client);
        bus_call_manager(client, "Describe", false, &result);
        assert_int_equal(result.error, 0);
        (void) sd_bus_flush_close_unref(client);
}

static void test_late(void **state) {
        (void) state;
        service_start(&service);
        assert_turning();
        test_bus_start(&test_bus);
        assert_served();
        service_stop(&service);
}

/* Never there at all. */
static void test_never(void **state) {
        (void) state;
        service_start(&service);
        assert_turning();
        service_stop(&service);
}

static void test_restarted(void **state) {
        (void) state;
        test_bus_start(&test_bus);
        service_start(&service);
        for (int i = 0; i < 3; i++) {
                assert_served();
                test_bus_stop(&test_bus);
                assert_turning();
                test_bus_start(&test_bus);
        }
        assert_served();
        service_stop(&service);
}

/* The bus goes while requests are in the daemon's hands; it answers them all the same. */
static void test_gone_with_requests(void **state) {
        sd_bus *client;

        (void) state;
        if (geteuid() != 0)
                skip();
        test_bus_start(&test_bus);
        service_start(&service);
        client = bus_client();
        bus_await_name(client);
        assert_int_equal(service_run(&service, serve_hold, NULL), 0);
        for (int i = 0; i < 5; i++)
                assert_true(sd_bus_call_method_async(client, NULL, "org.tierd1", "/org/tierd1", "org.tierd1.Manager", "Reload",
                                                     NULL, NULL, NULL) >= 0);
        assert_true(sd_bus_flush(client) >= 0);
        while (service_run(&service, serve_count_waiting, NULL) < 5)
                (void) usleep(1000);
        test_bus_stop(&test_bus);
        (void) sd_bus_close_unref(client);
        assert_turning();
        assert_int_equal(service_run(&service, serve_finish, NULL), 0);
        assert_int_equal(service_run(&service, count_requests, NULL), 0);
        test_bus_start(&test_bus);
        assert_served();
        service_stop(&service);
}

/* A bus that is stopped: it takes what is written until its socket is full, and answers nothing. */
static void test_stopped(void **state) {
        sd_bus *client;

        (void) state;
        test_bus_start(&test_bus);
        service_start(&service);
        client = bus_client();
        bus_await_name(client);
        /* Also in the midst of a call, whose caller it would be asked for. */
        assert_true(sd_bus_call_method_async(client, NULL, "org.tierd1", "/org/tierd1", "org.tierd1.Manager", "Reload", NULL,
                                             NULL, NULL) >= 0);
        assert_true(sd_bus_flush(client) >= 0);
        assert_int_equal(kill(test_bus.pid, SIGSTOP), 0);
        for (int i = 0; i < 20; i++)
                assert_turning();
        assert_int_equal(kill(test_bus.pid, SIGCONT), 0);
        bus_call_manager(client, "Describe", false, &result);
        assert_int_equal(result.error, 0);
        (void) sd_bus_flush_close_unref(client);
        service_stop(&service);
}

static int flood(struct served *s, const char *text) {
        uint64_t queued;

        (void) text;
        for (int i = 0; i < 100000; i++) {
                s->status->turns++;
                s->status->nodes[0].free_bytes++;
                bus_announce(s->bus, true);
        }
        return sd_bus_get_n_queued_write(s->bus->connection, &queued) < 0 ? -1 : (int) queued;
}

/* What is announced meanwhile does not pile up, and the last of it is told later. */
static void test_backlog(void **state) {
        sd_bus *client;
        int queued;

        (void) state;
        test_bus_start(&test_bus);
        service_start(&service);
        client = bus_client();
        bus_await_name(client);
        assert_int_equal(kill(test_bus.pid, SIGSTOP), 0);
        queued = service_run(&service, flood, NULL);
        assert_true(queued > 100 && queued < 1000);
        assert_int_equal(kill(test_bus.pid, SIGCONT), 0);
        bus_call_manager(client, "Describe", false, &result);
        assert_int_equal(result.error, 0);
        (void) sd_bus_flush_close_unref(client);
        service_stop(&service);
}

/* Nor does it keep tierd from its end. */
static void test_end_while_stopped(void **state) {
        sd_bus *client;

        (void) state;
        test_bus_start(&test_bus);
        service_start(&service);
        client = bus_client();
        bus_await_name(client);
        assert_int_equal(kill(test_bus.pid, SIGSTOP), 0);
        assert_true(service_run(&service, flood, NULL) > 100);
        service_stop(&service);
        assert_int_equal(kill(test_bus.pid, SIGCONT), 0);
        (void) sd_bus_flush_close_unref(client);
}

/* -- what only looks like a bus -- */

static int listen_at(const struct test_bus *b) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", b->path);
        (void) unlink(address.sun_path);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 8), 0);
        return fd;
}

static int take_connection(int fd) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int connection;

        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(connection >= 0);
        return connection;
}

static void test_impostors(void **state) {
        static const char *const says[] = {
                /* Nothing at all; no; an authentication without a greeting; and no protocol. */
                NULL,
                "REJECTED NOTHING\r\n",
                "DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n",
                "HTTP/1.1 400 Bad Request\r\n\r\n",
                "DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\nl\x02\x01\x01\xff\xff\xff\xff",
        };
        int fd;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(says); i++) {
                int connection;

                fd = listen_at(&test_bus);
                service_start(&service);
                connection = take_connection(fd);
                if (says[i])
                        (void) send(connection, says[i], strlen(says[i]), MSG_NOSIGNAL);
                assert_turning();
                if (i > 0) {
                        /* Its end is noticed, and the next try is as good as the first. */
                        (void) shutdown(connection, SHUT_RDWR);
                        (void) close(connection);
                        (void) close(fd);
                        test_bus_start(&test_bus);
                        assert_served();
                        service_stop(&service);
                        test_bus_stop(&test_bus);
                } else {
                        service_stop(&service);
                        (void) close(connection);
                        (void) close(fd);
                }
        }
}

/* The name is another's: tierd waits its turn. */
static void test_name_taken(void **state) {
        sd_bus *other;

        (void) state;
        test_bus_start(&test_bus);
        other = bus_client();
        assert_true(sd_bus_request_name(other, "org.tierd1", 0) >= 0);
        service_start(&service);
        assert_turning();
        assert_true(sd_bus_release_name(other, "org.tierd1") >= 0);
        assert_served();
        (void) sd_bus_flush_close_unref(other);
        service_stop(&service);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_late, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_never, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_restarted, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_gone_with_requests, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_backlog, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_end_while_stopped, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_impostors, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_name_taken, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
