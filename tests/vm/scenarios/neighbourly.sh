# tierd and those who were there first: another user's kdamonds, DAMON_STAT, a second tierd, a killed tierd.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh

# Everything that tierd could have touched, with content.
everything() {
	system_values
	find /sys/kernel/mm/damon -type f -perm -400 2>/dev/null | sort | while read -r f; do
		echo "$f $(cat "$f" 2>/dev/null)"
	done
}
look=everything
refused() { # NAME PATTERN [FILE]: tierd, started with this configuration, must fail, say PATTERN, and leave everything as it was
	name=$1
	$look >/run/before
	case $INIT in
	systemd)
		unit_configure "${3-}"
		journal_mark
		systemctl start tierd 2>/run/systemctl.log
		same "$name: systemctl's exit status" $? 1
		# It would be tried again.
		systemctl stop tierd
		unit_forget
		tierd_log >/run/refused.log
		# Of the first step, or of the daemon.
		same "$name: exits with 1" "$(grep -c 'process exited, code=exited, status=1/FAILURE' /run/refused.log)" 1
		;;
	*)
		tierd ${3:+--config "$3"} >/run/refused.log 2>&1
		same "$name: exit status" $? 1
		;;
	esac
	refused_well "$name" "$2"
}
refused_well() { # NAME PATTERN
	$look >/run/after
	if grep -q "$2" /run/refused.log; then say "ok $1: $(grep -m 1 "$2" /run/refused.log)"; else
		say "FAILED $1: \"$2\" is not in: $(cat /run/refused.log)"
		failed=1
	fi
	same "$1: values changed" "$(diff /run/before /run/after | grep -c '^[-+]/')" 0
}
all_put_back() { # NAME
	system_values >/run/after
	same "values changed and not put back$1" "$(diff /run/found /run/after | grep -c '^[-+]/')" 0
}
holder=no
stat=/sys/module/damon_stat/parameters/enabled
if [ -r $stat ]; then
	holder=$(cat $stat)
	say "DAMON_STAT at boot: $holder"
fi
printf 'system: {exclusive_modules: refuse}\n' >/run/refuse.yaml
if [ "$holder" = Y ]; then
	refused "exclusive_modules: refuse" "damon_stat" /run/refuse.yaml
	echo N >$stat
fi

# Another user: staged only, then running.
echo 1 >$DAMON/nr_kdamonds
refused "another user, staged" "kdamond"
echo 1 >$DAMON/0/contexts/nr_contexts
ctx=$DAMON/0/contexts/0
echo paddr >$ctx/operations
echo 1 >$ctx/targets/nr_targets
echo 1 >$ctx/targets/0/regions/nr_regions
echo $((4 << 30)) >$ctx/targets/0/regions/0/start
echo $((5 << 30)) >$ctx/targets/0/regions/0/end
echo on >$DAMON/0/state
same "the other user's kdamond" "$(cat $DAMON/0/state)" on
refused "another user, running" "pid $(cat $DAMON/0/pid)"
same "the other user's kdamond still" "$(cat $DAMON/0/state)" on
echo off >$DAMON/0/state
echo 0 >$DAMON/nr_kdamonds
[ "$holder" != Y ] || echo Y >$stat

printf 'demote:\n  goal: {free: 105%%}\n' >/run/tierd.yaml
refused "a bad configuration" "tierd.yaml:2:16: " /run/tierd.yaml

# DAMON_STAT running does not stop tierd; a second tierd is refused; an order to stop puts everything back.
system_values >/run/found
tierd_start
[ "$holder" != Y ] || same "DAMON_STAT under tierd" "$(cat $stat)" N
# (The counts of DAMON go on under the first one.)
look=system_values
$look >/run/before
tierd >/run/refused.log 2>&1
same "a second tierd: exit status" $? 1
refused_well "a second tierd" "another tierd is running"
same "kdamonds running" "$(running_kdamonds)" 3
tierd_stop
all_put_back ""

# Killed: tierd --restore puts everything back; and a tierd that finds such a record does so first.
case $INIT in
systemd)
	# The unit alone puts things back, where nothing starts tierd anew.
	mkdir -p /run/systemd/system/tierd.service.d
	printf '[Service]\nRestart=no\n' >/run/systemd/system/tierd.service.d/test.conf
	systemctl daemon-reload
	tierd_start
	same "kdamonds running" "$(running_kdamonds)" 3
	tierd_kill
	unit_has_failed() { [ "$(systemctl show -P ActiveState tierd)" = failed ]; }
	wait_for 60 unit_has_failed
	same "the service's result" "$(systemctl show -P Result tierd)" signal
	all_put_back " after SIGKILL"
	# Nothing puts things back, and the record outlives the service.
	printf 'ExecStopPost=\n' >>/run/systemd/system/tierd.service.d/test.conf
	systemctl daemon-reload
	tierd_start
	tierd_kill
	wait_for 60 unit_has_failed
	same "a record after SIGKILL, without the last step" "$([ -s /run/tierd/state ] && echo there)" there
	tierd_start
	same "kdamonds running after a restart" "$(running_kdamonds)" 3
	rm /run/systemd/system/tierd.service.d/test.conf
	systemctl daemon-reload
	unit_forget
	# The unit as it is: put back, and started anew.
	killed=$tierd
	tierd_kill
	unit_manages_anew() {
		tierd=$(systemctl show -P MainPID tierd)
		[ "$(systemctl show -P ActiveState tierd)" = active ] && [ "$tierd" != "$killed" ]
	}
	wait_for 60 unit_manages_anew
	same "restarts by systemd" "$(systemctl show -P NRestarts tierd)" 1
	;;
*)
	tierd_start
	tierd_kill
	tierd --restore
	same "tierd --restore" $? 0
	all_put_back " after SIGKILL"
	tierd_start
	tierd_kill
	tierd_start
	;;
esac
same "kdamonds running after a restart" "$(running_kdamonds)" 3
tierd_stop
all_put_back " after a restart"
finish
