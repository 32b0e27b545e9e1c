/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/journal.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "tierd/message-ids.h"
#include "tierd/ring.h"

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
/* Where in tierd's sources an entry was made is no use to an operator, and the same for each. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <systemd/sd-login.h>
#include <time.h>

/* As long as base/log.c makes a message. */
#define MESSAGE_MAX 2304
/*
 * tierd's memory is locked, so all of a stack counts: a thread of the default size would cost 8 MiB. libsystemd's part puts a
 * few hundred bytes per field there; the rest is what the sanitizers need.
 */
#define STACK_SIZE ((size_t) 128 << 10)
/* How long the end waits for a journal that does not take what is queued. */
#define FREE_PATIENCE_S 1
/* What is left to warnings and worse when the queue fills up. */
#define RING_RESERVE (RING_SIZE / 8)

/* A record of the ring: this, then "MESSAGE=…" and the entry's fields, each with a NUL behind it. */
struct record {
        int level;
        sd_id128_t id;
        uint64_t lost;                  /* messages that were dropped just before this one */
};

struct journal {
        pthread_t thread;
        pthread_mutex_t mutex;
        pthread_cond_t changed;         /* the queue, `ending` or `ended` */
        struct journal_sink sink;
        atomic_int max_level, target;
        bool stderr_is_journal;
        bool ending, ended;
        bool abandoned;                 /* journal_free() is gone: the thread frees */
        uint64_t lost;                  /* dropped, and not told yet */
        struct log log;
        struct ring ring;
        /* The thread's own. */
        struct record record;
        char text[sizeof(struct record) + sizeof("MESSAGE=") + MESSAGE_MAX + sizeof(((struct journal_entry *) NULL)->text)];
        char line[2 * MESSAGE_MAX];
};

static const char *const target_names[_JOURNAL_TARGET_MAX] = {
        [JOURNAL_AUTO] = "auto",
        [JOURNAL_JOURNAL] = "journal",
        [JOURNAL_CONSOLE] = "console",
        [JOURNAL_NULL] = "null",
};

const char *journal_target_to_string(enum journal_target target) {
        return target < _JOURNAL_TARGET_MAX ? target_names[target] : "unknown";
}

int journal_target_from_string(const char *text) {
        for (int i = 0; i < _JOURNAL_TARGET_MAX; i++)
                if (strcmp(text, target_names[i]) == 0)
                        return i;
        return -EINVAL;
}

/* -- where it goes -- */

/* $JOURNAL_STREAM holds device and inode of the stream that systemd connected; stderr may have been redirected since. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        uint64_t device, inode;
        struct stat st;

        return stream && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
               st.st_dev == device && st.st_ino == inode;
}

/* "OBJECT_SYSTEMD_UNIT=…", set once, before there are threads; empty: not a unit's process. */
static char unit_field[320];

/*
 * The journal finds a sender's unit by its pid, when it comes to read the message: not for a `tierd --prepare` that has said
 * what is wrong and ended. So the message names its unit itself, in the field that `journalctl -u` takes from root as well.
 */
static void find_unit(void) {
        _cleanup_free_ char *unit = NULL;

        if (sd_pid_get_unit(0, &unit) >= 0)
                (void) snprintf(unit_field, sizeof(unit_field), "OBJECT_SYSTEMD_UNIT=%s", unit);
}

static int send_to_journal(void *userdata, const struct iovec *fields, int n) {
        struct iovec all[JOURNAL_FIELDS_MAX + 5];

        (void) userdata;
        if (!unit_field[0] || n >= (int) ELEMENTSOF(all))
                return sd_journal_sendv(fields, n);
        memcpy(all, fields, (size_t) n * sizeof(*fields));
        all[n] = (struct iovec) { unit_field, strlen(unit_field) };
        return sd_journal_sendv(all, n + 1);
}

/* write(2), not stdio: a thread that is stuck in it must not hold stderr's lock while the process ends. */
static void print_to_stderr(void *userdata, const char *text, size_t len) {
        (void) userdata;
        while (len > 0) {
                ssize_t n = write(STDERR_FILENO, text, len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return;
                text += n;
                len -= (size_t) n;
        }
}

static const char *level_name(int level) {
        if (level <= LOG_ERR)
                return "error: ";
        return level == LOG_WARNING ? "warning: " : "";
}

/* Further lines of a message are set in, so that none is taken for a message of its own. */
static void print_message(struct journal *j, int level, const char *message) {
        size_t len, size = sizeof(j->line) - 1;

        len = (size_t) snprintf(j->line, size, "tierd: %s", level_name(level));
        for (; *message && len + 3 < size; message++) {
                j->line[len++] = *message;
                if (*message == '\n') {
                        j->line[len++] = ' ';
                        j->line[len++] = ' ';
                }
        }
        j->line[len++] = '\n';
        j->sink.print(j->sink.userdata, j->line, len);
}

static bool to_journal(const struct journal *j) {
        int target = atomic_load(&j->target);

        return target == JOURNAL_JOURNAL || (target == JOURNAL_AUTO && j->stderr_is_journal);
}

/* `text`: len bytes of fields, "MESSAGE=…" first, each with a NUL behind it. */
static void write_fields(struct journal *j, int level, sd_id128_t id, char *text, size_t len) {
        char priority[32], message_id[sizeof("MESSAGE_ID=") + SD_ID128_STRING_MAX], *message = strchr(text, '=') + 1;
        static char identifier[] = "SYSLOG_IDENTIFIER=tierd";
        struct iovec fields[JOURNAL_FIELDS_MAX + 4];
        int n = 0;

        if (atomic_load(&j->target) == JOURNAL_NULL)
                return;
        if (to_journal(j)) {
                (void) snprintf(priority, sizeof(priority), "PRIORITY=%d", level);
                fields[n++] = (struct iovec) { priority, strlen(priority) };
                fields[n++] = (struct iovec) { identifier, sizeof(identifier) - 1 };
                if (!sd_id128_is_null(id)) {
                        (void) snprintf(message_id, sizeof(message_id), "MESSAGE_ID=" SD_ID128_FORMAT_STR,
                                        SD_ID128_FORMAT_VAL(id));
                        fields[n++] = (struct iovec) { message_id, strlen(message_id) };
                }
                for (char *p = text; p < text + len && n < (int) ELEMENTSOF(fields); p += strlen(p) + 1)
                        fields[n++] = (struct iovec) { p, strlen(p) };
                if (j->sink.send(j->sink.userdata, fields, n) >= 0)
                        return;
        }
        print_message(j, level, message);
}

static void write_lost(struct journal *j, uint64_t lost) {
        struct journal_entry e = {};
        char text[256];
        int n;

        if (journal_level(j) < LOG_WARNING)
                return;
        n = snprintf(text, sizeof(text), "MESSAGE=%" PRIu64 " message%s of tierd's lost here: the journal did not take them",
                     lost, lost == 1 ? "" : "s");
        journal_add(&e, "TIERD_LOST", "%" PRIu64, lost);
        memcpy(text + n + 1, e.text, e.used);
        write_fields(j, LOG_WARNING, MESSAGE_MESSAGES_LOST, text, (size_t) n + 1 + e.used);
}

/* -- the thread -- */

static struct journal *journal_destroy(struct journal *j) {
        (void) pthread_cond_destroy(&j->changed);
        (void) pthread_mutex_destroy(&j->mutex);
        free(j);
        return NULL;
}

/* Takes the next thing to write, waiting for it; 0: there will be none. Called and left with the lock held. */
static size_t journal_next(struct journal *j, uint64_t *ret_lost) {
        size_t len;

        while (ring_is_empty(&j->ring) && j->lost == 0 && !j->ending)
                (void) pthread_cond_wait(&j->changed, &j->mutex);
        if (j->abandoned)
                return 0;
        len = ring_take(&j->ring, j->text, sizeof(j->text));
        if (len > 0) {
                memcpy(&j->record, j->text, sizeof(j->record));
                *ret_lost = j->record.lost;
                return len;
        }
        *ret_lost = j->lost;
        j->lost = 0;
        return *ret_lost > 0 ? sizeof(j->record) : 0;
}

static void *journal_main(void *argument) {
        struct journal *j = argument;
        bool abandoned;
        uint64_t lost;
        size_t len;

        (void) pthread_mutex_lock(&j->mutex);
        while ((len = journal_next(j, &lost)) > 0) {
                (void) pthread_mutex_unlock(&j->mutex);
                if (lost > 0)
                        write_lost(j, lost);
                if (len > sizeof(j->record))
                        write_fields(j, j->record.level, j->record.id, j->text + sizeof(j->record), len - sizeof(j->record));
                (void) pthread_mutex_lock(&j->mutex);
        }
        j->ended = true;
        abandoned = j->abandoned;
        (void) pthread_cond_broadcast(&j->changed);
        (void) pthread_mutex_unlock(&j->mutex);
        /* From here on `j` is journal_free()'s, unless that has given up. */
        if (abandoned)
                journal_destroy(j);
        return NULL;
}

static int start_thread(struct journal *j) {
        pthread_attr_t attributes;
        sigset_t all, before;
        int r;

        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;
        /* Signals are the event loop's. */
        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_attr_setstacksize(&attributes, MAX(STACK_SIZE, (size_t) PTHREAD_STACK_MIN));
        if (r == 0)
                r = pthread_create(&j->thread, &attributes, journal_main, j);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        (void) pthread_attr_destroy(&attributes);
        if (r == 0)
                (void) pthread_setname_np(j->thread, "tierd-journal");
        return -r;
}

/* -- the queue -- */

static void journal_queue(struct journal *j, int level, sd_id128_t id, const struct journal_entry *e, const char *message) {
        struct record record = { .level = level, .id = id };
        struct iovec parts[] = {
                { &record, sizeof(record) },
                { (char *) message, strlen(message) + 1 },
                { e ? (char *) e->text : "", e ? e->used : 0 },
        };

        (void) pthread_mutex_lock(&j->mutex);
        record.lost = j->lost;
        if (ring_put(&j->ring, level <= LOG_WARNING ? 0 : RING_RESERVE, parts, ELEMENTSOF(parts)))
                j->lost = 0;
        else
                j->lost++;
        (void) pthread_cond_broadcast(&j->changed);
        (void) pthread_mutex_unlock(&j->mutex);
}

static bool is_wanted(const struct journal *j, int level) {
        return level <= journal_level(j) && journal_target(j) != JOURNAL_NULL;
}

static void write_plain(void *userdata, int level, const char *message) {
        journal_send(userdata, level, SD_ID128_NULL, NULL, "%s", message);
}

void journal_send(struct journal *j, int level, sd_id128_t id, const struct journal_entry *e, const char *format, ...) {
        static const char name[] = "MESSAGE=";
        char message[sizeof(name) + MESSAGE_MAX];
        va_list ap;

        if (!is_wanted(j, level))
                return;
        memcpy(message, name, sizeof(name));
        va_start(ap, format);
        (void) vsnprintf(message + sizeof(name) - 1, MESSAGE_MAX, format, ap);
        va_end(ap);
        make_printable(message);
        journal_queue(j, level, id, e, message);
}

static bool is_field_name(const char *name) {
        size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

        /* The journal's own rule: at most 64 characters, and neither a digit nor an underscore first. */
        return len > 0 && len <= 64 && name[len] == '\0' && name[0] >= 'A' && name[0] <= 'Z';
}

void journal_add(struct journal_entry *e, const char *name, const char *format, ...) {
        size_t room = sizeof(e->text) - e->used;
        char *at = e->text + e->used;
        va_list ap;
        int head, tail;

        head = is_field_name(name) && e->n < JOURNAL_FIELDS_MAX ? snprintf(at, room, "%s=", name) : -1;
        if (head < 0 || (size_t) head >= room) {
                e->left_out++;
                return;
        }
        va_start(ap, format);
        tail = vsnprintf(at + head, room - (size_t) head, format, ap);
        va_end(ap);
        if (tail < 0 || (size_t) tail >= room - (size_t) head) {
                e->left_out++;
                return;
        }
        make_printable(at + head);
        e->used += (size_t) head + (size_t) tail + 1;
        e->n++;
}

/* -- lifetime and settings -- */

int journal_new_to(int max_level, const struct journal_sink *sink, struct journal **ret) {
        pthread_condattr_t attributes;
        struct journal *j;
        int r;

        j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        j->sink = *sink;
        j->stderr_is_journal = stderr_is_journal();
        journal_set_level(j, max_level);
        /* The level changes while others read it, so the handle lets everything through to journal_send(). */
        j->log = (struct log) { .write = write_plain, .userdata = j, .max_level = LOG_DEBUG };
        (void) pthread_mutex_init(&j->mutex, NULL);
        (void) pthread_condattr_init(&attributes);
        (void) pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        (void) pthread_cond_init(&j->changed, &attributes);
        (void) pthread_condattr_destroy(&attributes);
        r = start_thread(j);
        if (r < 0) {
                journal_destroy(j);
                return r;
        }
        *ret = j;
        return 0;
}

int journal_new(int max_level, struct journal **ret) {
        if (stderr_is_journal())
                find_unit();
        return journal_new_to(max_level, &(struct journal_sink) { .send = send_to_journal, .print = print_to_stderr }, ret);
}

/*
 * A thread that is stuck in the journal's socket can be neither ended nor waited for, so it is left behind, with all that it
 * will touch when the kernel lets it go: `j`, which it frees then. As a rule the process ends first.
 */
struct journal *journal_free(struct journal *j) {
        struct timespec deadline;
        pthread_t thread;

        if (!j)
                return NULL;
        (void) clock_gettime(CLOCK_MONOTONIC, &deadline);
        deadline.tv_sec += FREE_PATIENCE_S;
        thread = j->thread;
        (void) pthread_mutex_lock(&j->mutex);
        j->ending = true;
        (void) pthread_cond_broadcast(&j->changed);
        while (!j->ended && pthread_cond_timedwait(&j->changed, &j->mutex, &deadline) != ETIMEDOUT)
                ;
        j->abandoned = !j->ended;
        if (j->abandoned) {
                (void) pthread_mutex_unlock(&j->mutex);
                (void) pthread_detach(thread);
                return NULL;
        }
        (void) pthread_mutex_unlock(&j->mutex);
        (void) pthread_join(thread, NULL);
        return journal_destroy(j);
}

void journal_set_level(struct journal *j, int max_level) {
        atomic_store(&j->max_level, MAX(LOG_EMERG, MIN(max_level, LOG_DEBUG)));
}

int journal_level(const struct journal *j) {
        return atomic_load(&j->max_level);
}

void journal_set_target(struct journal *j, enum journal_target target) {
        atomic_store(&j->target, (int) target);
}

enum journal_target journal_target(const struct journal *j) {
        return (enum journal_target) atomic_load(&j->target);
}

const struct log *journal_log(struct journal *j) {
        return &j->log;
}
