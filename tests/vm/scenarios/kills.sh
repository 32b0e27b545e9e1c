# tierd is killed with SIGKILL at random moments: while it starts, manages, reloads and stops. After each, the system is either
# wholly managed again or wholly as it was before tierd. COUNT kills; with INIT=systemd it is the unit that restores and restarts.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
COUNT=40
SEED=1
INIT=
# shellcheck disable=SC1091
[ ! -e /root/settings ] || . /root/settings

random() { # BELOW: the next of the seed's whole numbers, in $drawn
	SEED=$(((SEED * 1103515245 + 12345) % 2147483648))
	drawn=$((SEED / 65536 % $1))
}
values() { system_values; }
values >/run/found
as_found() {
	values >/run/after
	cmp -s /run/found /run/after
}
is_managed() { [ "$(running_kdamonds 2>/dev/null)" = 3 ]; }
kmsg=$(dmesg | wc -l)

first='telemetry: {interval: 1s}'
other='telemetry: {interval: 1s}
demote: {min_age: 2s}
monitoring: {sample: 6ms, aggregate: 120ms}'
flip() {
	if [ "$(head -n 2 "$config" | tail -n 1)" = "" ]; then echo "$other" >"$config"; else echo "$first" >"$config"; fi
}
bad() { # SENTENCE
	say "FAILED kill $i ($phase after $delay ms): $1"
	diff /run/found /run/after >>/out/figures
	failed=1
}

if [ "$INIT" = systemd ]; then
	config=/etc/tierd.yaml
	mkdir -p /run/systemd/system/tierd.service.d
	printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=100ms\n' >/run/systemd/system/tierd.service.d/kills.conf
	systemctl daemon-reload
	begin() { systemctl start --no-block tierd; }
	begin_stop() { systemctl stop --no-block tierd; }
	reload() { systemctl kill -s HUP tierd; }
	pid_of() { systemctl show -P MainPID tierd; }
	# Killed while starting or managing: the unit puts everything back, and starts it again.
	after_kill() {
		wait_for 120 is_up || bad "not managed again: $(systemctl is-active tierd), $(running_kdamonds) kdamonds"
	}
	is_up() { [ "$(systemctl is-active tierd)" = active ] && is_managed; }
	end() {
		systemctl stop tierd
		systemctl reset-failed tierd 2>/dev/null
		wait_for 60 as_found || bad "not as it was found"
	}
	is_ended() { [ "$(systemctl show -P SubState tierd)" = dead ] || [ "$(systemctl show -P SubState tierd)" = failed ]; }
else
	config=/run/tierd.yaml
	begin() {
		tierd --foreground --config "$config" >>/run/tierd.log 2>&1 &
		pid=$!
	}
	begin_stop() { kill -TERM "$pid"; }
	reload() { kill -HUP "$pid"; }
	pid_of() { echo "$pid"; }
	# By turns: restored by --restore alone; taken over by the next start.
	after_kill() {
		wait "$pid" 2>/dev/null
		if [ $((i % 2)) = 0 ]; then
			tierd --restore >>/run/tierd.log 2>&1 || bad "--restore failed"
			as_found || bad "--restore: not as it was found"
		fi
		begin
		wait_for 120 is_managed || bad "not managed again: $(running_kdamonds) kdamonds"
	}
	end() {
		kill -TERM "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
		[ ! -e /run/tierd/state ] || tierd --restore >>/run/tierd.log 2>&1
		as_found || bad "not as it was found"
	}
	is_ended() { ! kill -0 "$pid" 2>/dev/null; }
fi
strike() { # after DELAY milliseconds
	usleep $((delay * 1000))
	victim=$(pid_of)
	[ "$victim" = 0 ] || [ -z "$victim" ] || kill -KILL "$victim" 2>/dev/null || missed=$((missed + 1))
}

echo "$first" >$config
i=0
missed=0
starts=0 steady=0 reloads=0 stops=0
while [ $i -lt "$COUNT" ]; do
	i=$((i + 1))
	random 4
	case $drawn in
	0)
		random 1500
		phase=start delay=$drawn starts=$((starts + 1))
		begin
		strike
		after_kill
		end
		;;
	1)
		random 1500
		phase=steady delay=$drawn steady=$((steady + 1))
		begin
		wait_for 120 is_managed || bad "did not start"
		strike
		after_kill
		end
		;;
	2)
		random 800
		phase=reload delay=$drawn reloads=$((reloads + 1))
		begin
		wait_for 120 is_managed || bad "did not start"
		flip
		reload
		strike
		after_kill
		end
		;;
	*)
		random 150
		phase=stop delay=$drawn stops=$((stops + 1))
		begin
		wait_for 120 is_managed || bad "did not start"
		begin_stop
		strike
		wait_for 120 is_ended || bad "does not end"
		end
		;;
	esac
done
say "kills: $COUNT (start $starts, managing $steady, reload $reloads, stop $stops), of which $missed came after the end"
as_found || bad "at the end not as it was found"
# A kill that comes when tierd has ended shows nothing; only stopping ends by itself.
check "kills that struck" $((COUNT - missed)) $((COUNT / 2)) "$COUNT"
same "a record left behind" "$(find /run/tierd -name state -o -name privileged 2>/dev/null | wc -l)" 0
same "warnings of the kernel" "$(dmesg | tail -n +$((kmsg + 1)) | grep -ciE 'warn|bug:|oops|call trace|hung task')" 0
[ ! -e /run/tierd.log ] || gzip -c /run/tierd.log >/out/tierd.log.gz
finish
