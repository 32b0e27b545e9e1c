/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/plan-internal.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

int maker_note(struct maker *m, enum note_kind kind, const char *format, ...) {
        struct note *p;
        char *text;
        va_list ap;
        int n;

        p = reallocarray(m->plan->notes, m->plan->n_notes + 1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        m->plan->notes = p;
        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                return -ENOMEM;
        p[m->plan->n_notes++] = (struct note) { .kind = kind, .text = text };
        return 0;
}

static struct idset online_nodes(const struct maker *m) {
        struct idset online = {};

        for (size_t i = 0; i < m->topology->n_nodes; i++)
                idset_add(&online, (unsigned) m->topology->nodes[i].id);
        return online;
}

static int check_node(struct maker *m, int nid, const char *where, const struct idset *online) {
        char list[256];

        if (idset_has(online, (unsigned) nid) || idset_has(&m->topology->possible, (unsigned) nid))
                return 0;
        if (idset_format(online, list, sizeof(list)) < 0)
                (void) snprintf(list, sizeof(list), "many");
        return diag_set(m->reterr, -EINVAL,
                        "the configuration names node %d under \"%s\", and this machine has no such node and never will "
                        "(online: %s); remove it there",
                        nid, where, list);
}

int maker_check_nodes(struct maker *m) {
        const struct idset online = online_nodes(m);
        const struct config *c = m->config;
        int r = 0;

        for (size_t i = 0; i < c->n_nodes && r >= 0; i++)
                r = check_node(m, c->nodes[i].id, "nodes", &online);
        for (size_t i = 0; i < c->tiers.n_tiers && r >= 0; i++)
                IDSET_FOREACH(id, &c->tiers.tiers[i]) {
                        r = check_node(m, id, "tiers", &online);
                        if (r < 0)
                                break;
                }
        return r;
}

int maker_check_excludes(struct maker *m) {
        for (size_t i = 0; i < m->config->n_excludes; i++) {
                enum exclude_type type = m->config->excludes[i].type;

                if (type == EXCLUDE_CGROUP ? m->features->memcg_filter :
                    type == EXCLUDE_HUGEPAGE || m->features->anon_filter)
                        continue;
                return diag_set(m->reterr, -EOPNOTSUPP,
                                "exclude: this kernel's DAMON cannot tell %s apart (it lacks the filter \"%s\", which came "
                                "with Linux 6.3), so what is excluded would move; remove it from exclude, or boot such a "
                                "kernel",
                                type == EXCLUDE_CGROUP ? "the pages of a control group" : "anonymous pages and pages of files",
                                filter_type_to_string(type == EXCLUDE_CGROUP ? FILTER_MEMCG : FILTER_ANON));
        }
        return 0;
}

/* Nodes that the configuration names and that may come. */
static int note_absent(struct maker *m) {
        const struct idset online = online_nodes(m);
        const struct config *c = m->config;
        struct idset named = {};
        int r;

        for (size_t i = 0; i < c->n_nodes; i++)
                idset_add(&named, (unsigned) c->nodes[i].id);
        for (size_t i = 0; i < c->tiers.n_tiers; i++)
                IDSET_FOREACH(id, &c->tiers.tiers[i])
                        idset_add(&named, (unsigned) id);
        IDSET_FOREACH(id, &named) {
                if (idset_has(&online, (unsigned) id))
                        continue;
                r = maker_note(m, NOTE_LEFT_OUT, "node %d: named in the configuration, and not online; left out until it comes",
                               id);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int note_node(struct maker *m, const struct node *n) {
        if (n->memory_bytes == 0)
                return maker_note(m, NOTE_LEFT_OUT, "node %d: no memory, left out", n->id);
        if (n->tier < 0 && m->config->tiers.n_tiers > 0)
                return maker_note(m, NOTE_LEFT_OUT, "node %d: not named in tiers, left out", n->id);
        if (n->tier < 0 && n->kind != NODE_GPU)
                return maker_note(m, NOTE_LEFT_OUT,
                                  "node %d: the kernel does not list it among the nodes that have memory, left out", n->id);
        if (n->tier < 0)
                return maker_note(m, NOTE_LEFT_OUT, "node %d: %s memory, left alone; name it in tiers to have it managed",
                                  n->id, node_kind_to_string(n->kind));
        if (!config_for_node(m->config, n->id).managed)
                return maker_note(m, NOTE_LEFT_OUT, "node %d: managed: false, left out", n->id);
        if (!maker_manages(m, n->id))
                return maker_note(m, NOTE_LEFT_OUT, "node %d: its memory is being taken away, left out", n->id);
        return 0;
}

int maker_note_nodes(struct maker *m) {
        int r = 0;

        for (size_t i = 0; i < m->topology->n_nodes && r >= 0; i++)
                r = note_node(m, &m->topology->nodes[i]);
        return r < 0 ? r : note_absent(m);
}

/* Whether the group `inner` is the group `outer` or lies below it. */
static bool is_within(const char *inner, const char *outer) {
        size_t n = strcmp(outer, "/") == 0 ? 0 : strlen(outer);

        return strncmp(inner, outer, n) == 0 && (inner[n] == '\0' || inner[n] == '/');
}

/* Whether another excluded group than `name` itself holds `path`. */
static bool is_meant(const struct maker *m, const char *path, const char *name) {
        for (size_t i = 0; i < m->config->n_excludes; i++) {
                const struct exclude *e = &m->config->excludes[i];

                if (e->type == EXCLUDE_CGROUP && strcmp(e->cgroup, name) != 0 && is_within(path, e->cgroup))
                        return true;
        }
        return false;
}

/* An excluded group for which nothing is in the list: why. */
static int note_group(struct maker *m, const char *name) {
        const char *above = NULL;

        for (size_t i = 0; i < m->cgroups->n_paths; i++) {
                const char *path = m->cgroups->paths[i];

                if (is_within(path, name))
                        return 0;
                if (is_within(name, path) && !is_meant(m, path, name))
                        above = path;
        }
        if (is_meant(m, name, name))
                return 0;
        if (above)
                return maker_note(m, NOTE_ADVICE,
                                  "exclude: cgroup %s has no memory controller of its own, so its memory counts as that of %s: "
                                  "all of that one's own is excluded",
                                  name, above);
        return maker_note(m, NOTE_ADVICE, "cgroup %s is not there now; it is excluded from when it comes", name);
}

static int note_groups(struct maker *m) {
        int r = 0;

        for (size_t i = 0; m->cgroups && i < m->config->n_excludes && r >= 0; i++)
                if (m->config->excludes[i].type == EXCLUDE_CGROUP)
                        r = note_group(m, m->config->excludes[i].cgroup);
        return r;
}

/* No kernel does anything at this interval for physical addresses (the operations of mm/damon/paddr.c have no `update`). */
static int note_update(struct maker *m) {
        _cleanup_config_ struct config *defaults = NULL;
        int r;

        r = config_new(&defaults);
        if (r < 0 || m->config->monitoring.update_us == defaults->monitoring.update_us)
                return r;
        return maker_note(m, NOTE_KERNEL,
                          "monitoring.update: for physical memory no kernel does anything at this interval; it is set, and "
                          "has no effect");
}

int maker_note_kernel(struct maker *m) {
        bool hugepage = false;
        int r;

        if (!m->features->young_filter) {
                r = maker_note(m, NOTE_KERNEL,
                               "this kernel has no filter for young pages (Linux 6.10 has): whole regions move, with what was "
                               "just used in cold ones and what was not in hot ones");
                if (r < 0)
                        return r;
        }
        r = note_update(m);
        if (r < 0)
                return r;
        r = note_groups(m);
        if (r < 0)
                return r;
        for (size_t i = 0; i < m->config->n_excludes; i++)
                hugepage = hugepage || m->config->excludes[i].type == EXCLUDE_HUGEPAGE;
        if (hugepage && !m->features->hugepage_filter)
                return maker_note(m, NOTE_KERNEL,
                                  "exclude: this kernel cannot tell huge pages apart (Linux 6.15 can): they move like all "
                                  "others");
        return 0;
}
