/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierd/status.h"

/*
 * A snapshot made by hand: nodes 0 (DRAM), 1 (CXL) and 2 (persistent memory) of 16 GiB each, one above the other, managed by
 * the direct tuner; node 3 has no memory. Two schemes per edge: DEMOTE_0_1, and so on. At rest, every goal just met.
 */
enum { DEMOTE_0_1, DEMOTE_1_2, PROMOTE_1_0, PROMOTE_2_1, _MADE_SCHEMES };
struct made_status {
        struct status s;
        struct status_node nodes[4];
        struct status_scheme schemes[_MADE_SCHEMES];
        struct status_note notes[2];
        char texts[2][160];
};

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)
#define SECOND UINT64_C(1000000)

void made_status_init(struct made_status *m);

/* Time passes: both clocks. */
void made_status_pass(struct made_status *m, uint64_t us);

/* A scheme moves: tried, and applied, by the kernel's counts. Meminfo is left alone. */
void made_status_move(struct made_status *m, unsigned scheme, uint64_t tried, uint64_t applied);

/* Sets a node's free memory, and where it stands for the goals of schemes. */
void made_status_free(struct made_status *m, int nid, uint64_t free_bytes);

/* The quota of a scheme: as a part of its ceiling, in hundredths. */
void made_status_quota(struct made_status *m, unsigned scheme, unsigned hundredths, enum tuner_reason reason);

/* The same machine at work: something in every field, nothing the same in two. */
void made_status_at_work(struct made_status *m);
