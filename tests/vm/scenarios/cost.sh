# What tierd costs by itself, at rest, for SPAN seconds: CPU, memory, wake-ups, journal. Then the same of damo, another program for
# the same job, by the settings of its own mem_tier.sh, on nodes 0 and 1 of the same guest. Only measures.
# init: systemd
# package: python3
# deb: damo
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
HOT=200
# Seconds until the exchange has come to rest, from when the hot set has arrived.
REST=30
SPAN=60
# Seconds between two looks at damo's counts; tierd tells its own as often.
POLL=10
DAMO=yes
# shellcheck disable=SC1091
[ ! -r /root/settings ] || . /root/settings
DAMO_SPAN=${DAMO_SPAN:-$SPAN}

# --- what processes have cost since they began

# CPU nanoseconds of all threads; a clock tick is longer than most turns.
cpu_ns() { # PID...
	for pid; do cat /proc/"$pid"/task/*/schedstat 2>/dev/null; done | awk '{ s += $1 } END { printf "%.0f\n", s }'
}
unit_us() { # UNIT, WHAT of cpu.stat
	awk -v what="$2" '$1 == what { print $2 }' "/sys/fs/cgroup/system.slice/$1.service/cpu.stat"
}
switches() { # voluntary|nonvoluntary PID...
	kind=$1
	shift
	for pid; do cat /proc/"$pid"/task/*/status; done | awk -v kind="${kind}_ctxt_switches:" '$1 == kind { s += $2 } END { print s + 0 }'
}
per_thread() { # PID: name and voluntary switches of each
	for t in /proc/"$1"/task/*; do
		echo "$(cat "$t/comm") $(awk '$1 == "voluntary_ctxt_switches:" { print $2 }' "$t/status") $(awk '{ print $1 }' "$t/schedstat")"
	done
}
io() { awk -v what="$2:" '$1 == what { print $2 }' "/proc/$1/io"; } # PID WHAT
memory_kib() { awk -v what="$2:" '$1 == what { print $2 }' "/proc/$1/smaps_rollup"; } # PID WHAT
# Where the newest object of the system's journal begins: the file itself grows by megabytes.
journal_end() { od -An -t u8 -j 136 -N 8 /run/log/journal/*/system.journal | tr -d ' '; }
kdamond_pids() {
	for k in "$DAMON"/[0-9]*; do attribute "$k/pid"; done | grep -v '^-1$' | tr '\n' ' '
}
# A number per hour or per minute of what was counted in the span.
per() { # SECONDS COUNT [DIVISOR]
	awk -v per="$1" -v count="$2" -v divisor="${3:-1}" -v took="$took" 'BEGIN { printf "%.1f\n", count / divisor * per * 1000 / took }'
}

# Every figure of both spans that is not of a program.
span_begin() {
	span_kdamonds=
	for pid in $(kdamond_pids); do span_kdamonds="$span_kdamonds$pid:$(cpu_ns "$pid"):$(switches voluntary "$pid") "; done
	span_journald=$(unit_us systemd-journald usage_usec) span_dbus=$(unit_us dbus usage_usec)
	span_pid1=$(cpu_ns 1) span_pid1_switches=$(switches voluntary 1)
	span_migrated=$(migrated_bytes)
	span_start=$(now_ms)
}
span_end() { # WHO: reads the clock first, so that `took` is what the others have counted for
	took=$(($(now_ms) - span_start))
	for had in $span_kdamonds; do
		pid=${had%%:*} rest=${had#*:}
		say "$1: kdamond $pid: CPU $(per 3600 $(($(cpu_ns "$pid") - ${rest%:*})) 1000000000) s/h, wake-ups $(per 60 $(($(switches voluntary "$pid") - ${rest#*:})))/min"
	done
	# What is done for it by others; they serve the rest of the system too.
	say "$1: CPU of systemd-journald $(per 3600 $(($(unit_us systemd-journald usage_usec) - span_journald)) 1000000) s/h, of dbus $(per 3600 $(($(unit_us dbus usage_usec) - span_dbus)) 1000000) s/h, of PID 1 $(per 3600 $(($(cpu_ns 1) - span_pid1)) 1000000000) s/h with $(per 60 $(($(switches voluntary 1) - span_pid1_switches))) wake-ups/min"
	say "$1: migrated by anyone $(per 1 $(($(migrated_bytes) - span_migrated)) 1024) KiB/s; hot set on node 0 $(resident_percent hot 0) %, free $(free_bp 0) bp"
}

# --- tierd

say "kernel $(uname -r), span $SPAN s"
[ "$DAMO" = no ] || {
	dpkg -i /root/damo.deb >/out/dpkg.log 2>&1
	same "dpkg -i" $? 0
}
memload_start --set cold:fill-5%@0 --set hot:${HOT}M@2:touch --thp never --pass-every 30ms
started=$(now_ms)
tierd_start || { failed=1; finish; }
has_arrived() { is_resident hot 0 95; }
wait_for 300 has_arrived || {
	say "FAILED: the hot set has not arrived: $(resident_percent hot 0) % of it"
	failed=1
}
say "tierd: hot set on node 0 after $(($(now_ms) - started)) ms, unit's CPU till then $(unit_us tierd usage_usec) us"
sleep "$REST"

turns() { busctl get-property org.tierd1 /org/tierd1 org.tierd1.Manager Turns | cut -d' ' -f2; }
turns_before=$(turns)
journal_mark
journal_before=$(journal_end)
per_thread "$tierd" >/out/threads.before
w0=$(switches voluntary "$tierd") n0=$(switches nonvoluntary "$tierd")
r0=$(io "$tierd" syscr) s0=$(io "$tierd" syscw) b0=$(io "$tierd" rchar)
u0=$(unit_us tierd user_usec) k0=$(unit_us tierd system_usec)
span_begin
sleep "$SPAN"
took=$(($(now_ms) - span_start))
u=$(($(unit_us tierd user_usec) - u0)) k=$(($(unit_us tierd system_usec) - k0))
w=$(($(switches voluntary "$tierd") - w0)) n=$(($(switches nonvoluntary "$tierd") - n0))
r=$(($(io "$tierd" syscr) - r0)) s=$(($(io "$tierd" syscw) - s0)) b=$(($(io "$tierd" rchar) - b0))
span_end tierd
per_thread "$tierd" >/out/threads.after
turns=$(($(turns) - turns_before))
cat /out/threads.before /out/threads.after
journalctl --sync
journal_grown=$(($(journal_end) - journal_before))
journalctl -q -o export --after-cursor "$journal_marked" _SYSTEMD_UNIT=tierd.service >/run/export
entries=$(grep -c '^__CURSOR=' /run/export) exported=$(wc -c </run/export)
head -c 20000 /run/export >/out/export
others=$(($(journalctl -q -o export --after-cursor "$journal_marked" | grep -c '^__CURSOR=') - entries))

say "tierd: CPU $(per 3600 $((u + k)) 1000000) s/h (user $(per 3600 "$u" 1000000), system $(per 3600 "$k" 1000000))"
say "tierd: RSS $(memory_kib "$tierd" Rss) KiB, PSS $(memory_kib "$tierd" Pss) KiB, private $(($(memory_kib "$tierd" Private_Dirty) + $(memory_kib "$tierd" Private_Clean))) KiB, its cgroup $(($(systemctl show -P MemoryCurrent tierd) / 1024)) KiB"
say "tierd: turns $(per 60 $turns)/min"
say "tierd: wake-ups $(per 60 $w)/min, preempted $(per 60 $n)/min"
say "tierd: journal $(per 3600 "$exported") bytes/h in $(per 3600 "$entries") entries/h as exported; the journal file grew by $(per 3600 "$journal_grown") bytes/h ($others entries of others in the span)"
say "tierd: reads $(per 60 $r)/min of $(per 60 $b) bytes/min, writes $(per 60 $s)/min"
tierd_stop
same "kdamonds left" "$(cat "$DAMON/nr_kdamonds")" 0

# --- damo

[ "$DAMO" = yes ] || {
	memload_end
	finish
}
# Runs a command, and appends to FILE its CPU in microseconds, largest resident KiB, and voluntary switches.
measured() { # FILE COMMAND...
	python3 -c '
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:], stdin=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "a") as f:
    print(int((used.ru_utime + used.ru_stime) * 1e6), used.ru_maxrss, used.ru_nvcsw, file=f)
sys.exit(status)' "$@"
}
total() { awk -v field="$2" '{ s += $field } END { printf "%.0f\n", s }' "$1"; } # FILE FIELD
largest() { awk -v field="$2" '$field > m { m = $field } END { printf "%d\n", m }' "$1"; } # FILE FIELD
python_processes() { grep -laz 'bin/[d]amo' /proc/[0-9]*/cmdline 2>/dev/null | wc -l; }

say "damo $(dpkg-query -W -f '${Version}' damo), $(python3 --version)"
[ ! -e /sys/module/damon_stat ] || measured /run/damo.start damo module stat write enabled N >>/out/damo.log 2>&1
intervals="--monitoring_intervals 5ms 100ms 1s --monitoring_nr_regions_range 10 1000 --monitoring_intervals_goal 4% 3 5ms 10s"
quota="--damos_apply_interval 1s --damos_quota_interval 1s --damos_quota_space 200MB --damos_quota_weights 0 100 100"
# shellcheck disable=SC2086 # several words
measured /run/damo.start damo start \
	--numa_node 0 $intervals --damos_action migrate_cold 1 --damos_access_rate 0% 0% $quota \
	--damos_quota_goal node_mem_free_bp 0.5% 0 --damos_filter reject young \
	--numa_node 1 $intervals --damos_action migrate_hot 0 --damos_access_rate 5% max $quota \
	--damos_quota_goal node_mem_used_bp 99.7% 0 --damos_filter allow young \
	--damos_nr_quota_goals 1 1 --damos_nr_filters 1 1 --nr_targets 1 1 --nr_schemes 1 1 --nr_ctxs 1 1 >>/out/damo.log 2>&1
same "damo start" $? 0
same "kdamonds of damo" "$(running_kdamonds)" 2
say "damo: starting: CPU $(($(total /run/damo.start 1) / 1000)) ms, at most $(largest /run/damo.start 2) KiB resident; processes left: $(python_processes)"
for k in "$DAMON"/[0-9]*; do
	for f in contexts/0/targets/0/regions/nr_regions contexts/0/schemes/0/action contexts/0/schemes/0/target_nid \
		contexts/0/schemes/0/quotas/goals/0/target_metric contexts/0/schemes/0/quotas/goals/0/target_value \
		contexts/0/schemes/0/quotas/goals/0/nid; do
		echo "$k/$f $(cat "$k/$f")"
	done
done >>/out/damo.log 2>&1
sleep "$REST"

# As tierd tells of itself, an operator of damo has to ask.
span_begin
polls=0
while [ $(($(now_ms) - span_start)) -lt $((DAMO_SPAN * 1000)) ]; do
	next=$((span_start + (polls + 1) * POLL * 1000 - $(now_ms)))
	[ $next -le 0 ] || usleep $((next * 1000))
	measured /run/damo.poll damo report damon --damos_stats >/run/damo.report 2>&1 || failed=1
	polls=$((polls + 1))
done
span_end damo
cp /run/damo.report /out/damo.report
say "damo: a look takes CPU $(($(total /run/damo.poll 1) / 1000 / polls)) ms, $(largest /run/damo.poll 2) KiB resident, $(($(total /run/damo.poll 3) / polls)) wake-ups; every $POLL s: $(per 3600 "$(total /run/damo.poll 1)" 1000000) s/h"
same "damo's kdamonds at the end" "$(running_kdamonds)" 2
measured /run/damo.stop damo stop >>/out/damo.log 2>&1
same "damo stop" $? 0
memload_end
finish
