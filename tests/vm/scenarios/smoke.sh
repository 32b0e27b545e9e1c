# In the guest: the machine has three memory tiers, memload puts its sets where they belong, and DAMON sees
# its hot set hot and its cold one cold. Figures go to /out/figures.
# shellcheck shell=sh
set -u
failed=0
say() { echo "$@" | tee -a /out/figures; }
check() { # NAME ACTUAL MIN MAX
	if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then
		say "ok $1: $2 in $3..$4"
	else
		say "FAILED $1: $2, not in $3..$4"
		failed=1
	fi
}
MIB=1048576
hot_mib=128

say "uptime: $(cut -d' ' -f1 /proc/uptime) s, $(uname -r)"

# --- tiers
for tier in /sys/devices/virtual/memory_tiering/memory_tier*; do
	say "${tier##*/}: nodes $(cat "$tier/nodelist")"
done
check "memory tiers" "$(find /sys/devices/virtual/memory_tiering -name 'memory_tier[0-9]*' -type d | wc -l)" 3 3

echo 0 >/proc/sys/kernel/numa_balancing
[ ! -e /sys/module/damon_stat/parameters/enabled ] || echo N >/sys/module/damon_stat/parameters/enabled

# --- residency
mkfifo /run/control
memload_start() { # OPTION...
	memload "$@" --interval 500ms --control /run/control >/out/memload.json &
	memload=$!
	until grep -q '"ready"' /out/memload.json; do
		kill -0 $memload || return 1
		usleep 50000
	done
}
memload_end() {
	echo quit >/run/control
	wait $memload
	check "memload's exit status" $? 0 0
}
resident() { # SET NODE: MiB of the set on the node, by the last sample
	grep "\"set\":\"$1\"" /out/memload.json | grep node_bytes | tail -n 1 |
		sed "s/.*\"$2\":\([0-9]*\)[,}].*/\1/" | awk '{ print int($1 / 1048576) }'
}
field() { # SET FIELD
	grep "\"set\":\"$1\"" /out/memload.json | grep node_bytes | tail -n 1 | sed "s/.*\"$2\":\([0-9]*\).*/\1/"
}
memload_start --set cold:300M@2 --set hot:${hot_mib}M@2:touch --set mid:64M@1 --set fill:fill-5%@0 \
	--pass-every 30ms --thp never
usleep 1500000
check "cold on node 2 (MiB)" "$(resident cold 2)" 300 300
check "hot on node 2 (MiB)" "$(resident hot 2)" $hot_mib $hot_mib
check "mid on node 1 (MiB)" "$(resident mid 1)" 64 64
free_bp=$(awk '/MemTotal:/ { total = $4 } /MemFree:/ { free = $4 } END { print int(free * 10000 / total) }' \
	/sys/devices/system/node/node0/meminfo)
check "free on node 0 (bp)" "$free_bp" 440 540

# --- heat, by a kdamond of three stat schemes: any access, none, and access in most samples
admin=/sys/kernel/mm/damon/admin/kdamonds
blocks=$(for m in /sys/devices/system/node/node2/memory[0-9]*; do echo $((0x$(cat "$m/phys_index"))); done | sort -n)
size=$((0x$(cat /sys/devices/system/memory/block_size_bytes)))
start=$(($(echo "$blocks" | head -n 1) * size))
end=$((($(echo "$blocks" | tail -n 1) + 1) * size))
put() { echo "$2" >"$1" || { say "FAILED write of $2 to $1"; failed=1; }; }
put $admin/nr_kdamonds 1
put $admin/0/contexts/nr_contexts 1
ctx=$admin/0/contexts/0
put $ctx/operations paddr
put $ctx/monitoring_attrs/intervals/sample_us 5000
put $ctx/monitoring_attrs/intervals/aggr_us 100000
put $ctx/monitoring_attrs/intervals/update_us 1000000
put $ctx/monitoring_attrs/nr_regions/min 10
put $ctx/monitoring_attrs/nr_regions/max 1000
put $ctx/targets/nr_targets 1
put $ctx/targets/0/regions/nr_regions 1
put $ctx/targets/0/regions/0/start $start
put $ctx/targets/0/regions/0/end $end
put $ctx/schemes/nr_schemes 3
for i in 0 1 2; do
	pattern=$ctx/schemes/$i/access_pattern
	put $ctx/schemes/$i/action stat
	put $pattern/sz/max $((end - start))
	put $pattern/age/max 4294967295
done
put $ctx/schemes/0/access_pattern/nr_accesses/min 1
put $ctx/schemes/0/access_pattern/nr_accesses/max 20
put $ctx/schemes/1/access_pattern/nr_accesses/max 0
put $ctx/schemes/2/access_pattern/nr_accesses/min 14
put $ctx/schemes/2/access_pattern/nr_accesses/max 20
put $admin/0/state on
say "kdamond: $(cat $admin/0/state), range $((start / MIB))..$((end / MIB)) MiB"

tried() { cat $ctx/schemes/"$1"/stats/sz_tried; }
hot_seen() { # SECONDS: sets hot and very_hot to the MiB seen as accessed, and in most samples, on average
	put $admin/0/state update_schemes_stats
	hot=$(tried 0) cold=$(tried 1) very_hot=$(tried 2)
	usleep $(($1 * 1000000))
	put $admin/0/state update_schemes_stats
	hot=$(($(tried 0) - hot)) cold=$(($(tried 1) - cold)) very_hot=$(($(tried 2) - very_hot))
	# Each pass tries every byte once by one of the first two schemes.
	passes=$(((hot + cold) / (end - start)))
	if [ $passes -gt 0 ]; then
		hot=$((hot / passes / MIB)) very_hot=$((very_hot / passes / MIB))
	else
		hot=-1 very_hot=-1
	fi
}
usleep 6000000
p0=$(field hot passes) t0=$(field hot t_ms)
hot_seen 4
p1=$(field hot passes) t1=$(field hot t_ms)
say "hot passes: $((p1 - p0)) in $((t1 - t0)) ms, $passes passes of DAMON, flushes $(field hot flushes)"
say "worker and kdamond, CPU ticks: $(awk '{ print $14 + $15 }' /proc/$memload/stat) $(awk '{ print $14 + $15 }' /proc/"$(cat $admin/0/pid)"/stat)"
check "seen hot while touched (MiB)" $hot $((hot_mib * 7 / 10)) $((hot_mib * 13 / 10))
echo "idle hot" >/run/control
usleep 3000000
hot_seen 2
check "seen hot while idle (MiB)" $hot 0 $((hot_mib / 10))
echo "touch cold" >/run/control
usleep 4000000
hot_seen 2
check "seen hot while cold is touched (MiB)" $hot 200 400
memload_end

# A set touched without a rest is accessed in every sample, which takes an honest TLB: with memload's flushes it
# is seen so, huge pages or not. Without them is for the record, as it depends on the emulator.
for thp in never always; do
	for flush in 4M 0; do
		memload_start --set hot:40M@2:touch --pass-every 0us --thp $thp --flush-every $flush
		usleep 4000000
		hot_seen 2
		memload_end
		say "40 MiB without a rest, thp $thp, flush every $flush: $hot MiB seen hot, $very_hot very hot;" \
			"$(field hot passes) passes, $(field hot flushes) flushes in $(field hot t_ms) ms"
		[ $flush = 0 ] || check "seen very hot (MiB)" $very_hot 28 60
	done
done
put $admin/0/state off
say "uptime: $(cut -d' ' -f1 /proc/uptime) s"
exit $failed
