/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "base/file.h"
#include "tierd/daemon.h"
#include "tierd/journal.h"
#include "tierd/restore.h"
#include "tierd/saved.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

static const char help[] =
        "Usage: tierd [--config FILE] [--foreground] [--verbose]\n"
        "       tierd --prepare [--config FILE] | --restore\n"
        "\n"
        "Manages tiered memory: cold pages go down, hot ones come up, by DAMON's schemes.\n"
        "\n"
        "  --config FILE   the configuration instead of " TIERD_SYSCONFDIR "/tierd.yaml, which may be\n"
        "                  missing\n"
        "  --foreground    stay in the foreground, as tierd always does\n"
        "  --prepare       set what takes more privileges than the daemon has, and exit:\n"
        "                  a step of tierd.service\n"
        "  --restore       put back what a tierd that was killed had changed, and exit\n"
        "  --verbose       say more\n"
        "  --version       print the version and exit\n"
        "  --help          print this and exit\n"
        "\n"
        "SIGHUP reloads the configuration; SIGTERM and SIGINT put everything back and\n"
        "end it.\n"
        "tierctl(1) asks questions, tierd.yaml(5) configures.\n";

/* Exit status: 0 well, 1 cannot manage this machine, 2 wrong usage. */
int main(int argc, char **argv) {
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' }, { "foreground", no_argument, NULL, 'f' },
                { "prepare", no_argument, NULL, 'p' },      { "restore", no_argument, NULL, 'r' },
                { "verbose", no_argument, NULL, 'v' },      { "version", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },         {},
        };
        struct daemon_options daemon_options = { .run_directory = RUN_DIRECTORY };
        _cleanup_close_ int root = -EBADF;
        const struct log *log;
        struct diag diag = {};
        _cleanup_journal_ struct journal *journal = NULL;
        int (*run)(const struct daemon_options *options, struct diag *reterr) = daemon_run;
        bool prepare = false, restore = false;
        int level = LOG_INFO, c, r;

        r = standard_files_open();
        if (r < 0) {
                (void) fprintf(stderr, "tierd: /dev/null: cannot open: %s\n", strerror(-r));
                return 1;
        }
        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'c':
                        daemon_options.config_path = optarg;
                        break;
                case 'f':
                        break;
                case 'p':
                        prepare = true;
                        run = prepare_run;
                        break;
                case 'r':
                        restore = true;
                        run = restore_run;
                        break;
                case 'v':
                        level = LOG_DEBUG;
                        break;
                case 'V':
                        (void) puts("tierd " TIERD_VERSION);
                        return fflush(stdout) == 0 ? 0 : 1;
                case 'h':
                        (void) fputs(help, stdout);
                        return fflush(stdout) == 0 ? 0 : 1;
                default:
                        (void) fputs("Try `tierd --help`.\n", stderr);
                        return 2;
                }
        if (optind < argc) {
                (void) fprintf(stderr, "tierd: unexpected argument \"%s\"; try `tierd --help`\n", argv[optind]);
                return 2;
        }

        if (prepare && restore) {
                (void) fputs("tierd: --prepare and --restore exclude each other; choose one\n", stderr);
                return 2;
        }

        r = journal_new(level, &journal);
        if (r < 0) {
                (void) fprintf(stderr, "tierd: cannot set up the log: %s\n", strerror(-r));
                return 1;
        }
        daemon_options.journal = journal;
        daemon_options.log = log = journal_log(journal);
        daemon_options.lock_memory = true;

        /*
         * While there is one thread: hwloc prints its complaints to stderr, and what it cannot read is one source less to
         * tierd.
         */
        if (setenv("HWLOC_HIDE_ERRORS", "2", 0) < 0)
                log_write(log, LOG_WARNING, "out of memory");

        r = root = root_open("/", &diag);
        daemon_options.root = root;
        if (r >= 0)
                r = run(&daemon_options, &diag);
        if (r < 0) {
                (void) diag_default(&diag, diag.error ? diag.error : r, "internal error without a diagnosis: %s", strerror(-r));
                log_write(log, LOG_ERR, "%s", diag.text);
                return 1;
        }
        return 0;
}
