# Hot memory on an expander and cold memory in DRAM change places, and the workload gets faster by it: its throughput with nothing at work, with
# NUMA balancing, and with tierd, in one guest, each from the same start. MANAGERS=none.tierd leaves one out; DEMOTION=no has reclaim not demote
# beside NUMA balancing.
# (QEMU 10 emulates each access to the expander: it is slower against DRAM than a real one, so the ratios are exaggerated; and it crashes where
# a program's code, or its stack, comes to lie there and is used. So all programs but memload may have memory on node 0 alone, and file pages stay
# where they are. The hot set is small: at the speed of the expander DAMON is to see each of its pages again and again.)
# machine: cxl
# module: libnvdimm cxl_pmem cxl_acpi cxl_port cxl_mem cxl_pci device_dax dax_hmem dax_cxl kmem
# append: memhp_default_state=online_movable
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
# shellcheck source=tests/vm/scenarios/lib-cxl.sh
. /root/lib-cxl.sh
HOT=8
ROOM=5
WORDS=4
SPAN=40
MANAGERS=none.balancing.tierd
DEMOTION=yes
# shellcheck disable=SC1091
. /root/settings
GROUPS_TOP=/sys/fs/cgroup

say "kernel $(uname -r)"
cxl_up
echo 0 >/proc/sys/kernel/numa_balancing
for f in /sys/module/damon_*/parameters/enabled; do [ ! -w "$f" ] || echo N >"$f"; done
system_values >/run/before

# Programs on node 0, memload anywhere.
echo +cpuset >$GROUPS_TOP/cgroup.subtree_control
mkdir $GROUPS_TOP/programs $GROUPS_TOP/load
echo 0 >$GROUPS_TOP/programs/cpuset.mems
echo "0,$node" >$GROUPS_TOP/load/cpuset.mems
while read -r pid; do echo "$pid" >$GROUPS_TOP/programs/cgroup.procs; done <$GROUPS_TOP/cgroup.procs 2>/dev/null
memload() { sh -c "echo 0 >$GROUPS_TOP/load/cgroup.procs && exec memload \"\$@\"" sh "$@"; }

# Of the set's last sample: pages touched, nanoseconds spent on them, and when.
touched() { # SET
	grep "\"set\":\"$1\".*node_bytes" /run/memload.json | tail -n 1 |
		sed 's/.*"t_ms":\([0-9]*\).*"ops":\([0-9]*\),"touch_ns":\([0-9]*\).*/\2 \3 \1/'
}
have_grown() { # OPERATIONS NS T_MS: those of the hot set
	# shellcheck disable=SC2046 # three words
	set -- $(touched hot) "$@"
	[ "$1" -gt "$4" ] && [ "$3" -gt $(($6 + SPAN * 100)) ]
}
# Where the hot set has room, cold memory goes down after it, for what the goals want free.
is_settled() { is_resident hot 0 90 && [ "$(resident cold 0)" -le $(($(set_bytes cold) - MIB)) ]; }
# From now on, over a tenth of SPAN at least: pages of the hot set per second, and `speed`, the time that a page of DRAM takes, per thousand of
# that of a page of the hot set. One thread touches both by turns, so however busy the host is, it is so to both.
measure() { # MANAGER
	hot=$(touched hot) dram=$(touched dram)
	# shellcheck disable=SC2086 # three words
	wait_for 600 have_grown $hot || {
		say "FAILED: the workload stands still"
		failed=1
	}
	rate=$(echo "$hot $(touched hot)" | awk '{ printf "%d", ($4 - $1) * 1000 / ($6 - $3) }')
	speed=$(echo "$hot $(touched hot) $dram $(touched dram)" |
		awk '{ printf "%d", 1000 * ($11 - $8) / ($10 - $7) * ($4 - $1) / ($5 - $2) }')
	hot_up=$(resident_percent hot 0)
	cold_away=$((($(set_bytes cold) - $(resident cold 0)) / MIB))
	say "$1: speed $speed per thousand of DRAM's, $rate pages/s, hot set in DRAM $hot_up %, $cold_away MiB of the cold set on the expander"
	cp /run/memload.json "/out/memload-$1.json"
}

none='' balancing=''
for manager in $(echo "$MANAGERS" | tr . ' '); do
	say "-- $manager"
	# Not all of the hot set has room: for the rest cold memory has to go down.
	memload_start --set dram:8M@0:touch --set "cold:fill-$ROOM%@0:idle" --set "hot:${HOT}M@$node:touch" --thp never --pass-every 1ms --words "$WORDS"
	begun=$(now_ms)
	case $manager in
	none)
		measure none
		none=$((speed > 0 ? speed : 1))
		;;
	balancing)
		[ "$DEMOTION" = no ] || echo 1 >/sys/kernel/mm/numa/demotion_enabled
		echo 2 >/proc/sys/kernel/numa_balancing
		wait_for "$SPAN" is_resident hot 0 90
		say "after $(($(now_ms) - begun)) ms"
		measure balancing
		balancing=$((speed > 0 ? speed : 1))
		echo 0 >/proc/sys/kernel/numa_balancing
		[ "$DEMOTION" = no ] || echo 0 >/sys/kernel/mm/numa/demotion_enabled
		;;
	tierd)
		echo 'exclude: [{type: file}]' >/run/cxl.yaml
		tierd_start /run/cxl.yaml || { failed=1; finish; }
		wait_for 600 is_settled
		say "after $(($(now_ms) - begun)) ms"
		measure tierd
		check "hot set in DRAM under tierd (%)" "$hot_up" 90 100
		check "cold set on the expander (MiB)" "$cold_away" 1 100000
		[ -z "$none" ] || check "throughput with tierd by that without (%)" $((speed * 100 / none)) 150 1000000
		[ -z "$balancing" ] || say "throughput with tierd by that with NUMA balancing: $((speed * 100 / balancing)) %"
		tierd_stop
		;;
	esac
	memload_end
done
system_values >/run/after
same "values changed and not put back" "$(diff /run/before /run/after | grep -c '^[-+]/')" 0
finish
