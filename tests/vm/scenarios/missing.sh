# A kernel without DAMON, as Debian 12's: tierctl doctor and tierd say so, name the patches that would help, exit with 1 and touch nothing.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh

# Every setting of the kernel that can be read, but for what counts by itself.
settings() {
	find /proc/sys /sys/kernel/mm /sys/module/*/parameters /sys/devices/system/node /sys/devices/virtual/memory_tiering -type f \
		-perm -400 2>/dev/null | grep -vE '/(meminfo|numastat|vmstat|random/.*|dentry-state|inode-nr|inode-state|file-nr|ns_last_pid|pty/nr)$' |
		sort | while read -r f; do
		echo "$f $(tr '\n\0' '  ' <"$f" 2>/dev/null)"
	done
}
refusal() { # NAME COMMAND...
	name=$1
	shift
	"$@" >/run/said 2>&1
	same "$name: exit status" $? 1
	cp /run/said "/out/$name"
	# Words wrap.
	tr -s ' \n' ' ' </run/said >/run/words
	grep -q 'CONFIG_DAMON' /run/words
	same "$name: says what is missing" $? 0
	grep -q 'kernel-patches/' /run/words
	same "$name: names the patches" $? 0
}

say "kernel $(uname -r)"
same "DAMON's interface" "$([ -e /sys/kernel/mm/damon ] && echo there)" ""
settings >/run/before
check "settings watched" "$(wc -l </run/before)" 500 100000
refusal doctor tierctl doctor
refusal tierd tierd --foreground
settings >/run/after
diff /run/before /run/after >/out/changed
same "values changed" "$(grep -c '^[-+]/' /out/changed)" 0
same "a record of what was changed" "$([ -s /run/tierd/state ] && echo there)" ""
finish
