/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "tierd/status.h"

/*
 * The snapshot as metrics. `ret` is a string to be freed. 0 or -ENOMEM.
 *
 * METRICS_TEXT is the Prometheus text format 0.0.4, which node_exporter's textfile collector reads. METRICS_OPENMETRICS is
 * OpenMetrics 1.0, and passes `promtool check metrics` too, which reads the text format alone. Where these two contradict each
 * other it is silent: to OpenMetrics the family of a counter has the sample's name without "_total", so promtool would find the
 * sample undocumented and reject the name of the family. So a counter has its HELP there under the sample's own name and no
 * TYPE, which both read as a value of unknown type.
 */
enum metrics_format { METRICS_OPENMETRICS, METRICS_TEXT };
int metrics_format(const struct status *s, enum metrics_format format, char **ret);

/*
 * Writes the text (METRICS_TEXT) to `path` (absolute), by a temporary file of the same directory, ".NAME.new", that takes its
 * place; mode 0644. A reader sees the old text or the new one; what is there may be a symbolic link, which is replaced, not
 * followed. Negative errno with the path in reterr; nothing is left behind then. May block for as long as the file system does.
 */
int metrics_write_file(const char *text, const char *path, struct diag *reterr);

/*
 * Removes that file, at an orderly end and when another one is configured: numbers that nobody renews say that tierd hangs.
 * There may be none. Negative errno with the path in reterr.
 */
int metrics_remove_file(const char *path, struct diag *reterr);
