/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/run-directory.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int run_directory_open(const char *path, const char *lock_name, int *ret_run, int *ret_lock, struct diag *reterr) {
        _cleanup_close_ int run = -EBADF, lock = -EBADF;
        struct stat st;

        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return diag_set(reterr, -errno, "%s: cannot create this directory: %s", path, strerror(errno));
        run = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (run < 0 || fstat(run, &st) < 0)
                return diag_set(reterr, -errno, "%s: cannot open this directory: %s", path, strerror(errno));
        /* The records in it are written back to the kernel. */
        if (st.st_uid != geteuid() || (st.st_mode & 0022) != 0)
                return diag_set(reterr, -EPERM,
                                "%s: this directory is not tierd's own: its owner is user %u, its mode %04o; remove it", path,
                                (unsigned) st.st_uid, (unsigned) st.st_mode & 07777);
        lock = openat(run, lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock < 0)
                return diag_set(reterr, -errno, "%s/%s: cannot open: %s", path, lock_name, strerror(errno));
        if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
                if (errno == EWOULDBLOCK)
                        return diag_set(reterr, -EBUSY, "another tierd is running (it holds %s/%s)", path, lock_name);
                return diag_set(reterr, -errno, "%s/%s: cannot lock: %s", path, lock_name, strerror(errno));
        }
        *ret_run = TAKE_FD(run);
        *ret_lock = TAKE_FD(lock);
        return 0;
}
