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
refused() { # NAME PATTERN OPTION...: tierd must exit with 1, say PATTERN, and leave everything as it was
	name=$1 pattern=$2
	shift 2
	$look >/run/before
	tierd "$@" >/run/refused.log 2>&1
	same "$name: exit status" $? 1
	$look >/run/after
	if grep -q "$pattern" /run/refused.log; then say "ok $name: $(head -n 1 /run/refused.log)"; else
		say "FAILED $name: \"$pattern\" is not in: $(cat /run/refused.log)"
		failed=1
	fi
	same "$name: values changed" "$(diff /run/before /run/after | grep -c '^[-+]/')" 0
}
holder=no
stat=/sys/module/damon_stat/parameters/enabled
if [ -r $stat ]; then
	holder=$(cat $stat)
	say "DAMON_STAT at boot: $holder"
fi
printf 'system: {exclusive_modules: refuse}\n' >/run/refuse.yaml
if [ "$holder" = Y ]; then
	refused "exclusive_modules: refuse" "damon_stat" --config /run/refuse.yaml
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

printf 'demote:\n  goal: {free: 105%%}\n' >/run/bad.yaml
refused "a bad configuration" "bad.yaml:2:16: " --config /run/bad.yaml

# DAMON_STAT running does not stop tierd; a second tierd is refused; SIGTERM puts everything back.
system_values >/run/found
tierd_start
[ "$holder" != Y ] || same "DAMON_STAT under tierd" "$(cat $stat)" N
# (The counts of DAMON go on under the first one.)
look=system_values
refused "a second tierd" "another tierd is running"
same "kdamonds running" "$(running_kdamonds)" 3
tierd_stop
system_values >/run/after
same "values changed and not put back" "$(diff /run/found /run/after | grep -c '^[-+]/')" 0

# Killed: tierd --restore puts everything back; and a tierd that finds such a record does so first.
tierd_start
kill -KILL "$tierd"
wait "$tierd" 2>/dev/null
tierd --restore
same "tierd --restore" $? 0
system_values >/run/after
same "values changed and not put back after SIGKILL" "$(diff /run/found /run/after | grep -c '^[-+]/')" 0
tierd_start
kill -KILL "$tierd"
wait "$tierd" 2>/dev/null
tierd_start
same "kdamonds running after a restart" "$(running_kdamonds)" 3
tierd_stop
system_values >/run/after
same "values changed and not put back after a restart" "$(diff /run/found /run/after | grep -c '^[-+]/')" 0
finish
