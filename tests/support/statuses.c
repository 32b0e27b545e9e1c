/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/support/statuses.h"

#include <stdio.h>
#include <string.h>

static struct status_scheme scheme(enum direction direction, int source, int target) {
        return (struct status_scheme) {
                .direction = direction,
                .source_nid = source,
                .target_nid = target,
                .goal_nid = direction == DEMOTE ? source : target,
                .goal_metric = direction == DEMOTE ? GOAL_NODE_MEM_FREE_BP : GOAL_NODE_MEM_USED_BP,
                .goal_bp = direction == DEMOTE ? 500 : 9600,
                .ceiling_bytes = 200 * MIB,
                .ceiling_interval_us = SECOND,
                .quota_window_us = 90000,
                .reason = TUNER_REST,
        };
}

void made_status_init(struct made_status *m) {
        static const enum node_kind kinds[] = { NODE_DRAM, NODE_CXL, NODE_PMEM, NODE_UNKNOWN };

        memset(m, 0, sizeof(*m));
        for (int i = 0; i < 4; i++) {
                struct status_node *n = m->nodes + i;

                *n = (struct status_node) { .nid = i, .tier = i < 3 ? i : -1, .kind = kinds[i] };
                if (i == 3)
                        continue;
                n->total_bytes = 16 * GIB;
                n->has_free = n->has_kdamond = n->has_view = true;
                n->pid = 100 + i;
                n->sample_us = 5000;
                n->aggregate_us = 100000;
                if (i > 0)
                        idset_add(&n->upper, (unsigned) i - 1);
                if (i < 2)
                        idset_add(&n->lower, (unsigned) i + 1);
        }
        m->schemes[DEMOTE_0_1] = scheme(DEMOTE, 0, 1);
        m->schemes[DEMOTE_1_2] = scheme(DEMOTE, 1, 2);
        m->schemes[PROMOTE_1_0] = scheme(PROMOTE, 1, 0);
        m->schemes[PROMOTE_2_1] = scheme(PROMOTE, 2, 1);
        m->s = (struct status) {
                .state = STATUS_MANAGING,
                .release = "7.2.13",
                .tuner = TUNER_DIRECT,
                .rank_source = RANK_MEMORY_TIERING,
                .n_tiers = 3,
                .started_realtime_us = UINT64_C(1800000000000000),
                .taken_realtime_us = UINT64_C(1800000100000000),
                .taken_us = 500 * SECOND,
                .telemetry_interval_us = 10 * SECOND,
                .nodes = m->nodes,
                .n_nodes = 4,
                .schemes = m->schemes,
                .n_schemes = _MADE_SCHEMES,
                .notes = m->notes,
        };
        for (int i = 0; i < 3; i++)
                made_status_free(m, i, 16 * GIB / 20);
}

void made_status_pass(struct made_status *m, uint64_t us) {
        m->s.taken_us += us;
        m->s.taken_realtime_us += us;
}

void made_status_move(struct made_status *m, unsigned scheme, uint64_t tried, uint64_t applied) {
        struct scheme_stats *stats = &m->schemes[scheme].total;

        stats->sz_tried += tried;
        stats->sz_applied += applied;
        stats->nr_tried++;
        stats->nr_applied++;
        m->schemes[scheme].raw = *stats;
}

void made_status_free(struct made_status *m, int nid, uint64_t free_bytes) {
        struct status_node *n = m->nodes + nid;

        n->free_bytes = free_bytes;
        for (size_t i = 0; i < m->s.n_schemes; i++)
                if (m->schemes[i].goal_nid == nid) {
                        int32_t free_bp = (int32_t) (free_bytes * 10000 / n->total_bytes);

                        m->schemes[i].current_bp =
                                m->schemes[i].goal_metric == GOAL_NODE_MEM_FREE_BP ? free_bp : 10000 - free_bp;
                }
}

void made_status_quota(struct made_status *m, unsigned scheme, unsigned hundredths, enum tuner_reason reason) {
        struct status_scheme *s = m->schemes + scheme;

        s->quota_bytes = s->ceiling_bytes / 100 * hundredths * s->quota_window_us / s->ceiling_interval_us;
        s->reason = reason;
}

static void set_note(struct made_status *m, size_t i, enum note_kind kind, const char *text) {
        (void) snprintf(m->texts[i], sizeof(m->texts[i]), "%s", text);
        m->notes[i] = (struct status_note) { .kind = kind, .text = m->texts[i] };
        m->s.n_notes = MAX(m->s.n_notes, i + 1);
}

void made_status_at_work(struct made_status *m) {
        made_status_init(m);
        m->s.turns = 1234;
        m->s.failed_turns = 3;
        m->s.reloads = 2;
        m->s.replans = 1;
        set_note(m, 0, NOTE_LEFT_OUT, "node 3: no memory, left out");
        set_note(m, 1, NOTE_KERNEL, "this kernel cannot tell huge pages apart");
        for (unsigned i = 0; i < 3; i++) {
                m->nodes[i].cpu_us = 61000001 + i * 500000;
                m->nodes[i].restarts = i;
                m->nodes[i].view = (struct tuner_view) { (UINT64_C(1) + i) * 4 * MIB, GIB + i * MIB, 5000 };
                made_status_free(m, (int) i, 16 * GIB / 100 * (3 + i));
        }
        m->nodes[2].aggregate_us = 1000000;
        for (unsigned i = 0; i < _MADE_SCHEMES; i++) {
                made_status_move(m, i, (i + 3) * GIB, (i + 1) * GIB);
                m->schemes[i].total.qt_exceeds = 10 + i;
        }
        made_status_quota(m, DEMOTE_0_1, 100, TUNER_GOAL);
        made_status_quota(m, DEMOTE_1_2, 0, TUNER_NO_ROOM);
        made_status_quota(m, PROMOTE_1_0, 12, TUNER_EXCHANGE);
        made_status_quota(m, PROMOTE_2_1, 34, TUNER_FILL);
}
