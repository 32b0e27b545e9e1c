/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/daemon-internal.h"
#include "tierd/drained.h"
#include "tierd/restore.h"
#include "tierd/run-directory.h"
#include "topology/placement.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct daemon *d = userdata;

        (void) source;
        if (si->ssi_signo == SIGHUP)
                orders_add(d, ORDER_RELOAD, -1, NULL);
        else {
                d->stop_wanted = true;
                /* The job at hand is not cut short. */
                patience_extend(d->patience_us);
        }
        daemon_continue(d);
        return 0;
}

static const int handled_signals[] = { SIGTERM, SIGINT, SIGHUP };

/*
 * Before anything is changed: from here on an order to stop, or to reload, waits for the event loop. A terminal or a
 * journal that is gone must not end tierd with everything left changed.
 */
static int block_signals(void) {
        sigset_t mask;

        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        (void) sigemptyset(&mask);
        for (size_t i = 0; i < ELEMENTSOF(handled_signals); i++)
                (void) sigaddset(&mask, handled_signals[i]);
        return sigprocmask(SIG_BLOCK, &mask, NULL) < 0 ? -errno : 0;
}

/* A timer that is off. */
static int add_timer(struct daemon *d, uint64_t accuracy_us, sd_event_time_handler_t handler, sd_event_source **ret) {
        int r;

        r = sd_event_add_time_relative(d->event, ret, CLOCK_MONOTONIC, 0, accuracy_us, handler, d);
        return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static int daemon_add_sources(struct daemon *d) {
        int r;

        r = sd_event_new(&d->event);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(handled_signals); i++) {
                r = sd_event_add_signal(d->event, NULL, handled_signals[i], on_signal, d);
                if (r < 0)
                        return r;
        }
        r = watchdog_new(d->event, &d->watchdog);
        if (r < 0)
                return r;
        r = worker_new(&d->worker);
        if (r < 0)
                return r;
        r = sd_event_add_io(d->event, NULL, worker_fd(d->worker), EPOLLIN, jobs_on_done, d);
        if (r < 0)
                return r;
        r = metrics_writer_new(d->options->write_metrics ? d->options->write_metrics : metrics_write_file, &d->metrics);
        if (r < 0)
                return r;
        r = sd_event_add_io(d->event, NULL, metrics_writer_fd(d->metrics), EPOLLIN, jobs_on_metrics, d);
        if (r < 0)
                return r;
        r = add_timer(d, 10000, jobs_on_turn_timer, &d->turn_timer);
        if (r < 0)
                return r;
        r = add_timer(d, 100000, jobs_on_report_timer, &d->report_timer);
        if (r < 0)
                return r;
        r = add_timer(d, 10000, jobs_on_hotplug_timer, &d->hotplug_timer);
        if (r < 0)
                return r;
        r = uevents_new(d->event, d->options->root, jobs_on_uevent, d, &d->uevents);
        if (r < 0) {
                /* Every turn looks for nodes that are gone; what comes is then seen at the next reload. */
                log_write(d->log, LOG_WARNING, "cannot listen to the kernel's events of memory: %s; memory that comes is not "
                                               "seen before a reload", strerror(-r));
        }
        return bus_new(d->event, &bus_handlers, d, d->log, &d->bus);
}

static void daemon_done(struct daemon *d) {
        d->bus = bus_free(d->bus);
        d->worker = worker_free(d->worker);
        d->metrics = metrics_writer_free(d->metrics);
        d->uevents = uevents_free(d->uevents);
        d->watchdog = watchdog_free(d->watchdog);
        sd_event_source_unref(d->turn_timer);
        sd_event_source_unref(d->report_timer);
        sd_event_source_unref(d->hotplug_timer);
        sd_event_unref(d->event);
        manager_done(&d->manager);
        d->saved = saved_free(d->saved);
        config_free(d->job_config);
        d->status = status_free(d->status);
        d->telemetry = telemetry_free(d->telemetry);
        cleanup_closep(&d->run);
        cleanup_closep(&d->lock);
}

/* After an end that was not orderly (the event loop itself failed): waits for the job at hand, and puts back what there is. */
static int daemon_put_back(struct daemon *d, int error) {
        struct diag diag = {};

        (void) diag_default(d->reterr, error, "the event loop failed: %s", strerror(-error));
        d->worker = worker_free(d->worker);
        if (!saved_is_empty(d->saved) && manager_stop(&d->manager, &diag) < 0)
                log_write(d->log, LOG_ERR, "%s; `tierd --restore` tries again", diag.text);
        return error;
}

/* Which nodes an earlier tierd of this boot had drained. A record that is damaged is not worth a refusal to start. */
static void take_drained(struct daemon *d) {
        struct diag diag;

        if (drained_read(d->options->root, d->run, &d->drained, &diag) < 0) {
                log_write(d->log, LOG_WARNING, "%s; every node is used", diag.text);
                (void) drained_write(d->options->root, d->run, &d->drained, NULL);
        }
        d->drained_recorded = d->drained;
        IDSET_FOREACH(nid, &d->drained)
                log_write(d->log, LOG_NOTICE, "node %d was drained before this start, and is left alone until its memory has "
                                              "gone, or `tierctl undrain %d`", nid, nid);
}

/*
 * tierd moves others' memory, and is not to wait for its own: its pages are locked, as they are touched, and are taken from the
 * top tier. Before the worker is started, for a thread inherits the policy. Neither is worth a refusal to start.
 */
static void keep_own_memory(const struct daemon *d) {
        _cleanup_topology_ struct topology *t = NULL;
        int r;

        if (!d->options->lock_memory)
                return;
        r = topology_read(d->options->root, NULL, d->job_config->tiers.n_tiers > 0 ? &d->job_config->tiers : NULL, &t, NULL);
        if (r == 0)
                r = placement_prefer_top_tier(t);
        if (r < 0)
                log_write(d->log, LOG_DEBUG, "cannot prefer memory of the top tier: %s", strerror(-r));
        if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
                log_write(d->log, LOG_NOTICE, "cannot lock memory: %s; going on, but when memory is short tierd waits for its "
                                              "own pages too: LimitMEMLOCK=infinity in its unit permits it", strerror(errno));
}

int daemon_run(const struct daemon_options *options, struct diag *reterr) {
        _cleanup_(daemon_done) struct daemon d = {
                .options = options, .log = options->log, .run = -EBADF, .lock = -EBADF, .reterr = reterr,
                .started_realtime_us = daemon_realtime_us(), .replan_why = "hotplug",
        };
        int r;

        r = block_signals();
        if (r < 0)
                return diag_set(reterr, r, "cannot block signals: %s", strerror(-r));
        r = run_directory_open(options->run_directory, RUN_LOCK, &d.run, &d.lock, reterr);
        if (r < 0)
                return r;
        r = saved_open(options->root, d.run, SAVED_STATE, &d.saved, reterr);
        if (r < 0)
                return r;
        r = telemetry_new(options->journal, &d.telemetry);
        if (r < 0)
                return diag_set(reterr, r, "out of memory");
        if (!saved_is_empty(d.saved)) {
                log_write(d.log, LOG_NOTICE, "an earlier tierd ended without putting back what it had changed; doing so first");
                r = restore_left_over(options->root, d.saved, d.log, reterr);
                if (r < 0)
                        return r;
                telemetry_restored(d.telemetry, true);
        }
        /* Only now: what an earlier tierd left changed does not wait for a configuration that is right. */
        r = daemon_read_config(&d, &d.job_config, reterr);
        if (r < 0)
                return r;
        take_drained(&d);
        keep_own_memory(&d);
        r = status_take(&d.manager, NULL, &d.status);
        if (r < 0)
                return diag_set(reterr, r, "out of memory");

        r = daemon_add_sources(&d);
        if (r < 0)
                return diag_set(reterr, r, "cannot set up the event loop: %s", strerror(-r));
        jobs_start(&d);
        r = sd_event_loop(d.event);
        return r < 0 ? daemon_put_back(&d, r) : d.result;
}
