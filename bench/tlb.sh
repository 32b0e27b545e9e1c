# In the guest: how much of a set that is touched all the time shows an access bit, two passes and more after the bits were cleared as
# DAMON clears them, without a flush of the TLB. What it does not show, DAMON takes for cold. Leaves /out/tlb: flush every, set, percent
# seen, the median of three.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
echo 0 >/proc/sys/kernel/numa_balancing

# Of the largest mapping, which is the set: bytes with the bit set.
referenced_percent() {
	awk '
		$1 == "Size:" { size = $2 }
		$1 == "Rss:" { rss = $2 }
		$1 == "Referenced:" && size > largest { largest = size; percent = rss ? $2 * 100 / rss : 0 }
		END { printf "%.0f\n", percent }' "/proc/$memload/smaps"
}
is_ready() { grep -qs '"ready"' /run/tlb.json; }
passes() { tail -n 1 /run/tlb.json | sed -n 's/.*"passes":\([0-9]*\).*/\1/p'; }
# The last sample may be as old as the interval.
have_passed() { # PASSES
	now=$(passes)
	[ "$((${now:-0}))" -ge "$1" ]
}

for flush in 0 64M 16M 4M 1M; do
	for mib in 2 8 40 160; do
		memload --set "hot:${mib}M@0:touch" --thp never --pass-every 1us --flush-every $flush --interval 200ms >/run/tlb.json &
		memload=$!
		wait_for 60 is_ready || {
			say "FAILED: memload did not get ready"
			exit 1
		}
		wait_for 60 have_passed 1
		seen=
		for _ in 1 2 3; do
			sleep 1
			echo 1 >"/proc/$memload/clear_refs"
			usleep 250000
			wait_for 120 have_passed $(($(passes) + 3)) || {
				say "FAILED: memload does not pass"
				exit 1
			}
			seen="$seen$(referenced_percent) "
		done
		kill -TERM $memload
		wait $memload
		echo "$flush $mib $(echo "$seen" | tr ' ' '\n' | grep . | sort -n | sed -n 2p)" | tee -a /out/tlb
	done
done
finish
