# In the guest: prints what the kernel says of nodes and tiers. /out/topology holds the same.
# shellcheck shell=sh
set -u
node=/sys/devices/system/node
{
	echo "$(uname -r): online $(cat $node/online), memory $(cat $node/has_memory), CPUs $(cat $node/has_cpu)"
	for tier in /sys/devices/virtual/memory_tiering/memory_tier[0-9]*; do
		[ -e "$tier" ] && echo "${tier##*/}: nodes $(cat "$tier/nodelist")"
	done
	for n in "$node"/node[0-9]*; do
		mib=$(awk '/MemTotal:/ { print int($4 / 1024) }' "$n/meminfo")
		echo "${n##*/}: $mib MiB, cpus '$(cat "$n/cpulist")', distances $(cat "$n/distance")"
	done
} | tee /out/topology
