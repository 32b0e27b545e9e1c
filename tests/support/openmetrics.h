/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Strict readers of the two formats of metrics, for what tierd writes of them: gauges, counters, and values of unknown type;
 * whole numbers and decimals; no time stamps, no exemplars. False with the reason in `why`.
 */

/* OpenMetrics 1.0. */
bool openmetrics_check(const char *text, char *why, size_t size);

/* The Prometheus text format 0.0.4. Every family has HELP and TYPE; the name of a counter, and no other, ends in _total. */
bool metrics_text_check(const char *text, char *why, size_t size);
