/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/daemon-internal.h"
#include "base/clock.h"
#include "tierd/configuration.h"
#include "tierd/drained.h"
#include "tierd/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <time.h>

/* What operators ask of the running daemon: reload, pause, resume, drain, and how much it says. */

uint64_t daemon_now_us(void) {
        return clock_us(CLOCK_MONOTONIC);
}

uint64_t daemon_realtime_us(void) {
        return clock_us(CLOCK_REALTIME);
}

static void order_finish(struct order *o, int error, const char *text) {
        if (o->request)
                bus_request_finish(TAKE_PTR(o->request), error, text);
}

/* -- reload -- */

/* A line of its own for each warning: a log entry is cut at some length. */
static void log_warnings(const struct log *log, const char *warnings) {
        while (warnings && *warnings) {
                size_t len = strcspn(warnings, "\n");

                log_write(log, LOG_WARNING, "%.*s", (int) len, warnings);
                warnings += len + (warnings[len] == '\n');
        }
}

int daemon_read_config(struct daemon *d, struct config **ret, struct diag *reterr) {
        const char *path;
        int r;

        r = configuration_load(d->options->config_path, ret, &path, reterr);
        if (r < 0)
                return r;
        log_warnings(d->log, (*ret)->warnings);
        d->config_path_in_force = path;
        return 0;
}

static void job_reload(void *userdata) {
        struct daemon *d = userdata;

        d->job_result = manager_reload(&d->manager, TAKE_PTR(d->job_config), &d->job_diag);
}

static void reload_refused(struct daemon *d, int error, const struct diag *why) {
        struct diag told;

        (void) diag_set(&told, error, "%s\nthe configuration before stays in force", why->text);
        /* The journal's entry says this by itself. */
        telemetry_trouble(d->telemetry, daemon_now_us(), TROUBLE_RELOAD, LOG_ERR, why);
        order_finish(&d->at_work, error, told.text);
}

static void on_reloaded(struct daemon *d) {
        if (d->job_result == MANAGER_LOST) {
                d->result = d->job_diag.error;
                (void) diag_set(d->reterr, d->job_diag.error, "%s", d->job_diag.text);
                d->stop_wanted = true;
                order_finish(&d->at_work, d->job_diag.error, d->job_diag.text);
        } else if (d->job_result < 0)
                reload_refused(d, d->job_result, &d->job_diag);
        else
                d->reloads++;
        daemon_allow(d, NULL);
        if (d->job_result != 0)
                d->config_path_in_force = d->config_path_before;
        daemon_refresh(d);
        if (d->job_result == 0) {
                telemetry_plan_changed(d->telemetry, d->status, "reload");
                daemon_tell_advice(d);
                d->report_due = true;
        }
        d->turn_due = true;
        (void) sd_notify(0, "READY=1");
        if (d->job_result == 0)
                order_finish(&d->at_work, 0, NULL);
}

static void begin_reload(struct daemon *d) {
        struct config *config = NULL;
        struct diag diag = {};
        int r;

        (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long) daemon_now_us());
        d->config_path_before = d->config_path_in_force;
        r = daemon_read_config(d, &config, &diag);
        if (r < 0) {
                reload_refused(d, r, &diag);
                (void) sd_notify(0, "READY=1");
                return;
        }
        d->job_config = config;
        /* The way there, and back if it fails: as long as the slower of the two takes. */
        daemon_allow(d, config);
        patience_extend(d->patience_us);
        daemon_submit(d, job_reload, on_reloaded);
}

/* -- orders -- */

void orders_add(struct daemon *d, enum order_kind kind, int nid, struct bus_request *request) {
        struct order order = { .kind = kind, .nid = nid, .request = request };

        if (d->phase >= PHASE_STOPPING) {
                order_finish(&order, -ESHUTDOWN, "tierd is stopping");
                return;
        }
        /* A reload that nobody waits for is done by one that is waiting already. */
        for (size_t i = 0; !request && i < d->n_orders; i++)
                if (d->orders[i].kind == kind && !d->orders[i].request)
                        return;
        if (d->n_orders == ORDERS_MAX) {
                order_finish(&order, -EBUSY, "too many orders are waiting");
                return;
        }
        d->orders[d->n_orders++] = order;
        /* Whom systemd has wait for a reload waits for the job at hand too. */
        if (kind == ORDER_RELOAD && d->busy)
                patience_extend(d->patience_us);
        daemon_continue(d);
}

static void begin_pause(struct daemon *d, struct order o) {
        bool paused = o.kind == ORDER_PAUSE, changed = d->manager.paused != paused;

        d->manager.paused = paused;
        d->turn_due = true;
        if (changed)
                orders_finish_pauses(d, -ECANCELED, paused ? "tierd was paused before it had resumed" :
                                                             "tierd was resumed before it had paused");
        if (d->n_pauses < ORDERS_MAX)
                d->pauses[d->n_pauses++] = o;
        else
                order_finish(&o, -EBUSY, "too many orders are waiting");
        if (!changed)
                return;
        daemon_refresh(d);
        telemetry_plan_changed(d->telemetry, d->status, paused ? "pause" : "resume");
}

void orders_record_drained(struct daemon *d) {
        struct diag diag;

        if (idset_equal(&d->drained, &d->drained_recorded))
                return;
        if (drained_write(d->options->root, d->run, &d->drained, &diag) == 0)
                d->drained_recorded = d->drained;
        else
                log_write(d->log, LOG_WARNING, "%s; a tierd that is started anew goes by what it says before", diag.text);
}

/* Noted, and in force with the next plan, which is made at once; no order is begun before that. */
static void begin_drain(struct daemon *d, struct order o) {
        const struct status_node *node = status_node(d->status, o.nid);
        char text[64];

        if (!node || node->total_bytes == 0) {
                (void) snprintf(text, sizeof(text), "there is no node %d with memory", o.nid);
                order_finish(&o, -ENODEV, text);
                return;
        }
        if (o.kind == ORDER_DRAIN)
                idset_add(&d->drained, (unsigned) o.nid);
        else
                idset_remove(&d->drained, (unsigned) o.nid);
        orders_record_drained(d);
        d->drain = o;
        d->replan_due = true;
        d->replan_why = "drain";
}

void orders_begin(struct daemon *d) {
        while (d->n_orders > 0 && !d->busy && !d->replan_due) {
                struct order o = d->orders[0];

                d->n_orders--;
                memmove(d->orders, d->orders + 1, d->n_orders * sizeof(*d->orders));
                if (o.kind == ORDER_DRAIN || o.kind == ORDER_UNDRAIN)
                        begin_drain(d, o);
                else if (o.kind != ORDER_RELOAD)
                        begin_pause(d, o);
                else {
                        d->at_work = o;
                        begin_reload(d);
                }
        }
}

void orders_finish_pauses(struct daemon *d, int error, const char *text) {
        for (size_t i = 0; i < d->n_pauses; i++)
                order_finish(d->pauses + i, error, text);
        d->n_pauses = 0;
}

void orders_finish_drain(struct daemon *d, int error, const char *text) {
        if (error == 0 && d->drain.kind == ORDER_DRAIN && !idset_has(&d->drained, (unsigned) d->drain.nid))
                order_finish(&d->drain, -ECANCELED, "its memory has gone, or came anew, meanwhile");
        else
                order_finish(&d->drain, error, text);
}

void orders_refuse(struct daemon *d, int error, const char *text) {
        for (size_t i = 0; i < d->n_orders; i++)
                order_finish(d->orders + i, error, text);
        d->n_orders = 0;
        order_finish(&d->at_work, error, text);
        orders_finish_pauses(d, error, text);
        orders_finish_drain(d, error, text);
}

/* -- what the bus asks -- */

static const struct status *get_status(void *userdata) {
        const struct daemon *d = userdata;

        return d->status;
}

static void ask_reload(void *userdata, struct bus_request *request) {
        orders_add(userdata, ORDER_RELOAD, -1, request);
}

static void ask_pause(void *userdata, bool paused, struct bus_request *request) {
        orders_add(userdata, paused ? ORDER_PAUSE : ORDER_RESUME, -1, request);
}

static void ask_drain(void *userdata, int nid, bool drained, struct bus_request *request) {
        orders_add(userdata, drained ? ORDER_DRAIN : ORDER_UNDRAIN, nid, request);
}

static int get_level(void *userdata) {
        const struct daemon *d = userdata;

        return journal_level(d->options->journal);
}

static int set_level(void *userdata, int level) {
        const struct daemon *d = userdata;

        if (level < LOG_EMERG || level > LOG_DEBUG)
                return -EINVAL;
        journal_set_level(d->options->journal, level);
        return 0;
}

static const char *get_target(void *userdata) {
        const struct daemon *d = userdata;

        return journal_target_to_string(journal_target(d->options->journal));
}

static int set_target(void *userdata, const char *target) {
        const struct daemon *d = userdata;

        int t = journal_target_from_string(target);

        if (t < 0)
                return t;
        journal_set_target(d->options->journal, (enum journal_target) t);
        return 0;
}

const struct bus_handlers bus_handlers = {
        .status = get_status, .reload = ask_reload, .pause = ask_pause, .drain = ask_drain,
        .get_level = get_level, .set_level = set_level, .get_target = get_target, .set_target = set_target,
};
