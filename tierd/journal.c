/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/journal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

/* $JOURNAL_STREAM holds device and inode of the stream that systemd connected; stderr may have been redirected since. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        uint64_t device, inode;
        struct stat st;

        return stream && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
               st.st_dev == device && st.st_ino == inode;
}

static const char *level_name(int level) {
        if (level <= LOG_ERR)
                return "error: ";
        return level == LOG_WARNING ? "warning: " : "";
}

static void write_stderr(void *userdata, int level, const char *message) {
        (void) userdata;
        (void) fprintf(stderr, "tierd: %s%s\n", level_name(level), message);
}

static void write_journal(void *userdata, int level, const char *message) {
        if (sd_journal_send("MESSAGE=%s", message, "PRIORITY=%i", level, "SYSLOG_IDENTIFIER=tierd", NULL) < 0)
                write_stderr(userdata, level, message);
}

struct journal {
        struct log log;
};

int journal_new(int max_level, struct journal **ret) {
        struct journal *j = calloc(1, sizeof(*j));

        if (!j)
                return -ENOMEM;
        j->log = (struct log) { .write = stderr_is_journal() ? write_journal : write_stderr, .max_level = max_level };
        *ret = j;
        return 0;
}

struct journal *journal_free(struct journal *j) {
        free(j);
        return NULL;
}

const struct log *journal_log(struct journal *j) {
        return &j->log;
}
