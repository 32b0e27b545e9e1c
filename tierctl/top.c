/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/client.h"
#include "tierctl/table.h"
#include "tierctl/terminal.h"
#include "tierctl/tierctl.h"
#include "tierctl/top-frame.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>

/*
 * The daemon's status, again and again. It is asked asynchronously, so that keys and signals are heard while it does not
 * answer; when it goes away that is shown, and it is waited for.
 */

/* Direct tuning takes a turn in 0.4 to 1 s: there are new numbers every time. */
#define INTERVAL_US UINT64_C(2000000)
/* After this long without an answer it is said that there is none. */
#define ANSWER_TIMEOUT_US UINT64_C(10000000)

struct top {
        sd_event *event;
        sd_event_source *timer;
        sd_bus *bus;                    /* NULL: the bus has gone */
        sd_bus_slot *asking;
        uint64_t interval_us;
        uint64_t left;                  /* samples until the end; 0: without end */
        bool live, colour, bars;
        struct terminal terminal;
        struct snapshot *now, *before;
        struct diag trouble;            /* error 0: none */
        int signal;                     /* what ended it; 0: a key, or the last sample */
        int status;
};

static void top_done(struct top *t) {
        terminal_leave(&t->terminal);
        sd_bus_slot_unref(t->asking);
        sd_bus_close_unref(t->bus);
        sd_event_source_unref(t->timer);
        sd_event_unref(t->event);
        snapshot_free(t->now);
        snapshot_free(t->before);
}

static int top_end(struct top *t, int status) {
        t->status = status;
        return sd_event_exit(t->event, 0);
}

/* What cannot be drawn ends it: the terminal has gone, or there is no memory. */
static void top_draw(struct top *t) {
        struct moment now = moment_now();
        struct frame frame = {
                .show = { .now = t->now, .before = show_base(t->now, t->before), .width = 80, .colour = t->colour,
                          .bars = t->bars },
                .trouble = t->trouble.error < 0 ? t->trouble.text : NULL, .interval_us = t->interval_us, .live = t->live,
        };
        _cleanup_free_ char *text = NULL;
        int r;

        if (t->live)
                terminal_size(t->terminal.out, &frame.show.width, &frame.rows);
        r = frame_make(&frame, &now, &text);
        if (r < 0) {
                (void) top_end(t, EXIT_INTERNAL);
                return;
        }
        if (t->live)
                r = terminal_draw(&t->terminal, text, frame.show.width, frame.rows);
        else if (fputs(text, stdout) < 0 || fputs("\n", stdout) < 0 || fflush(stdout) != 0)
                r = -EIO;
        if (r < 0)
                (void) top_end(t, EXIT_INTERNAL);
}

/* A sample has been taken, or could not be. */
static void top_sampled(struct top *t) {
        top_draw(t);
        if (t->left > 0 && --t->left == 0)
                (void) top_end(t, t->status);
}

/* Takes the text over as the newest snapshot; the one before it stays as long as there is nothing newer. */
static int top_take(struct top *t, const char *text) {
        struct snapshot *s;
        int r;

        r = snapshot_parse(text, &s);
        if (r < 0)
                return diag_set(&t->trouble, -EIO, "tierd's answer cannot be read; is it of another version?");
        t->trouble.error = 0;
        if (t->now && t->now->taken_monotonic_us == s->taken_monotonic_us &&
            t->now->started_realtime_us == s->started_realtime_us) {
                snapshot_free(t->now);
                t->now = s;
                return 0;
        }
        snapshot_free(t->before);
        t->before = t->now;
        t->now = s;
        return 0;
}

static int on_answer(sd_bus_message *answer, void *userdata, sd_bus_error *reterr) {
        struct top *t = userdata;
        const char *text;

        (void) reterr;
        t->asking = sd_bus_slot_unref(t->asking);
        if (client_error(sd_bus_message_get_error(answer), &t->trouble) < 0) {
                /* To sd-bus a connection that ends is a call without an answer. */
                if (sd_bus_is_open(t->bus) <= 0)
                        (void) diag_set(&t->trouble, -ENOTCONN, "the system bus has gone; waiting for it");
        } else {
                if (sd_bus_message_read(answer, "s", &text) < 0)
                        text = "";
                (void) top_take(t, text);
        }
        top_sampled(t);
        return 0;
}

static int top_ask(struct top *t) {
        sd_bus_message *m = NULL;
        int r;

        if (sd_bus_is_open(t->bus) <= 0) {
                t->bus = sd_bus_close_unref(t->bus);
                r = client_open(&t->bus, &t->trouble);
                if (r < 0)
                        return r;
                r = sd_bus_set_close_on_exit(t->bus, false);
                if (r >= 0)
                        r = sd_bus_attach_event(t->bus, t->event, SD_EVENT_PRIORITY_NORMAL);
                if (r < 0)
                        return diag_set(&t->trouble, r, "cannot watch the system bus: %s", strerror(-r));
        }
        r = client_new_call(t->bus, "Describe", false, &m);
        if (r >= 0)
                r = sd_bus_call_async(t->bus, &t->asking, m, on_answer, t, ANSWER_TIMEOUT_US);
        (void) sd_bus_message_unref(m);
        return r < 0 ? diag_set(&t->trouble, r, "cannot ask tierd: %s", strerror(-r)) : 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        struct top *t = userdata;

        (void) usec;
        (void) sd_event_source_set_time_relative(source, t->interval_us);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        if (t->asking)
                /* No answer yet: the time goes on. Lines of text would only say the same again. */
                t->live ? top_draw(t) : (void) 0;
        else if (top_ask(t) < 0)
                top_sampled(t);
        return 0;
}

static int on_key(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct top *t = userdata;
        char keys[64];
        ssize_t n;

        (void) source;
        (void) revents;
        n = read(fd, keys, sizeof(keys));
        if (n <= 0)
                return n < 0 && (errno == EINTR || errno == EAGAIN) ? 0 : top_end(t, EXIT_WELL);
        if (memchr(keys, 'q', (size_t) n) || memchr(keys, 'Q', (size_t) n))
                return top_end(t, EXIT_WELL);
        /* Any other key: at once. */
        (void) sd_event_source_set_time_relative(t->timer, 0);
        return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct top *t = userdata;

        (void) source;
        switch (si->ssi_signo) {
        case SIGWINCH:
                top_draw(t);
                return 0;
        case SIGTSTP:
                terminal_leave(&t->terminal);
                /* Goes on here, and SIGCONT is waiting. */
                return raise(SIGSTOP) == 0 ? 0 : -errno;
        case SIGCONT:
                /* Whoever had the terminal meanwhile left it as it liked. */
                if (terminal_enter(&t->terminal) < 0)
                        return top_end(t, EXIT_INTERNAL);
                top_draw(t);
                return 0;
        default:
                t->signal = (int) si->ssi_signo;
                return top_end(t, EXIT_WELL);
        }
}

static const int handled_signals[] = { SIGWINCH, SIGTSTP, SIGCONT, SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static int add_terminal(struct top *t) {
        sigset_t mask;
        int r;

        (void) sigemptyset(&mask);
        for (size_t i = 0; i < ELEMENTSOF(handled_signals); i++)
                (void) sigaddset(&mask, handled_signals[i]);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(handled_signals); i++) {
                r = sd_event_add_signal(t->event, NULL, handled_signals[i], on_signal, t);
                if (r < 0)
                        return r;
        }
        r = terminal_enter(&t->terminal);
        if (r < 0 || !t->terminal.keys)
                return r;
        return sd_event_add_io(t->event, NULL, t->terminal.in, EPOLLIN, on_key, t);
}

static int top_run(struct top *t) {
        int r;

        r = sd_event_new(&t->event);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(t->event, &t->timer, CLOCK_MONOTONIC, t->interval_us, 10000, on_tick, t);
        if (r < 0)
                return r;
        r = sd_bus_set_close_on_exit(t->bus, false);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(t->bus, t->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        if (t->live) {
                r = add_terminal(t);
                if (r < 0)
                        return r;
        }
        top_sampled(t);
        return sd_event_loop(t->event);
}

/* Ends as the signal would have ended it, so that a shell sees what it expects; by Ctrl-C one just leaves. */
static int end_by_signal(int signal_number, int status) {
        sigset_t mask;

        if (signal_number == 0 || signal_number == SIGINT)
                return status;
        (void) signal(signal_number, SIG_DFL);
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, signal_number);
        (void) raise(signal_number);
        (void) sigprocmask(SIG_UNBLOCK, &mask, NULL);
        return status;
}

int verb_top(const struct invocation *call) {
        struct top t = {
                .interval_us = call->interval_us > 0 ? call->interval_us : INTERVAL_US, .left = call->iterations,
                .live = terminal_is_live(STDOUT_FILENO),
                .terminal = { .in = STDIN_FILENO, .out = STDOUT_FILENO },
        };
        _cleanup_free_ char *text = NULL;
        struct diag d = {};
        int r;

        t.colour = t.live && table_use_colour(stdout);
        t.bars = t.live && terminal_has_blocks();
        /* The first answer decides whether there is something to be watched. */
        r = client_open(&t.bus, &d);
        if (r >= 0)
                r = client_call(t.bus, "Describe", false, CLIENT_READ_TIMEOUT_US, &text, &d);
        if (r >= 0) {
                r = top_take(&t, text);
                d = t.trouble;
        }
        if (r >= 0) {
                r = top_run(&t);
                (void) diag_default(&d, r, "cannot watch: %s", strerror(-r));
        }
        top_done(&t);
        if (r < 0)
                return client_report(&d);
        return end_by_signal(t.signal, t.status);
}
