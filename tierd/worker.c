/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>

struct worker {
        pthread_t thread;
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        int fd;
        bool started, ending, busy;     /* busy: from submit to the completion taken */
        worker_job job;
        void *userdata;
};

static void *worker_main(void *argument) {
        struct worker *w = argument;

        (void) pthread_mutex_lock(&w->mutex);
        for (;;) {
                worker_job job;
                void *userdata;
                uint64_t one = 1;

                while (!w->job && !w->ending)
                        (void) pthread_cond_wait(&w->changed, &w->mutex);
                if (!w->job)
                        break;
                job = w->job;
                userdata = w->userdata;
                (void) pthread_mutex_unlock(&w->mutex);
                job(userdata);
                (void) pthread_mutex_lock(&w->mutex);
                w->job = NULL;
                /* The counter is 0 or 1, since one job is at hand at a time: this neither blocks nor fails. */
                while (write(w->fd, &one, sizeof(one)) < 0 && errno == EINTR)
                        ;
        }
        (void) pthread_mutex_unlock(&w->mutex);
        return NULL;
}

int worker_new(struct worker **ret) {
        _cleanup_worker_ struct worker *w = NULL;
        sigset_t all, before;
        int r;

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        (void) pthread_mutex_init(&w->mutex, NULL);
        (void) pthread_cond_init(&w->changed, NULL);
        w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w->fd < 0)
                return -errno;

        /* Signals are the event loop's. */
        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&w->thread, NULL, worker_main, w);
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r != 0)
                return -r;
        w->started = true;

        *ret = TAKE_PTR(w);
        return 0;
}

struct worker *worker_free(struct worker *w) {
        if (!w)
                return NULL;
        if (w->started) {
                (void) pthread_mutex_lock(&w->mutex);
                w->ending = true;
                (void) pthread_cond_signal(&w->changed);
                (void) pthread_mutex_unlock(&w->mutex);
                (void) pthread_join(w->thread, NULL);
        }
        cleanup_closep(&w->fd);
        (void) pthread_cond_destroy(&w->changed);
        (void) pthread_mutex_destroy(&w->mutex);
        free(w);
        return NULL;
}

void worker_abandon(struct worker *w) {
        (void) pthread_mutex_lock(&w->mutex);
        w->ending = true;
        (void) pthread_cond_signal(&w->changed);
        (void) pthread_mutex_unlock(&w->mutex);
        (void) pthread_detach(w->thread);
}

int worker_fd(const struct worker *w) {
        return w->fd;
}

int worker_submit(struct worker *w, worker_job job, void *userdata) {
        int r = 0;

        (void) pthread_mutex_lock(&w->mutex);
        if (w->busy)
                r = -EBUSY;
        else {
                w->busy = true;
                w->job = job;
                w->userdata = userdata;
                (void) pthread_cond_signal(&w->changed);
        }
        (void) pthread_mutex_unlock(&w->mutex);
        return r;
}

int worker_take_completion(struct worker *w) {
        uint64_t n;

        if (read(w->fd, &n, sizeof(n)) < 0)
                return 0;
        (void) pthread_mutex_lock(&w->mutex);
        w->busy = false;
        (void) pthread_mutex_unlock(&w->mutex);
        return 1;
}
