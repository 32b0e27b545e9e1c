/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "base/cleanup.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* O_NONBLOCK: a FIFO in a captured machine reads as empty instead of being waited for; attributes do not care. */
#define OPEN_READ (O_RDONLY | O_NOCTTY | O_NONBLOCK)

int root_open(const char *path, struct diag *reterr) {
        int fd;

        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return diag_set(reterr, -errno, "%s: cannot open this directory: %s", path, strerror(errno));
        return fd;
}

int standard_files_open(void) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
                if (fcntl(fd, F_GETFD) >= 0)
                        continue;
                /* The lowest number that is free is this one. */
                if (open("/dev/null", O_RDWR) < 0)
                        return -errno;
        }
        return 0;
}

static int open_in_root(int root, const char *path, int flags) {
        /* valgrind 3.19 does not know the call, and complains each time; no kernel that tierd can manage lacks it (5.6). */
        static atomic_bool no_openat2;
        struct open_how how = {
                .flags = (uint64_t) (unsigned) (flags | O_CLOEXEC),
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };
        long fd = -1;

        if (!no_openat2) {
                do
                        fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
                while (fd < 0 && (errno == EINTR || errno == EAGAIN));
                if (fd < 0 && errno == ENOSYS)
                        no_openat2 = true;
        }
        if (no_openat2)
                fd = openat(root, path, flags | O_CLOEXEC);
        return fd < 0 ? -errno : (int) fd;
}

/* Fills buf with up to size bytes. Returns the number read. */
static ssize_t read_full(int fd, char *buf, size_t size) {
        size_t len = 0;

        while (len < size) {
                ssize_t n = read(fd, buf + len, size - len);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        break;
                len += (size_t) n;
        }
        return (ssize_t) len;
}

/*
 * What is read so is one record of a seq_file: an attribute of sysfs (fs/kernfs/file.c: kernfs_seq_next() has no other record,
 * and sysfs_kf_seq_show() a page at most) or a file of procfs by single_open(); or a value below /proc/sys, of which the first
 * read has all. seq_read_iter() copies a record as far as there is room. So a read that does not fill the buffer was the whole,
 * as of a regular file in a capture, and another, to find the end, would be a system call in four for nothing. (A sequence of
 * records, such as iomem, may stop anywhere, and is read by file_read_alloc().)
 */
int file_read(int root, const char *path, char *buf, size_t size) {
        _cleanup_close_ int fd = -EBADF;
        ssize_t n;

        fd = open_in_root(root, path, OPEN_READ);
        if (fd < 0)
                return fd;
        do
                n = read(fd, buf, size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if ((size_t) n >= size)
                return -EFBIG;
        if (memchr(buf, '\0', (size_t) n))
                return -EBADMSG;
        buf[n] = '\0';
        return (int) n;
}

int file_read_line(int root, const char *path, char *buf, size_t size) {
        int n;

        n = file_read(root, path, buf, size);
        if (n < 0)
                return n;
        if (n > 0 && buf[n - 1] == '\n')
                buf[--n] = '\0';
        return strchr(buf, '\n') ? -EBADMSG : n;
}

int file_read_alloc(int root, const char *path, size_t max, char **ret, size_t *ret_len) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *buf = NULL;
        size_t size = 0, len = 0;

        fd = open_in_root(root, path, OPEN_READ);
        if (fd < 0)
                return fd;

        for (;;) {
                ssize_t n;
                char *p;

                size = size ? size * 2 : FILE_ATTR_MAX;
                p = realloc(buf, size);
                if (!p)
                        return -ENOMEM;
                buf = p;
                n = read_full(fd, buf + len, size - len - 1);
                if (n < 0)
                        return (int) n;
                len += (size_t) n;
                if (len > max)
                        return -EFBIG;
                if (len < size - 1)
                        break;
        }
        buf[len] = '\0';
        *ret = TAKE_PTR(buf);
        *ret_len = len;
        return 0;
}

int file_read_u64(int root, const char *path, uint64_t *ret) {
        char buf[64];
        int r;

        r = file_read_line(root, path, buf, sizeof(buf));
        if (r < 0)
                return r == -EFBIG ? -EBADMSG : r;
        return parse_u64(buf, ret) < 0 ? -EBADMSG : 0;
}

int file_read_hex_u64(int root, const char *path, uint64_t *ret) {
        char buf[64];
        int r;

        r = file_read_line(root, path, buf, sizeof(buf));
        if (r < 0)
                return r == -EFBIG ? -EBADMSG : r;
        return parse_hex_u64(buf, ret) < 0 ? -EBADMSG : 0;
}

int file_read_idset(int root, const char *path, unsigned max, struct idset *ret) {
        _cleanup_free_ char *buf = NULL;
        size_t len;
        int r;

        /* The longest list of 8192 ids, every other one missing, stays below 64 KiB. */
        r = file_read_alloc(root, path, 65536, &buf, &len);
        if (r < 0)
                return r;
        if (strlen(buf) != len)
                return -EBADMSG;
        return idset_parse(buf, max, ret) < 0 ? -EBADMSG : 0;
}

int file_write(int root, const char *path, const char *value) {
        _cleanup_close_ int fd = -EBADF;
        size_t len = strlen(value);
        ssize_t n;

        fd = open_in_root(root, path, O_WRONLY | O_NOCTTY);
        if (fd < 0)
                return fd;
        do
                n = write(fd, value, len);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t) n == len ? 0 : -EIO;
}

static int write_full(int fd, const char *data, size_t len) {
        while (len > 0) {
                ssize_t n = write(fd, data, len);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        return -EIO;
                data += n;
                len -= (size_t) n;
        }
        return 0;
}

int file_replace(int root, const char *path, const char *data, size_t len) {
        _cleanup_close_ int dir = -EBADF, fd = -EBADF;
        char parent[PATH_SIZE], temporary[PATH_SIZE];
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        int r;

        r = path_format(parent, sizeof(parent), "%.*s", slash ? (int) (slash - path) : 1, slash ? path : ".");
        if (r < 0)
                return r;
        r = path_format(temporary, sizeof(temporary), ".%s.new", name);
        if (r < 0)
                return r;
        dir = open_in_root(root, parent, O_RDONLY | O_DIRECTORY);
        if (dir < 0)
                return dir;
        fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        r = write_full(fd, data, len);
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (r == 0 && renameat(dir, temporary, dir, name) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(dir, temporary, 0);
                return r;
        }
        return fsync(dir) < 0 ? -errno : 0;
}

int file_exists(int root, const char *path) {
        _cleanup_close_ int fd = -EBADF;

        fd = open_in_root(root, path, O_PATH);
        if (fd >= 0)
                return 1;
        return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
}

static int compare_u64(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

static int dir_open(int root, const char *path, DIR **ret) {
        DIR *dir;
        int fd;

        fd = open_in_root(root, path, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return fd;
        dir = fdopendir(fd);
        if (!dir) {
                (void) close(fd);
                return -ENOMEM; /* fdopendir(3) of a directory just opened fails for nothing else */
        }
        *ret = dir;
        return 0;
}

/* The next entry whose name begins with prefix. NULL at the end, with errno 0, and on failure, with errno set. */
static struct dirent *dir_next(DIR *dir, const char *prefix) {
        struct dirent *entry;

        do {
                errno = 0;
                entry = readdir(dir);
        } while (entry && strncmp(entry->d_name, prefix, strlen(prefix)) != 0);

        return entry;
}

int dir_read_numbers(int root, const char *path, const char *prefix, uint64_t **ret, size_t *ret_n) {
        _cleanup_closedir_ DIR *dir = NULL;
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n = 0, allocated = 0;
        int r;

        r = dir_open(root, path, &dir);
        if (r < 0)
                return r;

        for (;;) {
                struct dirent *entry;
                uint64_t v;

                entry = dir_next(dir, prefix);
                if (!entry) {
                        if (errno != 0)
                                return -errno;
                        break;
                }
                if (parse_u64(entry->d_name + strlen(prefix), &v) < 0)
                        continue;
                if (n == allocated) {
                        size_t more = allocated ? allocated * 2 : 64;
                        uint64_t *p = reallocarray(numbers, more, sizeof(*p));

                        if (!p)
                                return -ENOMEM;
                        numbers = p;
                        allocated = more;
                }
                numbers[n++] = v;
        }
        if (n > 0)
                qsort(numbers, n, sizeof(*numbers), compare_u64);
        *ret = TAKE_PTR(numbers);
        *ret_n = n;
        return 0;
}

int dir_read_ids(int root, const char *path, const char *prefix, unsigned max, struct idset *ret) {
        _cleanup_free_ uint64_t *numbers = NULL;
        struct idset s = {};
        size_t n = 0;
        int r;

        r = dir_read_numbers(root, path, prefix, &numbers, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (numbers[i] <= max)
                        idset_add(&s, (unsigned) numbers[i]);
        *ret = s;
        return 0;
}

char **names_free(char **names, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(names[i]);
        free(names);
        return NULL;
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Whether an entry is a directory itself, not a link to one. Some file systems (a capture's) do not say it in the entry. */
static bool is_directory(DIR *dir, const struct dirent *entry) {
        struct stat st;

        if (entry->d_type != DT_UNKNOWN)
                return entry->d_type == DT_DIR;
        return fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int read_names(int root, const char *path, const char *prefix, bool directories, char ***ret, size_t *ret_n) {
        _cleanup_closedir_ DIR *dir = NULL;
        char **names = NULL;
        size_t n = 0, allocated = 0;
        int r;

        r = dir_open(root, path, &dir);
        if (r < 0)
                return r;

        for (;;) {
                struct dirent *entry;

                entry = dir_next(dir, prefix);
                if (!entry) {
                        r = -errno;
                        break;
                }
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                    (directories && !is_directory(dir, entry)))
                        continue;
                if (n == allocated) {
                        size_t more = allocated ? allocated * 2 : 16;
                        char **p = reallocarray(names, more, sizeof(*p));

                        if (!p) {
                                r = -ENOMEM;
                                break;
                        }
                        names = p;
                        allocated = more;
                }
                names[n] = strdup(entry->d_name);
                if (!names[n]) {
                        r = -ENOMEM;
                        break;
                }
                n++;
        }
        if (r < 0) {
                (void) names_free(names, n);
                return r;
        }
        if (n > 0)
                qsort(names, n, sizeof(*names), compare_names);
        *ret = names;
        *ret_n = n;
        return 0;
}

int dir_read_names(int root, const char *path, const char *prefix, char ***ret, size_t *ret_n) {
        return read_names(root, path, prefix, false, ret, ret_n);
}

int dir_read_directories(int root, const char *path, char ***ret, size_t *ret_n) {
        return read_names(root, path, "", true, ret, ret_n);
}

int file_read_link(int root, const char *path, char *buf, size_t size) {
        _cleanup_close_ int fd = -EBADF;
        ssize_t n;

        fd = open_in_root(root, path, O_PATH | O_NOFOLLOW);
        if (fd < 0)
                return fd;
        n = readlinkat(fd, "", buf, size);
        if (n < 0)
                return errno == ENOENT ? -EINVAL : -errno; /* readlinkat(2): ENOENT for an empty path that is no link */
        if ((size_t) n >= size)
                return -ENAMETOOLONG;
        buf[n] = '\0';
        return (int) n;
}

int path_format(char *buf, size_t size, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(buf, size, format, ap);
        va_end(ap);
        return n < 0 || (size_t) n >= size ? -ENAMETOOLONG : 0;
}
