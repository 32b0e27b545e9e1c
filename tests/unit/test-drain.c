/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/bus.h"
#include "tests/support/tree.h"
#include "tierctl/tierctl.h"
#include "topology/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * `tierctl drain` against a tierd that is made up, on a machine that is: nodes 0 and 1 above node 2. Nothing is moved in truth,
 * for process_move() and process_move_part() end up here (--wrap). What it says, how it exits, and where it would move whom.
 */

#define MIB_KIB UINT64_C(1024)
#define GIB_KIB (MIB_KIB * 1024)
#define PROCESSES_MAX 4

/* What the kernel answers for one process, and what the process has on node 2. */
struct process {
        uint64_t pid, kib;
        int answer;                     /* of process_move() */
        bool stays;                     /* its pages, whatever the answer */
        bool ends;                      /* with this call: its memory is free, and /proc does not list it any more */
        bool takes_node;                /* with this call node 2 goes */
        unsigned moved, parts;          /* how often it was asked for as a whole, and for a part */
        int to;                         /* whither, the last time */
        uint64_t part_kib[2];           /* what went to nodes 0 and 1 in parts */
};

/* Shared with the process that drains, which answers for the kernel. */
struct machine_state {
        struct process processes[PROCESSES_MAX];
        int own_answer;                 /* to a process that asks for nothing to be moved, to see whether it may */
        uint64_t free_kib[2], cache_kib;
        bool node_gone;
};

static struct machine_state *machine;
static struct tree *tree;
static struct test_bus test_bus;
static struct service service;
static sd_bus *client;

static void put_node(int nid, uint64_t total_kib, uint64_t free_kib, uint64_t anon_kib, uint64_t cache_kib) {
        char path[64];

        (void) snprintf(path, sizeof(path), "sys/devices/system/node/node%d/meminfo", nid);
        tree_put(tree, path,
                 "Node %1$d MemTotal: %2$lu kB\nNode %1$d MemFree: %3$lu kB\nNode %1$d MemUsed: %4$lu kB\n"
                 "Node %1$d Active(file): 0 kB\nNode %1$d Inactive(file): 0 kB\nNode %1$d FilePages: %5$lu kB\n"
                 "Node %1$d Mapped: 0 kB\nNode %1$d AnonPages: %6$lu kB\n",
                 nid, total_kib, free_kib, total_kib - free_kib, cache_kib, anon_kib);
}

static void put_process(const struct process *p) {
        char path[64];

        (void) snprintf(path, sizeof(path), "proc/%d/numa_maps", (int) p->pid);
        tree_put(tree, path, "400000 default\n7f2d40000000 bind:2 anon=9 N0=9 N2=%lu kernelpagesize_kB=4\n", p->kib / 4);
}

static void put_nodes(void) {
        uint64_t anon_kib = 0;

        for (size_t i = 0; i < PROCESSES_MAX; i++) {
                anon_kib += machine->processes[i].kib;
                if (machine->processes[i].kib > 0 && !machine->node_gone)
                        put_process(&machine->processes[i]);
        }
        put_node(0, 64 * GIB_KIB, machine->free_kib[0], 0, 0);
        put_node(1, 64 * GIB_KIB, machine->free_kib[1], 0, 0);
        if (machine->node_gone)
                tree_remove(tree, "sys/devices/system/node/node2");
        else
                put_node(2, 256 * GIB_KIB, 256 * GIB_KIB - anon_kib - machine->cache_kib, anon_kib,
                         machine->cache_kib);
}

int __wrap_process_move(uint64_t pid, int from, int to);
int __real_process_move(uint64_t pid, int from, int to);

int __wrap_process_move(uint64_t pid, int from, int to) {
        if (from == to)
                return machine->own_answer;
        for (size_t i = 0; i < PROCESSES_MAX; i++) {
                struct process *p = &machine->processes[i];
                char path[64];

                if (p->pid != pid)
                        continue;
                p->moved++;
                p->to = to;
                if ((p->answer == 0 && !p->stays) || p->ends)
                        p->kib = 0;
                machine->node_gone |= p->takes_node;
                put_nodes();
                if (p->ends) {
                        (void) snprintf(path, sizeof(path), "proc/%d", (int) pid);
                        tree_remove(tree, path);
                }
                return p->answer;
        }
        return -EINVAL; /* a process without memory */
}

int __wrap_process_move_part(int root, uint64_t pid, int from, int to, uint64_t max_bytes, uint64_t *ret_moved);
int __real_process_move_part(int root, uint64_t pid, int from, int to, uint64_t max_bytes, uint64_t *ret_moved);

int __wrap_process_move_part(int root, uint64_t pid, int from, int to, uint64_t max_bytes, uint64_t *ret_moved) {
        (void) root;
        *ret_moved = 0;
        if (from != 2 || to < 0 || to > 1)
                return -EINVAL;
        for (size_t i = 0; i < PROCESSES_MAX; i++) {
                struct process *p = &machine->processes[i];
                uint64_t kib = MIN(max_bytes / 1024, p->kib);

                if (p->pid != pid)
                        continue;
                p->parts++;
                if (p->answer < 0 || p->stays)
                        return p->answer;
                if (kib > machine->free_kib[to])
                        return -ENOMEM;
                p->kib -= kib;
                p->part_kib[to] += kib;
                machine->free_kib[to] -= kib;
                *ret_moved = kib * 1024;
                put_process(p);
                put_nodes();
                return 0;
        }
        return 0;
}

static int with_machine(void **state) {
        machine = mmap(NULL, sizeof(*machine), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(machine != MAP_FAILED);
        *machine = (struct machine_state) { .free_kib = { 8 * GIB_KIB, 16 * GIB_KIB } };
        (void) tree_setup(state);
        tree = *state;
        test_bus_new(&test_bus);
        test_bus_start(&test_bus);
        client = bus_client();
        service_start(&service);
        bus_await_name(client);
        return 0;
}

static int without_machine(void **state) {
        service_stop(&service);
        client = sd_bus_close_unref(client);
        test_bus_done(&test_bus);
        (void) tree_teardown(state);
        return munmap(machine, sizeof(*machine));
}

static struct process *add_process(uint64_t pid, uint64_t mib, int answer) {
        struct process *p = machine->processes;
        char path[64];

        while (p->pid > 0)
                p++;
        assert_true(p < machine->processes + PROCESSES_MAX);
        *p = (struct process) { .pid = pid, .kib = mib * MIB_KIB, .answer = answer, .to = -1 };
        (void) snprintf(path, sizeof(path), "proc/%d/comm", (int) pid);
        tree_put(tree, path, "work\n");
        put_nodes();
        return p;
}

/* -- running it -- */

static char out[4096], err[4096];

static void read_file(int fd, char *buf, size_t size) {
        ssize_t n = pread(fd, buf, size - 1, 0);

        assert_true(n >= 0);
        buf[n] = '\0';
        (void) close(fd);
}

/* The verb in a process of its own; its exit status. */
static int run_verb(int (*verb)(const struct invocation *call), const char *argument) {
        int o = memfd_create("out", MFD_CLOEXEC), e = memfd_create("err", MFD_CLOEXEC), status;
        char text[16], *argv[] = { text, NULL };
        pid_t pid;

        assert_true(o >= 0 && e >= 0);
        (void) snprintf(text, sizeof(text), "%s", argument);
        (void) fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                const struct invocation call = { .root = tree->root, .argc = 1, .argv = argv };
                int answer;

                if (dup2(o, STDOUT_FILENO) < 0 || dup2(e, STDERR_FILENO) < 0)
                        _exit(126);
                answer = verb(&call);
                (void) fflush(NULL);
                _exit(answer);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        read_file(o, out, sizeof(out));
        read_file(e, err, sizeof(err));
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void assert_drains(int status, const char *expected_out, const char *expected_err) {
        int answer = run_verb(verb_drain, "2");

        if (answer != status || strcmp(out, expected_out) != 0 || strcmp(err, expected_err) != 0)
                fail_msg("exit status %d, not %d with \"%s\" and \"%s\":\n%s%s", answer, status, expected_out, expected_err,
                         out, err);
}

static int count_drains(struct served *s, const char *text) {
        (void) text;
        return (int) (s->drains * 10 + s->undrains);
}

static int leave_alone(struct served *s, const char *text) {
        for (size_t i = 0; i < s->status->n_nodes; i++)
                if (strchr(text, '0' + s->status->nodes[i].nid))
                        s->status->nodes[i].left_alone = true;
        return 0;
}

static int know_no_node(struct served *s, const char *text) {
        s->error = -ENODEV;
        (void) snprintf(s->text, sizeof(s->text), "%s", text);
        return 0;
}

#define LEFT_ALONE "tierd leaves node 2 alone until its memory has gone, or `tierctl undrain 2`.\n"

/* -- what it says -- */

static void test_all_goes(void **state) {
        struct process *first = add_process(20, 300, 0), *second = add_process(300, 212, 0);

        (void) state;
        if (geteuid() != 0)
                skip();
        machine->cache_kib = 40 * MIB_KIB;
        put_nodes();
        assert_drains(0, "node 2: 40 MiB in use of 552 MiB at first\n"
                         "40 MiB of page cache are left; taking the memory offline moves them.\n" LEFT_ALONE, "");
        assert_int_equal(service_run(&service, count_drains, NULL), 10);
        /* To the one that has more room, and again only as long as it helps. */
        assert_int_equal(first->to, 1);
        assert_int_equal(second->to, 1);
        assert_int_equal(first->moved, 1);

        /* A node that tierd leaves alone itself takes nothing. */
        first->kib = 300 * MIB_KIB;
        put_nodes();
        assert_int_equal(service_run(&service, leave_alone, "1"), 0);
        assert_int_equal(run_verb(verb_drain, "2"), 0);
        assert_int_equal(first->to, 0);

        assert_int_equal(run_verb(verb_undrain, "2"), 0);
        assert_string_equal(out, "");
        assert_string_equal(err, "");
        assert_int_equal(service_run(&service, count_drains, NULL), 21);
}

static void test_no_room(void **state) {
        static const char expected[] = "tierctl: 300 MiB of processes' memory stay on node 2: the other nodes that tierd uses "
                                       "have no room; tierd leaves the node alone until `tierctl undrain 2`\n";
        static const char in_use[] = "node 2: 300 MiB in use of 300 MiB at first\n";
        struct process *p = add_process(20, 300, 0);

        (void) state;
        if (geteuid() != 0)
                skip();
        /* What they have is what is kept free. */
        machine->free_kib[0] = machine->free_kib[1] = GIB_KIB;
        put_nodes();
        assert_drains(1, in_use, expected);
        assert_int_equal(p->moved, 0);

        /* Or it is gone when the kernel looks for it. */
        machine->free_kib[0] = machine->free_kib[1] = 8 * GIB_KIB;
        p->answer = -ENOMEM;
        put_nodes();
        assert_drains(1, in_use, expected);
        assert_true(p->moved > 0);

        assert_int_equal(service_run(&service, leave_alone, "01"), 0);
        assert_drains(1, in_use, "tierctl: 300 MiB of processes' memory stay on node 2: tierd uses no other node that could "
                                 "take them; tierd leaves the node alone until `tierctl undrain 2`\n");
}

/* Of what is more than any node has room for there goes to each what it has room for, and no more. */
static void test_parts(void **state) {
        const uint64_t kept = (64 * GIB_KIB * 1024 / 50 + 1023) / 1024;
        struct process *p = add_process(20, 20 * MIB_KIB, 0), *other = add_process(30, 100, 0);

        (void) state;
        if (geteuid() != 0)
                skip();
        assert_drains(0, "node 2: 0 B in use of 20 GiB at first\n" LEFT_ALONE, "");
        assert_int_equal(p->moved, 0);
        assert_int_equal(p->parts, 2);
        assert_int_equal(p->part_kib[1], 16 * GIB_KIB - kept);
        assert_int_equal(p->part_kib[0], 20 * GIB_KIB - p->part_kib[1]);
        assert_int_equal(other->moved, 1);

        machine->free_kib[0] = 8 * GIB_KIB;
        machine->free_kib[1] = 16 * GIB_KIB;
        p->kib = 30 * GIB_KIB;
        p->part_kib[0] = p->part_kib[1] = 0;
        put_nodes();
        assert_drains(1, "node 2: 8.55 GiB in use of 30 GiB at first\n",
                      "tierctl: 8.55 GiB of processes' memory stay on node 2: the other nodes that tierd uses have no room; "
                      "tierd leaves the node alone until `tierctl undrain 2`\n");
        assert_int_equal(p->part_kib[0], 8 * GIB_KIB - kept);
        assert_int_equal(p->part_kib[1], 16 * GIB_KIB - kept);

        /* Pages that do not go are not asked for again and again. */
        machine->free_kib[0] = 8 * GIB_KIB;
        p->parts = 0;
        p->stays = true;
        p->kib = 12 * GIB_KIB;
        put_nodes();
        assert_int_equal(run_verb(verb_drain, "2"), 1);
        assert_int_equal(p->parts, 2);
}

/* What the kernel keeps free itself counts as well: a node whose watermarks are higher than what is free has no room. */
static void test_watermarks(void **state) {
        struct process *p = add_process(20, 300, 0);

        (void) state;
        if (geteuid() != 0)
                skip();
        tree_put(tree, "proc/zoneinfo",
                 "Node 0, zone    DMA32\n  pages free     99\n        min      1\n        high     16\n"
                 "              high:  9999999\n"
                 "Node 1, zone   Normal\n  pages free     99\n        low      2\n        high     3145728\n"
                 "Node 1, zone  Movable\n        high     3145728\n"
                 "Node 10, zone  Movable\n        high     9999999\n");
        assert_int_equal(run_verb(verb_drain, "2"), 0);
        assert_int_equal(p->to, 0);
}

static void test_not_permitted(void **state) {
        struct process *p = add_process(20, 300, -EPERM);

        (void) state;
        (void) add_process(30, 100, 0);
        if (geteuid() != 0)
                skip();
        assert_drains(4, "node 2: 300 MiB in use of 400 MiB at first\n",
                      "tierctl: 300 MiB of processes' memory stay on node 2: some processes may not be asked to move theirs; "
                      "tierd leaves the node alone until `tierctl undrain 2`\n");
        p->answer = -EACCES;
        assert_int_equal(run_verb(verb_drain, "2"), 4);
        /* What has nothing there to be moved may refuse as it likes. */
        p->kib = 0;
        put_nodes();
        assert_drains(0, "node 2: 0 B in use of 0 B at first\n" LEFT_ALONE, "");

        /* Nor is tierd asked where the kernel lets the caller move nothing at all. */
        assert_int_equal(service_run(&service, count_drains, NULL), 30);
        machine->own_answer = -EPERM;
        assert_drains(4, "", "tierctl: the kernel does not move pages for this caller: Operation not permitted\n");
        machine->own_answer = -ENOSYS;
        assert_drains(5, "", "tierctl: the kernel does not move pages for this caller: Function not implemented\n");
        assert_int_equal(service_run(&service, count_drains, NULL), 30);
}

static void test_stays(void **state) {
        struct process *p = add_process(20, 300, 0);

        (void) state;
        if (geteuid() != 0)
                skip();
        p->stays = true;
        assert_drains(1, "node 2: 300 MiB in use of 300 MiB at first\n",
                      "tierctl: 300 MiB of processes' memory stay on node 2: it is pinned, or bound to the node, or comes anew "
                      "all the time; tierd leaves the node alone until `tierctl undrain 2`\n");
        /* A second pass shows that nothing goes. */
        assert_int_equal(p->moved, 2);
}

static void test_goes_meanwhile(void **state) {
        struct process *p = add_process(20, 300, 0);

        (void) state;
        (void) add_process(30, 100, 0);
        if (geteuid() != 0)
                skip();
        /* A process: what it had is free. */
        p->ends = true;
        assert_drains(0, "node 2: 0 B in use of 400 MiB at first\n" LEFT_ALONE, "");
        /* The node: nothing is left of it to be shown. */
        p->ends = false;
        p->takes_node = true;
        p->kib = 300 * MIB_KIB;
        tree_put(tree, "proc/20/comm", "work\n");
        put_nodes();
        assert_drains(0, LEFT_ALONE, "");
}

static void test_no_such_node(void **state) {
        (void) state;
        put_nodes();
        put_node(3, 0, 0, 0, 0);
        assert_int_equal(run_verb(verb_drain, "7"), 1);
        assert_string_equal(err, "tierctl: drain: there is no node 7\n");
        assert_int_equal(run_verb(verb_drain, "3"), 1);
        assert_string_equal(err, "tierctl: drain: there is no node 3 with memory\n");
        assert_int_equal(run_verb(verb_drain, "two"), 2);
        assert_string_equal(err, "tierctl: drain: \"two\" is not the number of a node\n");
        assert_int_equal(run_verb(verb_undrain, "-2"), 2);
        assert_string_equal(err, "tierctl: undrain: \"-2\" is not the number of a node\n");
        if (geteuid() != 0)
                return;
        assert_int_equal(service_run(&service, count_drains, NULL), 0);

        /* One that tierd does not know, or not any more. */
        assert_int_equal(service_run(&service, know_no_node, "there is no node 2 with memory"), 0);
        assert_drains(1, "", "tierctl: there is no node 2 with memory\n");
        assert_int_equal(run_verb(verb_undrain, "2"), 1);
        assert_string_equal(err, "tierctl: there is no node 2 with memory\n");
}

static void test_no_daemon(void **state) {
        (void) state;
        put_nodes();
        service_stop(&service);
        assert_drains(3, "", "tierctl: tierd is not running; `systemctl start tierd` starts it, and `journalctl -u tierd` "
                             "tells why it ended\n");
        assert_int_equal(run_verb(verb_undrain, "2"), 3);
        service_start(&service);
        bus_await_name(client);
}

/* The kernel's own answers, as far as they move nothing. */
static void test_process_move(void **state) {
        pid_t pid;
        int r;

        (void) state;
        r = __real_process_move((uint64_t) getpid(), 0, 0);
        if (r < 0)
                skip(); /* it may not be asked here */
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(0);
        assert_int_equal(waitid(P_PID, (id_t) pid, &(siginfo_t) {}, WEXITED | WNOWAIT), 0);
        /* A zombie has no memory, and is nobody's failure; after that there is no such process, which is none either. */
        assert_int_equal(__real_process_move((uint64_t) pid, 0, 0), -EINVAL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(__real_process_move((uint64_t) pid, 0, 0), 0);
        assert_int_equal(__real_process_move(UINT64_C(1) << 32, 0, 0), -EINVAL);
}

/* Of a program's own memory, from the node where it is to the same one: nothing moves, and all is counted. */
static void test_process_move_part(void **state) {
        const uint64_t page_bytes = (uint64_t) sysconf(_SC_PAGESIZE), n = 3000;
        uint64_t pid = (uint64_t) getpid(), bytes = 0, moved = 0;
        int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), r;
        uint8_t *memory;

        (void) state;
        assert_true(root >= 0);
        if (__real_process_move(pid, 0, 0) < 0)
                skip();
        /* More than is asked about at once, with a hole in it. */
        memory = mmap(NULL, 2 * n * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(memory != MAP_FAILED);
        for (uint64_t i = 0; i < 2 * n; i++)
                if (i < 10 || i >= n)
                        memory[i * page_bytes] = 1;
        r = process_bytes_on(root, pid, 0, &bytes);
        if (r < 0 || bytes < n * page_bytes)
                skip(); /* this kernel does not tell, or the memory is elsewhere */
        assert_int_equal(__real_process_move_part(root, pid, 0, 0, 100 * page_bytes, &moved), 0);
        assert_int_equal(moved, 100 * page_bytes);
        assert_int_equal(__real_process_move_part(root, pid, 0, 0, UINT64_MAX, &moved), 0);
        if (moved < n * page_bytes)
                fail_msg("%lu bytes of %lu", moved, bytes);
        assert_int_equal(__real_process_move_part(root, UINT64_C(1) << 32, 0, 0, 1, &moved), -EINVAL);
        assert_int_equal(__real_process_move_part(root, INT32_MAX, 0, 0, 1, &moved), -ENOENT);
        assert_int_equal(moved, 0);
        (void) munmap(memory, 2 * n * page_bytes);
        (void) close(root);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_all_goes, with_machine, without_machine),
                cmocka_unit_test_setup_teardown(test_no_room, with_machine, without_machine),
                cmocka_unit_test_setup_teardown(test_parts, with_machine, without_machine),
                cmocka_unit_test_setup_teardown(test_watermarks, with_machine, without_machine),
                cmocka_unit_test_setup_teardown(test_not_permitted, with_machine, without_machine),
                cmocka_unit_test_setup_teardown(test_stays, with_machine, without_machine),
                cmocka_unit_test_setup_teardown(test_goes_meanwhile, with_machine, without_machine),
                cmocka_unit_test_setup_teardown(test_no_such_node, with_machine, without_machine),
                cmocka_unit_test_setup_teardown(test_no_daemon, with_machine, without_machine),
                cmocka_unit_test(test_process_move),
                cmocka_unit_test(test_process_move_part),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
