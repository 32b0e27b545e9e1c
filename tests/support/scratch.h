/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/idset.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A machine in a temporary directory, whose DAMON tree answers writes as the kernel's does: children come and go with the nr_*
 * files, keywords and values are refused with EINVAL, `state` starts and ends kdamonds, and a filter's control group must be
 * one of those below /sys/fs/cgroup, where /db.slice is at first. The test programs are linked with
 * --wrap=file_write, --wrap=file_replace and --wrap=file_read_line, so that writes below the root of the scratch come here
 * first; everything else is real files and real code. One scratch at a time.
 *
 * It is written from mm/damon/sysfs*.c of Linux 6.1, 6.12 and 7.2, and from the release table for 6.18. SCRATCH_6_1 is one with
 * the patches of kernel-patches/6.1.
 */

enum scratch_kernel { SCRATCH_6_1, SCRATCH_6_12, SCRATCH_6_18, SCRATCH_7_2, _SCRATCH_KERNEL_MAX };

#define SCRATCH_SLOTS_MAX 16
#define SCRATCH_SCHEMES_MAX 32

struct scratch {
        char path[64];
        int root;
        enum scratch_kernel kernel;
        unsigned version;               /* 601, 612, 618, 702 */
        struct idset memory;            /* nodes with memory: migrating elsewhere, or a goal elsewhere, is an oops */

        /*
         * Injection: the write number fault_at (from 0; a retry keeps its number) is answered with fault_error the first
         * fault_times times. The same for reads of a line.
         */
        size_t writes, fault_at;
        int fault_error;
        unsigned fault_times;
        bool fault_sticks;                                      /* to that path, as often as it is written; others are well */
        char fault_path[256], fault_value[128];                 /* what the last faulty write was */
        size_t reads, read_fault_at;
        int read_fault_error;
        unsigned read_fault_times;
        bool no_paddr;                  /* built without CONFIG_DAMON_PADDR */
        bool commit_kills;              /* the next commit fails inside the kernel */
        void (*before_write)(const struct scratch *s);          /* NULL, or called on the writer's thread */
        /* The same for what is replaced whole: files beside the machine, such as tierd's record. */
        size_t replaces, replace_fault_at;
        int replace_fault_error;
        unsigned replace_fault_times;
        size_t exit_at;                 /* the process ends in place of this write, as by SIGKILL */

        /* What the kernel would have done to the machine. Tests want these empty. */
        const char *oops;               /* NULL, or what was dereferenced */
        bool unlimited;                 /* a scheme ran through a charge window without its quota (6.12) */

        unsigned commits, feeds, starts;        /* feeds: commit_schemes_quota_goals */
        bool started[SCRATCH_SLOTS_MAX];                                /* ever */
        bool settled[SCRATCH_SLOTS_MAX][SCRATCH_SCHEMES_MAX];           /* the scheme's quota is in force */
        unsigned stats_asked[SCRATCH_SLOTS_MAX];                        /* since the start */
};

struct scratch *scratch_new(enum scratch_kernel kernel);
struct scratch *scratch_free(struct scratch *s);

/* No fault, and the counters at 0. */
void scratch_reset_faults(struct scratch *s);

/* Makes a file with this text (and a newline), or replaces it. */
void scratch_put(struct scratch *s, const char *path, const char *text);

/* The attribute's line; "" when it is not there. The buffer is overwritten by the next call but three. */
const char *scratch_get(struct scratch *s, const char *path);
const char *scratch_getf(struct scratch *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Removes a directory with all that is in it. */
void scratch_remove(struct scratch *s, const char *path);

/* Another program's kdamonds: n slots, the first of which runs as pid 123. */
void scratch_occupy(struct scratch *s, unsigned n);

/* What is in every file of the machine, by path: a fresh string, to compare. */
char *scratch_snapshot(struct scratch *s);

/* off, and without a context. */
bool scratch_slot_is_empty(struct scratch *s, int slot);

/* For scratch-kernel.c. */
int scratch_store(struct scratch *s, const char *path, const char *value);
void scratch_make(struct scratch *s, const char *path, const char *text, unsigned mode);
