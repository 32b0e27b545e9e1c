/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "tierd/hotplug.h"

#include <systemd/sd-event.h>

/*
 * The kernel's events of memory blocks and nodes. It listens to the kernel itself, not to udevd: that is earlier, needs no
 * udevd, and reaches a private network namespace, where tierd.service lives. (sd_device_monitor's public interface has udevd's
 * group alone.)
 */
struct uevents;

/* nid -1: not known, or events were lost. Called on the event loop. */
typedef void (*uevents_handler)(void *userdata, enum hotplug_action action, int nid);

/* `root` is where the blocks' nodes are looked up. 0, -ENOMEM, or what the socket says. */
int uevents_new(sd_event *event, int root, uevents_handler handler, void *userdata, struct uevents **ret);
struct uevents *uevents_free(struct uevents *u);
DEFINE_CLEANUP(struct uevents, uevents_free)
