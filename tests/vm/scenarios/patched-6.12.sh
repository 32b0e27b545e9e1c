# What kernel-patches/6.12 changes: each check but the first of "goals of a node" fails on the kernel without them.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
say "$(uname -r)"
echo 0 >/proc/sys/kernel/numa_balancing
memload_start --set cold:600M@0:idle --thp never

# Of what moves from node 0 to 2, regardless of heat, with a window that does not end here.
QUOTA=$((4 * MIB))
# The quota charges what was tried.
tried_bytes() { # SCHEME
	kdamond_tell update_schemes_stats >/dev/null
	cat "$ctx/schemes/$1/stats/sz_tried"
}
effective() { # SCHEME
	kdamond_tell update_schemes_effective_quotas >/dev/null
	cat "$ctx/schemes/$1/quotas/effective_bytes"
}

# --- the first charge window: of a scheme that is there at the start, and of one that is added by a commit
kdamond_stage 0 2
scheme_migrates 1 migrate_cold 2 $QUOTA 600000
kdamond_tell on
wait_passes 0 10
check "bytes tried in the first window" "$(tried_bytes 1)" 1 $QUOTA
schemes_stage 3
scheme_migrates 1 migrate_cold 2 $QUOTA 600000
scheme_migrates 2 migrate_cold 2 $QUOTA 600000
kdamond_tell commit
wait_passes 0 10
check "bytes tried in the first window of a scheme that was added" "$(tried_bytes 2)" 1 $QUOTA
kdamond_tell off

# --- a goal that is added by a commit: what the user says is reached twice over leaves a quota of a byte
kdamond_stage 0 2
scheme_migrates 1 migrate_cold 2 $QUOTA 100
kdamond_tell on
wait_passes 0 2
put "$ctx/schemes/1/quotas/goals/nr_goals" 1
put "$ctx/schemes/1/quotas/goals/0/target_value" 1000
put "$ctx/schemes/1/quotas/goals/0/current_value" 3000
kdamond_tell commit
wait_passes 0 10
check "effective bytes under an added goal that is reached" "$(effective 1)" 1 1
kdamond_tell off

# --- commits: each takes an aggregation of 20 samples at least, a pass is due every 200
kdamond_stage 0 1
put "$ctx/schemes/0/apply_interval_us" 1000000
kdamond_tell on
wait_passes 0 1
before=$(passes 0)
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40; do
	kdamond_tell commit
done
check "passes during 40 commits that change nothing" $(($(passes 0) - before)) 3 1000

# --- a commit that fails says so, and leaves the kdamond as it was
put "$ctx/monitoring_attrs/nr_regions/min" 1
for i in 1 2; do
	if echo commit >"$DAMON/0/state"; then
		say "FAILED: commit $i of too few regions succeeds"
		failed=1
	else
		say "ok commit $i of too few regions is refused"
	fi
done
same "state after it" "$(cat "$DAMON/0/state")" on
put "$ctx/monitoring_attrs/nr_regions/min" 10
if [ "$(cat "$DAMON/0/state")" = on ]; then kdamond_tell commit; else kdamond_tell on; fi
wait_passes 0 1
kdamond_tell off
if echo update_schemes_stats >"$DAMON/0/state"; then
	say "FAILED: a kdamond that is off takes a command"
	failed=1
fi

# --- goals of a node
goal() { # METRIC NODE TARGET
	put "$ctx/schemes/1/quotas/goals/nr_goals" 1
	put "$ctx/schemes/1/quotas/goals/0/target_metric" "$1"
	put "$ctx/schemes/1/quotas/goals/0/nid" "$2"
	put "$ctx/schemes/1/quotas/goals/0/target_value" "$3"
}
free_at_least() { [ "$(free_bp "$1")" -ge "$2" ]; }
free_at_most() { [ "$(free_bp "$1")" -le "$2" ]; }
free=$(free_bp 0)
goal_bp=$((free + 2500))
say "free on node 0: $free, wanted: $goal_bp"
kdamond_stage 0 2
scheme_migrates 1 migrate_cold 2 $QUOTA 100
put "$ctx/schemes/1/quotas/goals/nr_goals" 1
if [ ! -e "$ctx/schemes/1/quotas/goals/0/nid" ]; then
	say "FAILED: goals have no nid"
	exit 1
fi
goal node_mem_free_bp 0 $goal_bp
kdamond_tell on
wait_for 180 free_at_least 0 $((goal_bp - 100)) || say "FAILED: free memory does not reach its goal"
wait_passes 0 60
check "free on node 0, the goal reached" "$(free_bp 0)" $((goal_bp - 150)) $((goal_bp + 1000))
kdamond_tell commit
same "nid after a commit" "$(cat "$ctx/schemes/1/quotas/goals/0/nid")" 0

# Nodes that are none: nothing is used there, everything free.
for nid in -1 7 1023 1024 2147483647 -2147483648; do
	goal node_mem_free_bp "$nid" 500
	kdamond_tell commit
	wait_passes 0 3
	check "effective bytes, free memory of node $nid wanted" "$(effective 1)" 1 1
	goal node_mem_used_bp "$nid" 500
	kdamond_tell commit_schemes_quota_goals
	wait_passes 0 6
	check "effective bytes, use of node $nid wanted" "$(effective 1)" 2 $QUOTA
	goal node_mem_free_bp 0 1
	kdamond_tell commit
	wait_passes 0 2
done
kdamond_tell off

# Back up again: what is used on node 0.
free=$(free_bp 0)
goal_bp=$((10000 - free + 1500))
say "used on node 0: $((10000 - free)), wanted: $goal_bp"
kdamond_stage 2 2
scheme_migrates 1 migrate_hot 0 $QUOTA 100
goal node_mem_used_bp 0 $goal_bp
kdamond_tell on
wait_for 180 free_at_most 0 $((10000 - goal_bp + 100)) || say "FAILED: used memory does not reach its goal"
wait_passes 0 60
check "used on node 0, the goal reached" $((10000 - $(free_bp 0))) $((goal_bp - 150)) $((goal_bp + 1000))
kdamond_tell off

put "$DAMON/nr_kdamonds" 0
memload_end
finish
