# What kernel-patches/7.2 changes: each check of a number fails on the kernel without them.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
say "$(uname -r)"
echo 0 >/proc/sys/kernel/numa_balancing
[ ! -e /sys/module/damon_stat/parameters/enabled ] || echo N >/sys/module/damon_stat/parameters/enabled

QUOTA=$((16 * MIB))
# --- promotion into a full node: what counts as applied is there afterwards. memload's sample of every page tells.
memload_start --set cold:fill-5%@0:idle --set hot:300M@2:idle --thp never --stride 1
kdamond_stage 2 2
scheme_migrates 1 migrate_hot 0 $QUOTA 100
kdamond_tell on
wait_passes 0 60
kdamond_tell off
sampled=$(wc -l </run/memload.json)
sampled_anew() { [ "$(wc -l </run/memload.json)" -ge $((sampled + 4)) ]; }
wait_for 60 sampled_anew || say "FAILED: memload takes no samples"
applied=$(($(cat "$ctx/schemes/1/stats/sz_applied") / MIB))
promoted=$(($(resident hot 0) / MIB))
say "promoted into a full node: $applied MiB applied, $promoted MiB there, free on node 0: $(node_kib 0 MemFree) KiB"
check "MiB applied and not there" $((applied - promoted)) -4 4
memload_end

# --- intervals that tune themselves, and a scheme with an interval of its own. The goal asks for more accesses than there are, so
# each aggregation of 20 samples is followed by a step, the largest is 20 ms long, and a pass is due every 1 s.
kdamond_stage 0 2
put "$ctx/schemes/1/apply_interval_us" 1000000
goal=$ctx/monitoring_attrs/intervals/intervals_goal
put "$goal/access_bp" 9000
put "$goal/aggrs" 1
put "$goal/min_sample_us" 5000
put "$goal/max_sample_us" 20000
kdamond_tell on
wait_passes 0 25
check "passes of every second, during $(passes 0) aggregations" "$(passes 1)" 5 100
kdamond_tell off

# --- a goal of the kernel's own tuner, reached below a quota: it does not go far beyond
free_at_least() { [ "$(free_bp "$1")" -ge "$2" ]; }
memload_start --set cold:600M@0:idle --thp never
goal_bp=$(($(free_bp 0) + 2500))
kdamond_stage 0 2
scheme_migrates 1 migrate_cold 2 $((4 * MIB)) 100
goal=$ctx/schemes/1/quotas/goals
put "$goal/nr_goals" 1
put "$goal/0/target_metric" node_mem_free_bp
put "$goal/0/nid" 0
put "$goal/0/target_value" $goal_bp
kdamond_tell on
wait_for 180 free_at_least 0 $((goal_bp - 100)) || say "FAILED: free memory does not reach its goal"
wait_passes 0 60
check "free on node 0, the goal reached" "$(free_bp 0)" $((goal_bp - 150)) $((goal_bp + 1000))
kdamond_tell off
memload_end

put "$DAMON/nr_kdamonds" 0
finish
