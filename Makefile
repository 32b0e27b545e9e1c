# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tierd. `make help` lists what there is; README.md says where to begin.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

VERSION := 0.1

PREFIX ?= /usr
SYSCONFDIR ?= /etc
DESTDIR ?=

CC ?= cc
ifeq ($(origin CC),default)
CC := gcc
endif
PKG_CONFIG ?= pkg-config

# A sanitizer build has objects of its own, so that both can be at hand.
ifdef SANITIZE
B := build/sanitize
SANITIZE_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else
B := build
SANITIZE_FLAGS :=
endif

PACKAGES := hwloc libcxl numa yaml-0.1 libsystemd json-c
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wundef -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wvla
ifneq ($(CI)$(WERROR),)
WARNINGS += -Werror
endif

CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(WARNINGS) $(CFLAGS) $(SANITIZE_FLAGS) -fstack-protector-strong -fPIE -pthread
ALL_CPPFLAGS = -D_GNU_SOURCE -DTIERD_VERSION='"$(VERSION)"' -DTIERD_SYSCONFDIR='"$(SYSCONFDIR)"' -I. $(PKG_CFLAGS) $(CPPFLAGS)
ifndef SANITIZE
ALL_CPPFLAGS += $(if $(filter -O%,$(CFLAGS)),-D_FORTIFY_SOURCE=2)
endif
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed -pthread $(SANITIZE_FLAGS) $(LDFLAGS)

# Asked once, and only when something is compiled: `make deps` and `make help` run on a machine without pkg-config.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES)))$(PKG_LIBS)

ROOMS := base topology policy damon tierd tierctl
LIB_SOURCES := $(filter-out %/main.c,$(wildcard $(ROOMS:%=%/*.c)))
LIB := $(B)/libtierd.a
PROGRAMS := $(B)/tierd $(B)/tierctl
TEST_SUPPORT := $(wildcard tests/support/*.c)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test-*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz-*.c))

objects = $(1:%.c=$(B)/obj/%.o)

all: $(PROGRAMS) $(B)/memload

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(LIB): $(call objects,$(LIB_SOURCES))
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/tierd: $(B)/obj/tierd/main.o $(LIB)
	$(CC) $(ALL_LDFLAGS) $^ $(PKG_LIBS) -o $@

$(B)/tierctl: $(B)/obj/tierctl/main.o $(LIB)
	$(CC) $(ALL_LDFLAGS) $^ $(PKG_LIBS) -o $@

$(B)/memload: $(B)/obj/tests/vm/memload.o
	$(CC) $(ALL_LDFLAGS) $^ -o $@

# tests/support/scratch.c stands in for the kernel: it sees these calls before base/ does.
WRAP := -Wl,--wrap=file_write,--wrap=file_read_line

$(B)/tests/%: $(B)/obj/tests/unit/%.o $(call objects,$(TEST_SUPPORT)) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(WRAP) $^ $(PKG_LIBS) -lcmocka -o $@

.PRECIOUS: $(B)/obj/%.o

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
