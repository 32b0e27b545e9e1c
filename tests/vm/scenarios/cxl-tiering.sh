# Hot memory on an expander and cold memory in DRAM change places, and the workload gets faster by it: its passes with nothing at work, with
# NUMA balancing, and with tierd, in one guest, each from the same start.
# (QEMU emulates each access to the expander: it is slower against DRAM than a real one, so the ratios are exaggerated.)
# machine: cxl
# module: libnvdimm cxl_pmem cxl_acpi cxl_port cxl_mem cxl_pci device_dax dax_hmem dax_cxl kmem
# append: memhp_default_state=online_movable
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
# shellcheck source=tests/vm/scenarios/lib-cxl.sh
. /root/lib-cxl.sh
SPAN=60
# Reclaim's demotion beside NUMA balancing takes pages of programs too, and QEMU 10 crashes where code is executed on an emulated expander.
DEMOTION=no
# shellcheck disable=SC1091
. /root/settings

say "kernel $(uname -r)"
cxl_load
region=$(cxl_define "$(cxl_memdev 0x1234)")
cxl_commit "$region"
DAX=/sys/bus/dax/devices/dax0.0
has_target() { [ -e "$DAX/target_node" ]; }
wait_for 60 has_target || say "FAILED: there is no dax device"
node=$(cat "$DAX/target_node")
has_memory() { [ "$(node_kib "$node" MemTotal)" -gt 0 ] 2>/dev/null; }
wait_for 60 has_memory || say "FAILED: node $node has no memory"
echo 0 >/proc/sys/kernel/numa_balancing
for f in /sys/module/damon_*/parameters/enabled; do [ ! -w "$f" ] || echo N >"$f"; done
system_values >/run/before

operations() { grep '"set":"hot"' /run/memload.json | tail -n 1 | sed 's/.*"ops":\([0-9]*\).*/\1/'; }
workload() { # MANAGER: what follows it is its own
	say "-- $1"
	# Room for half of the hot set: for the rest cold memory has to go down.
	memload_start --set cold:fill-10%@0:idle --set "hot:96M@$node:touch" --thp never --pass-every 1ms
}
measure() { # MANAGER
	start=$(now_ms)
	while [ $(($(now_ms) - start)) -lt $((SPAN * 1000)) ]; do
		usleep 500000
	done
	# The last tenth, when it has settled.
	o=$(operations) t=$(now_ms)
	while [ $(($(now_ms) - t)) -lt $((SPAN * 100)) ]; do usleep 200000; done
	rate=$((($(operations) - o) * 1000 / ($(now_ms) - t)))
	cold_away=$((($(set_bytes cold) - $(resident cold 0)) / MIB))
	hot_up=$(resident_percent hot 0)
	say "$1: $rate pages/s in the end, hot set in DRAM $hot_up %, $cold_away MiB of the cold set on the expander"
	cp /run/memload.json "/out/memload-$1.json"
}

workload none
measure none
none=$rate
memload_end

workload balancing
echo 2 >/proc/sys/kernel/numa_balancing
[ "$DEMOTION" = no ] || echo 1 >/sys/kernel/mm/numa/demotion_enabled
measure balancing
balancing=$rate
echo 0 >/proc/sys/kernel/numa_balancing
echo 0 >/sys/kernel/mm/numa/demotion_enabled
memload_end

workload tierd
tierd_start "" || { failed=1; finish; }
measure tierd
check "hot set in DRAM under tierd (%)" "$hot_up" 90 100
check "cold set on the expander (MiB)" "$cold_away" 1 100000
check "throughput with tierd by that without (%)" $((rate * 100 / (none > 0 ? none : 1))) 150 1000000
check "throughput with tierd by that with NUMA balancing (%)" $((rate * 100 / (balancing > 0 ? balancing : 1))) 95 1000000
tierd_stop
system_values >/run/after
same "values changed and not put back" "$(diff /run/before /run/after | grep -c '^[-+]/')" 0
memload_end
finish
