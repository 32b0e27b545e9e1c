/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/keys.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static void tier_list_done(struct tier_list *l) {
        free(l->tiers);
        *l = (struct tier_list) {};
}

int read_tiers(struct reader *in, const struct entry *e, void *target) {
        _cleanup_(tier_list_done) struct tier_list list = {};
        struct tier_list *out = target, old;
        struct idset all = {};
        char quote[QUOTE_SIZE];
        int r;

        if (e->value->type == YAML_TEXT && strcmp(e->value->text, "auto") == 0) {
                tier_list_done(out);
                return 0;
        }
        if (e->value->type == YAML_TEXT && !yaml_is_null(e->value))
                return entry_error(in, e,
                                   "\"tiers\" cannot be \"%s\"; write auto, or the nodes, fastest first, such as [[0, 1], [2]]",
                                   source_quote(e->value->text, quote));
        if (e->value->type != YAML_LIST)
                return entry_expect(in, e, e->value->type == YAML_TEXT ? YAML_TEXT : YAML_LIST,
                                    "auto or a list of lists of nodes");
        if (e->value->n_items == 0)
                return entry_error(in, e,
                                   "\"tiers\" names no tier; write auto, or the nodes, fastest first, such as [[0, 1], [2]]");

        for (size_t i = 0; i < e->value->n_items; i++) {
                const struct yaml_value *tier = e->value->items[i];
                struct idset *p;

                if (tier->type == YAML_TEXT)
                        return source_error(in->source, tier->at, in->reterr, "a tier is a list of node ids; write [%s]",
                                            yaml_is_null(tier) ? "0" : source_quote(tier->text, quote));
                if (tier->type != YAML_LIST)
                        return source_error(in->source, tier->at, in->reterr,
                                            "a tier is a list of node ids, not %s; write for example [0, 1]",
                                            yaml_type_to_string(tier->type));
                if (tier->n_items == 0)
                        return source_error(in->source, tier->at, in->reterr, "an empty tier; name its nodes, or remove it");

                p = reallocarray(list.tiers, list.n_tiers + 1, sizeof(*p));
                if (!p)
                        return -ENOMEM;
                list.tiers = p;
                list.tiers[list.n_tiers++] = (struct idset) {};

                for (size_t j = 0; j < tier->n_items; j++) {
                        int id = 0;

                        r = read_node_id(in, tier->items[j], &id);
                        if (r < 0)
                                return r;
                        if (idset_has(&all, (unsigned) id))
                                return source_error(in->source, tier->items[j]->at, in->reterr,
                                                    "node %d is named already; a node stands in one tier, once", id);
                        idset_add(&all, (unsigned) id);
                        idset_add(&list.tiers[list.n_tiers - 1], (unsigned) id);
                }
        }

        old = *out;
        *out = list;
        list = old;
        return 0;
}

/* A path as cgroup_path() in the kernel prints it: the filter takes no other spelling. */
static bool cgroup_path_is_valid(const char *path) {
        if (path[0] != '/' || strlen(path) >= PATH_MAX || strpbrk(path, "\n\r"))
                return false;
        if (path[1] == '\0')
                return true;
        for (const char *p = path; *p; p += strcspn(p, "/")) {
                size_t n = strcspn(++p, "/");

                if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
                        return false;
        }
        return true;
}

/* One item of `exclude` while it is read. */
struct exclude_item {
        unsigned type;
        bool has_type;
        char *cgroup;
};

static void exclude_item_done(struct exclude_item *i) {
        free(i->cgroup);
}

static int read_exclude_type(struct reader *in, const struct entry *e, void *target) {
        struct exclude_item *i = target;

        i->has_type = true;
        return read_choice(in, e, &i->type);
}

static int read_exclude_cgroup(struct reader *in, const struct entry *e, void *target) {
        struct exclude_item *i = target;
        char quote[QUOTE_SIZE];
        int r;

        r = entry_expect(in, e, YAML_TEXT, "a path below the cgroup mount");
        if (r < 0)
                return r;
        if (!cgroup_path_is_valid(e->value->text))
                return entry_error(in, e,
                                   "\"%s\" is not the path of a cgroup; write it as /proc/PID/cgroup shows it, such as %s",
                                   source_quote(e->value->text, quote), e->key->example);
        i->cgroup = strdup(e->value->text);
        return i->cgroup ? 0 : -ENOMEM;
}

static const char *const exclude_choices[] = { "anon", "file", "hugepage", NULL };
static const struct key exclude_keys[] = {
        { "cgroup", read_exclude_cgroup, 0, .example = "/db.slice" },
        { "type",   read_exclude_type,   0, .example = "hugepage", .choices = exclude_choices },
};
static const struct section exclude_section = { .keys = exclude_keys, .n_keys = ELEMENTSOF(exclude_keys) };

/* Each is a filter of every scheme, looked at for every page that might move. */
#define EXCLUDES_MAX 256

static bool is_excluded(const struct config *c, const struct exclude *e) {
        for (size_t i = 0; i < c->n_excludes; i++)
                if (c->excludes[i].type == e->type &&
                    (!e->cgroup || (c->excludes[i].cgroup && strcmp(c->excludes[i].cgroup, e->cgroup) == 0)))
                        return true;
        return false;
}

int read_excludes(struct reader *in, const struct entry *e, void *target) {
        static const enum exclude_type types[] = { EXCLUDE_ANON, EXCLUDE_FILE, EXCLUDE_HUGEPAGE };
        struct config *c = target;
        int r;

        if (yaml_is_null(e->value))
                return 0;
        r = entry_expect(in, e, YAML_LIST, "a list");
        if (r < 0)
                return r;
        if (e->value->n_items > EXCLUDES_MAX)
                return entry_error(in, e, "more than %d items, each of them a filter of every scheme; remove some",
                                   EXCLUDES_MAX);
        if (e->value->n_items == 0)
                return 0;
        c->excludes = calloc(e->value->n_items, sizeof(*c->excludes));
        if (!c->excludes)
                return -ENOMEM;

        for (size_t i = 0; i < e->value->n_items; i++) {
                _cleanup_(exclude_item_done) struct exclude_item item = {};
                const struct yaml_value *v = e->value->items[i];
                struct exclude exclude;

                if (v->type != YAML_MAPPING)
                        return source_error(in->source, v->at, in->reterr, "%s; write {cgroup: /db.slice} or {type: anon}",
                                            v->type == YAML_LIST ? "a list inside the list" : "what is excluded needs a key");
                r = read_mapping(in, &exclude_section, e, v, &item);
                if (r < 0)
                        return r;
                if (item.has_type == (item.cgroup != NULL))
                        return source_error(in->source, v->at, in->reterr, "%s; write {cgroup: /db.slice} or {type: anon}",
                                            item.cgroup ? "one item excludes one thing: make two items of it"
                                                        : "an empty item");

                exclude = (struct exclude) {
                        .type = item.cgroup ? EXCLUDE_CGROUP : types[item.type],
                        .cgroup = item.cgroup,
                };
                if (is_excluded(c, &exclude))
                        return source_error(in->source, v->at, in->reterr, "this is excluded already; remove the item");
                item.cgroup = NULL;
                c->excludes[c->n_excludes++] = exclude;
        }
        return 0;
}

#define NODE(member) offsetof(struct node_config, member)

static const struct key node_keys[] = {
        { "managed", read_bool,    NODE(managed), .example = "false" },
        { "demote",  read_section, NODE(demote),  .example = "{goal: {free: 10%}}", .section = &demote_section },
        { "promote", read_section, NODE(promote), .example = "{enabled: false}",    .section = &promote_section },
};
static const struct section node_section = { .keys = node_keys, .n_keys = ELEMENTSOF(node_keys) };

static int compare_nodes(const void *a, const void *b) {
        const struct node_config *x = a, *y = b;

        return x->id - y->id;
}

int read_nodes(struct reader *in, const struct entry *e, void *target) {
        _cleanup_free_ struct node_config *nodes = NULL;
        struct config *c = target;
        struct idset seen = {};
        int r;

        if (!yaml_is_null(e->value)) {
                r = entry_expect(in, e, YAML_MAPPING, "nodes by their ids");
                if (r < 0)
                        return r;
                nodes = calloc(e->value->n_items + 1, sizeof(*nodes));
                if (!nodes)
                        return -ENOMEM;
        }

        for (size_t i = 0; nodes && i < e->value->n_items; i++) {
                const struct yaml_value *name = e->value->keys[i], *v = e->value->items[i];
                struct entry child = { .name = name, .value = v };

                nodes[i] = (struct node_config) { .managed = true, .demote = c->demote, .promote = c->promote };
                r = read_node_id(in, name, &nodes[i].id);
                if (r < 0)
                        return r;
                if (idset_has(&seen, (unsigned) nodes[i].id))
                        return source_error(in->source, name->at, in->reterr, "node %d is given twice; put its keys together",
                                            nodes[i].id);
                idset_add(&seen, (unsigned) nodes[i].id);

                if (yaml_is_null(v))
                        continue;
                if (v->type != YAML_MAPPING)
                        return source_error(in->source, v->at, in->reterr,
                                            "a node takes keys of its own, not %s; write for example %d: {managed: false}",
                                            yaml_type_to_string(v->type), nodes[i].id);
                r = read_mapping(in, &node_section, &child, v, &nodes[i]);
                if (r < 0)
                        return r;
        }

        free(c->nodes);
        c->n_nodes = idset_count(&seen);
        if (nodes)
                qsort(nodes, c->n_nodes, sizeof(*nodes), compare_nodes);
        c->nodes = TAKE_PTR(nodes);
        return 0;
}

/* Where demote and promote both rest: free memory above the one goal, used memory above the other. */
static int warn_gap(struct reader *in, const struct yaml_value *at, const struct direction_config *demote,
                    const struct direction_config *promote) {
        if (!at || !demote->enabled || !promote->enabled || demote->goal_bp + promote->goal_bp >= 10000)
                return 0;
        return reader_warn(in, at->at,
                           "demote.goal.free and promote.goal.used add up to less than 100%%: between them neither direction "
                           "moves anything; let them overlap, such as 5%% and 96%%");
}

static const struct yaml_value *find_free(const struct yaml_value *v) {
        return yaml_find(yaml_find(yaml_find(v, "demote"), "goal"), "free");
}

static const struct yaml_value *find_used(const struct yaml_value *v) {
        return yaml_find(yaml_find(yaml_find(v, "promote"), "goal"), "used");
}

int warn_about(struct reader *in, const struct yaml_value *document) {
        const struct yaml_value *nodes = yaml_find(document, "nodes"), *at = find_free(document);
        const struct config *c = in->config;
        bool anon = false, file = false;
        int r;

        r = warn_gap(in, at ? at : find_used(document), &c->demote, &c->promote);
        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n_nodes; i++) {
                const struct yaml_value *node;
                char id[16];

                (void) snprintf(id, sizeof(id), "%d", c->nodes[i].id);
                node = yaml_find(nodes, id);
                /* Demotion from a node meets promotion into it, which is configured where it comes from: elsewhere. */
                r = warn_gap(in, find_free(node), &c->nodes[i].demote, &c->promote);
                if (r < 0)
                        return r;
                r = warn_gap(in, find_used(node), &c->demote, &c->nodes[i].promote);
                if (r < 0)
                        return r;
        }

        at = yaml_find(yaml_find(document, "tuning"), "goal_tuner");
        if (c->goal_tuner != GOAL_TUNER_CONSIST && c->tuner != TUNER_KERNEL && at) {
                r = reader_warn(in, at->at, "goal_tuner has no effect without tuner: kernel");
                if (r < 0)
                        return r;
        }

        for (size_t i = 0; i < c->n_excludes; i++) {
                anon = anon || c->excludes[i].type == EXCLUDE_ANON;
                file = file || c->excludes[i].type == EXCLUDE_FILE;
        }
        at = yaml_find(document, "exclude");
        if (anon && file && at)
                return reader_warn(in, at->at,
                                   "anon and file together are all there is: nothing is left to move; remove one of them");
        return 0;
}
