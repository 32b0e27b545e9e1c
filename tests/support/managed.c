/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "damon/apply.h"
#include "tests/support/managed.h"

#include <fcntl.h>
#include <string.h>

struct fixture fixture_new(enum scratch_kernel kernel) {
        struct fixture f = { .run = -EBADF };
        struct diag d = {};

        APPLY_PATIENCE = (struct apply_patience) { .tries = 3, .pause_us = 0 };
        f.s = tiered_new(kernel, &f.run);
        f.before = scratch_snapshot(f.s);
        if (saved_open(f.s->root, f.run, SAVED_STATE, &f.saved, &d) < 0)
                fail_msg("%s", d.text);
        return f;
}

void fixture_done(struct fixture *f) {
        if (f->s->oops)
                fail_msg("the kernel would have crashed: %s", f->s->oops);
        if (f->s->unlimited)
                fail_msg("a scheme would have run without its quota");
        manager_done(&f->m);
        f->saved = saved_free(f->saved);
        free(f->before);
        (void) close(f->run);
        scratch_free(f->s);
}

int start(struct fixture *f, const char *config, struct diag *d) {
        manager_done(&f->m);
        return manager_start(&f->m, f->s->root, f->saved, config_of(config), NULL, d);
}

void started(struct fixture *f, const char *config) {
        struct diag d = {};

        if (start(f, config, &d) < 0)
                fail_msg("start: %s", d.text);
}

void stopped(struct fixture *f, const char *after) {
        struct diag d = {};

        if (manager_stop(&f->m, &d) != 0)
                fail_msg("%s, stop: %s", after, d.text);
        assert_restored(f, after);
}

void assert_restored(struct fixture *f, const char *after) {
        assert_as_found(f->s, f->before, after);
        if (!saved_is_empty(f->saved))
                fail_msg("%s: the record is not empty", after);
        assert_int_equal(faccessat(f->run, "state", F_OK, 0), -1);
}

unsigned running(const struct fixture *f) {
        unsigned n = 0;

        for (int i = 0; i < 8; i++)
                n += strcmp(scratch_getf(f->s, DAMON_ADMIN "/%d/state", i), "on") == 0;
        return n;
}

static void set_stat(struct fixture *f, int slot, size_t scheme, const char *name, uint64_t value) {
        char path[160], text[32];

        (void) snprintf(path, sizeof(path), DAMON_ADMIN "/%d/contexts/0/schemes/%zu/stats/%s", slot, scheme, name);
        (void) snprintf(text, sizeof(text), "%llu", (unsigned long long) value);
        scratch_make(f->s, path, text, 0400);
}

void fail_once(const struct fixture *f, size_t at) {
        scratch_reset_faults(f->s);
        f->s->fault_at = at;
        f->s->fault_error = -EIO;
        f->s->fault_times = 1;
}

void turn_is(struct fixture *f, uint64_t now_s, int expected) {
        struct diag d = {};
        uint64_t next = 0;
        int r;

        r = manager_turn(&f->m, now_s * 1000000, &next, &d);
        if (r != expected)
                fail_msg("turn: %d, %s", r, d.text);
        assert_true(r < 0 || next > 0);
}

void dies(struct fixture *f, int slot) {
        char path[128];

        (void) snprintf(path, sizeof(path), DAMON_ADMIN "/%d/state", slot);
        scratch_make(f->s, path, "off", 0600);
}

void count_on(struct fixture *f, uint64_t passes) {
        for (size_t i = 0; i < f->m.books.plan->n_kdamonds; i++) {
                const struct kdamond_plan *k = &f->m.books.plan->kdamonds[i];

                for (size_t j = 0; j < k->n_schemes; j++) {
                        set_stat(f, k->nid, j, "sz_tried", passes << 20);
                        set_stat(f, k->nid, j, "sz_applied", passes << 20);
                }
                for (size_t j = 0; j < k->n_probes; j++)
                        set_stat(f, k->nid, k->n_schemes + j, "sz_tried",
                                 (passes << 29) / (k->probes[j].kind == PROBE_HOT ? 4 : 1));
        }
}

void assert_books(struct fixture *f, const char *where) {
        size_t n = 0;

        for (size_t i = 0; i < f->m.books.plan->n_kdamonds; i++) {
                const struct kdamond_plan *k = &f->m.books.plan->kdamonds[i];

                for (size_t j = 0; j < k->n_schemes; j++, n++) {
                        const char *found =
                                scratch_getf(f->s, DAMON_ADMIN "/%d/contexts/0/schemes/%zu/quotas/bytes", k->nid, j);
                        char bytes[32];

                        (void) snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long) f->m.books.quotas[n].bytes);
                        if (strcmp(found, bytes) != 0)
                                fail_msg("%s: %s bytes are in force, not %s", where, found, bytes);
                }
        }
}
