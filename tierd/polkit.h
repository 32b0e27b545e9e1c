/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

/*
 * polkit (org.freedesktop.PolicyKit1.Authority), asked whether a caller on the bus may do something. Never blocks: the answer
 * comes to a handler, or does not come until the call times out.
 */

/*
 * Asks. `sender` is the caller's unique name; `interactive`: polkit may ask the person behind it for a password, which takes
 * its time. `id` names the question for polkit_cancel(). The handler gets what polkit_read() takes. Dropping *ret_call drops
 * the answer. 0 or a negative errno of sd-bus.
 */
int polkit_ask(sd_bus *bus, const char *sender, const char *action, bool interactive, const char *id,
               sd_bus_message_handler_t answered, void *userdata, sd_bus_slot **ret_call);

/* Nobody waits for the answer any more: a dialog that stands open is closed. */
void polkit_cancel(sd_bus *bus, const char *id);

enum polkit_answer {
        POLKIT_YES,
        POLKIT_NO,
        POLKIT_CHALLENGE,       /* a password would do, but the caller did not allow that it be asked for */
        POLKIT_ABSENT,          /* there is no polkit here */
        POLKIT_FAILED,          /* it did not answer, or with an error: ret_text says which */
};

/* Reads the answer; a message that is none is POLKIT_FAILED. */
enum polkit_answer polkit_read(sd_bus_message *answer, char *ret_text, size_t size);
