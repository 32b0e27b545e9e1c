# An expander's memory is taken away and given back, time and again, with a program at work on it: drained first in every second round,
# and without a word to tierd in the others. Its schemes go and come, nobody is killed, and the kernel has nothing to complain of.
# machine: cxl
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
ROUNDS=20
# shellcheck disable=SC1091
. /root/settings

say "kernel $(uname -r)"
system_values >/run/before
cxl_up

oom() { awk '$1 == "oom_kill" { print $2 }' /proc/vmstat; }
oom_before=$(oom)
tierd_start "" || { failed=1; finish; }
# What the daemon manages, as it says: schemes from or to the expander's node.
schemes() { tierctl status --json | grep -cE "\"(source|target)\": $node,?$"; }
follows() { [ "$(schemes)" -gt 0 ]; }
has_left() { [ "$(schemes)" = 0 ]; }
wait_for 60 follows || say "FAILED: tierd does not manage node $node"
is_offline() {
	daxctl offline-memory dax0.0 >/dev/null 2>&1
	[ -z "$(node_blocks "$node" online)" ]
}

is_empty() { [ "$(resident_percent busy "$node")" = 0 ]; } # by memload's next sample

slowest_going=0 slowest_coming=0 drained=0 round=0
while [ $round -lt "$ROUNDS" ]; do
	memload_start --set "busy:32M@$node:touch" --thp never --pass-every 50ms
	if [ $((round % 2)) = 1 ]; then
		tierctl drain "$node" >/run/drain 2>&1
		status=$?
		[ $status = 0 ] || say "FAILED: drain, $status: $(cat /run/drain)"
		wait_for 20 is_empty || say "FAILED: round $round, memory stays on the drained node"
		same "round $round, drained: of the set on node $node (%)" "$(resident_percent busy "$node")" 0
		same "schemes of a drained node" "$(schemes)" 0
		drained=$((drained + 1))
	fi
	begun=$(now_ms)
	wait_for 120 is_offline || { say "FAILED: round $round, the memory does not go"; failed=1; }
	gone=$(now_ms)
	wait_for 60 has_left || { say "FAILED: round $round, the schemes stay"; failed=1; }
	took=$(($(now_ms) - gone))
	[ $took -le $slowest_going ] || slowest_going=$took
	# Every second one is disabled as well: the node itself goes.
	if [ $((round % 4)) -ge 2 ]; then
		cxl disable-region "$region" >/dev/null 2>&1 || { say "FAILED: disable-region"; failed=1; }
		cxl enable-region "$region" >/dev/null 2>&1 || { say "FAILED: enable-region"; failed=1; }
		wait_for 60 cxl_has_target || say "FAILED: round $round, the device does not come back"
	else
		daxctl online-memory dax0.0 >/dev/null 2>&1
	fi
	wait_for 60 cxl_has_memory || { say "FAILED: round $round, the memory does not come back"; failed=1; }
	back=$(now_ms)
	wait_for 60 follows || { say "FAILED: round $round, there are no schemes"; failed=1; }
	took=$(($(now_ms) - back))
	[ $took -le $slowest_coming ] || slowest_coming=$took
	echo "round $round: gone after $((gone - begun)) ms" >>/out/rounds
	same "memload lives" "$(kill -0 "$memload" && echo yes)" yes
	memload_end
	round=$((round + 1))
done
say "$round rounds, $drained drained; schemes gone at most $slowest_going ms after the memory, there at most $slowest_coming ms after it"
same "killed for want of memory" "$(oom)" "$oom_before"
tierctl status --json >/out/status.json
tierd_stop
system_values >/run/after
same "values changed and not put back" "$(diff /run/before /run/after | grep -c '^[<>]')" 0
finish
