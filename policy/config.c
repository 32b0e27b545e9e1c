/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/config.h"
#include "base/file.h"
#include "policy/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

const char *tuner_kind_to_string(enum tuner_kind tuner) {
        static const char *const names[] = {
                [TUNER_AUTO] = "auto", [TUNER_KERNEL] = "kernel", [TUNER_FEEDBACK] = "feedback", [TUNER_DIRECT] = "direct",
        };

        return tuner < _TUNER_KIND_MAX ? names[tuner] : "unknown";
}

const char *goal_tuner_to_string(enum goal_tuner tuner) {
        return tuner == GOAL_TUNER_TEMPORAL ? "temporal" : "consist";
}

/*
 * The defaults, each with its reason: intervals and regions are those of the kernel's samples/damon/mtier.c and of damo; 5 %
 * free and 96 % used are its author's policy, one point of overlap; 200 MiB/s is small against any expander's bandwidth.
 */
static const struct config defaults = {
        .monitoring = {
                .sample_us = 5000,
                .aggregate_us = 100000,
                .update_us = 1000000,
                .min_regions = 10,
                .max_regions = 1000,
                .auto_intervals = false,
                .auto_access_bp = 400,
                .auto_aggregations = 3,
                .auto_sample_min_us = 5000,
                .auto_sample_max_us = 10000000,
        },
        .demote = {
                .enabled = true,
                .goal_bp = 500,
                .quota_bytes = UINT64_C(200) << 20,
                .quota_interval_us = 1000000,
                .weight_frequency = 100,
                .weight_age = 100,
        },
        .promote = {
                .enabled = true,
                .goal_bp = 9600,
                .quota_bytes = UINT64_C(200) << 20,
                .quota_interval_us = 1000000,
                .min_access_bp = 500,
                .weight_frequency = 100,
                .weight_age = 100,
        },
        .tuner = TUNER_AUTO,
        .numa_balancing = BALANCING_AUTO,
        .reclaim_demotion = SETTING_KEEP,
        .exclusive_modules = MODULES_STOP,
        .telemetry_interval_us = 10000000,
};

int config_new(struct config **ret) {
        struct config *c;

        c = malloc(sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = defaults;
        *ret = c;
        return 0;
}

struct config *config_free(struct config *c) {
        if (!c)
                return NULL;
        free(c->tiers.tiers);
        free(c->nodes);
        for (size_t i = 0; i < c->n_excludes; i++)
                free(c->excludes[i].cgroup);
        free(c->excludes);
        free(c->metrics_file);
        free(c->warnings);
        free(c);
        return NULL;
}

/* The whole document into in->config. */
static int read_document(struct reader *in, const struct yaml_value *document) {
        const struct yaml_value *nodes;
        int r;

        if (!document || yaml_is_null(document))
                return 0;
        if (document->type != YAML_MAPPING)
                return source_error(in->source, document->at, in->reterr,
                                    "the file holds %s, not keys; write \"key: value\" lines",
                                    yaml_type_to_string(document->type));
        r = read_mapping(in, &root_section, NULL, document, in->config);
        if (r < 0)
                return r;

        nodes = yaml_find(document, "nodes");
        if (nodes) {
                const struct entry e = { .name = nodes, .value = nodes };

                r = read_nodes(in, &e, in->config);
                if (r < 0)
                        return r;
        }
        return warn_about(in, document);
}

int config_parse(const char *text, size_t len, const char *name, struct config **ret, struct diag *reterr) {
        _cleanup_yaml_value_ struct yaml_value *document = NULL;
        _cleanup_config_ struct config *c = NULL;
        struct source source;
        struct reader reader;
        int r;

        if (len > CONFIG_SIZE_MAX)
                return diag_set(reterr, -EFBIG, "%s: larger than a configuration may be (%ju bytes, the limit is 1 MiB)", name,
                                (uintmax_t) len);

        r = source_open(name, text, len, &source, reterr);
        if (r < 0)
                return r;
        r = yaml_parse(&source, &document, reterr);
        if (r < 0)
                return diag_default(reterr, r, "%s: %s", name, strerror(-r));
        r = config_new(&c);
        if (r < 0)
                return diag_default(reterr, r, "%s: %s", name, strerror(-r));

        reader = (struct reader) { .source = &source, .config = c, .reterr = reterr };
        r = read_document(&reader, document);
        if (r < 0)
                return diag_default(reterr, r, "%s: %s", name, strerror(-r));

        *ret = TAKE_PTR(c);
        return 0;
}

static int read_failed(const char *name, int error, struct diag *reterr) {
        if (error == -EFBIG)
                return diag_set(reterr, error, "%s: larger than a configuration may be (the limit is 1 MiB)", name);
        return diag_set(reterr, error, "%s: cannot read this configuration: %s", name, strerror(-error));
}

int config_read(int root, const char *path, const char *name, struct config **ret, struct diag *reterr) {
        _cleanup_free_ char *text = NULL;
        size_t len;
        int r;

        r = file_read_alloc(root, path, CONFIG_SIZE_MAX, &text, &len);
        if (r < 0)
                return read_failed(name, r, reterr);
        return config_parse(text, len, name, ret, reterr);
}

int config_load(const char *path, struct config **ret, struct diag *reterr) {
        _cleanup_free_ char *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t len;

        f = fopen(path, "re");
        if (!f)
                return read_failed(path, -errno, reterr);
        text = malloc(CONFIG_SIZE_MAX + 1);
        if (!text)
                return read_failed(path, -ENOMEM, reterr);
        len = fread(text, 1, CONFIG_SIZE_MAX + 1, f);
        if (ferror(f))
                return read_failed(path, errno > 0 ? -errno : -EIO, reterr);
        return config_parse(text, len, path, ret, reterr);
}

struct node_config config_for_node(const struct config *c, int id) {
        for (size_t i = 0; i < c->n_nodes; i++)
                if (c->nodes[i].id == id)
                        return c->nodes[i];
        return (struct node_config) { .id = id, .managed = true, .demote = c->demote, .promote = c->promote };
}
