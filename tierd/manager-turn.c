/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/manager-internal.h"
#include "base/clock.h"
#include "damon/apply.h"

#include <errno.h>
#include <string.h>

/* With the kernel's own tuner a turn only looks; the effective quota changes once per quota interval, a second by default. */
#define KERNEL_TURN_US UINT64_C(1000000)

/*
 * A kdamond that ended by itself is started again. One that ends again soon makes the turn a failed one, and after so many
 * such ends in a row it stays off, so that every turn fails: what ends it each time would end it the next time too. Soon is
 * long against a turn, and where aggregations are short also against the time in which an operator looks at the journal.
 */
#define RESTART_AGAIN_US UINT64_C(60000000)
#define RESTART_AGAIN_MAX 5
/*
 * The kernel answers a command within an aggregation, and one kdamond has eight of them in a turn at most: five where it is
 * started (damon/kdamond.c), and three. One that ends each time is found so a turn later, or two where it outlived the first.
 */
#define RESTART_AGAIN_AGGREGATIONS (2 * UINT64_C(8))

/* Of an age scheme people are shown nothing (tierd/status.h). */
static enum stats_set stats_wanted(const struct scheme *s, bool kernel_tunes) {
        if (kernel_tunes)
                return STATS_WITH_QUOTA;
        return s->direction == AGE ? STATS_TUNED_BY : STATS_SHOWN;
}

/*
 * Reads the counts of kdamond i into schemes[], and what the tuner wants of them. `tried` and `applied` have room for its
 * schemes.
 */
static int observe_kdamond(struct manager *m, size_t i, struct scheme_report *schemes, struct tuner_kdamond *ret,
                           uint64_t *tried, uint64_t *applied, struct diag *reterr) {
        const struct kdamond_plan *k = m->books.plan->kdamonds + i;
        _cleanup_free_ struct scheme_stats *stats = NULL;
        size_t n = k->n_schemes + k->n_probes;
        bool kernel_tunes = !tuner_kind_is_own(m->books.plan->tuner);
        int slot = slot_of(&m->slots, k->nid), r;

        stats = calloc(n + 1, sizeof(*stats));
        if (!stats)
                return diag_set(reterr, -ENOMEM, "out of memory");
        r = kdamond_refresh(m->root, slot, kernel_tunes, reterr);
        if (r < 0)
                return r;
        for (size_t j = 0; j < n; j++) {
                enum stats_set set = j < k->n_schemes ? stats_wanted(k->schemes + j, kernel_tunes) : STATS_TRIED;

                r = kdamond_read_stats(m->root, slot, j, set, stats + j, reterr);
                if (r < 0)
                        return r;
        }

        *ret = (struct tuner_kdamond) { .scheme_tried = tried, .scheme_applied = applied };
        for (size_t j = 0; j < k->n_ranges; j++)
                ret->monitored_bytes += k->ranges[j].end - k->ranges[j].start;
        for (size_t j = 0; j < k->n_schemes; j++) {
                schemes[j].stats = stats[j];
                tried[j] = stats[j].sz_tried;
                applied[j] = stats[j].sz_applied;
                if (kernel_tunes)
                        schemes[j].quota_bytes = stats[j].effective_bytes;
        }
        for (size_t j = 0; j < k->n_probes; j++)
                ret->probe_tried[k->probes[j].kind] = stats[k->n_schemes + j].sz_tried;
        return 0;
}

/* What is only told, and never worth a failed turn: what cannot be read now is read in a later turn. */
static void observe_thread(struct manager *m, size_t i) {
        struct kdamond_report *k = m->books.kdamonds + i;
        const struct monitoring_config *monitoring = &m->books.plan->monitoring;
        int slot = slot_of(&m->slots, m->books.plan->kdamonds[i].nid);

        if (k->pid == 0)
                (void) kdamond_read_pid(m->root, slot, &k->pid);
        if (k->pid > 0)
                (void) thread_read_cpu(m->root, k->pid, &k->cpu_us);
        k->sample_us = monitoring->sample_us;
        k->aggregate_us = monitoring->aggregate_us;
        if (monitoring->auto_intervals)
                (void) kdamond_read_intervals(m->root, slot, true, &k->sample_us, &k->aggregate_us, NULL);
}

/*
 * Brings the kernel's quotas to `wanted`, one per scheme of the plan; a kdamond whose quotas stay is left in peace (a commit
 * costs passes).
 */
static int set_quotas(struct manager *m, const struct quota_value *wanted, struct diag *reterr) {
        size_t n = 0;
        int r;

        for (size_t i = 0; i < m->books.plan->n_kdamonds && !m->hurry; i++) {
                const struct kdamond_plan *k = m->books.plan->kdamonds + i;
                struct quota_value *q = m->books.quotas + n;
                const struct quota_value *fresh = wanted + n;
                bool changed = false;

                n += k->n_schemes;
                for (size_t j = 0; j < k->n_schemes; j++)
                        changed = changed || fresh[j].bytes != q[j].bytes ||
                                  (fresh[j].bytes > 1 && fresh[j].reset_interval_ms != q[j].reset_interval_ms);
                if (!changed)
                        continue;
                /* Until the kernel has taken them, the books say nothing that the next turn could find to be so already. */
                memset(q, 0, k->n_schemes * sizeof(*q));
                r = kdamond_set_quotas(m->root, &m->slots, k, &m->capability, fresh, reterr);
                if (r < 0)
                        return r;
                memcpy(q, fresh, k->n_schemes * sizeof(*q));
        }
        return 0;
}

/* What the kernel is to have, and the reports that tell of it. `decided`: tierd's own tuner's word; NULL without it. */
static int set_decided(struct manager *m, const struct tuner_quota *decided, struct diag *reterr) {
        _cleanup_free_ struct quota_value *wanted = NULL;
        size_t n = 0;
        int r;

        if (m->books.plan->tuner == TUNER_FEEDBACK) {
                r = manager_feedback_set(m, decided, reterr);
                return r < 0 || !m->hurry ? r : diag_set(reterr, -EINTR, "cut short: a node is leaving");
        }
        wanted = calloc(m->books.n_schemes + 1, sizeof(*wanted));
        if (!wanted)
                return diag_set(reterr, -ENOMEM, "out of memory");
        for (size_t i = 0; i < m->books.plan->n_kdamonds; i++) {
                quota_values_start(m->books.plan, m->books.plan->kdamonds + i, wanted + n);
                n += m->books.plan->kdamonds[i].n_schemes;
        }
        for (size_t i = 0; i < m->books.n_schemes; i++) {
                struct scheme_report *s = m->books.schemes + i;

                if (decided) {
                        s->reason = decided[i].reason;
                        s->quota_bytes = m->paused ? 0 : decided[i].bytes;
                        s->quota_window_us = decided[i].window_us;
                        /* Stopped is written as 1 (damon/ops.h), and its window does not matter. */
                        wanted[i] = (struct quota_value) {
                                .bytes = MAX(decided[i].bytes, UINT64_C(1)),
                                .reset_interval_ms = decided[i].window_us / 1000,
                        };
                }
                if (m->paused)
                        wanted[i].bytes = 1;
        }
        r = set_quotas(m, wanted, reterr);
        return r < 0 || !m->hurry ? r : diag_set(reterr, -EINTR, "cut short: a node is leaving");
}

/* How long is soon; both ends of it are the beginnings of turns. */
static uint64_t soon_us(const struct manager *m) {
        uint64_t us = 0;

        /* Where the kernel tunes the intervals, those in force may be longer than the plan's. */
        for (size_t i = 0; i < m->books.plan->n_kdamonds; i++)
                us += RESTART_AGAIN_AGGREGATIONS *
                      MAX(m->books.plan->monitoring.aggregate_us, m->books.kdamonds[i].aggregate_us);
        return MAX(us, RESTART_AGAIN_US);
}

/* How many ends of kdamond i in a row, this one included, came soon after the restart before. */
static unsigned count_ends(const struct manager *m, size_t i, uint64_t now_us) {
        const struct kdamond_report *report = m->books.kdamonds + i;

        return report->restarted_us > 0 && now_us - report->restarted_us < soon_us(m) ? report->again + 1 : 0;
}

void manager_note_restart(struct manager *m, size_t i) {
        struct kdamond_report *report = m->books.kdamonds + i;

        report->ended = false;
        report->restarts++;
        report->pid = 0;
        idset_add(&m->restarted, (unsigned) m->books.plan->kdamonds[i].nid);
}

/*
 * Leaves the kdamonds that have ended to the plan that is due; whether there are any. By an outdated one they would move what
 * is to be excluded, or not even start, since the kernel refuses a filter whose group is gone.
 */
static bool leave_to_replan(struct manager *m, uint64_t now_us) {
        bool any = false;

        for (size_t i = 0; i < m->books.plan->n_kdamonds; i++) {
                struct kdamond_report *report = m->books.kdamonds + i;
                int slot = slot_of(&m->slots, m->books.plan->kdamonds[i].nid);

                if (kdamond_is_running(m->root, slot, &APPLY_PATIENCE, NULL) != 0)
                        continue;
                report->again = count_ends(m, i, now_us);
                report->restarted_us = now_us;
                report->ended = any = true;
        }
        return any;
}

/*
 * Starts kdamond i again if it has ended: a commit that failed inside the kernel ends it (before 6.15), and on some kernels
 * every command to it goes on to succeed. `again` gets its node where that was so soon after the last time.
 */
static int keep_running(struct manager *m, size_t i, uint64_t now_us, struct idset *again, struct diag *reterr) {
        const struct kdamond_plan *k = m->books.plan->kdamonds + i;
        struct kdamond_report *report = m->books.kdamonds + i;
        struct diag d = {};
        int slot = slot_of(&m->slots, k->nid), r;
        unsigned times;

        if (report->stale) {
                r = kdamond_stop(m->root, slot, reterr);
                if (r < 0)
                        return r;
                report->stale = false;
        }
        r = kdamond_is_running(m->root, slot, &APPLY_PATIENCE, reterr);
        if (r < 0)
                return r;
        report->ended = r == 0;
        if (r > 0)
                return 0;
        times = count_ends(m, i, now_us);
        if (times > RESTART_AGAIN_MAX)
                return diag_set(reterr, -EIO,
                                "node %d: its kdamond (/" DAMON_ADMIN "/%d) has ended by itself %u times in a row, each time "
                                "soon after it was started anew; the kernel's log may say why", k->nid, slot, times);

        /* Under direct it stands still until the tuner speaks again, which sees by the counts that they began anew. */
        manager_reset_quotas(m, i);
        r = kdamond_start(m->root, &m->slots, m->books.plan, k, &m->capability, manager_quotas(m, i), &d);
        if (r < 0)
                return diag_set(reterr, r, "node %d: its kdamond has ended by itself, and does not start again: %s", k->nid,
                                d.text);
        report->restarted_us = now_us;
        report->again = times;
        manager_note_restart(m, i);
        if (times > 0)
                idset_add(again, (unsigned) k->nid);
        return 0;
}

/* "node 1" or "nodes 0-1" */
static const char *name_nodes(const struct idset *nodes, char *buf, size_t size) {
        char list[256];

        if (idset_format(nodes, list, sizeof(list)) < 0)
                (void) snprintf(list, sizeof(list), "%zu of them", idset_count(nodes));
        (void) snprintf(buf, size, "node%s %s", idset_count(nodes) == 1 ? "" : "s", list);
        return buf;
}

bool manager_take_restarted(struct manager *m, struct diag *ret) {
        char nodes[300];

        if (idset_is_empty(&m->restarted))
                return false;
        (void) diag_set(ret, 0, "%s: the kdamond had ended by itself; it was started again, and learns the node's memory anew",
                        name_nodes(&m->restarted, nodes, sizeof(nodes)));
        m->restarted = (struct idset) {};
        return true;
}

static int ended_again(const struct idset *nodes, struct diag *reterr) {
        char names[300];

        return diag_set(reterr, -EIO, "%s: the kdamond has ended by itself again, soon after it was started anew; the kernel's "
                                      "log may say why", name_nodes(nodes, names, sizeof(names)));
}

/*
 * What the nodes hold. 0, or MANAGER_NODES when one has lost its memory: no event may have told (a queue of events can
 * overflow), and the kernel must not be asked to migrate there.
 */
static int read_nodes(struct manager *m, struct tuner_node *ret, struct diag *reterr) {
        for (size_t i = 0; i < m->books.n_nodes; i++) {
                struct node_report *node = m->books.nodes + i;
                uint64_t total = 0, free_bytes = 0;
                int r;

                r = node_read_meminfo(m->root, node->nid, &total, &free_bytes);
                if (r < 0 && r != -ENOENT && r != -ENODEV)
                        return diag_set(reterr, r, "/sys/devices/system/node/node%d/meminfo: cannot read: %s", node->nid,
                                        strerror(-r));
                if (r < 0 || total == 0) {
                        (void) diag_set(reterr, 0, "node %d has no memory any more", node->nid);
                        return MANAGER_NODES;
                }
                node->total_bytes = total;
                node->free_bytes = free_bytes;
                ret[i] = (struct tuner_node) { .nid = node->nid, .total_bytes = total, .free_bytes = free_bytes };
        }
        return 0;
}

/* 0, or MANAGER_GROUPS when excluded groups stand for others now than in the plan. */
static int check_groups(const struct manager *m, struct diag *reterr) {
        _cleanup_cgroup_list_ struct cgroup_list *now = NULL;
        int r;

        if (!m->cgroups)
                return 0;
        r = manager_expand_groups(m->root, m->config, &now, reterr);
        if (r < 0)
                return r;
        if (cgroup_list_equal(m->cgroups, now))
                return 0;
        (void) diag_set(reterr, 0, "control groups that are excluded came, went, or were made anew");
        return MANAGER_GROUPS;
}

/* What one turn works with. */
struct turn {
        struct tuner_kdamond *kdamonds;
        struct tuner_node *nodes;
        struct tuner_quota *decided;
        uint64_t *tried, *applied, *quotas;     /* per scheme */
};

static void turn_done(struct turn *t) {
        free(t->kdamonds);
        free(t->nodes);
        free(t->decided);
        free(t->tried);
        free(t->applied);
        free(t->quotas);
}

static int turn_make(const struct books *b, struct turn *t) {
        t->kdamonds = calloc(b->plan->n_kdamonds + 1, sizeof(*t->kdamonds));
        t->nodes = calloc(b->n_nodes + 1, sizeof(*t->nodes));
        t->decided = calloc(b->n_schemes + 1, sizeof(*t->decided));
        t->tried = calloc(b->n_schemes + 1, sizeof(*t->tried));
        t->applied = calloc(b->n_schemes + 1, sizeof(*t->applied));
        t->quotas = calloc(b->n_schemes + 1, sizeof(*t->quotas));
        return t->kdamonds && t->nodes && t->decided && t->tried && t->applied && t->quotas ? 0 : -ENOMEM;
}

/* Observes every kdamond; unless `again` is NULL, those that have ended are started again. */
static int observe(struct manager *m, struct turn *t, uint64_t now_us, struct idset *again, struct diag *reterr) {
        size_t n = 0;
        int r;

        for (size_t i = 0; i < m->books.plan->n_kdamonds; i++) {
                if (m->hurry)
                        return diag_set(reterr, -EINTR, "cut short: a node is leaving");
                r = again ? keep_running(m, i, now_us, again, reterr) : 0;
                if (r < 0)
                        return r;
                r = observe_kdamond(m, i, m->books.schemes + n, t->kdamonds + i, t->tried + n, t->applied + n, reterr);
                if (r < 0)
                        return r;
                observe_thread(m, i);
                if (m->books.plan->tuner == TUNER_FEEDBACK)
                        t->kdamonds[i].scheme_quota = t->quotas + n;
                n += m->books.plan->kdamonds[i].n_schemes;
        }
        if (m->books.plan->tuner == TUNER_FEEDBACK)
                manager_feedback_observe(m, t->kdamonds, t->quotas);
        return 0;
}

bool manager_is_outdated(const struct manager *m) {
        return check_groups(m, NULL) == MANAGER_GROUPS;
}

static int take_turn(struct manager *m, uint64_t now_us, uint64_t *ret_next_us, struct diag *reterr) {
        _cleanup_(turn_done) struct turn t = {};
        struct idset again = {};
        uint64_t decided_us;
        bool outdated;
        int r;

        *ret_next_us = KERNEL_TURN_US;
        if (turn_make(&m->books, &t) < 0)
                return diag_set(reterr, -ENOMEM, "out of memory");
        r = claim_check(m->root, m->saved, reterr);
        if (r < 0)
                return r;
        r = read_nodes(m, t.nodes, reterr);
        if (r != 0)
                return r;
        r = check_groups(m, reterr);
        outdated = r == MANAGER_GROUPS;
        if (r < 0 || (outdated && leave_to_replan(m, now_us)))
                return r;

        r = observe(m, &t, now_us, outdated ? NULL : &again, outdated ? NULL : reterr);
        /* What fails by this plan need not fail by the next. */
        if (r < 0)
                return outdated ? MANAGER_GROUPS : r;
        /* Once more: to be asked for its counts takes a kdamond up to an aggregation, in which it goes on moving memory. */
        r = read_nodes(m, t.nodes, outdated ? NULL : reterr);
        if (r != 0)
                return outdated ? MANAGER_GROUPS : r;
        decided_us = clock_us(CLOCK_MONOTONIC);
        if (m->books.tuner)
                *ret_next_us = tuner_step(m->books.tuner,
                                          &(struct tuner_sample) {
                                                  .now_us = now_us, .lag_us = m->lag_us, .nodes = t.nodes,
                                                  .n_nodes = m->books.n_nodes, .kdamonds = t.kdamonds,
                                          },
                                          t.decided, m->books.views);
        /* A group that is not excluded yet holds memory that must not move: no quota is raised until the plan knows it. */
        if (outdated)
                return MANAGER_GROUPS;
        r = set_decided(m, m->books.tuner ? t.decided : NULL, reterr);
        if (r < 0)
                return r;
        /* Where nothing had to be set it took no time; that says nothing of the next. */
        m->lag_us = MAX(clock_us(CLOCK_MONOTONIC) - decided_us, m->lag_us / 2);
        return idset_is_empty(&again) ? 0 : ended_again(&again, reterr);
}

int manager_turn(struct manager *m, uint64_t now_us, uint64_t *ret_next_us, struct diag *reterr) {
        int r;

        r = take_turn(m, now_us, ret_next_us, reterr);
        /* The kernel refuses a filter for a group that is gone, and one may go after the turn has looked. */
        return r < 0 && r != -EINTR && r != -ESTALE && manager_is_outdated(m) ? MANAGER_GROUPS : r;
}
