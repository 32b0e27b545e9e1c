# The service's sandbox, from within and from without; who may do what over the bus; a tierd that hangs.
# init: systemd
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh

dropin() { # TEXT: settings of the service beside its own; none to remove them
	rm -rf /run/systemd/system/tierd.service.d
	if [ -n "$1" ]; then
		mkdir -p /run/systemd/system/tierd.service.d
		printf '[Service]\n%b' "$1" >/run/systemd/system/tierd.service.d/test.conf
	fi
	systemctl daemon-reload
}

# --- from without
metrics=/var/lib/prometheus/node-exporter
mkdir -p $metrics
printf 'telemetry: {interval: 1s, metrics_file: %s/tierd.prom}\n' $metrics >/run/tierd.yaml
# A system call that the filter does not have would end it, rather than fail unseen.
dropin "ReadWritePaths=$metrics\nSystemCallErrorNumber=kill\n"
system_values >/run/found
tierd_start /run/tierd.yaml || finish
exposure=$(systemd-analyze security --no-pager tierd.service | sed -n 's/.*exposure level for tierd.service: \([0-9]*\)\.\([0-9]\).*/\1\2/p')
check "exposure by systemd-analyze security, tenths" "${exposure:-100}" 0 15
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$tierd/status"; }
for set in CapInh CapPrm CapEff CapBnd CapAmb; do same "$set" "$(status $set)" 0000000000000000; done
same "NoNewPrivs" "$(status NoNewPrivs)" 1
same "Seccomp" "$(status Seccomp)" 2
for namespace in user net mnt; do
	same "a $namespace namespace of its own" \
		"$([ "$(readlink "/proc/$tierd/ns/$namespace")" != "$(readlink /proc/1/ns/$namespace)" ] && echo yes)" yes
done
# Which the sandbox must let it: tierd goes on without.
same "locked memory" "$(status VmLck | grep -qv '^ *0 kB' && echo yes)" yes
same "its memory's policy" "$(sed -n '1s/.* \(prefer[^:]*:[0-9,-]*\) .*/\1/p' "/proc/$tierd/numa_maps")" "prefer (many):0"
same "oom_score_adj" "$(cat "/proc/$tierd/oom_score_adj")" -900
wait_for 30 test -s $metrics/tierd.prom
same "the metrics file, its mode" "$(stat -c %a $metrics/tierd.prom)" 644
same "what it wrote is valid for a reader" "$(grep -c '^tierd_' $metrics/tierd.prom | sed 's/^[1-9][0-9]*$/yes/')" yes

# --- the bus
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
call() { busctl -q --timeout=60 call org.tierd1 /org/tierd1 org.tierd1.Manager "$@"; }
property() { busctl get-property org.tierd1 /org/tierd1 org.tierd1.Manager "$1"; }
wait_for 30 property State >/dev/null
same "anyone reads the state" "$(nobody busctl get-property org.tierd1 /org/tierd1 org.tierd1.Manager State)" 's "managing"'
reloads=$(property Reloads)
for method in Reload Pause Resume; do
	nobody busctl -q --timeout=60 call org.tierd1 /org/tierd1 org.tierd1.Manager $method 2>/run/refused
	same "nobody's $method" $? 1
	same "nobody's $method is refused by polkit" "$(grep -c 'polkit wants a password' /run/refused)" 1
done
same "reloads by then" "$(property Reloads)" "$reloads"
same "paused by then" "$(property Paused)" "b false"
call Pause
same "root's Pause" "$? $(property Paused)" "0 b true"
call Resume
same "root's Resume" "$? $(property Paused)" "0 b false"
systemctl reload tierd
same "systemctl reload" "$? $(property Reloads)" "0 t 1"
same "the same process" "$(systemctl show -P MainPID tierd)" "$tierd"
mkdir -p /etc/polkit-1/rules.d
cat >/etc/polkit-1/rules.d/10-test.rules <<'RULES'
polkit.addRule(function(action, subject) {
	if (action.id == "org.tierd1.pause" && subject.user == "nobody") return polkit.Result.YES;
});
RULES
systemctl restart polkit
nobody busctl -q --timeout=60 call org.tierd1 /org/tierd1 org.tierd1.Manager Pause
same "Pause by one whom polkit authorises" "$? $(property Paused)" "0 b true"
nobody busctl -q --timeout=60 call org.tierd1 /org/tierd1 org.tierd1.Manager Resume
same "Resume by the same" "$? $(property Paused)" "0 b false"
nobody busctl -q --timeout=60 call org.tierd1 /org/tierd1 org.tierd1.Manager Reload 2>/run/refused
same "Reload by the same" $? 1
same "the log level" "$(systemctl service-log-level tierd)" info
systemctl service-log-level tierd debug
same "the log level, changed" "$(systemctl service-log-level tierd)" debug
tierd_stop
nobody busctl get-property org.tierd1 /org/tierd1 org.tierd1.Manager State 2>/run/refused
same "a question does not start what was stopped" "$? $(systemctl show -P ActiveState tierd)" "1 inactive"

# --- from within: a probe in the place of the daemon
cat >/run/probe <<'PROBE'
can_write() { if sh -c ': >>"$1"' sh "$1" 2>/dev/null; then echo "$1: written"; else echo "$1: refused"; fi; }
for f; do [ ! -e "$f" ] || can_write "$f"; done
can_write /run/tierd/probe
can_write /tmp/probe
for f in /run/probe.new /etc/probe /usr/sbin/probe /var/lib/probe /var/tmp/../probe /dev/probe /root/probe; do can_write $f; done
refused() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name: done"; else echo "$name: refused"; fi; }
refused "signal to PID 1" kill -0 1
refused "signal to a process of nobody's" kill -0 "$OTHER"
refused "change of owner" chown 1 /run/tierd/probe
refused "set-user-ID" chmod u+s /run/tierd/probe
refused "another niceness" nice -n 5 sh -c '[ "$(nice)" = 5 ]'
refused "a namespace" unshare --net true
refused "a mount" mount -t tmpfs none /tmp
refused "a device" mknod /tmp/mem c 1 1
refused "an internet socket" busybox nc -w 1 -l -p 9999 -e true
refused "kernel's log" dmesg
refused "the clock" date -s '2001-01-01'
echo "interfaces: $(sed -n 's/^ *\([a-z0-9]*\):.*/\1/p' /proc/net/dev | tr '\n' ' ')"
echo "homes: $(ls -A /root /home 2>/dev/null | grep -v :)"
echo "devices of note: $(ls /dev/mem /dev/kmem /dev/port /dev/ttyS0 /dev/kmsg 2>/dev/null)"
echo "a kernel thread's CPU time: $(awk '{ print ($14 + $15 >= 0) ? "read" : "" }' "/proc/$KTHREAD/stat")"
echo "another's environment: $(tr '\0' ' ' <"/proc/1/environ" 2>/dev/null)"
echo "NUMA balancing: $(cat /proc/sys/kernel/numa_balancing)"
# The kernel's word of memory that changes; whoever started this changes some until it ends.
udevadm monitor --kernel --subsystem-match=memory >/run/tierd/uevents 2>/dev/null &
monitor=$!
n=0
until grep -q memory /run/tierd/uevents || [ $n -gt 300 ]; do
	busybox usleep 100000
	n=$((n + 1))
	: >/run/tierd/listening
done
echo "uevents: $(grep -c 'change .*/memory/memory' /run/tierd/uevents | sed 's/^[1-9][0-9]*$/heard/')"
echo end
PROBE
setpriv --reuid=65534 --regid=65534 --clear-groups sleep 1000 &
other=$!
kthread=$(pgrep -x kswapd0)
sed -e '/^Exec/d' -e '/^Type=/d' -e '/^NotifyAccess=/d' -e '/^BusName=/d' -e '/^Restart/d' -e '/^WatchdogSec/d' -e '/^WantedBy/d' \
	/usr/lib/systemd/system/tierd.service >/run/systemd/system/probe.service
changeable="/sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds /sys/kernel/mm/numa/demotion_enabled
	/sys/module/damon_stat/parameters/enabled /sys/module/damon_reclaim/parameters/enabled /sys/module/damon_lru_sort/parameters/enabled"
unchangeable="/proc/sys/kernel/numa_balancing /proc/sys/vm/swappiness /sys/kernel/mm/transparent_hugepage/enabled /sys/kernel/mm/ksm/run
	/sys/devices/system/memory/memory1/state /sys/module/workqueue/parameters/power_efficient /sys/fs/cgroup/cgroup.subtree_control
	/etc/passwd /etc/tierd.yaml /usr/sbin/tierd"
# shellcheck disable=SC2086 # lists
printf '[Service]\nType=oneshot\nStandardOutput=file:/run/probe.out\nEnvironment=OTHER=%s KTHREAD=%s PATH=%s\nExecStart=sh /run/probe %s\n' \
	"$other" "$kthread" "$PATH" "$(printf '%s ' $changeable $unchangeable)" >>/run/systemd/system/probe.service
touch /etc/tierd.yaml
dropin ""
(
	until grep -qx end /run/probe.out 2>/dev/null; do
		[ ! -e /run/tierd/listening ] || echo change >/sys/devices/system/memory/memory1/uevent
		usleep 200000
	done
) &
systemctl start probe
same "the probe" $? 0
cp /run/probe.out /out/
found() { sed -n "s,^$1: ,,p" /run/probe.out; }
for f in $changeable /run/tierd/probe /tmp/probe; do
	case $f in /sys/*) [ -e "$f" ] || continue ;; esac
	same "$f" "$(found "$f")" written
done
for f in $unchangeable /run/probe.new /etc/probe /usr/sbin/probe /var/lib/probe /dev/probe /root/probe; do
	case $f in /sys/* | /proc/*) [ -e "$f" ] || continue ;; esac
	same "$f" "$(found "$f")" refused
done
for what in "signal to PID 1" "signal to a process of nobody's" "change of owner" "set-user-ID" "another niceness" \
	"a namespace" "a mount" "a device" "an internet socket" "kernel's log" "the clock"; do
	same "$what" "$(found "$what")" refused
done
same "interfaces" "$(found interfaces)" "lo "
same "homes" "$(found homes)" ""
same "devices of note" "$(found "devices of note")" ""
same "a kernel thread's CPU time" "$(found "a kernel thread's CPU time")" read
same "another's environment" "$(found "another's environment")" ""
same "NUMA balancing, to be read" "$(found "NUMA balancing")" "$(cat /proc/sys/kernel/numa_balancing)"
same "uevents" "$(found uevents)" heard
kill "$other"

# --- one that hangs: the watchdog ends it, everything is put back, and it is started anew
dropin "WatchdogSec=15s\n"
unit_forget
tierd_start || finish
hung=$tierd
kill -STOP "$tierd"
manages_anew() {
	tierd=$(systemctl show -P MainPID tierd)
	[ "$(systemctl show -P ActiveState tierd)" = active ] && [ "$tierd" != "$hung" ] && [ "$tierd" != 0 ]
}
wait_for 120 manages_anew
same "ends by the watchdog" "$(tierd_log | grep -c 'Watchdog timeout')" 1
same "restarts after it" "$(systemctl show -P NRestarts tierd)" 1
same "kdamonds running after it" "$(running_kdamonds)" 3

# --- the kernel may take longer over its commands than the watchdog's time: systemd is asked for more
unit_forget
same "the watchdog's time" "$(systemctl show -P WatchdogUSec tierd)" 15s
patient=$tierd
tierd_reload 'monitoring: {aggregate: 5s}'
same "a reload to aggregations of five seconds" $? 0
same "the watchdog's time now" "$(systemctl show -P WatchdogUSec tierd)" "2min 45s"
turns=$(property Turns)
more_turns() { [ "$(property Turns | cut -d ' ' -f 2)" -ge $((${turns#t } + 2)) ]; }
wait_for 240 more_turns
same "turns go well meanwhile, in the same process" "$? $(systemctl show -P MainPID tierd)" "0 $patient"
tierd_stop
system_values >/run/after
same "values changed and not put back" "$(diff /run/found /run/after | grep -c '^[-+]/')" 0
finish
