/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* The running tierd, asked over the system bus ($DBUS_SYSTEM_BUS_ADDRESS names another). It is never started by being asked. */

static inline void client_closep(sd_bus **bus) {
        *bus = sd_bus_close_unref(*bus);
}
#define _cleanup_client_ _cleanup_(client_closep)

/* Connects. -ENOTCONN with a sentence when there is no bus. */
int client_open(sd_bus **ret, struct diag *reterr);

/* A call of a method of org.tierd1.Manager without arguments. 0 or -ENOMEM. */
int client_new_call(sd_bus *bus, const char *method, bool interactive, sd_bus_message **ret);

/* How long reading takes at most, even on a machine that is short of memory. */
#define CLIENT_READ_TIMEOUT_US UINT64_C(25000000)

/*
 * How long an order may take: for ever. A person may have to be asked for a password first, and the kernel takes its time over
 * every write, hours where the configuration has it count accesses for so long. Who has no more patience ends this: systemd in
 * its time (reload is the unit's ExecReload=), a person at once. A daemon that hangs is ended by its watchdog, and the bus then
 * tells.
 */
#define CLIENT_ORDER_TIMEOUT_US UINT64_MAX

/*
 * Calls, and waits for the answer. `ret_text` (NULL: the method returns nothing) is the string that it returns, to be freed.
 * `interactive`: polkit may ask for a password. Returns 0 or, with a sentence:
 * -ENOTCONN there is no daemon; -EACCES not permitted; -EBADMSG its configuration is refused, reterr has the daemon's text as
 * it is; -ETIMEDOUT no answer; -EIO it failed, or something else did; -ENOMEM.
 */
int client_call(sd_bus *bus, const char *method, bool interactive, uint64_t timeout_us, char **ret_text, struct diag *reterr);

/* The same for an order about a node, for as long as that takes; -ENODEV: there is no such node. */
int client_call_node(sd_bus *bus, const char *method, int nid, struct diag *reterr);

/* The error that an answer carries (NULL: none), as one of the above. */
int client_error(const sd_bus_error *error, struct diag *reterr);

/* The exit status for what client_open() and client_call() return. */
int client_exit_status(int error);

/* Prints "tierctl: TEXT" and returns that status. */
int client_report(const struct diag *d);
