/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/metrics-writer.h"
#include "tierd/metrics.h"
#include "tierd/worker.h"

#include <errno.h>
#include <string.h>

/* All but the first two are the worker's while it is busy. */
struct metrics_writer {
        struct worker *worker;
        bool busy;
        metrics_write write;
        char *text, *path;              /* what is to be written; NULL: nothing is */
        char *written;                  /* the file that was written last; NULL: none */
        struct diag diag;
};

static void job_write(void *userdata) {
        struct metrics_writer *w = userdata;
        struct diag second = {};

        w->diag = (struct diag) {};
        /* One that the configuration does not name any more would go on to be read. */
        if (w->written && (!w->path || strcmp(w->path, w->written) != 0)) {
                (void) metrics_remove_file(w->written, &w->diag);
                free(TAKE_PTR(w->written));
        }
        if (!w->path)
                return;
        (void) w->write(w->text, w->path, w->diag.error < 0 ? &second : &w->diag);
        /* Also where that failed: an earlier one of this name may be there. */
        free(w->written);
        w->written = TAKE_PTR(w->path);
        free(TAKE_PTR(w->text));
}

int metrics_writer_new(metrics_write function, struct metrics_writer **ret) {
        struct metrics_writer *w;
        int r;

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        r = worker_new(&w->worker);
        if (r < 0) {
                free(w);
                return r;
        }
        w->write = function;
        *ret = w;
        return 0;
}

struct metrics_writer *metrics_writer_free(struct metrics_writer *w) {
        struct diag diag;

        if (!w)
                return NULL;
        (void) metrics_writer_take(w, &diag);
        if (w->busy) {
                worker_abandon(w->worker);
                return NULL;
        }
        w->worker = worker_free(w->worker);
        free(w->text);
        free(w->path);
        free(w->written);
        free(w);
        return NULL;
}

int metrics_writer_fd(const struct metrics_writer *w) {
        return worker_fd(w->worker);
}

static void begin(struct metrics_writer *w) {
        w->busy = true;
        /* Cannot be busy: `busy` says so. */
        (void) worker_submit(w->worker, job_write, w);
}

int metrics_writer_submit(struct metrics_writer *w, char *text, const char *path) {
        _cleanup_free_ char *taken = text, *copy = NULL;

        if (w->busy)
                return -EBUSY;
        copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        w->text = TAKE_PTR(taken);
        w->path = TAKE_PTR(copy);
        begin(w);
        return 0;
}

int metrics_writer_remove(struct metrics_writer *w) {
        if (w->busy)
                return -EBUSY;
        if (!w->written)
                return 0;
        begin(w);
        return 1;
}

int metrics_writer_take(struct metrics_writer *w, struct diag *ret) {
        if (!w->busy || !worker_take_completion(w->worker))
                return 0;
        w->busy = false;
        *ret = w->diag;
        return 1;
}
