/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/watchdog.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-daemon.h>
#include <time.h>

struct watchdog {
        sd_event *event;                /* borrowed */
        sd_event_source *timer;
        uint64_t allowed_us;            /* between two messages */
        uint64_t told_us;
        bool busy;                      /* a job is at hand */
        bool due;                       /* the time came meanwhile */
};

static uint64_t now_us(const struct watchdog *w) {
        uint64_t now = 0;

        (void) sd_event_now(w->event, CLOCK_MONOTONIC, &now);
        return now;
}

/* The next message counts from here. */
static void arm(struct watchdog *w) {
        w->due = false;
        w->told_us = now_us(w);
        (void) sd_event_source_set_time(w->timer, w->told_us + w->allowed_us / 2);
        (void) sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

static void tell(struct watchdog *w) {
        (void) sd_notify(0, "WATCHDOG=1");
        arm(w);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct watchdog *w = userdata;

        (void) source;
        (void) usec;
        if (w->busy)
                w->due = true;
        else
                tell(w);
        return 0;
}

int watchdog_new(sd_event *event, struct watchdog **ret) {
        _cleanup_watchdog_ struct watchdog *w = NULL;
        uint64_t allowed_us = 0;
        int r;

        r = sd_watchdog_enabled(0, &allowed_us);
        if (r < 0)
                return r;
        if (r > 0) {
                w = calloc(1, sizeof(*w));
                if (!w)
                        return -ENOMEM;
                w->event = event;
                w->allowed_us = allowed_us;
                /* Up to three quarters, as sd-event has it: the timer has time to go with a wake-up for something else. */
                r = sd_event_add_time(event, &w->timer, CLOCK_MONOTONIC, UINT64_MAX, allowed_us / 4, on_timer, w);
                if (r < 0)
                        return r;
                arm(w);
        }
        *ret = TAKE_PTR(w);
        return 0;
}

struct watchdog *watchdog_free(struct watchdog *w) {
        if (!w)
                return NULL;
        sd_event_source_unref(w->timer);
        free(w);
        return NULL;
}

void watchdog_job_begins(struct watchdog *w) {
        if (!w)
                return;
        if (now_us(w) - w->told_us >= w->allowed_us / 8)
                tell(w);
        w->busy = true;
}

void watchdog_job_done(struct watchdog *w) {
        if (!w)
                return;
        w->busy = false;
        if (w->due)
                tell(w);
}
