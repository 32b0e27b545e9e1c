/* memload: memory whose place and heat are known, for measuring what tiering does with it.
 *
 * Named sets of memory, anonymous or of a file's page cache, are put on nodes, with real content in every page, and then
 * left to the system's default policy. Sets in state "touch" are read and written all the time by one worker, or by one for
 * each CPU that sets are given to; an independent sampler prints where each set's pages are, as JSON lines. A control FIFO
 * changes states. */

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096ULL
#define HUGE_BYTES (2ULL << 20)
#define SETS_MAX 16
#define NODES_MAX 1024
#define NAME_MAX_LEN 31
#define MASK_LONGS (NODES_MAX / (8 * sizeof(unsigned long)))

/* Over 33 pages (tlb_single_page_flush_ceiling) the kernel flushes a CPU's whole TLB instead of single pages. */
#define FLUSH_PAGES 64
/* Sets of up to 64 MiB are sampled whole, larger ones every 16th page. */
#define SAMPLE_WHOLE_PAGES 16384
#define SAMPLE_STRIDE 16
/* What is given to two nodes by turns, and what zipf draws: a huge page, so that either way of paging has the same heat. */
#define BLOCK_BYTES HUGE_BYTES
#define BLOCK_PAGES (BLOCK_BYTES / PAGE_BYTES)
#define PPM 1e6

enum { USAGE_ERROR = 2 };

typedef struct Set {
        char name[NAME_MAX_LEN + 1];
        int node;
        int second_node;        /* every second block is there, or -1 */
        const char *file;       /* whose page cache the set is, or NULL: anonymous memory */
        uint64_t file_offset;
        int cpu;                /* its worker runs there, or -1: anywhere */
        bool zipf;              /* blocks are touched by Zipf's law, with exponent 1 */
        bool even;              /* a pass is spread over its time */
        uint64_t spots;         /* > 0: so many spots, spread over the set, are touched, and nothing else */
        uint64_t spot_pages;
        uint64_t pass_ns;       /* 0: as all */
        uint64_t bytes;         /* what is populated */
        int fill_bp;            /* >= 0: populate until so much of the node's MemTotal is free */
        uint64_t span;          /* what is mapped */
        unsigned char *memory;
        uint32_t *order;        /* the pages of a pass, or NULL for all in sequence */
        uint64_t n_order;
        uint32_t *ranked;       /* zipf: blocks by rank, the hottest first */
        uint64_t *chances;      /* zipf: of a rank or a better one, in 2^-32 */
        uint64_t dice;
        uint64_t *frames;       /* where each page was once all were there (pagemap entries), or NULL: not watched */
        uint64_t cursor;        /* next page of the worker's pass */
        uint64_t due_ns;        /* start of the worker's next slice, not before */
        uint64_t pass_start_ns;
        atomic_bool touch;
        _Atomic uint64_t passes;
        _Atomic uint64_t ops;   /* page touches, a read and a write each */
        _Atomic uint64_t flushes;
        _Atomic uint64_t touch_ns; /* spent on ops, without flushes and rests */
} Set;

static struct {
        Set sets[SETS_MAX];
        size_t n_sets;
        int thp;                /* advice for madvise(), -1 for none */
        bool random;
        uint64_t interval_ns;
        uint64_t duration_ns;   /* 0: until told to quit */
        uint64_t pass_ns;
        uint64_t flush_pages;   /* 0: only at the end of a pass */
        uint64_t words;         /* touched of each page, a cache line apart as far as there are lines */
        bool flush;
        bool bind;              /* the sets stay bound to their nodes */
        bool frames;            /* watch the frames of their pages */
        int pagemap;
        uint64_t stride;        /* 0: chosen by the set's size */
        const char *control;
        uint64_t start_ns;
        int node_max;
} load = {
        .thp = -1,
        .interval_ns = 1000000000ULL,
        .pass_ns = 20000000ULL,
        .flush_pages = 4UL * 1024 * 1024 / PAGE_BYTES,
        .words = 1,
        .flush = true,
};

/* Sets with the same CPU have one worker. */
typedef struct Worker {
        int cpu;
        unsigned char *flush_area;
        pthread_t thread;
} Worker;

static atomic_bool quit;
static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_signal(int signo) {
        (void) signo;
        atomic_store(&quit, true);
}

__attribute__((noreturn, format(printf, 2, 3)))
static void die(int status, const char *format, ...) {
        va_list ap;

        fputs("memload: ", stderr);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        exit(status);
}

/* The C library wraps neither, libnuma does; it is not worth a dependency. */
static long mbind(void *address, uint64_t bytes, int mode, const unsigned long *mask, unsigned long max_node) {
        return syscall(SYS_mbind, address, bytes, mode, mask, max_node, 0);
}

static long policy_set(int mode, const unsigned long *mask, unsigned long max_node) {
        return syscall(SYS_set_mempolicy, mode, mask, max_node);
}

static long pages_locate(size_t n, void **addresses, int *ret_nodes) {
        return syscall(SYS_move_pages, 0, n, addresses, NULL, ret_nodes, 0);
}

static uint64_t now_ns(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000000ULL + (uint64_t) t.tv_nsec;
}

static uint64_t elapsed_ms(void) {
        return (now_ns() - load.start_ns) / 1000000ULL;
}

static void sleep_until(uint64_t when_ns) {
        struct timespec t = {
                .tv_sec = (time_t) (when_ns / 1000000000ULL),
                .tv_nsec = (long) (when_ns % 1000000000ULL),
        };

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* --- arguments */

static void usage(FILE *to) {
        fputs("usage: memload --set NAME:SIZE@NODE[+NODE][:touch|:idle[,PATTERN]...]... [OPTION]...\n"
              "\n"
              "  SIZE                 700M, 2G, 64K (powers of 1024), or fill-5% or fill-5.25%: until so much of the\n"
              "                       node's MemTotal is left free; sets are populated in the order given\n"
              "  NODE+NODE            blocks of 2 MiB by turns on the one and the other\n"
              "  PATTERN              pass=TIME    instead of --pass-every, for this set\n"
              "                       even         a pass is spread over its time, as a slow scan is\n"
              "                       zipf         blocks of 2 MiB by chance, as often as Zipf's law has it (exponent 1),\n"
              "                                    their ranks shuffled; as many pages as the set has count as a pass\n"
              "                       spots=NxSIZE only N spots of SIZE, spread over the set\n"
              "                       cpu=N        by a thread of its own, bound to that CPU\n"
              "                       file=PATH[+OFFSET]  the set is page cache of a file or block device, read only\n"
              "  --thp always|never   advise huge pages for the sets, or against them\n"
              "  --order seq|random   of the pages in a pass (seq)\n"
              "  --bind               the sets stay bound to their nodes: mbind(MPOL_BIND), as databases do it\n"
              "  --frames             tell with each sample how many pages are not in the frame any more that they had at the\n"
              "                       start: those that moved, if only to and fro between two samples (needs root)\n"
              "  --words N            touch so many words of each page (1, at most 512): for memory that is slow itself\n"
              "  --pass-every TIME    a pass over a touched set starts at most so often (20ms)\n"
              "  --flush-every SIZE   flush the CPU's TLB after touching so much, and after each pass (4M);\n"
              "                       0 for never: then an emulated CPU hides accesses from DAMON\n"
              "  --interval TIME      between samples of where the pages are (1s)\n"
              "  --stride N           sample every Nth page (1 for sets up to 64 MiB, else 16)\n"
              "  --duration TIME      then end (run until told to quit)\n"
              "  --control FIFO|-     lines `touch NAME`, `idle NAME`, `quit`\n"
              "  --help\n"
              "\n"
              "Prints JSON lines: an event \"ready\" once all sets are populated, then each set at every interval; of\n"
              "sets with zipf or spots also heat_ppm, where a touch finds its page, in millionths by node.\n"
              "Exit: 0 done, 1 failed, 2 wrong usage.\n",
              to);
}

static bool parse_size(const char *s, uint64_t *ret) {
        static const char units[] = "KMGT";
        unsigned long long n;
        const char *unit;
        unsigned shift = 0;
        char *end;

        if (!isdigit((unsigned char) *s))
                return false;
        errno = 0;
        n = strtoull(s, &end, 10);
        if (errno != 0)
                return false;
        if (*end) {
                unit = strchr(units, *end);
                if (!unit || end[1])
                        return false;
                shift = 10U * (unsigned) (unit - units + 1);
        }
        if (n > (UINT64_MAX >> shift))
                return false;
        *ret = (uint64_t) n << shift;
        return true;
}

static bool parse_time(const char *s, uint64_t *ret_ns) {
        static const struct { const char *unit; uint64_t ns; } units[] = {
                { "us", 1000ULL }, { "ms", 1000000ULL }, { "s", 1000000000ULL }, { "m", 60000000000ULL },
        };
        unsigned long long n;
        char *end;

        if (!isdigit((unsigned char) *s))
                return false;
        errno = 0;
        n = strtoull(s, &end, 10);
        if (errno != 0)
                return false;
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
                if (strcmp(end, units[i].unit) == 0 && n <= UINT64_MAX / units[i].ns) {
                        *ret_ns = n * units[i].ns;
                        return true;
                }
        return false;
}

/* "5%", "5.2%" or "5.25%" to basis points, within (0, 100). */
static bool parse_percent(const char *s, int *ret_bp) {
        long bp;
        char *end;

        if (!isdigit((unsigned char) *s))
                return false;
        bp = strtol(s, &end, 10);
        if (bp > 100)
                return false;
        bp *= 100;
        if (*end == '.') {
                if (!isdigit((unsigned char) end[1]))
                        return false;
                bp += 10L * (end[1] - '0');
                end += 2;
                if (isdigit((unsigned char) *end))
                        bp += *end++ - '0';
        }
        if (strcmp(end, "%") != 0 || bp <= 0 || bp >= 10000)
                return false;
        *ret_bp = (int) bp;
        return true;
}

static Set *set_find(const char *name) {
        for (size_t i = 0; i < load.n_sets; i++)
                if (strcmp(load.sets[i].name, name) == 0)
                        return &load.sets[i];
        return NULL;
}

/* Of `file=`: the offset comes behind the last +, if what is there is a size. */
static void set_file_parse(Set *set, const char *value) {
        char *path, *plus;

        path = strdup(value);
        if (!path)
                die(1, "no memory");
        plus = strrchr(path, '+');
        if (plus && parse_size(plus + 1, &set->file_offset))
                *plus = 0;
        if (*path != '/' || set->file_offset % PAGE_BYTES != 0)
                die(USAGE_ERROR, "'%s' is no absolute path with a multiple of 4K as offset", value);
        set->file = path;
}

static void set_pattern_parse(Set *set, char *pattern) {
        char *value, *times, *end;
        uint64_t bytes;

        value = strchr(pattern, '=');
        if (value)
                *value++ = 0;
        if (!value && strcmp(pattern, "even") == 0)
                set->even = true;
        else if (!value && strcmp(pattern, "zipf") == 0)
                set->zipf = true;
        else if (value && strcmp(pattern, "pass") == 0) {
                if (!parse_time(value, &set->pass_ns) || set->pass_ns == 0)
                        die(USAGE_ERROR, "'%s' is no time: 500us, 20ms, 1s", value);
        } else if (value && strcmp(pattern, "cpu") == 0) {
                long cpu = strtol(value, &end, 10);

                if (!isdigit((unsigned char) *value) || *end || cpu >= CPU_SETSIZE)
                        die(USAGE_ERROR, "'%s' is no CPU", value);
                set->cpu = (int) cpu;
        } else if (value && strcmp(pattern, "spots") == 0) {
                times = strchr(value, 'x');
                if (times)
                        *times++ = 0;
                if (!times || !parse_size(value, &set->spots) || set->spots == 0 || !parse_size(times, &bytes) ||
                    bytes < PAGE_BYTES)
                        die(USAGE_ERROR, "spots are NxSIZE: 32x1M");
                set->spot_pages = bytes / PAGE_BYTES;
        } else if (value && strcmp(pattern, "file") == 0)
                set_file_parse(set, value);
        else
                die(USAGE_ERROR, "'%s' is no pattern: pass=, even, zipf, spots=, cpu=, file=", pattern);
}

static void set_add(const char *argument) {
        char text[256], *size, *node, *state, *end, *pattern, *next;
        Set *set;
        long id;

        if (load.n_sets == SETS_MAX)
                die(USAGE_ERROR, "more than %d sets", SETS_MAX);
        if (strlen(argument) >= sizeof text)
                die(USAGE_ERROR, "--set is too long: %s", argument);
        memcpy(text, argument, strlen(argument) + 1);

        size = strchr(text, ':');
        node = size ? strchr(size, '@') : NULL;
        if (!node)
                die(USAGE_ERROR, "--set is NAME:SIZE@NODE[:touch|:idle], not '%s'", argument);
        *size++ = 0;
        *node++ = 0;
        state = strchr(node, ':');
        if (state)
                *state++ = 0;

        if (!*text || strlen(text) > NAME_MAX_LEN || strspn(text, "abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != strlen(text))
                die(USAGE_ERROR, "'%s' is no name for a set: letters, digits, - and _, at most %d", text, NAME_MAX_LEN);
        if (set_find(text))
                die(USAGE_ERROR, "set '%s' is given twice", text);

        set = &load.sets[load.n_sets];
        set->fill_bp = -1;
        if (strncmp(size, "fill-", 5) == 0) {
                if (!parse_percent(size + 5, &set->fill_bp))
                        die(USAGE_ERROR, "'%s' is no percentage between 0%% and 100%%", size + 5);
        } else if (!parse_size(size, &set->bytes) || set->bytes < PAGE_BYTES || set->bytes > (1ULL << 44))
                die(USAGE_ERROR, "'%s' is no size: 64K, 700M, 2G or fill-5%%", size);
        set->bytes &= ~(PAGE_BYTES - 1);

        id = strtol(node, &end, 10);
        if (!isdigit((unsigned char) *node) || (*end && *end != '+') || id >= NODES_MAX)
                die(USAGE_ERROR, "'%s' is no node", node);
        set->node = (int) id;
        set->second_node = -1;
        if (*end) {
                node = end + 1;
                id = strtol(node, &end, 10);
                if (!isdigit((unsigned char) *node) || *end || id >= NODES_MAX)
                        die(USAGE_ERROR, "'%s' is no node", node);
                set->second_node = (int) id;
        }

        set->cpu = -1;
        pattern = state ? strchr(state, ',') : NULL;
        if (pattern)
                *pattern++ = 0;
        if (state && strcmp(state, "touch") != 0 && strcmp(state, "idle") != 0)
                die(USAGE_ERROR, "a set is touch or idle, not '%s'", state);
        atomic_store(&set->touch, state && strcmp(state, "touch") == 0);
        for (; pattern; pattern = next) {
                next = strchr(pattern, ',');
                if (next)
                        *next++ = 0;
                set_pattern_parse(set, pattern);
        }
        if (set->second_node >= 0 && (set->fill_bp >= 0 || set->file))
                die(USAGE_ERROR, "set '%s': what fills a node, and files, have one node", text);
        if (set->spots > 0 && (set->zipf || set->fill_bp >= 0 || set->bytes / PAGE_BYTES / set->spots < set->spot_pages))
                die(USAGE_ERROR, "set '%s': the spots do not fit into it, or it has another pattern or no size", text);
        memcpy(set->name, text, strlen(text) + 1);
        load.n_sets++;
}

static void arguments_parse(int argc, char *argv[]) {
        enum { SET = 256, THP, ORDER, BIND, FRAMES, WORDS, PASS, FLUSH, INTERVAL, STRIDE, DURATION, CONTROL, HELP };
        static const struct option options[] = {
                { "set", required_argument, NULL, SET },
                { "thp", required_argument, NULL, THP },
                { "order", required_argument, NULL, ORDER },
                { "bind", no_argument, NULL, BIND },
                { "frames", no_argument, NULL, FRAMES },
                { "words", required_argument, NULL, WORDS },
                { "pass-every", required_argument, NULL, PASS },
                { "flush-every", required_argument, NULL, FLUSH },
                { "interval", required_argument, NULL, INTERVAL },
                { "stride", required_argument, NULL, STRIDE },
                { "duration", required_argument, NULL, DURATION },
                { "control", required_argument, NULL, CONTROL },
                { "help", no_argument, NULL, HELP },
                { NULL, 0, NULL, 0 },
        };
        uint64_t n;
        int c;

        opterr = 0;
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case SET:
                        set_add(optarg);
                        break;
                case THP:
                        if (strcmp(optarg, "always") == 0)
                                load.thp = MADV_HUGEPAGE;
                        else if (strcmp(optarg, "never") == 0)
                                load.thp = MADV_NOHUGEPAGE;
                        else
                                die(USAGE_ERROR, "--thp is always or never, not '%s'", optarg);
                        break;
                case ORDER:
                        load.random = strcmp(optarg, "random") == 0;
                        if (!load.random && strcmp(optarg, "seq") != 0)
                                die(USAGE_ERROR, "--order is seq or random, not '%s'", optarg);
                        break;
                case BIND:
                        load.bind = true;
                        break;
                case FRAMES:
                        load.frames = true;
                        break;
                case WORDS:
                        if (!parse_size(optarg, &load.words) || load.words == 0 || load.words > PAGE_BYTES / sizeof(uint64_t))
                                die(USAGE_ERROR, "'%s' is no number of words: 1 to 512", optarg);
                        break;
                case PASS:
                        if (!parse_time(optarg, &load.pass_ns))
                                die(USAGE_ERROR, "'%s' is no time: 500us, 20ms, 1s", optarg);
                        break;
                case FLUSH:
                        if (!parse_size(optarg, &n))
                                die(USAGE_ERROR, "'%s' is no size: 0, 64K, 4M", optarg);
                        load.flush = n > 0;
                        load.flush_pages = n / PAGE_BYTES;
                        break;
                case INTERVAL:
                        if (!parse_time(optarg, &load.interval_ns) || load.interval_ns == 0)
                                die(USAGE_ERROR, "'%s' is no interval: 500ms, 1s", optarg);
                        break;
                case STRIDE:
                        if (!parse_size(optarg, &load.stride) || load.stride == 0)
                                die(USAGE_ERROR, "'%s' is no stride: 1, 16", optarg);
                        break;
                case DURATION:
                        if (!parse_time(optarg, &load.duration_ns) || load.duration_ns == 0)
                                die(USAGE_ERROR, "'%s' is no duration: 30s, 2m", optarg);
                        break;
                case CONTROL:
                        load.control = optarg;
                        break;
                case HELP:
                        usage(stdout);
                        exit(0);
                default:
                        die(USAGE_ERROR, "%s: unknown, or lacks its value (see --help)", argv[optind - 1]);
                }
        if (optind < argc)
                die(USAGE_ERROR, "'%s' is no option (see --help)", argv[optind]);
        if (load.n_sets == 0)
                die(USAGE_ERROR, "no --set given (see --help)");
        for (size_t i = 0; i < load.n_sets; i++) {
                if (load.sets[i].pass_ns == 0)
                        load.sets[i].pass_ns = load.pass_ns;
                if (load.sets[i].file && (load.frames || load.bind))
                        die(USAGE_ERROR, "--frames and --bind are not for sets of files");
        }
}

/* --- populating */

/* MemTotal and MemFree of a node, in bytes. */
static void node_meminfo(int node, uint64_t *ret_total, uint64_t *ret_free) {
        char path[64], line[128];
        bool total = false, free_ = false;
        uint64_t kib;
        FILE *f;

        snprintf(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", node);
        f = fopen(path, "re");
        if (!f)
                die(1, "cannot read %s: %s", path, strerror(errno));
        while (fgets(line, sizeof line, f)) {
                if (sscanf(line, "Node %*d MemTotal: %" SCNu64, &kib) == 1) {
                        *ret_total = kib * 1024;
                        total = true;
                } else if (sscanf(line, "Node %*d MemFree: %" SCNu64, &kib) == 1) {
                        *ret_free = kib * 1024;
                        free_ = true;
                }
        }
        fclose(f);
        if (!total || !free_)
                die(1, "%s has no MemTotal or no MemFree", path);
}

static void mask_set(unsigned long *mask, int node) {
        const size_t bits = 8 * sizeof(unsigned long);

        memset(mask, 0, MASK_LONGS * sizeof *mask);
        mask[(size_t) node / bits] = 1UL << ((size_t) node % bits);
}

static void pages_write(Set *set, uint64_t from_page, uint64_t to_page) {
        if (set->file) {
                for (uint64_t page = from_page; page < to_page; page++)
                        (void) *(volatile uint64_t *) (set->memory + page * PAGE_BYTES);
                return;
        }
        /* Every page differs from zero, or the kernel may take it for unused when it splits huge pages. */
        for (uint64_t page = from_page; page < to_page; page++)
                *(volatile uint64_t *) (set->memory + page * PAGE_BYTES) = page + 1;
}

/* Page cache heeds the policy of the thread that has it read, not that of a mapping. Read ahead would go beyond the set. */
static void file_map(Set *set, const unsigned long *mask) {
        int fd;

        fd = open(set->file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                die(1, "set %s: cannot open %s: %s", set->name, set->file, strerror(errno));
        set->memory = mmap(NULL, set->span, PROT_READ, MAP_SHARED, fd, (off_t) set->file_offset);
        if (set->memory == MAP_FAILED || madvise(set->memory, set->span, MADV_RANDOM) < 0)
                die(1, "set %s: mmap of %" PRIu64 " MiB of %s: %s", set->name, set->span >> 20, set->file, strerror(errno));
        close(fd);
        if (policy_set(MPOL_BIND, mask, NODES_MAX) < 0)
                die(1, "set %s: policy of node %d: %s", set->name, set->node, strerror(errno));
}

static void memory_map(Set *set) {
        unsigned long mask[MASK_LONGS];
        uint64_t span = set->span;
        unsigned char *raw;

        mask_set(mask, set->node);
        if (set->file) {
                file_map(set, mask);
                return;
        }
        raw = mmap(NULL, span + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (raw == MAP_FAILED)
                die(1, "set %s: mmap of %" PRIu64 " MiB: %s", set->name, span >> 20, strerror(errno));
        set->memory = raw + (HUGE_BYTES - (uintptr_t) raw % HUGE_BYTES) % HUGE_BYTES;
        if (load.thp >= 0 && madvise(set->memory, span, load.thp) < 0)
                die(1, "set %s: madvise: %s", set->name, strerror(errno));

        if (mbind(set->memory, span, MPOL_BIND, mask, NODES_MAX) < 0)
                die(1, "set %s: mbind to node %d: %s", set->name, set->node, strerror(errno));
        if (set->second_node < 0)
                return;
        mask_set(mask, set->second_node);
        for (uint64_t at = BLOCK_BYTES; at < span; at += 2 * BLOCK_BYTES)
                if (mbind(set->memory + at, span - at < BLOCK_BYTES ? span - at : BLOCK_BYTES, MPOL_BIND, mask, NODES_MAX) < 0)
                        die(1, "set %s: mbind to node %d: %s", set->name, set->second_node, strerror(errno));
}

static void set_populate(Set *set) {
        uint64_t total = 0, free_ = 0, span, missing, step, pages = 0;

        node_meminfo(set->node, &total, &free_);
        if (total == 0)
                die(1, "set %s: node %d has no memory", set->name, set->node);
        if (set->fill_bp < 0 && set->bytes / (set->second_node < 0 ? 1 : 2) > free_)
                die(1, "set %s: %" PRIu64 " MiB do not fit on node %d, which has %" PRIu64 " MiB free",
                    set->name, set->bytes >> 20, set->node, free_ >> 20);
        span = set->span = set->fill_bp < 0 ? set->bytes : total & ~(PAGE_BYTES - 1);
        memory_map(set);
        if (set->fill_bp < 0) {
                pages = set->bytes / PAGE_BYTES;
                pages_write(set, 0, pages);
        } else {
                uint64_t target = total / 10000 * (uint64_t) set->fill_bp;

                /* Page tables and per-CPU lists take memory too: go half the way each time, and look again. */
                for (;;) {
                        node_meminfo(set->node, &total, &free_);
                        missing = free_ > target ? (free_ - target) / PAGE_BYTES : 0;
                        if (missing < HUGE_BYTES / PAGE_BYTES || pages == span / PAGE_BYTES)
                                break;
                        step = missing > 4 * HUGE_BYTES / PAGE_BYTES ? missing / 2 : HUGE_BYTES / PAGE_BYTES;
                        if (step > span / PAGE_BYTES - pages)
                                step = span / PAGE_BYTES - pages;
                        pages_write(set, pages, pages + step);
                        pages += step;
                }
                if (pages == 0)
                        die(1, "set %s: node %d has %" PRIu64 " MiB free of %" PRIu64 ", less than asked already",
                            set->name, set->node, free_ >> 20, total >> 20);
                set->bytes = pages * PAGE_BYTES;
        }
        if (set->file && policy_set(MPOL_DEFAULT, NULL, 0) < 0)
                die(1, "set %s: back to the default policy: %s", set->name, strerror(errno));
}

/* Free memory of a node goes on changing for a while: the kernel moves pages between the node's free lists and
 * each CPU's. Give or take whole huge pages at the end of the set until the target holds. */
static void set_settle(Set *set) {
        const struct timespec pause = { .tv_nsec = 100000000 };
        uint64_t total = 0, free_ = 0, target, want;

        for (int round = 0; set->fill_bp >= 0 && !set->file && round < 10; round++) {
                nanosleep(&pause, NULL);
                node_meminfo(set->node, &total, &free_);
                target = total / 10000 * (uint64_t) set->fill_bp;
                if (free_ + HUGE_BYTES <= target) {
                        want = (target - free_) & ~(HUGE_BYTES - 1);
                        if (want >= set->bytes)
                                return;
                        set->bytes -= want;
                        if (madvise(set->memory + set->bytes, want, MADV_DONTNEED) < 0)
                                die(1, "set %s: madvise: %s", set->name, strerror(errno));
                } else if (free_ >= target + HUGE_BYTES) {
                        want = (free_ - target) & ~(HUGE_BYTES - 1);
                        if (set->bytes + want > total)
                                return;
                        pages_write(set, set->bytes / PAGE_BYTES, (set->bytes + want) / PAGE_BYTES);
                        set->bytes += want;
                } else
                        return;
        }
}

/* The set stops growing here; unless it is to stay bound, the policy goes back to the default, since pages that stay bound
 * could not be demoted by reclaim, and NUMA balancing would heed the policy. */
static void set_release(Set *set) {
        if (!load.bind && !set->file && mbind(set->memory, set->span, MPOL_DEFAULT, NULL, 0) < 0)
                die(1, "set %s: mbind back to the default policy: %s", set->name, strerror(errno));
}

/* --- patterns */

static void *numbers_new(const Set *set, uint64_t n, size_t size) {
        void *numbers = calloc(n, size);

        if (!numbers)
                die(1, "set %s: no memory for the order of its pages", set->name);
        return numbers;
}

/* xorshift64 (Marsaglia, Xorshift RNGs, 2003). */
static uint64_t dice_roll(uint64_t *state) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

static void numbers_shuffle(uint32_t *numbers, uint64_t n, uint64_t *dice) {
        for (uint64_t i = n - 1; i > 0; i--) {
                uint64_t j = dice_roll(dice) % (i + 1);
                uint32_t swap = numbers[i];

                numbers[i] = numbers[j];
                numbers[j] = swap;
        }
}

static uint64_t set_blocks(const Set *set) {
        return (set->bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

static void zipf_prepare(Set *set) {
        uint64_t n = set_blocks(set);
        double sum = 0, all = 0;

        set->ranked = numbers_new(set, n, sizeof *set->ranked);
        set->chances = numbers_new(set, n, sizeof *set->chances);
        for (uint64_t i = 0; i < n; i++) {
                set->ranked[i] = (uint32_t) i;
                all += 1.0 / (double) (i + 1);
        }
        numbers_shuffle(set->ranked, n, &set->dice);
        for (uint64_t i = 0; i < n; i++) {
                sum += 1.0 / (double) (i + 1);
                set->chances[i] = (uint64_t) (sum / all * (double) (1ULL << 32));
        }
        set->chances[n - 1] = 1ULL << 32;
}

static void pattern_prepare(Set *set) {
        uint64_t pages = set->bytes / PAGE_BYTES;

        set->dice = 88172645463325252ULL; /* xorshift64's customary seed */
        if (set->zipf) {
                zipf_prepare(set);
                return;
        }
        if (set->spots > 0) {
                set->n_order = set->spots * set->spot_pages;
                set->order = numbers_new(set, set->n_order, sizeof *set->order);
                for (uint64_t i = 0; i < set->n_order; i++)
                        set->order[i] = (uint32_t) (pages / set->spots * (i / set->spot_pages) + i % set->spot_pages);
        } else if (load.random) {
                set->n_order = pages;
                set->order = numbers_new(set, pages, sizeof *set->order);
                for (uint64_t i = 0; i < pages; i++)
                        set->order[i] = (uint32_t) i;
        }
        if (load.random)
                numbers_shuffle(set->order, set->n_order, &set->dice);
}

/* --- frames */

/* Frame numbers and flags of n pages from `page` on (Documentation/admin-guide/mm/pagemap.rst). */
static void frames_read(const Set *set, uint64_t page, size_t n, uint64_t *ret) {
        off_t at = (off_t) (((uintptr_t) set->memory / PAGE_BYTES + page) * sizeof *ret);

        if (pread(load.pagemap, ret, n * sizeof *ret, at) != (ssize_t) (n * sizeof *ret))
                die(1, "cannot read /proc/self/pagemap: %s", strerror(errno));
}

static void frames_note(Set *set) {
        uint64_t pages = set->bytes / PAGE_BYTES;

        set->frames = malloc(pages * sizeof *set->frames);
        if (!set->frames)
                die(1, "set %s: no memory for its frames", set->name);
        frames_read(set, 0, pages, set->frames);
        for (uint64_t i = 0; i < pages; i++) {
                set->frames[i] &= (1ULL << 55) - 1;
                if (set->frames[i] == 0)
                        die(1, "set %s: /proc/self/pagemap shows no frames; are we root?", set->name);
        }
}

static uint64_t frames_changed(const Set *set) {
        static uint64_t now[4096];
        uint64_t pages = set->bytes / PAGE_BYTES, changed = 0;

        for (uint64_t page = 0; page < pages;) {
                size_t n = pages - page < 4096 ? (size_t) (pages - page) : 4096;

                frames_read(set, page, n, now);
                for (size_t i = 0; i < n; i++, page++)
                        changed += (now[i] & ((1ULL << 55) - 1)) != set->frames[page];
        }
        return changed;
}

/* --- the worker */

static void flush_area_prepare(Worker *w) {
        w->flush_area = mmap(NULL, FLUSH_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (w->flush_area == MAP_FAILED)
                die(1, "mmap of the flush area: %s", strerror(errno));
        /* One huge page would be one entry, flushed alone. Kernels without huge pages refuse the advice. */
        (void) madvise(w->flush_area, FLUSH_PAGES * PAGE_BYTES, MADV_NOHUGEPAGE);
        memset(w->flush_area, 1, FLUSH_PAGES * PAGE_BYTES);
}

/* An emulated CPU keeps translations far longer than a real one, and while it has one it sets no access bit:
 * pages touched all the time look idle to DAMON. Taking the right to write from many pages at once has the
 * kernel flush the whole TLB; writing to them makes them ready for the next time. */
static void tlb_flush(const Worker *w, Set *set) {
        if (!load.flush)
                return;
        if (mprotect(w->flush_area, FLUSH_PAGES * PAGE_BYTES, PROT_READ) < 0 ||
            mprotect(w->flush_area, FLUSH_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE) < 0)
                die(1, "mprotect of the flush area: %s", strerror(errno));
        for (size_t i = 0; i < FLUSH_PAGES; i++)
                ((volatile unsigned char *) w->flush_area)[i * PAGE_BYTES]++;
        atomic_fetch_add(&set->flushes, 1);
}

/* In a page: one word of each of its 64 cache lines, then the next word of each. */
static uint64_t word_offset(uint64_t word) {
        return word % 64 * 64 + word / 64 * sizeof(uint64_t);
}

static void page_touch(const Set *set, uint64_t page) {
        for (uint64_t i = 0; i < load.words; i++) {
                volatile uint64_t *word = (volatile uint64_t *) (set->memory + page * PAGE_BYTES + word_offset(i));

                if (set->file)
                        (void) *word;
                else
                        ++*word;
        }
}

/* Blocks as chance has it, at least so many pages. Returns how many. */
static uint64_t zipf_touch(Set *set, uint64_t want) {
        uint64_t pages = set->bytes / PAGE_BYTES, n = set_blocks(set), done = 0;

        while (done < want) {
                uint64_t roll = dice_roll(&set->dice) >> 32, low = 0, high = n - 1, page, end;

                while (low < high) {
                        uint64_t middle = (low + high) / 2;

                        if (set->chances[middle] > roll)
                                high = middle;
                        else
                                low = middle + 1;
                }
                page = set->ranked[low] * BLOCK_PAGES;
                end = page + BLOCK_PAGES < pages ? page + BLOCK_PAGES : pages;
                done += end - page;
                for (; page < end; page++)
                        page_touch(set, page);
        }
        return done;
}

/* Touches the next pages of a set, up to a flush or the end of the pass. */
static void set_touch(const Worker *w, Set *set) {
        uint64_t pages = set->order ? set->n_order : set->bytes / PAGE_BYTES, end = pages, now, begun, touch_ns;

        begun = set->cursor;
        if (begun == 0)
                set->pass_start_ns = now_ns();
        if (load.flush_pages > 0 && end - begun > load.flush_pages)
                end = begun + load.flush_pages;
        touch_ns = now_ns();
        if (set->zipf)
                end = begun + zipf_touch(set, end - begun);
        else
                for (uint64_t i = begun; i < end; i++)
                        page_touch(set, set->order ? set->order[i] : i);
        atomic_fetch_add(&set->touch_ns, now_ns() - touch_ns);
        atomic_fetch_add(&set->ops, end - begun);
        set->cursor = end;
        tlb_flush(w, set);

        now = now_ns();
        if (set->cursor >= pages) {
                set->cursor = 0;
                atomic_fetch_add(&set->passes, 1);
                set->due_ns = set->pass_start_ns + set->pass_ns;
        } else if (set->even)
                /* In shares that do not overflow. */
                set->due_ns = set->pass_start_ns + set->pass_ns / 1000 * (set->cursor * 1000 / pages);
        if (set->due_ns < now)
                set->due_ns = now;
}

static void *worker_run(void *argument) {
        /* So late it notices a change of state or the end. */
        const uint64_t nap_ns = 10000000ULL;
        const Worker *w = argument;

        while (!atomic_load(&quit)) {
                uint64_t now = now_ns(), wake = now + nap_ns;
                bool worked = false;

                for (size_t i = 0; i < load.n_sets; i++) {
                        Set *set = &load.sets[i];

                        if (set->cpu != w->cpu || !atomic_load(&set->touch))
                                continue;
                        if (set->due_ns <= now) {
                                set_touch(w, set);
                                worked = true;
                        } else if (set->due_ns < wake)
                                wake = set->due_ns;
                }
                if (!worked)
                        sleep_until(wake);
        }
        return NULL;
}

/* One for each CPU that a set names, and one for those that name none. Returns how many. */
static size_t workers_start(Worker *workers) {
        size_t n = 0, j;
        cpu_set_t cpus;
        int r;

        for (size_t i = 0; i < load.n_sets; i++) {
                Worker *w = &workers[n];

                for (j = 0; j < n && workers[j].cpu != load.sets[i].cpu; j++)
                        ;
                if (j < n)
                        continue;
                w->cpu = load.sets[i].cpu;
                flush_area_prepare(w);
                r = pthread_create(&w->thread, NULL, worker_run, w);
                if (r == 0 && w->cpu >= 0) {
                        CPU_ZERO(&cpus);
                        CPU_SET((size_t) w->cpu, &cpus);
                        r = pthread_setaffinity_np(w->thread, sizeof cpus, &cpus);
                }
                if (r != 0)
                        die(1, "cannot start a thread on CPU %d: %s", w->cpu, strerror(r));
                n++;
        }
        return n;
}

/* --- the sampler */

static int node_highest(void) {
        char text[256] = "";
        int highest = 0;
        FILE *f;

        f = fopen("/sys/devices/system/node/has_memory", "re");
        if (!f)
                return 0;
        if (fgets(text, sizeof text, f))
                for (char *p = text; *p;) {
                        if (isdigit((unsigned char) *p)) {
                                long id = strtol(p, &p, 10);

                                if (id > highest && id < NODES_MAX)
                                        highest = (int) id;
                        } else
                                p++;
                }
        fclose(f);
        return highest;
}

/* Where n pages are, from `page` on in steps of `stride` pages: the share of `weight` that is on each node. */
static void pages_weigh(const Set *set, uint64_t page, uint64_t n, uint64_t stride, double weight, double *shares) {
        static void *addresses[512];
        static int nodes[512];
        uint64_t each = (n + stride - 1) / stride;

        for (uint64_t i = 0; i < n;) {
                size_t count = 0;

                for (; count < 512 && i < n; count++, i += stride) {
                        uint64_t at = page + i;

                        addresses[count] = set->memory + (set->order ? set->order[at] : at) * PAGE_BYTES;
                }
                if (pages_locate(count, addresses, nodes) < 0)
                        die(1, "move_pages: %s", strerror(errno));
                for (size_t j = 0; j < count; j++)
                        if (nodes[j] >= 0 && nodes[j] < NODES_MAX)
                                shares[nodes[j]] += weight / (double) each;
        }
}

/* Where the next touch finds its page: by chance of each block, or among the spots. */
static void heat_sample(const Set *set, double *ret_shares) {
        uint64_t pages = set->bytes / PAGE_BYTES, chance = 0;

        memset(ret_shares, 0, NODES_MAX * sizeof *ret_shares);
        if (!set->zipf) {
                pages_weigh(set, 0, set->n_order, set->n_order > SAMPLE_WHOLE_PAGES ? SAMPLE_STRIDE : 1, 1, ret_shares);
                return;
        }
        for (uint64_t i = 0; i < set_blocks(set); i++) {
                uint64_t page = set->ranked[i] * BLOCK_PAGES;

                pages_weigh(set, page, page + BLOCK_PAGES < pages ? BLOCK_PAGES : pages - page, UINT64_C(2) * SAMPLE_STRIDE,
                            (double) (set->chances[i] - chance) / (double) (1ULL << 32), ret_shares);
                chance = set->chances[i];
        }
}

static void set_sample(Set *set) {
        static double shares[NODES_MAX];
        static void *addresses[512];
        static int nodes[512];
        static uint64_t bytes[NODES_MAX];
        uint64_t pages = set->bytes / PAGE_BYTES, away = 0, stride, t_ms, changed = 0;
        bool first = true;

        stride = load.stride;
        if (stride == 0)
                stride = pages > SAMPLE_WHOLE_PAGES ? SAMPLE_STRIDE : 1;
        memset(bytes, 0, sizeof bytes);
        t_ms = elapsed_ms();
        for (uint64_t page = 0; page < pages;) {
                uint64_t at = page;
                size_t n = 0;

                for (; n < 512 && at < pages; n++, at += stride)
                        addresses[n] = set->memory + at * PAGE_BYTES;
                if (pages_locate(n, addresses, nodes) < 0)
                        die(1, "move_pages: %s", strerror(errno));
                for (size_t i = 0; i < n; i++, page += stride) {
                        uint64_t stands_for = pages - page < stride ? pages - page : stride;

                        if (nodes[i] >= 0 && nodes[i] < NODES_MAX)
                                bytes[nodes[i]] += stands_for * PAGE_BYTES;
                        else
                                away += stands_for * PAGE_BYTES;
                }
        }

        if (set->frames)
                changed = frames_changed(set);
        if (set->zipf || set->spots > 0)
                heat_sample(set, shares);

        pthread_mutex_lock(&output_lock);
        printf("{\"t_ms\":%" PRIu64 ",\"set\":\"%s\",\"bytes\":%" PRIu64 ",\"node_bytes\":{", t_ms, set->name, set->bytes);
        for (int node = 0; node < NODES_MAX; node++)
                if (node <= load.node_max || bytes[node] > 0) {
                        printf("%s\"%d\":%" PRIu64, first ? "" : ",", node, bytes[node]);
                        first = false;
                }
        printf("},\"away_bytes\":%" PRIu64 ",\"stride\":%" PRIu64 ",\"passes\":%" PRIu64 ",\"flushes\":%" PRIu64
               ",\"ops\":%" PRIu64 ",\"touch_ns\":%" PRIu64 ",\"state\":\"%s\"",
               away, stride, atomic_load(&set->passes), atomic_load(&set->flushes), atomic_load(&set->ops),
               atomic_load(&set->touch_ns), atomic_load(&set->touch) ? "touch" : "idle");
        if (set->frames)
                printf(",\"frames_changed\":%" PRIu64, changed);
        if (set->zipf || set->spots > 0) {
                for (int node = 0; node < NODES_MAX; node++)
                        if (node <= load.node_max || shares[node] > 0)
                                printf("%s\"%d\":%.0f", node == 0 ? ",\"heat_ppm\":{" : ",", node, shares[node] * PPM);
                printf("}");
        }
        printf("}\n");
        fflush(stdout);
        pthread_mutex_unlock(&output_lock);
}

static void *sampler_run(void *unused) {
        uint64_t due = now_ns();

        (void) unused;
        for (;;) {
                bool last = atomic_load(&quit);
                uint64_t now;

                for (size_t i = 0; i < load.n_sets; i++)
                        set_sample(&load.sets[i]);
                if (last)
                        return NULL;
                due += load.interval_ns;
                now = now_ns();
                if (due < now)
                        due = now;
                /* In naps, for the last sample is to be of the end and not of an interval later. */
                while (!atomic_load(&quit) && (now = now_ns()) < due)
                        sleep_until(due - now > 50000000ULL ? now + 50000000ULL : due);
        }
}

/* --- control */

static void event_print(const char *event, const char *set) {
        pthread_mutex_lock(&output_lock);
        if (set)
                printf("{\"t_ms\":%" PRIu64 ",\"event\":\"%s\",\"set\":\"%s\"}\n", elapsed_ms(), event, set);
        else
                printf("{\"t_ms\":%" PRIu64 ",\"event\":\"%s\",\"clock_ms\":%" PRIu64 "}\n", elapsed_ms(), event,
                       (uint64_t) (now_ns() / 1000000ULL));
        fflush(stdout);
        pthread_mutex_unlock(&output_lock);
}

static void command_run(char *line) {
        char *name;
        Set *set;

        if (strcmp(line, "quit") == 0) {
                atomic_store(&quit, true);
                return;
        }
        name = strchr(line, ' ');
        if (name)
                *name++ = 0;
        set = name ? set_find(name) : NULL;
        if (set && strcmp(line, "touch") == 0)
                atomic_store(&set->touch, true);
        else if (set && strcmp(line, "idle") == 0)
                atomic_store(&set->touch, false);
        else {
                fprintf(stderr, "memload: no command '%s%s%s'\n", line, name ? " " : "", name ? name : "");
                return;
        }
        event_print(line, set->name);
}

/* Until the end of the duration, a signal or `quit`. */
static void control_run(int fd, uint64_t end_ns) {
        char buffer[256];
        size_t filled = 0;

        while (!atomic_load(&quit)) {
                struct pollfd p = { .fd = fd, .events = POLLIN };
                uint64_t now = now_ns();
                ssize_t n;

                if (end_ns > 0 && now >= end_ns)
                        break;
                /* A signal that comes just before the poll is seen after it. */
                if (poll(&p, 1, end_ns > 0 && end_ns - now < 100000000ULL ? (int) ((end_ns - now) / 1000000ULL) + 1 : 100) <= 0)
                        continue;
                n = read(fd, buffer + filled, sizeof buffer - 1 - filled);
                if (n <= 0) {
                        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                                continue;
                        fd = -1;
                        continue;
                }
                filled += (size_t) n;
                buffer[filled] = 0;
                for (char *newline; (newline = strchr(buffer, '\n'));) {
                        *newline = 0;
                        command_run(buffer);
                        filled -= (size_t) (newline + 1 - buffer);
                        memmove(buffer, newline + 1, filled + 1);
                }
                if (filled == sizeof buffer - 1) {
                        fprintf(stderr, "memload: a command is too long, dropped\n");
                        filled = 0;
                }
        }
        atomic_store(&quit, true);
}

int main(int argc, char *argv[]) {
        const struct sigaction on_end = { .sa_handler = on_signal };
        static Worker workers[SETS_MAX];
        pthread_t sampler;
        size_t n_workers;
        int fd = -1, r;

        load.start_ns = now_ns();
        arguments_parse(argc, argv);
        if (load.control) {
                /* Open for writing too, so that the end of one writer is not the end of the FIFO. */
                fd = strcmp(load.control, "-") == 0 ? STDIN_FILENO : open(load.control, O_RDWR | O_CLOEXEC);
                if (fd < 0)
                        die(1, "cannot open %s: %s", load.control, strerror(errno));
        }
        sigaction(SIGINT, &on_end, NULL);
        sigaction(SIGTERM, &on_end, NULL);

        load.node_max = node_highest();
        for (size_t i = 0; i < load.n_sets; i++)
                set_populate(&load.sets[i]);
        for (size_t i = 0; i < load.n_sets; i++) {
                set_settle(&load.sets[i]);
                set_release(&load.sets[i]);
                pattern_prepare(&load.sets[i]);
        }
        if (load.frames) {
                load.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
                if (load.pagemap < 0)
                        die(1, "cannot open /proc/self/pagemap: %s", strerror(errno));
                for (size_t i = 0; i < load.n_sets; i++)
                        frames_note(&load.sets[i]);
        }
        event_print("ready", NULL);

        n_workers = workers_start(workers);
        r = pthread_create(&sampler, NULL, sampler_run, NULL);
        if (r != 0)
                die(1, "cannot start a thread: %s", strerror(r));
        control_run(fd, load.duration_ns > 0 ? now_ns() + load.duration_ns : 0);
        for (size_t i = 0; i < n_workers; i++)
                pthread_join(workers[i].thread, NULL);
        pthread_join(sampler, NULL);
        return 0;
}
