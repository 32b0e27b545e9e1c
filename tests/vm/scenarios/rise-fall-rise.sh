# A set made hot, then cold, then hot again goes up, down and up through three tiers; node 1, in the middle, promotes and demotes.
# It goes down because a reload raises the goals for free memory on nodes 0 and 1 for a while: on node 1, which has nothing of its own,
# so high that what comes late from node 0 must go on as well.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh

# Regions of at most a hundredth of the node: where a pass's quota ends inside a large region, its tail is starved (docs/tuner.md), and
# these nodes are nearly all one cold region.
calm='telemetry: {interval: 5s}
monitoring: {regions: {min: 100, max: 1000}}'
pressing="$calm
nodes:
  0: {demote: {goal: {free: 99%}}}
  1: {demote: {goal: {free: 99.9%}}}"
echo "$calm" >/run/tierd.yaml
memload_start --set set:150M@2:touch --thp never --pass-every 30ms
tierd_start /run/tierd.yaml || { failed=1; finish; }

stage() { # NAME NODE PERCENT
	if wait_for 90 is_resident set "$2" "$3"; then
		say "ok $1: $(resident_percent set "$2") % on node $2, at $(now_ms) ms"
	else
		say "FAILED $1: on nodes 0, 1, 2: $(resident_percent set 0), $(resident_percent set 1), $(resident_percent set 2) %"
		failed=1
	fi
}
stage "up" 0 90
up=$(applied 1 migrate_hot 0)

memload_tell "idle set"
tierd_reload "$pressing"
same "reload" $? 0
stage "down" 2 90
down=$(applied 1 migrate_cold 2)

memload_tell "touch set"
tierd_reload "$calm"
same "reload" $? 0
stage "up again" 0 90

check "node 1 promoted (MiB)" $((up / MIB)) 100 1000
check "node 1 demoted (MiB)" $((down / MIB)) 100 1000
check "reloads" "$(tierd_log | grep -c 'configuration reloaded')" 2 2

# A configuration that is wrong changes nothing.
tierd_reload 'demote: {gaol: {free: 5%}}'
status=$?
[ "$INIT" != systemd ] || same "systemctl reload, of a wrong configuration" $status 1
wait_for 30 tierd_said 'tierd.yaml:1:' || say "the error did not come"
check "errors with line and column" "$(tierd_log | grep -c 'tierd.yaml:1:10: ')" 1 1
tierd_stop
memload_end
finish
