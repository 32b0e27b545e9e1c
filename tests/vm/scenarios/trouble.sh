# What goes wrong on a server while tierd runs as its service, one after the other: kdamonds switched off, a busy interface, clocks
# that jump, a bus and a journal that go away, sysfs read-only, no room in /run. docs/reliability.md says what is to happen.
# init: systemd
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
# shellcheck disable=SC1091
[ ! -e /root/settings ] || . /root/settings

is_managed() { [ "$(systemctl is-active tierd)" = active ] && [ "$(running_kdamonds)" = 3 ]; }
# Passes of node 0's first probe (behind its schemes, demote and age): they are brought up to date by tierd's turns alone.
counted() { attribute "$DAMON/0/contexts/0/schemes/2/stats/nr_tried"; }
goes_on() { # NAME: turns are made
	before=$(counted)
	if wait_for 60 sh -c ". /root/lib.sh; [ \$(attribute $DAMON/0/contexts/0/schemes/2/stats/nr_tried) -gt $before ]"; then
		say "ok $1: turns go on"
	else
		say "FAILED $1: no turn in 60 seconds"
		failed=1
	fi
}
logged() { # NAME PATTERN
	if wait_for 60 sh -c ". /root/lib.sh; journalctl -b -u tierd -o cat | grep -q '$2'"; then
		say "ok $1: $(journalctl -b -u tierd -o cat | grep "$2" | tail -n 1 | cut -c1-150)"
	else
		say "FAILED $1: \"$2\" is not in the journal"
		failed=1
	fi
}
pid() { systemctl show -P MainPID tierd; }

system_values >/run/found
echo 'telemetry: {interval: 2s}' >/run/trouble.yaml
tierd_start /run/trouble.yaml || {
	failed=1
	finish
}
first=$(pid)
goes_on "at first"

# Somebody switches a kdamond off.
wait_for 60 sh -c "echo off >$DAMON/1/state" 2>/dev/null
wait_for 60 is_managed
same "kdamonds after one was switched off" "$(running_kdamonds)" 3
logged "a kdamond switched off" "node 1: the kdamond had ended by itself; it was started again"

# Others that hold the interface's lock again and again.
for _ in 1 2 3 4; do
	sh -c "while :; do cat $DAMON/[0-2]/state $DAMON/nr_kdamonds; echo 0 >$DAMON/nr_kdamonds; done" >/dev/null 2>&1 &
	busy="${busy:-} $!"
done
goes_on "a busy interface"
goes_on "a busy interface, still"
# shellcheck disable=SC2086 # a list
kill $busy

# Clocks that jump.
date -s '+2 days' >/dev/null
goes_on "a clock two days ahead"
date -s '-3 days' >/dev/null
goes_on "a clock a day behind"
date -s '+1 day' >/dev/null

# The bus goes away, and comes back.
systemctl kill -s KILL dbus.service
systemctl stop dbus.socket dbus.service
goes_on "without a bus"
systemctl start dbus.socket dbus.service
if wait_for 60 busctl get-property org.tierd1 /org/tierd1 org.tierd1.Manager State; then
	say "ok a bus that is back: tierd answers"
else
	say "FAILED: tierd is not on the bus again"
	failed=1
fi

# The journal stops reading, and then takes it up again.
systemctl kill -s STOP systemd-journald.service
goes_on "a journal that does not read"
goes_on "a journal that does not read, still"
systemctl kill -s CONT systemd-journald.service
wait_for 60 systemctl is-active --quiet tierd
same "tierd's pid after all of this" "$(pid)" "$first"

# sysfs that cannot be written: tierd gives up, and so does the unit in the end; once it can be, a start puts things right.
# A file there that is open for writing is in the way, and tierd has one open for as long as a command takes the kernel.
read_only() { mount -o remount,ro /sys 2>/dev/null; }
wait_for 60 read_only || { say "FAILED read-only sysfs: it is busy all the time"; failed=1; }
given_up() { [ "$(systemctl is-active tierd)" != active ]; }
wait_for 120 given_up
logged "read-only sysfs" "Read-only file system"
mount -o remount,rw /sys
systemctl reset-failed tierd 2>/dev/null
systemctl start tierd
wait_for 60 is_managed
same "kdamonds after sysfs could be written again" "$(running_kdamonds)" 3
systemctl stop tierd
system_values >/run/after
same "values changed and not put back" "$(diff /run/found /run/after | grep -c '^[-+]/')" 0

# No room for the record: nothing is changed.
mkdir -p /run/tierd
mount -t tmpfs -o size=4k,mode=755 tmpfs /run/tierd
dd if=/dev/zero of=/run/tierd/full bs=4k count=1 2>/dev/null
journal_mark
systemctl start tierd
same "a start without room in /run" $? 1
system_values >/run/after
same "values changed" "$(diff /run/found /run/after | grep -c '^[-+]/')" 0
check "no space, told" "$(tierd_log | grep -c 'No space left on device')" 1 20
systemctl stop tierd
umount /run/tierd
systemctl reset-failed tierd 2>/dev/null
finish
