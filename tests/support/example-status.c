/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/support/example-status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define SECOND UINT64_C(1000000)

static void add_scheme(struct status *s, enum direction direction, int source, int target, int32_t current_bp,
                       uint64_t quota_bytes, enum tuner_reason reason) {
        s->schemes[s->n_schemes] = (struct status_scheme) {
                .direction = direction, .source_nid = source, .target_nid = target,
                .goal_nid = direction == DEMOTE ? source : target,
                .goal_metric = direction == DEMOTE ? GOAL_NODE_MEM_FREE_BP : GOAL_NODE_MEM_USED_BP,
                .goal_bp = direction == DEMOTE ? 500 : 9600, .current_bp = current_bp,
                .ceiling_bytes = 200 * MIB, .ceiling_interval_us = SECOND,
                .quota_bytes = quota_bytes, .quota_window_us = 400000, .reason = reason,
        };
        s->schemes[s->n_schemes].total = (struct scheme_stats) {
                .nr_tried = 1000 + s->n_schemes, .nr_applied = 900 + s->n_schemes, .sz_tried = 3 * GIB + s->n_schemes,
                .sz_applied = 2 * GIB + s->n_schemes, .qt_exceeds = 7 + s->n_schemes,
        };
        s->n_schemes++;
}

static void add_node(struct status *s, int nid, int tier, enum node_kind kind, uint64_t total_bytes, uint64_t free_bytes) {
        struct status_node *n = s->nodes + s->n_nodes++;

        *n = (struct status_node) { .nid = nid, .tier = tier, .kind = kind, .total_bytes = total_bytes };
        if (tier < 0)
                return;
        n->free_bytes = free_bytes;
        n->has_free = n->has_kdamond = n->has_view = true;
        n->pid = 700 + nid;
        n->cpu_us = 12 * SECOND + (uint64_t) nid;
        n->restarts = nid == 2 ? 1 : 0;
        n->sample_us = 5000;
        n->aggregate_us = 100000;
        n->view = (struct tuner_view) { .hot_bytes = 300 * MIB, .cold_bytes = 1 * GIB, .passes = 4000 };
}

struct status *example_status(void) {
        struct status *s = calloc(1, sizeof(*s));

        assert_non_null(s);
        *s = (struct status) {
                .state = STATUS_MANAGING, .release = "6.12.57", .tuner = TUNER_DIRECT, .rank_source = RANK_HMAT, .n_tiers = 2,
                .started_realtime_us = UINT64_C(1795000000) * SECOND, .taken_realtime_us = UINT64_C(1795100000) * SECOND,
                .taken_us = SECOND, .telemetry_interval_us = 10 * SECOND,
                .config_path = strdup("/etc/tierd.yaml"), .turns = 4242, .failed_turns = 1, .reloads = 2, .replans = 3,
        };
        s->nodes = calloc(4, sizeof(*s->nodes));
        s->schemes = calloc(4, sizeof(*s->schemes));
        assert_true(s->config_path && s->nodes && s->schemes);

        add_node(s, 0, 0, NODE_DRAM, 64 * GIB, 3 * GIB);
        add_node(s, 1, 0, NODE_DRAM, 64 * GIB, 4 * GIB);
        add_node(s, 2, 1, NODE_CXL, 256 * GIB, 100 * GIB);
        add_node(s, 3, -1, NODE_UNKNOWN, 0, 0);
        idset_add(&s->nodes[0].lower, 2);
        idset_add(&s->nodes[1].lower, 2);
        idset_add(&s->nodes[2].upper, 0);
        idset_add(&s->nodes[2].upper, 1);

        add_scheme(s, DEMOTE, 0, 2, 468, 40 * MIB, TUNER_EXCHANGE);
        add_scheme(s, DEMOTE, 1, 2, 625, 0, TUNER_REST);
        add_scheme(s, PROMOTE, 2, 0, 9532, 40 * MIB, TUNER_EXCHANGE);
        add_scheme(s, PROMOTE, 2, 1, 9375, 0, TUNER_REST);
        example_add_note(s, "node 3: no memory, left out");
        return s;
}

void example_remove_scheme(struct status *s, size_t i) {
        s->n_schemes--;
        memmove(s->schemes + i, s->schemes + i + 1, (s->n_schemes - i) * sizeof(*s->schemes));
}

void example_remove_node(struct status *s, int nid) {
        for (size_t i = s->n_schemes; i-- > 0;)
                if (s->schemes[i].source_nid == nid || s->schemes[i].target_nid == nid)
                        example_remove_scheme(s, i);
        for (size_t i = 0; i < s->n_nodes; i++)
                if (s->nodes[i].nid == nid) {
                        s->n_nodes--;
                        memmove(s->nodes + i, s->nodes + i + 1, (s->n_nodes - i) * sizeof(*s->nodes));
                        return;
                }
}

void example_add_note(struct status *s, const char *text) {
        struct status_note *notes = reallocarray(s->notes, s->n_notes + 1, sizeof(*notes));

        assert_non_null(notes);
        s->notes = notes;
        notes[s->n_notes++] = (struct status_note) { .kind = NOTE_LEFT_OUT, .text = strdup(text) };
}
