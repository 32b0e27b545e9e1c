/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/utf8.h"
#include "tierd/bus-internal.h"
#include "tierd/polkit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * Who a caller is, the bus is asked: it knows by the socket, while a look into /proc needs privileges that tierd does not have,
 * and finds another process if the caller is gone. Names of connections are never used again, so the answer is about the
 * caller.
 *
 * All of it is asynchronous. (sd-bus's own checks of privileges, those of methods not marked as unprivileged, and
 * sd_bus_query_sender_creds() wait for the bus's answer inside the event loop.)
 */

/*
 * More than any number of operators; each holds a message and three matches and calls. What polkit takes its time over is
 * bounded apart, so that callers without a password cannot keep root waiting.
 */
#define REQUESTS_MAX 64
#define AT_POLKIT_MAX 16

struct bus_request {
        struct bus *bus;
        struct bus_request *previous, *next;
        enum request_kind kind;
        int number;
        const char *target;
        sd_bus_message *message;        /* NULL: its caller has gone */
        sd_bus_slot *watch;             /* tells that the caller has gone */
        sd_bus_slot *call;              /* the question at hand, to the bus or to polkit */
        char question[48];              /* its name for polkit; "": polkit is not being asked */
        bool handed;                    /* the daemon has it, and ends it by bus_request_finish() */
};

static const struct {
        const char *verb;
        const char *action;             /* NULL: for root alone */
} kinds[] = {
        [REQUEST_RELOAD] = { "reload tierd's configuration", "org.tierd1.reload" },
        [REQUEST_PAUSE] = { "pause tierd", "org.tierd1.pause" },
        [REQUEST_RESUME] = { "let tierd go on", "org.tierd1.pause" },
        [REQUEST_DRAIN] = { "have a node drained", "org.tierd1.drain" },
        [REQUEST_UNDRAIN] = { "have a node used again", "org.tierd1.drain" },
        [REQUEST_LOG_LEVEL] = { "change what tierd logs", NULL },
        [REQUEST_LOG_TARGET] = { "change where tierd logs to", NULL },
};

static void leave_polkit(struct bus_request *q) {
        if (q->question[0] == '\0')
                return;
        q->question[0] = '\0';
        q->bus->n_at_polkit--;
}

static struct bus_request *request_free(struct bus_request *q) {
        if (!q)
                return NULL;
        leave_polkit(q);
        if (q->previous)
                q->previous->next = q->next;
        else
                q->bus->requests = q->next;
        if (q->next)
                q->next->previous = q->previous;
        q->bus->n_requests--;
        sd_bus_slot_unref(q->call);
        sd_bus_slot_unref(q->watch);
        sd_bus_message_unref(q->message);
        free(q);
        return NULL;
}

/* Answers and ends; name NULL: done. `text` may hold any bytes. */
static void request_answer(struct bus_request *q, const char *name, const char *text) {
        if (q->message && !name)
                (void) sd_bus_reply_method_return(q->message, NULL);
        else if (q->message) {
                _cleanup_free_ char *repaired = strdup(text);

                (void) sd_bus_reply_method_errorf(q->message, name, "%s", repaired ? utf8_repair(repaired) : "out of memory");
        }
        request_free(q);
}

static void __attribute__((format(printf, 2, 3))) request_deny(struct bus_request *q, const char *format, ...) {
        char text[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        request_answer(q, SD_BUS_ERROR_ACCESS_DENIED, text);
}

/* The caller may: it is done, or handed to the daemon. */
static void request_carry_out(struct bus_request *q) {
        const struct bus *b = q->bus;
        int r;

        switch (q->kind) {
        case REQUEST_RELOAD:
                q->handed = true;
                b->handlers.reload(b->userdata, q);
                return;
        case REQUEST_PAUSE:
        case REQUEST_RESUME:
                q->handed = true;
                b->handlers.pause(b->userdata, q->kind == REQUEST_PAUSE, q);
                return;
        case REQUEST_DRAIN:
        case REQUEST_UNDRAIN:
                q->handed = true;
                b->handlers.drain(b->userdata, q->number, q->kind == REQUEST_DRAIN, q);
                return;
        case REQUEST_LOG_LEVEL:
                r = b->handlers.set_level(b->userdata, q->number);
                break;
        case REQUEST_LOG_TARGET:
                r = b->handlers.set_target(b->userdata, q->target);
                break;
        default:
                r = -EINVAL;
        }
        request_answer(q, r < 0 ? SD_BUS_ERROR_INVALID_ARGS : NULL, "there is no such level, or target, of tierd's log");
}

static int on_polkit_answered(sd_bus_message *answer, void *userdata, sd_bus_error *reterr) {
        struct bus_request *q = userdata;
        const char *verb = kinds[q->kind].verb, *action = kinds[q->kind].action;
        char text[256];

        (void) reterr;
        leave_polkit(q);
        q->call = sd_bus_slot_unref(q->call);
        switch (polkit_read(answer, text, sizeof(text))) {
        case POLKIT_YES:
                request_carry_out(q);
                break;
        case POLKIT_CHALLENGE:
                (void) snprintf(text, sizeof(text), "polkit wants a password before you may %s (%s)", verb, action);
                request_answer(q, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, text);
                break;
        case POLKIT_ABSENT:
                request_deny(q, "only root may %s: there is no polkit here that could permit it to others", verb);
                break;
        case POLKIT_FAILED:
                request_deny(q, "only root may %s: polkit, which could permit it to others, failed: %s", verb, text);
                break;
        default:
                request_deny(q, "only root may %s: polkit does not permit it to you (%s)", verb, action);
        }
        return 0;
}

static void ask_polkit(struct bus_request *q) {
        struct bus *b = q->bus;
        int r;

        if (!kinds[q->kind].action) {
                request_deny(q, "only root may %s", kinds[q->kind].verb);
                return;
        }
        if (b->n_at_polkit >= AT_POLKIT_MAX) {
                request_answer(q, SD_BUS_ERROR_LIMITS_EXCEEDED,
                               "too many callers wait for polkit's permission already; try again later");
                return;
        }
        (void) snprintf(q->question, sizeof(q->question), "tierd-%" PRIu64, ++b->n_questions);
        b->n_at_polkit++;
        r = polkit_ask(b->connection, sd_bus_message_get_sender(q->message), kinds[q->kind].action,
                       sd_bus_message_get_allow_interactive_authorization(q->message) > 0, q->question, on_polkit_answered, q,
                       &q->call);
        if (r < 0)
                request_deny(q, "cannot ask polkit whether you may %s: %s", kinds[q->kind].verb, strerror(-r));
}

static int on_user_told(sd_bus_message *answer, void *userdata, sd_bus_error *reterr) {
        struct bus_request *q = userdata;
        uint32_t uid;

        (void) reterr;
        q->call = sd_bus_slot_unref(q->call);
        if (sd_bus_message_is_method_error(answer, NULL) || sd_bus_message_read(answer, "u", &uid) < 0)
                /* It has gone, and reads no answer; else the bus is ill. */
                request_deny(q, "the bus does not tell who you are");
        else if (uid == 0)
                request_carry_out(q);
        else
                ask_polkit(q);
        return 0;
}

static int on_caller_gone(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        struct bus_request *q = userdata;

        (void) m;
        (void) reterr;
        if (q->handed) {
                q->message = sd_bus_message_unref(q->message);
                q->watch = sd_bus_slot_unref(q->watch);
                return 0;
        }
        if (q->question[0] != '\0')
                polkit_cancel(q->bus->connection, q->question);
        request_free(q);
        return 0;
}

/* Without a handler of its own, a match that the bus refuses would end the connection; here it costs a place for longer. */
static int on_watching(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        (void) m;
        (void) userdata;
        (void) reterr;
        return 0;
}

int request_begin(struct bus *b, sd_bus_message *m, enum request_kind kind, int number, const char *target,
                  sd_bus_error *reterr) {
        const char *sender = sd_bus_message_get_sender(m);
        struct bus_request *q;
        char match[256];
        int r;

        if (!sender || strlen(sender) > 64)
                return sd_bus_error_setf(reterr, SD_BUS_ERROR_ACCESS_DENIED, "the caller has no name on the bus");
        if (b->n_requests >= REQUESTS_MAX)
                return sd_bus_error_setf(reterr, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "tierd has %u requests to answer before this one; try again later", REQUESTS_MAX);
        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        *q = (struct bus_request) {
                .bus = b,
                .next = b->requests,
                .kind = kind,
                .number = number,
                .target = target,
                .message = sd_bus_message_ref(m),
        };
        if (q->next)
                q->next->previous = q;
        b->requests = q;
        b->n_requests++;

        /* In this order: if the caller goes between the two, the second question fails; after them, the match tells. */
        (void) snprintf(match, sizeof(match),
                        "type='signal',sender='" DRIVER_NAME "',path='" DRIVER_PATH "',interface='" DRIVER_INTERFACE
                        "',member='NameOwnerChanged',arg0='%s'",
                        sender);
        r = sd_bus_add_match_async(b->connection, &q->watch, match, on_caller_gone, on_watching, q);
        if (r >= 0)
                r = sd_bus_call_method_async(b->connection, &q->call, DRIVER_NAME, DRIVER_PATH, DRIVER_INTERFACE,
                                             "GetConnectionUnixUser", on_user_told, q, "s", sender);
        if (r < 0) {
                request_free(q);
                return r;
        }
        return 1;
}

void requests_abandon(struct bus *b) {
        for (struct bus_request *q = b->requests, *next; q; q = next) {
                next = q->next;
                if (!q->handed) {
                        request_free(q);
                        continue;
                }
                q->message = sd_bus_message_unref(q->message);
                q->watch = sd_bus_slot_unref(q->watch);
        }
}

void requests_end(struct bus *b) {
        while (b->requests)
                request_answer(b->requests, BUS_ERROR("Stopping"), "tierd stops");
}

void bus_request_finish(struct bus_request *request, int error, const char *text) {
        const char *name;

        switch (error) {
        case 0:
                name = NULL;
                break;
        case -ENOMEM:
                name = SD_BUS_ERROR_NO_MEMORY;
                break;
        case -ESHUTDOWN:
                name = BUS_ERROR("Stopping");
                break;
        case -ENODEV:
                name = BUS_ERROR("NoSuchNode");
                break;
        /* A file that cannot be read or is wrong, and a plan that cannot be. The rest is the kernel's, or tierd's own. */
        case -EBADMSG:
        case -EFBIG:
        case -ENOENT:
        case -EACCES:
        case -EPERM:
        case -EISDIR:
        case -ENOTDIR:
        case -ELOOP:
        case -EINVAL:
        case -EOPNOTSUPP:
                name = request->kind == REQUEST_RELOAD ? BUS_ERROR("InvalidConfiguration") : BUS_ERROR("Failed");
                break;
        default:
                name = BUS_ERROR("Failed");
        }
        request_answer(request, name, text && *text ? text : strerror(-error));
}
