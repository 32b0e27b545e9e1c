# Two expanders: interleaved in one region; a region each, of which one is a program's (devdax) and then memory as well. Each time `cxl list`,
# `daxctl list` and `tierctl topology` agree on regions, devices, serials, sizes, nodes, ways and granularity. On the machine cxl-two both are below one
# window, whose regions share a node; MACHINE=cxl-windows has them below one each, with a node each, and a third window over both.
# machine: cxl-two
# init: systemd
# package: ndctl daxctl
# module: libnvdimm cxl_pmem cxl_acpi cxl_port cxl_mem cxl_pci device_dax dax_hmem dax_cxl kmem
# append: memhp_default_state=online_movable
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
# shellcheck source=tests/vm/scenarios/lib-cxl.sh
. /root/lib-cxl.sh
MACHINE=cxl-two
# shellcheck disable=SC1091
. /root/settings

# The object of a file of JSON whose first key is that, with that value (of several the last), and what follows it up to the next of them.
object() { # FILE KEY VALUE
	tr -d ' \n' <"$1" | sed "s/{\"$2\":/\n&/g" | grep "^{\"$2\":\"$3\"" | tail -n 1
}
first_value() { # KEY: of such an object; empty where it has none
	sed "s/\"$1\":/\n&/" | sed -n "s/^\"$1\":\(\[[^]]*\]\|[^],}]*\).*/\1/p" | tr -d '"[]'
}
agree_on() { # NAME KEY OURS THEIRS [THEIR-KEY]
	same "$1: $2" "$(echo "$3" | first_value "$2")" "$(echo "$4" | first_value "${5:-$2}")"
}
dax_of() { echo "$1" | sed 's/^region\([0-9]*\)$/dax\1.0/'; } # REGION

# All that three tools say, compared. Sets `regions` and `tiers`.
agree() { # NAME
	tierctl topology --json >"/out/$1.topology.json"
	tierctl topology >"/out/$1.topology"
	cxl list -RT >"/out/$1.regions.json"
	cxl list -M >"/out/$1.memdevs.json"
	daxctl list >"/out/$1.daxctl.json"
	say "-- $1"
	sed -n '/^REGION/,/^$/p' "/out/$1.topology" | tee -a /out/figures

	tiers=$(tr -d ' \n' <"/out/$1.topology.json" | sed 's/.*"tiers":\(.*\),"nodes.*/\1/')
	regions=$(sed -n 's/^ *"region": *"\(region[0-9]*\)".*/\1/p' "/out/$1.regions.json" | sort)
	same "regions" "$(tr -d ' \n' <"/out/$1.topology.json" | sed 's/.*"regions"//; s/{"region":"\([a-z0-9]*\)"/\n=\1\n/g' | sed -n 's/^=//p' | sort | tr '\n' ' ')" \
		"$(echo "$regions" | tr '\n' ' ')"
	for region in $regions; do
		ours=$(object "/out/$1.topology.json" region "$region")
		theirs=$(object "/out/$1.regions.json" region "$region")
		dax=$(object "/out/$1.daxctl.json" chardev "$(dax_of "$region")")
		for key in resource size interleave_ways interleave_granularity; do agree_on "$region" $key "$ours" "$theirs"; done
		agree_on "$region" size "$ours" "$dax"
		same "$region: type" "$(echo "$ours" | first_value type)" "$(cat "$CXL/$region/mode")"
		# In devdax mode it has a node to go to, and no memory there.
		if [ "$(echo "$dax" | first_value mode)" = system-ram ]; then
			agree_on "$region" node "$ours" "$dax" target_node
		else
			same "$region: node" "$(echo "$ours" | first_value node)" null
		fi
		same "$region: devices in order" "$(echo "$ours" | first_value memdevs)" \
			"$(echo "$theirs" | sed 's/{"position":/\n&/g' | sed -n 's/^{"position":\([0-9]*\),"memdev":"\([a-z0-9]*\)".*/\1 \2/p' |
				sort -n | sed 's/.* //' | tr '\n' , | sed 's/,$//')"
	done
	for serial in 0x1234 0x5678; do
		memdev=$(cxl_memdev $serial)
		ours=$(object "/out/$1.topology.json" memdev "$memdev")
		theirs=$(object "/out/$1.memdevs.json" memdev "$memdev")
		same "$memdev: serial" "$(echo "$ours" | first_value serial)" $((serial))
		for key in serial ram_size host; do agree_on "$memdev" $key "$ours" "$theirs"; done
	done
}
of_node() { # NAME NODE: what the node's entry says of its expander
	tr -d ' \n' <"/out/$1.topology.json" | sed 's/,"cxl":{"regions".*//; s/{"id":/\n&/g' | grep "^{\"id\":$2," | sed 's/.*"cxl"://; s/}\(,\|\]\)*$//'
}
fail() {
	say "FAILED: $*"
	failed=1
}
region_bytes() { echo $(($(cat "$CXL/$1/size"))); }
# Of a node's memory 3 % go to the kernel's own bookkeeping at most.
holds() { # NODE BYTES
	check "node $1 holds (KiB)" "$(node_kib "$1" MemTotal)" $(($2 * 97 / 102400)) $(($2 / 1024))
}
# A region from addresses to memory; sets region, DAX and node.
up() { # MEMDEV...
	region=$(cxl_define "$@")
	[ -n "$region" ] || {
		fail "no region of $* in $window"
		finish
	}
	cxl_commit "$region"
	DAX=/sys/bus/dax/devices/$(dax_of "$region")
	wait_for 120 cxl_has_target || fail "$region has no dax device"
	node=$(cat "$DAX/target_node")
	wait_for 120 is_online || fail "$region's memory is not online"
}
# Memory blocks of the region that are online, and all that it has addresses for.
blocks() {
	block=$((0x$(cat "$MEMORY"/block_size_bytes)))
	at=$(($(cat "$CXL/$region/resource") / block)) end=$((at + $(cat "$CXL/$region/size") / block))
	online=0 all=$((end - at))
	while [ "$at" -lt "$end" ]; do
		[ "$(cat "$MEMORY/memory$at/state" 2>/dev/null)" != online ] || online=$((online + 1))
		at=$((at + 1))
	done
}
is_online() {
	blocks
	[ "$online" = "$all" ]
}
goes_offline() {
	daxctl offline-memory "${DAX##*/}" >/dev/null 2>&1
	blocks
	[ "$online" = 0 ]
}
down() { # REGION
	region=$1 DAX=/sys/bus/dax/devices/$(dax_of "$1")
	wait_for 120 goes_offline || fail "the memory of $1 does not go offline"
	cxl disable-region "$1" >/dev/null 2>&1
	cxl destroy-region "$1" >/dev/null 2>&1
	same "$1 is gone" "$([ -e "$CXL/$1" ] || echo yes)" yes
}

say "kernel $(uname -r), $MACHINE"
cxl_load
both_found() { [ -n "$(cxl_memdev 0x1234)" ] && [ -n "$(cxl_memdev 0x5678)" ]; }
wait_for 60 both_found || fail "there are not two devices"
first=$(cxl_memdev 0x1234) second=$(cxl_memdev 0x5678)
# One region of both. Below one host bridge the order is free: the second expander comes first; a window over two has its own order.
case $MACHINE in
cxl-two)
	set -- decoder0.0 decoder0.0
	before=$second after=$first
	;;
*)
	window=decoder0.2
	set -- decoder0.0 decoder0.1
	before=$first after=$second
	;;
esac
up "$before" "$after"
pair=$region
agree interleaved
same "ways" "$(object /out/interleaved.topology.json region "$pair" | first_value interleave_ways)" 2
same "size" "$(region_bytes "$pair")" $((1024 * MIB))
same "tiers" "$tiers" "[[0],[$node]]"
same "the node's devices" "$(of_node interleaved "$node")" "{\"region\":\"$pair\",\"memdevs\":[\"$before\",\"$after\"]}"
holds "$node" $((1024 * MIB))
down "$pair"

# --- a region each; what the second has is a program's, not memory
window=$1
up "$first"
one=$region one_node=$node
window=$2
up "$second"
two=$region two_node=$node
wait_for 120 goes_offline || fail "the memory of $two does not go offline"
daxctl reconfigure-device --mode=devdax "${DAX##*/}" >/dev/null
agree devdax
same "regions" "$(echo "$regions" | grep -c .)" 2
same "tiers" "$tiers" "[[0],[$one_node]]"
same "the node's devices" "$(of_node devdax "$one_node")" "{\"region\":\"$one\",\"memdevs\":[\"$first\"]}"
holds "$one_node" $((512 * MIB))
tierctl doctor --json >/out/doctor.json
same "doctor on ${DAX##*/}" "$(grep -A 5 '"id": *"dax-mode"' /out/doctor.json | grep -c "${DAX##*/} is in devdax mode")" 1

# --- and now it is
region=$two
daxctl reconfigure-device --mode=system-ram --force "${DAX##*/}" >/dev/null
wait_for 120 is_online || fail "the memory of $two does not go online"
agree both
case $MACHINE in
cxl-two)
	same "nodes" "$two_node" "$one_node"
	same "tiers" "$tiers" "[[0],[$one_node]]"
	same "the node's devices" "$(of_node both "$one_node")" "{\"region\":\"$one\",\"memdevs\":[\"$first\",\"$second\"]}"
	holds "$one_node" $((1024 * MIB))
	;;
*)
	check "the second node" "$two_node" $((one_node + 1)) $((one_node + 1))
	same "tiers" "$tiers" "[[0],[$one_node,$two_node]]"
	for id in "$one_node" "$two_node"; do holds "$id" $((512 * MIB)); done
	same "the first node's devices" "$(of_node both "$one_node")" "{\"region\":\"$one\",\"memdevs\":[\"$first\"]}"
	same "the second node's devices" "$(of_node both "$two_node")" "{\"region\":\"$two\",\"memdevs\":[\"$second\"]}"
	;;
esac
finish
