/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "damon/ops.h"
#include "damon/ops-internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define USEC_PER_MSEC UINT64_C(1000)

struct ops *ops_free(struct ops *o) {
        if (!o)
                return NULL;
        for (size_t i = 0; i < o->n_ops; i++) {
                free(o->ops[i].path);
                free(o->ops[i].value);
        }
        free(o->ops);
        free(o);
        return NULL;
}

static int __attribute__((format(printf, 3, 0))) ops_addv(struct ops *o, const char *value, const char *format, va_list ap) {
        _cleanup_free_ char *path = NULL, *copy = NULL;

        /* Grown by fixed steps, so that no capacity need be kept. */
        if (o->n_ops % 64 == 0) {
                struct op *p = reallocarray(o->ops, o->n_ops + 64, sizeof(*p));

                if (!p)
                        return -ENOMEM;
                o->ops = p;
        }
        if (vasprintf(&path, format, ap) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        o->ops[o->n_ops++] = (struct op){ .path = TAKE_PTR(path), .value = TAKE_PTR(copy) };
        return 0;
}

int ops_add(struct ops *o, const char *value, const char *path_format, ...) {
        va_list ap;
        int r;

        va_start(ap, path_format);
        r = ops_addv(o, value, path_format, ap);
        va_end(ap);
        return r;
}

int encoder_open(struct encoder *e) {
        *e = (struct encoder){ .ops = calloc(1, sizeof(struct ops)) };
        if (!e->ops)
                e->error = -ENOMEM;
        return e->error;
}

int encoder_close(struct encoder *e, struct ops **ret) {
        if (e->error < 0) {
                e->ops = ops_free(e->ops);
                return e->error;
        }
        *ret = TAKE_PTR(e->ops);
        return 0;
}

void encoder_fail(struct encoder *e, int error) {
        if (e->error == 0)
                e->error = error;
}

void encoder_at(struct encoder *e, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(e->prefix, sizeof(e->prefix), format, ap);
        va_end(ap);
        if (n < 0 || (size_t) n >= sizeof(e->prefix))
                encoder_fail(e, -ENAMETOOLONG);
}

void encode(struct encoder *e, const char *value, const char *name) {
        if (e->error == 0)
                encoder_fail(e, ops_add(e->ops, value, "%s/%s", e->prefix, name));
}

void encode_u64(struct encoder *e, uint64_t value, const char *name) {
        char text[24];

        (void) snprintf(text, sizeof(text), "%" PRIu64, value);
        encode(e, text, name);
}

void encode_int(struct encoder *e, int value, const char *name) {
        char text[16];

        (void) snprintf(text, sizeof(text), "%d", value);
        encode(e, text, name);
}

bool ops_equal(const struct ops *a, const struct ops *b) {
        if (a->n_ops != b->n_ops)
                return false;
        for (size_t i = 0; i < a->n_ops; i++)
                if (strcmp(a->ops[i].path, b->ops[i].path) != 0 || strcmp(a->ops[i].value, b->ops[i].value) != 0)
                        return false;
        return true;
}

int slot_of(const struct slot_map *m, int nid) {
        int slot = 0;

        if (nid < 0 || !idset_has(&m->possible, (unsigned) nid))
                return -1;
        IDSET_FOREACH(id, &m->possible) {
                if (id == nid)
                        return slot;
                slot++;
        }
        return -1;
}

static void encode_slots(struct encoder *e, const struct slot_map *m) {
        encoder_at(e, "%s", DAMON_ADMIN);
        encode_u64(e, idset_count(&m->possible), "nr_kdamonds");
}

int ops_make_slots(const struct slot_map *m, struct ops **ret) {
        struct encoder e;

        if (encoder_open(&e) == 0)
                encode_slots(&e, m);
        return encoder_close(&e, ret);
}

static void encode_attrs(struct encoder *e, int slot, const struct monitoring_config *c, const struct capability *cap) {
        encoder_at(e, DAMON_ADMIN "/%d/contexts/0/monitoring_attrs", slot);
        encode_u64(e, c->sample_us, "intervals/sample_us");
        encode_u64(e, c->aggregate_us, "intervals/aggr_us");
        encode_u64(e, c->update_us, "intervals/update_us");
        if (cap->intervals_goal) {
                /* `aggrs` 0 switches the tuning off (damon_valid_intervals_goal()). */
                encode_u64(e, c->auto_intervals ? c->auto_access_bp : 0, "intervals/intervals_goal/access_bp");
                encode_u64(e, c->auto_intervals ? c->auto_aggregations : 0, "intervals/intervals_goal/aggrs");
                encode_u64(e, c->auto_intervals ? c->auto_sample_min_us : 0, "intervals/intervals_goal/min_sample_us");
                encode_u64(e, c->auto_intervals ? c->auto_sample_max_us : 0, "intervals/intervals_goal/max_sample_us");
        }
        encode_u64(e, c->min_regions, "nr_regions/min");
        encode_u64(e, c->max_regions, "nr_regions/max");
}

static void encode_target(struct encoder *e, int slot, const struct kdamond_plan *k, const struct capability *cap) {
        encoder_at(e, DAMON_ADMIN "/%d/contexts/0/targets", slot);
        encode(e, "1", "nr_targets");
        encoder_at(e, DAMON_ADMIN "/%d/contexts/0/targets/0", slot);
        if (cap->obsolete_target)
                encode(e, "N", "obsolete_target");
        encode_u64(e, k->n_ranges, "regions/nr_regions");
        for (size_t i = 0; i < k->n_ranges; i++) {
                encoder_at(e, DAMON_ADMIN "/%d/contexts/0/targets/0/regions/%zu", slot, i);
                encode_u64(e, k->ranges[i].start, "start");
                encode_u64(e, k->ranges[i].end, "end");
        }
}

static void encode_kdamond(struct encoder *e, int slot, const struct plan *p, const struct kdamond_plan *k,
                           const struct capability *c) {
        encoder_at(e, DAMON_ADMIN "/%d", slot);
        if (c->refresh_ms)
                /* Never used: with several kdamonds it hung or crashed (DAMON.md, "Known faults"). */
                encode(e, "0", "refresh_ms");
        encode(e, "1", "contexts/nr_contexts");
        encoder_at(e, DAMON_ADMIN "/%d/contexts/0", slot);
        encode(e, "paddr", "operations");
        if (c->addr_unit)
                encode(e, "1", "addr_unit");
        if (c->pause)
                encode(e, "N", "pause");
        encode_attrs(e, slot, &p->monitoring, c);
        encode_target(e, slot, k, c);

        encoder_at(e, DAMON_ADMIN "/%d/contexts/0/schemes", slot);
        encode_u64(e, k->n_schemes + k->n_probes, "nr_schemes");
        for (size_t i = 0; i < k->n_schemes; i++)
                encode_scheme(e, slot, i, p, &k->schemes[i], c);
        for (size_t i = 0; i < k->n_probes; i++)
                encode_probe(e, slot, k->n_schemes + i, p, &k->probes[i], c);
}

int ops_make_kdamond(const struct slot_map *m, const struct plan *p, const struct kdamond_plan *k, const struct capability *c,
                     struct ops **ret) {
        int slot = slot_of(m, k->nid);
        struct encoder e;

        if (slot < 0)
                return -EINVAL;
        if (encoder_open(&e) == 0)
                encode_kdamond(&e, slot, p, k, c);
        return encoder_close(&e, ret);
}

void quota_values_start(const struct plan *p, const struct kdamond_plan *k, struct quota_value *ret) {
        for (size_t i = 0; i < k->n_schemes; i++) {
                const struct scheme *s = &k->schemes[i];

                ret[i] = (struct quota_value){
                        .bytes = tuner_kind_is_own(p->tuner) ? 1 : s->quota_bytes,
                        .reset_interval_ms = us_to_ms(s->quota_interval_us),
                };
        }
}

uint64_t us_to_ms(uint64_t us) {
        return us / USEC_PER_MSEC + (us % USEC_PER_MSEC != 0);
}

static void encode_quotas(struct encoder *e, int slot, const struct kdamond_plan *k, const struct quota_value *quotas,
                          bool settled) {
        for (size_t i = 0; i < k->n_schemes; i++) {
                encoder_at(e, DAMON_ADMIN "/%d/contexts/0/schemes/%zu", slot, i);
                if (settled)
                        encode(e, "0", "apply_interval_us");
                encode_quota(e, quotas[i]);
        }
}

static int ops_make_quotas_full(const struct slot_map *m, const struct kdamond_plan *k, const struct quota_value *quotas,
                                bool settled, struct ops **ret) {
        int slot = slot_of(m, k->nid);
        struct encoder e;

        if (slot < 0)
                return -EINVAL;
        if (encoder_open(&e) == 0)
                encode_quotas(&e, slot, k, quotas, settled);
        return encoder_close(&e, ret);
}

int ops_make_quotas(const struct slot_map *m, const struct kdamond_plan *k, const struct quota_value *quotas,
                    struct ops **ret) {
        return ops_make_quotas_full(m, k, quotas, false, ret);
}

int ops_make_settled(const struct slot_map *m, const struct kdamond_plan *k, const struct quota_value *quotas,
                     struct ops **ret) {
        return ops_make_quotas_full(m, k, quotas, true, ret);
}

int ops_make_feeds(const struct slot_map *m, const struct kdamond_plan *k, const uint64_t *scores, struct ops **ret) {
        int slot = slot_of(m, k->nid);
        struct encoder e;

        if (slot < 0)
                return -EINVAL;
        if (encoder_open(&e) == 0)
                for (size_t i = 0; i < k->n_schemes; i++) {
                        encoder_at(&e, DAMON_ADMIN "/%d/contexts/0/schemes/%zu/quotas/goals/0", slot, i);
                        encode_u64(&e, scores[i], "current_value");
                }
        return encoder_close(&e, ret);
}

int ops_make_all(const struct slot_map *m, const struct plan *p, const struct capability *c, struct ops **ret) {
        struct encoder e;

        if (encoder_open(&e) == 0)
                encode_slots(&e, m);

        for (size_t i = 0; e.error == 0 && i < p->n_kdamonds; i++) {
                const struct kdamond_plan *k = &p->kdamonds[i];
                _cleanup_free_ struct quota_value *quotas = NULL;
                int slot = slot_of(m, k->nid);

                if (slot < 0) {
                        encoder_fail(&e, -EINVAL);
                        break;
                }
                encode_kdamond(&e, slot, p, k, c);
                encoder_at(&e, DAMON_ADMIN "/%d", slot);
                encode(&e, "on", "state");
                if (!c->first_window_unlimited || k->n_schemes == 0)
                        continue;

                quotas = calloc(k->n_schemes, sizeof(*quotas));
                if (!quotas) {
                        encoder_fail(&e, -ENOMEM);
                        break;
                }
                quota_values_start(p, k, quotas);
                encode_quotas(&e, slot, k, quotas, true);
                encoder_at(&e, DAMON_ADMIN "/%d", slot);
                encode(&e, "commit", "state");
        }
        return encoder_close(&e, ret);
}
