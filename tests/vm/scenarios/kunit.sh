# The kernel's own unit tests of DAMON, which a kernel of `build-kernel --debug` runs at boot: all that ran must have passed, and some
# must have run.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh

# One file for each suite, in KTAP; the cases stand indented below the suite's own line.
results=/sys/kernel/debug/kunit
passed=0
for suite in "$results"/*/results; do
	[ -r "$suite" ] || continue
	name=${suite%/results}
	name=${name##*/}
	cp "$suite" "/out/kunit-$name"
	ok=$(grep -cE '^ +ok [0-9]+' "$suite")
	skipped=$(grep -cE '^ +ok [0-9]+.*# SKIP' "$suite")
	same "$name: $((ok - skipped)) passed, $skipped skipped; failed" "$(grep -cE '^ *not ok [0-9]+' "$suite")" 0
	passed=$((passed + ok - skipped))
done
check "tests passed" $passed 1 10000
# What the log says of them, where a suite left no file.
same "lines of failure in the kernel log" "$(dmesg | grep -cE '\] *(# )?.*not ok [0-9]+ ')" 0
finish
