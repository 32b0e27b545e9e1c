# COUNT reloads with changing goals and values under the unit, asked for over D-Bus: tierd's memory and files do not grow, and what
# the kernel has learnt of the regions is kept. Needs INIT=systemd.
# init: systemd
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
COUNT=50
# shellcheck disable=SC1091
[ ! -e /root/settings ] || . /root/settings

reload() {
	busctl call --timeout=120 org.tierd1 /org/tierd1 org.tierd1.Manager Reload >/dev/null
}
property() { busctl get-property org.tierd1 /org/tierd1 org.tierd1.Manager "$1" | cut -d' ' -f2; }
rss_kib() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$tierd/status"; }
anonymous_kib() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$tierd/status"; }
# What stays open: the least of twenty looks, for a file of the kernel's is open as long as a command takes.
fds() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		find "/proc/$tierd/fd" -mindepth 1 | wc -l
		usleep 20000
	done | sort -n | head -n 1
}
# The highest age of a region of node 2, in aggregations, by the kernel's own list of what the first scheme of its kdamond tried.
oldest() {
	wait_for 60 sh -c "echo update_schemes_tried_regions >$DAMON/2/state" 2>/dev/null
	for s in "$DAMON"/2/contexts/0/schemes/[0-9]*; do
		for r in "$s"/tried_regions/[0-9]*; do attribute "$r/age" 2>/dev/null; done
	done | sort -n | tail -n 1
}
# Passes of node 2's kdamond over its memory, one per aggregation: the scheme with the highest count tries all of it in each.
passes() {
	wait_for 60 sh -c "echo update_schemes_stats >$DAMON/2/state" 2>/dev/null
	most=0
	for s in "$DAMON"/2/contexts/0/schemes/[0-9]*; do
		tried=$(attribute "$s/stats/sz_tried")
		[ "$tried" -le "$most" ] || most=$tried
	done
	monitored=0
	for r in "$DAMON"/2/contexts/0/targets/0/regions/[0-9]*; do
		monitored=$((monitored + $(attribute "$r/end") - $(attribute "$r/start")))
	done
	echo $((most / monitored))
}
configuration() { # NUMBER
	cat <<YAML
telemetry: {interval: 1m}
demote: {goal: {free: $((3 + $1 % 7))%}, min_age: $((1 + $1 % 3))s}
promote: {goal: {used: $((98 - $1 % 7))%}, quota: {bytes: $((100 + $1 % 50))MiB, interval: 1s}}
YAML
}

configuration 0 >/run/reloads.yaml
tierd_start /run/reloads.yaml || {
	failed=1
	finish
}
pids=$(for s in 0 1 2; do attribute $DAMON/$s/pid; done | tr '\n' ' ')
i=0
# The first ones fill caches of the allocator and of the libraries.
while [ $i -lt 20 ]; do
	i=$((i + 1))
	configuration $i >/etc/tierd.yaml
	reload || say "FAILED: reload $i"
done
rss=$(rss_kib) anonymous=$(anonymous_kib) fds=$(fds) passed=$(passes)
begun=$(now_ms)
while [ $i -lt $((COUNT + 20)) ]; do
	i=$((i + 1))
	configuration $i >/etc/tierd.yaml
	reload || {
		say "FAILED: reload $i"
		failed=1
	}
	[ $((i * 10 % COUNT)) -ge 10 ] || grown="${grown-}$(($(rss_kib) - rss)) "
done
took=$(($(now_ms) - begun))
say "$COUNT reloads in $took ms; RSS $rss -> $(rss_kib) KiB, of it anonymous $anonymous -> $(anonymous_kib); files $fds -> $(fds); RSS on the way, ten times: +$grown"
same "reloads by tierd's count" "$(property Reloads)" $((COUNT + 20))
same "kdamonds (their pids)" "$(for s in 0 1 2; do attribute $DAMON/$s/pid; done | tr '\n' ' ')" "$pids"
same "files open" "$(fds)" "$fds"
check "growth of RSS (KiB)" $(($(rss_kib) - rss)) -10000 256
# A region that was there when they began has lived through all passes since; one that a reload had made anew is younger.
passed=$(($(passes) - passed))
if [ -d "$DAMON/2/contexts/0/schemes/0/tried_regions" ]; then
	age=$(oldest)
	check "age of the oldest region, in hundredths of the $passed aggregations since" $((${age:-0} * 100 / passed)) 95 100000000
else
	say "the age of regions is not measured: this kernel does not show them"
fi

# One that is wrong changes nothing, and says where.
echo 'demote: {gaol: {free: 5%}}' >/etc/tierd.yaml
answer=$(tierctl reload 2>&1)
same "tierctl's status for a wrong configuration" $? 1
case $answer in
*/etc/tierd.yaml:1:10:*) say "ok the answer: $(echo "$answer" | head -n 1)" ;;
*)
	say "FAILED: the answer was: $answer"
	failed=1
	;;
esac
same "line and column in the journal" "$(tierd_log | grep -c '/etc/tierd.yaml:1:10:')" 1
same "reloads by tierd's count" "$(property Reloads)" $((COUNT + 20))
tierd_stop
finish
