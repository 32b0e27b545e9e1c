/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "tierd/status.h"

#include <stdbool.h>
#include <systemd/sd-event.h>

/*
 * org.tierd1 on the system bus, and org.freedesktop.LogControl1 beside it. Everything here runs on the event loop and never
 * blocks it. tierd works without a bus: where there is none, or it goes away, it is tried again every few seconds, and nothing
 * else changes.
 *
 * Anyone may read. What changes something is for root, and for callers that polkit authorises (actions org.tierd1.reload,
 * org.tierd1.pause, org.tierd1.drain); without polkit for root alone.
 */

struct bus;
struct bus_request;             /* a caller that waits for an answer */

struct bus_handlers {
        /* The newest snapshot; never NULL after the bus was opened. */
        const struct status *(*status)(void *userdata);
        /* Each ends, now or later, in one bus_request_finish(). */
        void (*reload)(void *userdata, struct bus_request *request);
        void (*pause)(void *userdata, bool paused, struct bus_request *request);
        void (*drain)(void *userdata, int nid, bool drained, struct bus_request *request);
        /* LogControl1: syslog levels; targets "auto", "journal", "console", "null". set_* return 0 or -EINVAL. */
        int (*get_level)(void *userdata);
        int (*set_level)(void *userdata, int level);
        const char *(*get_target)(void *userdata);
        int (*set_target)(void *userdata, const char *target);
};

/*
 * Never fails for want of a bus. The address is that of $DBUS_SYSTEM_BUS_ADDRESS or the system's own. 0, -ENOMEM, or what
 * sd-event says.
 */
int bus_new(sd_event *event, const struct bus_handlers *handlers, void *userdata, const struct log *log, struct bus **ret);

/* Callers that still wait are told that tierd stops, and their requests are void: bus_request_finish() must not see them. */
struct bus *bus_free(struct bus *b);
DEFINE_CLEANUP(struct bus, bus_free)
#define _cleanup_bus_ _cleanup_(bus_freep)

/*
 * There is a new snapshot: emits PropertiesChanged for what differs from the one that was announced last, and adds and removes
 * the objects of nodes and schemes. `all`: also the numbers that change all the time; without it only what an observer must
 * hear at once (state, tuner, plan, configuration). The daemon says `all` once per telemetry interval.
 */
void bus_announce(struct bus *b, bool all);

/*
 * Answers, and ends the request. A caller that has gone meanwhile is no reason not to. error 0: done; else a D-Bus error with
 * `text` as it is (line and column of a bad configuration included; NULL or "": what the errno says): -ESHUTDOWN says that
 * tierd stops; what may be wrong with a configuration (-EBADMSG, -EINVAL, -ENOENT and the like) that a reload was refused for
 * it; everything else that it failed.
 */
void bus_request_finish(struct bus_request *request, int error, const char *text);
