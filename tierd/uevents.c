/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tierd/uevents.h"
#include "base/file.h"
#include "base/parse.h"

#include <libudev.h>
#include <string.h>
#include <sys/epoll.h>

struct uevents {
        struct udev *udev;
        struct udev_monitor *monitor;
        sd_event_source *source;
        int root;                       /* borrowed */
        uevents_handler handler;
        void *userdata;
};

/* "node12" -> 12; -1: something else. */
static int node_of_name(const char *name) {
        uint64_t id;

        if (!name || strncmp(name, "node", 4) != 0 || parse_u64(name + 4, &id) < 0 || id > NODE_ID_MAX)
                return -1;
        return (int) id;
}

/* The node of a memory block: the link below its directory; -1 when the block is gone. */
static int node_of_block(int root, const char *block) {
        char path[PATH_SIZE], **names = NULL;
        size_t n = 0;
        int nid = -1;

        if (!block || path_format(path, sizeof(path), "sys/devices/system/memory/%s", block) < 0 ||
            dir_read_names(root, path, "node", &names, &n) < 0)
                return -1;
        for (size_t i = 0; i < n && nid < 0; i++)
                nid = node_of_name(names[i]);
        names_free(names, n);
        return nid;
}

static void take_device(struct uevents *u, struct udev_device *d) {
        const char *action = udev_device_get_action(d), *subsystem = udev_device_get_subsystem(d);
        const char *name = udev_device_get_sysname(d);
        bool leaves;

        if (!action || !subsystem)
                return;
        /* Asked for by somebody (udevadm trigger), who has all rules run again: nothing has come or gone. */
        if (udev_device_get_property_value(d, "SYNTH_UUID"))
                return;
        leaves = strcmp(action, "offline") == 0 || strcmp(action, "remove") == 0;
        if (!leaves && strcmp(action, "online") != 0 && strcmp(action, "add") != 0)
                return;
        u->handler(u->userdata, leaves ? HOTPLUG_LEAVES : HOTPLUG_COMES,
                   strcmp(subsystem, "node") == 0 ? node_of_name(name) : node_of_block(u->root, name));
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct uevents *u = userdata;
        struct udev_device *d;

        (void) source;
        (void) fd;
        (void) revents;
        errno = 0;
        while ((d = udev_monitor_receive_device(u->monitor))) {
                take_device(u, d);
                udev_device_unref(d);
                errno = 0;
        }
        /* The queue has overflowed: what is lost is seen by looking at the whole. */
        if (errno == ENOBUFS)
                u->handler(u->userdata, HOTPLUG_COMES, -1);
        return 0;
}

struct uevents *uevents_free(struct uevents *u) {
        if (!u)
                return NULL;
        sd_event_source_unref(u->source);
        if (u->monitor)
                udev_monitor_unref(u->monitor);
        if (u->udev)
                udev_unref(u->udev);
        free(u);
        return NULL;
}

int uevents_new(sd_event *event, int root, uevents_handler handler, void *userdata, struct uevents **ret) {
        _cleanup_(uevents_freep) struct uevents *u = NULL;
        int r;

        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        u->root = root;
        u->handler = handler;
        u->userdata = userdata;
        u->udev = udev_new();
        if (!u->udev)
                return -ENOMEM;
        errno = 0;
        u->monitor = udev_monitor_new_from_netlink(u->udev, "kernel");
        if (!u->monitor)
                return errno > 0 ? -errno : -ENOMEM;
        r = udev_monitor_filter_add_match_subsystem_devtype(u->monitor, "memory", NULL);
        if (r >= 0)
                r = udev_monitor_filter_add_match_subsystem_devtype(u->monitor, "node", NULL);
        if (r >= 0)
                r = udev_monitor_enable_receiving(u->monitor);
        if (r >= 0)
                r = sd_event_add_io(event, &u->source, udev_monitor_get_fd(u->monitor), EPOLLIN, on_readable, u);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(u);
        return 0;
}
