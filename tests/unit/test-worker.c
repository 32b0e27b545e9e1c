/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tierd/worker.h"

#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

struct work {
        sem_t may_end;
        unsigned done;                  /* not atomic: the worker's until its completion is taken, the test's after */
        atomic_uint atomic_done;
        sigset_t mask;
};

static void count(void *userdata) {
        struct work *w = userdata;

        (void) pthread_sigmask(SIG_SETMASK, NULL, &w->mask);
        w->done++;
}

static void wait_and_count(void *userdata) {
        struct work *w = userdata;

        while (sem_wait(&w->may_end) < 0)
                ;
        w->done++;
        w->atomic_done++;
}

static void completed(struct worker *w) {
        struct pollfd p = { .fd = worker_fd(w), .events = POLLIN };

        assert_int_equal(poll(&p, 1, 30000), 1);
        assert_int_equal(worker_take_completion(w), 1);
        assert_int_equal(worker_take_completion(w), 0);
}

static void test_order(void **state) {
        _cleanup_worker_ struct worker *w = NULL;
        struct work work = {};

        (void) state;
        assert_int_equal(worker_new(&w), 0);
        assert_int_equal(worker_take_completion(w), 0);
        for (unsigned i = 1; i <= 1000; i++) {
                assert_int_equal(worker_submit(w, count, &work), 0);
                completed(w);
                assert_int_equal(work.done, i);
        }
        /* Signals are the event loop's. */
        assert_true(sigismember(&work.mask, SIGTERM));
        assert_true(sigismember(&work.mask, SIGHUP));
}

static void test_busy(void **state) {
        _cleanup_worker_ struct worker *w = NULL;
        struct work work = {};
        struct pollfd p;

        (void) state;
        assert_int_equal(sem_init(&work.may_end, 0, 0), 0);
        assert_int_equal(worker_new(&w), 0);
        p = (struct pollfd) { .fd = worker_fd(w), .events = POLLIN };
        assert_int_equal(worker_submit(w, wait_and_count, &work), 0);
        assert_int_equal(worker_submit(w, count, &work), -EBUSY);
        assert_int_equal(worker_take_completion(w), 0);
        assert_int_equal(poll(&p, 1, 20), 0);
        assert_int_equal(sem_post(&work.may_end), 0);
        assert_int_equal(poll(&p, 1, 30000), 1);
        /* Done is not taken. */
        assert_int_equal(worker_submit(w, count, &work), -EBUSY);
        completed(w);
        assert_int_equal(work.done, 1);
        assert_int_equal(worker_submit(w, count, &work), 0);
        completed(w);
        assert_int_equal(work.done, 2);
        (void) sem_destroy(&work.may_end);
}

/* The end waits for the job at hand, begun or not. */
static void test_end(void **state) {
        (void) state;
        assert_null(worker_free(NULL));
        for (int i = 0; i < 100; i++) {
                struct worker *w = NULL;
                struct work work = {};

                assert_int_equal(sem_init(&work.may_end, 0, i % 2 ? 1 : 0), 0);
                assert_int_equal(worker_new(&w), 0);
                assert_int_equal(worker_submit(w, wait_and_count, &work), 0);
                if (i % 2 == 0)
                        assert_int_equal(sem_post(&work.may_end), 0);
                assert_null(worker_free(w));
                assert_int_equal(work.atomic_done, 1);
                (void) sem_destroy(&work.may_end);
        }
}

static void test_no_descriptor(void **state) {
        struct rlimit before, none;
        struct worker *w = NULL;

        (void) state;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = before;
        none.rlim_cur = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(worker_new(&w), -EMFILE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_null(w);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_busy),
                cmocka_unit_test(test_end),
                cmocka_unit_test(test_no_descriptor),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
