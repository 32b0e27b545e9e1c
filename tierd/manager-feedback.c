/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/manager-internal.h"
#include "damon/apply.h"

#include <errno.h>
#include <string.h>

/*
 * Before 6.15 a command's writer looks every 100 ms whether it was served, so what was read is so old when the next one is
 * served. Later kernels wake the writer.
 */
#define COMMAND_POLL_US UINT64_C(100000)

void manager_feedback_observe(struct manager *m, const struct tuner_kdamond *kdamonds, uint64_t *ret) {
        size_t n = 0;

        for (size_t i = 0; i < m->books.plan->n_kdamonds; i++) {
                const struct tuner_kdamond *k = kdamonds + i;
                uint64_t passes = k->probe_tried[PROBE_ALL] / MAX(k->monitored_bytes, UINT64_C(1)), windows;

                /* Every pass begins a window: the window is shorter than the time between two (policy/tuner.c). */
                windows = feedback_pace_take(m->books.paces + i, passes);
                for (size_t j = 0; j < m->books.plan->kdamonds[i].n_schemes; j++, n++) {
                        feedback_pass(m->books.feedback + n, windows);
                        ret[n] = feedback_quota(m->books.feedback + n);
                }
        }
}

/* What may move per window at most, by the configured ceiling. */
static uint64_t window_limit(const struct scheme *s, const struct tuner_quota *q) {
        unsigned __int128 v = (unsigned __int128) s->quota_bytes * q->window_us / MAX(s->quota_interval_us, UINT64_C(1));

        return v > UINT64_MAX ? UINT64_MAX : (uint64_t) v;
}

/* Feeds the scores, and sets the quotas unless they are NULL; the books, from scheme n on, follow once the kernel has them. */
static int bring(struct manager *m, const struct kdamond_plan *k, size_t n, const struct feedback *next, const uint64_t *scores,
                 const struct quota_value *quotas, struct diag *reterr) {
        struct feedback *loops = m->books.feedback + n;
        struct quota_value *q = m->books.quotas + n;
        int r;

        /* Until then they say nothing that the next turn could find to be so already. */
        for (size_t j = 0; j < k->n_schemes; j++) {
                loops[j].unknown = true;
                if (quotas)
                        q[j] = (struct quota_value) {};
        }
        r = kdamond_feed(m->root, &m->slots, k, &m->capability, scores, quotas, reterr);
        if (r < 0)
                return r;
        for (size_t j = 0; j < k->n_schemes; j++) {
                loops[j] = next[j];
                loops[j].unknown = false;
                if (quotas)
                        q[j] = quotas[j];
        }
        return 0;
}

/*
 * Kdamond i, whose schemes are the ones from n on. What the kernel has made of its quotas is read only where something is to
 * move and something may, and once when it is said to have come to rest: on the way there the law alone tells.
 */
static int feed(struct manager *m, size_t i, size_t n, const struct tuner_quota *decided, struct diag *reterr) {
        const struct kdamond_plan *k = m->books.plan->kdamonds + i;
        struct feedback *loops = m->books.feedback + n;
        struct quota_value *q = m->books.quotas + n;
        _cleanup_free_ struct feedback *next = NULL;
        _cleanup_free_ struct quota_value *quotas = NULL;
        _cleanup_free_ uint64_t *numbers = NULL;
        uint64_t windows = feedback_pace_windows(m->books.paces + i), late = 0;
        bool ask = false, fed = true, set = false;
        int r;

        next = calloc(k->n_schemes + 1, sizeof(*next));
        quotas = calloc(k->n_schemes + 1, sizeof(*quotas));
        numbers = calloc(k->n_schemes + 1, sizeof(*numbers));
        if (!next || !quotas || !numbers)
                return diag_set(reterr, -ENOMEM, "out of memory");

        for (size_t j = 0; j < k->n_schemes; j++)
                ask = ask || (!m->paused && feedback_needs_correction(loops + j, decided[n + j].bytes));
        if (ask) {
                r = kdamond_read_effective(m->root, slot_of(&m->slots, k->nid), k->n_schemes, numbers, reterr);
                if (r < 0)
                        return r;
                if (m->capability.silent_commit)
                        late = COMMAND_POLL_US / MAX(m->books.plan->monitoring.aggregate_us, UINT64_C(1));
        }
        for (size_t j = 0; j < k->n_schemes; j++) {
                const struct tuner_quota *want = decided + n + j;

                /* Others set it too, when a node leaves. */
                if (q[j].bytes > 0)
                        loops[j].ceiling = q[j].bytes;
                if (ask)
                        feedback_correct(loops + j, numbers[j]);
                next[j] = loops[j];
                if (m->paused || want->reason == TUNER_SETTLING)
                        feedback_stop(next + j);
                else
                        feedback_step(next + j, want->bytes, windows, late, window_limit(k->schemes + j, want));
                quotas[j] = (struct quota_value) {
                        .bytes = next[j].ceiling, .reset_interval_ms = want->window_us / 1000,
                };
                fed = fed && !loops[j].unknown && next[j].score == loops[j].score;
                set = set || quotas[j].bytes != q[j].bytes ||
                      (quotas[j].bytes > 1 && quotas[j].reset_interval_ms != q[j].reset_interval_ms);
        }
        if (fed && !set)
                return 0;
        for (size_t j = 0; j < k->n_schemes; j++)
                numbers[j] = next[j].score;
        return bring(m, k, n, next, numbers, set ? quotas : NULL, reterr);
}

int manager_feedback_set(struct manager *m, const struct tuner_quota *decided, struct diag *reterr) {
        size_t n = 0;

        for (size_t i = 0; i < m->books.plan->n_kdamonds && !m->hurry; i++) {
                size_t n_schemes = m->books.plan->kdamonds[i].n_schemes;
                int r;

                r = feed(m, i, n, decided, reterr);
                for (size_t j = n; j < n + n_schemes; j++) {
                        struct scheme_report *s = m->books.schemes + j;

                        s->reason = decided[j].reason;
                        /* Less than a page is how the loop says none. */
                        s->quota_bytes = feedback_is_at_rest(m->books.feedback + j) ? 0 : feedback_quota(m->books.feedback + j);
                        if (m->paused)
                                s->quota_bytes = 0;
                        s->quota_window_us = decided[j].window_us;
                }
                if (r < 0)
                        return r;
                n += n_schemes;
        }
        return 0;
}
