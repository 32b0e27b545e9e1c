# Cold data fills node 0 to its goal of 5 % free; a hot set, a fifth of node 0, starts on node 2. tierd brings it up
# through node 1, and rests. ASSERT=no only measures (for a tuner that is not ours).
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
ASSERT=yes
HOT=200
REST=60
SPAN=60
THP=never
LIVE=no
TUNER=auto
# shellcheck disable=SC1091
[ ! -r /root/settings ] || . /root/settings

say "kernel $(uname -r), tuner $TUNER, numa_balancing $(cat /proc/sys/kernel/numa_balancing), huge pages $THP"
system_values >/run/before
memload_start --set cold:fill-5%@0 --set hot:${HOT}M@2:touch --thp "$THP" --pass-every 30ms
hot=$(set_bytes hot)
say "node 0: $(($(node_kib 0 MemTotal) / 1024)) MiB, free $(free_bp 0) bp; cold $(($(set_bytes cold) / MIB)) MiB on node 0, hot $((hot / MIB)) MiB on node 2"
total0=$(($(node_kib 0 MemTotal) * 1024))
# What is missing to the goal at the start may be demoted beside what makes room.
gap=$(((500 - $(free_bp 0)) * (total0 / 10000)))
[ $gap -gt 0 ] || gap=0
free_max=0
# Pages that were freed and wait on a CPU's list are not counted as free.
percpu_mib() { awk '$1 == "Node" { n = $2 + 0 } $1 == "count:" && n == 0 { s += $2 } END { print int(s / 256) }' /proc/zoneinfo; }
percpu=$(percpu_mib)

[ "$LIVE" = no ] || sh /root/view.sh >/dev/console 2>&1 &
start=$(now_ms)
echo "tuning: {tuner: $TUNER}" >/run/arrive.yaml
tierd_start /run/arrive.yaml || { failed=1; finish; }
say "started in $(($(now_ms) - start)) ms"

progress() { # once a sample
	f=$(free_bp 0)
	[ "$f" -le "$free_max" ] || free_max=$f
	echo "$(($(now_ms) - start)) ms: hot on 0 $(resident_percent hot 0) %, 1 $(resident_percent hot 1) %, 2 $(resident_percent hot 2) %; free $f bp; promoted $(($(applied 2 migrate_hot 1) / MIB)) $(($(applied 1 migrate_hot 0) / MIB)) demoted $(($(applied 0 migrate_cold 1) / MIB)) $(($(applied 1 migrate_cold 2) / MIB)) MiB"
}
arrived() { progress >>/out/progress; is_resident hot 0 95; }
if wait_for $SPAN arrived; then
	arrival=$(($(now_ms) - start))
	say "95 % of the hot set on node 0 after $arrival ms"
else
	arrival=-1
	say "after 60 s only $(resident_percent hot 0) % of the hot set is on node 0"
fi
# The rest of its minute, for the last pages and the goals.
while [ $(($(now_ms) - start)) -lt $((SPAN * 1000)) ]; do
	progress >>/out/progress
	usleep 500000
done
p21=$(applied 2 migrate_hot 1) p10=$(applied 1 migrate_hot 0) d01=$(applied 0 migrate_cold 1)
say "promoted 2 -> 1 $((p21 / MIB)) MiB, 1 -> 0 $((p10 / MIB)) MiB; demoted 0 -> 1 $((d01 / MIB)) MiB, gap at start $((gap / MIB)) MiB"
say "hot set on node 0 after $SPAN s: $(resident_percent hot 0) %; free $(free_bp 0) bp, at most $free_max bp"

percpu_after=$(percpu_mib)
surplus=$((($(set_bytes cold) - $(resident cold 0) - $(resident hot 0) - gap) / MIB))
say "cold set off node 0: $((($(set_bytes cold) - $(resident cold 0)) / MIB)) MiB; hot set on node 0: $(($(resident hot 0) / MIB)) MiB; on per-CPU lists of node 0: $percpu MiB before, $percpu_after MiB now"

# CPU time in ticks of a hundredth of a second: tierd's, and that of the three kdamonds.
cpu() { for pid; do awk '{ print $14 + $15 }' "/proc/$pid/stat"; done | awk '{ s += $1 } END { print s + 0 }'; }
kdamonds=$(for k in "$DAMON"/[0-9]*; do attribute "$k/pid"; done)
# shellcheck disable=SC2086 # several pids
m0=$(migrated_bytes) t0=$(now_ms) c0=$(cpu "$tierd") k0=$(cpu $kdamonds)
while [ $(($(now_ms) - t0)) -lt $((REST * 1000)) ]; do
	progress >>/out/progress
	usleep 1000000
done
rest=$((($(migrated_bytes) - m0) / (($(now_ms) - t0) / 1000) / 1024))
say "at rest: $rest KiB/s migrated by anyone over $REST s, hot set on node 0 $(resident_percent hot 0) %, free $(free_bp 0) bp"
took=$(($(now_ms) - t0))
# shellcheck disable=SC2086
say "CPU at rest, seconds per hour: tierd $((($(cpu "$tierd") - c0) * 36000 / took)), the three kdamonds $((($(cpu $kdamonds) - k0) * 36000 / took))"
say "tierd: $(awk '/VmRSS/ { print $2 " KiB resident" }' "/proc/$tierd/status"), $(awk '{ print $14 + $15 }' "/proc/$tierd/stat") ticks of CPU in $((($(now_ms) - start) / 1000)) s"

if [ "$ASSERT" = yes ]; then
	check "hot set arrived (ms)" "$arrival" 1 60000
	check "hot set on node 0 (%)" "$(resident_percent hot 0)" 95 100
	check "promoted per hot byte, 2 -> 1 (%)" $((p21 * 100 / hot)) 0 200
	check "promoted per hot byte, 1 -> 0 (%)" $((p10 * 100 / hot)) 0 200
	# By the workload's own pages, since 7.2 counts promotions that fell back to their node. Freed pages that have come to wait on a
	# CPU's list were made room of too; those that have come off one are free without having been made so.
	on_lists=$((percpu_after - percpu)) off_lists=0
	[ $on_lists -ge 0 ] || { off_lists=$((-on_lists)) on_lists=0; }
	check "cold off node 0 beyond hot on it, the gap and what came to per-CPU lists (MiB)" $((surplus - on_lists)) -10000 $((total0 * 15 / 1000 / MIB))
	check "free on node 0 (bp, goal 500)" "$(free_bp 0)" 300 $((700 + off_lists * MIB / (total0 / 10000)))
	check "migrated at rest (KiB/s)" $rest 0 1023
	same "numa_balancing under tierd" "$(cat /proc/sys/kernel/numa_balancing)" 0
fi
tierd_stop
system_values >/run/after
same "values changed and not put back" "$(diff /run/before /run/after | grep -c '^[-+]/')" 0
memload_end
finish
