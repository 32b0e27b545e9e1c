/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/tierctl.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Options, as bits: each verb says which mean something to it. */
enum {
        OPTION_ROOT = 1 << 0,
        OPTION_JSON = 1 << 1,
        OPTION_OPS = 1 << 2,
        OPTION_KERNEL = 1 << 3,
        OPTION_CONFIG = 1 << 4,
        OPTION_INTERVAL = 1 << 5,
        OPTION_ITERATIONS = 1 << 6,
};

static const struct option options[] = {
        { "root",       required_argument, NULL, 'r' },
        { "json",       no_argument,       NULL, 'j' },
        { "ops",        no_argument,       NULL, 'o' },
        { "kernel",     required_argument, NULL, 'k' },
        { "config",     required_argument, NULL, 'c' },
        { "interval",   required_argument, NULL, 'i' },
        { "iterations", required_argument, NULL, 'n' },
        { "help",       no_argument,       NULL, 'h' },
        { "version",    no_argument,       NULL, 'V' },
        {},
};

static const struct {
        int letter;
        unsigned bit;
        const char *name;
} option_bits[] = {
        { 'r', OPTION_ROOT,       "--root"       },
        { 'j', OPTION_JSON,       "--json"       },
        { 'o', OPTION_OPS,        "--ops"        },
        { 'k', OPTION_KERNEL,     "--kernel"     },
        { 'c', OPTION_CONFIG,     "--config"     },
        { 'i', OPTION_INTERVAL,   "--interval"   },
        { 'n', OPTION_ITERATIONS, "--iterations" },
};

/* Oftener than the daemon measures is of no use, and its numbers of a day ago are none. */
#define INTERVAL_MIN_US UINT64_C(100000)
#define INTERVAL_MAX_US UINT64_C(86400000000)

struct verb {
        const char *name;
        int (*run)(const struct invocation *call);
        unsigned options;
        int max_arguments;
        const char *needs;                              /* what the argument is, where there must be one; NULL */
};

static const struct verb verbs[] = {
        { "topology", verb_topology, OPTION_ROOT | OPTION_JSON,                                              0, NULL },
        { "plan",     verb_plan,     OPTION_ROOT | OPTION_JSON | OPTION_OPS | OPTION_KERNEL | OPTION_CONFIG, 0, NULL },
        { "check",    verb_check,    0,                                                                      1, NULL },
        { "doctor",   verb_doctor,   OPTION_ROOT | OPTION_JSON,                                              0, NULL },
        { "status",   verb_status,   OPTION_JSON,                                                            0, NULL },
        { "top",      verb_top,      OPTION_INTERVAL | OPTION_ITERATIONS,                                    0, NULL },
        { "pause",    verb_pause,    0,                                                                      0, NULL },
        { "resume",   verb_resume,   0,                                                                      0, NULL },
        { "reload",   verb_reload,   0,                                                                      0, NULL },
        { "drain",    verb_drain,    0,                                                                      1, "the node" },
        { "undrain",  verb_undrain,  0,                                                                      1, "the node" },
        { "metrics",  verb_metrics,  0,                                                                      0, NULL },
};

static const char help[] =
        "tierctl shows how tierd sees this machine's memory tiers, what it would do with\n"
        "them, and what the running daemon does.\n"
        "\n"
        "Of this machine, or a captured one:\n"
        "  tierctl topology [--root DIR] [--json]\n"
        "          nodes, tiers, neighbours, and which source ranked them\n"
        "  tierctl plan [--root DIR] [--kernel RELEASE] [--config FILE] [--json | --ops]\n"
        "          what tierd would do; --ops prints the writes\n"
        "  tierctl check [FILE]\n"
        "          validate a configuration (default: " TIERD_SYSCONFDIR "/tierd.yaml)\n"
        "  tierctl doctor [--root DIR] [--json]\n"
        "          can this machine run tierd, and what would hold it back\n"
        "\n"
        "Of the running daemon:\n"
        "  tierctl status [--json]\n"
        "          is it well; tiers, goals, quotas, what moved\n"
        "  tierctl top [--interval TIME] [--iterations N]\n"
        "          the same, live\n"
        "  tierctl metrics\n"
        "          OpenMetrics text\n"
        "  tierctl pause | resume | reload\n"
        "          stop moving memory, go on, read the configuration again; root's,\n"
        "          or for whom polkit permits it\n"
        "  tierctl drain NODE\n"
        "          empty a node before it is removed, and leave it alone until it has\n"
        "          gone, or until\n"
        "  tierctl undrain NODE\n"
        "\n"
        "  --root DIR        a captured machine: a directory holding sys/ and proc/\n"
        "  --kernel RELEASE  plan for this kernel, such as 6.12\n"
        "  --config FILE     plan with this configuration\n"
        "  --json            for programs\n"
        "  --interval TIME   from one sample to the next: 500ms, 2s (the default), 1m\n"
        "  --iterations N    end after N samples\n"
        "  --help, --version\n"
        "\n"
        "Exit status: 0 well, 1 the answer is no, 2 wrong usage, 3 no daemon,\n"
        "4 not permitted, 5 internal.\n";

/* One line, so that a script's log keeps it together. */
__attribute__((format(printf, 1, 2))) static int usage_error(const char *format, ...) {
        va_list ap;

        (void) fputs("tierctl: ", stderr);
        va_start(ap, format);
        (void) vfprintf(stderr, format, ap);
        va_end(ap);
        (void) fputs("; see tierctl --help\n", stderr);
        return EXIT_USAGE;
}

static const struct verb *find_verb(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (strcmp(verbs[i].name, name) == 0)
                        return &verbs[i];
        return NULL;
}

/* Output that could not be written is a failure, whatever the verb thought. */
static int finish(int status) {
        if (fflush(stdout) != 0 || ferror(stdout)) {
                (void) fprintf(stderr, "tierctl: cannot write the output: %s\n", strerror(errno));
                return EXIT_INTERNAL;
        }
        return status;
}

static int run(const struct verb *verb, unsigned given, struct invocation *call) {
        _cleanup_close_ int root = -EBADF;
        struct diag d = {};

        for (size_t i = 0; i < ELEMENTSOF(option_bits); i++)
                if (given & option_bits[i].bit & ~verb->options)
                        return usage_error("%s has no option %s", verb->name, option_bits[i].name);
        if (call->argc > verb->max_arguments)
                return usage_error("%s: unexpected argument \"%s\"", verb->name, call->argv[verb->max_arguments]);
        if (verb->needs && call->argc == 0)
                return usage_error("%s: %s is missing", verb->name, verb->needs);
        if (call->json && call->ops)
                return usage_error("%s: --json and --ops are two forms of one answer, choose one", verb->name);
        root = root_open(call->root_path ? call->root_path : "/", &d);
        if (root < 0) {
                int status = report_failure(&d);

                /* No such directory: the command line is wrong, the machine was not looked at. */
                return status == EXIT_NO ? EXIT_USAGE : status;
        }
        call->root = root;
        return verb->run(call);
}

int main(int argc, char **argv) {
        struct invocation call = {};
        const struct verb *verb;
        unsigned given = 0;
        int letter;

        /* hwloc would complain on stderr of machines that it finds odd; what matters we say ourselves. */
        (void) setenv("HWLOC_HIDE_ERRORS", "2", 0);

        /* The leading colon lets us word the errors; without a leading plus, options may stand anywhere. */
        while ((letter = getopt_long(argc, argv, ":h", options, NULL)) >= 0) {
                for (size_t i = 0; i < ELEMENTSOF(option_bits); i++)
                        if (option_bits[i].letter == letter)
                                given |= option_bits[i].bit;
                switch (letter) {
                case 'r':
                        call.root_path = optarg;
                        break;
                case 'j':
                        call.json = true;
                        break;
                case 'o':
                        call.ops = true;
                        break;
                case 'k':
                        call.kernel = optarg;
                        break;
                case 'c':
                        call.config = optarg;
                        break;
                case 'i':
                        if (parse_duration(optarg, &call.interval_us) < 0 || call.interval_us < INTERVAL_MIN_US ||
                            call.interval_us > INTERVAL_MAX_US)
                                return usage_error("--interval %s: not a time from 100ms to 24h, such as 2s", optarg);
                        break;
                case 'n':
                        if (parse_u64(optarg, &call.iterations) < 0 || call.iterations == 0)
                                return usage_error("--iterations %s: not a number from 1", optarg);
                        break;
                case 'h':
                        (void) fputs(help, stdout);
                        return finish(EXIT_WELL);
                case 'V':
                        (void) puts("tierctl " TIERD_VERSION);
                        return finish(EXIT_WELL);
                case ':':
                        return usage_error("%s wants a value", argv[optind - 1]);
                default:
                        /* Of a cluster of letters getopt names the one; of a long option it does not. */
                        if (strncmp(argv[optind - 1], "--", 2) == 0)
                                return usage_error(optopt ? "%s: this option takes no value" : "there is no option %s",
                                                   argv[optind - 1]);
                        return usage_error("there is no option -%c", optopt);
                }
        }

        if (optind == argc)
                return usage_error("no verb given");
        verb = find_verb(argv[optind]);
        if (!verb)
                return usage_error("there is no verb \"%s\"", argv[optind]);
        call.argc = argc - optind - 1;
        call.argv = argv + optind + 1;
        return finish(run(verb, given, &call));
}
