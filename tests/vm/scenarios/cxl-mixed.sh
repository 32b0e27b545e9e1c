# A node with DRAM from the start, and an expander's memory beside it: the region belongs to that node, whose ranges hold both.
# machine: cxl-mixed
# module: libnvdimm cxl_pmem cxl_acpi cxl_port cxl_mem cxl_pci device_dax dax_hmem dax_cxl kmem
# append: memhp_default_state=online_movable
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
# shellcheck source=tests/vm/scenarios/lib-cxl.sh
. /root/lib-cxl.sh

say "kernel $(uname -r)"
of_node() { # NODE
	tierctl topology --json | tr -d ' \n' | sed 's/,"cxl":{"regions".*//; s/{"id":/\n&/g' | grep "^{\"id\":$1,"
}
MIXED=1
before=$(node_kib $MIXED MemTotal)
check "DRAM of node $MIXED (KiB)" "$before" 1 $((256 * 1024))
same "its expander before" "$(of_node $MIXED | grep -c '"cxl":null')" 1
cxl_up
same "the expander's node" "$node" $MIXED
is_whole() { [ "$(node_kib "$MIXED" MemTotal)" -ge $((before + 512 * 1024 * 97 / 100)) ]; }
wait_for 60 is_whole || {
	say "FAILED: the expander's memory is not online"
	failed=1
}
tierctl topology | tee /out/topology
tierctl topology --json >/out/topology.json
start=$(($(cat "$CXL/$region/resource")))
mixed=$(of_node $MIXED)
same "its expander" "$(echo "$mixed" | sed 's/.*"cxl"://; s/}\(,\|\]\)*$//')" "{\"region\":\"$region\",\"memdevs\":[\"$(cxl_memdev 0x1234)\"]}"
# The firmware's own tables take the end of the DRAM.
ranges=$(echo "$mixed" | sed 's/.*"ranges":\[\(.*\)\],"upper".*/\1/')
same "its DRAM begins at" "$(echo "$ranges" | sed 's/^\[\([0-9]*\),.*/\1/')" $((0x30000000))
same "its expander's range" "$(echo "$ranges" | sed 's/.*\[/[/')" "[$start,$((start + 512 * MIB))]"
same "the region's node" "$(tr -d ' \n' </out/topology.json | sed 's/.*"cxl":{"regions"/&/' | grep -c "{\"region\":\"$region\",\"node\":$MIXED,")" 1
finish
