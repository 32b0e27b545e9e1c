/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/metrics.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int write_whole(int fd, const char *text) {
        size_t len = strlen(text);

        while (len > 0) {
                ssize_t n = write(fd, text, len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                text += n;
                len -= (size_t) n;
        }
        return 0;
}

/*
 * The collector reads *.prom alone, so a temporary file that a crash left behind is not taken for metrics; the next write
 * removes it. The directory may be writable to others: nothing that is there under that name is opened, whatever it leads to.
 * No fsync(2): after a crash of the machine old metrics are as useless as none.
 */
static int write_beside(int dir, const char *temporary, const char *name, const char *text) {
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (unlinkat(dir, temporary, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        /* The collector is another user, and a service may have any umask. */
        r = fchmod(fd, 0644) < 0 ? -errno : write_whole(fd, text);
        /* Some file systems say only now that there is no room. */
        if (close(TAKE_FD(fd)) < 0 && r == 0)
                r = -errno;
        if (r == 0 && renameat(dir, temporary, dir, name) < 0)
                r = -errno;
        if (r < 0)
                (void) unlinkat(dir, temporary, 0);
        return r;
}

int metrics_write_file(const char *text, const char *path, struct diag *reterr) {
        _cleanup_close_ int dir = -EBADF;
        char parent[PATH_SIZE], temporary[PATH_SIZE];
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        int r;

        if (!slash || !*name)
                return diag_set(reterr, -EINVAL, "%s: cannot write metrics there: this is no file's absolute name", path);
        r = path_format(parent, sizeof(parent), "%.*s", MAX((int) (slash - path), 1), path);
        if (r == 0)
                r = path_format(temporary, sizeof(temporary), ".%s.new", name);
        if (r == 0) {
                dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
                r = dir < 0 ? -errno : write_beside(dir, temporary, name, text);
        }
        if (r < 0)
                return diag_set(reterr, r, "%s: cannot write the metrics: %s", path, strerror(-r));
        return 0;
}

int metrics_remove_file(const char *path, struct diag *reterr) {
        if (unlink(path) < 0 && errno != ENOENT)
                return diag_set(reterr, -errno, "%s: cannot remove the metrics: %s", path, strerror(errno));
        return 0;
}
