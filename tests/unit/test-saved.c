/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "damon/apply.h"
#include "tests/support/plans.h"
#include "tests/support/tiered.h"
#include "tierd/claim.h"
#include "tierd/saved.h"

#include <fcntl.h>
#include <string.h>

#define BOOT "6ff33a5c-6ab6-4e0c-9d1c-3f1d6b1e2a01"
#define BALANCING "proc/sys/kernel/numa_balancing"
#define DEMOTION "sys/kernel/mm/numa/demotion_enabled"

struct fixture {
        struct scratch *s;
        int run;
        struct saved *saved;
};

static struct fixture fixture_new(void) {
        struct fixture f = {};

        APPLY_PATIENCE = (struct apply_patience){ .tries = 2, .pause_us = 0 };
        f.s = tiered_new(SCRATCH_7_2, &f.run);
        assert_int_equal(saved_open(f.s->root, f.run, SAVED_STATE, &f.saved, NULL), 0);
        return f;
}

static void fixture_done(struct fixture *f) {
        f->saved = saved_free(f->saved);
        if (f->run >= 0)
                (void) close(f->run);
        scratch_free(f->s);
}
#define _cleanup_fixture_ _cleanup_(fixture_done)

/* As after a crash. */
static void reopen(struct fixture *f) {
        struct diag d = {};

        f->saved = saved_free(f->saved);
        if (saved_open(f->s->root, f->run, SAVED_STATE, &f->saved, &d) < 0)
                fail_msg("%s", d.text);
}

static void put_record(struct fixture *f, const char *text, size_t len) {
        assert_int_equal(file_replace(f->run, "state", text, len), 0);
}

static char record[4096];

static const char *get_record(struct fixture *f) {
        int n = file_read(f->run, "state", record, sizeof(record));

        return n < 0 ? "" : record;
}

static void test_change_and_restore(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        struct diag d = {};

        (void) state;
        assert_true(saved_is_empty(f.saved));
        assert_int_equal(saved_change(f.saved, BALANCING, "0", &d), 0);
        assert_string_equal(get_record(&f), "tierd 2 boot " BOOT "\nvalue " BALANCING " 1\nend\n");
        /* The same value is no change, and the first one remembered stays. */
        assert_int_equal(saved_change(f.saved, DEMOTION, "false", &d), 0);
        assert_int_equal(saved_change(f.saved, BALANCING, "2", &d), 0);
        assert_int_equal(saved_change(f.saved, DEMOTION, "true", &d), 0);
        assert_int_equal(saved_claim(f.saved, 8, 77, &d), 0);
        assert_string_equal(get_record(&f), "tierd 2 boot " BOOT "\nslots 8 77\nvalue " BALANCING " 1\nvalue " DEMOTION
                                            " false\nend\n");

        reopen(&f);
        assert_int_equal(saved_n_slots(f.saved), 8);
        assert_int_equal(saved_identity(f.saved), 77);
        assert_int_equal(saved_restore(f.saved, &d), 0);
        assert_string_equal(scratch_get(f.s, BALANCING), "1");
        assert_string_equal(scratch_get(f.s, DEMOTION), "false");
        /* The hold is another matter. */
        assert_string_equal(get_record(&f), "tierd 2 boot " BOOT "\nslots 8 77\nend\n");
        assert_int_equal(saved_claim(f.saved, 0, 0, &d), 0);
        assert_int_equal(faccessat(f.run, "state", F_OK, 0), -1);

        /* Nothing more is put back once that was done. */
        scratch_put(f.s, BALANCING, "2");
        assert_int_equal(saved_restore(f.saved, &d), 0);
        assert_string_equal(scratch_get(f.s, BALANCING), "2");
}

static void test_put_back_one(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        struct diag d = {};

        (void) state;
        assert_int_equal(saved_put_back(f.saved, BALANCING, &d), 0);
        assert_int_equal(saved_change(f.saved, BALANCING, "0", &d), 0);
        assert_int_equal(saved_change(f.saved, DEMOTION, "true", &d), 0);
        assert_int_equal(saved_put_back(f.saved, BALANCING, &d), 0);
        assert_string_equal(scratch_get(f.s, BALANCING), "1");
        assert_string_equal(get_record(&f), "tierd 2 boot " BOOT "\nvalue " DEMOTION " false\nend\n");
}

static void test_failures(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        struct diag d = {};

        (void) state;
        assert_int_equal(saved_change(f.saved, "sys/nothing", "1", &d), -ENOENT);
        assert_string_equal(d.text, "/sys/nothing: cannot read: No such file or directory");

        /* More than a line is nothing that could be remembered. */
        scratch_put(f.s, "sys/lines", "one\ntwo");
        assert_int_equal(saved_change(f.saved, "sys/lines", "1", &d), -EBADMSG);
        assert_true(saved_is_empty(f.saved));

        /* The write fails: remembered, which does no harm. */
        scratch_reset_faults(f.s);
        f.s->fault_at = 0;
        f.s->fault_error = -EPERM;
        f.s->fault_times = 1;
        assert_int_equal(saved_change(f.saved, BALANCING, "0", &d), -EPERM);
        assert_string_equal(d.text, "/" BALANCING ": cannot write \"0\": Operation not permitted");
        assert_int_equal(saved_restore(f.saved, &d), 0);
        assert_string_equal(scratch_get(f.s, BALANCING), "1");

        /* One of two cannot be put back: it stays, alone, and the next call does it. */
        assert_int_equal(saved_change(f.saved, BALANCING, "0", &d), 0);
        assert_int_equal(saved_change(f.saved, DEMOTION, "true", &d), 0);
        scratch_reset_faults(f.s);
        f.s->fault_at = 0;
        f.s->fault_error = -EIO;
        f.s->fault_times = 1;
        assert_int_equal(saved_restore(f.saved, &d), -EIO);
        assert_string_equal(d.text, "/" DEMOTION ": cannot put back \"false\": Input/output error");
        assert_string_equal(scratch_get(f.s, BALANCING), "1");
        assert_string_equal(get_record(&f), "tierd 2 boot " BOOT "\nvalue " DEMOTION " false\nend\n");
        reopen(&f);
        assert_int_equal(saved_restore(f.saved, &d), 0);
        assert_string_equal(scratch_get(f.s, DEMOTION), "false");

        /* Gone with its attribute. */
        assert_int_equal(saved_change(f.saved, DEMOTION, "true", &d), 0);
        scratch_remove(f.s, "sys/kernel/mm/numa");
        assert_int_equal(saved_restore(f.saved, &d), 0);
        assert_true(saved_is_empty(f.saved));
}

/* Where nothing can be recorded nothing is changed, also at the second attempt. */
static void test_no_record(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        struct slot_map m = slots_for(3);
        struct diag d = {};

        (void) state;
        scratch_remove(f.s, "run/tierd");
        scratch_reset_faults(f.s);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(saved_change(f.saved, BALANCING, "0", &d), -ENOENT);
                assert_non_null(strstr(d.text, "/run/tierd/state: cannot write the record"));
                assert_int_equal(claim_take(f.s->root, &m, f.saved, &d), -ENOENT);
                assert_non_null(strstr(d.text, "/run/tierd/state: cannot write the record"));
        }
        assert_int_equal(f.s->writes, 0);
        assert_true(saved_is_empty(f.saved));
}

static void test_damaged_records(void **state) {
        static const char *const bad[] = {
                "",
                "\n",
                "tierd 1 boot " BOOT "\nend\n",
                "something else\n",
                "tierd 2 boot " BOOT,
                "tierd 2 boot " BOOT "\n",
                "tierd 2 boot " BOOT "\nvalue " BALANCING " 1\n",
                "tierd 2 boot " BOOT "\nvalue " BALANCING " 1\nen",
                "tierd 2 boot " BOOT "\nvalue " BALANCING " 1\nend",
                "tierd 2 boot " BOOT "\nend\nvalue " BALANCING " 1\n",
                "tierd 2 boot " BOOT "\n\nend\n",
                "tierd 2 boot " BOOT "\nvalue " BALANCING "\nend\n",
                "tierd 2 boot " BOOT "\nvalue " BALANCING " 1\nvalue " BALANCING " 2\nend\n",
                "tierd 2 boot " BOOT "\nvalue etc/passwd 1\nend\n",
                "tierd 2 boot " BOOT "\nvalue /sys/x 1\nend\n",
                "tierd 2 boot " BOOT "\nvalue sys/../etc/passwd 1\nend\n",
                "tierd 2 boot " BOOT "\nvalue proc/1/oom_score_adj 1\nend\n",
                "tierd 2 boot " BOOT "\nslots\nend\n",
                "tierd 2 boot " BOOT "\nslots 3\nend\n",
                "tierd 2 boot " BOOT "\nslots 0 1\nend\n",
                "tierd 2 boot " BOOT "\nslots 1025 1\nend\n",
                "tierd 2 boot " BOOT "\nslots -1 1\nend\n",
                "tierd 2 boot " BOOT "\nslots 3 4x\nend\n",
                "tierd 2 boot " BOOT "\nslots 3 4\nslots 3 4\nend\n",
                "tierd 2 boot " BOOT "\nfrobnicate\nend\n",
        };
        _cleanup_fixture_ struct fixture f = fixture_new();

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct saved *saved = NULL;
                struct diag d = {};

                put_record(&f, bad[i], strlen(bad[i]));
                if (saved_open(f.s->root, f.run, SAVED_STATE, &saved, &d) != -EBADMSG)
                        fail_msg("taken for a record: \"%s\"", bad[i]);
                assert_null(saved);
                assert_non_null(strstr(d.text, "/run/tierd/state: this record"));
        }
        struct saved *saved = NULL;
        static const char nul[] = "tierd 2 boot " BOOT "\nend\n\0\nend\n";

        put_record(&f, nul, sizeof(nul) - 1);
        assert_int_equal(saved_open(f.s->root, f.run, SAVED_STATE, &saved, NULL), -EBADMSG);
}

static void test_good_records(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        static const char text[] = "tierd 2 boot " BOOT "\nvalue sys/a  two  blanks \nslots 1024 18446744073709551615\nend\n";

        (void) state;
        scratch_put(f.s, "sys/a", "x");
        put_record(&f, text, strlen(text));
        reopen(&f);
        assert_int_equal(saved_n_slots(f.saved), 1024);
        assert_true(saved_identity(f.saved) == UINT64_MAX);
        assert_int_equal(saved_restore(f.saved, NULL), 0);
        assert_string_equal(scratch_get(f.s, "sys/a"), " two  blanks ");
}

static void test_another_boot(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();

        (void) state;
        assert_int_equal(saved_change(f.saved, BALANCING, "0", NULL), 0);
        tiered_reboot(f.s);
        reopen(&f);
        assert_true(saved_is_empty(f.saved));
        assert_int_equal(saved_restore(f.saved, NULL), 0);
        assert_string_equal(scratch_get(f.s, BALANCING), "0");
}

/* -- the hold on DAMON -- */

static const char *nr_kdamonds(struct fixture *f) {
        return scratch_get(f->s, DAMON_ADMIN "/nr_kdamonds");
}

/* Another program makes its slots; n of them, and one is staged. */
static void another_program(struct fixture *f, const char *n) {
        assert_int_equal(scratch_store(f->s, DAMON_ADMIN "/nr_kdamonds", "0"), 0);
        /* A file system of the test may give a number again at once, as sysfs never does. */
        scratch_put(f->s, "sys/filler/a/b/c/d/e", "");
        assert_int_equal(scratch_store(f->s, DAMON_ADMIN "/nr_kdamonds", n), 0);
        assert_int_equal(scratch_store(f->s, DAMON_ADMIN "/0/contexts/nr_contexts", "1"), 0);
}

static void test_claim(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        struct slot_map m = slots_for(3);
        struct diag d = {};

        (void) state;
        assert_int_equal(claim_release(f.s->root, f.saved, &d), 0);
        assert_int_equal(claim_take(f.s->root, &m, f.saved, &d), 0);
        assert_string_equal(nr_kdamonds(&f), "3");
        assert_int_equal(scratch_store(f.s, DAMON_ADMIN "/1/contexts/nr_contexts", "1"), 0);
        reopen(&f);
        assert_int_equal(saved_n_slots(f.saved), 3);
        assert_true(saved_identity(f.saved) != 0);
        assert_int_equal(claim_release(f.s->root, f.saved, &d), 0);
        assert_string_equal(nr_kdamonds(&f), "0");
        assert_true(saved_is_empty(f.saved));

        /* They are gone already. */
        assert_int_equal(claim_take(f.s->root, &m, f.saved, &d), 0);
        assert_int_equal(scratch_store(f.s, DAMON_ADMIN "/nr_kdamonds", "0"), 0);
        assert_int_equal(claim_release(f.s->root, f.saved, &d), 0);
        assert_true(saved_is_empty(f.saved));
}

/* As many kdamonds as ours were, and not ours. */
static void test_claim_of_another(void **state) {
        static const char *const numbers[] = { "3", "2", "5" };
        struct slot_map m = slots_for(3);

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                _cleanup_fixture_ struct fixture f = fixture_new();
                struct diag d = {};

                assert_int_equal(claim_take(f.s->root, &m, f.saved, &d), 0);
                another_program(&f, numbers[i]);
                reopen(&f);
                scratch_reset_faults(f.s);
                assert_int_equal(claim_release(f.s->root, f.saved, &d), CLAIM_FOREIGN);
                assert_int_equal(f.s->writes, 0);
                assert_string_equal(nr_kdamonds(&f), numbers[i]);
                assert_true(saved_is_empty(f.saved));
                assert_int_equal(claim_take(f.s->root, &m, f.saved, &d), -EBUSY);
                assert_true(saved_is_empty(f.saved));
        }
}

/* Ended between the intention and the fact. */
static void test_claim_half_made(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        struct diag d = {};

        (void) state;
        assert_int_equal(saved_claim(f.saved, 3, 0, &d), 0);
        assert_int_equal(claim_release(f.s->root, f.saved, &d), 0);
        assert_true(saved_is_empty(f.saved));

        assert_int_equal(saved_claim(f.saved, 3, 0, &d), 0);
        assert_int_equal(scratch_store(f.s, DAMON_ADMIN "/nr_kdamonds", "3"), 0);
        assert_int_equal(claim_release(f.s->root, f.saved, &d), 0);
        assert_string_equal(nr_kdamonds(&f), "0");

        assert_int_equal(saved_claim(f.saved, 3, 0, &d), 0);
        another_program(&f, "3");
        assert_int_equal(claim_release(f.s->root, f.saved, &d), CLAIM_FOREIGN);
        assert_string_equal(nr_kdamonds(&f), "3");
}

static void test_claim_fails(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        struct slot_map m = slots_for(3);
        struct diag d = {};

        (void) state;
        scratch_reset_faults(f.s);
        f.s->fault_at = 0;
        f.s->fault_error = -ENOMEM;
        f.s->fault_times = 1;
        assert_int_equal(claim_take(f.s->root, &m, f.saved, &d), -ENOMEM);
        assert_non_null(strstr(d.text, "nr_kdamonds: cannot write \"3\": Cannot allocate memory"));
        assert_true(saved_is_empty(f.saved));

        /* The release fails: the record keeps it. */
        assert_int_equal(claim_take(f.s->root, &m, f.saved, &d), 0);
        scratch_reset_faults(f.s);
        f.s->fault_at = 0;
        f.s->fault_error = -EIO;
        f.s->fault_times = 1;
        assert_int_equal(claim_release(f.s->root, f.saved, &d), -EIO);
        reopen(&f);
        assert_int_equal(saved_n_slots(f.saved), 3);
        assert_int_equal(claim_release(f.s->root, f.saved, &d), 0);
        assert_string_equal(nr_kdamonds(&f), "0");

        scratch_remove(f.s, "sys/kernel/mm/damon");
        assert_int_equal(claim_take(f.s->root, &m, f.saved, &d), -ENOENT);
        assert_non_null(strstr(d.text, "CONFIG_DAMON_SYSFS"));
        assert_true(saved_is_empty(f.saved));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_change_and_restore),
                cmocka_unit_test(test_put_back_one),
                cmocka_unit_test(test_failures),
                cmocka_unit_test(test_no_record),
                cmocka_unit_test(test_damaged_records),
                cmocka_unit_test(test_good_records),
                cmocka_unit_test(test_another_boot),
                cmocka_unit_test(test_claim),
                cmocka_unit_test(test_claim_of_another),
                cmocka_unit_test(test_claim_half_made),
                cmocka_unit_test(test_claim_fails),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
