/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tierd/status.h"

/*
 * A snapshot made by hand, of a machine with two sockets' DRAM above one expander, and a node without memory: managing under
 * the direct tuner, one pair of schemes at work, the other at rest. It was taken a second after the machine had booted. Owned
 * by the caller.
 */
struct status *example_status(void);

/* Takes the scheme, or the node with its schemes, out of the snapshot. */
void example_remove_scheme(struct status *s, size_t i);
void example_remove_node(struct status *s, int nid);

/* One more note, for text of any kind. */
void example_add_note(struct status *s, const char *text);
