/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/bus-internal.h"

#include <errno.h>
#include <string.h>

/*
 * org.freedesktop.LogControl1, which `systemctl service-log-level` and `service-log-target` speak; the interface is described
 * in org.freedesktop.LogControl1(5).
 */

static const char *const level_names[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };
static const char *const target_names[] = { "auto", "journal", "console", "null" };

/* The index of the name, or -1. */
static int find_name(const char *const *names, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(names[i], name) == 0)
                        return (int) i;
        return -1;
}

#define UNUSED __attribute__((unused))

static int get_level(sd_bus *c UNUSED, const char *path UNUSED, const char *interface UNUSED, const char *property UNUSED,
                     sd_bus_message *reply, void *userdata, sd_bus_error *reterr UNUSED) {
        const struct bus *b = userdata;
        int level = b->handlers.get_level(b->userdata);

        return sd_bus_message_append(reply, "s",
                                     level >= 0 && (size_t) level < ELEMENTSOF(level_names) ? level_names[level] : "debug");
}

static int get_target(sd_bus *c UNUSED, const char *path UNUSED, const char *interface UNUSED, const char *property UNUSED,
                      sd_bus_message *reply, void *userdata, sd_bus_error *reterr UNUSED) {
        const struct bus *b = userdata;

        return sd_bus_message_append(reply, "s", b->handlers.get_target(b->userdata));
}

static int get_identifier(sd_bus *c UNUSED, const char *path UNUSED, const char *interface UNUSED,
                          const char *property UNUSED, sd_bus_message *reply, void *userdata UNUSED,
                          sd_bus_error *reterr UNUSED) {
        return sd_bus_message_append(reply, "s", "tierd");
}

/* Never called: on_call() takes every Set() that is right. It is here so that introspection shows what can be written. */
static int set_nothing(sd_bus *c UNUSED, const char *path UNUSED, const char *interface UNUSED, const char *property UNUSED,
                       sd_bus_message *value UNUSED, void *userdata UNUSED, sd_bus_error *reterr) {
        return sd_bus_error_setf(reterr, SD_BUS_ERROR_ACCESS_DENIED, "only root may change tierd's log");
}

static const sd_bus_vtable log_control_vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_nothing, 0, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_target, set_nothing, 0, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

/*
 * Sees every call of the object before the table does. A property's setter must answer at once, but who is asking is known
 * only when the bus has said so; so a Set() of the two settings becomes a request here. Anything else is left to the table,
 * which refuses what is wrong.
 */
static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *interface, *property, *value;
        struct bus *b = userdata;
        int i, r;

        if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Set") ||
            !sd_bus_message_has_signature(m, "ssv"))
                return 0;
        r = sd_bus_message_read(m, "ss", &interface, &property);
        if (r < 0)
                return r;
        if (strcmp(interface, LOG_CONTROL_INTERFACE) != 0 ||
            (strcmp(property, "LogLevel") != 0 && strcmp(property, "LogTarget") != 0) ||
            sd_bus_message_enter_container(m, 'v', "s") <= 0)
                return 0;
        r = sd_bus_message_read(m, "s", &value);
        if (r < 0)
                return r;

        if (strcmp(property, "LogLevel") == 0) {
                i = find_name(level_names, ELEMENTSOF(level_names), value);
                if (i < 0)
                        return sd_bus_error_setf(reterr, SD_BUS_ERROR_INVALID_ARGS, "there is no log level of this name");
                return request_begin(b, m, REQUEST_LOG_LEVEL, i, NULL, reterr);
        }
        i = find_name(target_names, ELEMENTSOF(target_names), value);
        if (i < 0)
                return sd_bus_error_setf(reterr, SD_BUS_ERROR_INVALID_ARGS,
                                         "there is no log target of this name; there are auto, journal, console and null");
        return request_begin(b, m, REQUEST_LOG_TARGET, 0, target_names[i], reterr);
}

int bus_add_log_control(struct bus *b) {
        int r;

        r = sd_bus_add_object_vtable(b->connection, NULL, LOG_CONTROL_PATH, LOG_CONTROL_INTERFACE, log_control_vtable, b);
        if (r < 0)
                return r;
        return sd_bus_add_object(b->connection, NULL, LOG_CONTROL_PATH, on_call, b);
}
