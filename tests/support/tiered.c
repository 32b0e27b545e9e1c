/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/tiered.h"
#include "tests/support/made-up.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#define BOOT_ID "proc/sys/kernel/random/boot_id"

struct scratch *tiered_new(enum scratch_kernel kernel, int *ret_run) {
        struct scratch *s = scratch_new(kernel);
        struct tree t = { .root = s->root };

        /* No word of the machine that the tests run on. */
        assert_int_equal(setenv("HWLOC_SYNTHETIC", "node:1 pu:1", 1), 0);
        assert_int_equal(setenv("HWLOC_HIDE_ERRORS", "2", 1), 0);
        (void) snprintf(t.path, sizeof(t.path), "%s", s->path);

        put_lists(&t, "0-2", "0-2");
        put_node(&t, 0, "0-1", 512, "10 20 30");
        put_node(&t, 1, "", 512, "20 10 40");
        put_node(&t, 2, "", 512, "30 40 10");
        for (unsigned i = 0; i < 4; i++) {
                put_block(&t, 0, i, "online");
                put_block(&t, 1, 8 + i, "online");
                put_block(&t, 2, 16 + i, "online");
        }
        put_memory_tier(&t, 4, "0");
        put_memory_tier(&t, 22, "1");
        put_memory_tier(&t, 40, "2");
        scratch_put(s, BOOT_ID, "6ff33a5c-6ab6-4e0c-9d1c-3f1d6b1e2a01");
        scratch_put(s, "proc/sys/kernel/numa_balancing", "1");
        scratch_put(s, "sys/kernel/mm/numa/demotion_enabled", "false");
        if (s->version >= 617)
                scratch_put(s, "sys/module/damon_stat/parameters/enabled", "Y");

        assert_int_equal(mkdirat(s->root, "run", 0755), 0);
        assert_int_equal(mkdirat(s->root, "run/tierd", 0755), 0);
        *ret_run = openat(s->root, "run/tierd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(*ret_run >= 0);
        return s;
}

void tiered_reboot(struct scratch *s) {
        scratch_put(s, BOOT_ID, "00000000-0000-4000-8000-000000000002");
}

struct config *config_of(const char *text) {
        struct config *c = NULL;
        struct diag d = {};

        if (config_parse(text, strlen(text), "test.yaml", &c, &d) < 0)
                fail_msg("%s", d.text);
        return c;
}

void assert_as_found(struct scratch *s, const char *snapshot, const char *after) {
        _cleanup_free_ char *now = scratch_snapshot(s);
        size_t i = 0, line = 0;

        if (strcmp(now, snapshot) == 0)
                return;
        for (; now[i] == snapshot[i]; i++)
                if (now[i] == '\n')
                        line = i + 1;
        fail_msg("%s: the machine is changed: \"%.*s\", and was \"%.*s\"", after, (int) strcspn(now + line, "\n"), now + line,
                 (int) strcspn(snapshot + line, "\n"), snapshot + line);
}

static void memory_write(void *userdata, int level, const char *message) {
        struct memory_log *m = userdata;
        size_t len = strlen(m->text);

        (void) snprintf(m->text + len, sizeof(m->text) - len, "%d %s\n", level, message);
}

void memory_log_init(struct memory_log *m) {
        *m = (struct memory_log){ .log = { .write = memory_write, .userdata = m, .max_level = LOG_DEBUG } };
}
