/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "tierd/status.h"

/*
 * The snapshot as metrics. `ret` is a string to be freed. METRICS_OPENMETRICS ends with "# EOF" (OpenMetrics 1.0);
 * METRICS_TEXT is the Prometheus text format 0.0.4, which node_exporter's textfile collector reads. 0 or -ENOMEM.
 */
enum metrics_format { METRICS_OPENMETRICS, METRICS_TEXT };
int metrics_format(const struct status *s, enum metrics_format format, char **ret);

/*
 * Writes the text format to `path` (absolute), by a temporary file of the same directory that replaces it, world-readable. A
 * reader sees the old text or the new one. Negative errno with path in reterr; nothing is left behind.
 */
int metrics_write_file(const struct status *s, const char *path, struct diag *reterr);
