# For scenarios with CXL expanders; sourced after lib.sh.
# shellcheck shell=sh
CXL=/sys/bus/cxl/devices
# shellcheck disable=SC2034 # for those who source this
MEMORY=/sys/devices/system/memory
DAX=/sys/bus/dax/devices/dax0.0

# Debian's kernels have these as modules, each release others of them.
cxl_load() {
	for module in libnvdimm cxl_pmem cxl_acpi cxl_port cxl_mem cxl_pci device_dax dax_hmem dax_cxl kmem; do
		modprobe $module 2>/dev/null || true
	done
	wait_for 120 test -e $CXL/mem0 || say "FAILED: there is no CXL device"
}

# The name of the device with that serial: their order changes from boot to boot.
cxl_memdev() { # SERIAL
	for memdev in "$CXL"/mem*; do
		[ "$(cat "$memdev/serial")" != "$1" ] || echo "${memdev##*/}"
	done
}

# The first decoder of a device's endpoint.
cxl_endpoint_decoder() { # MEMDEV
	for endpoint in "$CXL"/endpoint*; do
		[ "$(readlink -f "$endpoint/uport")" = "$(readlink -f "$CXL/$1")" ] || continue
		for decoder in "$endpoint"/decoder*; do
			echo "${decoder##*/}"
			return
		done
	done
}

# A region of whole devices, interleaved, not committed, in the window of root decoder $window: prints its name.
# Documentation/ABI/testing/sysfs-bus-cxl.
window=decoder0.0
cxl_define() { # MEMDEV...
	region=$(cat "$CXL/$window/create_ram_region")
	echo "$region" >"$CXL/$window/create_ram_region" || return
	echo $# >"$CXL/$region/interleave_ways"
	echo 256 >"$CXL/$region/interleave_granularity" 2>/dev/null
	total=0
	for memdev; do total=$((total + $(cat "$CXL/$memdev/ram/size"))); done
	echo $total >"$CXL/$region/size" || return
	position=0
	for memdev; do
		decoder=$(cxl_endpoint_decoder "$memdev")
		echo ram >"$CXL/$decoder/mode"
		cat "$CXL/$memdev/ram/size" >"$CXL/$decoder/dpa_size"
		echo "$decoder" >"$CXL/$region/target$position" || return
		position=$((position + 1))
	done
	echo "$region"
}
cxl_commit() { # REGION
	echo 1 >"$CXL/$1/commit" && echo "$1" >/sys/bus/cxl/drivers/cxl_region/bind
}

# From power-on to memory of the system, with memory that goes online by itself; sets region, DAX and node.
cxl_up() {
	cxl_load
	region=$(cxl_define "$(cxl_memdev 0x1234)")
	cxl_commit "$region"
	wait_for 60 cxl_has_target || say "FAILED: there is no dax device"
	node=$(cat "$DAX/target_node")
	wait_for 60 cxl_has_memory || say "FAILED: node $node has no memory"
}
cxl_has_target() { [ -e "$DAX/target_node" ]; }
cxl_has_memory() { [ "$(node_kib "$node" MemTotal)" -gt 0 ] 2>/dev/null; }

# A value of `cxl list`'s, `daxctl list`'s or tierctl's JSON, one key a line: the first.
json_value() { # KEY
	sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}.*/\1/p" | head -n 1
}
