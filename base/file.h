/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "base/idset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Rooted file access. `root` is a directory fd: of "/" on the live system, of a captured machine, or of a scratch tree.
 * Paths are relative to it ("sys/devices/system/node/online"), without a leading slash; symbolic links cannot lead out
 * of the root (openat2(2), RESOLVE_IN_ROOT).
 */

/* Opens a directory as a root. Returns the fd; negative errno with the path in reterr. */
int root_open(const char *path, struct diag *reterr);

/*
 * Opens /dev/null in the place of whichever of stdin, stdout and stderr is closed: else the next file that is opened takes its
 * number, and what is meant for people is written into that file. Call it before any other file is opened. 0 or negative errno.
 */
int standard_files_open(void);

/* The attributes that tierd reads are single pages; longer lists (iomem) are read by file_read_alloc(). */
#define FILE_ATTR_MAX 4096

/*
 * Reads a whole attribute of sysfs or procfs into buf, by one read(2), and terminates it. Returns the length; -EFBIG when it
 * holds `size` bytes or more, -EBADMSG when it holds a NUL byte, -ENOENT and the like as they come. EINTR is retried, EBUSY is
 * not. For files that are longer than a page, and for others than the kernel's, there is file_read_alloc().
 */
int file_read(int root, const char *path, char *buf, size_t size);

/* The same with one final newline taken off: a sysfs attribute. -EBADMSG when more than one line is left. */
int file_read_line(int root, const char *path, char *buf, size_t size);

/* A whole file of up to `max` bytes into fresh memory, NUL-terminated. NUL bytes inside are kept; the length tells. */
int file_read_alloc(int root, const char *path, size_t max, char **ret, size_t *ret_len);

/* One number, decimal or hexadecimal, on a line of its own. -EBADMSG when it is something else. */
int file_read_u64(int root, const char *path, uint64_t *ret);
int file_read_hex_u64(int root, const char *path, uint64_t *ret);

/* A list of ids ("0-3,8"). -EBADMSG when it is something else. */
int file_read_idset(int root, const char *path, unsigned max, struct idset *ret);

/*
 * Writes value with one write(2): an attribute takes it whole or not at all. No O_CREAT, no O_TRUNC: an attribute that is
 * not there is -ENOENT. A short write is -EIO. EBUSY and EAGAIN are returned: who may wait for them decides how long.
 */
int file_write(int root, const char *path, const char *value);

/* Replaces a regular file atomically (temporary name, fsync, rename, fsync of the directory). Mode 0644. */
int file_replace(int root, const char *path, const char *data, size_t len);

/* 1 when the path exists, 0 when not, negative errno when that cannot be told. */
int file_exists(int root, const char *path);

/* The ids N of the directory's entries named PREFIX<N> ("node0", "memory12"). Other entries are passed over. */
int dir_read_ids(int root, const char *path, const char *prefix, unsigned max, struct idset *ret);

/* The same without a limit on N (memory blocks go past IDSET_MAX): a fresh sorted array. */
int dir_read_numbers(int root, const char *path, const char *prefix, uint64_t **ret, size_t *ret_n);

/* The names of a directory's entries that begin with `prefix`, sorted by strcmp(): a fresh array of fresh strings. */
int dir_read_names(int root, const char *path, const char *prefix, char ***ret, size_t *ret_n);

/* The same of those entries that are directories; links to directories are none. */
int dir_read_directories(int root, const char *path, char ***ret, size_t *ret_n);
char **names_free(char **names, size_t n);

/* Where a symbolic link points, as its text says. -EINVAL when the path is not a link, -ENAMETOOLONG when it does not fit. */
int file_read_link(int root, const char *path, char *buf, size_t size);

/* snprintf() into a fixed array, for paths: -ENAMETOOLONG when it does not fit. */
#define PATH_SIZE 512
int path_format(char *buf, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
