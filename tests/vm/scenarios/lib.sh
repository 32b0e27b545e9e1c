# What the scenarios share; sourced in the guest. Figures go to /out/figures, verdicts too.
# shellcheck shell=sh
failed=0
# shellcheck disable=SC2034 # for those who source this
MIB=1048576
# What is PID 1. With systemd tierd runs as its service, configured by /etc/tierd.yaml, and speaks to the journal.
INIT=$(sed -n 's/^INIT=//p' /root/settings 2>/dev/null | tail -n 1)
INIT=${INIT:-busybox}

say() { echo "$@" | tee -a /out/figures; }

check() { # NAME ACTUAL MIN MAX: whole numbers
	if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then
		say "ok $1: $2 in $3..$4"
	else
		say "FAILED $1: $2, not in $3..$4"
		failed=1
	fi
}

same() { # NAME ACTUAL EXPECTED
	if [ "$2" = "$3" ]; then
		say "ok $1: $2"
	else
		say "FAILED $1: $2, not $3"
		failed=1
	fi
}

# Guest time since boot, milliseconds.
now_ms() { awk '{ print int($1 * 1000) }' /proc/uptime; }

# Waits until COMMAND... succeeds, at most LIMIT seconds of guest time. Fails when it did not.
wait_for() { # LIMIT COMMAND...
	wait_end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@"; do
		[ "$(now_ms)" -lt "$wait_end" ] || return 1
		usleep 100000
	done
}

# --- every value that tierd may change

system_values() {
	for f in /proc/sys/kernel/numa_balancing /sys/kernel/mm/numa/demotion_enabled \
		/sys/module/damon_*/parameters/enabled /sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds; do
		[ ! -r "$f" ] || echo "$f $(cat "$f")"
	done
}

# --- memload

# On nodes as small as these two things are out of proportion that on a server do not count. What the kernel keeps for itself in all, KiB:
# for huge pages it raises that to 5 % of them, forty times a server's share, and more than sets that fill a node leave. And the per-CPU
# lists of freed pages, which do not count as free: they come to hold 4 % of a node, and empty themselves while nobody does anything.
MIN_FREE_KIB=24576
LISTS_FRACTION=256

memload_start() { # OPTION...
	[ "$(cat /proc/sys/vm/min_free_kbytes)" -le $MIN_FREE_KIB ] || echo $MIN_FREE_KIB >/proc/sys/vm/min_free_kbytes
	echo $LISTS_FRACTION >/proc/sys/vm/percpu_pagelist_high_fraction
	[ -p /run/control ] || mkfifo /run/control
	sets=0
	for option; do [ "$option" != --set ] || sets=$((sets + 1)); done
	memload "$@" --interval 500ms --control /run/control >/run/memload.json &
	memload=$!
	wait_for 300 memload_ready || say "FAILED: memload did not get ready"
}
# Ready, and every set sampled once.
memload_ready() {
	grep -q '"ready"' /run/memload.json && [ "$(grep -c node_bytes /run/memload.json)" -ge "$sets" ]
}
memload_tell() { echo "$1" >/run/control; }
memload_end() {
	memload_tell quit
	wait "$memload"
	cp /run/memload.json /out/
	same "memload's exit status" $? 0
}
# Bytes of a set on a node, by the last sample. (Only the file's end is read: the guest's CPUs are emulated, and few.)
resident() { # SET NODE
	tail -n 12 /run/memload.json | grep "\"set\":\"$1\".*node_bytes" | tail -n 1 | sed "s/.*\"$2\":\([0-9]*\)[,}].*/\1/"
}
resident_percent() { # SET NODE
	awk -v on="$(resident "$1" "$2")" -v all="$(set_bytes "$1")" 'BEGIN { printf "%d\n", all ? on * 100 / all : 0 }'
}
set_bytes() { # SET
	tail -n 12 /run/memload.json | grep "\"set\":\"$1\".*node_bytes" | tail -n 1 | sed 's/.*"bytes":\([0-9]*\).*/\1/'
}
is_resident() { # SET NODE PERCENT
	[ "$(resident_percent "$1" "$2")" -ge "$3" ]
}

# --- tierd

# Starts tierd with the configuration FILE, by default none. Returns when it manages, or has failed. $tierd is its pid.
tierd_start() { # [FILE]
	case $INIT in
	systemd)
		unit_configure "${1-}"
		journal_mark
		systemctl start tierd
		tierd=$(systemctl show -P MainPID tierd)
		[ "$tierd" != 0 ] && return
		;;
	*)
		rm -f /run/tierd.log
		tierd --foreground ${1:+--config "$1"} >/run/tierd.log 2>&1 &
		tierd=$!
		wait_for 60 tierd_is_decided && kill -0 "$tierd" 2>/dev/null && return
		;;
	esac
	say "FAILED: tierd did not start:"
	tierd_log | tee -a /out/figures
	return 1
}
tierd_is_decided() {
	grep -qs 'managing\|nothing to manage' /run/tierd.log || ! kill -0 "$tierd" 2>/dev/null
}
# Has the running tierd, started with a file, reload it changed to TEXT. With systemd it fails where that fails.
tierd_reload() { # TEXT
	case $INIT in
	systemd)
		echo "$1" >/etc/tierd.yaml
		systemctl reload tierd
		;;
	*)
		echo "$1" >/run/tierd.yaml
		kill -HUP "$tierd"
		;;
	esac
}
# What tierd has said since it was started.
tierd_log() {
	case $INIT in
	systemd) journal_since_mark -u tierd ;;
	*) cat /run/tierd.log ;;
	esac
}
tierd_said() { # PATTERN
	tierd_log | grep -q "$1"
}
tierd_stop() {
	case $INIT in
	systemd)
		systemctl stop tierd
		same "systemctl stop's exit status" $? 0
		same "the service's state" "$(systemctl show -P ActiveState tierd)" inactive
		# What has ended well systemd forgets, and remembers only to have said so.
		same "ends that went well" "$(tierd_log | grep -c 'tierd.service: Deactivated successfully')" 1
		;;
	*)
		kill -TERM "$tierd"
		wait "$tierd"
		same "tierd's exit status" $? 0
		;;
	esac
	tierd_log >/out/tierd.log
}
tierd_kill() {
	kill -KILL "$tierd"
	[ "$INIT" = systemd ] || wait "$tierd" 2>/dev/null
}

# Of a package that was brought, and is not installed yet, the service is not to run before it is wanted.
unit_install() {
	[ -e /root/tierd.deb ] && ! command -v tierd >/dev/null || return 0
	dpkg -i /root/tierd.deb >/out/dpkg.log 2>&1
	same "dpkg -i" $? 0
	systemctl stop tierd
}
unit_configure() { # [FILE]
	unit_install
	rm -f /etc/tierd.yaml
	[ -z "$1" ] || cp "$1" /etc/tierd.yaml
}
# Starts counted so far do not hold back the next ones.
unit_forget() { systemctl reset-failed tierd 2>/dev/null; }

journal_mark() { journal_marked=$(journalctl -q -n 0 --show-cursor | sed -n 's/^-- cursor: //p'); }
journal_since_mark() { # OPTION...: the messages
	journalctl --sync
	journalctl -q --no-pager -o cat --after-cursor "$journal_marked" "$@"
}

# --- what the kernel counted

DAMON=/sys/kernel/mm/damon/admin/kdamonds

# An attribute of DAMON: while tierd's commands run, reading answers EBUSY.
attribute() { # FILE
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		cat "$1" 2>/dev/null && return
		usleep 50000
	done
	echo "cannot read $1" >&2
	return 1
}
running_kdamonds() {
	for s in "$DAMON"/*/state; do attribute "$s"; done | grep -c on
}

# Bytes applied by the scheme of an action from one node to another (slots are node ids here), as last refreshed by tierd.
applied() { # FROM ACTION TO
	for s in "$DAMON/$1"/contexts/0/schemes/[0-9]*; do
		[ -r "$s/action" ] || continue
		if [ "$(attribute "$s/action")" = "$2" ] && [ "$(attribute "$s/target_nid")" = "$3" ]; then
			attribute "$s/stats/sz_applied"
			return
		fi
	done
	echo 0
}
node_blocks() { # NODE STATE: its memory blocks that are in that state
	for block in /sys/devices/system/memory/memory[0-9]*; do
		[ ! -e "$block/node$1" ] || [ "$(cat "$block/state")" != "$2" ] || echo "$block"
	done
}
node_kib() { # NODE FIELD
	awk -v f="$2:" '$3 == f { print $4 }' "/sys/devices/system/node/node$1/meminfo"
}
free_bp() { # NODE
	echo $(($(node_kib "$1" MemFree) * 10000 / $(node_kib "$1" MemTotal)))
}
# Bytes migrated between nodes by anyone, by the kernel's own count.
migrated_bytes() { awk '$1 == "pgmigrate_success" { printf "%d\n", $2 * 4096 }' /proc/vmstat; }

# --- kdamonds of our own, without tierd

put() { # FILE VALUE
	echo "$2" >"$1" || {
		say "FAILED write of $2 to $1"
		failed=1
	}
}
# Physical addresses of a node's memory, from the first to the last block.
node_range() { # NODE
	for m in /sys/devices/system/node/node"$1"/memory[0-9]*; do echo $((0x$(cat "$m/phys_index"))); done | sort -n |
		awk -v size=$((0x$(cat /sys/devices/system/memory/block_size_bytes))) \
			'NR == 1 { printf "%.0f ", $1 * size } { last = $1 } END { printf "%.0f\n", (last + 1) * size }'
}
# Slot 0 watches a node, 5 ms and 100 ms, with that many schemes, all `stat` of everything. Sets $ctx and $range_bytes.
kdamond_stage() { # NODE SCHEMES
	ctx=$DAMON/0/contexts/0
	range=$(node_range "$1")
	range_bytes=$((${range#* } - ${range% *}))
	put "$DAMON/nr_kdamonds" 1
	put "$DAMON/0/contexts/nr_contexts" 1
	put "$ctx/operations" paddr
	put "$ctx/monitoring_attrs/intervals/update_us" 1000000
	put "$ctx/targets/nr_targets" 1
	put "$ctx/targets/0/regions/nr_regions" 1
	put "$ctx/targets/0/regions/0/start" "${range% *}"
	put "$ctx/targets/0/regions/0/end" "${range#* }"
	schemes_stage "$2"
}
schemes_stage() { # SCHEMES
	put "$ctx/schemes/nr_schemes" "$1"
	for s in "$ctx"/schemes/[0-9]*; do
		put "$s/action" stat
		put "$s/access_pattern/sz/max" 18446744073709551615
		put "$s/access_pattern/nr_accesses/max" 4294967295
		put "$s/access_pattern/age/max" 4294967295
	done
}
# A staged scheme migrates, under a quota.
scheme_migrates() { # SCHEME ACTION TARGET BYTES RESET_MS
	put "$ctx/schemes/$1/action" "$2"
	put "$ctx/schemes/$1/target_nid" "$3"
	put "$ctx/schemes/$1/quotas/bytes" "$4"
	put "$ctx/schemes/$1/quotas/reset_interval_ms" "$5"
}
kdamond_tell() { # COMMAND
	put "$DAMON/0/state" "$1"
}
# Whole passes that a `stat` scheme of everything has made.
passes() { # SCHEME
	kdamond_tell update_schemes_stats >/dev/null
	echo $(($(cat "$ctx/schemes/$1/stats/sz_tried") / range_bytes))
}
has_passed() { # SCHEME PASSES
	[ "$(passes "$1")" -ge "$2" ]
}
wait_passes() { # SCHEME COUNT: so many more
	wait_for 120 has_passed "$1" $(($(passes "$1") + $2)) || {
		say "FAILED: scheme $1 does not pass"
		failed=1
	}
}

finish() {
	dmesg | grep -i damon | tail -n 5
	exit "$failed"
}
