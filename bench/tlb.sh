# In the guest: what DAMON sees of a set that is touched without a rest, with and without flushes of the TLB, with nothing beside it and
# beside processes that take turns with it. Leaves /out/tlb: beside, flush every, MiB of the set, and MiB seen in 18 to 20 of 20 checks,
# in 10 to 17, in 1 to 9; per pass, the mean of PASSES.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
PASSES=30
for module in /sys/module/damon_*/parameters/enabled; do
	[ ! -e "$module" ] || [ "$(cat "$module")" = N ] || put "$module" N
done
echo 0 >/proc/sys/kernel/numa_balancing

accesses() { # SCHEME MIN MAX
	put "$ctx/schemes/$1/access_pattern/nr_accesses/min" "$2"
	put "$ctx/schemes/$1/access_pattern/nr_accesses/max" "$3"
}
tried() { # SCHEME
	attribute "$ctx/schemes/$1/stats/sz_tried"
}
is_ready() { grep -qs '"ready"' /run/tlb.json; }

kdamond_stage 1 4
accesses 1 18 4294967295
accesses 2 10 17
accesses 3 1 9
for beside in nothing processes; do
	others=
	if [ $beside = processes ]; then
		for _ in 1 2; do
			dd if=/dev/zero of=/dev/null bs=64k 2>/dev/null &
			others="$others $!"
		done
	fi
	for mib in 8 40; do
		for flush in 0 16M 4M; do
			rm -f /run/tlb.json
			memload --set "hot:${mib}M@1:touch" --thp never --pass-every 1us --flush-every $flush --interval 10s >/run/tlb.json &
			memload=$!
			wait_for 120 is_ready || {
				say "FAILED: memload did not get ready"
				exit 1
			}
			kdamond_tell on
			# Until regions have found the set.
			wait_passes 0 $PASSES
			p=$(passes 0) a=$(tried 1) b=$(tried 2) c=$(tried 3)
			wait_passes 0 $PASSES
			p=$(($(passes 0) - p))
			a=$((($(tried 1) - a) / p)) b=$((($(tried 2) - b) / p)) c=$((($(tried 3) - c) / p))
			kdamond_tell off
			kill -TERM $memload
			wait $memload
			echo "$beside $flush $mib $((a / MIB)) $((b / MIB)) $((c / MIB))" | tee -a /out/tlb
		done
	done
	# shellcheck disable=SC2086 # several pids
	[ -z "$others" ] || kill $others
done
finish
