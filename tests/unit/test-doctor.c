/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/tiered.h"
#include "tierctl/doctor.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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

/* The check's sentences say so, and whose patches help. */
static void assert_says(struct scratch *s, const char *id, const char *text, const char *patches) {
        _cleanup_checkup_ struct checkup c = {};
        const struct check *k;

        assert_int_equal(checkup_make(s->root, s->path, &c), 0);
        k = find(&c, id);
        assert_non_null(k);
        if (!strstr(k->meaning, text) && !strstr(k->action, text))
                fail_msg("\"%s\" is not in: %s %s", text, k->meaning, k->action);
        if (patches)
                assert_string_equal(k->patches, patches);
        else
                assert_null(k->patches);
}

static void test_kernel(void **state) {
        struct scratch *s = scratch_new(SCRATCH_6_12);

        (void) state;
        assert_state(s, "kernel", CHECK_OK);
        assert_state(s, "kernel-first-window", CHECK_INFO);
        assert_state(s, "kernel-silent-commit", CHECK_INFO);
        assert_state(s, "kernel-fallback", CHECK_INFO);
        assert_no_check(s, "kernel-tuned-intervals");
        assert_state(s, "tuners", CHECK_INFO);
        scratch_put(s, "proc/version", "Linux version 6.1.0-40-amd64 (x) #1");
        assert_state(s, "kernel", CHECK_PROBLEM);
        assert_says(s, "kernel", "no migrate actions (6.11): kernel-patches/6.1 supplies them for this kernel.",
                    "kernel-patches/6.1");
        assert_no_check(s, "tuners");
        assert_no_check(s, "kernel-silent-commit");
        scratch_put(s, "proc/version", "Linux version 6.8.0-40-amd64 (x) #1");
        assert_says(s, "kernel", "no patches for this release: boot Linux 6.11 or later", NULL);
        scratch_put(s, "proc/version", "Linux version 6.1.192-tierd (x) #1");
        assert_state(s, "kernel", CHECK_OK);
        assert_says(s, "filters", "no filters for control groups and anonymous memory (6.3)", NULL);
        assert_says(s, "tuners", "no node goals (6.16): the direct tuner does without.", NULL);
        assert_no_check(s, "kernel-first-window");
        assert_says(s, "kernel-silent-commit", "", NULL);
        scratch_put(s, "proc/version", "Linux version 6.12.117-tierd (x) #1");
        assert_no_check(s, "kernel-silent-commit");
        assert_state(s, "tuners", CHECK_OK);
        assert_no_check(s, "filters");
        assert_no_check(s, "kernel-first-window");
        assert_no_check(s, "kernel-fallback");
        scratch_put(s, "proc/version", "Linux version 6.12.117 (x) #1");
        assert_says(s, "tuners",
                    "no node goals (6.16): kernel-patches/6.12 supplies them for this kernel; the direct tuner does without.",
                    "kernel-patches/6.12");
        assert_says(s, "kernel-first-window", "kernel-patches/6.12 mends it.", "kernel-patches/6.12");
        assert_says(s, "kernel-silent-commit", "kernel-patches/6.12 mends it.", "kernel-patches/6.12");
        assert_says(s, "kernel-fallback", "kernel-patches/6.12 mends it.", "kernel-patches/6.12");
        scratch_put(s, "proc/version", "Linux version 7.2.12 (x) #1");
        assert_says(s, "kernel-fallback", "kernel-patches/7.2 mends it.", "kernel-patches/7.2");
        scratch_put(s, "proc/version", "Linux version 7.2.12-tierd (x) #1");
        assert_no_check(s, "kernel-fallback");
        scratch_put(s, "proc/version", "Linux version 6.18.2 (x) #1");
        assert_says(s, "kernel-fallback", "", NULL);
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
        assert_says(s, "damon", "CONFIG_DAMON or CONFIG_DAMON_SYSFS is off: build it in, see kernel-patches/README.md.", NULL);
        /* Debian 12's own kernel. */
        scratch_put(s, "proc/version", "Linux version 6.1.0-40-amd64 (x) #1");
        assert_says(s, "damon", "see kernel-patches/README.md; and no migrate actions (6.11): kernel-patches/6.1 supplies",
                    "kernel-patches/6.1");
        scratch_put(s, "proc/version", "Linux version 5.10.0-40-amd64 (x) #1");
        assert_says(s, "damon", "no DAMON interface in sysfs (5.18); and no migrate actions (6.11): no patches", NULL);
        scratch_put(s, "proc/version", "nonsense");
        assert_says(s, "damon", "see kernel-patches/README.md.", NULL);
        assert_int_equal(s->writes, 0);
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

static void put_link(struct scratch *s, const char *path, const char *target) {
        int r;

        (void) unlinkat(s->root, path, 0);
        r = symlinkat(target, s->root, path);
        if (r < 0)
                fail_msg("%s: %s", path, strerror(errno));
}

/* Memory that a driver has to hand over. */
static void test_handed_over(void **state) {
        struct scratch *s = scratch_new(SCRATCH_7_2);

        (void) state;
        assert_no_check(s, "soft-reserved");
        assert_no_check(s, "dax-mode");
        scratch_put(s, "proc/iomem",
                    "00001000-7fffffff : System RAM\n"
                    "100000000-13fffffff : Soft Reserved\n"
                    "  100000000-13fffffff : dax0.0\n"
                    "    100000000-13fffffff : System RAM (kmem)\n"
                    "140000000-17fffffff : Soft Reserved\n"
                    "  140000000-17fffffff : dax1.0");
        assert_no_check(s, "soft-reserved");
        scratch_put(s, "proc/iomem", "00001000-7fffffff : System RAM\n140000000-17fffffff : Soft Reserved");
        assert_state(s, "soft-reserved", CHECK_WARNING);
        assert_says(s, "soft-reserved", "efi=nosoftreserve", NULL);
        /* Who may not read addresses is told nothing. */
        scratch_put(s, "proc/iomem", "00000000-00000000 : System RAM\n00000000-00000000 : Soft Reserved");
        assert_no_check(s, "soft-reserved");

        /* A kernel that does not show such ranges. */
        scratch_put(s, "sys/devices/platform/hmem_platform.0/modalias", "platform:hmem_platform");
        scratch_put(s, "sys/bus/platform/devices/marker", "");
        put_link(s, "sys/bus/platform/devices/hmem_platform.0", "../../../devices/platform/hmem_platform.0");
        assert_says(s, "soft-reserved", "modprobe", NULL);
        put_link(s, "sys/devices/platform/hmem_platform.0/driver", "../../../bus/platform/drivers/hmem_platform");
        scratch_put(s, "sys/bus/platform/drivers/hmem_platform/bind", "");
        assert_no_check(s, "soft-reserved");

        scratch_put(s, "sys/bus/dax/devices/marker", "");
        scratch_put(s, "sys/devices/dax/dax_region0/dax0.0/target_node", "1");
        put_link(s, "sys/bus/dax/devices/dax0.0", "../../../devices/dax/dax_region0/dax0.0");
        assert_state(s, "dax-mode", CHECK_WARNING);
        put_link(s, "sys/devices/dax/dax_region0/dax0.0/driver", "../../../../bus/dax/drivers/device_dax");
        assert_state(s, "dax-mode", CHECK_WARNING);
        assert_says(s, "dax-mode", "--mode=system-ram dax0.0", NULL);
        put_link(s, "sys/devices/dax/dax_region0/dax0.0/driver", "../../../../bus/dax/drivers/kmem");
        assert_no_check(s, "dax-mode");
        scratch_free(s);
}

/* A machine of three tiers, and its own configuration. */
static void test_configuration(void **state) {
        int run;
        struct scratch *s = tiered_new(SCRATCH_7_2, &run);

        (void) state;
        scratch_reset_faults(s);
        assert_state(s, "configuration", CHECK_OK);
        assert_state(s, "tiers", CHECK_OK);
        assert_no_check(s, "plan");

        scratch_put(s, "etc/tierd.yaml", "demote: {gaol: {free: 5%}}");
        assert_state(s, "configuration", CHECK_PROBLEM);
        scratch_put(s, "etc/tierd.yaml", "demote: {goal: {free: 1%}}");
        assert_state(s, "configuration", CHECK_INFO);

        /* Its tiers are the machine's. */
        scratch_put(s, "etc/tierd.yaml", "tiers: [[0, 1, 2]]");
        assert_state(s, "tiers", CHECK_WARNING);
        scratch_put(s, "etc/tierd.yaml", "tiers: [[0], [1, 7]]");
        assert_state(s, "tiers", CHECK_OK);
        scratch_put(s, "etc/tierd.yaml", "tiers: [[0], [1, 9]]");
        assert_state(s, "tiers", CHECK_PROBLEM);
        assert_no_check(s, "plan");
        scratch_put(s, "etc/tierd.yaml", "nodes: {9: {managed: false}}");
        assert_state(s, "plan", CHECK_PROBLEM);
        scratch_put(s, "etc/tierd.yaml", "tuning: {tuner: feedback}");
        assert_no_check(s, "plan");
        scratch_put(s, "proc/version", "Linux version 6.1.192-tierd (x) #1");
        assert_state(s, "plan", CHECK_PROBLEM);

        scratch_put(s, "proc/version", "Linux version 7.2.13 (x) #1");
        scratch_put(s, "etc/tierd.yaml", "system: {exclusive_modules: refuse, reclaim_demotion: on}");
        assert_state(s, "exclusive-modules", CHECK_PROBLEM);
        assert_state(s, "reclaim-demotion", CHECK_INFO);
        scratch_remove(s, "sys/kernel/mm/numa/demotion_enabled");
        assert_state(s, "reclaim-demotion", CHECK_WARNING);
        (void) close(run);
        scratch_free(s);
}

static void put_process(struct scratch *s, int pid, const char *comm, const char *cgroup, const char *maps) {
        char path[64], text[256];

        (void) snprintf(path, sizeof(path), "proc/%d/comm", pid);
        scratch_put(s, path, comm);
        (void) snprintf(path, sizeof(path), "proc/%d/cgroup", pid);
        (void) snprintf(text, sizeof(text), "%s", cgroup);
        scratch_put(s, path, text);
        (void) snprintf(path, sizeof(path), "proc/%d/numa_maps", pid);
        scratch_put(s, path, maps);
}

static void assert_bound(struct scratch *s, enum check_state state, const char *summary, const char *meaning,
                         const char *action) {
        _cleanup_checkup_ struct checkup c = {};
        const struct check *k;

        assert_int_equal(checkup_make(s->root, s->path, &c), 0);
        k = find(&c, "bound-memory");
        assert_non_null(k);
        assert_string_equal(k->summary, summary);
        assert_int_equal(k->state, state);
        if (!strstr(k->meaning, meaning))
                fail_msg("\"%s\" is not in: %s", meaning, k->meaning);
        if (!strstr(k->action, action))
                fail_msg("\"%s\" is not in: %s", action, k->action);
}

static void test_bound_memory(void **state) {
        int run;
        struct scratch *s = tiered_new(SCRATCH_7_2, &run);

        (void) state;
        scratch_reset_faults(s);
        /* A capture without processes says nothing of them. */
        assert_no_check(s, "bound-memory");

        put_process(s, 1, "init", "0::/init.scope", "400000 default anon=9 N0=9 kernelpagesize_kB=4");
        /* tierd's own preference is no news. */
        put_process(s, 3, "tierd", "0::/system.slice/tierd.service", "400000 prefer:0 anon=9 N0=9 kernelpagesize_kB=4");
        assert_bound(s, CHECK_OK, "no process has memory bound to managed nodes that would move", "", "");

        put_process(s, 812, "postgres", "0::/db.slice/pg.service", "400000 bind:0 anon=256 N0=256 kernelpagesize_kB=4");
        put_process(s, 99, "redis", "0::/", "400000 weighted interleave:0-1 file=/m N0=256 N1=512 kernelpagesize_kB=4");
        assert_bound(s, CHECK_WARNING, "2 processes have 4 MiB of memory bound to managed nodes",
                     "redis (pid 99, cgroup /): 3 MiB (weighted interleave); postgres (pid 812, cgroup "
                     "/db.slice/pg.service): 1 MiB (bind).", "exclude: [{cgroup: /db.slice/pg.service}]");
        /* What is excluded, by itself or by what is above it, stays. */
        scratch_put(s, "etc/tierd.yaml", "exclude: [{cgroup: /db.slice}, {type: file}]");
        assert_bound(s, CHECK_OK, "no process has memory bound to managed nodes that would move", "", "");
        scratch_put(s, "etc/tierd.yaml", "exclude: [{cgroup: /db.slic}, {type: anon}]");
        assert_bound(s, CHECK_WARNING, "1 process has 3 MiB of memory bound to managed nodes", "redis", "a cgroup of its own");
        /* A hierarchy of the memory controller's own is the one that counts. */
        put_process(s, 812, "postgres", "4:cpu,memory:/x\n3:memory:/db\n0::/y",
                    "400000 bind:0 anon=256 N0=256 kernelpagesize_kB=4");
        scratch_put(s, "etc/tierd.yaml", "exclude: [{cgroup: /db}, {type: file}]");
        assert_bound(s, CHECK_OK, "no process has memory bound to managed nodes that would move", "", "");
        /* Nor does what stays anyhow matter. */
        scratch_put(s, "etc/tierd.yaml", "nodes: {0: {managed: false}}\nexclude: [{type: file}]");
        assert_bound(s, CHECK_OK, "no process has memory bound to managed nodes that would move", "", "");
        scratch_put(s, "etc/tierd.yaml", "tiers: [[0, 1, 2]]");
        assert_no_check(s, "bound-memory");

        scratch_put(s, "etc/tierd.yaml", "");
        put_process(s, 5, "odd", "0::/odd", "what is this");
        assert_bound(s, CHECK_WARNING, "2 processes have 4 MiB of memory bound to managed nodes; of 1 process it could not be "
                     "read", "redis", "");
        scratch_remove(s, "proc/812");
        scratch_remove(s, "proc/99");
        assert_bound(s, CHECK_UNKNOWN, "no process has memory bound to managed nodes that would move; of 1 process it could "
                     "not be read", "", "as root");

        for (int i = 0; i < 9; i++)
                put_process(s, 1000 + i, "many", "0::/many", "400000 bind:0 anon=256 N0=256 kernelpagesize_kB=4");
        assert_bound(s, CHECK_WARNING, "9 processes have 9 MiB of memory bound to managed nodes; of 1 process it could not be "
                     "read", "many (pid 1003, cgroup /many): 1 MiB (bind); and 5 more.", "exclude: [{cgroup: /many}]");
        (void) close(run);
        scratch_free(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kernel),
                cmocka_unit_test(test_damon),
                cmocka_unit_test(test_neighbours),
                cmocka_unit_test(test_handed_over),
                cmocka_unit_test(test_configuration),
                cmocka_unit_test(test_bound_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
