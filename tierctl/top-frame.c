/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/top-frame.h"
#include "base/parse.h"
#include "tierctl/table.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* The time of day, or with its date, in the operator's time zone. */
static void format_clock(uint64_t realtime_us, bool date, char *buf, size_t size) {
        time_t t = (time_t) (realtime_us / 1000000);
        struct tm tm;

        if (!localtime_r(&t, &tm) || strftime(buf, size, date ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &tm) == 0)
                buf[0] = '\0';
}

/* The headline, and at the right edge of the screen the time, where there is room. */
static void print_headline(const struct frame *frame, const struct moment *now, FILE *f) {
        struct pace pace = show_pace(&frame->show);
        char text[HEADLINE_MAX], clock[16];
        size_t width = frame->show.width, used;
        enum mood mood;

        if (frame->trouble) {
                (void) snprintf(text, sizeof(text), "GONE: %s", frame->trouble);
                mood = MOOD_BAD;
        } else
                mood = headline_make(frame->show.now, &pace, now->monotonic_us, text);
        (void) fputs(mood_colour(mood, frame->show.colour), f);
        format_clock(now->realtime_us, false, clock, sizeof(clock));
        used = text_width(text, sizeof(text)) + 1 + strlen(clock);
        if (frame->live && used <= width)
                (void) fprintf(f, "%s%s%*s%s\n", text, frame->show.colour ? COLOUR_END : "", (int) (width - used + 1), "",
                               clock);
        else
                /* The terminal's part ends the colour with the line. */
                text_wrap_within(text, 0, 0, MAX(width, (size_t) 20), f);
}

static void print_run(const struct frame *frame, const struct moment *now, FILE *f) {
        char text[256], interval[FORMAT_MAX], hint[64];

        status_format_run(frame->show.now, now, text, sizeof(text));
        (void) snprintf(hint, sizeof(hint), "every %s, q quits",
                        format_duration(frame->interval_us, interval, sizeof(interval)));
        if (text_width(text, sizeof(text)) + 2 + strlen(hint) > frame->show.width)
                (void) snprintf(hint, sizeof(hint), "q quits");
        if (frame->live && text_width(text, sizeof(text)) + 2 + strlen(hint) <= frame->show.width)
                (void) fprintf(f, "%-*s%s\n", (int) (frame->show.width - strlen(hint)), text, hint);
        else
                (void) fprintf(f, "%s\n", text);
}

static int print_frame(const struct frame *frame, const struct moment *now, bool compact, FILE *f) {
        const struct snapshot *s = frame->show.now;
        char clock[64];
        int r;

        if (!frame->live) {
                format_clock(now->realtime_us, true, clock, sizeof(clock));
                (void) fprintf(f, "%s\n", clock);
        }
        print_headline(frame, now, f);
        /* Of a daemon that has gone nothing is true any more but what it was. */
        if (frame->trouble && !frame->live)
                return 0;
        if (!compact) {
                print_run(frame, now, f);
                (void) fputs(s->n_nodes > 0 ? "\n" : "", f);
        }
        r = show_nodes(&frame->show, f);
        if (r < 0)
                return r;
        (void) fputs(s->n_schemes > 0 && !compact ? "\n" : "", f);
        r = show_schemes(&frame->show, f);
        if (r < 0)
                return r;
        (void) fputs(s->n_notes > 0 && !compact ? "\n" : "", f);
        for (size_t i = 0; i < s->n_notes; i++)
                text_wrap_within(s->notes[i], 0, 0, MAX(frame->show.width, (size_t) 20), f);
        return 0;
}

static size_t count_lines(const char *text) {
        size_t n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

static int make(const struct frame *frame, const struct moment *now, bool compact, char **ret) {
        _cleanup_free_ char *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;
        int r;

        f = open_memstream(&text, &n);
        if (!f)
                return -ENOMEM;
        r = print_frame(frame, now, compact, f);
        if (r < 0)
                return r;
        /* Only the closed stream leaves the text alone. */
        if (fclose(TAKE_PTR(f)) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}

int frame_make(const struct frame *frame, const struct moment *now, char **ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = make(frame, now, false, &text);
        if (r < 0)
                return r;
        /* On a low screen, what tells nothing of the memory gives way. */
        if (frame->live && count_lines(text) > frame->rows)
                return make(frame, now, true, ret);
        *ret = TAKE_PTR(text);
        return 0;
}
