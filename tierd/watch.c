/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/watch.h"

#include <errno.h>

/* A yes or no that is told when it has held for a while, and not too soon after it was told last. */
struct latch {
        bool on;
        bool doubted;                   /* the other one is seen, since: */
        uint64_t doubted_us;
        bool told;                      /* ever; at: */
        uint64_t told_us;
};

/* What is observed of one scheme. */
struct watched {
        enum direction direction;
        int source_nid, target_nid;

        struct latch reached, full, stalled, ping_pong;

        bool at_ceiling;                /* a window of it, which began: */
        uint64_t ceiling_us;
        int32_t ceiling_gap_bp;         /* to the goal, then */
        uint64_t ceiling_applied_bytes; /* total, then */
        unsigned ceiling_samples;
        uint64_t stall_us;              /* length of the windows in a row that brought the goal no nearer */

        /* Of demotions: the window at hand, as it began. */
        bool window;
        uint64_t window_us, down_bytes, up_bytes;
        int32_t down_gap_bp, up_gap_bp;
        uint64_t hot_bytes;             /* the most seen in it */
        unsigned bad_windows;           /* in a row, with: */
        uint64_t bad_us, bad_down_bytes, bad_up_bytes;
};

struct watch {
        struct watched *schemes;        /* parallel to the last snapshot's */
        size_t n_schemes;
        struct watch_event *events;     /* room for every kind of every scheme */
        size_t n_events;
};

int watch_new(struct watch **ret) {
        struct watch *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        *ret = w;
        return 0;
}

struct watch *watch_free(struct watch *w) {
        if (!w)
                return NULL;
        free(w->schemes);
        free(w->events);
        free(w);
        return NULL;
}

/* True when it changed. `hold_us`: how long it must be seen to be believed; `apart_us`: between two changes, at least. */
static bool latch_step(struct latch *l, bool on, uint64_t now_us, uint64_t hold_us, uint64_t apart_us) {
        if (on == l->on) {
                l->doubted = false;
                return false;
        }
        if (!l->doubted) {
                l->doubted = true;
                l->doubted_us = now_us;
        }
        if (now_us - l->doubted_us < hold_us || (l->told && now_us - l->told_us < apart_us))
                return false;
        *l = (struct latch) { .on = on, .told = true, .told_us = now_us };
        return true;
}

static bool is_same(const struct watched *w, const struct status_scheme *s) {
        return w->direction == s->direction && w->source_nid == s->source_nid && w->target_nid == s->target_nid;
}

/* Makes the memory fit the snapshot's schemes; what is known of those that stay is kept. */
static int watch_fit(struct watch *w, const struct status *s) {
        _cleanup_free_ struct watched *schemes = NULL;
        _cleanup_free_ struct watch_event *events = NULL;
        bool same = w->events && w->n_schemes == s->n_schemes;

        for (size_t i = 0; same && i < s->n_schemes; i++)
                same = is_same(w->schemes + i, s->schemes + i);
        if (same)
                return 0;

        schemes = calloc(s->n_schemes + 1, sizeof(*schemes));
        events = calloc(s->n_schemes * _WATCH_KIND_MAX + 1, sizeof(*events));
        if (!schemes || !events)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_schemes; i++) {
                schemes[i] = (struct watched) {
                        .direction = s->schemes[i].direction,
                        .source_nid = s->schemes[i].source_nid,
                        .target_nid = s->schemes[i].target_nid,
                };
                for (size_t j = 0; j < w->n_schemes; j++)
                        if (is_same(w->schemes + j, s->schemes + i))
                                schemes[i] = w->schemes[j];
        }
        free(w->schemes);
        free(w->events);
        w->schemes = TAKE_PTR(schemes);
        w->events = TAKE_PTR(events);
        w->n_schemes = s->n_schemes;
        return 0;
}

static struct watch_event *watch_tell(struct watch *w, enum watch_kind kind, const struct status_scheme *s) {
        struct watch_event *e = w->events + w->n_events++;

        *e = (struct watch_event) { .kind = kind, .scheme = s };
        return e;
}

/* How far the goal is, basis points; 0: reached, or not known. */
static int32_t goal_gap_bp(const struct status_scheme *s) {
        return s->current_bp < 0 ? 0 : MAX((int32_t) s->goal_bp - s->current_bp, 0);
}

static void watch_goal(struct watch *w, struct watched *m, const struct status *s, const struct status_scheme *scheme) {
        int32_t gap = goal_gap_bp(scheme);
        bool reached = gap <= WATCH_REACHED_BP || (m->reached.on && gap < WATCH_LOST_BP);

        if (scheme->current_bp >= 0 &&
            latch_step(&m->reached, reached, s->taken_us, WATCH_GOAL_HOLD_US, s->telemetry_interval_us))
                watch_tell(w, reached ? WATCH_GOAL_REACHED : WATCH_GOAL_LOST, scheme);
}

/*
 * tierd's tuner says itself when it finds no room. The kernel's does not: there a target is full that has less than one
 * hundredth free (the tuner's reserve), until it has two, while the source wants for memory.
 */
static bool is_full(const struct watched *m, const struct status *s, const struct status_scheme *scheme) {
        const struct status_node *target = status_node(s, scheme->target_nid);

        if (tuner_kind_is_own(s->tuner))
                return scheme->reason == TUNER_NO_ROOM;
        return target && target->has_free && goal_gap_bp(scheme) > WATCH_REACHED_BP &&
               target->free_bytes < target->total_bytes / (m->full.on ? 50 : 100);
}

static void watch_target(struct watch *w, struct watched *m, const struct status *s, const struct status_scheme *scheme) {
        bool full = is_full(m, s, scheme);

        /* Told at once; that it takes again, when it has done so for an interval. */
        if (scheme->direction == DEMOTE &&
            latch_step(&m->full, full, s->taken_us, full ? 0 : s->telemetry_interval_us, s->telemetry_interval_us))
                watch_tell(w, full ? WATCH_TARGET_FULL : WATCH_TARGET_TAKES, scheme);
}

/* A counter's growth. Totals go on over restarts; one that went back all the same began anew. */
static uint64_t growth(uint64_t before, uint64_t now) {
        return now >= before ? now - before : now;
}

static bool is_at_ceiling(const struct status_scheme *s) {
        unsigned __int128 ceiling;

        if (s->ceiling_interval_us == 0 || s->ceiling_bytes == 0)
                return false;
        ceiling = (unsigned __int128) s->ceiling_bytes * 1000000 / s->ceiling_interval_us;
        return (unsigned __int128) status_scheme_rate(s) * 20 >= ceiling * 19;
}

/* Whether the goal came nearer: by a quarter of what was moved for it, or an eighth of the way where that is less. */
static bool is_nearer(const struct watched *m, const struct status *s, const struct status_scheme *scheme) {
        const struct status_node *node = status_node(s, scheme->goal_nid);
        uint64_t moved = growth(m->ceiling_applied_bytes, scheme->total.sz_applied), enough = (uint64_t) m->ceiling_gap_bp / 8;
        int32_t nearer = m->ceiling_gap_bp - goal_gap_bp(scheme);

        if (node && node->total_bytes > 0)
                enough = MIN(enough, (uint64_t) ((unsigned __int128) moved * 2500 / node->total_bytes));
        return nearer > 0 && (uint64_t) nearer >= enough;
}

static void watch_stall(struct watch *w, struct watched *m, const struct status *s, const struct status_scheme *scheme) {
        int32_t gap = goal_gap_bp(scheme);
        bool stalled;

        /* A promotion in exchange for demotions is not after its goal: the room that it finds is theirs. */
        if (!is_at_ceiling(scheme) || gap < WATCH_STALL_GAP_BP ||
            (tuner_kind_is_own(s->tuner) && scheme->direction == PROMOTE && scheme->reason != TUNER_FILL)) {
                m->at_ceiling = false;
                m->stall_us = 0;
        } else if (!m->at_ceiling || (++m->ceiling_samples >= WATCH_STALL_SAMPLES &&
                                      s->taken_us - m->ceiling_us >= WATCH_STALL_US)) {
                if (m->at_ceiling)
                        m->stall_us = is_nearer(m, s, scheme) ? 0 : m->stall_us + (s->taken_us - m->ceiling_us);
                m->at_ceiling = true;
                m->ceiling_us = s->taken_us;
                m->ceiling_gap_bp = gap;
                m->ceiling_applied_bytes = scheme->total.sz_applied;
                m->ceiling_samples = 0;
        }
        stalled = m->stall_us > 0;
        if (latch_step(&m->stalled, stalled, s->taken_us, stalled ? 0 : WATCH_STALL_AGAIN_US, 0) && stalled)
                watch_tell(w, WATCH_STALL, scheme)->us = m->stall_us;
}

/* The window that ends here: whether much was moved for nothing. */
static bool window_is_bad(const struct watched *m, const struct status *s, const struct status_scheme *demote,
                          const struct status_scheme *promote, uint64_t hot_bytes) {
        const struct status_node *upper = status_node(s, demote->source_nid);
        uint64_t down = growth(m->down_bytes, demote->total.sz_applied), up = growth(m->up_bytes, promote->total.sz_applied),
                 less = MIN(down, up), more = MAX(down, up);

        if (!upper || less == 0 || less < upper->total_bytes / 50 || less < more / 4 * 3)
                return false;
        return m->down_gap_bp - goal_gap_bp(demote) < WATCH_LOST_BP && m->up_gap_bp - goal_gap_bp(promote) < WATCH_LOST_BP &&
               m->hot_bytes - hot_bytes < MAX(up / 4, UINT64_C(1));
}

static void window_begin(struct watched *m, const struct status *s, const struct status_scheme *demote,
                         const struct status_scheme *promote, uint64_t hot_bytes) {
        m->window = true;
        m->window_us = s->taken_us;
        m->down_bytes = demote->total.sz_applied;
        m->up_bytes = promote->total.sz_applied;
        m->down_gap_bp = goal_gap_bp(demote);
        m->up_gap_bp = goal_gap_bp(promote);
        m->hot_bytes = hot_bytes;
}

static void windows_forget(struct watched *m) {
        m->window = false;
        m->bad_windows = 0;
        m->bad_us = m->bad_down_bytes = m->bad_up_bytes = 0;
}

static void watch_edge(struct watch *w, struct watched *m, const struct status *s, const struct status_scheme *demote) {
        const struct status_scheme *promote = status_scheme(s, PROMOTE, demote->target_nid, demote->source_nid);
        const struct status_node *lower = status_node(s, demote->target_nid);
        uint64_t hot = lower && lower->has_view ? lower->view.hot_bytes : 0;
        bool bad;

        if (!promote) {
                windows_forget(m);
                return;
        }
        if (!m->window)
                window_begin(m, s, demote, promote, hot);
        m->hot_bytes = MAX(m->hot_bytes, hot);
        if (s->taken_us - m->window_us < WATCH_WINDOW_US)
                return;

        if (!window_is_bad(m, s, demote, promote, hot))
                windows_forget(m);
        else {
                m->bad_windows++;
                m->bad_us += s->taken_us - m->window_us;
                m->bad_down_bytes += growth(m->down_bytes, demote->total.sz_applied);
                m->bad_up_bytes += growth(m->up_bytes, promote->total.sz_applied);
        }
        window_begin(m, s, demote, promote, hot);

        bad = m->bad_windows >= WATCH_WINDOWS;
        /* That it is over is believed after as many windows. */
        if (latch_step(&m->ping_pong, bad, s->taken_us, bad ? 0 : (WATCH_WINDOWS - 1) * WATCH_WINDOW_US, 0) && bad) {
                struct watch_event *e = watch_tell(w, WATCH_PING_PONG, demote);

                e->us = m->bad_us;
                e->down_bytes = m->bad_down_bytes;
                e->up_bytes = m->bad_up_bytes;
                e->hot_bytes = hot;
        }
}

/* What is not seen for a while is not held against anyone: only what was told stays known. */
static void watch_rest(struct watched *m) {
        m->reached.doubted = m->full.doubted = m->stalled.doubted = m->ping_pong.doubted = false;
        m->at_ceiling = false;
        m->stall_us = 0;
        windows_forget(m);
}

int watch_step(struct watch *w, const struct status *s, const struct watch_event **ret, size_t *ret_n) {
        int r;

        r = watch_fit(w, s);
        if (r < 0)
                return r;
        w->n_events = 0;
        for (size_t i = 0; i < s->n_schemes; i++) {
                struct watched *m = w->schemes + i;
                const struct status_scheme *scheme = s->schemes + i;

                if (s->state != STATUS_MANAGING) {
                        watch_rest(m);
                        continue;
                }
                watch_goal(w, m, s, scheme);
                watch_target(w, m, s, scheme);
                watch_stall(w, m, s, scheme);
                if (scheme->direction == DEMOTE)
                        watch_edge(w, m, s, scheme);
        }
        *ret = w->events;
        *ret_n = w->n_events;
        return 0;
}
