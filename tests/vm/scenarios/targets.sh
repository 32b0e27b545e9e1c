# What the kernel's migration does where it should not or cannot move: to nodes that are not there or have no memory, to a full node, of
# pages that are pinned, and to a node that goes offline meanwhile. Nothing breaks, and what counts as applied was moved.
# DAMON is driven directly, without tierd.
# machine: hotplug
# append: memhp_default_state=online_movable numa_balancing=disable
# file: build/pinned
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
ROUNDS=3
# Unpatched kernels count a page as applied that found no room on the target and got a new frame on its own node: there it is only told.
case $(uname -r) in *-tierd*) COUNTS=exact ;; *) COUNTS=told ;; esac
# shellcheck disable=SC1091
[ ! -e /root/settings ] || . /root/settings
S=$DAMON/0/contexts/0/schemes/0

target() { # NODE
	put $S/target_nid "$1"
	kdamond_tell commit
	same "kdamond after the commit of target $1" "$(attribute $DAMON/0/state)" on
	refresh
}
refresh() { kdamond_tell update_schemes_stats; }
count() { attribute "$S/stats/$1"; }
# The node has been gone over so many times since the target was set.
swept() { # PASSES
	refresh
	[ $(($(count sz_tried) - tried_before)) -ge $(($1 * 1024 * MIB)) ]
}
sweep() { # PASSES
	tried_before=$(count sz_tried) applied_before=$(count sz_applied)
	wait_for 60 swept "$1" || {
		say "FAILED: the scheme does not pass"
		failed=1
	}
	newly=$(($(count sz_applied) - applied_before))
}
node_used() { echo $((($(node_kib "$1" MemTotal) - $(node_kib "$1" MemFree)) * 1024)); }

say "kernel $(uname -r)"
for f in /sys/module/damon_*/parameters/enabled; do [ ! -w "$f" ] || echo N >"$f"; done
memload_start --set cold:150M@0:idle --thp never
# Without a limit: a pass goes over the whole node.
kdamond_stage 0 1
put $S/action migrate_cold
kdamond_tell on

for nid in -1 9 1023 2147483647 -2147483648; do
	target $nid
	sweep 2
	same "applied for target $nid" "$newly" 0
done
target 0
sweep 2
same "applied for the source itself" "$newly" 0
check "the set on node 0 (%)" "$(resident_percent cold 0)" 99 100

# --- pinned pages
mkfifo /run/ask
pinned 0 64 </run/ask >/run/pinned.out &
pinned=$!
exec 9>/run/ask
is_pinned() { grep -q ready /run/pinned.out; }
wait_for 60 is_pinned || failed=1
used=$(node_used 1)
# From before the change on: its first pass may come before the commit is told to be done.
counted=$(count sz_applied)
target 1
sweep 3
newly=$(($(count sz_applied) - counted)) moved=$(($(node_used 1) - used))
echo >&9
is_told() { grep -q there /run/pinned.out; }
wait_for 60 is_told
say "pinned pages: $(grep there /run/pinned.out | tail -n 1); applied $((newly / MIB)) MiB, node 1 grew by $((moved / MIB)) MiB"
same "pinned pages on node 0 and whole" "$(tail -n 1 /run/pinned.out)" "there 16384 elsewhere 0 whole 16384 of 16384"
check "the set on node 1 (%)" "$(resident_percent cold 1)" 99 100
# Other memory comes and goes meanwhile, and per-CPU lists hold some.
check "applied beyond node 1's growth (MiB)" $(((newly - moved) / MIB)) -24 24
exec 9>&-
wait $pinned
same "pinned's exit status" $? 0

# --- a full node
memload_end
target -1
memload_start --set full:fill-5%@1:idle --set cold:300M@0:idle --thp never
free=$(($(node_kib 1 MemFree) * 1024))
before=$(resident cold 0)
oom() { awk '$1 == "oom_kill" { print $2 }' /proc/vmstat; }
oom_before=$(oom)
used=$(node_used 1)
counted=$(count sz_applied)
target 1
sweep 3
newly=$(($(count sz_applied) - counted)) moved=$(($(node_used 1) - used))
sampled() { [ "$(wc -l </run/memload.json)" -gt $((lines + 4)) ]; }
lines=$(wc -l </run/memload.json)
wait_for 20 sampled
left=$((before - $(resident cold 0)))
say "full node 1: $((free / MIB)) MiB free before, applied $((newly / MIB)) MiB in 3 passes; node 1 grew by $((moved / MIB)) MiB, $((left / MIB)) MiB of the set left node 0"
[ $COUNTS = told ] || check "applied beyond the full node's growth (MiB)" $(((newly - moved) / MIB)) -24 24
check "the set that left node 0 (MiB)" $((left / MIB)) 0 $((free / MIB + 24))
same "killed for want of memory" "$(oom)" "$oom_before"
memload_end

# --- a node that goes offline and comes back, with migration to it at work
memload_start --set cold:200M@0:idle --thp never
round=0
while [ $round -lt "$ROUNDS" ]; do
	target 2
	moving() { refresh && [ "$(count sz_applied)" -gt "$applied_before" ]; }
	applied_before=$(count sz_applied)
	wait_for 60 moving || {
		say "FAILED: nothing moves to node 2"
		failed=1
	}
	try_offline() {
		for block in $(node_blocks 2 online); do echo offline >"$block/state" 2>/dev/null; done
		[ -z "$(node_blocks 2 online)" ]
	}
	wait_for 120 try_offline || {
		say "FAILED: node 2 does not go offline: $(node_blocks 2 online | wc -l) blocks are left"
		failed=1
	}
	sweep 1
	sweep 2
	same "applied for node 2, gone" "$newly" 0
	for block in $(node_blocks 2 offline); do echo online_movable >"$block/state"; done
	round=$((round + 1))
done
say "isolated pages at the end: $(awk '/nr_isolated/ { printf "%s %s ", $1, $2 }' /proc/vmstat)"
not_isolated() { [ "$(awk '/nr_isolated/ { s += $2 } END { print s }' /proc/vmstat)" -le 64 ]; }
kdamond_tell off
echo 0 >$DAMON/nr_kdamonds
wait_for 20 not_isolated
check "pages still isolated" "$(awk '/nr_isolated/ { s += $2 } END { print s }' /proc/vmstat)" 0 64
memload_end
finish
