/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/cleanup.h"
#include "topology/machine.h"
#include "topology/ranges.h"

/* What proc/iomem tells: which addresses are memory, and of what kind, where a name says so. Lists are merged. */
struct iomem {
        struct range_list ram;          /* "System RAM" and its driver-managed forms ("System RAM (kmem)"), at any depth */
        struct range_list cxl;          /* below "CXL Window N" */
        struct range_list pmem;         /* below "Persistent Memory" */
        struct range_list gpu;          /* "System RAM (NVIDIA)": a GPU's own memory as a node */
        struct range_list soft; /* "Soft Reserved": set aside by the firmware for a purpose, which the kernel leaves alone */
        struct range_list dax;          /* "dax0.0": what a driver has made a device of */
};

/* Without CAP_SYS_ADMIN every address reads as zero; some systems hide the file. Nothing is known then, and it is no error. */
#define IOMEM_UNREADABLE 1

void iomem_done(struct iomem *iomem);
#define _cleanup_iomem_ _cleanup_(iomem_done)

/* Pure. 0 or IOMEM_UNREADABLE (then *ret is empty); -EBADMSG with the line's number, from 1; -ENOMEM. */
int iomem_parse(const char *text, struct iomem *ret, size_t *reterr_line);

/* The same for the file. */
int iomem_read(const struct machine *m, struct iomem *ret);
