/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/show.h"
#include "base/parse.h"
#include "tierctl/headline.h"
#include "tierctl/table.h"

#include <errno.h>
#include <string.h>

const struct snapshot *show_base(const struct snapshot *now, const struct snapshot *before) {
        if (!now || !before || now->started_realtime_us != before->started_realtime_us ||
            now->taken_monotonic_us == UNKNOWN_NUMBER || before->taken_monotonic_us >= now->taken_monotonic_us)
                return NULL;
        return before;
}

/* Growth per second between the two snapshots; counts never go back in one run of tierd. */
static uint64_t growth(const struct show *s, uint64_t before, uint64_t now) {
        uint64_t time_us = s->now->taken_monotonic_us - s->before->taken_monotonic_us;

        if (now <= before || now == UNKNOWN_NUMBER)
                return 0;
        return (uint64_t) ((unsigned __int128) (now - before) * 1000000 / time_us);
}

static const struct shown_scheme *scheme_before(const struct show *s, const struct shown_scheme *scheme) {
        return s->before ? snapshot_scheme(s->before, scheme->name) : NULL;
}

struct pace show_pace(const struct show *s) {
        struct pace p = { .known = s->before != NULL };

        for (size_t i = 0; i < s->now->n_schemes; i++) {
                const struct shown_scheme *scheme = s->now->schemes + i, *before = scheme_before(s, scheme);

                if (before)
                        *(scheme->demotes ? &p.down : &p.up) += growth(s, before->applied_bytes, scheme->applied_bytes);
        }
        return p;
}

/* -- nodes -- */

static const char *size_or_dash(uint64_t bytes, char *buf, size_t size) {
        if (bytes == UNKNOWN_NUMBER)
                return "-";
        return format_amount(bytes, buf, size);
}

static const char *percent_or_dash(int bp, char *buf, size_t size) {
        /* One decimal at most: columns of numbers are compared by their length. */
        if (bp < 0)
                return "-";
        (void) snprintf(buf, size, "%d.%d%%", bp / 100, bp % 100 / 10);
        return buf;
}

/* Free memory that the node is to have; -1: no scheme sees to it. */
static int wanted_bp(const struct snapshot *s, int node) {
        int wanted = -1;

        for (size_t i = 0; i < s->n_schemes; i++)
                if (s->schemes[i].goal_is_free && s->schemes[i].goal_node == node)
                        wanted = MAX(wanted, s->schemes[i].goal_bp);
        return wanted;
}

/* CPU time of the node's kdamonds: since the last sample, or since tierd began, as hundredths of a percent of one CPU; -1. */
static int cpu_bp(const struct show *s, const struct shown_node *n) {
        const struct shown_node *before = s->before ? snapshot_node(s->before, n->id) : NULL;
        const struct snapshot *now = s->now;

        if (!n->has_kdamond || n->cpu_us == UNKNOWN_NUMBER)
                return -1;
        if (before && before->has_kdamond)
                return (int) MIN(growth(s, before->cpu_us, n->cpu_us) / 100, UINT64_C(1000000));
        if (now->taken_realtime_us == UNKNOWN_NUMBER || now->taken_realtime_us <= now->started_realtime_us)
                return -1;
        return (int) MIN((unsigned __int128) n->cpu_us * 10000 / (now->taken_realtime_us - now->started_realtime_us), 1000000U);
}

/* How full the node is, in `width` blocks; with an eighth's precision, as UTF-8 has blocks of eighths. */
static void format_bar(int free_bp, size_t width, char *buf, size_t size) {
        static const char *const eighths[] = { " ", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
        size_t used = (size_t) (10000 - MIN(free_bp, 10000)) * width * 8 / 10000, n = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < width && n + 4 < size; i++) {
                const char *block = used >= 8 * (i + 1) ? "█" : used > 8 * i ? eighths[used % 8] : "·";

                n += (size_t) snprintf(buf + n, size - n, "%s", block);
        }
}

/* The bar is the column that gives way first to what is known, and takes what room is left. */
static size_t bar_width(const struct show *s) {
        if (!s->bars)
                return 0;
        return s->width >= 120 ? 24 : s->width >= 100 ? 16 : 8;
}

static int add_node(const struct show *s, struct table *t, const struct shown_node *n) {
        char text[FORMAT_MAX], bar[128] = "-";
        int r;

        r = n->tier >= 0 ? table_add(t, "%d", n->tier) : table_add(t, "-");
        if (r == 0)
                r = table_add(t, "%d", n->id);
        if (r == 0)
                r = table_add(t, "%s", n->kind);
        if (r == 0)
                r = table_add(t, "%s", n->total_bytes > 0 ? format_size(n->total_bytes, text, sizeof(text)) : "-");
        if (r == 0)
                r = table_add(t, "%s", size_or_dash(n->free_bytes, text, sizeof(text)));
        if (r == 0)
                r = table_add(t, "%s", percent_or_dash(n->free_bp, text, sizeof(text)));
        if (r == 0)
                r = table_add(t, "%s", percent_or_dash(wanted_bp(s->now, n->id), text, sizeof(text)));
        if (r == 0 && bar_width(s) > 0) {
                if (n->free_bp >= 0)
                        format_bar(n->free_bp, bar_width(s), bar, sizeof(bar));
                r = table_add(t, "%s", bar);
        }
        if (r == 0)
                r = table_add(t, "%s", size_or_dash(n->hot_bytes, text, sizeof(text)));
        if (r == 0)
                r = table_add(t, "%s", size_or_dash(n->cold_bytes, text, sizeof(text)));
        if (r == 0)
                r = table_add(t, "%s", percent_or_dash(cpu_bp(s, n), text, sizeof(text)));
        return r;
}

int show_nodes(const struct show *s, FILE *f) {
        static const struct table_column columns[] = {
                { "TIER", ALIGN_RIGHT }, { "NODE", ALIGN_RIGHT }, { "KIND", ALIGN_LEFT },    { "SIZE", ALIGN_RIGHT },
                { "FREE", ALIGN_RIGHT }, { "", ALIGN_RIGHT },     { "WANTED", ALIGN_RIGHT }, { "IN USE", ALIGN_LEFT },
                { "HOT", ALIGN_RIGHT },  { "COLD", ALIGN_RIGHT }, { "CPU", ALIGN_RIGHT },
        };
        static const unsigned ranks[] = { 0, 0, 3, 2, 4, 0, 0, 5, 6, 7, 1 };
        /* Without bars, their column is taken out of the middle. */
        enum { BAR = 7, N = ELEMENTSOF(columns) };
        struct table_column shown[N];
        unsigned shown_ranks[N];
        _cleanup_table_ struct table *t = NULL;
        size_t n = 0;
        int r;

        if (s->now->n_nodes == 0)
                return 0;
        for (size_t i = 0; i < N; i++)
                if (i != BAR || bar_width(s) > 0) {
                        shown[n] = columns[i];
                        shown_ranks[n++] = ranks[i];
                }
        t = table_new(shown, n);
        if (!t)
                return -ENOMEM;
        for (size_t tier = 0; tier <= s->now->n_tiers; tier++)
                for (size_t i = 0; i < s->now->n_nodes; i++) {
                        const struct shown_node *node = s->now->nodes + i;
                        bool placed = node->tier >= 0 && (size_t) node->tier < s->now->n_tiers;

                        if (tier < s->now->n_tiers ? node->tier != (int) tier : placed)
                                continue;
                        r = add_node(s, t, node);
                        if (r < 0)
                                return r;
                }
        table_print_within(t, f, s->colour, s->width, shown_ranks);
        return 0;
}

/* -- schemes -- */

static int add_scheme(const struct show *s, struct table *t, const struct shown_scheme *scheme) {
        const struct shown_scheme *before = scheme_before(s, scheme);
        char text[FORMAT_MAX];
        int r;

        r = table_add(t, "%s", scheme->demotes ? "demote" : "promote");
        if (r == 0)
                r = table_add(t, "%d", scheme->source);
        if (r == 0)
                r = table_add(t, "%d", scheme->target);
        if (r == 0)
                r = scheme->goal_bp < 0 ? table_add(t, "-")
                                        : table_add(t, "%s %s", format_percent((uint32_t) scheme->goal_bp, text, sizeof(text)),
                                                    scheme->goal_is_free ? "free" : "used");
        if (r == 0)
                r = table_add(t, "%s", percent_or_dash(scheme->current_bp, text, sizeof(text)));
        if (r == 0)
                r = table_add(t, "%s", format_rate(scheme->ceiling_rate, text, sizeof(text)));
        if (r == 0)
                r = table_add(t, "%s", format_rate(scheme->rate, text, sizeof(text)));
        if (r == 0 && s->before) {
                r = table_add(t, "%s", format_rate(before ? growth(s, before->tried_bytes, scheme->tried_bytes) : 0, text,
                                                   sizeof(text)));
                if (r == 0)
                        r = table_add(t, "%s", format_rate(before ? growth(s, before->applied_bytes, scheme->applied_bytes) : 0,
                                                           text, sizeof(text)));
        }
        if (r == 0)
                r = table_add(t, "%s", size_or_dash(scheme->applied_bytes, text, sizeof(text)));
        if (r == 0)
                r = table_add(t, "%s", scheme->reason[0] ? scheme->reason : "-");
        return r;
}

int show_schemes(const struct show *s, FILE *f) {
        static const struct table_column columns[] = {
                { "MOVE", ALIGN_LEFT },   { "FROM", ALIGN_RIGHT },   { "TO", ALIGN_RIGHT },   { "GOAL", ALIGN_RIGHT },
                { "NOW", ALIGN_RIGHT },   { "CEILING", ALIGN_RIGHT }, { "QUOTA", ALIGN_RIGHT },
                { "TRIED", ALIGN_RIGHT }, { "MOVING", ALIGN_RIGHT }, { "MOVED", ALIGN_RIGHT }, { "WHY", ALIGN_LEFT },
        };
        static const unsigned ranks[] = { 0, 0, 0, 4, 2, 7, 5, 6, 0, 3, 1 };
        /* Without an earlier snapshot there are no rates. */
        enum { RATES = 7, N_RATES = 2, N = ELEMENTSOF(columns) };
        struct table_column shown[N];
        unsigned shown_ranks[N];
        _cleanup_table_ struct table *t = NULL;
        size_t n = 0;
        int r;

        if (s->now->n_schemes == 0)
                return 0;
        for (size_t i = 0; i < N; i++)
                if (s->before || i < RATES || i >= RATES + N_RATES) {
                        shown[n] = columns[i];
                        shown_ranks[n++] = ranks[i];
                }
        t = table_new(shown, n);
        if (!t)
                return -ENOMEM;
        for (size_t i = 0; i < s->now->n_schemes; i++) {
                r = add_scheme(s, t, s->now->schemes + i);
                if (r < 0)
                        return r;
        }
        table_print_within(t, f, s->colour, s->width, shown_ranks);
        return 0;
}
