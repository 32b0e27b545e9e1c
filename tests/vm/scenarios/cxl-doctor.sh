# What doctor says of a region over the expanders of two sockets, and of one that is disabled, by `cxl` or by the driver: its text, that it
# goes with the cure, and that hwloc and libcxl agree. (Of QoS classes see docs/cxl.md: tests/unit/test-doctor-cxl.c has that text.)
# machine: cxl-sockets
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

# The checks of that name, each from its state to its cure, as one line.
found() { # ID
	tierctl doctor --json >/run/doctor.json
	tr -d '\n' </run/doctor.json | sed 's/{ *"id"/\n"id"/g' | grep "^\"id\": *\"$1\"" | tr -s ' '
}
doctor_finds() { # ID STATE TEXT...
	id=$1
	text=$(found "$id")
	same "doctor's findings named $id" "$(echo "$text" | grep -c .)" 1
	same "doctor: $id" "$(echo "$text" | sed 's/.*"state": "\([a-z]*\)".*/\1/')" "$2"
	shift 2
	for words; do
		case $text in
		*"$words"*) say "ok doctor, $id: $words" ;;
		*)
			say "FAILED doctor, $id does not say: $words; but: $text"
			failed=1
			;;
		esac
	done
}
doctor_silent() { # ID
	same "doctor without $1" "$(found "$1" | grep -c .)" 0
}
must() { # COMMAND...
	"$@" >/run/must.log 2>&1 && return
	say "FAILED: $*: $(cat /run/must.log)"
	failed=1
}

say "kernel $(uname -r)"
cxl_load
wait_for 120 test -e "$CXL/mem1" || say "FAILED: there is one CXL device alone"
near=$(cxl_memdev 0x1000) far=$(cxl_memdev 0x2000)
same "the node next to the first" "$(cat "$CXL/$near/numa_node")" 0
same "the node next to the second" "$(cat "$CXL/$far/numa_node")" 1
doctor_finds cxl-hwloc ok "hwloc and libcxl agree on the expanders"

# --- over two sockets
region=$(cxl_define "$near" "$far")
same "the region" "$region" region0
must cxl_commit "$region"
wait_for 60 cxl_has_target || say "FAILED: there is no dax device"
node=$(cat "$DAX/target_node")
wait_for 60 cxl_has_memory || say "FAILED: node $node has no memory"
doctor_finds cxl-interleave warning "region0 interleaves $near next to node 0 with $far next to node 1" \
	"near to neither" "cxl destroy-region region0, then cxl create-region for each"
doctor_silent cxl-region
doctor_silent cxl-unused
doctor_silent cxl-qos
doctor_finds cxl-hwloc ok "hwloc and libcxl agree on the expanders"
tierctl topology | tee -a /out/figures

# --- disabled
is_offline() {
	daxctl offline-memory dax0.0 >/dev/null 2>&1
	[ -z "$(node_blocks "$node" online)" ]
}
wait_for 120 is_offline || say "FAILED: the memory does not go offline"
doctor_silent cxl-region
# By its addresses it is on no node; hwloc still has its device on the one where it was. That is no difference.
doctor_finds cxl-hwloc ok "hwloc and libcxl agree on the expanders"
must cxl disable-region region0
doctor_finds cxl-region warning "region0 (1 GiB) is disabled" "its memory is on no node" "cxl enable-region region0"
must cxl enable-region region0
wait_for 60 cxl_has_memory || say "FAILED: node $node has no memory again"
doctor_silent cxl-region

# By its driver.
wait_for 120 is_offline || say "FAILED: the memory does not go offline"
echo region0 >/sys/bus/cxl/drivers/cxl_region/unbind
doctor_finds cxl-region warning "region0 (1 GiB) is disabled" "cxl enable-region region0"
doctor_finds cxl-interleave warning "region0 interleaves $near"
must cxl enable-region region0
wait_for 60 cxl_has_memory || say "FAILED: node $node has no memory again"
doctor_silent cxl-region

# --- and none at all
wait_for 120 is_offline || say "FAILED: the memory does not go offline"
must cxl disable-region region0
must cxl destroy-region region0
doctor_silent cxl-interleave
doctor_silent cxl-region
same "devices in no region" "$(found cxl-unused | grep -c '512 MiB) is in no region')" 2
finish
