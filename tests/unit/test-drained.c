/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "tests/support/tiered.h"
#include "tierd/drained.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BOOT "6ff33a5c-6ab6-4e0c-9d1c-3f1d6b1e2a01"

struct fixture {
        struct scratch *s;
        int run;
};

static void fixture_done(struct fixture *f) {
        (void) close(f->run);
        scratch_free(f->s);
}
#define _cleanup_fixture_ _cleanup_(fixture_done)

static struct fixture fixture_new(void) {
        struct fixture f = {};

        f.s = tiered_new(SCRATCH_7_2, &f.run);
        return f;
}

static void assert_kept(struct fixture *f, const struct idset *drained) {
        struct idset read = {};
        struct diag d = {};

        if (drained_write(f->s->root, f->run, drained, &d) < 0 || drained_read(f->s->root, f->run, &read, &d) < 0)
                fail_msg("%s", d.text);
        assert_true(idset_equal(&read, drained));
}

static void test_kept(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        struct idset drained = {}, all = {};
        struct diag d = {};

        (void) state;
        idset_add(&drained, 1);
        assert_int_equal(drained_read(f.s->root, f.run, &drained, &d), 0);
        assert_true(idset_is_empty(&drained));
        assert_kept(&f, &drained);
        assert_int_equal(faccessat(f.run, DRAINED_RECORD, F_OK, 0), -1);

        idset_add(&drained, 1);
        assert_kept(&f, &drained);
        idset_add(&drained, 2);
        idset_add(&drained, NODE_ID_MAX);
        assert_kept(&f, &drained);
        /* The longest list of nodes that there can be. */
        for (unsigned i = 1; i <= NODE_ID_MAX; i += 2)
                idset_add(&all, i);
        assert_kept(&f, &all);

        tiered_reboot(f.s);
        assert_int_equal(drained_read(f.s->root, f.run, &drained, &d), 0);
        assert_true(idset_is_empty(&drained));
        assert_kept(&f, &drained);
        assert_int_equal(faccessat(f.run, DRAINED_RECORD, F_OK, 0), -1);
}

static void test_damaged(void **state) {
        static const char *const bad[] = {
                "",
                "\n",
                "nodes 1\n",
                "tierd 2 boot " BOOT " nodes 1\n",
                "tierd 1 boot " BOOT "\n",
                "tierd 1 boot " BOOT " nodes \n",
                "tierd 1 boot " BOOT " nodes -1\n",
                "tierd 1 boot " BOOT " nodes 1024\n",
                "tierd 1 boot " BOOT " nodes 3-1\n",
                "tierd 1 boot " BOOT " nodes 1 2\n",
                "tierd 1 boot " BOOT " nodes 1\nnodes 2\n",
        };
        static char much[8192];
        _cleanup_fixture_ struct fixture f = fixture_new();

        (void) state;
        memset(much, '1', sizeof(much));
        for (size_t i = 0; i <= ELEMENTSOF(bad); i++) {
                const char *text = i < ELEMENTSOF(bad) ? bad[i] : much;
                struct idset drained = {};
                struct diag d = {};

                assert_int_equal(file_replace(f.run, DRAINED_RECORD, text, text == much ? sizeof(much) : strlen(text)), 0);
                if (drained_read(f.s->root, f.run, &drained, &d) != -EBADMSG)
                        fail_msg("taken for a record: \"%s\"", text);
                assert_true(idset_is_empty(&drained));
                assert_string_equal(d.text, "/run/tierd/drained: this record of drained nodes is damaged");
        }
}

static void test_failures(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        struct idset drained = {};
        struct diag d = {};

        (void) state;
        idset_add(&drained, 1);
        f.s->replace_fault_at = f.s->replaces;
        f.s->replace_fault_error = -ENOSPC;
        f.s->replace_fault_times = 1;
        assert_int_equal(drained_write(f.s->root, f.run, &drained, &d), -ENOSPC);
        assert_string_equal(d.text,
                            "/run/tierd/drained: cannot write the record of drained nodes: No space left on device");
        scratch_reset_faults(f.s);
        assert_kept(&f, &drained);
        scratch_remove(f.s, "proc/sys/kernel/random");
        assert_int_equal(drained_read(f.s->root, f.run, &drained, &d), -ENOENT);
        assert_string_equal(d.text, "/proc/sys/kernel/random/boot_id: cannot read: No such file or directory");
        assert_int_equal(drained_write(f.s->root, f.run, &drained, &d), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kept),
                cmocka_unit_test(test_damaged),
                cmocka_unit_test(test_failures),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
