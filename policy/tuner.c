/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/tuner.h"

#include <errno.h>

/*
 * Constants. Each was chosen by the measurements in docs/tuner.md; the first reason stands here.
 *
 * A turn while something moves. Two aggregations of fresh counts at the default 100 ms are the least that tells a region's heat
 * from one sample's luck; a commit costs up to two more on 6.12.
 */
#define TURN_ACTIVE_US UINT64_C(400000)
/* A turn at rest: how late a new hot set may be noticed. */
#define TURN_REST_US UINT64_C(1000000)
/* Regions double per aggregation from one per range, so ten reach 1,000; they are trusted for the goal after that... */
#define SETTLED_FOR_GOAL_PASSES 10
/* ...and for the exchange after as long again, when ages tell cold from not yet seen. */
#define SETTLED_FOR_EXCHANGE_PASSES 20
/*
 * How much one direction may count on the other within a turn, at most and to begin with. So much can free memory be off when
 * one side stops at once: below what is to stay free promotion may go further than demotion above its goal, since room that
 * was missing for a moment costs nothing, and memory that is free for nothing does. Both are at work together at a free memory
 * where what the one counts on and the gap to the goal are as much as the other's.
 */
#define PROMOTE_STEP_MAX_BP 200
#define DEMOTE_STEP_MAX_BP 75
#define STEP_START_BP 25
/* What is missing to a goal is made good within a turn up to here, and beyond it by halves. */
#define GOAL_STEP_BP 150
/* At rest a gap smaller than this is left alone: allocation noise is no reason to move pages. */
#define GOAL_SLACK_BP 25
/* ...and once it is worked on, it is closed to within this. */
#define GOAL_REACHED_BP 5
/* At rest fewer hot bytes than this start nothing. */
#define HOT_MIN_BYTES (UINT64_C(1) << 20)
/*
 * A turn that moved less than this part of its budget was futile. A new quota may take a turn to act, so the first two are
 * free; how long promotion then waits, at first and at most.
 */
#define FUTILE_PART 16
#define FUTILE_FREE 2
#define HOLD_MIN_US UINT64_C(1000000)
#define HOLD_MAX_US UINT64_C(32000000)
/* What a demotion target keeps free: the migration allocates without reclaim and fails below the zone's watermarks. */
#define TARGET_RESERVE_BP 100
/* Charge windows are counted in jiffies, of up to 10 ms. */
#define PASS_MIN_US UINT64_C(50000)
/* Aggregations between two passes, at most, by which a budget is handed out: a commit puts off one. */
#define PASS_LATE_MAX 2
/* Bytes aged per byte to be demoted: a node's cold regions hold free memory, and pages that do not move, besides. */
#define AGING_AHEAD 8
/*
 * Quota per byte wanted, at most, where much of what is used is tried in vain; and for demotion bytes on top, at most, which is
 * what free memory is off by when the yield has just got well.
 */
#define YIELD_FACTOR_MAX 4
#define YIELD_STEP_BP 150

static const char *const reason_names[_TUNER_REASON_MAX] = {
        [TUNER_REST] = "rest",         [TUNER_SETTLING] = "settling", [TUNER_GOAL] = "goal",
        [TUNER_EXCHANGE] = "exchange", [TUNER_FILL] = "fill",         [TUNER_NO_ROOM] = "no room",
};

const char *tuner_reason_to_string(enum tuner_reason reason) {
        return reason < _TUNER_REASON_MAX ? reason_names[reason] : "unknown";
}

/* What is remembered of one scheme between turns. Indices are into tuner.nodes. */
struct scheme_state {
        const struct scheme *scheme;
        size_t source, target;
        uint64_t applied;               /* cumulative, at the last turn */
        uint64_t tried;                 /* the same of sz_tried */
        uint64_t moved;                 /* during the last turn */
        uint64_t moved_smooth, tried_smooth;    /* sums that halve every turn */
        uint64_t budget;                /* decided this turn, bytes per turn */
        uint64_t budget_before;         /* what was decided in the last turn, and is in force until this one's quotas are */
        enum tuner_reason reason;
        uint64_t quota;                 /* set in the last turn, bytes per window */
        bool in_force;                  /* the kernel has come to it, or nearly */
        bool ordered;
        unsigned futile;                /* turns in a row that had a budget and moved next to nothing */
        uint64_t hold_until_us;         /* promotion waits until then... */
        uint64_t hold_hot;              /* ...unless there are clearly more hot bytes than these */
};

struct node_state {
        int nid;
        uint64_t total, free;           /* this turn */
        uint64_t hot[2], cold[2];       /* bytes per pass: this turn, the turn before */
        uint64_t probe_tried[_PROBE_KIND_MAX];
        uint64_t passes;
        uint64_t pass_us;               /* between two passes as they were seen, smoothed; 0: not seen yet */
        bool correcting;                /* its goal was being worked on in the last turn */
};

struct tuner {
        const struct plan *plan;
        struct node_state *nodes;       /* every node the plan touches */
        size_t n_nodes;
        size_t *kdamond_node;           /* index into nodes, per kdamond */
        struct scheme_state *schemes;
        size_t n_schemes;
        size_t *demotions;              /* indices into schemes, every demotion into a node before the one out of it */
        size_t n_demotions;
        uint64_t last_us, turn_us;      /* the turn's length, smoothed */
        uint64_t lag_us;                /* as in the sample */
        bool started;
};

size_t plan_n_schemes(const struct plan *p) {
        size_t n = 0;

        for (size_t i = 0; i < p->n_kdamonds; i++)
                n += p->kdamonds[i].n_schemes;
        return n;
}

static uint64_t share_bp(uint64_t bytes, uint64_t bp) {
        return bytes / 10000 * bp + bytes % 10000 * bp / 10000;
}

static uint64_t minus(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

/* value × part / whole, saturating. */
static uint64_t scale(uint64_t value, uint64_t part, uint64_t whole) {
        unsigned __int128 v;

        if (whole == 0)
                return 0;
        v = (unsigned __int128) value * part / whole;
        return v > UINT64_MAX ? UINT64_MAX : (uint64_t) v;
}

/* The index of nid in t->nodes, which has room for it; added when it is new. */
static size_t node_index(struct tuner *t, int nid) {
        for (size_t i = 0; i < t->n_nodes; i++)
                if (t->nodes[i].nid == nid)
                        return i;
        t->nodes[t->n_nodes].nid = nid;
        return t->n_nodes++;
}

/*
 * Orders the demotions from the top tier down. A plan has no tiers, but each node demotes to at most one other, downwards: the
 * edges are a forest, so in every round some scheme is left whose source nothing undecided demotes to.
 */
static void order_demotions(struct tuner *t) {
        for (size_t round = 0; round < t->n_schemes; round++)
                for (size_t i = 0; i < t->n_schemes; i++) {
                        bool due = t->schemes[i].scheme->direction == DEMOTE && !t->schemes[i].ordered;

                        for (size_t j = 0; due && j < t->n_schemes; j++)
                                if (t->schemes[j].scheme->direction == DEMOTE && !t->schemes[j].ordered &&
                                    t->schemes[j].target == t->schemes[i].source)
                                        due = false;
                        if (!due)
                                continue;
                        t->schemes[i].ordered = true;
                        t->demotions[t->n_demotions++] = i;
                }
}

int tuner_new(const struct plan *p, struct tuner **ret) {
        _cleanup_tuner_ struct tuner *t = NULL;
        size_t n = plan_n_schemes(p);

        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->plan = p;
        t->turn_us = TURN_ACTIVE_US;
        t->nodes = calloc(p->n_kdamonds + 2 * n + 1, sizeof(*t->nodes));
        t->kdamond_node = calloc(p->n_kdamonds + 1, sizeof(*t->kdamond_node));
        t->schemes = calloc(n + 1, sizeof(*t->schemes));
        t->demotions = calloc(n + 1, sizeof(*t->demotions));
        if (!t->nodes || !t->kdamond_node || !t->schemes || !t->demotions)
                return -ENOMEM;

        for (size_t i = 0; i < p->n_kdamonds; i++) {
                const struct kdamond_plan *k = p->kdamonds + i;

                t->kdamond_node[i] = node_index(t, k->nid);
                for (size_t j = 0; j < k->n_schemes; j++)
                        t->schemes[t->n_schemes++] = (struct scheme_state) {
                                .scheme = k->schemes + j,
                                .source = node_index(t, k->schemes[j].source_nid),
                                .target = node_index(t, k->schemes[j].target_nid),
                        };
        }
        order_demotions(t);

        *ret = TAKE_PTR(t);
        return 0;
}

static bool has_kdamond(const struct tuner *t, size_t node) {
        for (size_t i = 0; i < t->plan->n_kdamonds; i++)
                if (t->kdamond_node[i] == node)
                        return true;
        return false;
}

/*
 * The time between two passes of a scheme that share a charge window: one aggregation, so that every pass has its own. A
 * window of many passes would let the first one take all, and with the kernel's order (the coldest region first, from its
 * start) the tails of large regions would be reached late or never (docs/tuner.md).
 */
static uint64_t pass_us(const struct tuner *t) {
        return MAX(t->plan->monitoring.aggregate_us, PASS_MIN_US);
}

void tuner_inherit(struct tuner *t, const struct tuner *from) {
        t->turn_us = from->turn_us;
        t->last_us = from->last_us;
        t->started = from->started;
        for (size_t i = 0; i < t->n_nodes; i++)
                for (size_t j = 0; j < from->n_nodes; j++)
                        if (t->nodes[i].nid == from->nodes[j].nid && has_kdamond(t, i) && has_kdamond(from, j)) {
                                t->nodes[i] = from->nodes[j];
                                if (pass_us(t) != pass_us(from))
                                        t->nodes[i].pass_us = 0;
                        }
        for (size_t i = 0; i < t->n_schemes; i++)
                for (size_t j = 0; j < from->n_schemes; j++) {
                        const struct scheme_state *old = from->schemes + j;
                        struct scheme_state *s = t->schemes + i;

                        if (s->scheme->direction != old->scheme->direction ||
                            s->scheme->source_nid != old->scheme->source_nid ||
                            s->scheme->target_nid != old->scheme->target_nid)
                                continue;
                        s->applied = old->applied;
                        s->tried = old->tried;
                        s->moved = old->moved;
                        s->moved_smooth = old->moved_smooth;
                        s->tried_smooth = old->tried_smooth;
                        s->futile = old->futile;
                        s->hold_until_us = old->hold_until_us;
                        s->hold_hot = old->hold_hot;
                        s->quota = old->quota;
                        s->budget = old->budget;
                }
}

struct tuner *tuner_free(struct tuner *t) {
        if (!t)
                return NULL;
        free(t->nodes);
        free(t->kdamond_node);
        free(t->schemes);
        free(t->demotions);
        free(t);
        return NULL;
}

/* A counter's growth; one that went back belongs to a kdamond that was started anew. */
static uint64_t growth(uint64_t *last, uint64_t now) {
        uint64_t d = now >= *last ? now - *last : now;

        *last = now;
        return d;
}

/* Takes the sample in, `took_us` after the last: what each node holds, how many of its bytes matched each probe per pass. */
static void tuner_take(struct tuner *t, const struct tuner_sample *s, uint64_t took_us) {
        size_t n_scheme = 0;

        for (size_t i = 0; i < s->n_nodes; i++)
                for (size_t j = 0; j < t->n_nodes; j++)
                        if (t->nodes[j].nid == s->nodes[i].nid) {
                                t->nodes[j].total = s->nodes[i].total_bytes;
                                t->nodes[j].free = s->nodes[i].free_bytes;
                        }

        for (size_t i = 0; i < t->plan->n_kdamonds; i++) {
                const struct tuner_kdamond *k = s->kdamonds + i;
                struct node_state *n = t->nodes + t->kdamond_node[i];
                uint64_t all, hot, cold, passes;

                if (k->probe_tried[PROBE_ALL] < n->probe_tried[PROBE_ALL])
                        n->passes = 0;
                all = growth(&n->probe_tried[PROBE_ALL], k->probe_tried[PROBE_ALL]);
                hot = growth(&n->probe_tried[PROBE_HOT], k->probe_tried[PROBE_HOT]);
                cold = growth(&n->probe_tried[PROBE_COLD], k->probe_tried[PROBE_COLD]);

                if (all > 0 && k->monitored_bytes > 0) {
                        n->hot[1] = n->hot[0];
                        n->cold[1] = n->cold[0];
                        n->hot[0] = scale(hot, k->monitored_bytes, all);
                        n->cold[0] = scale(cold, k->monitored_bytes, all);
                        passes = MAX(all / k->monitored_bytes, UINT64_C(1));
                        n->passes += passes;
                        /* Believed at once where it is shorter: what is handed out by too long a time is too much. */
                        if (took_us > 0)
                                n->pass_us = n->pass_us > 0 ? MIN((3 * n->pass_us + took_us / passes) / 4, took_us / passes) :
                                                              took_us / passes;
                }
                for (size_t j = 0; j < t->plan->kdamonds[i].n_schemes; j++) {
                        struct scheme_state *x = t->schemes + n_scheme++;

                        x->in_force = !k->scheme_quota || k->scheme_quota[j] >= x->quota / 2;
                        x->moved = growth(&x->applied, k->scheme_applied[j]);
                        x->moved_smooth = x->moved_smooth / 2 + x->moved;
                        x->tried_smooth = x->tried_smooth / 2 + growth(&x->tried, k->scheme_tried[j]);
                }
        }
}

/* Hot bytes that have been seen so in two turns running. */
static uint64_t node_hot(const struct node_state *n) {
        if (n->passes < SETTLED_FOR_EXCHANGE_PASSES)
                return 0;
        return MIN(n->hot[0], n->hot[1]);
}

/* The same for cold bytes, without free memory: it is never accessed, so it counts as cold (DAMON.md). */
static uint64_t node_cold(const struct node_state *n) {
        if (n->passes < SETTLED_FOR_EXCHANGE_PASSES)
                return 0;
        return minus(MIN(n->cold[0], n->cold[1]), n->free);
}

/* The free bytes below which promotion does not fill node n: the rest of the scheme's used goal. */
static uint64_t promote_floor(const struct node_state *n, const struct scheme *s) {
        return share_bp(n->total, 10000 - MIN(s->goal_bp, UINT32_C(10000)));
}

static uint64_t scheme_ceiling(const struct tuner *t, const struct scheme *s) {
        return scale(s->quota_bytes, t->turn_us, s->quota_interval_us);
}

/*
 * How much of a scheme's movement the other direction may count on within the turn: what it was seen to move in the last one,
 * and half as much again, and a little to begin with; never more than a step.
 */
static uint64_t expected(const struct scheme_state *s, const struct node_state *n, uint64_t max_bp) {
        return MIN(s->moved + s->moved / 2 + share_bp(n->total, STEP_START_BP), share_bp(n->total, max_bp));
}

/* The demote scheme out of a node, or NULL. */
static const struct scheme_state *demotion_of(const struct tuner *t, size_t node) {
        for (size_t i = 0; i < t->n_demotions; i++)
                if (t->schemes[t->demotions[i]].source == node)
                        return t->schemes + t->demotions[i];
        return NULL;
}

/*
 * The bytes that may come up into s's target during the turn: its room, and what leaves it meanwhile. What is missing to the
 * room that is to stay comes off: where demotion moved less than was counted on (what looks cold may be excluded, or pinned),
 * it makes good for that first.
 */
static uint64_t promote_room(const struct tuner *t, const struct scheme_state *s) {
        const struct node_state *target = t->nodes + s->target;
        const struct scheme_state *d = demotion_of(t, s->target);
        uint64_t have = target->free;

        if (d && target->passes >= SETTLED_FOR_EXCHANGE_PASSES)
                have += MIN(expected(d, target, PROMOTE_STEP_MAX_BP), node_cold(target));
        return minus(have, promote_floor(target, s->scheme));
}

/*
 * Hot bytes that do not move when they may, by a quota that is in force (pages that cannot, a sample's luck in a region of
 * idle ones), are no reason to be busy: each such turn doubles the wait, until the heat has doubled too or something moves
 * again.
 */
static bool promotion_is_held(struct tuner *t, struct scheme_state *s, uint64_t hot) {
        if (s->budget > 0 && s->in_force) {
                if (s->moved >= s->budget / FUTILE_PART) {
                        s->futile = 0;
                        s->hold_until_us = 0;
                } else if (++s->futile > FUTILE_FREE) {
                        s->hold_until_us =
                                t->last_us + MIN(HOLD_MIN_US << MIN(s->futile - FUTILE_FREE - 1, 16U), HOLD_MAX_US);
                        s->hold_hot = hot;
                }
        }
        return t->last_us < s->hold_until_us && hot < 2 * s->hold_hot + HOT_MIN_BYTES;
}

/*
 * Promotion: as many bytes as are hot below and fit above. Where several schemes share the hot bytes of one source, or the
 * room of one target, each gets its part by room and by heat.
 */
static void decide_promotion(struct tuner *t, struct scheme_state *s) {
        struct node_state *source = t->nodes + s->source;
        uint64_t hot = node_hot(source), room, all_room = 0, all_hot = 0;
        bool held;

        s->reason = source->passes < SETTLED_FOR_EXCHANGE_PASSES ? TUNER_SETTLING : TUNER_REST;
        held = promotion_is_held(t, s, hot);
        s->budget = 0;
        if (hot < HOT_MIN_BYTES || held)
                return;
        for (size_t i = 0; i < t->n_schemes; i++) {
                const struct scheme_state *o = t->schemes + i;

                if (o->scheme->direction != PROMOTE)
                        continue;
                if (o->source == s->source)
                        all_room += promote_room(t, o);
                if (o->target == s->target)
                        all_hot += node_hot(t->nodes + o->source);
        }
        room = promote_room(t, s);
        if (room == 0) {
                s->reason = TUNER_NO_ROOM;
                return;
        }
        s->budget = MIN(MIN(scale(hot, room, all_room), scale(room, hot, all_hot)), scheme_ceiling(t, s->scheme));
        s->reason = room > minus(t->nodes[s->target].free, promote_floor(t->nodes + s->target, s->scheme)) ? TUNER_EXCHANGE :
                                                                                                            TUNER_FILL;
}

/*
 * The hot bytes that s's source has left. What was counted is an average over the turn, so that what has gone up meanwhile is
 * still among it: without this, demotion would make room for the last of a hot set once more when it has come up. By the
 * schemes' counts, but no more than the heat fell: from 6.16 to 7.2 what found no room counts as moved.
 */
static uint64_t hot_left(const struct tuner *t, const struct scheme_state *s) {
        const struct node_state *n = t->nodes + s->source;
        uint64_t gone = 0;

        for (size_t i = 0; i < t->n_schemes; i++)
                if (t->schemes[i].source == s->source && t->schemes[i].scheme->direction == PROMOTE)
                        gone += t->schemes[i].moved;
        return minus(node_hot(n), MIN(gone, minus(n->hot[1], n->hot[0])));
}

/* What a node's demotion has to reckon with in the turn, bytes. */
struct balance {
        uint64_t goal, have;            /* to be free, and free, what leaves upwards and comes from above reckoned in */
        uint64_t leaving;               /* by the last turn's quota, until this one's is in force */
        uint64_t coming;                /* what promotion will bring and may be counted on */
        uint64_t taken;                 /* the target's room that others have been given */
};

static struct balance demotion_balance(const struct tuner *t, const struct scheme_state *s) {
        const struct node_state *n = t->nodes + s->source;
        struct balance b = { .goal = share_bp(n->total, s->scheme->goal_bp), .have = n->free };

        /* The quota of the last turn goes on until that of this one is in force. */
        b.leaving = scale(s->budget_before, MIN(t->lag_us, t->turn_us), t->turn_us);
        for (size_t i = 0; i < t->n_schemes; i++) {
                const struct scheme_state *o = t->schemes + i;

                if (o->target == s->source && o->scheme->direction == PROMOTE)
                        b.coming += MIN(MIN(o->budget, expected(o, n, DEMOTE_STEP_MAX_BP)), hot_left(t, o));
                else if (o->target == s->source && o->scheme->direction == DEMOTE)
                        b.goal += o->budget;
                else if (o->source == s->source && o->scheme->direction == PROMOTE)
                        b.have += MIN(o->budget, o->moved);
                else if (o->target == s->target && o != s && o->scheme->direction == DEMOTE)
                        b.taken += o->budget;   /* another socket's, decided before; those after have none yet */
        }
        b.coming = MIN(b.coming, node_cold(n));
        return b;
}

/* Demotion out of one node; promotions, and demotions into it, are decided already: the tiers are visited from the top. */
static void decide_demotion(struct tuner *t, struct scheme_state *s) {
        struct node_state *n = t->nodes + s->source, *target = t->nodes + s->target;
        uint64_t missing, gap, room, slack;
        struct balance b;

        s->reason = TUNER_SETTLING;
        if (n->passes < SETTLED_FOR_GOAL_PASSES)
                return;

        b = demotion_balance(t, s);
        missing = minus(b.goal + b.coming, b.have + b.leaving);

        s->reason = TUNER_REST;
        slack = b.coming > 0 ? 0 : share_bp(n->total, n->correcting ? GOAL_REACHED_BP : GOAL_SLACK_BP);
        if (missing <= slack) {
                /* What has not left yet may not do so. */
                n->correcting = n->correcting && minus(b.goal + b.coming, b.have) > slack;
                return;
        }

        room = minus(target->free, share_bp(target->total, TARGET_RESERVE_BP) + b.taken);
        if (room == 0) {
                s->reason = TUNER_NO_ROOM;
                return;
        }
        n->correcting = true;
        /* What is measured is older than what acts: of a large gap the half, so that its end is come to slowly. */
        gap = minus(b.goal, b.have + b.leaving);
        gap = MAX(gap / 2, MIN(gap, share_bp(n->total, GOAL_STEP_BP)));
        s->budget = MIN(MIN(gap + MIN(b.coming, missing), room), scheme_ceiling(t, s->scheme));
        s->reason = b.coming > 0 ? TUNER_EXCHANGE : TUNER_GOAL;
}

/*
 * Aging runs ahead of demotion, by so many bytes per byte that is to go; and at full rate while promotion into the node is at
 * work, which will need it, and while the kdamond settles, so that the first demotion finds its pages aged.
 */
static void decide_aging(struct tuner *t, struct scheme_state *s) {
        const struct node_state *n = t->nodes + s->source;
        const struct scheme_state *d = demotion_of(t, s->source);
        uint64_t ceiling = scheme_ceiling(t, s->scheme);
        bool all = n->passes < SETTLED_FOR_EXCHANGE_PASSES;

        for (size_t i = 0; i < t->n_schemes; i++)
                all = all || (t->schemes[i].target == s->source && t->schemes[i].scheme->direction == PROMOTE &&
                              t->schemes[i].budget > 0);
        s->reason = d ? d->reason : TUNER_REST;
        s->budget = all ? ceiling : d ? MIN(AGING_AHEAD * d->budget, ceiling) : 0;
}

/*
 * A budget as bytes of quota: a quota is charged for what was tried, and what is free, pinned or filtered out is tried in
 * vain. The scheme's own yield of the last turns tells how much; it is believed down to a quarter, and for demotion by so much
 * further as the node's free memory explains, which is tried like what is cold; what is free is never hot. A low yield can be
 * over at once, as when aging has got ahead of demotion: so demotion gets no more than a step on top, or twice that and the
 * budget where most is free.
 */
static uint64_t budget_to_quota(const struct tuner *t, const struct scheme_state *s) {
        const struct node_state *n = t->nodes + s->source;
        bool demotes = s->scheme->direction == DEMOTE;
        uint64_t used = MAX(minus(n->total, n->free), UINT64_C(1)), all = MAX(n->total, used), quota = s->budget;

        if (s->scheme->direction != AGE && s->tried_smooth > 0 && s->moved_smooth < s->tried_smooth)
                quota = MIN(scale(s->budget, s->tried_smooth, MAX(s->moved_smooth, UINT64_C(1))),
                            scale(YIELD_FACTOR_MAX * s->budget, demotes ? all : used, used));
        if (demotes)
                quota = MIN(quota, scale(s->budget + share_bp(n->total, YIELD_STEP_BP), MIN(all, 2 * used), used));
        return MIN(quota, scheme_ceiling(t, s->scheme));
}

/* A little shorter than the time between passes, so that one that comes early finds a new window. */
static uint64_t window_us(const struct tuner *t) {
        return pass_us(t) - pass_us(t) / 10;
}

/* A budget per turn as a quota per window, of which each pass has one. */
static uint64_t quota_per_window(const struct tuner *t, const struct scheme_state *s) {
        uint64_t apart = MIN(MAX(t->nodes[s->source].pass_us, pass_us(t)), MIN(PASS_LATE_MAX * pass_us(t), t->turn_us));

        return MIN(scale(budget_to_quota(t, s), apart, t->turn_us),
                   scale(s->scheme->quota_bytes, window_us(t), s->scheme->quota_interval_us));
}

uint64_t tuner_step(struct tuner *t, const struct tuner_sample *s, struct tuner_quota *quotas, struct tuner_view *views) {
        uint64_t pass = pass_us(t), took = 0;
        bool active = false;

        if (t->started && s->now_us > t->last_us) {
                /* One long turn (a busy kernel, a suspended machine) must not make the next budgets large or small at once. */
                took = MIN(s->now_us - t->last_us, 4 * TURN_REST_US);
                t->turn_us = MAX((3 * t->turn_us + took) / 4, pass);
        }
        t->last_us = s->now_us;
        t->lag_us = s->lag_us;
        t->started = true;

        tuner_take(t, s, took);
        for (size_t i = 0; i < t->n_schemes; i++)
                if (t->schemes[i].scheme->direction == PROMOTE)
                        decide_promotion(t, t->schemes + i);
        for (size_t i = 0; i < t->n_demotions; i++) {
                struct scheme_state *x = t->schemes + t->demotions[i];

                x->budget_before = x->budget;
                x->budget = 0;
        }
        for (size_t i = 0; i < t->n_demotions; i++)
                decide_demotion(t, t->schemes + t->demotions[i]);
        for (size_t i = 0; i < t->n_schemes; i++)
                if (t->schemes[i].scheme->direction == AGE)
                        decide_aging(t, t->schemes + i);

        for (size_t i = 0; i < t->n_schemes; i++) {
                struct scheme_state *x = t->schemes + i;

                /*
                 * A turn holds several passes: the budget is handed out at the rate at which they were seen to come (on 6.12 a
                 * commit puts the next one off).
                 */
                x->quota = quota_per_window(t, x);
                quotas[i] = (struct tuner_quota) {
                        .bytes = x->quota,
                        .window_us = window_us(t),
                        .reason = x->reason,
                };
                active = active || x->budget > 0 || x->reason == TUNER_SETTLING;
        }
        for (size_t i = 0; views && i < t->plan->n_kdamonds; i++) {
                const struct node_state *n = t->nodes + t->kdamond_node[i];

                views[i] = (struct tuner_view) { .hot_bytes = n->hot[0], .cold_bytes = n->cold[0], .passes = n->passes };
        }
        return active ? TURN_ACTIVE_US : TURN_REST_US;
}
