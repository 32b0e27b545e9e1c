/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierd/bus.h"

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

/*
 * A bus of the test's own: dbus-daemon on a socket in a temporary directory, where anyone may do anything.
 * $DBUS_SYSTEM_BUS_ADDRESS
 * points to it, so that it is the system bus for everything that the test starts.
 */
struct test_bus {
        char path[64], address[128];
        pid_t pid;                      /* -1: not running */
};

void test_bus_new(struct test_bus *b);          /* the address, without a daemon yet */
void test_bus_start(struct test_bus *b);        /* returns when it takes connections */
void test_bus_stop(struct test_bus *b);
void test_bus_done(struct test_bus *b);
#define _cleanup_test_bus_ _cleanup_(test_bus_done)

/*
 * tierd's D-Bus service in a process of its own, without the rest of tierd: the snapshot is example_status(), and what callers
 * ask for is decided by the test.
 */
struct service {
        pid_t pid;
        int fd;
};

enum { WAITING_MAX = 128 };

/* What the service's process knows; service_run() hands it to functions that run there. */
struct served {
        sd_event *event;
        struct bus *bus;
        struct status *status;
        struct bus_request *waiting[WAITING_MAX];
        size_t n_waiting;
        bool hold;                      /* requests wait until serve_finish() */
        int error;                      /* how they are answered, else at once */
        char text[2048];
        unsigned reloads, pauses, resumes, drains, undrains;
        int drained;                    /* the node of the last of these two */
        int level;
        char target[16];
};

void service_start(struct service *s);

/*
 * Runs the function in the service's process, from its event loop, and returns what it returns. So it also shows that the loop
 * is not blocked: a service that does not get to it within the test's patience fails the test.
 */
typedef int (*served_function)(struct served *s, const char *text);
int service_run(struct service *s, served_function function, const char *text);

/* bus_free(), and the end of the process, which must be in order. */
void service_stop(struct service *s);

/* Ready-made functions. */
int serve_nothing(struct served *s, const char *text);
int serve_count_waiting(struct served *s, const char *text);
int serve_hold(struct served *s, const char *text);             /* from now on requests wait */
int serve_finish(struct served *s, const char *text);           /* those that wait are done, and the next ones at once */
int serve_refuse(struct served *s, const char *text);           /* from now on: -EBADMSG with this text */
int serve_announce(struct served *s, const char *text);         /* "all" or not */
int serve_count_reloads(struct served *s, const char *text);

/* Waits until tierd's name has an owner, and the owner knows it. */
void bus_await_name(sd_bus *bus);

/* A connection to the test's bus. */
sd_bus *bus_client(void);

/*
 * Calls a method of the manager without arguments. Returns 0, or the negative errno of the error, whose name and message are
 * copied.
 */
struct call_result {
        int error;
        char name[128], message[2048], text[65536];             /* text: what a method answers that returns a string */
};
/* `method` may have the number of a node behind it: "Drain 2". */
void bus_call_manager(sd_bus *bus, const char *method, bool interactive, struct call_result *ret);

/* The same by a process of another user (65534); ret->error is -EHOSTDOWN when it could not even begin. */
void bus_call_as_nobody(const char *method, bool interactive, struct call_result *ret);
void bus_set_as_nobody(const char *property, const char *value, struct call_result *ret);
