/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/missing.h"
#include "base/cleanup.h"

#include <stdbool.h>
#include <stdio.h>

/* What there is below kernel-patches/, and what of the above it supplies. */
static const struct series {
        unsigned major, minor;
        const char *directory;
        unsigned supplies;
} SERIES[] = {
        { 6, 1, "kernel-patches/6.1", 1U << MISSING_MIGRATE | 1U << MISSING_YOUNG },
        { 6, 12, "kernel-patches/6.12", 1U << MISSING_NODE_GOALS },
        { 7, 2, "kernel-patches/7.2", 0 },
};

static const struct series *series_of(unsigned major, unsigned minor) {
        for (size_t i = 0; i < ELEMENTSOF(SERIES); i++)
                if (SERIES[i].major == major && SERIES[i].minor == minor)
                        return SERIES + i;
        return NULL;
}

const char *missing_patches(unsigned major, unsigned minor) {
        const struct series *s = series_of(major, minor);

        return s ? s->directory : NULL;
}

static bool lacks_migrate(unsigned major, unsigned minor) {
        return major > 0 && (major < 6 || (major == 6 && minor < 11));
}

const char *missing_supplier(enum missing what, unsigned major, unsigned minor) {
        const struct series *s = series_of(major, minor);

        if (what == MISSING_DAMON && lacks_migrate(major, minor))
                what = MISSING_MIGRATE;
        return s && (s->supplies & 1U << what) != 0 ? s->directory : NULL;
}

/* What has to be built in. A kernel that is built anew is best built with all that it lacks. */
static void describe_unbuilt(const char *problem, unsigned major, unsigned minor, char *buf, size_t size) {
        char migrate[256] = "";

        if (lacks_migrate(major, minor))
                (void) missing_describe(MISSING_MIGRATE, major, minor, migrate, sizeof(migrate));
        (void) snprintf(buf, size, "%s%s%s", problem, migrate[0] != '\0' ? "; and " : "", migrate);
}

const char *missing_describe(enum missing what, unsigned major, unsigned minor, char *buf, size_t size) {
        const char *supplier = missing_supplier(what, major, minor), *name = NULL, *without = "";

        switch (what) {
        case MISSING_DAMON:
                describe_unbuilt(major > 0 && (major < 5 || (major == 5 && minor < 18)) ?
                                         "no DAMON interface in sysfs (5.18)" :
                                         "CONFIG_DAMON or CONFIG_DAMON_SYSFS is off: build it in, see kernel-patches/README.md",
                                 major, minor, buf, size);
                return buf;
        case MISSING_PADDR:
                describe_unbuilt("CONFIG_DAMON_PADDR is off: build it in, see kernel-patches/README.md", major, minor, buf,
                                 size);
                return buf;
        case MISSING_MIGRATE:
                name = "no migrate actions (6.11)";
                without = "no patches for this release: boot Linux 6.11 or later, or 6.1 with kernel-patches/6.1";
                break;
        case MISSING_YOUNG:
                name = "no filter for young pages (6.10)";
                without = "whole regions move";
                break;
        case MISSING_EXCLUDES:
                name = "no filters for control groups and anonymous memory (6.3)";
                without = "a configuration that excludes them is refused";
                break;
        case MISSING_NODE_GOALS:
                name = "no node goals (6.16)";
                without = "the direct tuner does without";
                break;
        case MISSING_USER_GOALS:
                name = "no user_input goals (6.9)";
                without = "the direct tuner does without";
                break;
        }
        (void) snprintf(buf, size, "%s: %s%s%s", name, supplier ? supplier : "",
                        !supplier ? "" : what == MISSING_YOUNG ? " supplies it for this kernel" :
                                                                 " supplies them for this kernel",
                        !supplier ? without : what == MISSING_NODE_GOALS ? "; the direct tuner does without" : "");
        return buf;
}
