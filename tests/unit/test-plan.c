/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/plan.h"
#include "topology/cgroups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Plans of machines made up here: plan_make() touches no file. */

#define GIB (UINT64_C(1) << 30)
#define NODES_MAX 6

struct machine {
        struct topology topology;
        struct node nodes[NODES_MAX];
        struct mem_range ranges[NODES_MAX];
};

/* The nodes of each tier, fastest first, -1 ends a tier; each node holds 1 GiB. `edges`: {source, target} of demotion. */
static void make_machine(struct machine *m, const int *tiers, size_t n, const int (*edges)[2], size_t n_edges) {
        int tier = 0, id = 0;

        *m = (struct machine) {};
        for (size_t i = 0; i < n; i++) {
                if (tiers[i] < 0) {
                        tier++;
                        continue;
                }
                assert_int_equal(tiers[i], id);
                m->ranges[id] = (struct mem_range) { (uint64_t) id * GIB, (uint64_t) (id + 1) * GIB };
                m->nodes[id] = (struct node) {
                        .id = id, .memory_bytes = GIB, .ranges = &m->ranges[id], .n_ranges = 1, .kind = NODE_DRAM, .tier = tier,
                };
                id++;
        }
        for (size_t i = 0; i < n_edges; i++) {
                idset_add(&m->nodes[edges[i][0]].lower, (unsigned) edges[i][1]);
                idset_add(&m->nodes[edges[i][1]].upper, (unsigned) edges[i][0]);
        }
        m->topology = (struct topology) { .nodes = m->nodes, .n_nodes = (size_t) id, .n_tiers = (size_t) tier + 1 };
}

static void make_one_tier(struct machine *m) {
        make_machine(m, (const int[]) { 0, 1 }, 2, NULL, 0);
}

static void make_two_tiers(struct machine *m) {
        make_machine(m, (const int[]) { 0, -1, 1 }, 3, (const int[][2]) { { 0, 1 } }, 1);
}

static void make_private(struct machine *m) {
        make_machine(m, (const int[]) { 0, 1, -1, 2, 3 }, 5, (const int[][2]) { { 0, 2 }, { 1, 3 } }, 2);
}

static void make_shared(struct machine *m) {
        make_machine(m, (const int[]) { 0, 1, -1, 2 }, 4, (const int[][2]) { { 0, 2 }, { 1, 2 } }, 2);
}

static void make_three_tiers(struct machine *m) {
        make_machine(m, (const int[]) { 0, -1, 1, -1, 2 }, 5, (const int[][2]) { { 0, 1 }, { 1, 2 } }, 2);
}

static const struct plan_features linux_6_12 = {
        .migrate = true, .user_goals = true, .young_filter = true, .anon_filter = true, .memcg_filter = true,
};
static const struct plan_features linux_6_18 = {
        .migrate = true,
        .node_goals = true,
        .user_goals = true,
        .intervals_goal = true,
        .young_filter = true,
        .anon_filter = true,
        .memcg_filter = true,
        .hugepage_filter = true,
};
static const struct plan_features linux_6_1 = { .paddr = true, .major = 6, .minor = 1 },
                                  linux_6_1_no_paddr = { .major = 6, .minor = 1 },
                                  linux_6_1_patched = { .migrate = true, .young_filter = true };

static struct config *parse(const char *yaml) {
        struct config *c = NULL;
        struct diag d = {};

        if (config_parse(yaml, strlen(yaml), "tierd.yaml", &c, &d) < 0)
                fail_msg("%s", d.text);
        return c;
}

static struct plan *make_from(const struct machine *m, const char *yaml, const struct plan_features *f,
                              const struct idset *leaving, const struct cgroup_list *cgroups) {
        _cleanup_config_ struct config *c = parse(yaml);
        const struct plan_input in = {
                .topology = &m->topology, .config = c, .features = f, .leaving = leaving, .cgroups = cgroups,
        };
        struct plan *p = NULL;
        struct diag d = {};

        if (plan_make(&in, &p, &d) < 0)
                fail_msg("%s", d.text);
        return p;
}

static struct plan *make(const struct machine *m, const char *yaml, const struct plan_features *f) {
        return make_from(m, yaml, f, NULL, NULL);
}

static void assert_refused(const struct machine *m, const char *yaml, const struct plan_features *f, int error,
                           const char *what) {
        _cleanup_config_ struct config *c = parse(yaml);
        struct plan *p = NULL;
        struct diag d = {};

        assert_int_equal(plan_make(&(struct plan_input) { .topology = &m->topology, .config = c, .features = f }, &p, &d),
                         error);
        assert_null(p);
        assert_int_equal(d.error, error);
        if (!strstr(d.text, what))
                fail_msg("expected \"%s\" in: %s", what, d.text);
        /* The diagnosis is optional. */
        assert_int_equal(plan_make(&(struct plan_input) { .topology = &m->topology, .config = c, .features = f }, &p, NULL),
                         error);
}

/* The moving schemes in short: "0:d1 1:u0" is node 0 demoting to 1, node 1 promoting (up) to 0. */
static void assert_schemes(const struct plan *p, const char *expected) {
        char text[256] = "";
        size_t n = 0;
        int last = -1;

        for (size_t i = 0; i < p->n_kdamonds; i++) {
                const struct kdamond_plan *k = &p->kdamonds[i];

                assert_true(k->nid > last);
                last = k->nid;
                assert_true(k->n_schemes > 0);
                assert_ptr_equal(plan_kdamond(p, k->nid), k);
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%d:", i > 0 ? " " : "", k->nid);
                for (size_t j = 0; j < k->n_schemes; j++) {
                        const struct scheme *s = &k->schemes[j];

                        assert_int_equal(s->source_nid, k->nid);
                        if (s->direction == AGE)
                                continue;
                        n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%s%d", j > 0 ? "," : "",
                                               s->direction == DEMOTE ? "d" : "u", s->target_nid);
                        assert_int_equal(s->goal_metric,
                                         s->direction == DEMOTE ? GOAL_NODE_MEM_FREE_BP : GOAL_NODE_MEM_USED_BP);
                        assert_int_equal(s->goal_nid, s->direction == DEMOTE ? k->nid : s->target_nid);
                }
        }
        assert_string_equal(text, expected);
}

static bool has_note(const struct plan *p, const char *what) {
        for (size_t i = 0; i < p->n_notes; i++)
                if (strstr(p->notes[i].text, what))
                        return true;
        return false;
}

static void test_roles(void **state) {
        static const struct {
                void (*make)(struct machine *);
                const char *yaml, *schemes;
                size_t n_notes;
        } cases[] = {
                { make_one_tier,    "",                                                     "",                           1 },
                { make_two_tiers,   "",                                                     "0:d1 1:u0",                  0 },
                { make_private,     "",                                                     "0:d2 1:d3 2:u0 3:u1",        0 },
                { make_shared,      "",                                                     "0:d2 1:d2 2:u0,u1",          0 },
                { make_three_tiers, "",                                                     "0:d1 1:d2,u0 2:u1",          0 },
                { make_two_tiers,   "demote: {enabled: false}",                             "1:u0",                       0 },
                { make_two_tiers,   "promote: {enabled: false}",                            "0:d1",                       0 },
                { make_two_tiers,   "demote: {enabled: false}\npromote: {enabled: false}",  "",                           1 },
                { make_three_tiers, "nodes: {1: {promote: {enabled: false}}}",              "0:d1 1:d2 2:u1",             0 },
                { make_three_tiers, "demote: {enabled: false}\nnodes: {1: {demote: {enabled: true}}}", "1:d2,u0 2:u1",    0 },
                { make_three_tiers, "nodes: {1: {managed: false}}",                         "",                           2 },
                { make_three_tiers, "nodes: {2: {managed: false}}",                         "0:d1 1:u0",                  1 },
                { make_shared,      "nodes: {1: {managed: false}}",                         "0:d2 2:u0",                  1 },
                { make_shared,      "nodes: {2: {managed: false}}",                         "",                           2 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_plan_ struct plan *p = NULL;
                struct machine m;

                cases[i].make(&m);
                p = make(&m, cases[i].yaml, &linux_6_18);
                assert_schemes(p, cases[i].schemes);
                assert_int_equal(p->n_notes, cases[i].n_notes);
        }
}

static void test_notes(void **state) {
        _cleanup_plan_ struct plan *one = NULL, *disabled = NULL, *unmanaged = NULL, *odd = NULL, *named = NULL, *old = NULL,
                                   *slow = NULL, *hidden = NULL;
        struct plan_features bare = { .migrate = true };
        struct machine m;

        (void) state;
        make_one_tier(&m);
        one = make(&m, "", &linux_6_1);
        assert_string_equal(one->notes[0].text, "one tier: nothing to manage");
        assert_int_equal(one->n_kdamonds, 0);
        assert_null(plan_kdamond(one, 0));

        make_two_tiers(&m);
        disabled = make(&m, "demote: {enabled: false}\npromote: {enabled: false}", &linux_6_1);
        assert_string_equal(disabled->notes[0].text, "no direction is enabled between managed nodes: nothing to manage");

        make_three_tiers(&m);
        unmanaged = make(&m, "nodes: {2: {managed: false}}", &linux_6_18);
        assert_string_equal(unmanaged->notes[0].text, "node 2: managed: false, left out");

        make_private(&m);
        m.nodes[1].memory_bytes = 0;
        m.nodes[1].tier = -1;
        m.nodes[3].tier = -1;
        m.nodes[3].kind = NODE_GPU;
        odd = make(&m, "", &linux_6_18);
        assert_schemes(odd, "0:d2 2:u0");
        assert_string_equal(odd->notes[0].text, "node 1: no memory, left out");
        assert_string_equal(odd->notes[1].text, "node 3: gpu memory, left alone; name it in tiers to have it managed");
        m.nodes[3].kind = NODE_CXL;
        hidden = make(&m, "", &linux_6_18);
        assert_string_equal(hidden->notes[1].text,
                            "node 3: the kernel does not list it among the nodes that have memory, left out");
        named = make(&m, "tiers: [[0], [2]]", &linux_6_18);
        assert_string_equal(named->notes[1].text, "node 3: not named in tiers, left out");

        make_two_tiers(&m);
        old = make(&m, "exclude: [{type: hugepage}]\nmonitoring: {auto: {}}", &bare);
        assert_true(has_note(old, "monitoring.auto: this kernel cannot"));
        assert_true(has_note(old, "no filter for young pages (Linux 6.10"));
        assert_true(has_note(old, "exclude: this kernel cannot tell huge pages apart"));
        assert_int_equal(old->n_notes, 3);
        assert_int_equal(old->kdamonds[0].schemes[0].n_filters, 0);
        for (size_t i = 0; i < old->n_notes; i++)
                assert_int_equal(old->notes[i].kind, NOTE_KERNEL);

        /* Set, and looked at by no kernel. */
        slow = make(&m, "monitoring: {update: 30s}", &linux_6_18);
        assert_true(has_note(slow, "monitoring.update: "));
        assert_int_equal(slow->n_notes, 1);
        assert_int_equal(slow->monitoring.update_us, 30000000);
}

/* Nodes that come and go. */
static void test_absent_nodes(void **state) {
        _cleanup_plan_ struct plan *leaving = NULL, *all = NULL, *alone = NULL, *coming = NULL;
        struct idset gone = {};
        struct machine m;

        (void) state;
        make_three_tiers(&m);
        idset_add(&gone, 1);
        leaving = make_from(&m, "", &linux_6_18, &gone, NULL);
        assert_schemes(leaving, "");
        assert_string_equal(leaving->notes[0].text, "node 1: its memory is being taken away, left out");
        assert_int_equal(leaving->notes[0].kind, NOTE_LEFT_OUT);

        make_shared(&m);
        all = make_from(&m, "", &linux_6_18, &gone, NULL);
        assert_schemes(all, "0:d2 2:u0");
        assert_int_equal(all->n_notes, 1);
        /* What is left alone anyway may leave. */
        alone = make_from(&m, "nodes: {1: {managed: false}}", &linux_6_18, &gone, NULL);
        assert_schemes(alone, "0:d2 2:u0");
        assert_int_equal(alone->n_notes, 1);
        assert_string_equal(alone->notes[0].text, "node 1: managed: false, left out");

        /* Named, and not there: it may come, or never will. */
        make_two_tiers(&m);
        idset_add(&m.topology.possible, 2);
        idset_add(&m.topology.possible, 3);
        coming = make(&m, "nodes: {3: {managed: false}}\ntiers: [[0], [1], [2, 3]]", &linux_6_18);
        assert_schemes(coming, "0:d1 1:u0");
        assert_int_equal(coming->n_notes, 2);
        assert_string_equal(coming->notes[0].text,
                            "node 2: named in the configuration, and not online; left out until it comes");
        assert_int_equal(coming->notes[0].kind, NOTE_LEFT_OUT);
        assert_true(has_note(coming, "node 3: named in"));
        assert_refused(&m, "nodes: {4: {managed: false}}", &linux_6_18, -EINVAL, "never will");
}

/* A list as cgroups_expand() makes it. */
#define GROUPS(...) \
        (struct cgroup_list) { .paths = (char *[]) { __VA_ARGS__ }, .n_paths = ELEMENTSOF(((char *[]) { __VA_ARGS__ })) }
#define P(text) ((char *) (text))

static void test_cgroups(void **state) {
        static const char yaml[] = "exclude: [{type: file}, {cgroup: /db.slice}, {cgroup: /late}, {type: anon}]";
        const struct cgroup_list groups = GROUPS(P("/db.slice"), P("/db.slice/a")), none = {},
                                 above = GROUPS(P("/"), P("/user"), P("/user/a"));
        _cleanup_plan_ struct plan *literal = NULL, *p = NULL, *gone = NULL, *stand_in = NULL, *nested = NULL;
        struct machine m;

        (void) state;
        make_two_tiers(&m);
        /* Not known: they stand for themselves. */
        literal = make(&m, yaml, &linux_6_18);
        assert_int_equal(literal->n_notes, 0);
        assert_int_equal(literal->kdamonds[0].schemes[0].n_filters, 5);
        assert_string_equal(literal->kdamonds[0].schemes[0].filters[2].memcg_path, "/late");

        p = make_from(&m, yaml, &linux_6_18, NULL, &groups);
        for (size_t i = 0; i < 2; i++)
                for (size_t k = 0; k < p->kdamonds[i].n_schemes; k++) {
                        const struct scheme *s = &p->kdamonds[i].schemes[k];

                        assert_int_equal(s->n_filters, 5);
                        assert_string_equal(s->filters[1].memcg_path, "/db.slice");
                        assert_string_equal(s->filters[2].memcg_path, "/db.slice/a");
                        assert_int_equal(s->filters[3].type, FILTER_ANON);
                        assert_int_equal(s->filters[4].type, FILTER_YOUNG);
                }
        assert_int_equal(p->n_notes, 1);
        assert_string_equal(p->notes[0].text, "cgroup /late is not there now; it is excluded from when it comes");
        assert_int_equal(p->notes[0].kind, NOTE_ADVICE);

        gone = make_from(&m, yaml, &linux_6_18, NULL, &none);
        assert_int_equal(gone->n_notes, 2);
        assert_int_equal(gone->kdamonds[0].schemes[0].n_filters, 3);

        /* /x is there without a controller of its own; /users begins as /user does and is not below it. */
        stand_in = make_from(&m, "exclude: [{cgroup: /user}, {cgroup: /x}, {cgroup: /user/b}, {cgroup: /users}]", &linux_6_18,
                             NULL, &above);
        assert_int_equal(stand_in->n_notes, 2);
        assert_true(has_note(stand_in, "cgroup /x has no memory controller of its own, so its memory counts as that of /:"));
        assert_true(has_note(stand_in, "cgroup /users has no memory controller"));
        /* What lies below a named one needs no word of its own. */
        nested = make_from(&m, "exclude: [{cgroup: /db.slice}, {cgroup: /db.slice/b}]", &linux_6_18, NULL, &groups);
        assert_int_equal(nested->n_notes, 0);
}

static void test_values(void **state) {
        static const char yaml[] = "demote: {goal: {free: 7%}, quota: {bytes: 4MiB, interval: 500ms}, min_age: 2s, weights: "
                                   "{frequency: 1, age: 2}}\n"
                                   "promote: {goal: {used: 94%}, quota: {bytes: 8MiB, interval: 2s}, min_access: 11%, weights: "
                                   "{frequency: 3, age: 4}}\n"
                                   "nodes: {0: {demote: {goal: {free: 9.5%}}}, 1: {promote: {quota: {bytes: 1GiB}}}}\n";
        _cleanup_plan_ struct plan *p = NULL;
        const struct scheme *d, *u;
        struct machine m;

        (void) state;
        make_two_tiers(&m);
        p = make(&m, yaml, &linux_6_18);
        assert_int_equal(p->tuner, TUNER_DIRECT);
        assert_int_equal(p->kdamonds[1].n_ranges, 1);
        assert_int_equal(p->kdamonds[1].ranges[0].start, GIB);
        assert_int_equal(p->kdamonds[1].ranges[0].end, 2 * GIB);

        d = &p->kdamonds[0].schemes[0];
        assert_int_equal(d->goal_bp, 950);
        assert_int_equal(d->quota_bytes, 4 << 20);
        assert_int_equal(d->quota_interval_us, 500000);
        assert_int_equal(d->weight_frequency, 1);
        assert_int_equal(d->weight_age, 2);
        assert_int_equal(d->access.min_per_aggregation, 0);
        assert_int_equal(d->access.max_per_aggregation, 0);
        assert_int_equal(d->access.min_age_us, 2000000);
        assert_true(d->access.max_age_us == UINT64_MAX);

        u = &p->kdamonds[1].schemes[0];
        assert_int_equal(u->goal_bp, 9400);
        assert_int_equal(u->quota_bytes, GIB);
        assert_int_equal(u->quota_interval_us, 2000000);
        assert_int_equal(u->weight_frequency, 3);
        assert_int_equal(u->weight_age, 4);
        assert_int_equal(u->access.min_per_aggregation, 3); /* 11 % of 20 samples are 2.2 */
        assert_true(u->access.max_per_aggregation == UINT32_MAX);
        assert_int_equal(u->access.min_age_us, 0);
        assert_true(u->access.max_age_us == UINT64_MAX);
}

static void test_min_access_rounds_up(void **state) {
        static const struct {
                const char *yaml;
                uint32_t expected;
        } cases[] = {
                { "promote: {min_access: 5%}", 1 },
                { "promote: {min_access: 0.01%}", 1 },
                { "promote: {min_access: 5.01%}", 2 },
                { "promote: {min_access: 50%}", 10 },
                { "promote: {min_access: 99.99%}", 20 },
                { "promote: {min_access: 5%}\nmonitoring: {sample: 100ms}", 1 },
                { "promote: {min_access: 99.99%}\nmonitoring: {sample: 30ms}", 3 },
                { "promote: {min_access: 50%}\nmonitoring: {sample: 1us, aggregate: 10m}", 300000000 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_plan_ struct plan *p = NULL;
                struct machine m;

                make_two_tiers(&m);
                p = make(&m, cases[i].yaml, &linux_6_18);
                assert_int_equal(p->kdamonds[1].schemes[0].access.min_per_aggregation, cases[i].expected);
        }
}

static void assert_filter(const struct filter *f, enum filter_type type, bool matching) {
        assert_int_equal(f->type, type);
        assert_int_equal(f->matching, matching);
        assert_false(f->allow);
}

static void test_filters(void **state) {
        static const char yaml[] = "exclude: [{type: hugepage}, {cgroup: /a}, {type: file}, {type: anon}]";
        _cleanup_plan_ struct plan *none = NULL, *all = NULL, *old = NULL;
        struct machine m;

        (void) state;
        make_two_tiers(&m);
        none = make(&m, "", &linux_6_12);
        assert_int_equal(none->kdamonds[0].schemes[0].n_filters, 1);
        assert_filter(&none->kdamonds[0].schemes[0].filters[0], FILTER_YOUNG, true);
        assert_filter(&none->kdamonds[1].schemes[0].filters[0], FILTER_YOUNG, false);

        all = make(&m, yaml, &linux_6_18);
        for (size_t i = 0; i < 2; i++) {
                const struct scheme *s = &all->kdamonds[i].schemes[0];

                assert_int_equal(s->n_filters, 5);
                assert_filter(&s->filters[0], FILTER_HUGEPAGE_SIZE, true);
                assert_filter(&s->filters[1], FILTER_MEMCG, true);
                assert_string_equal(s->filters[1].memcg_path, "/a");
                assert_filter(&s->filters[2], FILTER_ANON, false);
                assert_filter(&s->filters[3], FILTER_ANON, true);
                assert_filter(&s->filters[4], FILTER_YOUNG, i == 0);
        }

        old = make(&m, yaml, &linux_6_12);
        assert_int_equal(old->kdamonds[0].schemes[0].n_filters, 4);
        assert_filter(&old->kdamonds[0].schemes[0].filters[0], FILTER_MEMCG, true);
}

/* What must not move, and cannot be told apart, is no note: huge pages alone are left to move, as ever. */
static void test_excludes_without_filters(void **state) {
        _cleanup_plan_ struct plan *p = NULL, *one = NULL;
        struct machine m;

        (void) state;
        make_two_tiers(&m);
        assert_refused(&m, "exclude: [{type: anon}]", &linux_6_1_patched, -EOPNOTSUPP, "anonymous pages and pages of files");
        assert_refused(&m, "exclude: [{type: file}]", &linux_6_1_patched, -EOPNOTSUPP, "would move");
        assert_refused(&m, "exclude: [{type: hugepage}, {cgroup: /a}]", &linux_6_1_patched, -EOPNOTSUPP, "\"memcg\"");
        p = make(&m, "exclude: [{type: hugepage}]", &linux_6_1_patched);
        assert_int_equal(p->n_notes, 1);
        assert_int_equal(p->tuner, TUNER_DIRECT);
        assert_int_equal(p->kdamonds[0].schemes[1].direction, AGE);
        make_one_tier(&m);
        one = make(&m, "exclude: [{type: anon}]", &linux_6_1_patched);
        assert_int_equal(one->n_kdamonds, 0);
}

/* Aging stands behind the moving schemes, beside a demote scheme, under direct, where there is a young filter. */
static void test_aging(void **state) {
        _cleanup_plan_ struct plan *p = NULL, *kernel = NULL, *bare = NULL;
        const struct kdamond_plan *k;
        struct plan_features no_young = linux_6_12;
        struct machine m;

        (void) state;
        make_three_tiers(&m);
        p = make(&m, "demote: {min_age: 2s, quota: {bytes: 7MiB}}\nexclude: [{type: anon}]", &linux_6_12);
        k = plan_kdamond(p, 1);
        assert_int_equal(k->n_schemes, 3);
        assert_int_equal(k->schemes[2].direction, AGE);
        assert_int_equal(k->schemes[2].target_nid, 2);
        assert_int_equal(k->schemes[2].access.max_per_aggregation, 0);
        assert_int_equal(k->schemes[2].access.min_age_us, 2000000);
        assert_true(k->schemes[2].quota_bytes == UINT64_C(7) << 20);
        /* It looks at no page that demotion may not take. */
        assert_int_equal(k->schemes[2].n_filters, 2);
        assert_filter(&k->schemes[2].filters[0], FILTER_ANON, true);
        assert_filter(&k->schemes[2].filters[1], FILTER_YOUNG, true);
        assert_int_equal(plan_kdamond(p, 2)->n_schemes, 1);

        kernel = make(&m, "tuning: {tuner: kernel}", &linux_6_18);
        assert_int_equal(plan_kdamond(kernel, 0)->n_schemes, 1);
        no_young.young_filter = false;
        bare = make(&m, "", &no_young);
        assert_int_equal(plan_kdamond(bare, 0)->n_schemes, 1);
}

static void test_probes(void **state) {
        _cleanup_plan_ struct plan *p = NULL, *aged = NULL, *kernel = NULL;
        const struct kdamond_plan *k;
        struct machine m;

        (void) state;
        make_three_tiers(&m);
        p = make(&m, "promote: {min_access: 20%}", &linux_6_12);

        k = plan_kdamond(p, 0);
        assert_int_equal(k->n_probes, 2);
        assert_int_equal(k->probes[0].kind, PROBE_ALL);
        assert_int_equal(k->probes[0].access.min_per_aggregation, 0);
        assert_true(k->probes[0].access.max_per_aggregation == UINT32_MAX);
        assert_int_equal(k->probes[0].access.min_age_us, 0);
        assert_true(k->probes[0].access.max_age_us == UINT64_MAX);
        assert_int_equal(k->probes[1].kind, PROBE_COLD);
        assert_int_equal(k->probes[1].access.max_per_aggregation, 0);
        assert_int_equal(k->probes[1].access.min_age_us, 500000);

        k = plan_kdamond(p, 1);
        assert_int_equal(k->n_probes, 3);
        assert_int_equal(k->probes[0].kind, PROBE_ALL);
        assert_int_equal(k->probes[1].kind, PROBE_HOT);
        assert_int_equal(k->probes[1].access.min_per_aggregation, 4);
        assert_int_equal(k->probes[2].kind, PROBE_COLD);
        assert_int_equal(plan_kdamond(p, 2)->n_probes, 2);

        aged = make(&m, "demote: {min_age: 30s}", &linux_6_12);
        assert_int_equal(plan_kdamond(aged, 0)->probes[1].access.min_age_us, 30000000);

        kernel = make(&m, "tuning: {tuner: kernel}", &linux_6_18);
        assert_int_equal(plan_kdamond(kernel, 1)->n_probes, 0);
}

static void test_tuners(void **state) {
        _cleanup_plan_ struct plan *automatic = NULL, *kernel = NULL, *feedback = NULL, *nothing = NULL,
                                   *temporal = NULL, *old = NULL, *fed = NULL;
        struct plan_features linux_7_2 = linux_6_18;
        struct machine m;

        (void) state;
        linux_7_2.goal_tuner = true;
        make_two_tiers(&m);
        automatic = make(&m, "", &linux_6_12);
        assert_int_equal(automatic->tuner, TUNER_DIRECT);
        kernel = make(&m, "tuning: {tuner: kernel}", &linux_6_18);
        assert_int_equal(kernel->tuner, TUNER_KERNEL);
        assert_refused(&m, "tuning: {tuner: kernel}", &linux_6_12, -EINVAL, "node_mem_used_bp");
        assert_refused(&m, "tuning: {tuner: kernel}", &linux_6_12, -EINVAL, "write tuner: direct");
        feedback = make(&m, "tuning: {tuner: feedback}\nmonitoring: {auto: {}}", &linux_6_18);
        assert_int_equal(feedback->tuner, TUNER_FEEDBACK);
        assert_int_equal(plan_kdamond(feedback, 0)->n_schemes, 2);
        assert_int_equal(plan_kdamond(feedback, 0)->n_probes, 2);
        assert_false(feedback->monitoring.auto_intervals);
        assert_true(has_note(feedback, "monitoring.auto: tuner feedback sets quotas all the time"));
        assert_refused(&m, "tuning: {tuner: feedback}", &linux_6_1_patched, -EINVAL,
                       "no user_input goals (6.9): the direct tuner");
        assert_refused(&m, "", &linux_6_1, -EOPNOTSUPP, "no migrate actions (6.11): kernel-patches/6.1 supplies");
        /* Who builds it in needs the patches as well. */
        assert_refused(&m, "", &linux_6_1_no_paddr, -EOPNOTSUPP, "CONFIG_DAMON_PADDR is off");
        assert_refused(&m, "", &linux_6_1_no_paddr, -EOPNOTSUPP, "; and no migrate actions (6.11): kernel-patches/6.1");

        temporal = make(&m, "tuning: {tuner: kernel, goal_tuner: temporal}", &linux_7_2);
        assert_int_equal(temporal->goal_tuner, GOAL_TUNER_TEMPORAL);
        assert_int_equal(temporal->n_notes, 0);
        old = make(&m, "tuning: {tuner: kernel, goal_tuner: temporal}", &linux_6_18);
        assert_int_equal(old->goal_tuner, GOAL_TUNER_CONSIST);
        assert_true(has_note(old, "tuning.goal_tuner: this kernel has one way only"));
        /* Under tierd's own tuner it means nothing, and consist is what feedback needs. */
        fed = make(&m, "tuning: {tuner: feedback, goal_tuner: temporal}", &linux_7_2);
        assert_int_equal(fed->goal_tuner, GOAL_TUNER_CONSIST);

        /* No tuner would help. */
        assert_refused(&m, "tuning: {tuner: kernel}", &linux_6_1, -EOPNOTSUPP, "cannot migrate between nodes");

        make_one_tier(&m);
        nothing = make(&m, "tuning: {tuner: kernel}", &linux_6_1);
        assert_int_equal(nothing->tuner, TUNER_KERNEL);
}

static void test_intervals(void **state) {
        static const char with_kernel[] = "monitoring: {auto: {}}\ntuning: {tuner: kernel}";
        struct plan_features no_tuning = linux_6_18;
        _cleanup_plan_ struct plan *kernel = NULL, *direct = NULL, *old = NULL;
        struct machine m;

        (void) state;
        make_two_tiers(&m);
        kernel = make(&m, with_kernel, &linux_6_18);
        assert_true(kernel->monitoring.auto_intervals);
        assert_int_equal(kernel->n_notes, 0);

        direct = make(&m, "monitoring: {auto: {}}", &linux_6_18);
        assert_false(direct->monitoring.auto_intervals);
        assert_true(has_note(direct, "monitoring.auto: tuner direct"));

        no_tuning.intervals_goal = false;
        old = make(&m, with_kernel, &no_tuning);
        assert_false(old->monitoring.auto_intervals);
        assert_true(has_note(old, "monitoring.auto: this kernel"));
}

static void test_refusals(void **state) {
        _cleanup_plan_ struct plan *without = NULL;
        struct machine m;

        (void) state;
        make_two_tiers(&m);
        assert_refused(&m, "nodes: {7: {managed: false}}", &linux_6_18, -EINVAL, "node 7 under \"nodes\"");
        assert_refused(&m, "nodes: {7: {managed: false}}", &linux_6_18, -EINVAL, "(online: 0-1)");
        assert_refused(&m, "tiers: [[0], [1, 9]]", &linux_6_18, -EINVAL, "node 9 under \"tiers\"");

        m.nodes[1].n_ranges = 0;
        assert_refused(&m, "", &linux_6_18, -EINVAL, "node 1: no physical address range is known");
        without = make(&m, "nodes: {1: {managed: false}}", &linux_6_18);
        assert_int_equal(without->n_kdamonds, 0);

        make_two_tiers(&m);
        m.ranges[0].end = m.ranges[0].start;
        assert_refused(&m, "", &linux_6_18, -EINVAL, "node 0: the physical address range 0x0-0x0 holds no memory");
}

static void test_words(void **state) {
        (void) state;
        assert_string_equal(direction_to_string(PROMOTE), "promote");
        assert_string_equal(goal_metric_to_string(GOAL_NODE_MEM_USED_BP), "node_mem_used_bp");
        assert_string_equal(filter_type_to_string(FILTER_HUGEPAGE_SIZE), "hugepage_size");
        assert_string_equal(filter_type_to_string(FILTER_MEMCG), "memcg");
        assert_string_equal(probe_kind_to_string(PROBE_COLD), "cold");
        assert_null(plan_free(NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_roles),   cmocka_unit_test(test_notes),     cmocka_unit_test(test_values),
                cmocka_unit_test(test_absent_nodes), cmocka_unit_test(test_cgroups),
                cmocka_unit_test(test_min_access_rounds_up),                      cmocka_unit_test(test_filters),
                cmocka_unit_test(test_probes),  cmocka_unit_test(test_aging),
                cmocka_unit_test(test_tuners),    cmocka_unit_test(test_intervals),
                cmocka_unit_test(test_refusals), cmocka_unit_test(test_words),
                cmocka_unit_test(test_excludes_without_filters),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
