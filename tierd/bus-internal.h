/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierd/bus.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* What the files of the D-Bus service share. */

#define BUS_NAME "org.tierd1"
#define BUS_PATH "/org/tierd1"
#define BUS_PATH_NODES BUS_PATH "/node"
#define BUS_PATH_SCHEMES BUS_PATH "/scheme"
#define BUS_MANAGER "org.tierd1.Manager"
#define BUS_NODE "org.tierd1.Node"
#define BUS_SCHEME "org.tierd1.Scheme"
#define BUS_ERROR(name) "org.tierd1.Error." name

#define LOG_CONTROL_PATH "/org/freedesktop/LogControl1"
#define LOG_CONTROL_INTERFACE "org.freedesktop.LogControl1"

/* The bus itself, which knows who its callers are. */
#define DRIVER_NAME "org.freedesktop.DBus"
#define DRIVER_PATH "/org/freedesktop/DBus"
#define DRIVER_INTERFACE "org.freedesktop.DBus"

struct announced;

struct bus {
        sd_event *event;                /* a reference */
        struct bus_handlers handlers;
        void *userdata;
        const struct log *log;

        sd_bus *connection;             /* NULL: between two tries */
        sd_bus_slot *name_call;
        sd_event_source *timer;         /* the next try; while one is under way: its end */
        bool serving;                   /* the name is ours */
        uint64_t delay_us;              /* before the next try */
        char trouble[256];              /* what was told last */

        struct bus_request *requests;
        size_t n_requests, n_at_polkit;
        uint64_t n_questions;           /* to polkit: each has a name of its own */

        struct announced *announced;
};

static inline void message_unrefp(sd_bus_message **m) {
        (void) sd_bus_message_unref(*m);
}
#define _cleanup_message_ _cleanup_(message_unrefp)

/* -- bus-objects.c: what there is to be read -- */

/* Adds the manager's, the nodes' and the schemes' objects. 0 or a negative errno. */
int bus_add_objects(struct bus *b);

#define OBJECT_PATH_MAX 80
const char *node_path(const struct status_node *n, char buf[static OBJECT_PATH_MAX]);
const char *scheme_path(const struct status_scheme *s, char buf[static OBJECT_PATH_MAX]);

/* -- bus-log-control.c -- */

int bus_add_log_control(struct bus *b);

/* -- bus-announce.c: what watchers are told -- */

/* Takes the present snapshot for known: who comes to a fresh connection reads it. 0 or -ENOMEM. */
int bus_announce_begin(struct bus *b);
void bus_announce_end(struct bus *b);

/* -- bus-request.c: callers that want something done -- */

enum request_kind {
        REQUEST_RELOAD,
        REQUEST_PAUSE,
        REQUEST_RESUME,
        REQUEST_DRAIN,
        REQUEST_UNDRAIN,
        REQUEST_LOG_LEVEL,
        REQUEST_LOG_TARGET,
};

/*
 * Finds out who asks, has it done if they may, and answers. `number` is the node to be drained, or the log's level;
 * `target` (a constant string) the log's target. Returns 1; or a negative errno with an error for the caller, from a method's
 * handler.
 */
int request_begin(struct bus *b, sd_bus_message *m, enum request_kind kind, int number, const char *target,
                  sd_bus_error *reterr);

/* Every caller is gone with the connection; what waits in the daemon ends there as if somebody waited. */
void requests_abandon(struct bus *b);

/* tierd stops: tells every caller, and ends the requests, those in the daemon too. */
void requests_end(struct bus *b);
