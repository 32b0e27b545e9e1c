/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/missing.h"
#include "tierctl/doctor-internal.h"

#include <string.h>

/* What the kernel is, by its release: what it lacks, which patches supply it, and its faults. docs/kernels.md. */

/* Says what is missing, in `meaning` or `action` of the check, and whose patches supply it. */
static const char *say_missing(const struct patient *p, struct check *k, enum missing what, char *buf, size_t size) {
        const struct capability *c = &p->capability;

        (void) missing_describe(what, c->major, c->minor, buf, size);
        if (missing_supplier(what, c->major, c->minor))
                k->patches = missing_supplier(what, c->major, c->minor);
        return buf;
}

void look_at_kernel(struct patient *p) {
        char release[sizeof(p->capability.release)], text[256];
        struct check *k = checkup_add(p->c, "kernel", CHECK_OK);
        struct diag d = {};
        int r;

        r = capability_read_release(p->root, release, sizeof(release), &d);
        if (r >= 0)
                r = capability_from_release(release, &p->capability, &d);
        if (r < 0) {
                k->state = CHECK_UNKNOWN;
                check_summary(k, "the release is not known");
                check_meaning(k, "%s", d.text);
                return;
        }
        p->release_known = true;
        if (!p->capability.migrate) {
                k->state = CHECK_PROBLEM;
                check_summary(k, "Linux %s cannot move memory between nodes by DAMON", release);
                check_meaning(k, "This goes by the release: a kernel with tierd's patches is able to, and is known by "
                                 "\"-tierd\" in its release; tierd itself finds out by trying.");
                check_action(k, "%s.", say_missing(p, k, MISSING_MIGRATE, text, sizeof(text)));
                return;
        }
        check_summary(k, "Linux %s moves memory between nodes by DAMON", release);
}

void look_at_tuners(struct patient *p) {
        const struct capability *c = &p->capability;
        struct check *k;
        char text[256];

        if (!p->release_known || !c->migrate)
                return;
        k = checkup_add(p->c, "tuners", CHECK_OK);
        check_summary(k, "tierd can steer by: direct%s%s", c->user_goals ? ", feedback" : "", c->node_goals ? ", kernel" : "");
        if (c->node_goals)
                return;
        k->state = CHECK_INFO;
        check_meaning(k, "%s.", say_missing(p, k, MISSING_NODE_GOALS, text, sizeof(text)));
}

/* What pages can be told apart by. Huge pages are not looked for: without their filter the plan has a note. */
void look_at_filters(struct patient *p) {
        const struct capability *c = &p->capability;
        struct check *k;
        char text[256];

        if (!p->release_known || !c->migrate || (c->young_filter && c->anon_filter && c->memcg_filter))
                return;
        k = checkup_add(p->c, "filters", CHECK_INFO);
        check_summary(k, "this kernel tells fewer kinds of pages apart than later ones");
        check_meaning(k, "%s.", say_missing(p, k, c->young_filter ? MISSING_EXCLUDES : MISSING_YOUNG, text, sizeof(text)));
}

#define FALLBACK "pages that find no room on a nearly full node may count as moved"
#define UNCOUNTED "tierd steers by the nodes' free memory, not by these counts."

/*
 * Faults of the kernel by release, [from, until); until 0: no release is known to be free of it. `mended`: the release whose
 * patches mend it; 0: none do.
 */
static const struct {
        const char *id, *summary, *meaning;
        unsigned from_major, from_minor, until_major, until_minor;
        unsigned mended_major, mended_minor;
} FAULTS[] = {
        { "kernel-first-window", "schemes start without their quota on this release",
          "tierd starts them stopped and sets the quota before they may move anything.", 6, 11, 6, 14, 6, 12 },
        { "kernel-silent-commit", "this release does not tell when new values were refused",
          "A refused commit ends the kdamond; tierd reads its state back after each and starts it again.", 6, 1, 6, 15,
          6, 12 },
        { "kernel-bad-target", "this release may crash when memory is moved to a node that has just lost its memory",
          "Fixed by 7e6c313, and in stable updates since. tierd plans with nodes that have memory only, and leaves a node out "
          "as soon as its memory is being taken away.", 6, 11, 7, 2, 0, 0 },
        { "kernel-goal-node", "this release may crash on a goal for a node that does not exist",
          "Fixed by 40250b2dded0, and in stable updates since. tierd sets goals for nodes with memory only.", 6, 16, 7, 2,
          0, 0 },
        { "kernel-fallback", FALLBACK, "A copy on another node, often the one they came from, counts too. " UNCOUNTED, 6, 11, 6,
          16, 6, 12 },
        { "kernel-fallback", FALLBACK, "Fixed by 613c2d5552d2 (2026-08). " UNCOUNTED, 6, 16, 7, 3, 7, 2 },
        { "kernel-tuned-intervals", "intervals that tune themselves starve schemes with an interval of their own",
          "tierd lets its schemes follow the aggregation interval, which is not affected.", 6, 15, 0, 0, 7, 2 },
};

static bool before(const struct capability *c, unsigned major, unsigned minor) {
        return c->major < major || (c->major == major && c->minor < minor);
}

void look_at_faults(struct patient *p) {
        const struct capability *c = &p->capability;

        if (!p->release_known || !c->migrate)
                return;
        for (size_t i = 0; i < ELEMENTSOF(FAULTS); i++) {
                bool mendable = c->major == FAULTS[i].mended_major && c->minor == FAULTS[i].mended_minor;
                struct check *k;

                if (before(c, FAULTS[i].from_major, FAULTS[i].from_minor) ||
                    (FAULTS[i].until_major > 0 && !before(c, FAULTS[i].until_major, FAULTS[i].until_minor)))
                        continue;
                if (mendable && c->patched)
                        continue;
                k = checkup_add(p->c, FAULTS[i].id, CHECK_INFO);
                check_summary(k, "%s", FAULTS[i].summary);
                check_meaning(k, "%s", FAULTS[i].meaning);
                if (!mendable)
                        continue;
                k->patches = missing_patches(c->major, c->minor);
                check_action(k, "%s mends it.", k->patches);
        }
}
