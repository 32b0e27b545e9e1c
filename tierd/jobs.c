/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/daemon-internal.h"
#include "base/parse.h"
#include "tierd/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>

/* The jobs of the daemon and their order: each works on the manager in the worker's thread, and comes back to the loop. */

/* Turns that fail one after the other before tierd gives up: a busy kernel is not a broken one. */
#define FAILED_TURNS_MAX 5
/* Between two turns, at least: the kernel is to have its lock for others too. */
#define PAUSE_US UINT64_C(50000)
/* When a failed turn, or a plan that could not be made, is tried again. */
#define RETRY_US UINT64_C(1000000)
/* A write of the metrics file that takes longer is no mere delay. */
#define METRICS_STUCK_US UINT64_C(3000000)
/* How long the end of tierd waits for the metrics file to be removed; nothing else waits for it by then. */
#define METRICS_REMOVE_US UINT64_C(2000000)

static void arm(sd_event_source *timer, uint64_t delay_us) {
        (void) sd_event_source_set_time_relative(timer, delay_us);
        (void) sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static void daemon_exit(struct daemon *d, int result) {
        if (d->result == 0)
                d->result = result;
        d->phase = PHASE_STOPPED;
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

/* -- the snapshot, and those who look at it -- */

static enum status_state state_of(const struct daemon *d) {
        if (d->phase >= PHASE_STOPPING)
                return STATUS_STOPPING;
        if (d->phase == PHASE_STARTING)
                return STATUS_STARTING;
        if (manager_is_idle(&d->manager))
                return STATUS_IDLE;
        return d->manager.paused ? STATUS_PAUSED : STATUS_MANAGING;
}

static void notify_status(struct daemon *d) {
        char text[sizeof(d->told_status)] = "Nothing to manage on this machine", down[FORMAT_MAX], up[FORMAT_MAX];
        const struct status *s = d->status;

        if (s->state != STATUS_IDLE)
                (void) snprintf(text, sizeof(text), "%s %zu nodes, tuner %s; moved of late: %s down, %s up",
                                s->state == STATUS_PAUSED ? "Paused:" : "Managing", d->manager.books.plan->n_kdamonds,
                                tuner_kind_to_string(s->tuner), format_size(d->down_bytes, down, sizeof(down)),
                                format_size(d->up_bytes, up, sizeof(up)));
        /* Each message wakes PID 1. */
        if (strcmp(text, d->told_status) != 0 && sd_notifyf(0, "STATUS=%s", text) > 0)
                (void) snprintf(d->told_status, sizeof(d->told_status), "%s", text);
}

void daemon_refresh(struct daemon *d) {
        _cleanup_status_ struct status *fresh = NULL;

        /* Without memory for a new one the old snapshot is shown on; the next turn tries again. */
        if (status_take(&d->manager, d->status, &fresh) < 0)
                return;
        fresh->state = state_of(d);
        fresh->taken_us = daemon_now_us();
        fresh->taken_realtime_us = daemon_realtime_us();
        if (d->config_path_in_force) {
                char *path = strdup(d->config_path_in_force);

                free(fresh->config_path);
                fresh->config_path = path;
        } else {
                free(fresh->config_path);
                fresh->config_path = NULL;
        }
        fresh->turns = d->turns;
        fresh->failed_turns = d->failed_turns_total;
        fresh->reloads = d->reloads;
        fresh->replans = d->replans;
        fresh->started_realtime_us = d->started_realtime_us;
        status_free(d->status);
        d->status = TAKE_PTR(fresh);
        bus_announce(d->bus, false);
}

/* -- jobs -- */

/* Hands the manager to the worker. */
void daemon_submit(struct daemon *d, worker_job job, void (*done)(struct daemon *d)) {
        d->job_done = done;
        d->job_result = 0;
        d->job_diag = (struct diag) {};
        d->busy = true;
        watchdog_job_begins(d->watchdog);
        /* Cannot be busy: `busy` says so. */
        (void) worker_submit(d->worker, job, d);
}

int jobs_on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct daemon *d = userdata;

        (void) source;
        (void) fd;
        (void) revents;
        if (!worker_take_completion(d->worker))
                return 0;
        d->busy = false;
        watchdog_job_done(d->watchdog);
        d->job_done(d);
        daemon_continue(d);
        return 0;
}

void daemon_allow(struct daemon *d, const struct config *next) {
        uint64_t now = d->manager.config ? patience_read(d->options->root, &d->manager.config->monitoring) : 0;

        d->patience_us = MAX(now, next ? patience_read(d->options->root, &next->monitoring) : 0);
        patience_grant(d->patience_us, &d->watchdog_told_us);
}

/* Before a plan for another machine: both the old and the new one must be managed in the time allowed. */
static void allow_more(struct daemon *d) {
        d->patience_us = MAX(d->patience_us, patience_read(d->options->root, &d->manager.config->monitoring));
        patience_grant(d->patience_us, &d->watchdog_told_us);
}

/* -- start -- */

static void job_start(void *userdata) {
        struct daemon *d = userdata;

        d->job_result = manager_start(&d->manager, d->options->root, d->saved, TAKE_PTR(d->job_config), &d->job_leaving,
                                      &d->job_diag);
}

void daemon_tell_advice(struct daemon *d) {
        if (d->manager.advice.error != 0)
                telemetry_trouble(d->telemetry, daemon_now_us(), TROUBLE_SYSTEM, LOG_WARNING, &d->manager.advice);
}

/* What has gone is drained, and is used when it comes again. */
static void forget_gone(struct daemon *d) {
        IDSET_FOREACH(nid, &d->drained) {
                const struct status_node *node = status_node(d->status, nid);

                if (!node || node->total_bytes == 0)
                        idset_remove(&d->drained, (unsigned) nid);
        }
        orders_record_drained(d);
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
        daemon_refresh(d);
        forget_gone(d);
        telemetry_started(d->telemetry, d->status, d->manager.stopped_modules);
        daemon_tell_advice(d);
        d->turn_due = true;
        (void) sd_notify(0, "READY=1");
        notify_status(d);
        bus_announce(d->bus, true);
        arm(d->report_timer, d->manager.config->telemetry_interval_us);
}

void jobs_start(struct daemon *d) {
        d->job_leaving = d->drained;
        daemon_allow(d, d->job_config);
        patience_extend(d->patience_us);
        daemon_submit(d, job_start, on_started);
}

/* -- turns and reports -- */

static void job_turn(void *userdata) {
        struct daemon *d = userdata;
        uint64_t begun = daemon_now_us(), next, took;

        d->job_result = manager_turn(&d->manager, begun, &next, &d->job_diag);
        /* The next one is due by when this one began: on 6.12 the commands alone take most of a turn. */
        took = daemon_now_us() - begun;
        d->job_next_us = d->job_result < 0 ? RETRY_US : next > took + PAUSE_US ? next - took : PAUSE_US;
}

static void turn_failed(struct daemon *d) {
        char text[sizeof(d->job_diag.text) + 128];

        d->failed_turns_total++;
        daemon_refresh(d);
        /* What is another program's by now is nothing to try again. */
        if (d->job_result != -ESTALE && ++d->failed_turns < FAILED_TURNS_MAX) {
                struct diag told;

                (void) diag_set(&told, d->job_result, "%s (%u of %u)", d->job_diag.text, d->failed_turns, FAILED_TURNS_MAX);
                telemetry_trouble(d->telemetry, daemon_now_us(), TROUBLE_TURN, LOG_WARNING, &told);
                arm(d->turn_timer, RETRY_US);
                return;
        }
        if (d->job_result == -ESTALE)
                (void) snprintf(text, sizeof(text), "%s", d->job_diag.text);
        else
                (void) snprintf(text, sizeof(text), "giving up after %u failed turns in a row; the last: %s", d->failed_turns,
                                d->job_diag.text);
        /* A pause that waits for a turn that goes well has waited in vain; what ends all movement now is the stop. */
        orders_finish_pauses(d, d->job_result, text);
        daemon_give_up(d, d->job_result, text);
}

/*
 * Groups may come and go all the time. So that the turn after a plan for them is not followed by the next plan at once, and
 * that by a turn, that next plan waits for another turn, in the turns' own time.
 */
static void groups_changed(struct daemon *d) {
        if (d->planned_for_groups) {
                d->planned_for_groups = false;
                arm(d->turn_timer, d->job_next_us);
                return;
        }
        if (!d->replan_due)
                d->replan_why = "cgroups";
        d->replan_due = true;
}

static void on_turn_done(struct daemon *d) {
        struct diag restarted;

        d->turns++;
        if (manager_take_restarted(&d->manager, &restarted))
                telemetry_trouble(d->telemetry, daemon_now_us(), TROUBLE_KDAMOND, LOG_WARNING, &restarted);
        if (d->job_result == -EINTR && d->replan_due) {
                /* The plan that is due comes next, then another turn. */
                d->turn_due = true;
                return;
        }
        if (d->job_result < 0) {
                turn_failed(d);
                return;
        }
        if (d->job_result == MANAGER_NODES) {
                d->replan_due = true;
                d->replan_why = "hotplug";
                return;
        }
        d->failed_turns = 0;
        daemon_refresh(d);
        telemetry_turn(d->telemetry, d->status);
        if (d->job_result == MANAGER_GROUPS) {
                groups_changed(d);
                return;
        }
        d->planned_for_groups = false;
        orders_finish_pauses(d, 0, NULL);
        arm(d->turn_timer, d->job_next_us);
}

int jobs_on_turn_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;

        (void) source;
        (void) usec;
        d->turn_due = true;
        daemon_continue(d);
        return 0;
}

int jobs_on_report_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;

        (void) source;
        (void) usec;
        d->report_due = true;
        daemon_continue(d);
        return 0;
}

static void tell_metrics(struct daemon *d, const struct diag *why) {
        telemetry_trouble(d->telemetry, daemon_now_us(), TROUBLE_METRICS_FILE, LOG_WARNING, why);
}

/* The file that a collector reads; NULL: none any more. Where the write before hangs, this one is left out. */
static void write_metrics(struct daemon *d, const char *path) {
        struct diag diag = {};
        char *text = NULL;
        int r;

        r = path ? metrics_format(d->status, METRICS_TEXT, &text) : 0;
        if (r == 0)
                r = path ? metrics_writer_submit(d->metrics, text, path) : metrics_writer_remove(d->metrics);
        if (r != -EBUSY) {
                d->metrics_begun_us = daemon_now_us();
                d->metrics_stuck = false;
                if (r < 0) {
                        (void) diag_set(&diag, r, "%s: cannot write the metrics: %s", path, strerror(-r));
                        tell_metrics(d, &diag);
                }
                return;
        }
        /* Once, until it has ended. */
        if (d->metrics_stuck || daemon_now_us() - d->metrics_begun_us < METRICS_STUCK_US)
                return;
        d->metrics_stuck = true;
        (void) diag_set(&diag, -ETIMEDOUT,
                        "%s: the metrics are not written any more: a write begun %" PRIu64 " s ago has not ended; its file "
                        "system may hang, and nothing else waits for it", path ?: "the file before",
                        (daemon_now_us() - d->metrics_begun_us) / 1000000);
        tell_metrics(d, &diag);
}

/* The last thing of all. */
static void remove_metrics(struct daemon *d) {
        if (metrics_writer_remove(d->metrics) == 0)
                daemon_exit(d, 0);
}

static int on_metrics_stuck(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;

        (void) source;
        (void) usec;
        if (d->phase != PHASE_PUT_BACK)
                return 0;
        /* Not as a trouble, of which there may have been one too many already: nobody would tell it later. */
        log_write(d->log, LOG_WARNING, "the metrics file is not removed: its file system does not answer; everything else is "
                                       "done");
        daemon_exit(d, 0);
        return 0;
}

int jobs_on_metrics(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct daemon *d = userdata;
        struct diag diag;

        (void) source;
        (void) fd;
        (void) revents;
        if (!metrics_writer_take(d->metrics, &diag))
                return 0;
        if (diag.error < 0)
                tell_metrics(d, &diag);
        if (d->phase == PHASE_PUT_BACK)
                remove_metrics(d);
        return 0;
}

/* The snapshot of the last turn, for whoever looks: it is at most a turn old. */
static void daemon_report(struct daemon *d) {
        d->report_due = false;
        telemetry_sample(d->telemetry, d->status, &d->down_bytes, &d->up_bytes);
        notify_status(d);
        bus_announce(d->bus, true);
        write_metrics(d, d->manager.config->metrics_file);
        arm(d->report_timer, d->manager.config->telemetry_interval_us);
}

/* -- memory that comes and goes -- */

static void job_replan(void *userdata) {
        struct daemon *d = userdata;

        d->job_result = manager_replan(&d->manager, &d->job_leaving, &d->job_diag);
        d->job_outdated = d->job_result < 0 && d->job_result != -ESTALE && manager_is_outdated(&d->manager);
}

static void arm_hotplug(struct daemon *d) {
        uint64_t next = hotplug_next_us(&d->hotplug);

        if (next == UINT64_MAX) {
                (void) sd_event_source_set_enabled(d->hotplug_timer, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(d->hotplug_timer, next);
        (void) sd_event_source_set_enabled(d->hotplug_timer, SD_EVENT_ONESHOT);
}

/* A node's memory in the two snapshots; 0: not there. */
static void tell_memory(struct telemetry *t, const struct status *before, const struct status *after) {
        for (size_t i = 0; i < before->n_nodes; i++) {
                const struct status_node *now = status_node(after, before->nodes[i].nid);
                uint64_t bytes = now ? now->total_bytes : 0;

                if (bytes != before->nodes[i].total_bytes)
                        telemetry_memory_changed(t, before->nodes[i].nid, before->nodes[i].total_bytes, bytes);
        }
        for (size_t i = 0; i < after->n_nodes; i++) {
                const struct status_node *now = after->nodes + i;

                if (!status_node(before, now->nid) && now->total_bytes > 0)
                        telemetry_memory_changed(t, now->nid, 0, now->total_bytes);
        }
}

/* Groups came or went while the plan was brought to the kernel: it is made again, and that is no failure of the kernel's. */
static void plan_overtaken(struct daemon *d) {
        struct diag told;

        (void) diag_set(&told, d->job_result, "%s; control groups that are excluded came or went meanwhile", d->job_diag.text);
        telemetry_trouble(d->telemetry, daemon_now_us(), TROUBLE_TURN, LOG_WARNING, &told);
        d->failed_turns_total++;
        daemon_refresh(d);
}

static void on_replanned(struct daemon *d) {
        _cleanup_status_ struct status *fresh = NULL;

        /* The counts go on from the old snapshot. Memory has come or gone also where the plan for it failed. */
        if (status_take(&d->manager, d->status, &fresh) >= 0) {
                tell_memory(d->telemetry, d->status, fresh);
                status_free(d->status);
                d->status = TAKE_PTR(fresh);
        }
        d->plan_failed = d->job_result < 0;
        if (d->plan_failed) {
                hotplug_again(&d->hotplug, daemon_now_us() + RETRY_US);
                arm_hotplug(d);
                if (d->job_outdated)
                        plan_overtaken(d);
                else
                        turn_failed(d);
                return;
        }
        /* Else the next turn that goes well says so. */
        if (manager_is_idle(&d->manager))
                d->failed_turns = 0;
        d->replans++;
        orders_finish_drain(d, 0, NULL);
        /* There may be fewer nodes now. */
        daemon_allow(d, NULL);
        daemon_refresh(d);
        forget_gone(d);
        if (d->job_result == MANAGER_CHANGED)
                telemetry_plan_changed(d->telemetry, d->status, d->job_why);
        bus_announce(d->bus, true);
        notify_status(d);
        arm_hotplug(d);
        d->planned_for_groups = strcmp(d->job_why, "cgroups") == 0;
        /*
         * Other groups have brought every kdamond to its plan anew, at rest where tierd is paused: that is in force, even if
         * no turn should find the plan to fit. What is to move again waits for one.
         */
        if (d->planned_for_groups && d->job_result == MANAGER_CHANGED && d->manager.paused)
                orders_finish_pauses(d, 0, NULL);
        d->turn_due = true;
}

int jobs_on_hotplug_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;

        (void) source;
        (void) usec;
        if (hotplug_take(&d->hotplug, daemon_now_us())) {
                d->replan_due = true;
                /* What is only tried again is made for the reason that it was. */
                d->replan_why = d->plan_failed && !d->uevent_heard ? d->job_why : "hotplug";
                d->uevent_heard = false;
        }
        arm_hotplug(d);
        daemon_continue(d);
        return 0;
}

void jobs_on_uevent(void *userdata, enum hotplug_action action, int nid) {
        struct daemon *d = userdata;
        uint64_t now = daemon_now_us();

        hotplug_event(&d->hotplug, now, action, nid);
        d->uevent_heard = true;
        /* Memory that somebody brings to a drained node, for most the same that has just gone, is there to be used. */
        if (action == HOTPLUG_COMES && nid >= 0) {
                idset_remove(&d->drained, (unsigned) nid);
                orders_record_drained(d);
        }
        /* A node that begins to leave: every tenth of a second counts. */
        if (hotplug_next_us(&d->hotplug) <= now && hotplug_take(&d->hotplug, now)) {
                d->replan_due = true;
                d->replan_why = "hotplug";
                d->uevent_heard = false;
                /* Before that the worker makes the manager, and no turn is to be cut short. */
                if (d->phase == PHASE_RUNNING)
                        d->manager.hurry = true;
        }
        arm_hotplug(d);
        daemon_continue(d);
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
                telemetry_restored(d->telemetry, false);
        }
        if (d->result == 0)
                d->result = MIN(d->job_result, 0);
        d->phase = PHASE_PUT_BACK;
        if (sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, METRICS_REMOVE_US, 0, on_metrics_stuck, d) < 0)
                daemon_exit(d, 0);
        else
                remove_metrics(d);
}

/* Whatever is wanted next, in order of urgency, as soon as the worker is free. */
void daemon_continue(struct daemon *d) {
        if (d->busy || d->phase >= PHASE_STOPPING)
                return;
        if (d->stop_wanted) {
                d->phase = PHASE_STOPPING;
                (void) sd_notify(0, "STOPPING=1\nSTATUS=Putting everything back");
                patience_extend(d->patience_us);
                orders_refuse(d, -ESHUTDOWN, "tierd is stopping");
                if (d->status)
                        daemon_refresh(d);
                daemon_submit(d, job_stop, on_stopped);
                return;
        }
        if (d->phase != PHASE_RUNNING)
                return;
        if (d->replan_due) {
                d->replan_due = false;
                d->job_leaving = d->hotplug.leaving;
                IDSET_FOREACH(nid, &d->drained)
                        idset_add(&d->job_leaving, (unsigned) nid);
                d->job_why = d->replan_why;
                allow_more(d);
                daemon_submit(d, job_replan, on_replanned);
                return;
        }
        /* Until a plan has gone well, or tierd gives up, neither turn nor order sets the nodes that leave to work again. */
        if (d->plan_failed)
                return;
        orders_begin(d);
        if (d->busy)
                return;
        if (d->replan_due) {
                daemon_continue(d);
                return;
        }
        if (d->report_due)
                daemon_report(d);
        if (d->turn_due) {
                d->turn_due = false;
                if (manager_is_idle(&d->manager))
                        orders_finish_pauses(d, 0, NULL);
                else
                        daemon_submit(d, job_turn, on_turn_done);
        }
}
