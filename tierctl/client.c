/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/client.h"
#include "tierctl/tierctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TIERD_NAME "org.tierd1"

static inline void message_unrefp(sd_bus_message **m) {
        (void) sd_bus_message_unref(*m);
}
#define _cleanup_message_ _cleanup_(message_unrefp)
#define _cleanup_bus_error_ _cleanup_(sd_bus_error_free)

int client_open(sd_bus **ret, struct diag *reterr) {
        sd_bus *bus = NULL;
        int r;

        r = sd_bus_open_system_with_description(&bus, "tierctl");
        if (r == -ENOMEM)
                return diag_set(reterr, r, "out of memory");
        if (r < 0)
                return diag_set(reterr, -ENOTCONN, "cannot reach the system bus, and with it tierd: %s; is dbus running?",
                                strerror(-r));
        *ret = bus;
        return 0;
}

int client_new_call(sd_bus *bus, const char *method, bool interactive, sd_bus_message **ret) {
        _cleanup_message_ sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, TIERD_NAME, "/org/tierd1", "org.tierd1.Manager", method);
        if (r < 0)
                return r;
        /* Whether tierd runs is for its unit to say, not for whoever asks. */
        r = sd_bus_message_set_auto_start(m, false);
        if (r < 0)
                return r;
        r = sd_bus_message_set_allow_interactive_authorization(m, interactive);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int client_error(const sd_bus_error *error, struct diag *reterr) {
        const char *text = error && error->message ? error->message : "it does not say why";

        if (!error || !error->name)
                return 0;
        if (sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                return diag_set(reterr, -ENOTCONN,
                                "tierd is not running; `systemctl start tierd` starts it, and `journalctl -u tierd` tells why "
                                "it ended");
        if (sd_bus_error_has_name(error, "org.tierd1.Error.Stopping"))
                return diag_set(reterr, -ENOTCONN, "tierd is being stopped");
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
                return diag_set(reterr, -EACCES, "not permitted: %s", text);
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED))
                return diag_set(reterr, -EACCES,
                                "not permitted: %s; try again as root, or beside an agent that asks for it (pkttyagent)", text);
        if (sd_bus_error_has_name(error, "org.tierd1.Error.InvalidConfiguration"))
                return diag_set(reterr, -EBADMSG, "%s", text);
        if (sd_bus_error_has_name(error, "org.tierd1.Error.NoSuchNode"))
                return diag_set(reterr, -ENODEV, "%s", text);
        if (sd_bus_error_has_names(error, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT))
                return diag_set(reterr, -ETIMEDOUT, "tierd does not answer; `journalctl -u tierd` may tell why");
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_DISCONNECTED))
                return diag_set(reterr, -ENOTCONN, "the system bus closed the connection");
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_METHOD))
                return diag_set(reterr, -EIO, "this tierd does not know how to do that; is it of another version?");
        return diag_set(reterr, -EIO, "%s", text);
}

/* sd-bus words the end of the daemon within a call like a call that took too long. */
static bool is_gone(sd_bus *bus) {
        _cleanup_message_ sd_bus_message *answer = NULL;
        int owned;

        return sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
                                  NULL, &answer, "s", TIERD_NAME) >= 0 &&
               sd_bus_message_read(answer, "b", &owned) > 0 && !owned;
}

static int send(sd_bus *bus, sd_bus_message *m, uint64_t timeout_us, sd_bus_message **ret, struct diag *reterr) {
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        int r, failed;

        r = sd_bus_call(bus, m, timeout_us, &error, ret);
        if (r >= 0)
                return 0;
        failed = client_error(&error, reterr);
        if (failed == -ETIMEDOUT && is_gone(bus))
                return diag_set(reterr, -ENOTCONN, "tierd ended before it answered; `journalctl -u tierd` tells why");
        return failed < 0 ? failed : diag_set(reterr, -EIO, "cannot ask tierd: %s", strerror(-r));
}

int client_call_node(sd_bus *bus, const char *method, int nid, struct diag *reterr) {
        _cleanup_message_ sd_bus_message *m = NULL, *answer = NULL;
        int r;

        r = client_new_call(bus, method, true, &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "i", nid);
        if (r < 0)
                return diag_set(reterr, -ENOMEM, "out of memory");
        return send(bus, m, CLIENT_ORDER_TIMEOUT_US, &answer, reterr);
}

int client_call(sd_bus *bus, const char *method, bool interactive, uint64_t timeout_us, char **ret_text, struct diag *reterr) {
        _cleanup_message_ sd_bus_message *m = NULL, *answer = NULL;
        const char *text;
        char *copy;
        int r;

        r = client_new_call(bus, method, interactive, &m);
        if (r < 0)
                return diag_set(reterr, -ENOMEM, "out of memory");
        r = send(bus, m, timeout_us, &answer, reterr);
        if (r < 0 || !ret_text)
                return r;
        r = sd_bus_message_read(answer, "s", &text);
        if (r < 0)
                return diag_set(reterr, -EIO, "tierd's answer cannot be read; is it of another version?");
        copy = strdup(text);
        if (!copy)
                return diag_set(reterr, -ENOMEM, "out of memory");
        *ret_text = copy;
        return 0;
}

int client_exit_status(int error) {
        switch (error) {
        case 0:
                return EXIT_WELL;
        case -ENOTCONN:
                return EXIT_NO_DAEMON;
        case -EACCES:
                return EXIT_NOT_PERMITTED;
        case -EBADMSG:
        case -ENODEV:
                return EXIT_NO;
        default:
                return EXIT_INTERNAL;
        }
}

int client_report(const struct diag *d) {
        (void) fflush(stdout);
        (void) fprintf(stderr, "tierctl: %s\n", d->text);
        return client_exit_status(d->error);
}
