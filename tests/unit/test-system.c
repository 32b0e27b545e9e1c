/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "tests/support/tiered.h"
#include "tierd/system.h"

#include <string.h>

#define STAT "sys/module/damon_stat/parameters/enabled"
#define RECLAIM "sys/module/damon_reclaim/parameters/enabled"
#define BALANCING "proc/sys/kernel/numa_balancing"
#define DEMOTION "sys/kernel/mm/numa/demotion_enabled"

struct fixture {
        struct scratch *s;
        int run;
        struct saved *saved;
};

static struct fixture fixture_new(void) {
        struct fixture f = {};

        f.s = tiered_new(SCRATCH_7_2, &f.run);
        assert_int_equal(saved_open(f.s->root, f.run, SAVED_STATE, &f.saved, NULL), 0);
        return f;
}

static void fixture_done(struct fixture *f) {
        f->saved = saved_free(f->saved);
        (void) close(f->run);
        scratch_free(f->s);
}
#define _cleanup_fixture_ _cleanup_(fixture_done)

static void test_modules(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        _cleanup_config_ struct config *stop = config_of(""), *refuse = config_of("system: {exclusive_modules: refuse}\n");
        char names[MODULE_NAMES_SIZE];
        struct diag d = {};

        (void) state;
        scratch_put(f.s, RECLAIM, "Y");
        scratch_reset_faults(f.s);
        assert_int_equal(system_check_modules(f.s->root, stop, &d), 0);
        assert_int_equal(system_check_modules(f.s->root, refuse, &d), -EBUSY);
        assert_non_null(strstr(d.text, "damon_stat, damon_reclaim of the kernel"));
        assert_int_equal(f.s->writes, 0);

        assert_int_equal(system_stop_modules(f.s->root, f.saved, names, &d), 0);
        assert_string_equal(names, "damon_stat, damon_reclaim");
        assert_string_equal(scratch_get(f.s, STAT), "N");
        assert_string_equal(scratch_get(f.s, RECLAIM), "N");
        assert_int_equal(system_check_modules(f.s->root, refuse, &d), 0);
        assert_int_equal(system_stop_modules(f.s->root, f.saved, names, &d), 0);
        assert_string_equal(names, "");

        assert_int_equal(saved_restore(f.saved, &d), 0);
        assert_string_equal(scratch_get(f.s, STAT), "Y");
        assert_string_equal(scratch_get(f.s, RECLAIM), "Y");

        scratch_reset_faults(f.s);
        f.s->fault_at = 1;
        f.s->fault_error = -EIO;
        f.s->fault_times = 1;
        assert_int_equal(system_stop_modules(f.s->root, f.saved, names, &d), -EIO);
        assert_string_equal(d.text, "/" RECLAIM ": cannot write \"N\": Input/output error");
        assert_int_equal(saved_restore(f.saved, &d), 0);
        assert_string_equal(scratch_get(f.s, STAT), "Y");
}

static void test_modules_unreadable(void **state) {
        _cleanup_fixture_ struct fixture f = fixture_new();
        _cleanup_config_ struct config *refuse = config_of("system: {exclusive_modules: refuse}\n");
        char names[MODULE_NAMES_SIZE] = "as before";
        struct diag d = {};

        (void) state;
        scratch_put(f.s, STAT, "Y\nY");
        assert_int_equal(system_check_modules(f.s->root, refuse, &d), -EBADMSG);
        assert_non_null(strstr(d.text, "/sys/module/damon_"));
        assert_int_equal(system_stop_modules(f.s->root, f.saved, names, &d), -EBADMSG);
        assert_string_equal(names, "as before");
}

/* The unit lets tierd write what it may write, and starts where this kernel lacks some of it. */
static void test_unit_paths(void **state) {
        static const char *const modules[] = {
                "damon_stat", "damon_reclaim", "damon_lru_sort", "damon_sample_mtier", "damon_sample_prcl", "damon_sample_wsse",
        };
        _cleanup_fixture_ struct fixture f = fixture_new();
        _cleanup_fclose_ FILE *unit = fopen("systemd/tierd.service", "re");
        char names[MODULE_NAMES_SIZE], all[MODULE_NAMES_SIZE] = "", path[PATH_SIZE], text[16384];
        struct diag d = {};

        (void) state;
        assert_non_null(unit);
        text[fread(text, 1, sizeof(text) - 1, unit)] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(modules); i++) {
                (void) snprintf(path, sizeof(path), "sys/module/%s/parameters/enabled", modules[i]);
                scratch_put(f.s, path, "Y");
                (void) snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i > 0 ? ", " : "", modules[i]);
                (void) snprintf(path, sizeof(path), "\nReadWritePaths=-/sys/module/%s/parameters\n", modules[i]);
                if (!strstr(text, path))
                        fail_msg("the unit has no %s", path);
        }
        assert_int_equal(system_stop_modules(f.s->root, f.saved, names, &d), 0);
        assert_string_equal(names, all);
        assert_non_null(strstr(text, "\nReadWritePaths=/sys/kernel/mm/damon\n"));
        assert_non_null(strstr(text, "\nReadWritePaths=-/sys/kernel/mm/numa\n"));
}

static void test_balancing(void **state) {
        static const struct {
                const char *config;
                unsigned cpu_nodes;
                const char *balancing, *demotion;
        } cases[] = {
                { "", 1, "0", "false" },
                { "", 2, "1", "false" },
                { "system: {numa_balancing: off}\n", 2, "0", "false" },
                { "system: {numa_balancing: keep}\n", 1, "1", "false" },
                { "system: {numa_balancing: keep, reclaim_demotion: on}\n", 1, "1", "true" },
                { "system: {reclaim_demotion: off}\n", 1, "0", "false" },
        };
        _cleanup_fixture_ struct fixture f = fixture_new();
        struct node nodes[2] = {};
        struct topology t = { .nodes = nodes, .n_nodes = 2 };
        struct diag d = {}, advice = {};

        (void) state;
        idset_add(&nodes[0].cpus, 0);
        /* One after the other, as by reloads: each leaves what it says, whatever was before. */
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_config_ struct config *c = config_of(cases[i].config);

                nodes[1].cpus = (struct idset) {};
                if (cases[i].cpu_nodes > 1)
                        idset_add(&nodes[1].cpus, 1);
                assert_int_equal(system_set_balancing(&t, c, f.saved, &advice, &d), 0);
                assert_string_equal(scratch_get(f.s, BALANCING), cases[i].balancing);
                assert_string_equal(scratch_get(f.s, DEMOTION), cases[i].demotion);
        }
        assert_int_equal(saved_restore(f.saved, &d), 0);
        assert_string_equal(scratch_get(f.s, BALANCING), "1");

        /* A kernel without them. */
        scratch_remove(f.s, "proc/sys/kernel/numa_balancing");
        scratch_remove(f.s, "sys/kernel/mm/numa");
        {
                _cleanup_config_ struct config *c = config_of("system: {numa_balancing: off, reclaim_demotion: on}\n");

                assert_int_equal(system_set_balancing(&t, c, f.saved, &advice, &d), 0);
        }
        assert_int_equal(d.error, 0);
        assert_true(saved_is_empty(f.saved));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_modules),
                cmocka_unit_test(test_modules_unreadable),
                cmocka_unit_test(test_unit_paths),
                cmocka_unit_test(test_balancing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
