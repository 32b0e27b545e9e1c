# One of four trials of a tuner, told by SCENARIO, with its outcome as one line of /out/figures:
#   RESULT scenario=S tuner=T time_ms=MS residency=PERCENT overshoot_bp=BP limit_bp=BP pass_ms=MS verdict=pass|fail
# time_ms is when the goal was reached and then held for HOLD seconds (-1: not within SPAN seconds); residency is what the scenario says
# below; overshoot_bp is the most that was free above the goal of 5 %, and limit_bp what of it is allowed: two points, and what per-CPU
# lists held at most, for pages that come off them add to what is free. pass_ms is what a pass over the hot set took, 40 ms on an emulated
# machine that has its two CPUs for itself (0 where no set is hot): a host that is busy makes the set look colder than it is.
#
#   fill     cold pages fill node 0 to 2 % free. Goal: 4.5 % free. residency: of the cold set, on the nodes below nothing else went to
#            (so, of what left node 0, what is on node 1).
#   slowest  cold pages fill node 0 to its goal, a hot set is on node 2. Goal: 95 % of the hot set on node 0. residency: that share.
#   moves    set a is hot on node 0, which cold pages fill to its goal; then a goes cold and b, on node 1, gets hot. Goal: 95 % of b on
#            node 0, counted from the change. residency: that share.
#   three    nodes 0 and 1 are full to their goals, node 0 of cold pages, node 1 of cold pages and a hot set, middle; another, low, is hot on
#            node 2. So node 1 must promote and demote. Goal: 95 % of middle on node 0, 95 % of low off node 2, and on node 2 as much
#            of the cold sets as low has, but for two points of node 1, and for what came off the per-CPU lists of the upper nodes since the
#            start, which was room as well. residency: the less of the two shares.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
ASSERT=yes
SCENARIO=slowest
TUNER=direct
HOT=200
SPAN=60
HOLD=5
# Seconds for monitoring to learn the set that moves later.
LEARN=10
# shellcheck disable=SC1091
[ ! -r /root/settings ] || . /root/settings

case $TUNER in
temporal) echo 'tuning: {tuner: kernel, goal_tuner: temporal}' ;;
*) echo "tuning: {tuner: $TUNER}" ;;
esac >/run/tierd.yaml
say "kernel $(uname -r), tuner $TUNER, scenario $SCENARIO"
system_values >/run/before
# Of one node, in basis points of it: free memory, and what waits on per-CPU lists.
node_free() { # NODE
	awk '$3 == "MemTotal:" { t = $4 } $3 == "MemFree:" { f = $4 } END { print int(f * 10000 / t) }' "/sys/devices/system/node/node$1/meminfo"
}
node_percpu() { # NODE
	awk -v want="$1" -v kib="$(node_kib "$1" MemTotal)" '
		$1 == "Node" { n = $2 + 0 }
		$1 == "count:" && n == want { s += $2 }
		END { print int(s * 4 * 10000 / kib) }' /proc/zoneinfo
}

# What the nodes that are full at the start have on such lists, bytes.
lists_bytes() {
	sum=0
	for n in $full; do sum=$((sum + $(node_percpu "$n") * ($(node_kib "$n" MemTotal) * 1024 / 10000))); done
	echo $sum
}

goal_bp=500
# The nodes with a goal that are full at the start.
full=0
case $SCENARIO in
fill)
	# For huge pages the kernel raises its reserve to 3 % of such a node, and a set that is bound to it cannot go lower.
	echo 8192 >/proc/sys/vm/min_free_kbytes
	memload_start --set cold:fill-2%@0 --thp never --pass-every 30ms
	say "free $(node_free 0) bp"
	;;
slowest) memload_start --set cold:fill-5%@0 --set "hot:${HOT}M@2:touch" --thp never --pass-every 30ms ;;
moves) memload_start --set "a:${HOT}M@0:touch" --set "b:${HOT}M@1" --set cold:fill-5%@0 --thp never --pass-every 30ms ;;
three)
	full="0 1"
	memload_start --set "middle:$((HOT / 2))M@1:touch" --set "low:$((HOT / 2))M@2:touch" \
		--set cold0:fill-5%@0 --set cold1:fill-5%@1 --thp never --pass-every 30ms
	;;
*)
	say "FAILED: there is no scenario $SCENARIO"
	exit 1
	;;
esac

share() { # BYTES OF
	awk -v part="$1" -v all="$2" 'BEGIN { print int(all ? part * 100 / all : 0) }'
}

# Sets $met and $residency.
goal_look() {
	met=no
	case $SCENARIO in
	fill)
		left=$(($(set_bytes cold) - $(resident cold 0)))
		residency=100
		[ "$left" -le 0 ] || residency=$(share "$(resident cold 1)" "$left")
		[ "$free0" -lt 450 ] || met=yes
		;;
	slowest | moves)
		residency=$(resident_percent "$watched" 0)
		[ "$residency" -lt 95 ] || met=yes
		;;
	three)
		middle=$(resident_percent middle 0)
		low_bytes=$(set_bytes low)
		low=$(share $((low_bytes - $(resident low 2))) "$low_bytes")
		down=$(($(resident cold0 2) + $(resident cold1 2)))
		residency=$middle
		[ "$low" -ge "$middle" ] || residency=$low
		came=$((lists - $(lists_bytes)))
		[ $came -gt 0 ] || came=0
		wanted=$((low_bytes - slack - came))
		[ "$residency" -lt 95 ] || [ $down -lt $wanted ] || met=yes
		;;
	esac
}
set_passes() { # SET
	tail -n 12 /run/memload.json | grep "\"set\":\"$1\".*node_bytes" | tail -n 1 | sed 's/.*"passes":\([0-9]*\).*/\1/'
}
case $SCENARIO in
slowest) watched=hot ;;
moves) watched=b ;;
three) watched=low ;;
*) watched= ;;
esac
slack=$(($(node_kib 1 MemTotal) * 1024 / 50))
lists=$(lists_bytes)

overshoot=0
percpu_max=0
look() {
	elapsed=$(($(now_ms) - start))
	seen=
	for node in $full; do
		free=$(node_free "$node")
		percpu=$(node_percpu "$node")
		[ "$node" != 0 ] || free0=$free
		[ $((free - goal_bp)) -le "$overshoot" ] || overshoot=$((free - goal_bp))
		[ "$percpu" -le "$percpu_max" ] || percpu_max=$percpu
		seen="$seen; node $node: free $free, per-CPU $percpu bp"
	done
	goal_look
	echo "$elapsed ms: residency $residency %, met $met$seen" >>/out/progress
}

fail_all() {
	say "RESULT scenario=$SCENARIO tuner=$TUNER time_ms=-1 residency=0 overshoot_bp=0 limit_bp=200 pass_ms=0 verdict=fail reason=$1"
	failed=1
	memload_end
	finish
}

start=$(now_ms)
tierd_start /run/tierd.yaml || fail_all start
say "started in $(($(now_ms) - start)) ms"
if [ "$SCENARIO" = moves ]; then
	while [ $(($(now_ms) - start)) -lt $((LEARN * 1000)) ]; do usleep 500000; done
	say "before the change: a on node 0 $(resident_percent a 0) %, b on node 1 $(resident_percent b 1) %, free $(node_free 0) bp"
	start=$(now_ms)
	memload_tell "idle a"
	memload_tell "touch b"
fi
[ -z "$watched" ] || passes=$(set_passes $watched)

reached=-1
while :; do
	look
	if [ $met = no ]; then
		reached=-1
		[ $elapsed -lt $((SPAN * 1000)) ] || break
	else
		[ "$reached" -ge 0 ] || reached=$elapsed
		[ $((elapsed - reached)) -lt $((HOLD * 1000)) ] || break
	fi
	usleep 200000
done

pass_ms=0
[ -z "$watched" ] || pass_ms=$((($(now_ms) - start) / ($(set_passes $watched) - passes + 1)))
limit=$((200 + percpu_max))
verdict=pass
[ "$reached" -ge 0 ] && [ "$reached" -le $((SPAN * 1000)) ] || verdict=fail
[ "$residency" -ge 95 ] || verdict=fail
[ "$overshoot" -le $limit ] || verdict=fail
say "promoted 2 -> 1 $(($(applied 2 migrate_hot 1) / MIB)) MiB, 1 -> 0 $(($(applied 1 migrate_hot 0) / MIB)) MiB; demoted 0 -> 1 $(($(applied 0 migrate_cold 1) / MIB)) MiB, 1 -> 2 $(($(applied 1 migrate_cold 2) / MIB)) MiB; node 0 free $(node_free 0) bp"
[ "$SCENARIO" != three ] || say "middle on node 0 $middle %, low off node 2 $low %, cold sets on node 2 $((down / MIB)) MiB of $((wanted / MIB))"
say "RESULT scenario=$SCENARIO tuner=$TUNER time_ms=$reached residency=$residency overshoot_bp=$overshoot limit_bp=$limit pass_ms=$pass_ms verdict=$verdict"
[ "$ASSERT" != yes ] || same "verdict" $verdict pass

tierd_stop
system_values >/run/after
same "values changed and not put back" "$(diff /run/before /run/after | grep -c '^[-+]/')" 0
memload_end
finish
