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

PACKAGES := hwloc libcxl numa yaml-0.1 libsystemd libudev json-c
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
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES); \
	$(PKG_CONFIG) --atleast-version=79 libcxl && echo -DHAVE_CXL_QOS))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES)))$(PKG_LIBS)

ROOMS := base topology policy damon tierd tierctl
LIB_SOURCES := $(filter-out %/main.c,$(wildcard $(ROOMS:%=%/*.c)))
LIB := $(B)/libtierd.a
PROGRAMS := $(B)/tierd $(B)/tierctl
TEST_SUPPORT := $(wildcard tests/support/*.c)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test-*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz-*.c))

objects = $(1:%.c=$(B)/obj/%.o)

# What is compiled with other flags or another compiler is compiled anew: `make CFLAGS=-O0`, `make WERROR=1`.
quoted = '$(subst ','\'',$(1))'
compile_flags = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS)

all: $(PROGRAMS) $(B)/memload $(B)/pinned $(B)/bench-watch $(B)/failwrite.so

$(B)/obj/flags: FORCE
	@mkdir -p $(@D)
	@echo $(call quoted,$(compile_flags)) | cmp -s - $@ || echo $(call quoted,$(compile_flags)) >$@

$(B)/obj/%.o: %.c Makefile $(B)/obj/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(LIB): $(call objects,$(LIB_SOURCES))
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/tierd: $(B)/obj/tierd/main.o $(LIB)
	$(CC) $(ALL_LDFLAGS) $^ $(PKG_LIBS) -o $@

$(B)/tierctl: $(B)/obj/tierctl/main.o $(LIB)
	$(CC) $(ALL_LDFLAGS) $^ $(PKG_LIBS) -o $@

$(B)/memload $(B)/pinned: $(B)/%: $(B)/obj/tests/vm/%.o
	$(CC) $(ALL_LDFLAGS) $^ -o $@

$(B)/bench-watch: $(B)/obj/bench/watch.o
	$(CC) $(ALL_LDFLAGS) $^ -o $@

$(B)/bench-scale: $(B)/obj/bench/scale.o $(LIB)
	$(CC) $(ALL_LDFLAGS) $^ $(PKG_LIBS) -o $@

# For guests: fails a write of the program that it is preloaded into.
$(B)/failwrite.so: tests/vm/failwrite.c Makefile $(B)/obj/flags
	$(CC) -std=gnu17 -D_GNU_SOURCE $(WARNINGS) -O2 -g -fPIC -shared $(CPPFLAGS) $< -o $@

# tests/support/scratch.c stands in for the kernel: it sees these calls before base/ does; tests/unit/test-drain.c for processes.
WRAP := -Wl,--wrap=file_write,--wrap=file_replace,--wrap=file_read_line
WRAP += -Wl,--wrap=process_move,--wrap=process_move_part

$(B)/tests/%: $(B)/obj/tests/unit/%.o $(call objects,$(TEST_SUPPORT)) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(WRAP) $^ $(PKG_LIBS) -lcmocka -o $@

.PRECIOUS: $(B)/obj/%.o build/fuzz/obj/%.o build/fuzz/coverage/obj/%.o
FORCE:

-include $(shell find $(B)/obj build/fuzz/obj build/fuzz/coverage/obj -name '*.d' 2>/dev/null)

# -- the machine's packages

# What builds it, what proves it, what runs the guests, and what builds kernels for them. Stock kernels and a newer QEMU come later, by
# tests/vm/fetch, from Debian's archive as well, and are unpacked below build/.
BUILD_PACKAGES := gcc make pkg-config libc6-dev libhwloc-dev libcxl-dev libnuma-dev libyaml-dev libsystemd-dev libudev-dev libjson-c-dev
CHECK_PACKAGES := libcmocka-dev clang clang-tidy clang-format llvm libclang-rt-14-dev valgrind mandoc man-db shellcheck git \
	dbus-daemon zsh
GUEST_PACKAGES := cpio zstd xz-utils gzip util-linux procps mmdebstrap fakeroot uidmap
KERNEL_PACKAGES := flex bison bc libelf-dev libssl-dev patch perl ccache
BENCH_PACKAGES := python3
DEB_PACKAGES := dpkg-dev debhelper lintian

deps:
	tests/install-packages $(BUILD_PACKAGES) $(CHECK_PACKAGES) $(GUEST_PACKAGES) $(KERNEL_PACKAGES) $(BENCH_PACKAGES) $(DEB_PACKAGES)

# -- proof

# Includes against the table of rooms in docs/DESIGN.md.
check-layers:
	@tests/check-layers

# Managers and workloads in guests: one table, and charts (bench/README.md).
bench: $(PROGRAMS) $(B)/memload $(B)/bench-watch
	bench/run

# tierd's own work from 2 to 1,024 nodes and to 64 TiB, on synthetic roots.
bench-scale: $(B)/bench-scale
	$(B)/bench-scale

tests: $(UNIT_TESTS)

unit: $(UNIT_TESTS) $(PROGRAMS)
	@tests/run-unit $(UNIT_TESTS)

valgrind: $(UNIT_TESTS) $(PROGRAMS)
	@tests/run-unit --valgrind $(UNIT_TESTS)

golden: $(PROGRAMS)
	@tests/golden-check

golden-update: $(PROGRAMS)
	@tests/golden-check --update

# Command lines right and wrong, by exit status and words.
command-line: $(PROGRAMS)
	@TIERCTL=$(B)/tierctl TIERD=$(B)/tierd tests/command-line

# What bash and zsh complete, against the help texts.
completion: $(PROGRAMS)
	@TIERCTL=$(B)/tierctl TIERD=$(B)/tierd tests/completion

# Everything that proves the project right, guests included; one line per step, logs in build/check/.
check:
	@tests/check

# The same without guests.
check-quick:
	@tests/check --quick

demo: $(PROGRAMS) build/memload
	@tests/vm/demo

# The figures in README.md and docs/: what `arrive` measures on the oldest and the newest kernel.
figures: $(PROGRAMS) $(B)/memload
	tests/vm/scenario arrive 6.12
	tests/vm/scenario arrive 7.2

# What tierd costs by itself over ten minutes at rest, and beside it damo.
cost: $(PROGRAMS) $(B)/memload
	TIMEOUT=2400 tests/vm/scenario cost 7.2 SPAN=600

# -- kernels: the patches of kernel-patches/, and tierd on kernels with and without them

# As reviewers would: git am, checkpatch, W=1.
check-patches:
	@tests/vm/check-patches $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard kernel-patches/*/*.patch)))))

# Tuners on kernels, in guests; a run that was cut off goes on where it stopped.
kernel-table: $(PROGRAMS) $(B)/memload
	tests/vm/matrix --table docs/kernel-table.md

# All of it, with the kernel's own tests of DAMON and guests on kernels that look for their faults.
check-kernels: $(PROGRAMS) $(B)/memload
	@tests/vm/check-kernels

lint: lint-layout lint-shell lint-man lint-journal lint-c

lint-layout:
	@files=$$(git ls-files '*.[ch]') && if LC_ALL=C.UTF-8 grep -nP '^.{129}|\t|\s$$' $$files; then \
		echo 'lint: a line is longer than 128 columns, or has a tab or a blank at its end' >&2; exit 1; fi

CLANG_TIDY ?= clang-tidy
lint-c:
	@printf '%s\n' $(wildcard $(ROOMS:%=%/*.c)) $(wildcard tests/*/*.c bench/*.c) | xargs -P "$$(nproc)" -I FILE sh -c \
		'file=$$1; shift; found=$$($(CLANG_TIDY) --quiet "$$file" -- "$$@" 2>&1) || { echo "$$found"; exit 1; }' \
		sh FILE -std=gnu17 $(ALL_CPPFLAGS) -U_FORTIFY_SOURCE

lint-shell:
	@scripts=$$(git ls-files) && shellcheck -x $$(grep -lE '^#!/bin/(ba)?sh|^# shellcheck shell=' -- $$scripts)

lint-man:
	@mandoc -Tlint -Wwarning man/*.[0-9]
	@for page in man/*.[0-9]; do \
		said=$$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z $$page 2>&1 >/dev/null) && [ -z "$$said" ] || \
		{ echo "$$page: $$said"; exit 1; }; done

# What is written of the journal's entries, against the code.
lint-journal:
	@tests/check-journal

# Metrics, alert rules and dashboard, as Prometheus' own tool reads them.
promtool:
	@tests/promtool

clang:
	@$(MAKE) B=build/clang CC=clang WERROR=1 all tests

FUZZ_SECONDS ?= 60
fuzz: $(FUZZERS)
	@tests/run-fuzz $(FUZZ_SECONDS) $(FUZZERS)

# Fuzzers instrument the code under test itself, so they have objects of their own.
FUZZ_FLAGS = -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
build/fuzz/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	clang -std=gnu17 $(ALL_CPPFLAGS) -U_FORTIFY_SOURCE -g -O1 $(FUZZ_FLAGS) -MMD -MP -c $< -o $@

# Of tierd/ only what is fuzzed.
FUZZED = $(filter-out tierd/%,$(LIB_SOURCES)) tierd/saved.c
$(FUZZERS): build/fuzz/%: build/fuzz/obj/tests/fuzz/%.o $(FUZZED:%.c=build/fuzz/obj/%.o)
	clang $(subst fuzzer-no-link,fuzzer,$(FUZZ_FLAGS)) $^ $(PKG_LIBS) -pthread -o $@

# What the inputs reach that `make fuzz` has found: in objects that count, without sanitizers.
COVERAGE := build/fuzz/coverage
COVERAGE_FLAGS = -fprofile-instr-generate -fcoverage-mapping
$(COVERAGE)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	clang -std=gnu17 $(ALL_CPPFLAGS) -U_FORTIFY_SOURCE -g -O0 $(COVERAGE_FLAGS) -MMD -MP -c $< -o $@

$(FUZZERS:build/fuzz/%=$(COVERAGE)/%): $(COVERAGE)/%: $(COVERAGE)/obj/tests/fuzz/%.o $(FUZZED:%.c=$(COVERAGE)/obj/%.o)
	clang -fsanitize=fuzzer $(COVERAGE_FLAGS) $^ $(PKG_LIBS) -pthread -o $@

fuzz-coverage: $(FUZZERS:build/fuzz/%=$(COVERAGE)/%)
	@tests/fuzz-coverage $^

# -- installation

# Where others look for files; SYSTEMDUNITDIR is systemd's own answer, where pkg-config knows it.
SYSTEMDUNITDIR ?= $(or $(shell $(PKG_CONFIG) --silence-errors --variable=systemdsystemunitdir systemd),/lib/systemd/system)
CATALOGDIR ?= /usr/lib/systemd/catalog
DBUSPOLICYDIR ?= /usr/share/dbus-1/system.d
POLKITACTIONSDIR ?= /usr/share/polkit-1/actions
BASHCOMPLETIONSDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPLETIONSDIR ?= $(PREFIX)/share/zsh/vendor-completions

# A configuration that is there stays as it is. The unit names the programs where they are.
install: $(PROGRAMS)
	install -D -m 0755 $(B)/tierd $(DESTDIR)$(PREFIX)/sbin/tierd
	install -D -m 0755 $(B)/tierctl $(DESTDIR)$(PREFIX)/bin/tierctl
	[ -e $(DESTDIR)$(SYSCONFDIR)/tierd.yaml ] || install -D -m 0644 etc/tierd.yaml $(DESTDIR)$(SYSCONFDIR)/tierd.yaml
	for page in man/*.[0-9]; do \
		install -D -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done
	install -d $(DESTDIR)$(SYSTEMDUNITDIR)
	sed -e 's,/usr/sbin/,$(PREFIX)/sbin/,' -e 's,/usr/bin/tierctl,$(PREFIX)/bin/tierctl,' systemd/tierd.service \
		>$(DESTDIR)$(SYSTEMDUNITDIR)/tierd.service
	chmod 0644 $(DESTDIR)$(SYSTEMDUNITDIR)/tierd.service
	[ ! -e systemd/tierd.catalog ] || install -D -m 0644 systemd/tierd.catalog $(DESTDIR)$(CATALOGDIR)/tierd.catalog
	install -D -m 0644 systemd/org.tierd1.conf $(DESTDIR)$(DBUSPOLICYDIR)/org.tierd1.conf
	install -D -m 0644 systemd/org.tierd1.policy $(DESTDIR)$(POLKITACTIONSDIR)/org.tierd1.policy
	install -d $(DESTDIR)$(BASHCOMPLETIONSDIR) $(DESTDIR)$(ZSHCOMPLETIONSDIR)
	install -m 0644 systemd/completion/bash/* $(DESTDIR)$(BASHCOMPLETIONSDIR)/
	install -m 0644 systemd/completion/zsh/* $(DESTDIR)$(ZSHCOMPLETIONSDIR)/

# A Debian package in build/deb, of the tracked files as they are here. Its times are those of the last commit, so the same files
# give the same package.
DEB_SOURCE := build/deb/source/tierd-$(VERSION)
deb: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
deb:
	rm -rf build/deb
	mkdir -p $(DEB_SOURCE)
	git ls-files -z | tar -c --null --files-from=- | tar -x -C $(DEB_SOURCE)
	sed -e 's/@VERSION@/$(VERSION)/' -e "s/@DATE@/$$(LC_ALL=C date -u -R -d @$$SOURCE_DATE_EPOCH)/" debian/changelog.in \
		>$(DEB_SOURCE)/debian/changelog
	find $(DEB_SOURCE) -exec touch -h -d @$$SOURCE_DATE_EPOCH {} +
	cd $(DEB_SOURCE) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL dpkg-buildpackage -us -uc -b
	mv build/deb/source/tierd*_* build/deb/
	rm -rf build/deb/source
	@ls build/deb/tierd_*.deb

# Of the binary packages that `make deb` made.
lint-deb:
	lintian --fail-on error,warning --pedantic --tag-display-limit 0 build/deb/tierd_*.changes

clean:
	rm -rf build/obj build/tests build/fuzz build/sanitize build/clang build/check build/machines build/demo build/deb \
		build/libtierd.a build/tierd build/tierctl build/memload build/pinned build/bench-watch build/bench-scale build/failwrite.so

distclean:
	rm -rf build

help:
	@echo 'make            build/tierd, build/tierctl'
	@echo 'make deps       install the Debian packages that all of this needs (apt, through sudo when not root)'
	@echo 'make demo       boot a guest with three memory tiers and watch a hot set rise in it'
	@echo 'make check      prove everything, guests included (about 50 minutes)'
	@echo 'make check-quick   the same without guests'
	@echo 'make unit golden golden-update command-line completion valgrind lint promtool clang check-layers'
	@echo 'make figures    measure in guests what README.md quotes (5 minutes)'
	@echo 'make cost       measure in a guest what tierd costs by itself, and damo beside it (25 minutes)'
	@echo 'make bench      managers x workloads in guests, five runs each, into build/bench (a night and more; it goes on where it stopped)'
	@echo 'make bench-scale   what tierd itself takes from 2 to 1,024 nodes and to 64 TiB (a minute)'
	@echo 'make check-patches   the kernel patches: git am, checkpatch, W=1 builds'
	@echo 'make kernel-table   tuners on kernels, in guests, into docs/kernel-table.md (an hour)'
	@echo 'make check-kernels   both, and KUnit and guests on debug kernels (hours; it goes on where it stopped)'
	@echo 'make fuzz       every fuzz target for FUZZ_SECONDS (60)'
	@echo 'make fuzz-coverage   what they have reached of the files under test'
	@echo 'make install    to DESTDIR and PREFIX (/usr), SYSCONFDIR (/etc), SYSTEMDUNITDIR (as systemd says)'
	@echo 'make deb        a Debian package in build/deb; lint-deb runs lintian on it'
	@echo 'make clean      remove what was built; distclean also removes fetched kernels and QEMU'
	@echo ''
	@echo 'SANITIZE=1      build with ASan and UBSan, in build/sanitize'
	@echo 'WERROR=1        warnings are errors, as with CI=true'
	@echo 'TIERD_CACHE=DIR keep fetched kernels and QEMU there instead of build/vm'

.PHONY: all deps bench bench-scale check check-quick check-layers check-patches check-kernels kernel-table unit valgrind golden golden-update \
	command-line completion demo figures cost tests lint lint-layout lint-c lint-shell lint-man lint-journal lint-deb promtool \
	clang fuzz fuzz-coverage install deb clean distclean help FORCE
