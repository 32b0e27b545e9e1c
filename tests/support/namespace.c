/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/support/namespace.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* This user is root there; without a map of the groups nothing can be made. */
static bool enter_user_namespace(void) {
        _cleanup_close_ int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        char users[64], groups[64];

        (void) snprintf(users, sizeof(users), "0 %u 1", geteuid());
        (void) snprintf(groups, sizeof(groups), "0 %u 1", getegid());
        return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && file_write(self, "uid_map", users) == 0 &&
               file_write(self, "setgroups", "deny") == 0 && file_write(self, "gid_map", groups) == 0;
}

bool namespace_enter(void) {
        return (unshare(CLONE_NEWNS) == 0 || enter_user_namespace()) &&
               mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0;
}

int namespace_run(int (*run)(void *userdata), void *userdata) {
        int status;
        pid_t child;

        child = fork();
        if (child < 0)
                return -1;
        if (child == 0)
                _exit(run(userdata));
        if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
                return -1;
        return WEXITSTATUS(status);
}
