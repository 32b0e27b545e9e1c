/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-watch: what a guest's memory and its movers do, as JSON lines, without a shell that would cost more than it looks at.
 *
 * At every interval: free memory and per-CPU lists by node, what the kernel counted as migrated and swapped, CPU time of the
 * kernel's threads that move memory, and CPU time and resident memory of the control group of a manager. Times are
 * CLOCK_MONOTONIC, as in memload's event "ready". */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NODES_MAX = 64, PIDS_MAX = 65536, USAGE_ERROR = 2 };

/* Kernel threads by the beginning of their names. */
static const char *const kinds[] = { "kdamond", "kswapd", "kcompactd", "migration" };
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* Of /proc/vmstat; what a kernel has not is left out. */
static const char *const counters[] = {
        "pgmigrate_success", "pgmigrate_fail", "pgpromote_success", "pgdemote_kswapd", "pgdemote_direct", "pgdemote_khugepaged",
        "pgdemote_proactive", "numa_pages_migrated", "numa_hint_faults", "pgsteal_kswapd", "pgsteal_direct",
};

static volatile sig_atomic_t quit;

static void on_signal(int signo) {
        (void) signo;
        quit = 1;
}

static uint64_t now_ms(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

/* --- memory */

static int nodes_count(void) {
        char path[64];
        int n = 0;

        do
                snprintf(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", n);
        while (access(path, R_OK) == 0 && ++n < NODES_MAX);
        return n;
}

static void print_nodes(int n_nodes) {
        uint64_t percpu[NODES_MAX] = {}, kib, pages;
        char path[64], line[256];
        int node = -1;
        FILE *f;

        printf(",\"free_kib\":[");
        for (int i = 0; i < n_nodes; i++) {
                uint64_t free_kib = 0;

                snprintf(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", i);
                f = fopen(path, "re");
                while (f && fgets(line, sizeof line, f))
                        if (sscanf(line, "Node %*d MemFree: %" SCNu64, &kib) == 1)
                                free_kib = kib;
                if (f)
                        fclose(f);
                printf("%s%" PRIu64, i ? "," : "", free_kib);
        }

        f = fopen("/proc/zoneinfo", "re");
        while (f && fgets(line, sizeof line, f)) {
                if (sscanf(line, "Node %d,", &node) == 1)
                        continue;
                if (node >= 0 && node < NODES_MAX && sscanf(line, " count: %" SCNu64, &pages) == 1)
                        percpu[node] += pages * 4;
        }
        if (f)
                fclose(f);
        printf("],\"percpu_kib\":[");
        for (int i = 0; i < n_nodes; i++)
                printf("%s%" PRIu64, i ? "," : "", percpu[i]);
        printf("]");
}

static void print_counters(void) {
        char name[64], line[256];
        uint64_t value;
        bool first = true;
        FILE *f;

        printf(",\"vmstat\":{");
        f = fopen("/proc/vmstat", "re");
        while (f && fgets(line, sizeof line, f)) {
                if (sscanf(line, "%63s %" SCNu64, name, &value) != 2)
                        continue;
                for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
                        if (strcmp(name, counters[i]) == 0) {
                                printf("%s\"%s\":%" PRIu64, first ? "" : ",", name, value);
                                first = false;
                        }
        }
        if (f)
                fclose(f);
        printf("}");
}

/* --- processes */

/* CPU time of a process's threads that live, or 0. */
static uint64_t cpu_ns(long pid) {
        uint64_t ns = 0;
        char path[64];
        FILE *f;

        snprintf(path, sizeof path, "/proc/%ld/schedstat", pid);
        f = fopen(path, "re");
        if (!f)
                return 0;
        if (fscanf(f, "%" SCNu64, &ns) != 1)
                ns = 0;
        fclose(f);
        return ns;
}

static signed char kind_of(long pid) {
        char path[64], comm[32] = "";
        FILE *f;

        snprintf(path, sizeof path, "/proc/%ld/comm", pid);
        f = fopen(path, "re");
        if (!f)
                return -1;
        if (!fgets(comm, sizeof comm, f))
                comm[0] = 0;
        fclose(f);
        for (int i = 0; i < N_KINDS; i++)
                if (strncmp(comm, kinds[i], strlen(kinds[i])) == 0)
                        return (signed char) i;
        return -1;
}

static void print_threads(void) {
        /* Of each pid, its kind + 2; 0: not looked at. Names of kernel threads stay; pids come round later than a run lasts. */
        static signed char known[PIDS_MAX];
        /* What threads that have ended had used. */
        static uint64_t last[PIDS_MAX];
        uint64_t ns[N_KINDS] = {};
        struct dirent *entry;
        DIR *dir;

        dir = opendir("/proc");
        while (dir && (entry = readdir(dir))) {
                long pid = isdigit((unsigned char) *entry->d_name) ? strtol(entry->d_name, NULL, 10) : 0;

                if (pid <= 0 || pid >= PIDS_MAX)
                        continue;
                if (known[pid] == 0)
                        known[pid] = (signed char) (kind_of(pid) + 2);
                if (known[pid] >= 2)
                        last[pid] = cpu_ns(pid);
        }
        if (dir)
                closedir(dir);
        for (long pid = 0; pid < PIDS_MAX; pid++)
                if (known[pid] >= 2)
                        ns[known[pid] - 2] += last[pid];
        printf(",\"threads_ns\":{");
        for (int i = 0; i < N_KINDS; i++)
                printf("%s\"%s\":%" PRIu64, i ? "," : "", kinds[i], ns[i]);
        printf("}");
}

/* A group that is not there has no manager in it: nothing is said of it. */
static void print_group(const char *group) {
        uint64_t usec = 0, rss_kib = 0, kib;
        char path[256], line[256];
        long pid;
        FILE *f, *status;

        snprintf(path, sizeof path, "%s/cpu.stat", group);
        f = fopen(path, "re");
        if (!f)
                return;
        while (fgets(line, sizeof line, f))
                (void) sscanf(line, "usage_usec %" SCNu64, &usec);
        fclose(f);
        snprintf(path, sizeof path, "%s/cgroup.procs", group);
        f = fopen(path, "re");
        while (f && fscanf(f, "%ld", &pid) == 1) {
                snprintf(path, sizeof path, "/proc/%ld/status", pid);
                status = fopen(path, "re");
                while (status && fgets(line, sizeof line, status))
                        if (sscanf(line, "VmRSS: %" SCNu64, &kib) == 1)
                                rss_kib += kib;
                if (status)
                        fclose(status);
        }
        if (f)
                fclose(f);
        printf(",\"manager_us\":%" PRIu64 ",\"manager_rss_kib\":%" PRIu64, usec, rss_kib);
}

int main(int argc, char *argv[]) {
        const struct sigaction on_end = { .sa_handler = on_signal };
        uint64_t due, now, interval_ms;
        int n_nodes;

        if (argc != 3 || (interval_ms = strtoull(argv[1], NULL, 10)) == 0) {
                fputs("usage: bench-watch MILLISECONDS CGROUP\n\n"
                      "Prints JSON lines until it gets SIGTERM; CGROUP is the directory of the manager's control group.\n",
                      stderr);
                return USAGE_ERROR;
        }
        sigaction(SIGTERM, &on_end, NULL);
        sigaction(SIGINT, &on_end, NULL);
        n_nodes = nodes_count();
        due = now_ms();
        while (!quit) {
                printf("{\"t_ms\":%" PRIu64, now_ms());
                print_nodes(n_nodes);
                print_counters();
                print_threads();
                print_group(argv[2]);
                printf("}\n");
                if (fflush(stdout) != 0)
                        return 1;
                due += interval_ms;
                now = now_ms();
                if (due > now)
                        usleep((useconds_t) (due - now) * 1000);
                else
                        due = now;
        }
        return 0;
}
