/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * For LD_PRELOAD in a guest: fails one write to the kernel's settings, to see what the program that wrote does about it.
 * Writes count whose file is one that tierd sets: DAMON's interface, its modules' switches, reclaim demotion, NUMA balancing.
 *
 *   FAIL_WRITE=N            fail the Nth of them, from 1; none by default
 *   FAIL_ERRNO=E            with this errno (5, EIO)
 *   FAIL_STAYS=1            and from then on every other one to the same file
 *   FAIL_COUNT_FILE=PATH    append "/path value" for each that is made or failed
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const watched[] = {
        "/sys/kernel/mm/damon/",
        "/sys/kernel/mm/numa/",
        "/sys/module/damon_",
        "/proc/sys/kernel/numa_balancing",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static long from_environment(const char *name, long otherwise) {
        const char *text = getenv(name);

        return text && *text ? strtol(text, NULL, 10) : otherwise;
}

/* The file behind fd when it is one of those. */
static bool is_watched(int fd, char *file, size_t size) {
        char link[32];
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, file, size - 1);
        if (n < 0)
                return false;
        file[n] = '\0';
        for (size_t i = 0; i < sizeof(watched) / sizeof(*watched); i++)
                if (strncmp(file, watched[i], strlen(watched[i])) == 0)
                        return true;
        return false;
}

static void note(const char *path, const void *data, size_t len) {
        const char *file = getenv("FAIL_COUNT_FILE");
        char line[PATH_MAX + 512];
        int fd, n;

        if (!file)
                return;
        n = snprintf(line, sizeof(line), "%s %.*s\n", path, (int) (len < 256 ? len : 256), (const char *) data);
        fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
                return;
        /* Past the functions below. */
        (void) syscall(SYS_write, fd, line, (size_t) n);
        (void) close(fd);
}

/* Whether this write is to fail. */
static bool is_chosen(int fd, const void *data, size_t len) {
        static char failed[PATH_MAX];
        static long count;
        char path[PATH_MAX];
        bool chosen;
        int saved = errno;

        if (!is_watched(fd, path, sizeof(path))) {
                errno = saved;
                return false;
        }
        (void) pthread_mutex_lock(&lock);
        note(path, data, len);
        chosen = ++count == from_environment("FAIL_WRITE", 0);
        if (chosen)
                memcpy(failed, path, sizeof(failed));
        else
                chosen = from_environment("FAIL_STAYS", 0) != 0 && strcmp(path, failed) == 0;
        (void) pthread_mutex_unlock(&lock);
        errno = saved;
        return chosen;
}

static int chosen_errno(void) {
        return (int) from_environment("FAIL_ERRNO", EIO);
}

ssize_t write(int fd, const void *buf, size_t n) {
        if (is_chosen(fd, buf, n)) {
                errno = chosen_errno();
                return -1;
        }
        return syscall(SYS_write, fd, buf, n);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset) {
        if (is_chosen(fd, buf, n)) {
                errno = chosen_errno();
                return -1;
        }
        return syscall(SYS_pwrite64, fd, buf, n, offset);
}
