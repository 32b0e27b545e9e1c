# What `tierctl drain` says and how it exits: nobody's to ask, no such node, no room, pages that are pinned, a program that is killed
# meanwhile, a node that is not managed; and that tierd leaves a drained node alone after it was started anew.
# machine: cxl
# init: systemd
# package: ndctl daxctl
# module: libnvdimm cxl_pmem cxl_acpi cxl_port cxl_mem cxl_pci device_dax dax_hmem dax_cxl kmem
# append: memhp_default_state=online_movable
# file: build/pinned
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
# shellcheck source=tests/vm/scenarios/lib-cxl.sh
. /root/lib-cxl.sh

say "kernel $(uname -r)"
system_values >/run/before
cxl_up
# What the daemon manages, as it says: schemes from or to the expander's node.
schemes() { tierctl status --json | grep -cE "\"(source|target)\": $node,?$"; }
follows() { [ "$(schemes)" -gt 0 ]; }
has_left() { [ "$(schemes)" = 0 ]; }
answers() { # STATUS TEXT COMMAND...: it ends so, and says that, or nothing
	status=$1
	text=$2
	shift 2
	"$@" >/run/answer 2>&1
	same "$*" $? "$status"
	if [ -z "$text" ] && [ ! -s /run/answer ]; then
		return
	elif [ -n "$text" ] && grep -qF -e "$text" /run/answer; then
		say "ok $*: $text"
	else
		say "FAILED $* does not say: $text; but: $(cat /run/answer)"
		failed=1
	fi
}
answers 3 "tierd is not running" tierctl drain "$node"
tierd_start "" || { failed=1; finish; }
wait_for 60 follows || say "FAILED: tierd does not manage node $node"

# --- who, and which
answers 4 "not permitted" setpriv --reuid 65534 --clear-groups tierctl drain "$node"
answers 4 "not permitted" setpriv --reuid 65534 --clear-groups tierctl undrain "$node"
answers 1 "there is no node 7" tierctl drain 7
answers 1 "there is no node 7 with memory" tierctl undrain 7
follows || say "FAILED: a refusal has left node $node alone"

has_moved() { # a tenth at least, where there was room for more
	[ "$free" -lt 10 ] || is_resident big 0 10
}

# --- pages that stay
mkfifo /run/ask
pinned "$node" 64 </run/ask >/run/pinned.out &
pinned=$!
exec 4>/run/ask
wait_for 120 grep -q ready /run/pinned.out || say "FAILED: nothing is pinned"
answers 1 "it is pinned, or bound to the node, or comes anew all the time" tierctl drain "$node"
same "schemes of a drained node" "$(schemes)" 0
echo tell >&4
wait_for 60 grep -q "$((64 * 256))" /run/pinned.out || say "FAILED: pinned says $(cat /run/pinned.out)"
tail -n 1 /run/pinned.out >>/out/figures
exec 4>&-
wait $pinned
same "pinned's exit status" $? 0
answers 0 "tierd leaves node $node alone until its memory has gone" tierctl drain "$node"

# --- remembered
systemctl restart tierd
same "schemes after a restart" "$(schemes)" 0
tierd_said "node $node was drained before this start" || { say "FAILED: that is not said"; failed=1; }
kill -KILL "$(systemctl show -P MainPID tierd)"
is_anew() { [ "$(journal_since_mark -u tierd | grep -c 'was drained before this start')" = 2 ] && tierctl status >/dev/null 2>&1; }
wait_for 120 is_anew || { say "FAILED: tierd does not come back"; failed=1; }
same "schemes after a crash" "$(schemes)" 0
answers 0 "" tierctl undrain "$node"
wait_for 60 follows || { say "FAILED: a node that was given back has no schemes"; failed=1; }
# What tierd_stop looks at are the ends from here on.
journal_mark
same "a record of drained nodes" "$(ls /run/tierd/drained 2>/dev/null)" ""

# --- a program that is killed meanwhile
memload_start --set "busy:64M@$node:touch" --thp never --pass-every 50ms
tierctl drain "$node" >/run/drain 2>&1 &
drain=$!
kill -KILL "$memload"
wait "$memload" 2>/dev/null
wait $drain
same "drain's exit status when a program is killed" $? 0
answers 0 "" tierctl undrain "$node"

# --- no room, or some: there goes what can go, and the kernel is not brought to reclaim and to complain of it
for free in 4 20; do
	memload_start --set "big:220M@$node:idle" --set "low:fill-$free%@0:idle" --thp never
	answers 1 "the other nodes that tierd uses have no room" tierctl drain "$node"
	tail -n 2 /run/answer >>/out/figures
	say "node 0: $(free_bp 0) of 10000 are free"
	wait_for 60 has_moved || { say "FAILED: the parts that there was room for have not gone"; failed=1; }
	check "of the set on node 0 with $free % free (%)" "$(resident_percent big 0)" 0 80
	memload_end
done
answers 0 "tierd leaves node $node alone" tierctl drain "$node"

# --- its memory goes: it is forgotten, and used when it comes again
is_offline() {
	daxctl offline-memory dax0.0 >/dev/null 2>&1
	[ -z "$(node_blocks "$node" online)" ]
}
is_forgotten() { [ ! -e /run/tierd/drained ]; }
wait_for 120 is_offline || { say "FAILED: the memory does not go"; failed=1; }
wait_for 60 is_forgotten || { say "FAILED: what has gone is remembered"; failed=1; }
answers 1 "there is no node $node with memory" tierctl drain "$node"
daxctl online-memory dax0.0 >/dev/null 2>&1
wait_for 60 follows || { say "FAILED: memory that comes back is not used"; failed=1; }

# --- a node that is not managed: emptied all the same, and never used
tierd_reload "nodes: {$node: {managed: false}}"
wait_for 60 has_left || { say "FAILED: node $node is managed"; failed=1; }
memload_start --set "some:32M@$node:idle" --thp never
answers 0 "tierd leaves node $node alone" tierctl drain "$node"
is_empty() { [ "$(resident_percent some "$node")" = 0 ]; }
wait_for 30 is_empty || { say "FAILED: memory stays on the drained node"; failed=1; }
memload_end
answers 0 "" tierctl undrain "$node"
same "schemes of a node that is not managed" "$(schemes)" 0
tierd_stop
system_values >/run/after
same "values changed and not put back" "$(diff /run/before /run/after | grep -c '^[<>]')" 0
finish
