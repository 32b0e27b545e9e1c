/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "topology/topology.h"

#include <stddef.h>

/* What one look at the machine found. States in order of weight; INFO is worth knowing and nothing to worry about. */
enum check_state {
        CHECK_OK,
        CHECK_INFO,
        CHECK_UNKNOWN,                  /* this user may not look, or the capture does not hold it */
        CHECK_WARNING,
        CHECK_PROBLEM,                  /* tierd cannot run */
        _CHECK_STATE_MAX,
};
const char *check_state_to_string(enum check_state state);     /* "ok", …, as in the JSON */

struct check {
        const char *id;                 /* part of the interface: tierctl(1) */
        enum check_state state;
        const char *patches;            /* "kernel-patches/6.1", where they supply or mend it; NULL: they do not */
        char summary[256];              /* what is, without a final full stop */
        char meaning[2048];             /* what that means for tierd: sentences, or empty */
        char action[2048];              /* what to do: sentences, or empty */
};

struct checkup {
        struct check *checks;
        size_t n_checks;
        int error;                      /* -ENOMEM sticks: the list is incomplete */
};

void checkup_done(struct checkup *c);
#define _cleanup_checkup_ _cleanup_(checkup_done)

/* A new check to be filled in; never NULL: when memory runs out it is one that is thrown away. */
struct check *checkup_add(struct checkup *c, const char *id, enum check_state state);
void check_summary(struct check *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_meaning(struct check *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_action(struct check *k, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All looks below `root`, under the configuration there; only reads. `root_path` as in topology_read(). 0 or -ENOMEM. */
int checkup_make(int root, const char *root_path, struct checkup *c);
