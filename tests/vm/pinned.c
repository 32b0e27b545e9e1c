/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory that cannot be migrated: anonymous pages on one node, each with a reference of a pipe besides that of its page table
 * (vmsplice(2)), which no migration can account for.
 *
 *   pinned NODE MEBIBYTES       populates and pins, prints "ready", then for each line of standard input how many of its
 *                               pages are on NODE, how many elsewhere, and how many hold what they should; ends at end of file
 *
 * Exit: 0 done, 1 failed, 2 wrong usage.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MPOL_BIND_MODE = 2, NODES_MAX = 64, TRIES = 1000 };
#define PAGE ((size_t) 4096)
#define MIB ((size_t) 1 << 20)

static int fail(const char *what) {
        fprintf(stderr, "pinned: %s: %s\n", what, strerror(errno));
        return EXIT_FAILURE;
}

/* The number that each page holds at its start. */
static uint64_t page_mark(size_t page) {
        return UINT64_C(0x9e3779b97f4a7c15) * (page + 1);
}

static int tell(uint8_t *memory, size_t n_pages, int node) {
        size_t there = 0, elsewhere = 0, whole = 0;

        for (size_t i = 0; i < n_pages; i++) {
                void *page = memory + i * PAGE;
                int status = -1;
                uint64_t mark = 0;

                /*
                 * While the kernel tries to migrate a page it is nowhere: status is an error, and reading waits until that is
                 * over.
                 */
                for (int tries = 0; tries < TRIES && status < 0; tries++) {
                        memcpy(&mark, page, sizeof(mark));
                        if (syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0) < 0)
                                return fail("move_pages");
                }
                if (status < 0) {
                        errno = -status;
                        return fail("where a page is");
                }
                whole += mark == page_mark(i);
                *(status == node ? &there : &elsewhere) += 1;
        }
        printf("there %zu elsewhere %zu whole %zu of %zu\n", there, elsewhere, whole, n_pages);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : fail("stdout");
}

int main(int argc, char *argv[]) {
        unsigned long mask;
        size_t size, n_pages;
        uint8_t *memory;
        char line[64];
        int node;

        node = argc == 3 ? atoi(argv[1]) : -1;
        size = argc == 3 ? (size_t) atoi(argv[2]) * MIB : 0;
        if (node < 0 || node >= NODES_MAX || size == 0) {
                fprintf(stderr, "usage: pinned NODE MEBIBYTES\n");
                return 2;
        }
        n_pages = size / PAGE;

        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
                return fail("mmap");
        mask = 1UL << node;
        if (madvise(memory, size, MADV_NOHUGEPAGE) < 0 && errno != EINVAL)
                return fail("madvise");
        if (syscall(SYS_mbind, memory, size, MPOL_BIND_MODE, &mask, (unsigned long) NODES_MAX + 1, 0) < 0)
                return fail("mbind");
        for (size_t i = 0; i < n_pages; i++) {
                uint64_t mark = page_mark(i);

                memcpy(memory + i * PAGE, &mark, sizeof(mark));
        }

        /* A pipe takes a MiB of pages at most, without a privilege that a guest may not give. */
        for (size_t at = 0; at < size;) {
                int ends[2];
                size_t until = at + MIB < size ? at + MIB : size;

                if (pipe(ends) < 0 || fcntl(ends[1], F_SETPIPE_SZ, (int) MIB) < 0)
                        return fail("pipe");
                while (at < until) {
                        struct iovec vector = { .iov_base = memory + at, .iov_len = until - at };
                        ssize_t n = vmsplice(ends[1], &vector, 1, SPLICE_F_NONBLOCK);

                        if (n <= 0)
                                return fail("vmsplice");
                        at += (size_t) n;
                }
        }
        puts("ready");
        fflush(stdout);

        while (fgets(line, sizeof(line), stdin))
                if (tell(memory, n_pages, node) != EXIT_SUCCESS)
                        return EXIT_FAILURE;
        return EXIT_SUCCESS;
}
