/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Under test: policy/config.c policy/keys.c policy/lists.c policy/reader.c */
/* Under test: policy/source.c policy/suggest.c policy/values.c policy/yaml.c */
#include "policy/config.h"
#include "tests/fuzz/check.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Any bytes at all are either a configuration or an error with a place inside the file. What holds for every configuration
 * that was taken is checked here once more, by hand.
 */

/* Characters of the line, bytes that are not UTF-8 counting one each at the most; a mark at the start does not count. */
static size_t line_length(const char *text, size_t len, size_t line) {
        size_t n = 0, l = 1;

        for (size_t i = 0; i < len && l <= line; i++) {
                if (text[i] == '\n')
                        l++;
                else if (l == line)
                        n++;
        }
        return n;
}

static void check_place(const char *text, size_t len, const char *error) {
        size_t line, column, n_lines = 1;
        const char *source_line, *caret;

        CHECK(sscanf(error, "fuzz:%zu:%zu: ", &line, &column) == 2);
        for (size_t i = 0; i < len; i++)
                n_lines += text[i] == '\n';
        CHECK(line >= 1 && line <= n_lines);
        CHECK(column >= 1 && column <= line_length(text, len, line) + 1);

        source_line = strchr(error, '\n');
        CHECK(source_line && strncmp(source_line, "\n  ", 3) == 0);
        caret = strchr(source_line + 1, '\n');
        CHECK(caret);
        CHECK(strcmp(caret + 1 + strspn(caret + 1, " "), "^") == 0);
        for (const char *p = error; *p; p++)
                CHECK((unsigned char) *p >= 0x20 || *p == '\n');
}

static void check_direction(const struct direction_config *d) {
        CHECK(d->goal_bp > 0 && d->goal_bp < 10000);
        CHECK(d->quota_bytes > 0);
        CHECK(d->quota_interval_us >= 1000 && d->quota_interval_us % 1000 == 0);
        CHECK(d->min_access_bp < 10000);
        CHECK(d->weight_frequency <= 1000 && d->weight_age <= 1000);
}

static void check_config(const struct config *c) {
        const struct monitoring_config *m = &c->monitoring;
        struct idset seen = {};

        CHECK(m->sample_us > 0 && m->sample_us <= m->aggregate_us && m->update_us > 0);
        CHECK(m->min_regions >= 3 && m->min_regions <= m->max_regions);
        CHECK(!m->auto_intervals || (m->auto_sample_min_us <= m->sample_us && m->sample_us <= m->auto_sample_max_us));
        check_direction(&c->demote);
        check_direction(&c->promote);
        for (size_t i = 0; i < c->tiers.n_tiers; i++) {
                CHECK(!idset_is_empty(&c->tiers.tiers[i]));
                IDSET_FOREACH(id, &c->tiers.tiers[i]) {
                        CHECK(id <= NODE_ID_MAX && !idset_has(&seen, (unsigned) id));
                        idset_add(&seen, (unsigned) id);
                }
        }
        for (size_t i = 0; i < c->n_nodes; i++) {
                CHECK(c->nodes[i].id >= 0 && c->nodes[i].id <= NODE_ID_MAX);
                CHECK(i == 0 || c->nodes[i].id > c->nodes[i - 1].id);
                check_direction(&c->nodes[i].demote);
                check_direction(&c->nodes[i].promote);
        }
        for (size_t i = 0; i < c->n_excludes; i++)
                CHECK((c->excludes[i].type == EXCLUDE_CGROUP) == (c->excludes[i].cgroup != NULL));
        CHECK(c->tuner < _TUNER_KIND_MAX);
        CHECK(c->telemetry_interval_us > 0);
        CHECK(!c->metrics_file || c->metrics_file[0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_config_ struct config *c = NULL;
        struct diag d = {};
        int r;

        r = config_parse((const char *) data, size, "fuzz", &c, &d);
        if (r == 0) {
                CHECK(c);
                check_config(c);
                return 0;
        }
        CHECK(!c && d.error == r);
        if (r == -EFBIG)
                return 0;
        CHECK(r == -EBADMSG);
        check_place((const char *) data, size, d.text);
        return 0;
}
