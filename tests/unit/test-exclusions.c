/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damon/ops.h"
#include "policy/plan.h"
#include "topology/cgroups.h"

#include <stdio.h>
#include <string.h>

/*
 * What is excluded never moves: whole plans, as they are written for each kernel, against pages of every sort. The filters are
 * read back from the writes and tried as that kernel tries them.
 */

#define GIB (UINT64_C(1) << 30)
#define FILTERS_MAX 16

static const char *const RELEASES[] = { "6.11", "6.12.117", "6.14.2", "6.15", "6.18.44", "7.2.13" };

/* --- the machine and its plan */

static struct mem_range ranges[3] = { { 0, GIB }, { GIB, 2 * GIB }, { 2 * GIB, 3 * GIB } };

/* Node 0 above 1 above 2. */
static void make_machine(struct topology *t, struct node *nodes) {
        *t = (struct topology) { .nodes = nodes, .n_nodes = 3, .n_tiers = 3 };
        for (int i = 0; i < 3; i++) {
                nodes[i] = (struct node) {
                        .id = i, .memory_bytes = GIB, .ranges = &ranges[i], .n_ranges = 1, .kind = NODE_DRAM, .tier = i,
                };
                idset_add(&t->possible, (unsigned) i);
                if (i > 0)
                        idset_add(&nodes[i].upper, (unsigned) i - 1);
                if (i < 2)
                        idset_add(&nodes[i].lower, (unsigned) i + 1);
        }
}

static struct ops *make_ops(const char *release, const char *yaml, const struct cgroup_list *cgroups) {
        _cleanup_config_ struct config *config = NULL;
        _cleanup_plan_ struct plan *p = NULL;
        struct plan_features features;
        struct capability c;
        struct node nodes[3];
        struct topology t;
        struct slot_map slots;
        struct ops *o = NULL;
        struct diag d = {};

        make_machine(&t, nodes);
        slots.possible = t.possible;
        assert_int_equal(capability_from_release(release, &c, &d), 0);
        features = capability_features(&c);
        if (config_parse(yaml, strlen(yaml), "tierd.yaml", &config, &d) < 0 ||
            plan_make(&(struct plan_input) { .topology = &t, .config = config, .features = &features, .cgroups = cgroups }, &p,
                      &d) < 0)
                fail_msg("%s: %s", release, d.text);
        assert_int_equal(ops_make_all(&slots, p, &c, &o), 0);
        return o;
}

/* --- the kernel's side: filters as they were written, and pages that they are tried on */

struct page {
        const char *cgroup;             /* "": the root's own */
        bool anon, huge, young;
};

struct written_filter {
        char type[32], cgroup[64];
        bool matching, allow;
};

struct written_scheme {
        char action[32];
        struct written_filter filters[FILTERS_MAX];
        unsigned n_filters;
};

/* The value last written to a path of the scheme; "" when none was. */
static const char *written(const struct ops *o, const char *scheme, const char *name) {
        char path[256];

        (void) snprintf(path, sizeof(path), "%s/%s", scheme, name);
        for (size_t i = o->n_ops; i-- > 0;)
                if (strcmp(o->ops[i].path, path) == 0)
                        return o->ops[i].value;
        return "";
}

static bool read_scheme(const struct ops *o, int slot, int index, struct written_scheme *ret) {
        char scheme[128], name[64];
        const char *dir;

        *ret = (struct written_scheme) {};
        (void) snprintf(scheme, sizeof(scheme), DAMON_ADMIN "/%d/contexts/0/schemes/%d", slot, index);
        (void) snprintf(ret->action, sizeof(ret->action), "%s", written(o, scheme, "action"));
        if (ret->action[0] == '\0')
                return false;
        dir = written(o, scheme, "ops_filters/nr_filters")[0] != '\0' ? "ops_filters" : "filters";
        (void) snprintf(name, sizeof(name), "%s/nr_filters", dir);
        ret->n_filters = (unsigned) strtoul(written(o, scheme, name), NULL, 10);
        assert_true(ret->n_filters <= FILTERS_MAX);
        for (unsigned i = 0; i < ret->n_filters; i++) {
                struct written_filter *f = &ret->filters[i];

                (void) snprintf(name, sizeof(name), "%s/%u/type", dir, i);
                (void) snprintf(f->type, sizeof(f->type), "%s", written(o, scheme, name));
                (void) snprintf(name, sizeof(name), "%s/%u/matching", dir, i);
                f->matching = strcmp(written(o, scheme, name), "Y") == 0;
                (void) snprintf(name, sizeof(name), "%s/%u/allow", dir, i);
                f->allow = strcmp(written(o, scheme, name), "Y") == 0;
                (void) snprintf(name, sizeof(name), "%s/%u/memcg_path", dir, i);
                (void) snprintf(f->cgroup, sizeof(f->cgroup), "%s", written(o, scheme, name));
        }
        return true;
}

static bool is_of_type(const struct written_filter *f, const struct page *p) {
        if (strcmp(f->type, "anon") == 0)
                return p->anon;
        if (strcmp(f->type, "memcg") == 0)
                return strcmp(f->cgroup, p->cgroup) == 0;
        if (strcmp(f->type, "hugepage_size") == 0)
                return p->huge;
        assert_string_equal(f->type, "young");
        return p->young;
}

/*
 * Whether the page passes; *ret_looked: whether its accessed bit was looked at, and cleared. The first filter that a page is of
 * decides, and the opposite of the last one the rest (damos_pa_filter_out(), damos_filters_default_reject()); where `allow`
 * is unknown it reads as false, which makes of this what 6.12 does.
 */
static bool passes(const struct written_scheme *s, const struct page *p, bool *ret_looked) {
        *ret_looked = false;
        for (unsigned i = 0; i < s->n_filters; i++) {
                const struct written_filter *f = &s->filters[i];

                *ret_looked = *ret_looked || strcmp(f->type, "young") == 0;
                if (is_of_type(f, p) == f->matching)
                        return f->allow;
        }
        return s->n_filters == 0 || !s->filters[s->n_filters - 1].allow;
}

/* Every sort of page, by number. */
#define N_PAGES 40
static struct page page_of(unsigned i) {
        static const char *const cgroups[] = { "/", "/db.slice", "/db.slice/a", "/db.slice2", "/other" };

        return (struct page) {
                .cgroup = cgroups[i / 8], .anon = (i & 1) != 0, .huge = (i & 2) != 0, .young = (i & 4) != 0,
        };
}

/* --- the claims */

/* What moves, or nothing does: schemes that only look, and count what they looked at, are not asked. */
static bool may_move(const struct written_scheme *s) {
        return strncmp(s->action, "stat", 4) != 0;
}

static void assert_excluded(const char *release, const char *yaml, const struct cgroup_list *cgroups,
                            bool (*is_excluded)(const struct page *)) {
        struct ops *o = make_ops(release, yaml, cgroups);
        struct written_scheme s;
        unsigned moving = 0, moved = 0;

        for (int slot = 0; slot < 3; slot++)
                for (int i = 0; read_scheme(o, slot, i, &s); i++) {
                        moving += may_move(&s);
                        for (unsigned k = 0; k < N_PAGES; k++) {
                                const struct page p = page_of(k);
                                bool looked, passed = passes(&s, &p, &looked);

                                moved += may_move(&s) && passed;
                                if (!is_excluded(&p))
                                        continue;
                                if (may_move(&s) && passed)
                                        fail_msg("%s, \"%s\": scheme %d of slot %d (%s) moves page %u of %s", release, yaml, i,
                                                 slot, s.action, k, p.cgroup);
                                if (looked)
                                        fail_msg("%s, \"%s\": scheme %d of slot %d (%s) clears the accessed bit of page %u of "
                                                 "%s", release, yaml, i, slot, s.action, k, p.cgroup);
                        }
                }
        /* Two demote, two promote; before `stat` looks at pages, aging is a migration as well. The rest still moves. */
        assert_true(moving == 4 || moving == 6);
        assert_true(moved > 0);
        ops_free(o);
}

static bool is_of_db(const struct page *p) {
        return strcmp(p->cgroup, "/db.slice") == 0 || strcmp(p->cgroup, "/db.slice/a") == 0;
}

static bool is_anon(const struct page *p) {
        return p->anon;
}

static bool is_file(const struct page *p) {
        return !p->anon;
}

static bool is_huge(const struct page *p) {
        return p->huge;
}

static bool is_any_of(const struct page *p) {
        return is_of_db(p) || p->huge || !p->anon;
}

static bool is_any_old(const struct page *p) {
        return is_of_db(p) || !p->anon;
}

static const struct cgroup_list db = { .paths = (char *[]) { (char *) "/db.slice", (char *) "/db.slice/a" }, .n_paths = 2 };

static void test_every_kernel(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(RELEASES); i++) {
                bool sizes = strcmp(RELEASES[i], "6.15") >= 0;

                assert_excluded(RELEASES[i], "exclude: [{cgroup: /db.slice}]", &db, is_of_db);
                assert_excluded(RELEASES[i], "exclude: [{cgroup: /db.slice}, {cgroup: /db.slice/a}]", NULL, is_of_db);
                assert_excluded(RELEASES[i], "exclude: [{type: anon}]", NULL, is_anon);
                assert_excluded(RELEASES[i], "exclude: [{type: file}]", NULL, is_file);
                assert_excluded(RELEASES[i], "exclude: [{type: hugepage}, {cgroup: /db.slice}, {type: file}]", &db,
                                sizes ? is_any_of : is_any_old);
                assert_excluded(RELEASES[i], "exclude: [{type: file}, {cgroup: /db.slice}, {type: hugepage}]", &db,
                                sizes ? is_any_of : is_any_old);
                if (sizes)
                        assert_excluded(RELEASES[i], "exclude: [{type: hugepage}]", NULL, is_huge);
        }
}

static void test_kernel_tuner(void **state) {
        (void) state;
        assert_excluded("6.18.44", "tuning: {tuner: kernel}\nexclude: [{cgroup: /db.slice}]", &db, is_of_db);
        assert_excluded("7.2.13", "tuning: {tuner: kernel}\nexclude: [{type: hugepage}]", NULL, is_huge);
}

/* The claims above can fail: of a plan without excludes, pages of every sort move, and are looked at. */
static void test_this_can_fail(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(RELEASES); i++) {
                struct ops *o = make_ops(RELEASES[i], "", NULL);
                struct written_scheme s;
                bool moves[N_PAGES] = {};
                unsigned all_looked = 0;

                for (int slot = 0; slot < 3; slot++)
                        for (int k = 0; read_scheme(o, slot, k, &s); k++)
                                for (unsigned n = 0; n < N_PAGES; n++) {
                                        const struct page p = page_of(n);
                                        bool looked, passed = passes(&s, &p, &looked);

                                        moves[n] = moves[n] || (may_move(&s) && passed);
                                        all_looked += looked;
                                }
                for (unsigned n = 0; n < N_PAGES; n++)
                        assert_true(moves[n]);
                /* Two demote, two promote, and two age. */
                assert_int_equal(all_looked, 6 * N_PAGES);
                ops_free(o);
        }
}

/* Where aging is a migration, it moves nothing at all. */
static void test_aging_moves_nothing(void **state) {
        (void) state;
        for (size_t i = 0; i < 2; i++) {
                struct ops *o = make_ops(RELEASES[i], "exclude: [{cgroup: /db.slice}]", &db);
                struct written_scheme s;

                for (int slot = 0; slot < 2; slot++) {
                        assert_true(read_scheme(o, slot, slot == 0 ? 1 : 2, &s));
                        assert_string_equal(s.action, "migrate_cold");
                        assert_int_equal(s.n_filters, 5);
                        for (unsigned n = 0; n < N_PAGES; n++) {
                                const struct page p = page_of(n);
                                bool looked;

                                assert_false(passes(&s, &p, &looked));
                                assert_int_equal(looked, !is_of_db(&p));
                        }
                }
                ops_free(o);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_kernel),
                cmocka_unit_test(test_kernel_tuner),
                cmocka_unit_test(test_this_can_fail),
                cmocka_unit_test(test_aging_moves_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
