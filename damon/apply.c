/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "damon/apply.h"
#include "base/file.h"
#include "base/parse.h"
#include "damon/attribute.h"
#include "damon/capability.h"
#include "policy/missing.h"

#include <string.h>

/*
 * 5 seconds: a command of our own worker never waits for another one, so whoever holds the lock is another program, and what it
 * waits for is a sampling or aggregation interval, seldom more than a second.
 */
struct apply_patience APPLY_PATIENCE = { .tries = 200, .pause_us = 25000 };

int apply_ops(int root, const struct ops *o, const struct apply_patience *patience, size_t *ret_done, struct diag *reterr) {
        size_t i;
        int r = 0;

        for (i = 0; i < o->n_ops; i++) {
                r = attribute_write(root, o->ops[i].path, o->ops[i].value, patience, reterr);
                if (r < 0)
                        break;
        }
        if (ret_done)
                *ret_done = i;
        return r;
}

static int state_path(char *buf, size_t size, int slot) {
        return path_format(buf, size, DAMON_ADMIN "/%d/state", slot);
}

/* What the kernel means by an errno that says little by itself. */
static int explain_command(int root, int r, const char *command, struct diag *reterr) {
        char modules[128];
        struct diag d;

        if (!reterr)
                return r;
        d = *reterr;

        switch (r) {
        case -EBUSY:
                /* Retried in vain. What refuses a start is mostly one of the kernel's own modules (damon_start(), exclusive).
                 */
                if (strcmp(command, "on") == 0 && damon_read_exclusive(root, modules, sizeof(modules)) > 0)
                        return diag_set(reterr, r,
                                        "%s. %s of the kernel is enabled and lets no other kdamond start: write N to its "
                                        "/sys/module/…/parameters/enabled.",
                                        d.text, modules);
                return diag_set(reterr, r, "%s. Another program holds the DAMON interface, or the kdamond runs already.",
                                d.text);
        case -EINVAL:
                /* Permanent: either the kdamond is not in the state for it, or the kernel refuses the values as a whole. */
                if (strcmp(command, "on") == 0 || strcmp(command, "commit") == 0)
                        return diag_set(reterr, r,
                                        "%s. The kernel refuses the staged values as a whole (ranges, intervals, numbers "
                                        "of regions), or lacks physical address monitoring.",
                                        d.text);
                break;
        case -ENOMEM:
                /* Permanent for us: damon_sysfs_mk_scheme() folds every error of a scheme into this one. */
                if (strcmp(command, "on") == 0 || strcmp(command, "commit") == 0)
                        return diag_set(reterr, r, "%s. The kernel also says this for a filter whose cgroup does not exist.",
                                        d.text);
                break;
        case -ECANCELED:
                /* Permanent: the kdamond ended before it answered (damon_call(), 6.14 and later). */
                return diag_set(reterr, r, "%s. The kdamond has ended.", d.text);
        default:
                break;
        }
        return r;
}

int kdamond_command(int root, int slot, const char *command, const struct apply_patience *patience, struct diag *reterr) {
        char path[PATH_SIZE];
        int r;

        r = state_path(path, sizeof(path), slot);
        if (r < 0)
                return r;
        r = attribute_write(root, path, command, patience, reterr);
        return r < 0 ? explain_command(root, r, command, reterr) : 0;
}

int kdamond_is_running(int root, int slot, const struct apply_patience *patience, struct diag *reterr) {
        char path[PATH_SIZE], state[16];
        struct diag d = {};
        int r;

        r = state_path(path, sizeof(path), slot);
        if (r < 0)
                return r;
        r = attribute_read(root, path, state, sizeof(state), patience, &d);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return diag_set(reterr, r, "%s", d.text);
        if (strcmp(state, "on") == 0)
                return 1;
        if (strcmp(state, "off") == 0)
                return 0;
        return diag_set(reterr, -EBADMSG, "/%s: says \"%s\", expected on or off.", path, state);
}

int kdamond_read_pid(int root, int slot, int *ret_pid) {
        char path[PATH_SIZE], text[16];
        int r, pid;

        r = path_format(path, sizeof(path), DAMON_ADMIN "/%d/pid", slot);
        if (r < 0)
                return r;
        r = file_read_line(root, path, text, sizeof(text));
        if (r < 0)
                return r == -EFBIG ? -EBADMSG : r;
        if (parse_int(text, -1, INT32_MAX, &pid) < 0)
                return -EBADMSG;
        *ret_pid = pid < 0 ? 0 : pid;
        return 0;
}

int damon_read_exclusive(int root, char *buf, size_t size) {
        /* All callers of damon_start(…, exclusive) that can be switched: mm/damon/ and samples/damon/. */
        static const char *const modules[] = {
                "damon_stat", "damon_reclaim", "damon_lru_sort", "damon_sample_mtier", "damon_sample_prcl", "damon_sample_wsse",
        };
        size_t len = 0;
        int n = 0;

        if (size > 0)
                buf[0] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(modules); i++) {
                char path[PATH_SIZE], value[16];
                int r, written;

                r = path_format(path, sizeof(path), "sys/module/%s/parameters/enabled", modules[i]);
                if (r >= 0)
                        r = file_read_line(root, path, value, sizeof(value));
                /* Not built in, or a module not loaded. */
                if (r == -ENOENT)
                        continue;
                if (r < 0)
                        return r;
                if (value[0] != 'Y')
                        continue;
                n++;
                written = snprintf(buf + len, size - len, "%s%s", len > 0 ? ", " : "", modules[i]);
                if (written > 0)
                        len = MIN(len + (size_t) written, size > 0 ? size - 1 : 0);
        }
        return n;
}

/* "0 runs as pid 123, 1 is off" for up to a handful of slots. */
static void describe_slots(int root, int n, char *buf, size_t size) {
        enum { SHOWN = 8 };
        size_t len = 0;

        buf[0] = '\0';
        for (int slot = 0; slot < n && slot < SHOWN && len + 1 < size; slot++) {
                int running, pid = 0, written;

                running = kdamond_is_running(root, slot, &APPLY_PATIENCE, NULL);
                if (running > 0)
                        (void) kdamond_read_pid(root, slot, &pid);
                if (running > 0 && pid > 0)
                        written = snprintf(buf + len, size - len, "%s%d runs as pid %d", slot > 0 ? ", " : "", slot, pid);
                else
                        written = snprintf(buf + len, size - len, "%s%d %s", slot > 0 ? ", " : "", slot,
                                           running > 0    ? "runs"
                                           : running == 0 ? "is off"
                                                          : "cannot be read");
                if (written > 0)
                        len = MIN(len + (size_t) written, size - 1);
        }
        if (n > SHOWN && len + 1 < size)
                (void) snprintf(buf + len, size - len, ", and %d more", n - SHOWN);
}

/* Why there is no interface, by the release where it can be read. */
static const char *describe_missing(int root, char *buf, size_t size) {
        struct capability c = {};
        char release[sizeof(c.release)];

        if (capability_read_release(root, release, sizeof(release), NULL) >= 0)
                (void) capability_from_release(release, &c, NULL);
        /* What a kernel has of tierd's patches it need not be given again. */
        return missing_describe(MISSING_DAMON, c.migrate ? 0 : c.major, c.migrate ? 0 : c.minor, buf, size);
}

int damon_read_owners(int root, struct diag *reterr) {
        char text[32], slots[512], missing[512];
        int r, n;

        r = attribute_read(root, DAMON_ADMIN "/nr_kdamonds", text, sizeof(text), &APPLY_PATIENCE, reterr);
        if (r == -ENOENT)
                return diag_set(reterr, r, "/" DAMON_ADMIN " is not there: %s.",
                                describe_missing(root, missing, sizeof(missing)));
        if (r < 0)
                return r;
        r = parse_int(text, 0, INT32_MAX, &n);
        if (r < 0)
                return diag_set(reterr, -EBADMSG, "/" DAMON_ADMIN "/nr_kdamonds: says \"%s\", expected a number.", text);
        if (n == 0)
                return 0;

        describe_slots(root, n, slots, sizeof(slots));
        (void) diag_set(
                reterr, -EBUSY,
                "Another program holds DAMON: %d kdamond%s (%s). It may be damo, HMSDK, or another tierd; stop it there. "
                "What a program left behind is cleared by writing off to its kdamonds/N/state, then 0 to /" DAMON_ADMIN
                "/nr_kdamonds.",
                n, n == 1 ? "" : "s", slots);
        return n;
}

int damon_claim(int root, const struct slot_map *m, struct diag *reterr) {
        _cleanup_ops_ struct ops *o = NULL;
        int r;

        r = damon_read_owners(root, reterr);
        if (r < 0)
                return r;
        if (r > 0)
                return -EBUSY;
        r = ops_make_slots(m, &o);
        if (r < 0)
                return r;
        return apply_ops(root, o, &APPLY_PATIENCE, NULL, reterr);
}

/* Switches off, and takes "it ended by itself" for done. */
static int kdamond_off(int root, int slot, struct diag *reterr) {
        struct diag d = {};
        int r, running;

        r = kdamond_is_running(root, slot, &APPLY_PATIENCE, reterr);
        if (r <= 0)
                return r;
        r = kdamond_command(root, slot, "off", &APPLY_PATIENCE, &d);
        if (r >= 0)
                return 0;
        /* EPERM: it ended between the two (__damon_stop()). The state has the last word, whatever the errno. */
        running = kdamond_is_running(root, slot, &APPLY_PATIENCE, NULL);
        return running == 0 ? 0 : diag_set(reterr, r, "%s", d.text);
}

int damon_release(int root, const struct slot_map *m, struct diag *reterr) {
        int n = (int) idset_count(&m->possible), first = 0, r;
        struct diag d;

        for (int slot = 0; slot < n; slot++) {
                d = (struct diag){};
                r = kdamond_off(root, slot, &d);
                if (r < 0 && first == 0)
                        first = diag_set(reterr, r, "%s", d.text);
        }
        d = (struct diag){};
        r = attribute_write(root, DAMON_ADMIN "/nr_kdamonds", "0", &APPLY_PATIENCE, &d);
        if (r < 0 && first == 0)
                first = diag_set(reterr, r, "%s", d.text);
        return first;
}

int kdamond_stop(int root, int slot, struct diag *reterr) {
        char path[PATH_SIZE], present[16];
        struct diag d = {};
        int r;

        r = kdamond_off(root, slot, reterr);
        if (r < 0)
                return r;
        r = path_format(path, sizeof(path), DAMON_ADMIN "/%d/contexts/nr_contexts", slot);
        if (r < 0)
                return r;
        /* What could not be made need not be taken away. */
        r = attribute_read(root, path, present, sizeof(present), &APPLY_PATIENCE, NULL);
        if (r < 0 || strcmp(present, "0") != 0)
                r = attribute_write(root, path, "0", &APPLY_PATIENCE, &d);
        return r < 0 && r != -ENOENT ? diag_set(reterr, r, "%s", d.text) : 0;
}
