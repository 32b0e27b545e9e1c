/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Every owned local carries one of these; ownership leaves a function by TAKE_PTR() or TAKE_FD(). */
#define _cleanup_(function) __attribute__((cleanup(function)))

static inline void cleanup_freep(void *p) {
        free(*(void **) p);
}

static inline void cleanup_closep(int *fd) {
        if (*fd >= 0) {
                int saved = errno;

                (void) close(*fd);
                errno = saved;
        }
}

static inline void cleanup_fclosep(FILE **f) {
        if (*f)
                (void) fclose(*f);
}

static inline void cleanup_closedirp(DIR **d) {
        if (*d)
                (void) closedir(*d);
}

#define _cleanup_free_ _cleanup_(cleanup_freep)
#define _cleanup_close_ _cleanup_(cleanup_closep)
#define _cleanup_fclose_ _cleanup_(cleanup_fclosep)
#define _cleanup_closedir_ _cleanup_(cleanup_closedirp)

/* Defines `void name_cleanupp(type **)` for a `type *free_function(type *)` that accepts NULL. */
#define DEFINE_CLEANUP(type, free_function)                        \
        static inline void free_function##p(type **p) {            \
                *p = free_function(*p);                            \
        }

#define TAKE_PTR(p)                     \
        ({                              \
                __auto_type _p = (p);   \
                (p) = NULL;             \
                _p;                     \
        })

#define TAKE_FD(fd)                     \
        ({                              \
                int _fd = (fd);         \
                (fd) = -EBADF;          \
                _fd;                    \
        })

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* Each argument is evaluated once; the names are unique, so that one may stand inside another without shadowing. */
#define MIN(a, b) MIN_NAMED(a, b, __COUNTER__)
#define MIN_NAMED(a, b, n) MIN_UNIQUE(a, b, n)
#define MIN_UNIQUE(a, b, n)                             \
        ({                                              \
                __auto_type _min_a##n = (a);            \
                __auto_type _min_b##n = (b);            \
                _min_a##n < _min_b##n ? _min_a##n : _min_b##n; \
        })
#define MAX(a, b) MAX_NAMED(a, b, __COUNTER__)
#define MAX_NAMED(a, b, n) MAX_UNIQUE(a, b, n)
#define MAX_UNIQUE(a, b, n)                             \
        ({                                              \
                __auto_type _max_a##n = (a);            \
                __auto_type _max_b##n = (b);            \
                _max_a##n > _max_b##n ? _max_a##n : _max_b##n; \
        })
