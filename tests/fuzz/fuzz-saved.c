/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Under test: tierd/saved.c */
#include "base/file.h"
#include "tests/fuzz/check.h"
#include "tierd/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOOT "6ff33a5c-6ab6-4e0c-9d1c-3f1d6b1e2a01"
#define HEADER "tierd 2 boot " BOOT "\n"
#define BOOT_ID "proc/sys/kernel/random/boot_id"
#define ATTRIBUTE "sys/a"
#define RECORD "run/state"
#define OUTSIDE "outside"
#define UNTOUCHED "as it was"

#define SCRATCHES_MAX 100

static char scratch[64];
static int root = -EBADF, run = -EBADF;

static void scratch_remove(void) {
        static const char *const made[] = {
                BOOT_ID, "proc/sys/kernel/random", "proc/sys/kernel", "proc/sys", "proc", ATTRIBUTE, "sys", OUTSIDE,
                RECORD, "run",
        };

        for (size_t i = 0; i < ELEMENTSOF(made); i++)
                if (unlinkat(root, made[i], 0) < 0)
                        (void) unlinkat(root, made[i], AT_REMOVEDIR);
        (void) rmdir(scratch);
}

/* Takes the place of this number unless a process has it. One that found a fault, or was killed, has left its tree there. */
static void scratch_take(unsigned number) {
        struct stat st;

        (void) snprintf(scratch, sizeof(scratch), "/dev/shm/fuzz-saved.%u.%u", (unsigned) getuid(), number);
        CHECK(mkdir(scratch, 0700) == 0 || errno == EEXIST);
        root = open(scratch, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (root >= 0 && flock(root, LOCK_EX | LOCK_NB) == 0 && fstat(root, &st) == 0 && st.st_nlink > 0)
                return;
        if (root >= 0)
                (void) close(root);
        root = -EBADF;
}

/* A root with one attribute and one file that is none, on a file system where a sync costs nothing. */
static void scratch_make(void) {
        static const char *const directories[] = {
                "proc", "proc/sys", "proc/sys/kernel", "proc/sys/kernel/random", "sys", "run",
        };

        for (unsigned number = 0; root < 0 && number < SCRATCHES_MAX; number++)
                scratch_take(number);
        CHECK(root >= 0 && atexit(scratch_remove) == 0);
        for (size_t i = 0; i < ELEMENTSOF(directories); i++)
                CHECK(mkdirat(root, directories[i], 0755) == 0 || errno == EEXIST);
        CHECK(file_replace(root, OUTSIDE, UNTOUCHED, strlen(UNTOUCHED)) == 0);
        run = openat(root, "run", O_PATH | O_DIRECTORY | O_CLOEXEC);
        CHECK(run >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Any bytes are a record or an error; a record can be written and read again, and is the same; putting it back writes nowhere
 * but to attributes. Of the first byte: whether the right first line stands before the rest, which is where it gets
 * interesting.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static char record[65536], outside[64];
        _cleanup_saved_ struct saved *s = NULL, *again = NULL;
        struct diag d = {};
        size_t len = 0;
        int r;

        if (root < 0)
                scratch_make();
        if (size == 0 || size > sizeof(record) - sizeof(HEADER))
                return 0;
        if (data[0] % 4 != 0)
                len = (size_t) snprintf(record, sizeof(record), "%s", HEADER);
        memcpy(record + len, data + 1, size - 1);
        len += size - 1;
        /* Each may be what the input before has put back. */
        CHECK(file_replace(root, BOOT_ID, BOOT "\n", strlen(BOOT "\n")) == 0);
        CHECK(file_replace(root, ATTRIBUTE, "before\n", strlen("before\n")) == 0);
        CHECK(file_replace(run, SAVED_STATE, record, len) == 0);

        r = saved_open(root, run, SAVED_STATE, &s, &d);
        if (r < 0) {
                CHECK(!s && d.error == r && strstr(d.text, RUN_DIRECTORY "/" SAVED_STATE));
                return 0;
        }
        if (saved_is_empty(s))
                return 0;

        /* Written anew, with one change more. */
        CHECK(saved_change(s, ATTRIBUTE, "after", NULL) == 0);
        CHECK(saved_claim(s, saved_n_slots(s) + 1, saved_identity(s), NULL) == 0);
        r = saved_open(root, run, SAVED_STATE, &again, &d);
        /* One slot more than there can be nodes is no record. */
        if (r < 0) {
                CHECK(r == -EBADMSG && saved_n_slots(s) > NODE_ID_MAX + 1);
                return 0;
        }
        CHECK(saved_n_slots(again) == saved_n_slots(s) && saved_identity(again) == saved_identity(s));

        (void) saved_restore(again, NULL);
        CHECK(file_read_line(root, OUTSIDE, outside, sizeof(outside)) >= 0 && strcmp(outside, UNTOUCHED) == 0);
        CHECK(saved_claim(again, 0, 0, NULL) == 0);
        return 0;
}
