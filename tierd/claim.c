/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/claim.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "damon/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The number of slot 0's directory. */
static int read_identity(int root, uint64_t *ret, struct diag *reterr) {
        struct stat st;

        if (fstatat(root, DAMON_ADMIN "/0", &st, AT_SYMLINK_NOFOLLOW) < 0)
                return diag_set(reterr, -errno, "/" DAMON_ADMIN "/0: cannot look at it: %s", strerror(errno));
        *ret = st.st_ino;
        return 0;
}

/* Whether nothing is staged in any slot: giving such slots back takes nothing from anybody. */
static int slots_are_empty(int root, size_t n, struct diag *reterr) {
        for (size_t i = 0; i < n; i++) {
                char path[PATH_SIZE];
                uint64_t contexts = 0;
                int r;

                r = path_format(path, sizeof(path), DAMON_ADMIN "/%zu/contexts/nr_contexts", i);
                if (r == 0)
                        r = file_read_u64(root, path, &contexts);
                if (r < 0)
                        return diag_set(reterr, r, "/%s: cannot read: %s", path, strerror(-r));
                if (contexts > 0)
                        return 0;
        }
        return 1;
}

/* 1 when the slots that are there, n of them, are those of the record; 0 when they are somebody else's. */
static int claim_is_ours(int root, const struct saved *saved, uint64_t n, struct diag *reterr) {
        uint64_t identity = 0;
        int r;

        if (n != saved_n_slots(saved))
                return 0;
        /* It ended between the intention and the fact: the slots, if they are ours, are as they were made. */
        if (saved_identity(saved) == 0)
                return slots_are_empty(root, n, reterr);
        r = read_identity(root, &identity, reterr);
        return r < 0 ? r : identity == saved_identity(saved);
}

int claim_check(int root, const struct saved *saved, struct diag *reterr) {
        uint64_t n = 0;
        int r;

        r = file_read_u64(root, DAMON_ADMIN "/nr_kdamonds", &n);
        if (r < 0)
                return diag_set(reterr, r, "/" DAMON_ADMIN "/nr_kdamonds: cannot read: %s", strerror(-r));
        r = claim_is_ours(root, saved, n, reterr);
        if (r != 0)
                return MIN(r, 0);
        return diag_set(reterr, -ESTALE,
                        "the kdamonds that tierd had made are gone: another program has written /" DAMON_ADMIN "/nr_kdamonds "
                        "(%llu now)", (unsigned long long) n);
}

int claim_release(int root, struct saved *saved, struct diag *reterr) {
        struct slot_map slots = {};
        bool foreign = false;
        uint64_t n = 0;
        int r;

        if (saved_n_slots(saved) == 0)
                return 0;
        r = file_read_u64(root, DAMON_ADMIN "/nr_kdamonds", &n);
        if (r < 0)
                return diag_set(reterr, r, "/" DAMON_ADMIN "/nr_kdamonds: cannot read: %s", strerror(-r));
        if (n > 0) {
                r = claim_is_ours(root, saved, n, reterr);
                if (r < 0)
                        return r;
                foreign = r == 0;
        }
        if (n > 0 && !foreign) {
                for (unsigned i = 0; i < n; i++)
                        idset_add(&slots.possible, i);
                r = damon_release(root, &slots, reterr);
                if (r < 0)
                        return r;
        }
        r = saved_claim(saved, 0, 0, reterr);
        if (r < 0)
                return r;
        return foreign ? CLAIM_FOREIGN : 0;
}

int claim_take(int root, const struct slot_map *m, struct saved *saved, struct diag *reterr) {
        size_t n = idset_count(&m->possible);
        uint64_t identity = 0;
        int r;

        r = damon_read_owners(root, reterr);
        if (r != 0)
                return r < 0 ? r : -EBUSY;
        r = saved_claim(saved, n, 0, reterr);
        if (r < 0)
                return r;
        r = damon_claim(root, m, reterr);
        if (r < 0) {
                /* Its one write failed, or another program was faster: whatever slots there are, we did not make them. */
                (void) saved_claim(saved, 0, 0, NULL);
                return r;
        }
        r = read_identity(root, &identity, reterr);
        if (r == 0)
                r = saved_claim(saved, n, identity, reterr);
        if (r < 0)
                /* What fails here stays in the record, for the next start. */
                (void) claim_release(root, saved, NULL);
        return r;
}
