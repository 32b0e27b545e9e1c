/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/namespace.h"
#include "tierd/journal.h"
#include "tierd/message-ids.h"
#include "tierd/ring.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>

/* -- the ring -- */

static bool put(struct ring *r, size_t spare, const char *text) {
        struct iovec parts[] = { { (char *) text, 1 }, { (char *) text + 1, strlen(text) } };

        return ring_put(r, spare, parts, ELEMENTSOF(parts));
}

static void test_ring(void **state) {
        struct ring *r = calloc(1, sizeof(*r));
        char buf[64], text[64];
        unsigned in = 0, out = 0;

        (void) state;
        assert_non_null(r);
        assert_true(ring_is_empty(r));
        assert_int_equal(ring_take(r, buf, sizeof(buf)), 0);
        /* Many times around, never quite full, of lengths that share no factor with the size. */
        while (in < 100000) {
                unsigned burst = 1 + in % 700;

                for (unsigned i = 0; i < burst; i++, in++) {
                        (void) snprintf(text, sizeof(text), "record %u%.*s", in, (int) (in % 13), "abcdefghijklm");
                        assert_true(put(r, 0, text));
                }
                for (unsigned i = 0; i < burst; i++, out++) {
                        (void) snprintf(text, sizeof(text), "record %u%.*s", out, (int) (out % 13), "abcdefghijklm");
                        assert_int_equal(ring_take(r, buf, sizeof(buf)), strlen(text) + 1);
                        assert_string_equal(buf, text);
                }
                assert_true(ring_is_empty(r));
        }
        /* To the last byte, and not one more. */
        in = 0;
        while (put(r, 100, "0123456"))
                in++;
        assert_int_equal(in, (RING_SIZE - 100) / 12);
        while (put(r, 0, "0123456"))
                in++;
        assert_int_equal(in, RING_SIZE / 12);
        /* What is too long for the reader is cut, and what follows is found. */
        assert_int_equal(ring_take(r, buf, 3), 3);
        assert_memory_equal(buf, "012", 3);
        assert_int_equal(ring_take(r, buf, sizeof(buf)), 8);
        assert_string_equal(buf, "0123456");
        free(r);
}

/* -- a sink of our own -- */

struct drain {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        bool blocked;                   /* the sink does not come back */
        bool inside;                    /* the thread is in it */
        unsigned written;
        int answer;                     /* what `send` returns */
        sigset_t mask;
        char text[512 << 10];           /* all that a full queue holds */
};

static void drain_take(struct drain *d, const char *kind, const struct iovec *fields, size_t n) {
        size_t len;

        (void) pthread_mutex_lock(&d->mutex);
        d->inside = true;
        (void) pthread_cond_broadcast(&d->changed);
        while (d->blocked)
                (void) pthread_cond_wait(&d->changed, &d->mutex);
        len = strlen(d->text);
        len += (size_t) snprintf(d->text + len, sizeof(d->text) - len, "%s", kind);
        for (size_t i = 0; i < n; i++)
                len += (size_t) snprintf(d->text + len, sizeof(d->text) - len, "%.*s\n", (int) fields[i].iov_len,
                                         (const char *) fields[i].iov_base);
        d->written++;
        d->inside = false;
        (void) pthread_cond_broadcast(&d->changed);
        (void) pthread_mutex_unlock(&d->mutex);
}

static int drain_send(void *userdata, const struct iovec *fields, int n) {
        struct drain *d = userdata;

        if (d->answer < 0)
                return d->answer;
        (void) pthread_sigmask(SIG_SETMASK, NULL, &d->mask);
        drain_take(d, "-\n", fields, (size_t) n);
        return 0;
}

static void drain_print(void *userdata, const char *text, size_t len) {
        drain_take(userdata, text[len - 1] == '\n' ? "" : "no line: ", &(struct iovec) { (char *) text, len - 1 }, 1);
}

static void drain_block(struct drain *d, bool blocked) {
        (void) pthread_mutex_lock(&d->mutex);
        d->blocked = blocked;
        (void) pthread_cond_broadcast(&d->changed);
        (void) pthread_mutex_unlock(&d->mutex);
}

static void drain_wait_inside(struct drain *d) {
        (void) pthread_mutex_lock(&d->mutex);
        while (!d->inside)
                (void) pthread_cond_wait(&d->changed, &d->mutex);
        (void) pthread_mutex_unlock(&d->mutex);
}

static void drain_wait_written(struct drain *d, unsigned n) {
        (void) pthread_mutex_lock(&d->mutex);
        while (d->written < n)
                (void) pthread_cond_wait(&d->changed, &d->mutex);
        (void) pthread_mutex_unlock(&d->mutex);
}

static void drain_init(struct drain *d) {
        memset(d, 0, sizeof(*d));
        (void) pthread_mutex_init(&d->mutex, NULL);
        (void) pthread_cond_init(&d->changed, NULL);
}

static struct journal *journal_into(struct drain *d, enum journal_target target, int level) {
        struct journal *j = NULL;

        drain_init(d);
        assert_int_equal(journal_new_to(level, &(struct journal_sink) { drain_send, drain_print, d }, &j), 0);
        journal_set_target(j, target);
        return j;
}

/* -- what is written -- */

static void test_entry(void **state) {
        static struct drain d;
        struct journal_entry e = {};
        struct journal *j = journal_into(&d, JOURNAL_JOURNAL, LOG_INFO);

        (void) state;
        journal_add(&e, "TIERD_SOURCE", "%d", 0);
        journal_add(&e, "TIERD_TEXT", "two\nlines\033[m");
        journal_send(j, LOG_NOTICE, MESSAGE_STALL, &e, "node %d:\n\x9bstalled", 0);
        log_write(journal_log(j), LOG_ERR, "plain");
        assert_null(journal_free(j));
        assert_string_equal(d.text, "-\n"
                                    "PRIORITY=5\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=fa2fddacad9e44ac817468808c041373\n"
                                    "MESSAGE=node 0:\n?stalled\nTIERD_SOURCE=0\nTIERD_TEXT=two\nlines?[m\n"
                                    "-\n"
                                    "PRIORITY=3\nSYSLOG_IDENTIFIER=tierd\nMESSAGE=plain\n");
        /* Signals are the event loop's. */
        assert_true(sigismember(&d.mask, SIGTERM));
        assert_true(sigismember(&d.mask, SIGHUP));
}

static void test_console(void **state) {
        static struct drain d;
        struct journal_entry e = {};
        struct journal *j = journal_into(&d, JOURNAL_CONSOLE, LOG_DEBUG);

        (void) state;
        journal_add(&e, "TIERD_SOURCE", "%d", 0);
        journal_send(j, LOG_INFO, MESSAGE_SAMPLE, &e, "an entry");
        journal_send(j, LOG_WARNING, SD_ID128_NULL, NULL, "careful");
        journal_send(j, LOG_CRIT, SD_ID128_NULL, NULL, "a.yaml:1:1: no\nhere: \033[2Jx\n^");
        assert_null(journal_free(j));
        assert_string_equal(d.text, "tierd: an entry\n"
                                    "tierd: warning: careful\n"
                                    "tierd: error: a.yaml:1:1: no\n  here: ?[2Jx\n  ^\n");
}

/* What the journal refuses is printed instead. */
static void test_refused(void **state) {
        static struct drain d;
        struct journal *j = journal_into(&d, JOURNAL_JOURNAL, LOG_INFO);

        (void) state;
        d.answer = -EPERM;
        journal_send(j, LOG_INFO, MESSAGE_SAMPLE, NULL, "refused");
        assert_null(journal_free(j));
        assert_string_equal(d.text, "tierd: refused\n");
}

static void test_auto(void **state) {
        static struct drain d;
        char stream[64];
        struct journal *j;
        struct stat st;

        (void) state;
        assert_int_equal(fstat(STDERR_FILENO, &st), 0);
        (void) snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino);
        assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
        j = journal_into(&d, JOURNAL_AUTO, LOG_INFO);
        assert_int_equal(journal_target(j), JOURNAL_AUTO);
        log_write(journal_log(j), LOG_INFO, "a");
        journal_free(j);
        assert_string_equal(d.text, "-\nPRIORITY=6\nSYSLOG_IDENTIFIER=tierd\nMESSAGE=a\n");

        /* Another stream than stderr is now. */
        (void) snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino + 1);
        assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
        j = journal_into(&d, JOURNAL_AUTO, LOG_INFO);
        log_write(journal_log(j), LOG_INFO, "a");
        journal_free(j);
        assert_string_equal(d.text, "tierd: a\n");
        assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
}

static void test_level(void **state) {
        static struct drain d;
        struct journal *j = journal_into(&d, JOURNAL_CONSOLE, LOG_INFO);
        const struct log *log = journal_log(j);

        (void) state;
        log_write(log, LOG_DEBUG, "no");
        journal_set_level(j, LOG_DEBUG);
        assert_int_equal(journal_level(j), LOG_DEBUG);
        log_write(log, LOG_DEBUG, "debug");
        journal_set_level(j, LOG_ERR);
        log_write(log, LOG_WARNING, "no");
        journal_send(j, LOG_ERR, MESSAGE_SYSTEM, NULL, "wrong");
        journal_set_level(j, 99);
        assert_int_equal(journal_level(j), LOG_DEBUG);
        journal_set_level(j, -1);
        assert_int_equal(journal_level(j), LOG_EMERG);
        journal_set_level(j, LOG_INFO);
        drain_wait_written(&d, 2);
        journal_set_target(j, JOURNAL_NULL);
        log_write(log, LOG_ERR, "no");
        journal_set_target(j, JOURNAL_JOURNAL);
        log_write(log, LOG_ERR, "yes");
        journal_free(j);
        assert_string_equal(d.text, "tierd: debug\ntierd: error: wrong\n-\nPRIORITY=3\nSYSLOG_IDENTIFIER=tierd\nMESSAGE=yes\n");
}

static void test_targets(void **state) {
        (void) state;
        for (int i = 0; i < _JOURNAL_TARGET_MAX; i++)
                assert_int_equal(journal_target_from_string(journal_target_to_string((enum journal_target) i)), i);
        assert_int_equal(journal_target_from_string("kmsg"), -EINVAL);
        assert_int_equal(journal_target_from_string(""), -EINVAL);
}

static void test_fields(void **state) {
        static struct journal_entry e;
        static char longest[sizeof(e.text)];

        (void) state;
        memset(longest, 'x', sizeof(longest) - 1);
        journal_begin(&e);
        journal_add(&e, "", "1");
        journal_add(&e, "_PID", "1");
        journal_add(&e, "1ST", "1");
        journal_add(&e, "tierd", "1");
        journal_add(&e, "TIERD=X", "1");
        journal_add(&e, "TIERD X", "1");
        journal_add(&e, "TIERD_0123456789012345678901234567890123456789012345678901234567X", "1");
        journal_add(&e, "TIERD_LONG", "%s", longest);
        assert_int_equal(e.left_out, 8);
        assert_int_equal(e.n, 0);
        assert_int_equal(e.used, 0);

        journal_add(&e, "TIERD_0123456789012345678901234567890123456789012345678901234567", "%s", "");
        assert_int_equal(e.n, 1);
        assert_int_equal(e.left_out, 8);
        /* To the last byte. */
        journal_begin(&e);
        journal_add(&e, "A", "%s", longest + 2);
        assert_int_equal(e.used, sizeof(e.text));
        assert_int_equal(e.left_out, 0);
        journal_add(&e, "A", "%s", "");
        assert_int_equal(e.left_out, 1);

        journal_begin(&e);
        for (int i = 0; i < JOURNAL_FIELDS_MAX + 1; i++)
                journal_add(&e, "A", "%d", i);
        assert_int_equal(e.n, JOURNAL_FIELDS_MAX);
        assert_int_equal(e.left_out, 1);
}

/* As many fields, and as much text, as there may be. */
static void test_largest(void **state) {
        static struct drain d;
        static struct journal_entry e;
        static char longest[8192];
        struct journal *j = journal_into(&d, JOURNAL_JOURNAL, LOG_INFO);
        unsigned lines = 0;

        (void) state;
        memset(longest, 'x', sizeof(longest) - 1);
        for (int i = 0; i < JOURNAL_FIELDS_MAX - 1; i++)
                journal_add(&e, "TIERD_A", "%d", i);
        journal_add(&e, "TIERD_Z", "%.*s", (int) (sizeof(e.text) - e.used - sizeof("TIERD_Z=")), longest);
        assert_int_equal(e.left_out, 0);
        assert_int_equal(e.used, sizeof(e.text));
        journal_send(j, LOG_ERR, MESSAGE_SYSTEM, &e, "%s", longest);
        journal_free(j);
        for (const char *p = d.text; *p; p++)
                lines += *p == '\n';
        assert_int_equal(lines, 1 + 4 + JOURNAL_FIELDS_MAX);
        assert_non_null(strstr(d.text, "\nMESSAGE=xxxx"));
        assert_non_null(strstr(d.text, "\nTIERD_Z=xxxx"));
}

/* -- a journal that does not take them -- */

/* How many lines there are, numbered from 0 in order; what is lost is between them, and told where it was lost. */
static void assert_in_order(const char *text, unsigned sent) {
        unsigned next = 0, number, lost;

        while (*text) {
                if (sscanf(text, "tierd: message %u\n", &number) == 1)
                        assert_int_equal(number, next++);
                else if (sscanf(text, "tierd: warning: %u message", &lost) == 1)
                        next += lost;
                else
                        fail_msg("%.60s", text);
                text = strchr(text, '\n') + 1;
        }
        assert_int_equal(next, sent);
}

static void test_overflow(void **state) {
        static struct drain d;
        struct journal *j = journal_into(&d, JOURNAL_CONSOLE, LOG_INFO);
        unsigned i = 0;

        (void) state;
        drain_block(&d, true);
        journal_send(j, LOG_INFO, SD_ID128_NULL, NULL, "message %u", i++);
        drain_wait_inside(&d);
        /* Far more than fits in: none of this waits. */
        for (; i < 10000; i++)
                journal_send(j, LOG_INFO, SD_ID128_NULL, NULL, "message %u", i);
        /* Some room is kept for warnings. (assert_in_order() takes this one for a note of one lost message.) */
        journal_send(j, LOG_WARNING, SD_ID128_NULL, NULL, "1 message of a warning");
        i++;
        drain_block(&d, false);
        assert_null(journal_free(j));
        assert_non_null(strstr(d.text, "messages of tierd's lost here: the journal did not take them\n"));
        assert_in_order(d.text, i);
        assert_non_null(strstr(d.text, "tierd: warning: 1 message of a warning\n"));
}

/* Nothing is sent after the loss: it is told all the same, with a count as a field. */
static void test_lost_at_last(void **state) {
        static struct drain d;
        struct journal *j = journal_into(&d, JOURNAL_JOURNAL, LOG_ERR);
        static struct journal_entry e;
        static char longest[4000];
        unsigned sent = 0, lost = 0;
        const char *note;

        (void) state;
        memset(longest, 'x', sizeof(longest) - 1);
        journal_add(&e, "TIERD_A", "%s", longest);
        drain_block(&d, true);
        journal_send(j, LOG_ERR, SD_ID128_NULL, NULL, "first");
        drain_wait_inside(&d);
        for (; sent < 1000; sent++)
                journal_send(j, LOG_ERR, SD_ID128_NULL, &e, "x");
        journal_set_level(j, LOG_WARNING);
        drain_block(&d, false);
        journal_free(j);
        note = strstr(d.text, "PRIORITY=4\nSYSLOG_IDENTIFIER=tierd\nMESSAGE_ID=3ce3d264ff3546be902a9bb225373e01\nMESSAGE=");
        assert_non_null(note);
        assert_int_equal(sscanf(strstr(note, "TIERD_LOST="), "TIERD_LOST=%u\n", &lost), 1);
        /* Each write is an entry: the first one, those that were queued, and the note. */
        assert_int_equal(d.written - 2 + lost, sent);
        assert_null(strstr(note, "MESSAGE=x"));
}

/* -- the end -- */

static uint64_t now_us(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

static void test_free_flushes(void **state) {
        static struct drain d;

        (void) state;
        assert_null(journal_free(NULL));
        for (unsigned i = 0; i < 200; i++) {
                struct journal *j = journal_into(&d, JOURNAL_CONSOLE, LOG_INFO);

                for (unsigned n = 0; n < i; n++)
                        journal_send(j, LOG_INFO, SD_ID128_NULL, NULL, "message %u", n);
                assert_null(journal_free(j));
                assert_int_equal(d.written, i);
                assert_in_order(d.text, i);
        }
}

/* The thread is left behind, and frees what it uses when the sink comes back: valgrind and AddressSanitizer look at it. */
static void test_free_stuck(void **state) {
        static struct drain d;
        struct journal *j = journal_into(&d, JOURNAL_CONSOLE, LOG_INFO);
        uint64_t begun;

        (void) state;
        drain_block(&d, true);
        journal_send(j, LOG_INFO, SD_ID128_NULL, NULL, "message 0");
        journal_send(j, LOG_INFO, SD_ID128_NULL, NULL, "never written");
        drain_wait_inside(&d);
        begun = now_us();
        assert_null(journal_free(j));
        assert_true(now_us() - begun >= 900000);
        drain_block(&d, false);
        drain_wait_written(&d, 1);
        assert_string_equal(d.text, "tierd: message 0\n");
}

struct writer {
        struct journal *journal;
        unsigned id;
};

static void *write_many(void *argument) {
        const struct writer *w = argument;

        for (unsigned i = 0; i < 100; i++) {
                journal_set_level(w->journal, i % 2 ? LOG_INFO : LOG_NOTICE);
                log_write(journal_log(w->journal), LOG_NOTICE, "w%u %u", w->id, i);
        }
        return NULL;
}

/* Each thread's messages stay in their order. */
static void test_threads(void **state) {
        static struct drain d;
        struct journal *j = journal_into(&d, JOURNAL_CONSOLE, LOG_INFO);
        struct writer writers[4];
        pthread_t threads[4];
        unsigned next[4] = {}, id, i;

        (void) state;
        for (id = 0; id < 4; id++) {
                writers[id] = (struct writer) { j, id };
                assert_int_equal(pthread_create(threads + id, NULL, write_many, writers + id), 0);
        }
        for (id = 0; id < 4; id++)
                assert_int_equal(pthread_join(threads[id], NULL), 0);
        journal_free(j);
        for (const char *p = d.text; *p; p = strchr(p, '\n') + 1) {
                assert_int_equal(sscanf(p, "tierd: w%u %u\n", &id, &i), 2);
                assert_int_equal(i, next[id]++);
        }
        for (id = 0; id < 4; id++)
                assert_int_equal(next[id], 100);
}

/* -- the journal's own socket, where a mount namespace can be had -- */

#define SOCKET_DIRECTORY "/run/systemd/journal"

/* Our own journald, so to speak: the socket, and nobody who reads it yet. */
static int fake_journald(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET_DIRECTORY "/socket" };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || !namespace_enter() || mount("none", "/run", "tmpfs", 0, NULL) < 0 || mkdir("/run/systemd", 0755) < 0 ||
            mkdir(SOCKET_DIRECTORY, 0755) < 0 || bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -1;
        return fd;
}

static int check_socket(void *userdata) {
        struct journal_entry e = {};
        struct journal *j = NULL;
        char text[8192], expected[64];
        unsigned lost = 0, next = 0, sent = 20000;
        int fd = fake_journald();

        (void) userdata;
        if (fd < 0)
                return NAMESPACE_NONE;
        if (journal_new(LOG_INFO, &j) < 0)
                return 1;
        journal_set_target(j, JOURNAL_JOURNAL);
        journal_add(&e, "TIERD_TEXT", "two\nlines");
        /* Nobody reads: the socket fills up, and this comes back all the same. */
        for (unsigned i = 0; i < sent; i++)
                journal_send(j, LOG_INFO, MESSAGE_SAMPLE, &e, "message %u", i);
        /* Now it is read, in order; the loss stands where it was. */
        while (next < sent) {
                const char *p;
                ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

                if (n <= 0)
                        return 2;
                for (ssize_t i = 0; i < n; i++)
                        text[i] = text[i] ? text[i] : '.';
                text[n] = '\0';
                p = strstr(text, "TIERD_LOST=");
                if (p) {
                        lost = (unsigned) strtoul(p + strlen("TIERD_LOST="), NULL, 10);
                        next += lost;
                        continue;
                }
                (void) snprintf(expected, sizeof(expected), "MESSAGE=message %u\n", next++);
                if (!strstr(text, expected) || !strstr(text, "MESSAGE_ID=dcb2fb76dc894a26a939ae24ac0c7b32\n") ||
                    !strstr(text, "PRIORITY=6\nSYSLOG_IDENTIFIER=tierd\n") ||
                    !strstr(text, "TIERD_TEXT\n\t.......two\nlines\n") || strstr(text, "CODE_FILE"))
                        return 3;
        }
        if (lost == 0)
                return 4;
        /* Full again, and stopped for good: the end does not wait for it longer than it says. */
        for (unsigned i = 0; i < sent; i++)
                journal_send(j, LOG_INFO, MESSAGE_SAMPLE, &e, "message %u", i);
        journal_free(j);
        return 0;
}

static void test_socket(void **state) {
        int status;

        (void) state;
        status = namespace_run(check_socket, NULL);
        if (status == NAMESPACE_NONE)
                skip();
        assert_int_equal(status, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ring),
                cmocka_unit_test(test_entry),
                cmocka_unit_test(test_console),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_auto),
                cmocka_unit_test(test_level),
                cmocka_unit_test(test_targets),
                cmocka_unit_test(test_fields),
                cmocka_unit_test(test_largest),
                cmocka_unit_test(test_overflow),
                cmocka_unit_test(test_lost_at_last),
                cmocka_unit_test(test_free_flushes),
                cmocka_unit_test(test_free_stuck),
                cmocka_unit_test(test_threads),
                cmocka_unit_test(test_socket),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
