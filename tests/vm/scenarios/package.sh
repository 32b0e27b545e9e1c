# The Debian package: installed, upgraded, removed, installed anew and purged, with tierd managing the machine all the while.
# init: systemd
# settings: PACKAGE=yes
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh

# All files but those of dpkg itself and of what a package's triggers make: /run and the like are mounts of their own.
files() {
	find / -xdev ! -path '/var/lib/dpkg/*' ! -path /var/log/dpkg.log ! -path /var/lib/systemd/catalog/database \
		! -path '/out*' ! -path '/root/*' | sort
	find /run -path '*tierd*' | sort
}
state() { systemctl show -P ActiveState tierd; }
install() { # NAME [OPTION...] FILE
	step=$1
	shift
	dpkg "$@" >>/out/dpkg.log 2>&1 </dev/null
	same "$step" $? 0
}
manages() { # NAME
	same "$1: the service" "$(state)" active
	same "$1: its status" "$(systemctl show -P StatusText tierd | grep -o 'Managing [0-9]* nodes')" "Managing 3 nodes"
	same "$1: kdamonds running" "$(running_kdamonds)" 3
	same "$1: numa_balancing" "$(cat /proc/sys/kernel/numa_balancing)" 0
}
all_put_back() { # NAME
	system_values >/run/after
	same "$1: values changed and not put back" "$(diff /run/found /run/after | grep -c '^[-+]/')" 0
}
# The package again with a higher version, and what SCRIPT does to its files.
repack() { # SUFFIX [SCRIPT]: prints the file
	rm -rf /tmp/repack
	dpkg-deb -R /root/tierd.deb /tmp/repack
	sed -i "s/^Version: .*/&$1/" /tmp/repack/DEBIAN/control
	(cd /tmp/repack && eval "${2-}")
	dpkg-deb -Znone -b /tmp/repack "/root/tierd$1.deb" >/dev/null
	rm -rf /tmp/repack
	echo "/root/tierd$1.deb"
}
version() { dpkg-query -W -f '${db:Status-Abbrev} ${Version}' tierd 2>/dev/null; }

files >/run/files-before
# A kernel without DAMON, as far as anyone can see: it installs as well, and no unit fails.
mount -t tmpfs none /sys/kernel/mm/damon
install "install without DAMON" -i /root/tierd.deb
same "without DAMON: the service" "$(state)" inactive
same "without DAMON: enabled" "$(systemctl is-enabled tierd)" enabled
same "without DAMON: failed units" "$(systemctl --failed --no-legend | wc -l)" 0
install "purge without DAMON" --purge tierd
umount /sys/kernel/mm/damon

system_values >/run/found
install "install" -i /root/tierd.deb
first=$(version)
say "version: $first"

# Installed, enabled, started.
systemctl start tierd
same "systemctl start" $? 0
manages "installed"
same "installed: enabled" "$(systemctl is-enabled tierd)" enabled
same "installed: failed units" "$(systemctl --failed --no-legend | wc -l)" 0
tierctl status >/run/status
same "installed: tierctl status" $? 0
same "installed: what it says of the nodes" "$(grep -c 'node [0-2]\|^ *[0-2] ' /run/status | sed 's/^[1-9][0-9]*$/some/')" some
same "installed: the journal's catalog has its entries" "$(journalctl --list-catalog | grep -c 'tierd: \|[Tt]ierd' | sed 's/^[1-9][0-9]*$/yes/')" yes
exposure=$(systemd-analyze security --no-pager tierd.service | sed -n 's/.*exposure level for tierd.service: \([0-9]*\)\.\([0-9]\).*/\1\2/p')
check "exposure by systemd-analyze security, tenths" "${exposure:-100}" 0 15

# An upgrade: the administrator's configuration stays, and is used.
printf 'telemetry: {interval: 7s}\n' >>/etc/tierd.yaml
cp /etc/tierd.yaml /run/conffile
pid=$(systemctl show -P MainPID tierd)
install "upgrade" -i "$(repack +1)"
same "upgraded: version" "$(version)" "$first+1"
same "upgraded: another process" "$([ "$(systemctl show -P MainPID tierd)" != "$pid" ] && echo yes)" yes
manages "upgraded"
same "upgraded: the administrator's configuration" "$(cmp /run/conffile /etc/tierd.yaml && echo kept)" kept

# One that brings another configuration.
new="echo '# new' >>etc/tierd.yaml"
install "upgrade with a new configuration" -i --force-confold "$(repack +2 "$new")"
same "upgraded again: version" "$(version)" "$first+2"
manages "upgraded again"
same "upgraded again: the administrator's configuration" "$(cmp /run/conffile /etc/tierd.yaml && echo kept)" kept
same "upgraded again: the new configuration" "$(tail -n 1 /etc/tierd.yaml.dpkg-dist)" "# new"

# What the administrator has switched off an upgrade leaves off.
systemctl -q disable --now tierd
all_put_back "disabled"
install "upgrade, disabled" -i "$(repack +3 "$new")"
same "upgraded, disabled: the service" "$(state) $(systemctl is-enabled tierd)" "inactive disabled"
systemctl -q enable --now tierd
manages "enabled"

# Removed: the configuration stays, and is there for the next installation.
install "remove" --remove tierd
all_put_back "removed"
same "removed: the service" "$(systemctl show -P LoadState tierd)" not-found
same "removed: the administrator's configuration" "$(cmp /run/conffile /etc/tierd.yaml && echo kept)" kept
install "install anew" -i /root/tierd+3.deb
manages "installed anew"
same "installed anew: the administrator's configuration" "$(cmp /run/conffile /etc/tierd.yaml && echo kept)" kept

# Purged after a crash whose record nothing has dealt with: the package's last act is to put back what it says.
mkdir -p /run/systemd/system/tierd.service.d
printf '[Service]\nRestart=no\nExecStopPost=\n' >/run/systemd/system/tierd.service.d/test.conf
systemctl daemon-reload
kill -KILL "$(systemctl show -P MainPID tierd)"
has_failed() { [ "$(state)" = failed ]; }
wait_for 60 has_failed
same "crashed: the record" "$([ -s /run/tierd/state ] && echo there)" there
install "purge" --purge tierd
all_put_back "purged"
rm -r /run/systemd/system/tierd.service.d
systemctl daemon-reload
systemctl reset-failed
files >/run/files-after
same "purged: files left or lost" "$(diff /run/files-before /run/files-after | grep '^[-+]/' | tee -a /out/figures | wc -l)" 0
same "purged: the journal's catalog" "$(journalctl --list-catalog | grep -ci tierd)" 0
same "purged: units" "$(systemctl list-unit-files --no-legend 'tierd*' | wc -l)" 0
same "failed units" "$(systemctl --failed --no-legend | wc -l)" 0
finish
