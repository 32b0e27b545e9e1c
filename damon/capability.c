/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "damon/capability.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "damon/apply.h"
#include "damon/attribute.h"
#include "damon/ops.h"

#include <string.h>

#define SLOT DAMON_ADMIN "/0"
#define CONTEXT SLOT "/contexts/0"
#define SCHEME CONTEXT "/schemes/0"

struct since {
        unsigned major, minor;
        size_t offset;
};

/* By the kernel's own release history; docs/kernels.md says how each was checked. */
static const struct since SINCE[] = {
        { 5, 18, offsetof(struct capability, present) },
        { 5, 18, offsetof(struct capability, paddr) },
        { 6, 3, offsetof(struct capability, filters_dir) },
        { 6, 3, offsetof(struct capability, anon_filter) },
        { 6, 3, offsetof(struct capability, memcg_filter) },
        { 6, 7, offsetof(struct capability, apply_interval) },
        { 6, 9, offsetof(struct capability, user_goals) },
        { 6, 10, offsetof(struct capability, young_filter) },
        { 6, 11, offsetof(struct capability, migrate) },
        { 6, 14, offsetof(struct capability, filter_allow) },
        { 6, 15, offsetof(struct capability, ops_filters) },
        { 6, 15, offsetof(struct capability, hugepage_filter) },
        { 6, 15, offsetof(struct capability, intervals_goal) },
        { 6, 16, offsetof(struct capability, node_goals) },
        { 6, 17, offsetof(struct capability, dests) },
        { 6, 17, offsetof(struct capability, refresh_ms) },
        { 6, 18, offsetof(struct capability, addr_unit) },
        { 6, 19, offsetof(struct capability, obsolete_target) },
        { 7, 0, offsetof(struct capability, max_nr_snapshots) },
        { 7, 1, offsetof(struct capability, goal_tuner) },
        { 7, 2, offsetof(struct capability, fail_charge) },
        { 7, 2, offsetof(struct capability, pause) },
};

/* What the patches of a series add to its releases: kernel-patches/README.md. */
static const struct since PATCHED[] = {
        { 6, 1, offsetof(struct capability, migrate) },
        { 6, 1, offsetof(struct capability, filters_dir) },
        { 6, 1, offsetof(struct capability, young_filter) },
        { 6, 12, offsetof(struct capability, node_goals) },
};

/* The local version that kernels built with tierd's patches carry. */
#define PATCHED_VERSION "-tierd"

static bool *capability_flag(struct capability *c, size_t offset) {
        return (bool *) (void *) ((char *) c + offset);
}

static bool release_at_least(const struct capability *c, unsigned major, unsigned minor) {
        return c->major != major ? c->major > major : c->minor >= minor;
}

/* Takes a decimal number off the front of *text. */
static int take_number(const char **text, unsigned *ret) {
        size_t n = strspn(*text, "0123456789");
        char buf[8];
        uint64_t v;

        if (n == 0 || n >= sizeof(buf))
                return -EINVAL;
        memcpy(buf, *text, n);
        buf[n] = '\0';
        if (parse_u64(buf, &v) < 0)
                return -EINVAL;
        *text += n;
        *ret = (unsigned) v;
        return 0;
}

/* No blank, no control character, nothing beyond ASCII. */
static bool is_graphic(const char *text) {
        while (*text > ' ' && *text < 0x7f)
                text++;
        return *text == '\0';
}

static bool is_patched(const char *release) {
        const char *p = strstr(release, PATCHED_VERSION);

        return p && (p[strlen(PATCHED_VERSION)] == '\0' || strchr(".-+_~", p[strlen(PATCHED_VERSION)]));
}

/* The release itself, and the faults that no file shows. */
static int capability_set_release(struct capability *c, const char *release, struct diag *reterr) {
        const char *p = release;
        size_t len = strlen(release);

        if (len >= sizeof(c->release) || take_number(&p, &c->major) < 0 || *p++ != '.' || take_number(&p, &c->minor) < 0 ||
            (*p != '\0' && !strchr(".-+_~", *p)) || !is_graphic(p))
                return diag_set(reterr, -EINVAL,
                                "\"%.80s\" is not a kernel release: expected something like 6.12 or 6.12.117+deb12-amd64.",
                                release);
        memcpy(c->release, release, len + 1);
        c->patched = is_patched(release);
        c->silent_commit = !release_at_least(c, 6, 15);
        return 0;
}

/*
 * A name is easily given, and to believe it wrongly is to move memory without a limit: patches mend this fault only where the
 * goals are that the same series brings after it.
 */
static bool has_window_fault(const struct capability *c) {
        return release_at_least(c, 6, 11) && !release_at_least(c, 6, 14) && !(c->patched && c->node_goals);
}

int capability_from_release(const char *release, struct capability *ret, struct diag *reterr) {
        struct capability c = {};
        int r;

        r = capability_set_release(&c, release, reterr);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(SINCE); i++)
                *capability_flag(&c, SINCE[i].offset) = release_at_least(&c, SINCE[i].major, SINCE[i].minor);
        for (size_t i = 0; c.patched && i < ELEMENTSOF(PATCHED); i++)
                if (c.major == PATCHED[i].major && c.minor == PATCHED[i].minor)
                        *capability_flag(&c, PATCHED[i].offset) = true;
        c.first_window_unlimited = has_window_fault(&c);
        *ret = c;
        return 0;
}

int capability_read_release(int root, char *buf, size_t size, struct diag *reterr) {
        static const char prefix[] = "Linux version ";
        char text[FILE_ATTR_MAX];
        size_t len;
        int r;

        r = file_read(root, "proc/version", text, sizeof(text));
        if (r < 0)
                return diag_set(reterr, r, "/proc/version: cannot read the kernel's release: %s", strerror(-r));
        len = strcspn(text + MIN(strlen(prefix), strlen(text)), " \n");
        if (strncmp(text, prefix, strlen(prefix)) != 0 || len == 0 || len >= size)
                return diag_set(reterr, -EBADMSG, "/proc/version: does not begin with \"%sRELEASE\"", prefix);
        memcpy(buf, text + strlen(prefix), len);
        buf[len] = '\0';
        return 0;
}

struct file_feature {
        size_t offset;
        const char *path;
};

static const struct file_feature FILES[] = {
        { offsetof(struct capability, filters_dir), SCHEME "/filters/nr_filters" },
        { offsetof(struct capability, ops_filters), SCHEME "/ops_filters/nr_filters" },
        { offsetof(struct capability, apply_interval), SCHEME "/apply_interval_us" },
        { offsetof(struct capability, intervals_goal), CONTEXT "/monitoring_attrs/intervals/intervals_goal/aggrs" },
        { offsetof(struct capability, dests), SCHEME "/dests/nr_dests" },
        { offsetof(struct capability, refresh_ms), SLOT "/refresh_ms" },
        { offsetof(struct capability, addr_unit), CONTEXT "/addr_unit" },
        { offsetof(struct capability, obsolete_target), CONTEXT "/targets/0/obsolete_target" },
        { offsetof(struct capability, max_nr_snapshots), SCHEME "/stats/max_nr_snapshots" },
        { offsetof(struct capability, goal_tuner), SCHEME "/quotas/goal_tuner" },
        { offsetof(struct capability, fail_charge), SCHEME "/quotas/fail_charge_denom" },
        { offsetof(struct capability, pause), CONTEXT "/pause" },
};

/* Every attribute asked about can be read: what is missing is ENOENT. */
static int probe_file(int root, const char *path, bool *ret, struct diag *reterr) {
        char text[64];
        struct diag d = {};
        int r;

        r = attribute_read(root, path, text, sizeof(text), &APPLY_PATIENCE, &d);
        if (r < 0 && r != -ENOENT)
                return diag_set(reterr, r, "%s", d.text);
        *ret = r >= 0;
        return 0;
}

/* Whether the attribute takes the value. Unsupported: the keyword is refused (EINVAL), or the attribute missing (ENOENT). */
static int probe_keyword(int root, const char *path, const char *value, bool *ret, struct diag *reterr) {
        struct diag d = {};
        int r;

        r = attribute_write(root, path, value, &APPLY_PATIENCE, &d);
        if (r < 0 && r != -EINVAL && r != -ENOENT)
                return diag_set(reterr, r, "%s", d.text);
        *ret = r >= 0;
        return 0;
}

static int probe_paddr(int root, bool *ret, struct diag *reterr) {
        char text[FILE_ATTR_MAX];
        int r;

        /* `operations` takes the keyword even where CONFIG_DAMON_PADDR is off; this list does not name it then. */
        r = file_read(root, CONTEXT "/avail_operations", text, sizeof(text));
        if (r < 0)
                return diag_set(reterr, r, "/" CONTEXT "/avail_operations: cannot read: %s", strerror(-r));
        *ret = false;
        for (const char *p = text; *p != '\0'; p += strspn(p, "\n")) {
                size_t n = strcspn(p, "\n");

                if (n == strlen("paddr") && strncmp(p, "paddr", n) == 0)
                        *ret = true;
                p += n;
        }
        return 0;
}

/* Everything that is learnt by looking at, and writing to, the one staged context and scheme. */
static int probe_staged(int root, struct capability *c, struct diag *reterr) {
        bool nid = false, metric = false;
        int r;

        r = probe_paddr(root, &c->paddr, reterr);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(FILES); i++) {
                r = probe_file(root, FILES[i].path, capability_flag(c, FILES[i].offset), reterr);
                if (r < 0)
                        return r;
        }

        r = probe_keyword(root, SCHEME "/action", "migrate_cold", &c->migrate, reterr);
        if (r < 0)
                return r;

        if (c->filters_dir || c->ops_filters) {
                const char *nr = c->ops_filters ? SCHEME "/ops_filters/nr_filters" : SCHEME "/filters/nr_filters";
                const char *type = c->ops_filters ? SCHEME "/ops_filters/0/type" : SCHEME "/filters/0/type";
                const char *allow = c->ops_filters ? SCHEME "/ops_filters/0/allow" : SCHEME "/filters/0/allow";

                r = attribute_write(root, nr, "1", &APPLY_PATIENCE, reterr);
                if (r >= 0)
                        r = probe_file(root, allow, &c->filter_allow, reterr);
                if (r >= 0)
                        r = probe_keyword(root, type, "young", &c->young_filter, reterr);
                if (r >= 0)
                        r = probe_keyword(root, type, "anon", &c->anon_filter, reterr);
                if (r >= 0)
                        r = probe_keyword(root, type, "memcg", &c->memcg_filter, reterr);
                if (r >= 0)
                        r = probe_keyword(root, type, "hugepage_size", &c->hugepage_filter, reterr);
                if (r < 0)
                        return r;
        }

        /* quotas/goals/ is of 6.8, target_metric of 6.9. */
        r = probe_keyword(root, SCHEME "/quotas/goals/nr_goals", "1", &metric, reterr);
        if (r >= 0 && metric)
                r = probe_keyword(root, SCHEME "/quotas/goals/0/target_metric", "user_input", &c->user_goals, reterr);
        if (r >= 0 && metric)
                r = probe_keyword(root, SCHEME "/quotas/goals/0/target_metric", "node_mem_free_bp", &c->node_goals, reterr);
        if (r >= 0 && c->node_goals)
                r = probe_file(root, SCHEME "/quotas/goals/0/nid", &nid, reterr);
        if (r < 0)
                return r;
        c->node_goals = c->node_goals && nid;
        return 0;
}

int capability_probe(int root, struct capability *ret, struct diag *reterr) {
        char release[sizeof(ret->release)];
        struct capability c = {};
        struct diag d = {};
        int r, q;

        r = capability_read_release(root, release, sizeof(release), reterr);
        if (r < 0)
                return r;
        r = capability_set_release(&c, release, reterr);
        if (r < 0)
                return r;

        r = kdamond_is_running(root, 0, &APPLY_PATIENCE, reterr);
        if (r < 0)
                return r;
        if (r > 0)
                return diag_set(reterr, -EBUSY, "/" SLOT ": cannot probe what this kernel offers while this kdamond runs.");

        r = attribute_write(root, SLOT "/contexts/nr_contexts", "1", &APPLY_PATIENCE, reterr);
        if (r < 0)
                return r;
        c.present = true;
        r = attribute_write(root, CONTEXT "/targets/nr_targets", "1", &APPLY_PATIENCE, reterr);
        if (r >= 0)
                r = attribute_write(root, CONTEXT "/schemes/nr_schemes", "1", &APPLY_PATIENCE, reterr);
        if (r >= 0)
                r = probe_staged(root, &c, reterr);

        q = attribute_write(root, SLOT "/contexts/nr_contexts", "0", &APPLY_PATIENCE, &d);
        if (r >= 0 && q < 0)
                r = diag_set(reterr, q, "%s", d.text);
        if (r < 0)
                return r;
        c.first_window_unlimited = has_window_fault(&c);
        *ret = c;
        return 0;
}

struct plan_features capability_features(const struct capability *c) {
        return (struct plan_features){
                /* The keyword is taken also where nothing monitors physical addresses. */
                .migrate = c->migrate && c->paddr,
                .paddr = c->paddr,
                .major = c->major,
                .minor = c->minor,
                .node_goals = c->node_goals,
                .user_goals = c->user_goals,
                .intervals_goal = c->intervals_goal,
                .goal_tuner = c->goal_tuner,
                .young_filter = c->young_filter,
                .anon_filter = c->anon_filter,
                .memcg_filter = c->memcg_filter,
                .hugepage_filter = c->hugepage_filter,
        };
}

struct plan_features capability_features_all(void) {
        return (struct plan_features) {
                .paddr = true, .migrate = true, .node_goals = true, .user_goals = true, .intervals_goal = true,
                .goal_tuner = true, .young_filter = true, .anon_filter = true, .memcg_filter = true, .hugepage_filter = true,
        };
}
