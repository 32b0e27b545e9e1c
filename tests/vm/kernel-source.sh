# What builds and checks kernels of ours shares; sourced, not run. It wants $here, the directory of tests/vm,
# and $cache, where ccache's files go too.
# shellcheck shell=sh
# shellcheck disable=SC2154 # $here and $cache are the caller's
patches_dir() { # SERIES
	echo "${KERNEL_PATCHES:-$here/../../kernel-patches}/$1"
}

# The patches of a series, in their order; none is no fault.
patches_list() { # SERIES
	dir=$(patches_dir "$1")
	[ ! -d "$dir" ] || dir=$(cd "$dir" && pwd)
	[ ! -d "$dir" ] || find "$dir" -maxdepth 1 -name '*.patch' | LC_ALL=C sort
}

# The files that patches touch, below the kernel's top.
patches_files() { # PATCH...
	[ $# -eq 0 ] || sed -nE 's,^(---|\+\+\+) [ab]/([^\t]*).*,\2,p' "$@" | LC_ALL=C sort -u
}

tree_unpack() { # SOURCE DIR: what `fetch source` has, with its top as DIR
	mkdir -p "$2"
	tar -C "$2" --strip-components=1 -xf "$1/source.tar.xz"
}

# A patch that does not fit to the line's letter is made anew, not bent.
tree_patch() { # DIR PATCH...
	tree=$1
	shift
	for patch; do
		patch -d "$tree" -p1 --fuzz=0 --forward --batch --no-backup-if-mismatch <"$patch" >"$tree/.patch.log" 2>&1 || {
			echo "${0##*/}: $(basename "$patch") does not apply:" >&2
			cat "$tree/.patch.log" >&2
			return 1
		}
	done
}

# The lines of configuration files that a series knows.
config_lines() { # SERIES FILE...
	series=$1
	shift
	awk -v series="$series" '
		match($0, /^#[0-9. ]+: /) {
			n = split(substr($0, 2, RLENGTH - 3), known, " ")
			for (i = 1; i <= n; i++) if (known[i] == series) print substr($0, RLENGTH + 1)
			next
		}
		/^CONFIG_/ || /^# CONFIG_.* is not set$/' "$@"
}

tree_configure() { # DIR LINES-FILE: fails naming the lines that did not get in
	# Absolute, for make reads it in the tree. KCONFIG_ALLCONFIG's lines come first, then allnoconfig answers no.
	kernel_make "$1" KCONFIG_ALLCONFIG="$2" allnoconfig >"$1/.config.log" 2>&1 || {
		cat "$1/.config.log" >&2
		return 1
	}
	missing=$(while read -r line; do
		case $line in
		"# "*)
			name=${line#"# "}
			! grep -q "^${name%% *}=" "$1/.config" || echo "  $line"
			;;
		*) grep -qxF "$line" "$1/.config" || echo "  $line" ;;
		esac
	done <"$2")
	[ -z "$missing" ] || {
		printf '%s: asked for, and not in the configuration:\n%s\n' "${0##*/}" "$missing" >&2
		return 1
	}
}

# With everything fixed that would make the same source another kernel, or another object to ccache. Paths are relative where a tree is
# built in itself.
kernel_make() { # DIR ARGUMENT...
	tree=$1
	shift
	cc=gcc
	! command -v ccache >/dev/null || cc="ccache gcc"
	CCACHE_DIR=$cache/ccache KBUILD_BUILD_TIMESTAMP=1970-01-01 KBUILD_BUILD_USER=tierd KBUILD_BUILD_HOST=build \
		env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL nice make -s -C "$tree" -j"$(nproc)" ARCH=x86_64 CC="$cc" HOSTCC="$cc" "$@"
}

kernel_tools() {
	for tool in make gcc flex bison bc patch xz ld sha256sum; do
		command -v "$tool" >/dev/null || {
			echo "${0##*/}: needs $tool (make deps)" >&2
			return 1
		}
	done
}
