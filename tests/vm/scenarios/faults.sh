# A failure at every write of a start, one run of tierd for each: always restored, always one error that names path, value and
# errno. STRIDE=1 tries every write, 16 every 16th and the first ones, where all are different. FROM begins at that one.
# file: build/failwrite.so:/root/failwrite.so
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
STRIDE=16
FROM=1
# shellcheck disable=SC1091
[ ! -r /root/settings ] || . /root/settings

mkdir -p /sys/fs/cgroup/db.slice
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
cat >/run/faults.yaml <<'YAML'
system: {numa_balancing: off, reclaim_demotion: on}
exclude: [{cgroup: /db.slice}, {type: file}]
YAML
# It cannot tell such pages apart, patched or not.
case $(uname -r) in 6.1.*) sed -i '/^exclude/d' /run/faults.yaml ;; esac

# Everything that tierd could have touched, with content.
everything() {
	system_values
	find /sys/kernel/mm/damon -type f -perm -400 | sort | while read -r f; do
		echo "$f $(cat "$f" 2>/dev/null)"
	done
}
everything >/run/before
# Reclaim demotion and NUMA balancing are on the other side, so that both are written.
same "values that tierd would change" "$(grep -c -e 'numa_balancing [1-9]' -e 'demotion_enabled false' /run/before)" 2

tierd_fails() { # ENVIRONMENT...: runs until it is managing, or has ended
	rm -f /run/tierd.log /run/writes
	env "$@" LD_PRELOAD=/root/failwrite.so FAIL_COUNT_FILE=/run/writes \
		tierd --foreground --config /run/faults.yaml >/run/tierd.log 2>&1 &
	tierd=$!
	wait_for 120 tierd_is_decided || say "FAILED: tierd neither started nor ended"
}
failed_now() { # WORDS...
	say "FAILED write $n ($(sed -n "${n}p" /run/writes)), $errno: $*"
	sed 's/^/    /' /run/tierd.log | head -n 5 | tee -a /out/figures
	failed=1
}

# Without a fault: how many writes there are.
tierd_fails FAIL_WRITE=0
grep -q managing /run/tierd.log || say "FAILED: tierd does not start: $(cat /run/tierd.log)"
cp /run/writes /out/writes
# Where the guest is slow the first turn has begun by now: it asks for the counts first, which a start does not. A turn that fails
# is another matter (docs/reliability.md).
writes=$(awk '/ update_schemes_stats$/ { exit } { n++ } END { print n + 0 }' /run/writes)
kill -TERM "$tierd"
wait "$tierd"
everything >/run/after
same "values changed by a start and a stop" "$(diff /run/before /run/after | grep -c '^[-+]/')" 0
check "writes of a start, at least" "$writes" 100 100000

tried=0 told=0 answers=0
start=$(now_ms)
n=$FROM
while [ "$n" -le "$writes" ]; do
	# EIO, ENOMEM, EINVAL, EROFS, and EBUSY for longer than anyone waits; each write has its own.
	case $((n % 5)) in
	0) errno=5 words='Input/output error' stays=0 ;;
	1) errno=12 words='Cannot allocate memory' stays=0 ;;
	2) errno=22 words='Invalid argument' stays=0 ;;
	3) errno=30 words='Read-only file system' stays=1 ;;
	4) errno=16 words='Device or resource busy' stays=1 ;;
	esac
	tierd_fails FAIL_WRITE="$n" FAIL_ERRNO="$errno" FAIL_STAYS="$stays"
	write=$(sed -n "${n}p" /run/writes)
	path=${write%% *} value=${write#* }
	tried=$((tried + 1))
	if grep -q managing /run/tierd.log; then
		# A keyword that the kernel refuses is one that it does not know; and NUMA balancing may be another's to set.
		case $errno:$path in
		22:*/0/contexts/0/schemes/0/* | 30:*/numa_balancing) answers=$((answers + 1)) ;;
		*) failed_now "tierd started all the same" ;;
		esac
		kill -TERM "$tierd"
		wait "$tierd" || failed_now "tierd did not end well: $?"
	else
		wait "$tierd"
		status=$?
		[ $status -eq 1 ] || failed_now "exit status $status"
		if grep -qF "$path: cannot write \"$value\": $words" /run/tierd.log; then
			told=$((told + 1))
		elif [ "$errno" = 22 ] && grep -q 'cannot migrate between nodes' /run/tierd.log; then
			answers=$((answers + 1))
		else
			failed_now "the error does not say path, value and errno"
		fi
		[ "$(grep -c 'cannot write\|cannot put back' /run/tierd.log)" -le 1 ] || failed_now "more than one error"
	fi
	everything >/run/after
	if ! diff /run/before /run/after >/run/difference || [ -e /run/tierd/state ]; then
		failed_now "not as it was: $(head -n 3 /run/difference | tr '\n' ' ')"
		tierd --restore || say "FAILED: tierd --restore: $?"
	fi
	n=$((n + (n < 40 && STRIDE > 4 ? 3 : STRIDE)))
done
say "$tried of $writes writes failed, one start each: $told told, $answers taken for an answer; $((($(now_ms) - start) / 1000)) s"
finish
