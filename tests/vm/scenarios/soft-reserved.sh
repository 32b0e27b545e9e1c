# Memory that the firmware has set aside (here: the command line, in its place) and that no driver took up: doctor says so, and no longer once a
# driver has it.
# machine: three-tiers
# module: device_dax dax_hmem kmem
# append: memmap=256M%0x20000000-1+0xefffffff
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh

say "kernel $(uname -r)"
finds() { tierctl doctor --json | grep -A 5 '"id": *"soft-reserved"'; }
found=$(finds)
case $found in
*"256 MiB of memory at 0x20000000"*modprobe* | *"hmem_platform.0 has no driver"*modprobe*) say "ok doctor tells of it" ;;
*)
	say "FAILED: doctor does not tell of it: $found"
	failed=1
	;;
esac
modprobe device_dax
modprobe dax_hmem
has_dax() { ls /sys/bus/dax/devices/dax* >/dev/null 2>&1; }
if wait_for 20 has_dax; then
	same "what doctor says of memory that a driver has" "$(finds)" ""
else
	say "dax_hmem does not take it here: $(finds | grep summary)"
fi
cat /proc/iomem >/out/iomem
ls -l /sys/bus/platform/devices >/out/platform
finish
