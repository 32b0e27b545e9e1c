/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/status-text.h"
#include "base/clock.h"
#include "base/parse.h"
#include "tierctl/show.h"
#include "tierctl/table.h"

#include <inttypes.h>
#include <string.h>

#define STATUS_WIDTH 80

struct moment moment_now(void) {
        return (struct moment) { .realtime_us = clock_us(CLOCK_REALTIME), .monotonic_us = clock_us(CLOCK_MONOTONIC) };
}

const char *mood_colour(enum mood mood, bool colour) {
        static const char *const colours[] = {
                [MOOD_GOOD] = "\x1b[1;32m", [MOOD_NOTICE] = "\x1b[1;33m", [MOOD_BAD] = "\x1b[1;31m",
        };

        return colour ? colours[mood] : "";
}

void status_format_run(const struct snapshot *s, const struct moment *now, char *buf, size_t size) {
        char up[FORMAT_MAX], ago[FORMAT_MAX];
        size_t n = 0;
        int w;

        w = snprintf(buf, size, "tierd %s%s%s%s%s", s->version[0] ? s->version : "?", s->kernel[0] ? ", Linux " : "", s->kernel,
                     s->tuner[0] ? ", tuner " : "", s->tuner);
        n = MIN((size_t) MAX(w, 0), size);
        if (s->started_realtime_us > 0 && s->started_realtime_us < now->realtime_us) {
                w = snprintf(buf + n, size - n, ", up %s",
                             format_age(now->realtime_us - s->started_realtime_us, up, sizeof(up)));
                n = MIN(n + (size_t) MAX(w, 0), size);
        }
        if (s->taken_monotonic_us <= now->monotonic_us)
                (void) snprintf(buf + n, size - n, ", measured %s ago",
                                format_age(now->monotonic_us - s->taken_monotonic_us, ago, sizeof(ago)));
}

/* "since Fri 2026-11-20 03:12:05 UTC" in the operator's own time zone. */
static void print_since(const struct snapshot *s, FILE *f) {
        char text[64];
        struct tm tm;
        time_t t;

        if (s->started_realtime_us == UNKNOWN_NUMBER || s->started_realtime_us == 0)
                return;
        t = (time_t) (s->started_realtime_us / 1000000);
        if (localtime_r(&t, &tm) && strftime(text, sizeof(text), "%a %Y-%m-%d %H:%M:%S %Z", &tm) > 0)
                (void) fprintf(f, "Since %s: ", text);
}

static void print_details(const struct snapshot *s, const struct moment *now, FILE *f) {
        char text[256];

        status_format_run(s, now, text, sizeof(text));
        text_wrap(text, 0, 0, f);
        (void) fprintf(f, "Configuration: %s", s->config_file ? s->config_file : "none, the defaults");
        if (s->rank_source[0])
                (void) fprintf(f, "; tiers by %s", s->rank_source);
        (void) fputc('\n', f);
        print_since(s, f);
        (void) fprintf(f, "%" PRIu64 " turns", s->turns);
        if (s->failed_turns > 0)
                (void) fprintf(f, " (%" PRIu64 " failed)", s->failed_turns);
        (void) fprintf(f, ", %" PRIu64 " reloads, %" PRIu64 " replans\n", s->reloads, s->replans);
        for (size_t i = 0; i < s->n_nodes; i++)
                if (s->nodes[i].restarts > 0)
                        (void) fprintf(f, "Node %d: its kdamond had ended by itself and was started again (%" PRIu64 ")\n",
                                       s->nodes[i].id, s->nodes[i].restarts);
}

int status_print(const struct snapshot *s, const struct moment *now, bool colour, FILE *f) {
        const struct show show = { .now = s, .width = STATUS_WIDTH, .colour = colour };
        char headline[HEADLINE_MAX];
        enum mood mood;
        int r;

        mood = headline_make(s, &(struct pace) {}, now->monotonic_us, headline);
        (void) fputs(mood_colour(mood, colour), f);
        text_wrap(headline, 0, 0, f);
        (void) fputs(colour ? COLOUR_END "\n" : "\n", f);

        r = show_nodes(&show, f);
        if (r < 0)
                return r;
        (void) fputs(s->n_nodes > 0 ? "\n" : "", f);
        r = show_schemes(&show, f);
        if (r < 0)
                return r;
        (void) fputs(s->n_schemes > 0 ? "\n" : "", f);
        print_details(s, now, f);
        if (s->n_notes > 0)
                (void) fputs("\nNotes:\n", f);
        for (size_t i = 0; i < s->n_notes; i++)
                text_wrap(s->notes[i], 2, 0, f);
        return 0;
}
