/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierctl/terminal.h"
#include "base/cleanup.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>

/* Alternate screen, no cursor, no wrapping of lines that are a column too long. */
#define ENTER "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
#define LEAVE "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"

#define HOME "\x1b[H"
#define RESET "\x1b[0m"
#define CLEAR_LINE "\x1b[K"
#define CLEAR_BELOW "\x1b[J"

bool terminal_is_live(int out) {
        const char *term = getenv("TERM");

        return isatty(out) == 1 && term && *term && strcmp(term, "dumb") != 0;
}

bool terminal_has_blocks(void) {
        (void) setlocale(LC_CTYPE, "");
        return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static int write_all(int fd, const char *data, size_t n) {
        while (n > 0) {
                ssize_t w = write(fd, data, n);

                if (w < 0 && errno != EINTR)
                        return -errno;
                if (w > 0) {
                        data += w;
                        n -= (size_t) w;
                }
        }
        return 0;
}

int terminal_enter(struct terminal *t) {
        if (!t->entered)
                t->keys = tcgetattr(t->in, &t->before) == 0;
        if (t->keys) {
                struct termios keys = t->before;

                keys.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
                keys.c_cc[VMIN] = 1;
                keys.c_cc[VTIME] = 0;
                if (tcsetattr(t->in, TCSADRAIN, &keys) < 0)
                        return -errno;
        }
        t->entered = true;
        return write_all(t->out, ENTER, strlen(ENTER));
}

void terminal_leave(struct terminal *t) {
        if (!t->entered)
                return;
        t->entered = false;
        (void) write_all(t->out, LEAVE, strlen(LEAVE));
        if (t->keys)
                (void) tcsetattr(t->in, TCSADRAIN, &t->before);
}

void terminal_size(int out, size_t *ret_columns, size_t *ret_rows) {
        struct winsize size = {};

        (void) ioctl(out, TIOCGWINSZ, &size);
        *ret_columns = size.ws_col > 0 ? size.ws_col : 80;
        *ret_rows = size.ws_row > 0 ? size.ws_row : 24;
}

/* Where the line is to be cut so that it takes no more than this many columns. */
static size_t cut(const char *line, size_t n, size_t columns) {
        size_t i = 0, used = 0;

        while (i < n) {
                size_t from = i++;

                if (line[from] == '\x1b') {
                        /* ESC [ … letter: a control sequence takes no room. */
                        if (i < n && line[i] == '[')
                                i++;
                        while (i < n && (line[i] < '@' || line[i] > '~'))
                                i++;
                        i = MIN(i + 1, n);
                        continue;
                }
                while (i < n && ((unsigned char) line[i] & 0xc0) == 0x80)
                        i++;
                if (++used > columns)
                        return from;
        }
        return n;
}

int terminal_draw(const struct terminal *t, const char *text, size_t columns, size_t rows) {
        _cleanup_free_ char *frame = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n = 0;

        f = open_memstream(&frame, &n);
        if (!f)
                return -ENOMEM;
        (void) fputs(HOME, f);
        for (size_t row = 0; row < rows && *text; row++) {
                size_t len = strcspn(text, "\n");

                /*
                 * Cleared before it is written: behind a line as wide as the screen the cursor stands on its last character.
                 * The last row ends without a line feed, which would scroll.
                 */
                (void) fputs(row > 0 ? "\r\n" CLEAR_LINE : CLEAR_LINE, f);
                (void) fwrite(text, 1, cut(text, len, columns), f);
                (void) fputs(RESET, f);
                text += len + (text[len] == '\n');
                if (!*text && row + 1 < rows)
                        (void) fputs("\r\n" CLEAR_BELOW, f);
        }
        if (fflush(f) != 0)
                return -ENOMEM;
        return write_all(t->out, frame, n);
}
