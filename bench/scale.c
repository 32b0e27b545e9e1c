/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-scale: what tierd's own work costs on machines from 2 to 1,024 nodes and from 256 GiB to 64 TiB.
 *
 * Each machine is a synthetic root in a temporary directory, read by the code that reads real ones. Its DAMON tree is plain
 * files, without a kernel behind them: so apply and observe are what tierd spends, not what the kernel takes to answer. Prints
 * two tables, with how each time has grown against the size; asserts nothing. */

#include "base/file.h"
#include "damon/apply.h"
#include "damon/capability.h"
#include "damon/observe.h"
#include "damon/ops.h"
#include "policy/config.h"
#include "policy/plan.h"
#include "policy/tuner.h"
#include "topology/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NODE "sys/devices/system/node"
#define MEMORY "sys/devices/system/memory"
#define GIB (UINT64_C(1) << 30)
/* The kernel of which the plan is encoded. */
#define RELEASE "7.2.13"
/* x86-64 has blocks of 2 GiB from 64 GiB of memory on (probe_memory_block_size()). */
#define BLOCK_BYTES (2 * GIB)
/* A median is of so many runs, or of as many as take this long in all. */
#define RUNS_MAX 31
#define RUNS_SECONDS 3

enum work { TOPOLOGY, PLAN, ENCODE, APPLY, OBSERVE, STEP, _WORK_MAX };

static const char *const headings[_WORK_MAX] = { "topology", "plan", "encode", "apply", "observe", "tuner step" };

struct machine {
        char path[96];
        int root;
        unsigned n_nodes;
        uint64_t bytes;
        /* What a step leaves for the next. */
        struct topology *topology;
        struct config *config;
        struct plan *plan;
        struct ops *ops;
        struct slot_map slots;
        struct capability capability;
        struct tuner *tuner;
        uint64_t clock_us, turns;
        size_t n_ops;
};

/* The directory of all roots. */
static char base[48];
static volatile sig_atomic_t child;

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...) {
        va_list ap;

        fputs("bench-scale: ", stderr);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        exit(1);
}

/* CPU time of the process, of which other work on the machine takes nothing. */
static uint64_t now_ns(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (uint64_t) t.tv_sec * UINT64_C(1000000000) + (uint64_t) t.tv_nsec;
}

/* --- synthetic roots */

static void make_parents(int root, const char *path) {
        char parent[PATH_SIZE];

        for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                (void) snprintf(parent, sizeof(parent), "%.*s", (int) (slash - path), path);
                if (mkdirat(root, parent, 0755) < 0 && errno != EEXIST)
                        die("cannot make %s: %s", parent, strerror(errno));
        }
}

static void put(int root, const char *path, const char *text) {
        size_t len = strlen(text);
        int fd;

        fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0 && errno == ENOENT) {
                make_parents(root, path);
                fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        }
        if (fd < 0 || write(fd, text, len) != (ssize_t) len)
                die("cannot write %s: %s", path, strerror(errno));
        (void) close(fd);
}

__attribute__((format(printf, 3, 4)))
static void putf(int root, const char *path, const char *format, ...) {
        char text[256];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        put(root, path, text);
}

static void put_block(const struct machine *m, unsigned node, uint64_t index) {
        char path[PATH_SIZE], target[PATH_SIZE];

        (void) snprintf(path, sizeof(path), MEMORY "/memory%" PRIu64 "/phys_index", index);
        putf(m->root, path, "%08" PRIx64 "\n", index);
        (void) snprintf(path, sizeof(path), MEMORY "/memory%" PRIu64 "/state", index);
        put(m->root, path, "online\n");
        (void) snprintf(path, sizeof(path), NODE "/node%u/memory%" PRIu64, node, index);
        (void) snprintf(target, sizeof(target), "../../memory/memory%" PRIu64, index);
        if (symlinkat(target, m->root, path) < 0)
                die("cannot link %s: %s", path, strerror(errno));
}

/* The first half of the nodes has CPUs, and each an expander in the second half, which is nearest to it. */
static void put_node(const struct machine *m, unsigned id) {
        unsigned half = m->n_nodes / 2;
        uint64_t kib = m->bytes / m->n_nodes / 1024;
        char path[PATH_SIZE], *distances, *p;

        (void) snprintf(path, sizeof(path), NODE "/node%u/cpulist", id);
        if (id < half)
                putf(m->root, path, "%u\n", id);
        else
                put(m->root, path, "\n");
        (void) snprintf(path, sizeof(path), NODE "/node%u/meminfo", id);
        putf(m->root, path, "\nNode %u MemTotal:       %" PRIu64 " kB\nNode %u MemFree:        %" PRIu64 " kB\n", id, kib, id,
             kib / 16);

        distances = p = malloc(m->n_nodes * 4 + 2);
        if (!distances)
                die("no memory");
        for (unsigned to = 0; to < m->n_nodes; to++)
                p += sprintf(p, "%s%u", to ? " " : "", to == id ? 10U : to + half == id || id + half == to ? 14U : 24U);
        (void) memcpy(p, "\n", 2);
        (void) snprintf(path, sizeof(path), NODE "/node%u/distance", id);
        put(m->root, path, distances);
        free(distances);
}

static void machine_make(struct machine *m, unsigned n_nodes, uint64_t bytes) {
        uint64_t blocks = bytes / BLOCK_BYTES;

        if (n_nodes < 2)
                die("there are no tiers of %u nodes", n_nodes);
        *m = (struct machine) { .n_nodes = n_nodes, .bytes = bytes };
        (void) snprintf(m->path, sizeof(m->path), "%s/%u-%" PRIu64, base, n_nodes, bytes / GIB);
        if (mkdir(m->path, 0700) < 0)
                die("cannot make %s: %s", m->path, strerror(errno));
        m->root = open(m->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (m->root < 0)
                die("cannot open %s: %s", m->path, strerror(errno));
        make_parents(m->root, NODE "/");
        putf(m->root, NODE "/possible", "0-%u\n", n_nodes - 1);
        putf(m->root, NODE "/online", "0-%u\n", n_nodes - 1);
        putf(m->root, NODE "/has_memory", "0-%u\n", n_nodes - 1);
        make_parents(m->root, MEMORY "/");
        putf(m->root, MEMORY "/block_size_bytes", "%" PRIx64 "\n", (uint64_t) BLOCK_BYTES);
        make_parents(m->root, "sys/devices/virtual/memory_tiering/memory_tier4/");
        make_parents(m->root, "sys/devices/virtual/memory_tiering/memory_tier22/");
        putf(m->root, "sys/devices/virtual/memory_tiering/memory_tier4/nodelist", "0-%u\n", n_nodes / 2 - 1);
        putf(m->root, "sys/devices/virtual/memory_tiering/memory_tier22/nodelist", "%u-%u\n", n_nodes / 2, n_nodes - 1);
        for (unsigned id = 0; id < n_nodes; id++)
                put_node(m, id);
        /* Every node's blocks in two runs, as around the hole below 4 GiB. */
        for (uint64_t i = 0; i < blocks; i++) {
                uint64_t run = i % (2UL * n_nodes);

                put_block(m, (unsigned) (run / 2), i / (2UL * n_nodes) + run * (blocks / n_nodes + 1));
        }
        for (unsigned id = 0; id < n_nodes; id++)
                idset_add(&m->slots.possible, id);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st;
        (void) type;
        (void) ftw;
        return remove(path);
}

static void machine_done(struct machine *m) {
        tuner_free(m->tuner);
        ops_free(m->ops);
        plan_free(m->plan);
        config_free(m->config);
        topology_free(m->topology);
        (void) close(m->root);
        (void) nftw(m->path, remove_entry, 64, FTW_DEPTH | FTW_PHYS);
}

/* The files that the writes go to, and the counts that are read: no kernel makes them. */
static void damon_make(const struct machine *m) {
        char path[PATH_SIZE];

        for (size_t i = 0; i < m->ops->n_ops; i++)
                put(m->root, m->ops->ops[i].path, m->ops->ops[i].value);
        for (size_t k = 0; k < m->plan->n_kdamonds; k++) {
                const struct kdamond_plan *kdamond = &m->plan->kdamonds[k];

                for (size_t s = 0; s < kdamond->n_schemes + kdamond->n_probes; s++)
                        for (size_t f = 0; f < 3; f++) {
                                static const char *const files[] = { "sz_tried", "sz_applied", "nr_tried" };

                                (void) snprintf(path, sizeof(path), DAMON_ADMIN "/%d/contexts/0/schemes/%zu/stats/%s",
                                                slot_of(&m->slots, kdamond->nid), s, files[f]);
                                put(m->root, path, "104857600\n");
                        }
        }
}

/* --- the work */

static void work_topology(struct machine *m) {
        struct diag d = {};

        m->topology = topology_free(m->topology);
        if (topology_read(m->root, m->path, NULL, &m->topology, &d) < 0)
                die("topology: %s", d.text);
}

static void work_plan(struct machine *m) {
        const struct plan_features features = capability_features(&m->capability);
        const struct plan_input in = { .topology = m->topology, .config = m->config, .features = &features };
        struct diag d = {};

        m->plan = plan_free(m->plan);
        if (plan_make(&in, &m->plan, &d) < 0)
                die("plan: %s", d.text);
}

static void work_encode(struct machine *m) {
        m->ops = ops_free(m->ops);
        if (ops_make_all(&m->slots, m->plan, &m->capability, &m->ops) < 0)
                die("the plan cannot be encoded");
}

static void work_apply(struct machine *m) {
        const struct apply_patience once = { .tries = 1 };
        struct diag d = {};

        if (apply_ops(m->root, m->ops, &once, NULL, &d) < 0)
                die("apply: %s", d.text);
}

static void work_observe(struct machine *m) {
        uint64_t total, free_bytes;
        struct scheme_stats stats;
        struct diag d = {};

        for (size_t k = 0; k < m->plan->n_kdamonds; k++) {
                const struct kdamond_plan *kdamond = &m->plan->kdamonds[k];
                int slot = slot_of(&m->slots, kdamond->nid);

                if (node_read_meminfo(m->root, kdamond->nid, &total, &free_bytes) < 0)
                        die("node %d has no meminfo", kdamond->nid);
                for (size_t s = 0; s < kdamond->n_schemes + kdamond->n_probes; s++) {
                        enum stats_set set = s < kdamond->n_schemes ? STATS_TUNED_BY : STATS_TRIED;

                        if (kdamond_read_stats(m->root, slot, s, set, &stats, &d) < 0)
                                die("observe: %s", d.text);
                }
        }
}

/* A turn in which every node has something to do: half the goal is free above, a sixteenth of the node is hot below. */
static void work_step(struct machine *m) {
        size_t n_schemes = plan_n_schemes(m->plan), n = m->plan->n_kdamonds;
        static struct tuner_node nodes[IDSET_MAX];
        static struct tuner_kdamond kdamonds[IDSET_MAX];
        static struct tuner_quota quotas[8 * IDSET_MAX];
        static uint64_t counts[8 * IDSET_MAX];
        uint64_t node_bytes = m->bytes / m->n_nodes;
        struct tuner_sample sample;

        if (n_schemes > ELEMENTSOF(quotas))
                die("the plan has more schemes than the bench reckons with");
        if (!m->tuner && tuner_new(m->plan, &m->tuner) < 0)
                die("no memory");
        m->turns++;
        m->clock_us += 500000;
        for (size_t i = 0; i < m->topology->n_nodes; i++)
                nodes[i] = (struct tuner_node) {
                        .nid = m->topology->nodes[i].id,
                        .total_bytes = node_bytes,
                        .free_bytes = m->topology->nodes[i].tier == 0 ? node_bytes / 40 : node_bytes / 2,
                };
        for (size_t k = 0; k < n; k++) {
                kdamonds[k] = (struct tuner_kdamond) {
                        .monitored_bytes = node_bytes, .scheme_tried = counts, .scheme_applied = counts,
                };
                for (size_t p = 0; p < _PROBE_KIND_MAX; p++)
                        kdamonds[k].probe_tried[p] = m->turns * 5 * (p == PROBE_ALL ? node_bytes : node_bytes / 16);
        }
        for (size_t s = 0; s < n_schemes; s++)
                counts[s] = m->turns << 20;
        sample = (struct tuner_sample) {
                .now_us = m->clock_us, .nodes = nodes, .n_nodes = m->topology->n_nodes, .kdamonds = kdamonds,
        };
        (void) tuner_step(m->tuner, &sample, quotas, NULL);
}

static int compare_ns(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

static uint64_t median_ns(struct machine *m, void (*work)(struct machine *m)) {
        uint64_t took[RUNS_MAX], begun = now_ns();
        size_t n = 0;

        while (n < RUNS_MAX && (n < 3 || now_ns() - begun < RUNS_SECONDS * UINT64_C(1000000000))) {
                uint64_t t = now_ns();

                work(m);
                took[n++] = now_ns() - t;
        }
        qsort(took, n, sizeof(*took), compare_ns);
        return took[n / 2];
}

static void machine_measure(unsigned n_nodes, uint64_t bytes, uint64_t *ret_ns, size_t *ret_ops) {
        static void (*const work[_WORK_MAX])(struct machine *m) = {
                [TOPOLOGY] = work_topology, [PLAN] = work_plan, [ENCODE] = work_encode,
                [APPLY] = work_apply, [OBSERVE] = work_observe, [STEP] = work_step,
        };
        struct machine m;
        struct diag d = {};

        machine_make(&m, n_nodes, bytes);
        if (capability_from_release(RELEASE, &m.capability, &d) < 0 || config_parse("", 0, "default", &m.config, &d) < 0)
                die("%s", d.text);
        for (enum work w = 0; w < _WORK_MAX; w++) {
                if (w == APPLY)
                        damon_make(&m);
                ret_ns[w] = median_ns(&m, work[w]);
        }
        if (m.plan->n_kdamonds != n_nodes)
                die("of %u nodes the plan has %zu", n_nodes, m.plan->n_kdamonds);
        *ret_ops = m.ops->n_ops;
        machine_done(&m);
}

/* --- the tables */

struct size {
        unsigned n_nodes;
        uint64_t bytes;
};

static void print_size(uint64_t bytes) {
        if (bytes >= 1024 * GIB)
                printf("%" PRIu64 " TiB", bytes / (1024 * GIB));
        else
                printf("%" PRIu64 " GiB", bytes / GIB);
}

static void on_signal(int signo) {
        if (child > 0)
                (void) kill((pid_t) child, signo);
}

/* Beside each time how much of the growth of the size it took from the row above: 1.0 is linear, less is better. */
static void table_print(const char *title, const struct size *sizes, size_t n) {
        uint64_t ns[_WORK_MAX], before[_WORK_MAX] = {};
        size_t n_ops;

        printf("\n%s\n\n| nodes | memory | writes |", title);
        for (enum work w = 0; w < _WORK_MAX; w++)
                printf(" %s (growth) |", headings[w]);
        printf("\n|---|---|---|");
        for (enum work w = 0; w < _WORK_MAX; w++)
                printf("---|");
        printf("\n");
        for (size_t i = 0; i < n; i++) {
                const struct size *last = i > 0 ? &sizes[i - 1] : &sizes[i];
                double grown = sizes[i].n_nodes > last->n_nodes ? (double) sizes[i].n_nodes / last->n_nodes :
                                                                  (double) sizes[i].bytes / (double) last->bytes;

                machine_measure(sizes[i].n_nodes, sizes[i].bytes, ns, &n_ops);
                printf("| %u | ", sizes[i].n_nodes);
                print_size(sizes[i].bytes);
                printf(" | %zu |", n_ops);
                for (enum work w = 0; w < _WORK_MAX; w++) {
                        printf(" %.3f", (double) ns[w] / 1e6);
                        if (i > 0)
                                printf(" (%.2f)", (double) ns[w] / (double) before[w] / grown);
                        printf(" |");
                        before[w] = ns[w];
                }
                printf("\n");
                (void) fflush(stdout);
        }
}

int main(int argc, char *argv[]) {
        static const struct size by_nodes[] = {
                { 2, 128 * GIB },    { 8, 512 * GIB },     { 32, 2048 * GIB },
                { 128, 8192 * GIB }, { 512, 32768 * GIB }, { 1024, 65536 * GIB },
        };
        static const struct size by_memory[] = {
                { 8, 256 * GIB }, { 8, 1024 * GIB }, { 8, 4096 * GIB }, { 8, 16384 * GIB }, { 8, 65536 * GIB },
        };

        const struct sigaction on_end = { .sa_handler = on_signal };
        const char *tmp = getenv("TMPDIR");
        int status = 0;
        pid_t pid;

        if (argc > 1) {
                fprintf(stderr, "usage: %s\n\n"
                        "No options. The roots are made in $TMPDIR, else in /dev/shm, else in /tmp: at the most some\n"
                        "250,000 files of a page each.\n", argv[0]);
                return 2;
        }
        if (!tmp || strlen(tmp) > sizeof(base) - 16)
                tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        (void) snprintf(base, sizeof(base), "%s/scale-XXXXXX", tmp);
        if (!mkdtemp(base))
                die("cannot make a directory like %s: %s", base, strerror(errno));

        /* In a process of its own, so that the files go however it ends. */
        (void) sigaction(SIGINT, &on_end, NULL);
        (void) sigaction(SIGTERM, &on_end, NULL);
        pid = fork();
        if (pid == 0) {
                (void) signal(SIGINT, SIG_DFL);
                (void) signal(SIGTERM, SIG_DFL);
                /* No word of the machine that this runs on. */
                (void) setenv("HWLOC_SYNTHETIC", "node:1 pu:1", 1);
                (void) setenv("HWLOC_HIDE_ERRORS", "2", 1);
                printf("CPU time of tierd's own work in milliseconds, medians of up to %d runs, as for Linux %s.\n"
                       "Growth is the time's against the size's, from the row above: 1 is linear, less is better.\n",
                       RUNS_MAX, RELEASE);
                table_print("Nodes of 64 GiB each, half of them DRAM, an expander to each:", by_nodes, ELEMENTSOF(by_nodes));
                table_print("The same eight nodes, larger:", by_memory, ELEMENTSOF(by_memory));
                exit(0);
        }
        child = pid;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        (void) nftw(base, remove_entry, 64, FTW_DEPTH | FTW_PHYS);
        return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
