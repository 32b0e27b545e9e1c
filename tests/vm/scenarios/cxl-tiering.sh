# Hot memory on an expander and cold memory in DRAM change places, and the workload gets faster by it: its passes with nothing at work, and with
# tierd, in one guest, each from the same start. MANAGERS=none:balancing:tierd has NUMA balancing between them.
# (QEMU 10 emulates each access to the expander: it is slower against DRAM than a real one, so the ratios are exaggerated; and it crashes where
# a program's code, or its stack, comes to lie there and is used. So file pages stay where they are here.)
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
MANAGERS=none:tierd
# shellcheck disable=SC1091
. /root/settings

say "kernel $(uname -r)"
cxl_up
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

none=0 balancing=0
for manager in $(echo "$MANAGERS" | tr : ' '); do
	workload "$manager"
	case $manager in
	balancing) echo 2 >/proc/sys/kernel/numa_balancing ;;
	tierd)
		echo 'exclude: [{type: file}]' >/run/cxl.yaml
		tierd_start /run/cxl.yaml || { failed=1; finish; }
		;;
	esac
	measure "$manager"
	case $manager in
	none) none=$rate ;;
	balancing)
		balancing=$rate
		echo 0 >/proc/sys/kernel/numa_balancing
		;;
	tierd)
		check "hot set in DRAM under tierd (%)" "$hot_up" 90 100
		check "cold set on the expander (MiB)" "$cold_away" 1 100000
		[ "$none" = 0 ] || say "throughput with tierd by that without: $((rate * 100 / none)) %"
		[ "$balancing" = 0 ] || say "throughput with tierd by that with NUMA balancing: $((rate * 100 / balancing)) %"
		tierd_stop
		;;
	esac
	memload_end
done
system_values >/run/after
same "values changed and not put back" "$(diff /run/before /run/after | grep -c '^[-+]/')" 0
finish
