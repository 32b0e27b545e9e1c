# An expander from power-on to a tier, through each fault of deployment that doctor tells of: its text, that it goes when the cure is
# done, and that `cxl list`, `daxctl list`, hwloc and `tierctl topology` agree on what there is.
# machine: cxl
# init: systemd
# package: ndctl daxctl
# module: libnvdimm cxl_pmem cxl_acpi cxl_port cxl_mem cxl_pci device_dax dax_hmem dax_cxl kmem
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
# shellcheck source=tests/vm/scenarios/lib-cxl.sh
. /root/lib-cxl.sh

# A check is there with that state, and says so in its summary or cure.
doctor_finds() { # ID STATE TEXT...
	tierctl doctor --json >/run/doctor.json
	found=$(grep -A 5 "\"id\": *\"$1\"" /run/doctor.json)
	id=$1
	same "doctor: $id" "$(echo "$found" | json_value state)" "$2"
	shift 2
	for text; do
		case $found in
		*"$text"*) say "ok doctor, $id: $text" ;;
		*)
			say "FAILED doctor, $id does not say: $text; but: $found"
			failed=1
			;;
		esac
	done
}
doctor_silent() { # ID
	tierctl doctor --json >/run/doctor.json
	same "doctor without $1" "$(grep -c "\"id\": *\"$1\"" /run/doctor.json)" 0
}
is_system_ram() { [ "$(readlink "$DAX/driver" | sed 's,.*/,,')" = kmem ]; }

say "kernel $(uname -r)"
echo offline >$MEMORY/auto_online_blocks
cxl_load
memdev=$(cxl_memdev 0x1234)
same "the expander's name" "${memdev%%[0-9]*}" mem
doctor_finds cxl-unused warning "$memdev (serial 0x1234, 1 GiB) is in no region" "-t ram -d decoder0.0 -w 1 -m $memdev"
doctor_finds auto-online warning "memory that is added stays offline" "online_movable"

# --- a region
region=$(cxl_define "$memdev")
same "the region" "$region" region0
doctor_silent cxl-unused
doctor_finds cxl-region warning "region0 is not committed" "cxl destroy-region region0"
cxl_commit "$region"
wait_for 60 cxl_has_target || say "FAILED: there is no dax device"
wait_for 60 is_system_ram || say "FAILED: the dax device is not the system's"
doctor_silent cxl-region

# --- its memory: offline, in order, in part
node=$(cat $DAX/target_node)
same "blocks online" "$(node_blocks "$node" online | grep -c .)" 0
doctor_finds offline-memory warning "node $node: 8 of 8 memory blocks are offline" "daxctl online-memory"
echo online_movable >$MEMORY/auto_online_blocks
doctor_finds auto-online ok "goes online as movable"
daxctl online-memory dax0.0
doctor_silent cxl-zone
doctor_finds offline-memory ok "no node has memory that is offline"
for block in $(node_blocks "$node" online | head -n 1); do echo offline >"$block/state"; done
doctor_finds offline-memory warning "node $node: 1 of 8 memory blocks are offline"
daxctl online-memory dax0.0 >/dev/null 2>&1

# --- the device given to programs
is_offline() {
	daxctl offline-memory dax0.0
	[ -z "$(node_blocks "$node" online)" ]
}
wait_for 60 is_offline || say "FAILED: the memory does not go offline"
daxctl reconfigure-device --mode=devdax dax0.0
doctor_finds dax-mode warning "dax0.0 is in devdax mode" "daxctl reconfigure-device --mode=system-ram dax0.0"
daxctl reconfigure-device --mode=system-ram --force dax0.0
doctor_silent dax-mode
wait_for 30 cxl_has_memory || say "FAILED: node $node has no memory"

# --- four tools, one machine
doctor_finds cxl-hwloc ok "hwloc and libcxl agree on the expanders"
tierctl topology --json >/out/topology.json
tierctl topology >/out/topology.txt
cxl list -R >/out/cxl-regions.json
cxl list -M >/out/cxl-memdevs.json
daxctl list >/out/daxctl.json
ours() { sed -n '/"cxl": *{ *$/,$p' /out/topology.json | sed -n '/"regions"/,$p' | json_value "$1"; }
same "region" "$(ours region)" "$(json_value region </out/cxl-regions.json)"
same "size" "$(ours size)" "$(json_value size </out/cxl-regions.json)"
same "resource" "$(ours resource)" "$(json_value resource </out/cxl-regions.json)"
same "memdev" "$(ours memdev)" "$(json_value memdev </out/cxl-memdevs.json)"
same "serial" "$(ours serial)" "$(json_value serial </out/cxl-memdevs.json)"
same "ram size" "$(ours ram_size)" "$(json_value ram_size </out/cxl-memdevs.json)"
same "host" "$(ours host)" "$(json_value host </out/cxl-memdevs.json)"
same "firmware" "$(ours firmware)" "$(cat "$CXL/$memdev/firmware_version")"
same "node" "$(ours node)" "$(json_value target_node </out/daxctl.json)"
same "dax size" "$(ours size)" "$(json_value size </out/daxctl.json)"
same "tiers" "$(tr -d ' \n' </out/topology.json | sed 's/.*"tiers":\([^n]*\),"nodes.*/\1/')" "[[0],[$node]]"
same "the node's kind" "$(tr -d ' \n' </out/topology.json | sed "s/.*{\"id\":$node,\"tier\":1,\"kind\":\"\([a-z]*\)\".*/\1/")" cxl
same "the node's expander" "$(tr -d ' \n' </out/topology.json | grep -c "\"cxl\":{\"region\":\"region0\",\"memdevs\":\[\"$memdev\"\]}")" 1
cat /out/topology.txt

# --- in the wrong zone; last, for the kernel may keep data there from the first moment on, and then it does not go offline again
wait_for 60 is_offline || say "FAILED: the memory does not go offline"
daxctl online-memory --no-movable dax0.0
doctor_finds cxl-zone warning "region0: 8 of 8 memory blocks are online in a kernel zone" "daxctl offline-memory" "at the next boot"
finish
