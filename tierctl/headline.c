/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/headline.h"
#include "base/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * By as much as this, or half its goal, a node may be off while demotion and promotion count on each other (STEP_MAX_BP of
 * policy/tuner.c): that is tierd at work, not a node in need.
 */
#define AT_WORK_BP 150
/* The tuner leaves a gap smaller than this alone (GOAL_SLACK_BP there). */
#define SLACK_BP 25
/* A node with less free memory than this takes no pages (TARGET_RESERVE_BP there); for tuners that give no reason. */
#define NO_ROOM_BP 100
/* A turn takes a second or two; the kernel has been seen to sit on a command for longer, and to come back. */
#define STALE_US UINT64_C(60000000)

char *format_age(uint64_t us, char *buf, size_t size) {
        static const struct {
                uint64_t from_us, unit_us;
                const char *name;
        } units[] = {
                { UINT64_C(172800000000), UINT64_C(86400000000), "days" },
                { UINT64_C(7200000000),   UINT64_C(3600000000),  "h"    },
                { UINT64_C(120000000),    UINT64_C(60000000),    "min"  },
                { UINT64_C(10000000),     UINT64_C(1000000),     "s"    },
        };

        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (us >= units[i].from_us) {
                        (void) snprintf(buf, size, "%" PRIu64 " %s", us / units[i].unit_us, units[i].name);
                        return buf;
                }
        (void) snprintf(buf, size, "%" PRIu64 ".%" PRIu64 " s", us / 1000000, us % 1000000 / 100000);
        return buf;
}

char *format_amount(uint64_t bytes, char *buf, size_t size) {
        static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        uint64_t hundredths = 0;
        size_t u = 0;

        for (; bytes >= 1024 && u + 1 < ELEMENTSOF(units); u++) {
                hundredths = bytes % 1024 * 100 / 1024;
                bytes /= 1024;
        }
        if (u == 0 || bytes >= 100)
                (void) snprintf(buf, size, "%" PRIu64 " %s", bytes, units[u]);
        else if (bytes >= 10)
                (void) snprintf(buf, size, "%" PRIu64 ".%" PRIu64 " %s", bytes, hundredths / 10, units[u]);
        else
                (void) snprintf(buf, size, "%" PRIu64 ".%02" PRIu64 " %s", bytes, hundredths, units[u]);
        return buf;
}

char *format_rate(uint64_t bytes_per_s, char *buf, size_t size) {
        char amount[FORMAT_MAX];

        if (bytes_per_s == 0)
                (void) snprintf(buf, size, "-");
        else
                (void) snprintf(buf, size, "%s/s", format_amount(bytes_per_s, amount, sizeof(amount)));
        return buf;
}

/* How much the node lacks of the free memory that the scheme is to give it; 0: nothing, or it is not known. */
static int gap_bp(const struct shown_scheme *s) {
        if (!s->demotes || !s->goal_is_free || s->goal_bp < 0 || s->current_bp < 0)
                return 0;
        return MAX(s->goal_bp - s->current_bp, 0);
}

static bool is_low(const struct shown_scheme *s) {
        return gap_bp(s) > MIN(AT_WORK_BP, s->goal_bp / 2);
}

static bool has_no_room(const struct snapshot *s, const struct shown_scheme *scheme) {
        const struct shown_node *target = snapshot_node(s, scheme->target);

        if (scheme->reason[0] != '\0')
                return strcmp(scheme->reason, "no room") == 0;
        return target && target->free_bp >= 0 && target->free_bp < NO_ROOM_BP;
}

/* The scheme whose node is worst off; NULL when every goal is met. ret_n: how many there are. */
static const struct shown_scheme *find_worst(const struct snapshot *s, size_t *ret_n) {
        const struct shown_scheme *worst = NULL;
        size_t n = 0;

        for (size_t i = 0; i < s->n_schemes; i++) {
                const struct shown_scheme *scheme = s->schemes + i;

                if (!is_low(scheme))
                        continue;
                n++;
                if (!worst || has_no_room(s, scheme) > has_no_room(s, worst) ||
                    (has_no_room(s, scheme) == has_no_room(s, worst) &&
                     gap_bp(scheme) > gap_bp(worst)))
                        worst = scheme;
        }
        *ret_n = n;
        return worst;
}

static void describe_effort(const struct shown_scheme *s, char *buf, size_t size) {
        char rate[FORMAT_MAX];

        if (s->rate > 0)
                (void) snprintf(buf, size, "demoting to node %d at up to %s", s->target,
                                format_rate(s->rate, rate, sizeof(rate)));
        else if (strcmp(s->reason, "settling") == 0)
                (void) snprintf(buf, size, "not demoting yet, tierd still learns what is cold");
        else
                (void) snprintf(buf, size, "not demoting%s%s%s", s->reason[0] ? " (" : "", s->reason, s->reason[0] ? ")" : "");
}

static enum mood tell_low(const struct snapshot *s, const struct shown_scheme *worst, size_t n, char *buf) {
        char has[FORMAT_MAX], wanted[FORMAT_MAX], effort[128], more[48] = "";
        bool full = has_no_room(s, worst);

        /* One decimal, as in the tables. */
        (void) format_percent((uint32_t) (worst->current_bp / 10 * 10), has, sizeof(has));
        (void) format_percent((uint32_t) worst->goal_bp, wanted, sizeof(wanted));
        if (n > 1)
                (void) snprintf(more, sizeof(more), " (and %zu more)", n - 1);
        if (full)
                (void) snprintf(buf, HEADLINE_MAX, "FULL: node %d has %s free of %s wanted, node %d below has no room%s",
                                worst->source, has, wanted, worst->target, more);
        else {
                describe_effort(worst, effort, sizeof(effort));
                (void) snprintf(buf, HEADLINE_MAX, "LOW: node %d has %s free of %s wanted; %s%s", worst->source, has, wanted,
                                effort, more);
        }
        return full ? MOOD_BAD : MOOD_NOTICE;
}

static void describe_movement(const struct snapshot *s, const struct pace *pace, char *buf, size_t size) {
        char down[FORMAT_MAX], up[FORMAT_MAX];
        const char *goals = "goals met";
        struct pace p = *pace;

        for (size_t i = 0; i < s->n_schemes; i++) {
                const struct shown_scheme *scheme = s->schemes + i;

                if (!p.known)
                        *(scheme->demotes ? &p.down : &p.up) += scheme->rate;
                if (gap_bp(scheme) > SLACK_BP)
                        goals = "goals nearly met";
        }
        if (p.down == 0 && p.up == 0)
                (void) snprintf(buf, size, "%s, %s", goals, p.known ? "nothing moves" : "at rest");
        else if (p.down == 0 || p.up == 0)
                (void) snprintf(buf, size, "%s; %s %s %s", goals, p.known ? "moving" : "quota",
                                format_rate(MAX(p.down, p.up), down, sizeof(down)), p.down > 0 ? "down" : "up");
        else
                (void) snprintf(buf, size, "%s; %s %s down, %s up", goals, p.known ? "moving" : "quotas",
                                format_rate(p.down, down, sizeof(down)), format_rate(p.up, up, sizeof(up)));
}

enum mood headline_make(const struct snapshot *s, const struct pace *pace, uint64_t now_monotonic_us,
                        char buf[static HEADLINE_MAX]) {
        const struct shown_scheme *worst;
        char text[128];
        size_t n = 0;

        if (strcmp(s->state, "managing") != 0) {
                static const struct {
                        const char *state, *text;
                        enum mood mood;
                } others[] = {
                        { "paused", "PAUSED: nothing moves until `tierctl resume`", MOOD_NOTICE },
                        { "idle", "IDLE: there is nothing to manage on this machine", MOOD_GOOD },
                        { "starting", "STARTING: tierd does not manage yet", MOOD_NOTICE },
                        { "stopping", "STOPPING: tierd puts everything back", MOOD_NOTICE },
                };

                for (size_t i = 0; i < ELEMENTSOF(others); i++)
                        if (strcmp(s->state, others[i].state) == 0) {
                                (void) snprintf(buf, HEADLINE_MAX, "%s", others[i].text);
                                return others[i].mood;
                        }
                (void) snprintf(buf, HEADLINE_MAX, "UNKNOWN: tierd's state is \"%s\"; is it of another version?", s->state);
                return MOOD_NOTICE;
        }
        if (s->taken_monotonic_us != UNKNOWN_NUMBER && now_monotonic_us > s->taken_monotonic_us &&
            now_monotonic_us - s->taken_monotonic_us > STALE_US) {
                (void) snprintf(buf, HEADLINE_MAX, "STALE: tierd has not measured for %s; see journalctl -u tierd",
                                format_age(now_monotonic_us - s->taken_monotonic_us, text, sizeof(text)));
                return MOOD_BAD;
        }
        worst = find_worst(s, &n);
        if (worst)
                return tell_low(s, worst, n, buf);
        n = 0;
        for (size_t i = 0; i < s->n_nodes; i++)
                n += s->nodes[i].tier >= 0;
        if (s->taken_monotonic_us == UNKNOWN_NUMBER)
                (void) snprintf(text, sizeof(text), "not measured yet");
        else
                describe_movement(s, pace, text, sizeof(text));
        (void) snprintf(buf, HEADLINE_MAX, "OK: %zu tiers, %zu nodes; %s", s->n_tiers, n, text);
        return MOOD_GOOD;
}
