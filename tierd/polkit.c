/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/polkit.h"
#include "base/cleanup.h"

#include <stdint.h>

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

/* AllowUserInteraction of CheckAuthorization()'s flags; see polkit's D-Bus interface. */
#define ALLOW_USER_INTERACTION UINT32_C(1)

/* A rule is looked up in no time; a person types a password in a minute or two, or has left. */
#define RULE_TIMEOUT_US UINT64_C(25000000)
#define PERSON_TIMEOUT_US UINT64_C(120000000)

static inline void message_unrefp(sd_bus_message **m) {
        (void) sd_bus_message_unref(*m);
}

int polkit_ask(sd_bus *bus, const char *sender, const char *action, bool interactive, const char *id,
               sd_bus_message_handler_t answered, void *userdata, sd_bus_slot **ret_call) {
        _cleanup_(message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization");
        if (r < 0)
                return r;
        /* The subject, the action, no details, the flags, and what polkit_cancel() will call it. */
        r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s", sender, action, 0,
                                  interactive ? ALLOW_USER_INTERACTION : 0, id);
        if (r < 0)
                return r;
        r = sd_bus_call_async(bus, ret_call, m, answered, userdata, interactive ? PERSON_TIMEOUT_US : RULE_TIMEOUT_US);
        return r < 0 ? r : 0;
}

void polkit_cancel(sd_bus *bus, const char *id) {
        /* Where it cannot be sent there is nobody to be told. */
        (void) sd_bus_call_method_async(bus, NULL, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CancelCheckAuthorization", NULL,
                                        NULL, "s", id);
}

enum polkit_answer polkit_read(sd_bus_message *answer, char *ret_text, size_t size) {
        const sd_bus_error *error = sd_bus_message_get_error(answer);
        int authorised, challenge;

        ret_text[0] = '\0';
        if (sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                return POLKIT_ABSENT;
        if (error) {
                (void) snprintf(ret_text, size, "%s", error->message ? error->message : error->name);
                return POLKIT_FAILED;
        }
        if (sd_bus_message_enter_container(answer, 'r', "bba{ss}") <= 0 ||
            sd_bus_message_read(answer, "bb", &authorised, &challenge) < 0) {
                (void) snprintf(ret_text, size, "its answer is not of the form that was expected");
                return POLKIT_FAILED;
        }
        if (authorised)
                return POLKIT_YES;
        return challenge ? POLKIT_CHALLENGE : POLKIT_NO;
}
