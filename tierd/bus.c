/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/bus.h"
#include "tierd/bus-internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

/*
 * The connection: made, named, lost and made again. No call here waits for an answer: connecting, greeting the bus and asking
 * for the name are all under way in the event loop, and one timer bounds the whole of it.
 */

#define SYSTEM_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"

/* A bus that was restarted is back within a second or two; one that is not there at all costs four wake-ups a minute. */
#define DELAY_MIN_US UINT64_C(1000000)
#define DELAY_MAX_US UINT64_C(16000000)
/* From opening the connection to having the name. On a busy machine the bus answers late, but it does. */
#define GREETING_MAX_US UINT64_C(30000000)

/* Below the worker's results, timers and signals: a flood of calls does not keep tierd from its turns. */
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

/* Says what is wrong with the bus, once for as long as it is the same. */
static void __attribute__((format(printf, 3, 4))) tell_trouble(struct bus *b, int level, const char *format, ...) {
        char text[sizeof(b->trouble)];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (strcmp(text, b->trouble) == 0)
                return;
        memcpy(b->trouble, text, sizeof(text));
        log_write(b->log, level, "D-Bus: %s", text);
}

static void arm(struct bus *b, uint64_t delay_us) {
        (void) sd_event_source_set_time_relative(b->timer, delay_us);
        (void) sd_event_source_set_enabled(b->timer, SD_EVENT_ONESHOT);
}

static void try_again_later(struct bus *b) {
        arm(b, b->delay_us);
        b->delay_us = MIN(2 * b->delay_us, DELAY_MAX_US);
}

/* No callback of the connection may be running. */
static void bus_drop(struct bus *b) {
        b->serving = false;
        requests_abandon(b);
        bus_announce_end(b);
        b->name_call = sd_bus_slot_unref(b->name_call);
        b->connection = sd_bus_close_unref(b->connection);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        struct bus *b = userdata;

        (void) m;
        (void) reterr;
        tell_trouble(b, LOG_INFO, "the system bus closed the connection; it is tried again now and then");
        b->serving = false;
        requests_abandon(b);
        /* The connection itself is dropped by the timer: here it is still in use. */
        try_again_later(b);
        return 0;
}

static int on_name(sd_bus_message *answer, void *userdata, sd_bus_error *reterr) {
        const sd_bus_error *error = sd_bus_message_get_error(answer);
        struct bus *b = userdata;
        uint32_t outcome = 0;

        (void) reterr;
        b->name_call = sd_bus_slot_unref(b->name_call);
        if (error || sd_bus_message_read(answer, "u", &outcome) < 0) {
                tell_trouble(b, LOG_WARNING, "the bus does not give tierd the name " BUS_NAME ": %s",
                             error && error->message ? error->message : "its answer cannot be read");
                try_again_later(b);
                return 0;
        }
        /* DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER of the D-Bus specification. */
        if (outcome != 1) {
                tell_trouble(b, LOG_WARNING, "another program has the name " BUS_NAME " on the bus");
                try_again_later(b);
                return 0;
        }
        if (bus_announce_begin(b) < 0) {
                try_again_later(b);
                return 0;
        }
        b->serving = true;
        b->delay_us = DELAY_MIN_US;
        (void) sd_event_source_set_enabled(b->timer, SD_EVENT_OFF);
        if (b->trouble[0] != '\0')
                log_write(b->log, LOG_INFO, "D-Bus: " BUS_NAME " is on the system bus");
        b->trouble[0] = '\0';
        return 0;
}

static int bus_open(struct bus *b) {
        const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
        int r;

        r = sd_bus_new(&b->connection);
        if (r < 0)
                return r;
        r = sd_bus_set_description(b->connection, "tierd");
        if (r < 0)
                return r;
        r = sd_bus_set_address(b->connection, address && *address ? address : SYSTEM_BUS_ADDRESS);
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(b->connection, true);
        if (r < 0)
                return r;
        /* Else the end of the event loop waits for everything to be written, on a bus that may never read it. */
        r = sd_bus_set_close_on_exit(b->connection, false);
        if (r < 0)
                return r;
        r = bus_add_objects(b);
        if (r < 0)
                return r;
        r = bus_add_log_control(b);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(b->connection, b->event, PRIORITY);
        if (r < 0)
                return r;
        r = sd_bus_start(b->connection);
        if (r < 0)
                return r;
        /* sd-bus's own message to itself; nothing is asked of the bus for it. */
        r = sd_bus_match_signal_async(b->connection, NULL, "org.freedesktop.DBus.Local", "/org/freedesktop/DBus/Local",
                                      "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, b);
        if (r < 0)
                return r;
        return sd_bus_request_name_async(b->connection, &b->name_call, BUS_NAME, 0, on_name, b);
}

static void bus_connect(struct bus *b) {
        int r;

        r = bus_open(b);
        if (r >= 0) {
                arm(b, GREETING_MAX_US);
                return;
        }
        tell_trouble(b, LOG_INFO, "there is no system bus (%s); it is tried again now and then", strerror(-r));
        bus_drop(b);
        try_again_later(b);
}

/* Time to try, again or for the first time. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct bus *b = userdata;

        (void) source;
        (void) usec;
        if (b->name_call)
                tell_trouble(b, LOG_WARNING, "the system bus does not answer");
        bus_drop(b);
        bus_connect(b);
        return 0;
}

int bus_new(sd_event *event, const struct bus_handlers *handlers, void *userdata, const struct log *log, struct bus **ret) {
        _cleanup_bus_ struct bus *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        *b = (struct bus) {
                .event = sd_event_ref(event), .handlers = *handlers, .userdata = userdata, .log = log, .delay_us = DELAY_MIN_US,
        };
        /* The first try too is the timer's, so that no handler is called before bus_new() has returned. */
        r = sd_event_add_time_relative(event, &b->timer, CLOCK_MONOTONIC, 0, 100000, on_timer, b);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(b->timer, PRIORITY);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

struct bus *bus_free(struct bus *b) {
        if (!b)
                return NULL;
        requests_end(b);
        bus_drop(b);
        sd_event_source_unref(b->timer);
        sd_event_unref(b->event);
        free(b);
        return NULL;
}
