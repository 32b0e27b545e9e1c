/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/daemon.h"
#include "base/file.h"
#include "damon/apply.h"
#include "tierd/manager.h"
#include "tierd/report.h"
#include "tierd/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#define RUN_DIRECTORY "/run/tierd"
#define DEFAULT_CONFIG TIERD_SYSCONFDIR "/tierd.yaml"

/* Turns that fail one after the other before tierd gives up: a busy kernel is not a broken one. */
#define FAILED_TURNS_MAX 5
/* Between two turns, at least: the kernel is to have its lock for others too. */
#define PAUSE_US UINT64_C(50000)
/* When a failed turn is tried again. */
#define RETRY_US UINT64_C(1000000)

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

/*
 * The daemon alone knows the order of things. The manager belongs to the worker thread while a job is at hand (`busy`), and to the
 * loop otherwise; what the loop wants meanwhile is noted in the flags and done when the job is back.
 */
struct daemon {
        const struct daemon_options *options;
        const struct log *log;
        int root, run;
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

        uint64_t *reported_applied;     /* per scheme, for report_schemes() */
        bool *reported_full;
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
        (void) sd_event_exit(d->event, 0);
}

/* Hands the manager to the worker. */
static void daemon_submit(struct daemon *d, worker_job job, void (*done)(struct daemon *d)) {
        d->job_done = done;
        d->job_result = 0;
        d->job_diag = (struct diag) {};
        d->busy = true;
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
        d->job_done(d);
        daemon_continue(d);
        return 0;
}

/* -- start -- */

static void job_start(void *userdata) {
        struct daemon *d = userdata;

        d->job_result = manager_start(&d->manager, d->root, d->saved, TAKE_PTR(d->job_config), &d->job_diag);
}

/* The books of the reports, afresh for the manager's plan. */
static int renew_reports(struct daemon *d) {
        free(d->reported_applied);
        free(d->reported_full);
        d->reported_applied = calloc(d->manager.n_schemes + 1, sizeof(*d->reported_applied));
        d->reported_full = calloc(d->manager.n_schemes + 1, sizeof(*d->reported_full));
        if (!d->reported_applied || !d->reported_full)
                return -ENOMEM;
        for (size_t i = 0; i < d->manager.n_schemes; i++)
                d->reported_applied[i] = d->manager.schemes[i].stats.sz_applied;
        return 0;
}

static void on_started(struct daemon *d) {
        if (d->job_result == 0)
                d->job_result = renew_reports(d);
        if (d->job_result < 0) {
                *d->reterr = d->job_diag;
                daemon_exit(d, d->job_result);
                return;
        }
        d->phase = PHASE_RUNNING;
        report_started(d->log, &d->manager);
        (void) sd_notifyf(0, "READY=1\nSTATUS=%s", manager_is_idle(&d->manager) ? "Nothing to manage" : "Managing");
        d->turn_due = true;
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
        if (d->job_result == 0) {
                d->failed_turns = 0;
                report_full_targets(d->log, &d->manager, d->reported_full);
                arm(d->turn_timer, d->job_next_us);
                return;
        }
        if (++d->failed_turns < FAILED_TURNS_MAX) {
                log_write(d->log, LOG_WARNING, "%s; trying again", d->job_diag.text);
                arm(d->turn_timer, RETRY_US);
                return;
        }
        *d->reterr = d->job_diag;
        d->result = d->job_result;
        d->stop_wanted = true;
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
        (void) sd_notify(0, "READY=1");
        d->turn_due = true;
        if (d->job_result == 0)
                d->job_result = renew_reports(d);
        if (d->job_result == 0) {
                log_write(d->log, LOG_NOTICE, "configuration reloaded");
                report_started(d->log, &d->manager);
                return;
        }
        if (d->job_result == -EINVAL || d->job_result == -EOPNOTSUPP) {
                log_write(d->log, LOG_ERR, "%s; the configuration before stays in force", d->job_diag.text);
                return;
        }
        *d->reterr = d->job_diag;
        d->result = d->job_result;
        d->stop_wanted = true;
}

/* The configuration file; the default one may be missing, which means the defaults. */
static int read_config(struct daemon *d, struct config **ret, struct diag *reterr) {
        const char *path = d->options->config_path ? d->options->config_path : DEFAULT_CONFIG;
        _cleanup_free_ char *absolute = NULL;
        int r;

        /* Rooted access resolves below its directory only; the path given may be relative, or a link. */
        absolute = realpath(path, NULL);
        if (!absolute && errno == ENOENT && !d->options->config_path)
                r = config_new(ret);
        else if (!absolute)
                return diag_set(reterr, -errno, "%s: cannot read the configuration: %s", path, strerror(errno));
        else
                r = config_read(d->root, absolute + 1, path, ret, reterr);
        if (r == 0 && (*ret)->warnings)
                log_write(d->log, LOG_WARNING, "%s", (*ret)->warnings);
        return r;
}

static void begin_reload(struct daemon *d) {
        struct diag diag = {};

        (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long) now_us());
        if (read_config(d, &d->job_config, &diag) < 0) {
                log_write(d->log, LOG_ERR, "%s\nthe configuration before stays in force", diag.text);
                (void) sd_notify(0, "READY=1");
                return;
        }
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
                if (d->result == 0)
                        *d->reterr = d->job_diag;
        } else
                log_write(d->log, LOG_NOTICE, "stopped; everything is as it was before");
        daemon_exit(d, d->job_result);
}

/* Whatever is wanted next, in order of urgency, as soon as the worker is free. */
static void daemon_continue(struct daemon *d) {
        if (d->busy || d->phase == PHASE_STOPPING)
                return;
        if (d->stop_wanted) {
                d->phase = PHASE_STOPPING;
                (void) sd_notify(0, "STOPPING=1");
                daemon_submit(d, job_stop, on_stopped);
                return;
        }
        if (d->phase != PHASE_RUNNING)
                return;
        if (d->report_due) {
                d->report_due = false;
                report_schemes(d->log, &d->manager, d->reported_applied);
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

/*
 * Opens the runtime directory and takes its lock, which lasts as long as the fd *ret_lock. -EBUSY when another tierd has it.
 */
static int open_run_directory(int *ret_run, int *ret_lock, struct diag *reterr) {
        _cleanup_close_ int run = -EBADF, lock = -EBADF;

        if (mkdir(RUN_DIRECTORY, 0755) < 0 && errno != EEXIST)
                return diag_set(reterr, -errno, "%s: cannot create: %s", RUN_DIRECTORY, strerror(errno));
        run = open(RUN_DIRECTORY, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (run < 0)
                return diag_set(reterr, -errno, "%s: cannot open: %s", RUN_DIRECTORY, strerror(errno));
        lock = openat(run, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock < 0)
                return diag_set(reterr, -errno, "%s/lock: cannot open: %s", RUN_DIRECTORY, strerror(errno));
        if (flock(lock, LOCK_EX | LOCK_NB) < 0)
                return diag_set(reterr, errno == EWOULDBLOCK ? -EBUSY : -errno,
                                errno == EWOULDBLOCK ? "another tierd is running (it holds %s/lock)"
                                                     : "%s/lock: cannot lock", RUN_DIRECTORY);
        *ret_run = TAKE_FD(run);
        *ret_lock = TAKE_FD(lock);
        return 0;
}

/* Puts back what the record says an earlier tierd of this boot changed. */
static int restore_left_over(int root, struct saved *saved, struct diag *reterr) {
        struct slot_map slots = {};
        int r = 0, r2;

        if (saved_n_slots(saved) > 0) {
                uint64_t n = 0;

                /* Slots that are not as many as ours were are somebody else's by now. */
                if (file_read_u64(root, DAMON_ADMIN "/nr_kdamonds", &n) == 0 && n == saved_n_slots(saved)) {
                        for (unsigned i = 0; i < n; i++)
                                idset_add(&slots.possible, i);
                        r = damon_release(root, &slots, reterr);
                }
        }
        r2 = saved_restore(saved, r < 0 ? NULL : reterr);
        return r < 0 ? r : r2;
}

int daemon_restore(const struct log *log, struct diag *reterr) {
        _cleanup_close_ int root = -EBADF, run = -EBADF, lock = -EBADF;
        _cleanup_saved_ struct saved *saved = NULL;
        int r;

        root = root_open("/", reterr);
        if (root < 0)
                return root;
        r = open_run_directory(&run, &lock, reterr);
        if (r < 0)
                return r;
        r = saved_open(root, run, &saved, reterr);
        if (r < 0)
                return r;
        if (saved_is_empty(saved))
                return 0;
        r = restore_left_over(root, saved, reterr);
        if (r == 0)
                log_write(log, LOG_NOTICE, "put back what an earlier tierd had changed");
        return r;
}

static int daemon_add_sources(struct daemon *d) {
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
        sigset_t mask;
        int r;

        (void) sigemptyset(&mask);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void) sigaddset(&mask, signals[i]);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;

        r = sd_event_new(&d->event);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_event_add_signal(d->event, NULL, signals[i], on_signal, d);
                if (r < 0)
                        return r;
        }
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
        free(d->reported_applied);
        free(d->reported_full);
        cleanup_closep(&d->run);
        cleanup_closep(&d->root);
}

int daemon_run(const struct daemon_options *options, struct diag *reterr) {
        _cleanup_(daemon_done) struct daemon d = {
                .options = options, .log = options->log, .root = -EBADF, .run = -EBADF, .reterr = reterr,
        };
        _cleanup_close_ int lock = -EBADF;
        int r;

        d.root = root_open("/", reterr);
        if (d.root < 0)
                return d.root;
        r = read_config(&d, &d.job_config, reterr);
        if (r < 0)
                return r;
        r = open_run_directory(&d.run, &lock, reterr);
        if (r < 0)
                return r;
        r = saved_open(d.root, d.run, &d.saved, reterr);
        if (r < 0)
                return r;
        if (!saved_is_empty(d.saved)) {
                log_write(d.log, LOG_NOTICE, "an earlier tierd ended without putting back what it had changed; doing so first");
                r = restore_left_over(d.root, d.saved, reterr);
                if (r < 0)
                        return r;
        }

        r = daemon_add_sources(&d);
        if (r < 0)
                return diag_default(reterr, r, "cannot set up the event loop: %s", strerror(-r));
        daemon_submit(&d, job_start, on_started);
        r = sd_event_loop(d.event);
        return d.result < 0 ? d.result : r;
}
