/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierd/bus.h"
#include "tierd/daemon.h"
#include "tierd/hotplug.h"
#include "tierd/manager.h"
#include "tierd/metrics.h"
#include "tierd/patience.h"
#include "tierd/status.h"
#include "tierd/telemetry.h"
#include "tierd/uevents.h"
#include "tierd/watchdog.h"
#include "tierd/worker.h"

/* Shared by daemon.c, jobs.c and orders.c only. */

/* Put back: all of the system is as it was, and the metrics file alone is still to be removed. */
enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING, PHASE_PUT_BACK, PHASE_STOPPED };

/* What an operator asked for, by a signal or over D-Bus; done one after the other, in the order of asking. */
enum order_kind { ORDER_RELOAD, ORDER_PAUSE, ORDER_RESUME, ORDER_DRAIN, ORDER_UNDRAIN };
struct order {
        enum order_kind kind;
        int nid;                        /* of ORDER_DRAIN, ORDER_UNDRAIN */
        struct bus_request *request;    /* who waits for the answer; NULL: nobody */
};
/* The bus lets fewer callers wait than this (tierd/bus.h); the rest is for signals, of which one stands for all. */
#define ORDERS_MAX 128

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
        sd_event_source *turn_timer, *report_timer, *hotplug_timer;
        struct worker *worker;
        struct watchdog *watchdog;
        struct manager manager;
        struct saved *saved;
        struct telemetry *telemetry;
        struct bus *bus;
        struct uevents *uevents;
        struct hotplug hotplug;
        struct status *status;          /* what observers are shown; never NULL once there is a bus */

        enum phase phase;
        bool busy, stop_wanted, turn_due, report_due, replan_due;
        bool plan_failed;               /* the last plan for another machine could not be put in force; tried again soon */
        bool planned_for_groups;        /* the last plan was made for control groups, and no turn since has found it to fit */
        bool uevent_heard;              /* since the last time that the plan was due for one */
        const char *replan_why;
        unsigned failed_turns;          /* in a row */

        struct order orders[ORDERS_MAX];
        size_t n_orders;
        struct order at_work;           /* the reload that is the job at hand */
        struct order pauses[ORDERS_MAX];        /* asked for, and waiting for a turn that goes well and brings them about */
        size_t n_pauses;
        struct order drain;             /* the same for a plan; one at most, see orders_begin() */
        /* Nodes that are to be emptied: left out of every plan until they are given back, or go. And as the record has them. */
        struct idset drained, drained_recorded;

        /* The job at hand and its result. */
        void (*job_done)(struct daemon *d);
        struct config *job_config;
        struct idset job_leaving;
        const char *job_why;            /* of the plan */
        bool job_outdated;              /* it failed, and does not fit any more: manager_is_outdated() */
        int job_result;
        uint64_t job_next_us;
        struct diag job_diag;

        struct metrics_writer *metrics;
        uint64_t metrics_begun_us;      /* when the last write of it began */
        bool metrics_stuck;             /* it was told that this one does not end */
        const char *config_path_in_force;       /* NULL: the defaults */
        const char *config_path_before;         /* while a reload is the job at hand */
        uint64_t patience_us;           /* how long the kernel may take over a job, as systemd was told */
        uint64_t watchdog_told_us;
        uint64_t down_bytes, up_bytes;  /* moved in the time of the last report */
        char told_status[256];          /* to systemd */
        uint64_t started_realtime_us, turns, failed_turns_total, reloads, replans;
        int result;
        struct diag *reterr;
};

void daemon_submit(struct daemon *d, worker_job job, void (*done)(struct daemon *d));
void daemon_continue(struct daemon *d);

/* The first job; each leads to the next. */
void jobs_start(struct daemon *d);
int jobs_on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata);
int jobs_on_metrics(sd_event_source *source, int fd, uint32_t revents, void *userdata);
int jobs_on_turn_timer(sd_event_source *source, uint64_t usec, void *userdata);
int jobs_on_report_timer(sd_event_source *source, uint64_t usec, void *userdata);
int jobs_on_hotplug_timer(sd_event_source *source, uint64_t usec, void *userdata);
void jobs_on_uevent(void *userdata, enum hotplug_action action, int nid);

/* A new snapshot of the manager, which must be the loop's. */
void daemon_refresh(struct daemon *d);

/* Tells systemd how long a job may take: by the configuration in force, or by `next` (may be NULL) if that is longer. */
void daemon_allow(struct daemon *d, const struct config *next);

/* What could not be set, and is gone on without. */
void daemon_tell_advice(struct daemon *d);

/* The configuration file, its warnings told. The default one may be missing, which means the defaults. */
int daemon_read_config(struct daemon *d, struct config **ret, struct diag *reterr);

uint64_t daemon_now_us(void);           /* CLOCK_MONOTONIC */
uint64_t daemon_realtime_us(void);      /* CLOCK_REALTIME, for people */

/* Takes an order; one too many is refused at once. */
void orders_add(struct daemon *d, enum order_kind kind, int nid, struct bus_request *request);
/* Begins what is asked for, with a worker that is free; what needs the worker makes it busy. */
void orders_begin(struct daemon *d);
/* A turn has brought the pauses and resumes about, or none ever will. */
void orders_finish_pauses(struct daemon *d, int error, const char *text);
/* Brings the record of drained nodes to what d->drained is; a failure is logged. */
void orders_record_drained(struct daemon *d);

/* A plan without the drained nodes, and with those given back, is in force, or none ever will be. */
void orders_finish_drain(struct daemon *d, int error, const char *text);
/* Whoever waits for anything is told no. */
void orders_refuse(struct daemon *d, int error, const char *text);

extern const struct bus_handlers bus_handlers;
