# Tiers by what the firmware says of latency and bandwidth (HMAT), on the machine of MACHINE: tierd's are those that were meant, those of the
# kernel, and those that it makes of the access classes by itself where the kernel has none.
# machine: three-tiers
# module: libnvdimm cxl_pmem cxl_acpi cxl_port cxl_mem cxl_pci device_dax dax_hmem dax_cxl kmem
# file: tests/capture-machine:/root/capture-machine
# append: memhp_default_state=online_movable
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
# shellcheck source=tests/vm/scenarios/lib-cxl.sh
. /root/lib-cxl.sh
MACHINE=three-tiers
# shellcheck disable=SC1091
. /root/settings
TIERING=/sys/devices/virtual/memory_tiering
NODES=/sys/devices/system/node

# What is meant: tiers, who ranks, and of each node kind, latency (ns) and bandwidth (MiB/s) by the table that the firmware gave.
source=memory_tiering
case $MACHINE in
three-tiers)
	tiers='[[0],[1],[2]]'
	nodes='0:dram:100:10240 1:unknown:200:5120 2:unknown:400:2048'
	;;
hbm)
	tiers='[[1],[0]]'
	nodes='0:dram:100:10240 1:hbm:50:40960'
	;;
hmat-levels)
	tiers='[[1],[0],[2,3],[4]]'
	nodes='0:dram:100:10240 1:hbm:50:40960 2:unknown:250:4096 3:unknown:250:4096 4:unknown:500:2048'
	;;
two-sockets-private)
	tiers='[[0,1],[2,3]]'
	nodes='0:dram:100:102400 1:dram:100:102400 2:unknown:250:20480 3:unknown:250:20480'
	;;
hmat-latency)
	source=hmat
	tiers='[[0],[2],[1]]'
	nodes='0:dram:100: 1:unknown:400: 2:unknown:200:'
	;;
hmat-cxl)
	tiers='[[0],[1],[3]]'
	nodes='0:dram:100:10240 1:unknown:130:8192 3:cxl::'
	;;
*)
	say "FAILED: $MACHINE is no machine of this scenario"
	exit 1
	;;
esac

topology() { tierctl topology --json "$@" | tr -d ' \n'; }
topology_tiers() { echo "$1" | sed 's/.*"tiers":\(.*\),"nodes".*/\1/'; }
topology_source() { echo "$1" | sed 's/.*"rank_source":"\([a-z_]*\)".*/\1/'; }
# Of a node: KEY's value.
topology_value() { # TOPOLOGY NODE KEY
	echo "$1" | sed "s/.*{\"id\":$2,\(\"tier\".*\)/\1/" | sed "s/},{\"id\".*//; s/.*\"$3\":\"\{0,1\}\([^\",]*\)\"\{0,1\},.*/\1/"
}
kernel_tier_numbers() {
	for path in "$TIERING"/memory_tier[0-9]*; do echo "${path##*memory_tier}"; done | sort -n
}
# As tierd writes them: the kernel's tiers, lowest number first, nodes with memory only.
kernel_tiers() {
	list=
	for number in $(kernel_tier_numbers); do
		tier=
		for id in $(expand "$(cat "$TIERING/memory_tier$number/nodelist")"); do
			[ "$(node_kib "$id" MemTotal)" -eq 0 ] || tier=$tier${tier:+,}$id
		done
		[ -z "$tier" ] || list=$list${list:+,}[$tier]
	done
	echo "[$list]"
}
expand() { # "0,2-4": each id
	for part in $(echo "$1" | tr , ' '); do seq "${part%-*}" "${part#*-}"; done
}
figure() { # NODE NAME: by either class; empty where there is none
	cat "$NODES/node$1/access1/initiators/$2" 2>/dev/null || cat "$NODES/node$1/access0/initiators/$2" 2>/dev/null
}
known() { [ "${1:-0}" != 0 ] && echo "$1" || echo null; }

say "kernel $(uname -r), $MACHINE"
[ "$MACHINE" != hmat-cxl ] || cxl_up

now=$(topology)
tierctl topology --json >/out/topology.json
tierctl topology | tee /out/topology.txt
for tier in "$TIERING"/memory_tier[0-9]*; do echo "${tier##*/}: $(cat "$tier/nodelist")"; done | tee /out/memory-tiers
for file in "$NODES"/node*/access*/initiators/*_*; do echo "$file $(cat "$file")"; done >/out/access

same "tiers" "$(topology_tiers "$now")" "$tiers"
same "ranked by" "$(topology_source "$now")" $source
case $source in
memory_tiering) same "the kernel's tiers" "$(kernel_tiers)" "$tiers" ;;
*) same "the kernel's tiers are one" "$(kernel_tier_numbers | grep -c .)" 1 ;;
esac
for node in $nodes; do
	IFS=: read -r id kind latency bandwidth <<EOF
$node
EOF
	same "node $id's kind" "$(topology_value "$now" "$id" kind)" "$kind"
	[ -z "$latency" ] || same "node $id's latency, meant" "$(figure "$id" read_latency)" "$latency"
	[ -z "$bandwidth" ] || same "node $id's bandwidth, meant" "$(figure "$id" read_bandwidth)" "$bandwidth"
	same "node $id's latency" "$(topology_value "$now" "$id" read_latency_ns)" "$(known "$(figure "$id" read_latency)")"
	same "node $id's bandwidth" "$(topology_value "$now" "$id" read_bandwidth_mib)" "$(known "$(figure "$id" read_bandwidth)")"
done

# --- the same machine with a kernel that makes no tiers: the access classes alone. 6.18 and 7.2 give an expander's node none, though its region
# has the figures; then distance decides for all.
bare_source=hmat bare_tiers=$tiers
if [ "$MACHINE" = hmat-cxl ] && [ -z "$(figure 3 read_latency)" ]; then
	say "region0's latency: $(cat "$CXL"/region0/access0/read_latency) ns, bandwidth $(cat "$CXL"/region0/access0/read_bandwidth) MiB/s; its node has none"
	bare_source=distance bare_tiers='[[0],[1,3]]'
fi
sh /root/capture-machine --directory /run bare >/dev/null 2>&1
rm -rf /run/bare$TIERING
bare=$(topology --root /run/bare)
same "without the kernel's tiers, ranked by" "$(topology_source "$bare")" $bare_source
same "without the kernel's tiers" "$(topology_tiers "$bare")" "$bare_tiers"
finish
