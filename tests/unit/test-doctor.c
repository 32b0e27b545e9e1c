/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/scratch.h"
#include "tierctl/doctor.h"

#include <errno.h>
#include <string.h>

/* The scratch has no NUMA nodes: "tiers" is always a problem here. Whole machines are looked at by the goldens. */

static const struct check *find(const struct checkup *c, const char *id) {
        for (size_t i = 0; i < c->n_checks; i++)
                if (strcmp(c->checks[i].id, id) == 0)
                        return &c->checks[i];
        return NULL;
}

static void assert_state(struct scratch *s, const char *id, enum check_state state) {
        _cleanup_checkup_ struct checkup c = {};
        const struct check *k;

        assert_int_equal(checkup_make(s->root, s->path, &c), 0);
        k = find(&c, id);
        if (!k)
                fail_msg("no check named %s", id);
        if (k->state != state)
                fail_msg("%s is %s, not %s: %s", id, check_state_to_string(k->state), check_state_to_string(state), k->summary);
        assert_true(k->summary[0] != '\0');
        if (state >= CHECK_WARNING)
                assert_true(k->meaning[0] != '\0');
        assert_int_equal(s->writes, 0);
}

static void assert_no_check(struct scratch *s, const char *id) {
        _cleanup_checkup_ struct checkup c = {};

        assert_int_equal(checkup_make(s->root, s->path, &c), 0);
        assert_null(find(&c, id));
}

static void test_kernel(void **state) {
        struct scratch *s = scratch_new(SCRATCH_6_12);

        (void) state;
        assert_state(s, "kernel", CHECK_OK);
        assert_state(s, "kernel-first-window", CHECK_INFO);
        assert_state(s, "kernel-silent-commit", CHECK_INFO);
        assert_no_check(s, "kernel-fallback");
        assert_state(s, "tuners", CHECK_INFO);
        scratch_put(s, "proc/version", "Linux version 6.1.0-40-amd64 (x) #1");
        assert_state(s, "kernel", CHECK_PROBLEM);
        assert_no_check(s, "tuners");
        scratch_put(s, "proc/version", "Linux version 7.3.0 (x) #1");
        assert_state(s, "tuners", CHECK_OK);
        assert_no_check(s, "kernel-first-window");
        assert_no_check(s, "kernel-fallback");
        scratch_remove(s, "proc/version");
        assert_state(s, "kernel", CHECK_UNKNOWN);
        scratch_free(s);
}

static void test_damon(void **state) {
        struct scratch *s = scratch_new(SCRATCH_7_2);

        (void) state;
        assert_state(s, "damon", CHECK_OK);
        assert_state(s, "owners", CHECK_OK);
        assert_state(s, "paddr", CHECK_OK);
        scratch_remove(s, "sys/module");
        assert_state(s, "paddr", CHECK_INFO);

        scratch_occupy(s, 2);
        scratch_reset_faults(s);
        assert_state(s, "owners", CHECK_PROBLEM);
        scratch_put(s, "run/tierd/state", "");
        assert_state(s, "owners", CHECK_INFO);

        /* Whatever it is that may not be read, the rest is told. */
        for (size_t i = 0; i < 20; i++) {
                _cleanup_checkup_ struct checkup c = {};

                scratch_reset_faults(s);
                s->read_fault_at = i;
                s->read_fault_error = -EACCES;
                s->read_fault_times = 1;
                assert_int_equal(checkup_make(s->root, s->path, &c), 0);
                assert_true(c.n_checks > 5);
        }
        scratch_remove(s, "sys/kernel/mm/damon");
        scratch_reset_faults(s);
        assert_state(s, "damon", CHECK_PROBLEM);
        assert_no_check(s, "owners");
        assert_no_check(s, "exclusive-modules");
        scratch_free(s);
}

static void test_neighbours(void **state) {
        struct scratch *s = scratch_new(SCRATCH_7_2);

        (void) state;
        assert_state(s, "exclusive-modules", CHECK_OK);
        scratch_put(s, "sys/module/damon_stat/parameters/enabled", "Y");
        assert_state(s, "exclusive-modules", CHECK_WARNING);

        assert_state(s, "numa-balancing", CHECK_OK);
        scratch_put(s, "proc/sys/kernel/numa_balancing", "0");
        assert_state(s, "numa-balancing", CHECK_OK);
        scratch_put(s, "proc/sys/kernel/numa_balancing", "1");
        assert_state(s, "numa-balancing", CHECK_INFO);
        scratch_put(s, "proc/sys/kernel/numa_balancing", "2");
        assert_state(s, "numa-balancing", CHECK_WARNING);
        scratch_put(s, "proc/sys/kernel/numa_balancing", "sometimes");
        assert_state(s, "numa-balancing", CHECK_UNKNOWN);

        assert_state(s, "reclaim-demotion", CHECK_OK);
        scratch_put(s, "sys/kernel/mm/numa/demotion_enabled", "false");
        assert_state(s, "reclaim-demotion", CHECK_INFO);
        scratch_put(s, "sys/kernel/mm/numa/demotion_enabled", "true");
        assert_state(s, "reclaim-demotion", CHECK_OK);

        assert_no_check(s, "huge-pages");
        scratch_put(s, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never");
        assert_state(s, "huge-pages", CHECK_OK);
        scratch_put(s, "sys/kernel/mm/transparent_hugepage/enabled", "] always [");
        assert_no_check(s, "huge-pages");
        scratch_free(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kernel),
                cmocka_unit_test(test_damon),
                cmocka_unit_test(test_neighbours),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
