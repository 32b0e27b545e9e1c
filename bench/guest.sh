# One cell of the bench, in the guest: a workload, then a manager beside it for SPAN seconds. Leaves in /out what memload and bench-watch
# sampled, and /out/facts with what the host does not know. Sourced settings: WORKLOAD, MANAGER, SPAN.
#
# Managers get the same machine: NUMA balancing, reclaim demotion, DAMON's own modules and huge pages off, the same reserve and per-CPU
# lists, the same workload at work for LEAD seconds before they begin.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
WORKLOAD=hot
MANAGER=none
SPAN=60
LEAD=3
# Seconds that a hot set stays before the next one gets hot.
MOVE=20
# MiB: of hot sets; of what is larger than the fast node; of each socket's hot set.
HOT=200
LARGE=1200
SOCKET_HOT=150
# What all managers that have goals aim at, in basis points of a node, but those whose published settings say otherwise.
FREE_BP=500
USED_BP=9600
# shellcheck disable=SC1091
. /root/settings

fact() { echo "$1=$2" >>/out/facts; } # NAME VALUE

NOT_SUPPORTED=78
unsupported() { # WHY
	fact unsupported "$1"
	echo "unsupported: $1" >&2
	exit $NOT_SUPPORTED
}

# --- workloads

# An upper node with the node below it, and the sets that are to be up with the node where each belongs.
pairs="0:1"
targets="hot:0"
workload_start() {
	cold0="--set cold:fill-5%@0"
	pace="--thp never --pass-every 30ms"
	# shellcheck disable=SC2086 # several words
	case $WORKLOAD in
	promote) memload_start --set "hot:${HOT}M@1:touch" $pace ;;
	hot) memload_start --set "hot:${HOT}M@1:touch" $cold0 $pace ;;
	hot-huge) memload_start --set "hot:${HOT}M@1:touch" $cold0 --thp always --pass-every 30ms ;;
	fill)
		targets=
		# Else the kernel's reserve keeps the set from filling the node beyond the goal.
		MIN_FREE_KIB=8192
		memload_start --set cold:fill-2%@0 $pace
		;;
	moves)
		targets="a:0 b:0 c:0"
		memload_start --set "a:${HOT}M@1:touch" --set "b:${HOT}M@1" --set "c:${HOT}M@1" $cold0 $pace
		;;
	zipf)
		targets="data:0"
		memload_start --set "data:${LARGE}M@0+1:touch,zipf,pass=1us" $cold0 $pace
		;;
	scan) memload_start --set "hot:${HOT}M@1:touch" --set "scan:$((HOT * 3))M@1:touch,even,pass=10s" $cold0 $pace ;;
	pingpong) memload_start --set "hot:${LARGE}M@0+1:touch" $cold0 $pace ;;
	spots)
		targets="wide:0"
		memload_start --set "wide:$((HOT * 7))M@1:touch,spots=32x1M" $cold0 $pace
		;;
	pagecache)
		# Pages that were never written have no page of the RAM disk behind them, so what is read is page cache and no more.
		busybox modprobe brd rd_nr=1 rd_size=4194304 max_part=0 || unsupported "the kernel has no RAM disk"
		wait_for 30 test -b /dev/ram0 || unsupported "there is no /dev/ram0"
		memload_start --set "hot:${HOT}M@1:touch,file=/dev/ram0" --set "cold:fill-5%@0:idle,file=/dev/ram0+1G" $pace
		;;
	three)
		pairs="0:1 1:2"
		targets="middle:0 low:0"
		memload_start --set "middle:$((HOT / 2))M@1:touch" --set "low:$((HOT / 2))M@2:touch" $cold0 --set cold1:fill-5%@1 $pace
		;;
	sockets)
		pairs="0:2 1:3"
		targets="hot0:0 hot1:1"
		memload_start --set "hot0:${SOCKET_HOT}M@2:touch,cpu=0" --set "hot1:${SOCKET_HOT}M@3:touch,cpu=1" \
			$cold0 --set cold1:fill-5%@1 $pace
		;;
	*)
		say "FAILED: there is no workload $WORKLOAD"
		exit 1
		;;
	esac
}
# What happens to the workload in a second of the span.
workload_turn() { # SECOND
	[ "$WORKLOAD" = moves ] || return 0
	case $1 in
	"$MOVE")
		memload_tell "idle a"
		memload_tell "touch b"
		;;
	$((MOVE * 2)))
		memload_tell "idle b"
		memload_tell "touch c"
		;;
	esac
}

# --- managers by DAMON's sysfs files: one kdamond for each node that has a scheme

lower_nodes() { # NODE
	for pair in $pairs; do [ "${pair%:*}" != "$1" ] || echo "${pair#*:}"; done
}
upper_nodes() { # NODE
	for pair in $pairs; do [ "${pair#*:}" != "$1" ] || echo "${pair%:*}"; done
}
nodes_of_pairs() { echo "$pairs" | tr ': ' '\n' | sort -un; }
# Physical addresses of a node's memory, a line for each run of blocks.
node_ranges() { # NODE
	for m in /sys/devices/system/node/node"$1"/memory[0-9]*; do echo $((0x$(cat "$m/phys_index"))); done | sort -n |
		awk -v size=$((0x$(cat /sys/devices/system/memory/block_size_bytes))) '
			NR > 1 && $1 != last + 1 { printf "%.0f %.0f\n", first * size, (last + 1) * size; first = $1 }
			NR == 1 { first = $1 }
			{ last = $1 }
			END { printf "%.0f %.0f\n", first * size, (last + 1) * size }'
}

# The settings of mainline's samples/damon/mtier.c; `goal` of the intervals or not.
mtier_scheme() { # SCHEME-DIR migrate_hot|migrate_cold TARGET GOAL-NODE
	put "$1/action" "$2"
	put "$1/target_nid" "$3"
	put "$1/apply_interval_us" 1000000
	put "$1/access_pattern/sz/min" 4096
	put "$1/access_pattern/sz/max" 18446744073709551615
	put "$1/access_pattern/age/min" 0
	put "$1/access_pattern/age/max" 4294967295
	put "$1/quotas/ms" 0
	put "$1/quotas/bytes" $((200 * MIB))
	put "$1/quotas/reset_interval_ms" 1000
	put "$1/quotas/weights/sz_permil" 0
	put "$1/quotas/weights/nr_accesses_permil" 100
	put "$1/quotas/weights/age_permil" 100
	put "$1/quotas/goals/nr_goals" 1
	put "$1/quotas/goals/0/nid" "$4"
	put "$1/ops_filters/nr_filters" 1
	put "$1/ops_filters/0/type" young
	put "$1/ops_filters/0/matching" Y
	case $2 in
	migrate_hot)
		put "$1/access_pattern/nr_accesses/min" 1
		put "$1/access_pattern/nr_accesses/max" 4294967295
		put "$1/quotas/goals/0/target_metric" node_mem_used_bp
		put "$1/quotas/goals/0/target_value" $USED_BP
		put "$1/ops_filters/0/allow" Y
		;;
	*)
		put "$1/access_pattern/nr_accesses/min" 0
		put "$1/access_pattern/nr_accesses/max" 0
		put "$1/quotas/goals/0/target_metric" node_mem_free_bp
		put "$1/quotas/goals/0/target_value" $FREE_BP
		put "$1/ops_filters/0/allow" N
		;;
	esac
}
mtier_start() { # INTERVALS-GOAL: yes or no
	put "$DAMON/nr_kdamonds" "$(nodes_of_pairs | wc -l)"
	slot=0
	for node in $(nodes_of_pairs); do
		ctx=$DAMON/$slot/contexts/0
		put "$DAMON/$slot/contexts/nr_contexts" 1
		put "$ctx/operations" paddr
		attrs=$ctx/monitoring_attrs
		put "$attrs/intervals/sample_us" 5000
		put "$attrs/intervals/aggr_us" 100000
		put "$attrs/intervals/update_us" 60000000
		put "$attrs/nr_regions/min" 10
		put "$attrs/nr_regions/max" 1000
		if [ "$1" = yes ]; then
			put "$attrs/intervals/intervals_goal/access_bp" 400
			put "$attrs/intervals/intervals_goal/aggrs" 3
			put "$attrs/intervals/intervals_goal/min_sample_us" 5000
			put "$attrs/intervals/intervals_goal/max_sample_us" 10000000
		fi
		put "$ctx/targets/nr_targets" 1
		node_ranges "$node" >/run/ranges
		put "$ctx/targets/0/regions/nr_regions" "$(wc -l </run/ranges)"
		region=0
		while read -r from to; do
			put "$ctx/targets/0/regions/$region/start" "$from"
			put "$ctx/targets/0/regions/$region/end" "$to"
			region=$((region + 1))
		done </run/ranges
		# shellcheck disable=SC2046 # several words
		set -- "$1" $(lower_nodes "$node" | sed "s/.*/migrate_cold & $node/") $(upper_nodes "$node" | sed 's/.*/migrate_hot & &/')
		put "$ctx/schemes/nr_schemes" $((($# - 1) / 3))
		scheme=0
		while [ $# -gt 1 ]; do
			tunes=$1
			mtier_scheme "$ctx/schemes/$scheme" "$2" "$3" "$4"
			shift 4
			set -- "$tunes" "$@"
			scheme=$((scheme + 1))
		done
		slot=$((slot + 1))
	done
	for slot in "$DAMON"/[0-9]*; do put "$slot/state" on; done
}
has_node_goals() {
	# Asked of a slot of our own, which then goes again.
	put "$DAMON/nr_kdamonds" 1
	put "$DAMON/0/contexts/nr_contexts" 1
	put "$DAMON/0/contexts/0/schemes/nr_schemes" 1
	goals=$DAMON/0/contexts/0/schemes/0/quotas/goals
	put "$goals/nr_goals" 1
	has=no
	! echo node_mem_free_bp 2>/dev/null >"$goals/0/target_metric" || has=yes
	put "$DAMON/nr_kdamonds" 0
	[ $has = yes ]
}

# --- managers by damo, Debian's package of it

# Runs a command; its CPU in microseconds and largest resident KiB are facts with that name before them.
measured() { # NAME COMMAND...
	python3 -c '
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:], stdin=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open("/out/facts", "a") as facts:
    print("%s_us=%d" % (sys.argv[1], (used.ru_utime + used.ru_stime) * 1e6), file=facts)
    print("%s_rss_kib=%d" % (sys.argv[1], used.ru_maxrss), file=facts)
sys.exit(status)' "$@"
}
damo_start() { # MONITORING COLD-OPTIONS HOT-OPTIONS GOALS-PER-SCHEME; @ in the options is the node that has the goal
	options=
	ones=
	schemes=
	filters=
	goals=
	for node in $(nodes_of_pairs); do
		options="$options --numa_node $node $1"
		n=0
		for lower in $(lower_nodes "$node"); do
			options="$options --damos_action migrate_cold $lower $(echo "$2" | sed "s/@/$node/")"
			n=$((n + 1)) filters="$filters 1" goals="$goals${4:+ $4}"
		done
		for upper in $(upper_nodes "$node"); do
			options="$options --damos_action migrate_hot $upper $(echo "$3" | sed "s/@/$upper/")"
			n=$((n + 1)) filters="$filters 1" goals="$goals${4:+ $4}"
		done
		ones="$ones 1"
		schemes="$schemes $n"
	done
	# shellcheck disable=SC2086 # several words
	measured start damo start $options ${goals:+--damos_nr_quota_goals$goals} --damos_nr_filters$filters --nr_targets$ones \
		--nr_schemes$schemes --nr_ctxs$ones >/out/damo.log 2>&1
	same "damo start" $? 0
	damon_tree >>/out/damo.log
}
damon_tree() {
	for f in $(find "$DAMON" -name action -o -name target_nid -o -name bytes -o -name ms -o -name reset_interval_ms -o \
		-name target_metric -o -name target_value -o -name aggr_us -o -name state | sort); do
		echo "$f $(attribute "$f")"
	done
}
mem_tier_quota="--damos_apply_interval 1s --damos_quota_interval 1s --damos_quota_space 200MB --damos_quota_weights 0 100 100"

manager_start() {
	goal=-1
	case $MANAGER in
	none) ;;
	numab1) put /proc/sys/kernel/numa_balancing 1 ;;
	tpp)
		[ -e /sys/kernel/mm/numa/demotion_enabled ] || unsupported "the kernel has no reclaim demotion"
		put /sys/kernel/mm/numa/demotion_enabled 1
		put /proc/sys/kernel/numa_balancing 2
		;;
	mtier | mtier-fixed)
		has_node_goals || unsupported "the kernel has no node goals"
		goal=$FREE_BP
		if [ "$MANAGER" = mtier ]; then mtier_start yes; else mtier_start no; fi
		;;
	damo)
		has_node_goals || unsupported "the kernel has no node goals"
		goal=50
		damo_start "--monitoring_intervals 5ms 100ms 1s --monitoring_nr_regions_range 10 1000 --monitoring_intervals_goal 4% 3 5ms 10s" \
			"--damos_access_rate 0% 0% $mem_tier_quota --damos_quota_goal node_mem_free_bp 0.5% @ --damos_filter reject young" \
			"--damos_access_rate 5% max $mem_tier_quota --damos_quota_goal node_mem_used_bp 99.7% @ --damos_filter allow young" 1
		;;
	hmsdk)
		damo_start "--monitoring_intervals 100ms 2s 20s --monitoring_nr_regions_range 100 10000" \
			"--damos_sz_region 4096 max --damos_access_rate 0% 0% --damos_age 30s max --damos_quotas 1s 50G 20s 0 0 1% --damos_filter reject young" \
			"--damos_sz_region 4096 max --damos_access_rate 5% 100% --damos_age 0 max --damos_quotas 2s 50G 20s 0 0 1% --damos_filter reject none young" ""
		;;
	tierd-*)
		goal=500
		tuner=${MANAGER#tierd-}
		[ "$tuner" != kernel ] || has_node_goals || unsupported "the kernel has no node goals"
		echo "tuning: {tuner: $tuner}" >/run/tierd.yaml
		tierd_start /run/tierd.yaml || failed=1
		;;
	*)
		say "FAILED: there is no manager $MANAGER"
		exit 1
		;;
	esac
	fact goal_bp "$goal"
}

# --- the cell

fact kernel "$(uname -r)"
fact machine_nodes "$(cat /sys/devices/system/node/has_memory)"
echo 0 >/proc/sys/kernel/numa_balancing
[ ! -e /sys/kernel/mm/numa/demotion_enabled ] || put /sys/kernel/mm/numa/demotion_enabled 0
for module in /sys/module/damon_*/parameters/enabled; do
	[ ! -e "$module" ] || [ "$(cat "$module")" = N ] || put "$module" N
done
[ ! -e /sys/kernel/mm/transparent_hugepage/enabled ] || put /sys/kernel/mm/transparent_hugepage/enabled madvise
# Per-CPU lists of freed pages may grow to an eighth of such a node, and shrink again at their own pace: free memory rose by three points
# with nobody managing. At most a 256th of it now.
put /proc/sys/vm/percpu_pagelist_high_fraction 256
# All guests have it installed, whoever manages.
dpkg -i /root/damo.deb >/out/dpkg.log 2>&1
same "dpkg -i" $? 0
fact damo "$(dpkg-query -W -f '${Version}' damo)"

workload_start
fact targets "$targets"
fact pairs "$pairs"
fact min_free_kib "$(cat /proc/sys/vm/min_free_kbytes)"
fact total_kib "$(for node in /sys/devices/system/node/node[0-9]*; do node_kib "${node##*node}" MemTotal; done | tr '\n' ' ')"
bench-watch 500 /sys/fs/cgroup/system.slice/tierd.service >/run/watch.json &
watch=$!
sleep "$LEAD"

clock_ms() { awk '{ printf "%.0f\n", $1 * 1000 }' /proc/uptime; }
start=$(clock_ms)
manager_start
fact start_ms "$start"
fact started_ms "$(clock_ms)"
second=0
while [ $(($(clock_ms) - start)) -lt $((SPAN * 1000)) ]; do
	while [ $second -le $((($(clock_ms) - start) / 1000)) ]; do
		workload_turn $second
		second=$((second + 1))
	done
	usleep 200000
done
fact end_ms "$(clock_ms)"
kill -TERM $watch
wait $watch
case $MANAGER in
damo | hmsdk)
	# A look at what it did, which others tell by themselves.
	measured look damo report damon --damos_stats >/out/damo.report 2>&1
	measured stop damo stop >>/out/damo.log 2>&1
	;;
mtier*)
	for slot in "$DAMON"/[0-9]*; do
		echo update_schemes_stats >"$slot/state"
		for scheme in "$slot"/contexts/0/schemes/[0-9]*; do
			fact "applied_$(basename "$slot")_$(attribute "$scheme/action")" "$(attribute "$scheme/stats/sz_applied")"
		done
	done
	same "kdamonds at the end" "$(running_kdamonds)" "$(nodes_of_pairs | wc -l)"
	;;
tierd*) tierd_stop ;;
esac
cp /run/watch.json /out/
memload_end
finish
