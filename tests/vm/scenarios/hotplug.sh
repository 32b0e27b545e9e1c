# A CPU-less node's memory is taken offline block by block while memory moves to and from it, and comes back: its schemes go
# before the kernel could be asked to migrate there, what is left is managed on, and the schemes return.
# machine: hotplug
# append: memhp_default_state=online_movable
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
ROUNDS=2
TUNER=auto
# shellcheck disable=SC1091
[ ! -e /root/settings ] || . /root/settings

# Schemes, running ones, that move to a node.
schemes_to() { # NODE
	for dir in "$DAMON"/*/; do
		[ "$(attribute "$dir/state")" = on ] || continue
		for s in "$dir"/contexts/0/schemes/[0-9]*; do
			case $(attribute "$s/action") in
			migrate_*) [ "$(attribute "$s/target_nid")" != "$1" ] || echo "$s" ;;
			esac
		done
	done | wc -l
}
none_to() { [ "$(schemes_to "$1")" = 0 ]; }
some_to() { [ "$(schemes_to "$1")" -gt 0 ]; }
has_moved() { [ "$(applied 1 migrate_cold 2)" -gt $((before + 4 * MIB)) ]; }

# Every page that anybody wants on node 2: the kernel asks for a new page on the target for each one that it migrates.
trace=/sys/kernel/tracing
echo mono >$trace/trace_clock
# shellcheck disable=SC2016 # the kernel's argument, not the shell's
echo 'p:tierd/asked alloc_migration_target nid=+0($arg2):s32' >$trace/kprobe_events
echo 'nid == 2' >$trace/events/tierd/asked/filter
echo 1 >$trace/events/tierd/asked/enable
asked_since() { # MILLISECONDS: pages asked for on node 2 after that time
	awk -v since="$1" '/asked:/ { for (i = 1; i <= NF; i++) if ($i ~ /^[0-9]+\.[0-9]+:$/) { if ($i * 1000 > since) n++; break } }
		END { print n + 0 }' $trace/trace
}

# Node 1 is full of cold memory and wants most of it gone, slowly; node 2 holds hot memory: both directions are busy all the time.
cat >/run/tierd.yaml <<YAML
telemetry: {interval: 5s}
monitoring: {regions: {min: 100, max: 1000}}
nodes: {1: {demote: {goal: {free: 60%}, quota: {bytes: 20MiB, interval: 1s}}}}
tuning: {tuner: $TUNER}
YAML
memload_start --set hot:150M@2:touch --set cold:fill-6%@1 --thp never --pass-every 30ms
tierd_start /run/tierd.yaml || {
	failed=1
	finish
}

round=0
while [ $round -lt "$ROUNDS" ]; do
	round=$((round + 1))
	before=$(applied 1 migrate_cold 2)
	wait_for 120 has_moved || say "FAILED: nothing moves to node 2 (round $round)"
	count=$(node_blocks 2 online | wc -l)
	begun=$(now_ms)
	for block in $(node_blocks 2 online); do
		# A page that is being migrated just now makes it busy.
		wait_for 60 sh -c "echo offline >$block/state" 2>/dev/null || say "FAILED: $block does not go"
	done
	gone=$(now_ms)
	same "round $round: has memory" "$(cat /sys/devices/system/node/has_memory)" 0-1
	say "round $round: $count blocks gone in $((gone - begun)) ms"
	wait_for 30 none_to 2 || say "the schemes stay"
	say "round $round: no scheme to node 2 $(($(now_ms) - gone)) ms after the last block had gone"
	same "round $round: schemes to node 2" "$(schemes_to 2)" 0
	same "round $round: kdamonds" "$(running_kdamonds)" 2
	# Long enough for what is left of a plan to show.
	rest=$(($(now_ms) + 10000))
	while [ "$(now_ms)" -lt $rest ]; do usleep 500000; done
	same "round $round: pages asked for on node 2 after it had gone" "$(asked_since "$gone")" 0
	check "round $round: pages asked for on it before" "$(asked_since 0)" 1 100000000
	for block in $(node_blocks 2 offline); do echo online_movable >"$block/state"; done
	same "round $round: has memory again" "$(cat /sys/devices/system/node/has_memory)" 0-2
	wait_for 60 some_to 2 || say "the schemes stay away"
	# (Before 6.14 aging is a migration that rejects every page.)
	check "round $round: schemes to node 2 again" "$(schemes_to 2)" 1 2
	echo >$trace/trace
done
tierd_stop
memload_end
finish
