/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/bus-internal.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

/*
 * Whoever watches is told of a change once, with what changed. What was told last is remembered as one digest per property: the
 * snapshot that it came from is gone by the next announcement.
 */

/* Signals wait in memory while the bus does not read; past this many, nothing is added until it does. */
#define BACKLOG_MAX 256

/* A property, and the bytes of the object that decide its value; where those only point to it, a digest of what they mean. */
struct property {
        const char *name;
        size_t offset, size;
        uint64_t (*digest)(const struct status *s, const void *object);
        bool urgent;                    /* told at once, not only once per interval */
};

#define DIGEST_START UINT64_C(0xcbf29ce484222325)

/* FNV-1a, 64 bits. Two values of one property with the same digest: once in 2^64. */
static uint64_t digest_bytes(uint64_t digest, const void *bytes, size_t n) {
        for (const unsigned char *p = bytes; n > 0; p++, n--)
                digest = (digest ^ *p) * UINT64_C(0x100000001b3);
        return digest;
}

static uint64_t digest_text(uint64_t digest, const char *text) {
        return text ? digest_bytes(digest, text, strlen(text) + 1) : digest;
}

#define UNUSED __attribute__((unused))

static uint64_t digest_release(const struct status *s, const void *object UNUSED) {
        return digest_text(DIGEST_START, s->release);
}

static uint64_t digest_config_path(const struct status *s, const void *object UNUSED) {
        return digest_text(DIGEST_START, s->config_path);
}

static uint64_t digest_notes(const struct status *s, const void *object UNUSED) {
        uint64_t digest = DIGEST_START;

        for (size_t i = 0; i < s->n_notes; i++)
                digest = digest_text(digest, s->notes[i].text);
        return digest;
}

static uint64_t digest_tiers(const struct status *s, const void *object UNUSED) {
        uint64_t digest = digest_bytes(DIGEST_START, &s->n_tiers, sizeof(s->n_tiers));

        for (size_t i = 0; i < s->n_nodes; i++) {
                digest = digest_bytes(digest, &s->nodes[i].nid, sizeof(s->nodes[i].nid));
                digest = digest_bytes(digest, &s->nodes[i].tier, sizeof(s->nodes[i].tier));
        }
        return digest;
}

static uint64_t digest_rank_source(const struct status *s, const void *object UNUSED) {
        bool ranked = s->n_tiers > 0;

        return digest_bytes(digest_bytes(DIGEST_START, &ranked, sizeof(ranked)), &s->rank_source, sizeof(s->rank_source));
}

static uint64_t digest_free(const struct status *s UNUSED, const void *object) {
        const struct status_node *n = object;
        uint64_t values[] = { n->total_bytes, n->has_free ? n->free_bytes : UINT64_MAX };

        return digest_bytes(DIGEST_START, values, sizeof(values));
}

static uint64_t digest_view(const struct status *s UNUSED, const void *object) {
        const struct status_node *n = object;

        return n->has_view ? digest_bytes(DIGEST_START, &n->view, sizeof(n->view)) : DIGEST_START;
}

/* Shown under tierd's own tuner alone. */
static uint64_t digest_reason(const struct status *s, const void *object) {
        const struct status_scheme *scheme = object;

        return tuner_kind_is_own(s->tuner) ? digest_bytes(DIGEST_START, &scheme->reason, sizeof(scheme->reason)) : DIGEST_START;
}

#define MEMBER(type, member) offsetof(type, member), sizeof(((type *) NULL)->member)
/* Two members, the second right behind the first. */
#define MEMBERS(type, first, second) \
        offsetof(type, first), offsetof(type, second) + sizeof(((type *) NULL)->second) - offsetof(type, first)

static const struct property manager_properties[] = {
        { "State",                 MEMBER(struct status, state),                 NULL, true },
        { "Paused",                MEMBER(struct status, state),                 NULL, true },
        { "Tuner",                 MEMBER(struct status, tuner),                 NULL, true },
        { "KernelRelease",         0, 0,                                         digest_release, true },
        { "RankSource",            0, 0,                                         digest_rank_source, true },
        { "Tiers",                 0, 0,                                         digest_tiers, true },
        { "ConfigurationFile",     0, 0,                                         digest_config_path, true },
        { "TelemetryIntervalUSec", MEMBER(struct status, telemetry_interval_us), NULL, true },
        { "StartedRealtimeUSec",   MEMBER(struct status, started_realtime_us),   NULL, true },
        { "TakenRealtimeUSec",     MEMBER(struct status, taken_realtime_us),     NULL, false },
        { "Turns",                 MEMBER(struct status, turns),                 NULL, false },
        { "FailedTurns",           MEMBER(struct status, failed_turns),          NULL, false },
        { "Reloads",               MEMBER(struct status, reloads),               NULL, true },
        { "Replans",               MEMBER(struct status, replans),               NULL, true },
        { "Notes",                 0, 0,                                         digest_notes, true },
};

static const struct property node_properties[] = {
        { "Tier",            MEMBER(struct status_node, tier),                     NULL, true },
        { "Kind",            MEMBER(struct status_node, kind),                     NULL, true },
        { "TotalBytes",      MEMBER(struct status_node, total_bytes),              NULL, true },
        { "FreeBytes",       0, 0,                                                 digest_free, false },
        { "FreeBasisPoints", 0, 0,                                                 digest_free, false },
        { "Upper",           MEMBER(struct status_node, upper),                    NULL, true },
        { "Lower",           MEMBER(struct status_node, lower),                    NULL, true },
        { "Managed",         MEMBER(struct status_node, has_kdamond),              NULL, true },
        { "KdamondPID",      MEMBER(struct status_node, pid),                      NULL, true },
        { "KdamondCPUUSec",  MEMBER(struct status_node, cpu_us),                   NULL, false },
        { "KdamondRestarts", MEMBER(struct status_node, restarts),                 NULL, true },
        { "SampleUSec",      MEMBER(struct status_node, sample_us),                NULL, false },
        { "AggregateUSec",   MEMBER(struct status_node, aggregate_us),             NULL, false },
        { "HotBytes",        0, 0,                                                 digest_view, false },
        { "ColdBytes",       0, 0,                                                 digest_view, false },
};

static const struct property scheme_properties[] = {
        { "GoalMetric",            MEMBER(struct status_scheme, goal_metric),                        NULL, true },
        { "GoalNode",              MEMBER(struct status_scheme, goal_nid),                           NULL, true },
        { "GoalBasisPoints",       MEMBER(struct status_scheme, goal_bp),                            NULL, true },
        { "CurrentBasisPoints",    MEMBER(struct status_scheme, current_bp),                         NULL, false },
        { "CeilingBytes",          MEMBER(struct status_scheme, ceiling_bytes),                      NULL, true },
        { "CeilingIntervalUSec",   MEMBER(struct status_scheme, ceiling_interval_us),                NULL, true },
        { "CeilingBytesPerSecond", MEMBERS(struct status_scheme, ceiling_bytes, ceiling_interval_us), NULL, true },
        { "QuotaBytes",            MEMBER(struct status_scheme, quota_bytes),                        NULL, false },
        { "QuotaIntervalUSec",     MEMBER(struct status_scheme, quota_window_us),                    NULL, false },
        { "QuotaBytesPerSecond",   MEMBERS(struct status_scheme, quota_bytes, quota_window_us),      NULL, false },
        { "Reason",                0, 0,                                                        digest_reason, false },
        { "RegionsTried",          MEMBER(struct status_scheme, total.nr_tried),                     NULL, false },
        { "RegionsApplied",        MEMBER(struct status_scheme, total.nr_applied),                   NULL, false },
        { "BytesTried",            MEMBER(struct status_scheme, total.sz_tried),                     NULL, false },
        { "BytesApplied",          MEMBER(struct status_scheme, total.sz_applied),                   NULL, false },
        { "QuotaExceeded",         MEMBER(struct status_scheme, total.qt_exceeds),                   NULL, false },
};

#define PROPERTIES_MAX 16
_Static_assert(ELEMENTSOF(manager_properties) <= PROPERTIES_MAX, "room for every digest");
_Static_assert(ELEMENTSOF(node_properties) <= PROPERTIES_MAX, "room for every digest");
_Static_assert(ELEMENTSOF(scheme_properties) <= PROPERTIES_MAX, "room for every digest");

struct object_class {
        const char *interface;
        const struct property *properties;
        size_t n_properties;
};

static const struct object_class manager_class = { BUS_MANAGER, manager_properties, ELEMENTSOF(manager_properties) };
static const struct object_class node_class = { BUS_NODE, node_properties, ELEMENTSOF(node_properties) };
static const struct object_class scheme_class = { BUS_SCHEME, scheme_properties, ELEMENTSOF(scheme_properties) };

/* An object as it was told last. */
struct announced_object {
        char path[OBJECT_PATH_MAX];
        const struct object_class *class;
        uint64_t digests[PROPERTIES_MAX];
};

struct announced {
        size_t n;
        struct announced_object objects[];
};

static uint64_t property_digest(const struct property *p, const struct status *s, const void *object) {
        return p->digest ? p->digest(s, object) : digest_bytes(DIGEST_START, (const char *) object + p->offset, p->size);
}

static void announced_add(struct announced *a, const struct status *s, const char *path, const struct object_class *class,
                          const void *object) {
        struct announced_object *o = a->objects + a->n++;

        (void) strncpy(o->path, path, sizeof(o->path) - 1);
        o->class = class;
        for (size_t i = 0; i < class->n_properties; i++)
                o->digests[i] = property_digest(class->properties + i, s, object);
}

/* What there is to be told of a snapshot. */
static int announced_make(const struct status *s, struct announced **ret) {
        struct announced *a = calloc(1, sizeof(*a) + (1 + s->n_nodes + s->n_schemes) * sizeof(*a->objects));
        char path[OBJECT_PATH_MAX];

        if (!a)
                return -ENOMEM;
        announced_add(a, s, BUS_PATH, &manager_class, s);
        for (size_t i = 0; i < s->n_nodes; i++)
                announced_add(a, s, node_path(s->nodes + i, path), &node_class, s->nodes + i);
        for (size_t i = 0; i < s->n_schemes; i++)
                announced_add(a, s, scheme_path(s->schemes + i, path), &scheme_class, s->schemes + i);
        *ret = a;
        return 0;
}

static const struct announced_object *announced_find(const struct announced *a, const char *path) {
        for (size_t i = 0; i < a->n; i++)
                if (strcmp(a->objects[i].path, path) == 0)
                        return a->objects + i;
        return NULL;
}

int bus_announce_begin(struct bus *b) {
        bus_announce_end(b);
        return announced_make(b->handlers.status(b->userdata), &b->announced);
}

void bus_announce_end(struct bus *b) {
        free(b->announced);
        b->announced = NULL;
}

/* Tells what differs; what is not told now keeps its old digest, so that it differs the next time too. */
static int announce_changes(struct bus *b, struct announced_object *o, const struct announced_object *before, bool all) {
        const char *names[PROPERTIES_MAX + 1];
        size_t n = 0;

        for (size_t i = 0; i < o->class->n_properties; i++) {
                if (o->digests[i] == before->digests[i])
                        continue;
                if (all || o->class->properties[i].urgent)
                        names[n++] = o->class->properties[i].name;
                else
                        o->digests[i] = before->digests[i];
        }
        names[n] = NULL;
        return n == 0 ? 0 : sd_bus_emit_properties_changed_strv(b->connection, o->path, o->class->interface, (char **) names);
}

static int announce_removal(struct bus *b, const struct announced_object *o) {
        /* By name, not by sd_bus_emit_object_removed(): the object is gone, and would not be found. */
        return sd_bus_emit_interfaces_removed(b->connection, o->path, "org.freedesktop.DBus.Peer",
                                              "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Properties",
                                              o->class->interface, NULL);
}

void bus_announce(struct bus *b, bool all) {
        struct announced *now = NULL;
        uint64_t backlog;
        int r, failed = 0;

        if (!b->serving || !b->announced || sd_bus_get_n_queued_write(b->connection, &backlog) < 0 || backlog > BACKLOG_MAX)
                return;
        r = announced_make(b->handlers.status(b->userdata), &now);
        if (r < 0) {
                log_write(b->log, LOG_DEBUG, "D-Bus: out of memory, signals left out");
                return;
        }
        for (size_t i = 0; i < b->announced->n; i++)
                if (!announced_find(now, b->announced->objects[i].path)) {
                        r = announce_removal(b, b->announced->objects + i);
                        failed = MIN(failed, r);
                }
        for (size_t i = 0; i < now->n; i++) {
                struct announced_object *o = now->objects + i;
                const struct announced_object *before = announced_find(b->announced, o->path);

                r = before ? announce_changes(b, o, before, all) : sd_bus_emit_object_added(b->connection, o->path);
                failed = MIN(failed, r);
        }
        if (failed < 0)
                log_write(b->log, LOG_DEBUG, "D-Bus: signals could not be sent: %s", strerror(-failed));
        free(b->announced);
        b->announced = now;
}
