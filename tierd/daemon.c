/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/daemon.h"
#include "base/parse.h"
#include "tierd/claim.h"
#include "tierd/configuration.h"
#include "tierd/manager.h"
#include "tierd/report.h"
#include "tierd/restore.h"
#include "tierd/run-directory.h"
#include "tierd/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

/* Turns that fail one after the other before tierd gives up: a busy kernel is not a broken one. */
#define FAILED_TURNS_MAX 5
/* Between two turns, at least: the kernel is to have its lock for others too. */
#define PAUSE_US UINT64_C(50000)
/* When a failed turn is tried again. */
#define RETRY_US UINT64_C(1000000)

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

/*
 * The daemon alone knows the order of things. The manager belongs to the worker thread while a job is at hand (`busy`),
 * and to the loop otherwise; what the loop wants meanwhile is noted in the flags and done when the job is back.
 *
 * Where the kernel never comes back from a write, nothing in this process can help: the thread cannot be killed, and the
 * order to stop waits for it. Then systemd's TimeoutStopSec= ends tierd, and `tierd --restore` in ExecStopPost= puts back
 * what can be.
 */
struct daemon {
        const struct daemon_options *options;
        const struct log *log;
        int run, lock;
        sd_event *event;
        sd_event_source *turn_timer, *report_timer;
        struct worker *worker;
        struct manager manager;
        struct saved *saved;

        enum phase phase;
        bool busy, stop_wanted, reload_wanted, turn_due, report_due;
        unsigned failed_turns;

        /* The job at hand and its result. */
        void (*job_done)(struct daemon *d);
        struct config *job_config;
        int job_result;
        uint64_t job_next_us;
        struct diag job_diag;

        struct reports reports;
        int result;
        struct diag *reterr;
};

static uint64_t now_us(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

static void daemon_continue(struct daemon *d);

static void arm(sd_event_source *timer, uint64_t delay_us) {
        (void) sd_event_source_set_time_relative(timer, delay_us);
        (void) sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static void daemon_exit(struct daemon *d, int result) {
        if (d->result == 0)
                d->result = result;
        d->phase = PHASE_STOPPING;
        (void) sd_event_exit(d->event, 0);
}

/* Gives up managing: what is wrong is what daemon_run() returns, and everything is put back before. */
static void daemon_give_up(struct daemon *d, int error, const char *text) {
        if (d->result == 0) {
                d->result = error;
                (void) diag_set(d->reterr, error, "%s", text);
        }
        d->stop_wanted = true;
}

/* Hands the manager to the worker. */
static void daemon_submit(struct daemon *d, worker_job job, void (*done)(struct daemon *d)) {
        d->job_done = done;
        d->job_result = 0;
        d->job_diag = (struct diag) {};
        d->busy = true;
        /*
         * Where systemd has a watchdog on tierd, it watches the worker too: while a job is at hand nothing is sent, so one
         * that is stuck in the kernel ends the daemon rather than leave the last quotas in force.
         */
        (void) sd_event_set_watchdog(d->event, false);
        /* Cannot be busy: `busy` says so. */
        (void) worker_submit(d->worker, job, d);
}

static int on_job_done(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct daemon *d = userdata;

        (void) source;
        (void) fd;
        (void) revents;
        if (!worker_take_completion(d->worker))
                return 0;
        d->busy = false;
        (void) sd_event_set_watchdog(d->event, true);
        d->job_done(d);
        daemon_continue(d);
        return 0;
}

/* -- start -- */

static void job_start(void *userdata) {
        struct daemon *d = userdata;

        d->job_result = manager_start(&d->manager, d->options->root, d->saved, TAKE_PTR(d->job_config), &d->job_diag);
}

static void notify_managing(const struct daemon *d, const char *state) {
        char down[FORMAT_MAX], up[FORMAT_MAX];

        if (manager_is_idle(&d->manager))
                (void) sd_notifyf(0, "%sSTATUS=Nothing to manage on this machine", state);
        else
                (void) sd_notifyf(0, "%sSTATUS=Managing %zu nodes, tuner %s; moved of late: %s down, %s up", state,
                                  d->manager.books.plan->n_kdamonds, tuner_kind_to_string(d->manager.books.plan->tuner),
                                  format_size(d->reports.down_bytes, down, sizeof(down)),
                                  format_size(d->reports.up_bytes, up, sizeof(up)));
}

/* The manager has other books now: after a start, and after a reload, well or not. */
static void daemon_renew(struct daemon *d) {
        int r;

        r = reports_renew(&d->reports, &d->manager);
        if (r < 0)
                daemon_give_up(d, r, "out of memory");
        d->turn_due = true;
}

static void on_started(struct daemon *d) {
        if (d->job_result < 0) {
                if (d->reterr)
                        *d->reterr = d->job_diag;
                daemon_exit(d, d->job_result);
                return;
        }
        d->phase = PHASE_RUNNING;
        if (d->stop_wanted)
                return;
        daemon_renew(d);
        report_started(d->log, &d->manager);
        notify_managing(d, "READY=1\n");
        arm(d->report_timer, d->manager.config->telemetry_interval_us);
}

/* -- turns and reports -- */

static void job_turn(void *userdata) {
        struct daemon *d = userdata;

        uint64_t begun = now_us(), next, took;

        d->job_result = manager_turn(&d->manager, begun, &next, &d->job_diag);
        /* The next one is due by when this one began: on 6.12 the commands alone take most of a turn. */
        took = now_us() - begun;
        d->job_next_us = d->job_result < 0 ? RETRY_US : next > took + PAUSE_US ? next - took : PAUSE_US;
}

static void on_turn_done(struct daemon *d) {
        char text[sizeof(d->job_diag.text) + 128];

        if (d->job_result >= 0) {
                if (d->job_result == MANAGER_RESTARTED)
                        log_write(d->log, LOG_WARNING, "%s", d->job_diag.text);
                d->failed_turns = 0;
                report_full_targets(d->log, &d->manager, &d->reports);
                arm(d->turn_timer, d->job_next_us);
                return;
        }
        if (++d->failed_turns < FAILED_TURNS_MAX) {
                log_write(d->log, LOG_WARNING, "turn failed, trying again (%u of %u): %s", d->failed_turns, FAILED_TURNS_MAX,
                          d->job_diag.text);
                arm(d->turn_timer, RETRY_US);
                return;
        }
        (void) snprintf(text, sizeof(text), "giving up after %u failed turns in a row; the last: %s", d->failed_turns,
                        d->job_diag.text);
        daemon_give_up(d, d->job_result, text);
}

static int on_turn_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;

        (void) source;
        (void) usec;
        d->turn_due = true;
        daemon_continue(d);
        return 0;
}

static int on_report_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;

        (void) source;
        (void) usec;
        d->report_due = true;
        daemon_continue(d);
        return 0;
}

/* -- reload -- */

static void job_reload(void *userdata) {
        struct daemon *d = userdata;

        d->job_result = manager_reload(&d->manager, TAKE_PTR(d->job_config), &d->job_diag);
}

static void on_reloaded(struct daemon *d) {
        daemon_renew(d);
        if (d->job_result == MANAGER_LOST)
                daemon_give_up(d, d->job_diag.error, d->job_diag.text);
        else if (d->job_result < 0)
                log_write(d->log, LOG_ERR, "%s\nthe configuration before stays in force", d->job_diag.text);
        else {
                log_write(d->log, LOG_NOTICE, "configuration reloaded");
                report_started(d->log, &d->manager);
                arm(d->report_timer, d->manager.config->telemetry_interval_us);
        }
        notify_managing(d, "READY=1\n");
}

/* A line of its own for each warning: a log entry is cut at some length. */
static void log_warnings(const struct log *log, const char *warnings) {
        while (warnings && *warnings) {
                size_t len = strcspn(warnings, "\n");

                log_write(log, LOG_WARNING, "%.*s", (int) len, warnings);
                warnings += len + (warnings[len] == '\n');
        }
}

static int read_config(const struct daemon *d, struct config **ret, struct diag *reterr) {
        int r;

        r = configuration_load(d->options->config_path, ret, NULL, reterr);
        if (r == 0)
                log_warnings(d->log, (*ret)->warnings);
        return r;
}

static void begin_reload(struct daemon *d) {
        struct config *config = NULL;
        struct diag diag = {};

        (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long) now_us());
        if (read_config(d, &config, &diag) < 0) {
                log_write(d->log, LOG_ERR, "%s\nthe configuration before stays in force", diag.text);
                (void) sd_notify(0, "READY=1");
                return;
        }
        d->job_config = config;
        daemon_submit(d, job_reload, on_reloaded);
}

/* -- stop -- */

static void job_stop(void *userdata) {
        struct daemon *d = userdata;

        d->job_result = manager_stop(&d->manager, &d->job_diag);
}

static void on_stopped(struct daemon *d) {
        if (d->job_result < 0) {
                log_write(d->log, LOG_ERR, "%s; `tierd --restore` tries again", d->job_diag.text);
                if (d->result == 0 && d->reterr)
                        *d->reterr = d->job_diag;
        } else {
                if (d->job_result == CLAIM_FOREIGN)
                        restore_log_foreign(d->log);
                log_write(d->log, LOG_NOTICE, "stopped; everything is as it was before");
        }
        daemon_exit(d, MIN(d->job_result, 0));
}

/* Whatever is wanted next, in order of urgency, as soon as the worker is free. */
static void daemon_continue(struct daemon *d) {
        if (d->busy || d->phase == PHASE_STOPPING)
                return;
        if (d->stop_wanted) {
                d->phase = PHASE_STOPPING;
                (void) sd_notify(0, "STOPPING=1\nSTATUS=Putting everything back");
                daemon_submit(d, job_stop, on_stopped);
                return;
        }
        if (d->phase != PHASE_RUNNING)
                return;
        if (d->report_due) {
                d->report_due = false;
                report_schemes(d->log, &d->manager, &d->reports);
                notify_managing(d, "");
                arm(d->report_timer, d->manager.config->telemetry_interval_us);
        }
        if (d->reload_wanted) {
                d->reload_wanted = false;
                begin_reload(d);
                if (d->busy)
                        return;
        }
        if (d->turn_due) {
                d->turn_due = false;
                if (!manager_is_idle(&d->manager))
                        daemon_submit(d, job_turn, on_turn_done);
        }
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct daemon *d = userdata;

        (void) source;
        if (si->ssi_signo == SIGHUP)
                d->reload_wanted = true;
        else
                d->stop_wanted = true;
        daemon_continue(d);
        return 0;
}

/* -- the frame -- */

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
        r = sd_event_set_watchdog(d->event, true);
        if (r < 0)
                return r;
        r = worker_new(&d->worker);
        if (r < 0)
                return r;
        r = sd_event_add_io(d->event, NULL, worker_fd(d->worker), EPOLLIN, on_job_done, d);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(d->event, &d->turn_timer, CLOCK_MONOTONIC, 0, 10000, on_turn_timer, d);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(d->turn_timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(d->event, &d->report_timer, CLOCK_MONOTONIC, 0, 100000, on_report_timer, d);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(d->report_timer, SD_EVENT_OFF);
}

static void daemon_done(struct daemon *d) {
        d->worker = worker_free(d->worker);
        sd_event_source_unref(d->turn_timer);
        sd_event_source_unref(d->report_timer);
        sd_event_unref(d->event);
        manager_done(&d->manager);
        d->saved = saved_free(d->saved);
        config_free(d->job_config);
        reports_done(&d->reports);
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

int daemon_run(const struct daemon_options *options, struct diag *reterr) {
        _cleanup_(daemon_done) struct daemon d = {
                .options = options, .log = options->log, .run = -EBADF, .lock = -EBADF, .reterr = reterr,
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
        if (!saved_is_empty(d.saved)) {
                log_write(d.log, LOG_NOTICE, "an earlier tierd ended without putting back what it had changed; doing so first");
                r = restore_left_over(options->root, d.saved, d.log, reterr);
                if (r < 0)
                        return r;
        }
        /* Only now: what an earlier tierd left changed does not wait for a configuration that is right. */
        r = read_config(&d, &d.job_config, reterr);
        if (r < 0)
                return r;

        r = daemon_add_sources(&d);
        if (r < 0)
                return diag_set(reterr, r, "cannot set up the event loop: %s", strerror(-r));
        daemon_submit(&d, job_start, on_started);
        r = sd_event_loop(d.event);
        return r < 0 ? daemon_put_back(&d, r) : d.result;
}
