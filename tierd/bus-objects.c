/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "base/parse.h"
#include "base/utf8.h"
#include "tierd/bus-internal.h"
#include "tierd/describe.h"
#include "tierd/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * The objects are the newest snapshot's: every call finds its node or scheme there. Reading is for anyone, so everything is
 * marked as unprivileged; who may change something is found out in bus-request.c. docs/dbus.md describes the interfaces.
 *
 * A getter that fails while GetManagedObjects() is answered makes sd-bus close the connection, so text is repaired before it is
 * appended.
 */

static const struct status *snapshot(const struct bus *b) {
        return b->handlers.status(b->userdata);
}

static int append_text(sd_bus_message *reply, const char *text) {
        _cleanup_free_ char *copy = strdup(text);

        return copy ? sd_bus_message_append(reply, "s", utf8_repair(copy)) : -ENOMEM;
}

static int append_ids(sd_bus_message *reply, const struct idset *ids) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "i");
        IDSET_FOREACH(id, ids) {
                if (r < 0)
                        return r;
                r = sd_bus_message_append(reply, "i", id);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_tiers(sd_bus_message *reply, const struct status *s) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "ai");
        for (size_t tier = 0; r >= 0 && tier < s->n_tiers; tier++) {
                struct idset members = {};

                for (size_t i = 0; i < s->n_nodes; i++)
                        if (s->nodes[i].tier == (int) tier)
                                idset_add(&members, (unsigned) s->nodes[i].nid);
                r = append_ids(reply, &members);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_notes(sd_bus_message *reply, const struct status *s) {
        int r;

        r = sd_bus_message_open_container(reply, 'a', "s");
        for (size_t i = 0; r >= 0 && i < s->n_notes; i++)
                r = append_text(reply, s->notes[i].text);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_name(sd_bus_message *reply, const struct status_scheme *s) {
        char name[STATUS_SCHEME_NAME_MAX];

        return append_text(reply, status_scheme_name(s, name));
}

/*
 * A property's getter as sd-bus calls it: `o` is the object in the snapshot, or the member of it whose offset stands in the
 * table of properties; the expression appends to `reply`.
 */
#define UNUSED __attribute__((unused))
#define DEFINE_GETTER(name, type, expression)                                                                            \
        static int name(sd_bus *connection UNUSED, const char *path UNUSED, const char *interface UNUSED,                \
                        const char *property UNUSED, sd_bus_message *reply, void *userdata,                              \
                        sd_bus_error *reterr UNUSED) {                                                                   \
                const type *o = userdata;                                                                                \
                                                                                                                         \
                return expression;                                                                                       \
        }

DEFINE_GETTER(get_version, char, o ? append_text(reply, TIERD_VERSION) : -EINVAL)
DEFINE_GETTER(get_state, enum status_state, append_text(reply, status_state_to_string(*o)))
DEFINE_GETTER(get_paused, enum status_state, sd_bus_message_append(reply, "b", *o == STATUS_PAUSED))
DEFINE_GETTER(get_tuner, enum tuner_kind, append_text(reply, *o == TUNER_AUTO ? "" : tuner_kind_to_string(*o)))
DEFINE_GETTER(get_rank_source, struct status, append_text(reply, o->n_tiers > 0 ? rank_source_to_string(o->rank_source) : ""))
DEFINE_GETTER(get_release, char, append_text(reply, o))
DEFINE_GETTER(get_config_path, struct status, append_text(reply, o->config_path ? o->config_path : ""))
DEFINE_GETTER(get_tiers, struct status, append_tiers(reply, o))
DEFINE_GETTER(get_notes, struct status, append_notes(reply, o))

DEFINE_GETTER(get_kind, enum node_kind, append_text(reply, node_kind_to_string(*o)))
DEFINE_GETTER(get_ids, struct idset, append_ids(reply, o))
DEFINE_GETTER(get_bool, bool, sd_bus_message_append(reply, "b", *o))
DEFINE_GETTER(get_free, struct status_node, sd_bus_message_append(reply, "t", o->has_free ? o->free_bytes : UINT64_MAX))
DEFINE_GETTER(get_free_bp, struct status_node, sd_bus_message_append(reply, "i", status_node_free_bp(o)))
DEFINE_GETTER(get_hot, struct status_node, sd_bus_message_append(reply, "t", o->has_view ? o->view.hot_bytes : UINT64_MAX))
DEFINE_GETTER(get_cold, struct status_node, sd_bus_message_append(reply, "t", o->has_view ? o->view.cold_bytes : UINT64_MAX))

DEFINE_GETTER(get_name, struct status_scheme, append_name(reply, o))
DEFINE_GETTER(get_direction, enum direction, append_text(reply, direction_to_string(*o)))
DEFINE_GETTER(get_metric, enum goal_metric, append_text(reply, goal_metric_to_string(*o)))
DEFINE_GETTER(get_rate, struct status_scheme, sd_bus_message_append(reply, "t", status_scheme_rate(o)))
DEFINE_GETTER(get_ceiling_rate, struct status_scheme, sd_bus_message_append(reply, "t", status_scheme_ceiling_rate(o)))

/* The reason stands in the scheme, whether it means something in the snapshot. */
static int get_reason(sd_bus *connection, const char *path UNUSED, const char *interface UNUSED, const char *property UNUSED,
                      sd_bus_message *reply, void *userdata, sd_bus_error *reterr UNUSED) {
        const struct bus *b = sd_bus_slot_get_userdata(sd_bus_get_current_slot(connection));
        const struct status_scheme *s = userdata;

        return append_text(reply, tuner_kind_is_own(snapshot(b)->tuner) ? tuner_reason_to_string(s->reason) : "");
}

/* -- the manager's methods -- */

/* The getters' userdata is the snapshot; a method's handler wants the service. */
static struct bus *method_bus(sd_bus_message *m) {
        return sd_bus_slot_get_userdata(sd_bus_get_current_slot(sd_bus_message_get_bus(m)));
}

static int reply_text(sd_bus_message *m, int r, char *text) {
        _cleanup_free_ char *owned = text;

        return r < 0 ? r : sd_bus_reply_method_return(m, "s", utf8_repair(owned));
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *reterr UNUSED) {
        char *text = NULL;
        int r;

        r = describe_status(userdata, &text);
        return reply_text(m, r, text);
}

static int method_metrics(sd_bus_message *m, void *userdata, sd_bus_error *reterr UNUSED) {
        char *text = NULL;
        int r;

        r = metrics_format(userdata, METRICS_OPENMETRICS, &text);
        return reply_text(m, r, text);
}

static int method_metrics_text(sd_bus_message *m, void *userdata, sd_bus_error *reterr UNUSED) {
        char *text = NULL;
        int r;

        r = metrics_format(userdata, METRICS_TEXT, &text);
        return reply_text(m, r, text);
}

static int method_reload(sd_bus_message *m, void *userdata UNUSED, sd_bus_error *reterr) {
        return request_begin(method_bus(m), m, REQUEST_RELOAD, 0, NULL, reterr);
}

static int method_pause(sd_bus_message *m, void *userdata UNUSED, sd_bus_error *reterr) {
        return request_begin(method_bus(m), m, REQUEST_PAUSE, 0, NULL, reterr);
}

static int method_resume(sd_bus_message *m, void *userdata UNUSED, sd_bus_error *reterr) {
        return request_begin(method_bus(m), m, REQUEST_RESUME, 0, NULL, reterr);
}

static int begin_drain(sd_bus_message *m, enum request_kind kind, sd_bus_error *reterr) {
        int nid, r;

        r = sd_bus_message_read(m, "i", &nid);
        return r < 0 ? r : request_begin(method_bus(m), m, kind, nid, NULL, reterr);
}

static int method_drain(sd_bus_message *m, void *userdata UNUSED, sd_bus_error *reterr) {
        return begin_drain(m, REQUEST_DRAIN, reterr);
}

static int method_undrain(sd_bus_message *m, void *userdata UNUSED, sd_bus_error *reterr) {
        return begin_drain(m, REQUEST_UNDRAIN, reterr);
}

/* -- the tables -- */

#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, CONSTANT),
        SD_BUS_PROPERTY("State", "s", get_state, offsetof(struct status, state), CHANGES),
        SD_BUS_PROPERTY("Paused", "b", get_paused, offsetof(struct status, state), CHANGES),
        SD_BUS_PROPERTY("Tuner", "s", get_tuner, offsetof(struct status, tuner), CHANGES),
        SD_BUS_PROPERTY("KernelRelease", "s", get_release, offsetof(struct status, release), CHANGES),
        SD_BUS_PROPERTY("RankSource", "s", get_rank_source, 0, CHANGES),
        SD_BUS_PROPERTY("Tiers", "aai", get_tiers, 0, CHANGES),
        SD_BUS_PROPERTY("ConfigurationFile", "s", get_config_path, 0, CHANGES),
        SD_BUS_PROPERTY("TelemetryIntervalUSec", "t", NULL, offsetof(struct status, telemetry_interval_us), CHANGES),
        SD_BUS_PROPERTY("StartedRealtimeUSec", "t", NULL, offsetof(struct status, started_realtime_us), CHANGES),
        SD_BUS_PROPERTY("TakenRealtimeUSec", "t", NULL, offsetof(struct status, taken_realtime_us), CHANGES),
        SD_BUS_PROPERTY("Turns", "t", NULL, offsetof(struct status, turns), CHANGES),
        SD_BUS_PROPERTY("FailedTurns", "t", NULL, offsetof(struct status, failed_turns), CHANGES),
        SD_BUS_PROPERTY("Reloads", "t", NULL, offsetof(struct status, reloads), CHANGES),
        SD_BUS_PROPERTY("Replans", "t", NULL, offsetof(struct status, replans), CHANGES),
        SD_BUS_PROPERTY("Notes", "as", get_notes, 0, CHANGES),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_pause, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_resume, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Drain", SD_BUS_ARGS("i", node), SD_BUS_NO_RESULT, method_drain, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Undrain", SD_BUS_ARGS("i", node), SD_BUS_NO_RESULT, method_undrain,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json), method_describe,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Metrics", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", openmetrics), method_metrics,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("MetricsText", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", text), method_metrics_text,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable node_vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Id", "i", NULL, offsetof(struct status_node, nid), CONSTANT),
        SD_BUS_PROPERTY("Tier", "i", NULL, offsetof(struct status_node, tier), CHANGES),
        SD_BUS_PROPERTY("Kind", "s", get_kind, offsetof(struct status_node, kind), CHANGES),
        SD_BUS_PROPERTY("TotalBytes", "t", NULL, offsetof(struct status_node, total_bytes), CHANGES),
        SD_BUS_PROPERTY("FreeBytes", "t", get_free, 0, CHANGES),
        SD_BUS_PROPERTY("FreeBasisPoints", "i", get_free_bp, 0, CHANGES),
        SD_BUS_PROPERTY("Upper", "ai", get_ids, offsetof(struct status_node, upper), CHANGES),
        SD_BUS_PROPERTY("Lower", "ai", get_ids, offsetof(struct status_node, lower), CHANGES),
        SD_BUS_PROPERTY("Managed", "b", get_bool, offsetof(struct status_node, has_kdamond), CHANGES),
        SD_BUS_PROPERTY("KdamondPID", "i", NULL, offsetof(struct status_node, pid), CHANGES),
        SD_BUS_PROPERTY("KdamondCPUUSec", "t", NULL, offsetof(struct status_node, cpu_us), CHANGES),
        SD_BUS_PROPERTY("KdamondRestarts", "t", NULL, offsetof(struct status_node, restarts), CHANGES),
        SD_BUS_PROPERTY("SampleUSec", "t", NULL, offsetof(struct status_node, sample_us), CHANGES),
        SD_BUS_PROPERTY("AggregateUSec", "t", NULL, offsetof(struct status_node, aggregate_us), CHANGES),
        SD_BUS_PROPERTY("HotBytes", "t", get_hot, 0, CHANGES),
        SD_BUS_PROPERTY("ColdBytes", "t", get_cold, 0, CHANGES),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable scheme_vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Name", "s", get_name, 0, CONSTANT),
        SD_BUS_PROPERTY("Direction", "s", get_direction, offsetof(struct status_scheme, direction), CONSTANT),
        SD_BUS_PROPERTY("Source", "i", NULL, offsetof(struct status_scheme, source_nid), CONSTANT),
        SD_BUS_PROPERTY("Target", "i", NULL, offsetof(struct status_scheme, target_nid), CONSTANT),
        SD_BUS_PROPERTY("GoalMetric", "s", get_metric, offsetof(struct status_scheme, goal_metric), CHANGES),
        SD_BUS_PROPERTY("GoalNode", "i", NULL, offsetof(struct status_scheme, goal_nid), CHANGES),
        SD_BUS_PROPERTY("GoalBasisPoints", "u", NULL, offsetof(struct status_scheme, goal_bp), CHANGES),
        SD_BUS_PROPERTY("CurrentBasisPoints", "i", NULL, offsetof(struct status_scheme, current_bp), CHANGES),
        SD_BUS_PROPERTY("CeilingBytes", "t", NULL, offsetof(struct status_scheme, ceiling_bytes), CHANGES),
        SD_BUS_PROPERTY("CeilingIntervalUSec", "t", NULL, offsetof(struct status_scheme, ceiling_interval_us), CHANGES),
        SD_BUS_PROPERTY("CeilingBytesPerSecond", "t", get_ceiling_rate, 0, CHANGES),
        SD_BUS_PROPERTY("QuotaBytes", "t", NULL, offsetof(struct status_scheme, quota_bytes), CHANGES),
        SD_BUS_PROPERTY("QuotaIntervalUSec", "t", NULL, offsetof(struct status_scheme, quota_window_us), CHANGES),
        SD_BUS_PROPERTY("QuotaBytesPerSecond", "t", get_rate, 0, CHANGES),
        SD_BUS_PROPERTY("Reason", "s", get_reason, 0, CHANGES),
        SD_BUS_PROPERTY("RegionsTried", "t", NULL, offsetof(struct status_scheme, total.nr_tried), CHANGES),
        SD_BUS_PROPERTY("RegionsApplied", "t", NULL, offsetof(struct status_scheme, total.nr_applied), CHANGES),
        SD_BUS_PROPERTY("BytesTried", "t", NULL, offsetof(struct status_scheme, total.sz_tried), CHANGES),
        SD_BUS_PROPERTY("BytesApplied", "t", NULL, offsetof(struct status_scheme, total.sz_applied), CHANGES),
        SD_BUS_PROPERTY("QuotaExceeded", "t", NULL, offsetof(struct status_scheme, total.qt_exceeds), CHANGES),
        SD_BUS_VTABLE_END,
};

/* -- where the objects are -- */

const char *node_path(const struct status_node *n, char buf[static OBJECT_PATH_MAX]) {
        (void) snprintf(buf, OBJECT_PATH_MAX, BUS_PATH_NODES "/%d", n->nid);
        return buf;
}

const char *scheme_path(const struct status_scheme *s, char buf[static OBJECT_PATH_MAX]) {
        char name[STATUS_SCHEME_NAME_MAX];

        (void) snprintf(buf, OBJECT_PATH_MAX, BUS_PATH_SCHEMES "/%s", status_scheme_name(s, name));
        /* The name's dashes cannot stand in a path. */
        for (char *p = buf; *p; p++)
                if (*p == '-')
                        *p = '_';
        return buf;
}

/* sd-bus gives objects as void *; the getters change nothing. */
static int found(const void *object, void **ret_found) {
        *ret_found = (void *) object;
        return object ? 1 : 0;
}

static int find_manager(sd_bus *connection UNUSED, const char *path, const char *interface UNUSED, void *userdata,
                        void **ret_found, sd_bus_error *reterr UNUSED) {
        return strcmp(path, BUS_PATH) == 0 ? found(snapshot(userdata), ret_found) : 0;
}

static int find_node(sd_bus *connection UNUSED, const char *path, const char *interface UNUSED, void *userdata,
                     void **ret_found, sd_bus_error *reterr UNUSED) {
        const struct status_node *n;
        char own[OBJECT_PATH_MAX];
        int nid;

        if (strncmp(path, BUS_PATH_NODES "/", sizeof(BUS_PATH_NODES)) != 0 ||
            parse_int(path + sizeof(BUS_PATH_NODES), 0, NODE_ID_MAX, &nid) < 0)
                return 0;
        n = status_node(snapshot(userdata), nid);
        /* One object, one path: not ".../007". */
        return n && strcmp(node_path(n, own), path) == 0 ? found(n, ret_found) : 0;
}

static int find_scheme(sd_bus *connection UNUSED, const char *path, const char *interface UNUSED, void *userdata,
                       void **ret_found, sd_bus_error *reterr UNUSED) {
        const struct status *s = snapshot(userdata);

        for (size_t i = 0; i < s->n_schemes; i++) {
                char own[OBJECT_PATH_MAX];

                if (strcmp(scheme_path(s->schemes + i, own), path) == 0)
                        return found(s->schemes + i, ret_found);
        }
        return 0;
}

static int take_paths(char **paths, size_t n, char ***ret_paths) {
        for (size_t i = 0; i < n; i++)
                if (!paths[i]) {
                        names_free(paths, n);
                        return -ENOMEM;
                }
        *ret_paths = paths;
        return 0;
}

static int enumerate_nodes(sd_bus *connection UNUSED, const char *prefix UNUSED, void *userdata, char ***ret_paths,
                           sd_bus_error *reterr UNUSED) {
        const struct status *s = snapshot(userdata);
        char **paths = calloc(s->n_nodes + 1, sizeof(*paths)), path[OBJECT_PATH_MAX];

        if (!paths)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_nodes; i++)
                paths[i] = strdup(node_path(s->nodes + i, path));
        return take_paths(paths, s->n_nodes, ret_paths);
}

static int enumerate_schemes(sd_bus *connection UNUSED, const char *prefix UNUSED, void *userdata, char ***ret_paths,
                             sd_bus_error *reterr UNUSED) {
        const struct status *s = snapshot(userdata);
        char **paths = calloc(s->n_schemes + 1, sizeof(*paths)), path[OBJECT_PATH_MAX];

        if (!paths)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_schemes; i++)
                paths[i] = strdup(scheme_path(s->schemes + i, path));
        return take_paths(paths, s->n_schemes, ret_paths);
}

int bus_add_objects(struct bus *b) {
        sd_bus *c = b->connection;
        int r;

        r = sd_bus_add_object_manager(c, NULL, BUS_PATH);
        if (r < 0)
                return r;
        r = sd_bus_add_fallback_vtable(c, NULL, BUS_PATH, BUS_MANAGER, manager_vtable, find_manager, b);
        if (r < 0)
                return r;
        r = sd_bus_add_fallback_vtable(c, NULL, BUS_PATH_NODES, BUS_NODE, node_vtable, find_node, b);
        if (r < 0)
                return r;
        r = sd_bus_add_node_enumerator(c, NULL, BUS_PATH_NODES, enumerate_nodes, b);
        if (r < 0)
                return r;
        r = sd_bus_add_fallback_vtable(c, NULL, BUS_PATH_SCHEMES, BUS_SCHEME, scheme_vtable, find_scheme, b);
        if (r < 0)
                return r;
        return sd_bus_add_node_enumerator(c, NULL, BUS_PATH_SCHEMES, enumerate_schemes, b);
}
