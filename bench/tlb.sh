# In the guest: how much of a set that is touched all the time shows an access bit, a second after the bits were cleared as DAMON clears
# them, without a flush of the TLB. What it does not show, a DAMON would take for cold. Leaves /out/tlb: flush every, set, percent seen.
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
is_ready() { grep -q '"ready"' /run/tlb.json; }

for flush in 0 64M 16M 4M 1M; do
	for mib in 2 8 40 160; do
		memload --set "hot:${mib}M@0:touch" --thp never --pass-every 1us --flush-every $flush --interval 60s >/run/tlb.json &
		memload=$!
		wait_for 60 is_ready || {
			say "FAILED: memload did not get ready"
			exit 1
		}
		seen=
		for _ in 1 2 3; do
			sleep 1
			echo 1 >"/proc/$memload/clear_refs"
			sleep 1
			seen="$seen$(referenced_percent) "
		done
		kill -TERM $memload
		wait $memload
		echo "$flush $mib $(echo "$seen" | tr ' ' '\n' | grep . | sort -n | sed -n 2p)" | tee -a /out/tlb
	done
done
finish
