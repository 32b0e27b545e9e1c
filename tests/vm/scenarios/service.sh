# The service as an operator meets it: systemctl, the journal, the bus, tierctl and the metrics tell the same numbers; a user who is
# not root may read and change nothing; the unit is as closed as it says. With PACKAGE=yes it is the Debian package that is installed.
# init: systemd
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
# shellcheck disable=SC1091
[ ! -e /root/settings ] || . /root/settings

SCHEMES="demote-0-1 demote-1-2 promote-1-0 promote-2-1"
bus() { # OBJECT INTERFACE PROPERTY
	busctl get-property org.tierd1 "$1" "org.tierd1.$2" "$3" | cut -d' ' -f2 | tr -d '"'
}
# Of the JSON's first object with that name, the number of a key.
in_json() { # FILE SCHEME KEY
	tr -d ' \n' <"$1" | sed 's/{"name":/\n&/g' | grep "^{\"name\":\"$2\"" | sed 's/[,{}]/\n/g' |
		sed -n "s/^\"$3\":\([0-9]*\)$/\1/p" | head -n 1
}
in_metrics() { # FILE FAMILY SCHEME
	direction=${3%%-*} nodes=${3#*-}
	awk -v family="$2" -v direction="direction=\"$direction\"" -v source="source=\"${nodes%-*}\"" -v target="target=\"${nodes#*-}\"" \
		'index($0, family "{") == 1 && index($0, direction) && index($0, source) && index($0, target) { printf "%d\n", $NF }' "$1"
}
in_journal() { # SCHEME FIELD: of the newest tuning sample
	journalctl -b -u tierd -o export TIERD_SCHEME="$1" MESSAGE_ID=dcb2fb76dc894a26a939ae24ac0c7b32 | sed -n "s/^$2=//p" | tail -n 1
}

cat >/run/service.yaml <<'YAML'
telemetry: {interval: 2s, metrics_file: /run/tierd/metrics.prom}
monitoring: {regions: {min: 100, max: 1000}}
YAML
memload_start --set hot:100M@1:touch --thp never --pass-every 30ms
tierd_start /run/service.yaml || {
	failed=1
	finish
}
has_moved() { [ "$(bus /org/tierd1/scheme/promote_1_0 Scheme BytesApplied)" -gt $((50 * MIB)) ]; }
wait_for 120 has_moved || say "nothing was promoted"
systemctl status tierd >/out/systemctl-status 2>&1
same "systemctl status" $? 0
say "STATUS: $(systemctl show -P StatusText tierd)"

# Paused, so that the counts stand still while one after the other is read; until two samples agree, none is on its way.
tierctl pause
same "tierctl pause" $? 0
same "the state" "$(bus /org/tierd1 Manager State)" paused
settled() {
	a=$(bus /org/tierd1/scheme/promote_1_0 Scheme BytesApplied)
	b=$(in_journal promote-1-0 TIERD_APPLIED_TOTAL_BYTES)
	usleep 2500000
	[ "$a" = "$b" ] && [ "$b" = "$(in_journal promote-1-0 TIERD_APPLIED_TOTAL_BYTES)" ]
}
wait_for 120 settled || say "the counts do not come to rest"
tierctl status >/out/status.txt
tierctl status --json >/out/status.json
tierctl metrics >/out/metrics.om
cp /run/tierd/metrics.prom /out/metrics.prom
busctl introspect org.tierd1 /org/tierd1 >/out/introspect.txt
busctl tree org.tierd1 >/out/tree.txt
for scheme in $SCHEMES; do
	path=/org/tierd1/scheme/$(echo "$scheme" | tr - _)
	value=$(bus "$path" Scheme BytesApplied)
	same "$scheme applied: status --json" "$(in_json /out/status.json "$scheme" applied_bytes)" "$value"
	same "$scheme applied: metrics" "$(in_metrics /out/metrics.om tierd_scheme_applied_bytes_total "$scheme")" "$value"
	same "$scheme applied: metrics file" "$(in_metrics /out/metrics.prom tierd_scheme_applied_bytes_total "$scheme")" "$value"
	same "$scheme applied: journal" "$(in_journal "$scheme" TIERD_APPLIED_TOTAL_BYTES)" "$value"
	value=$(bus "$path" Scheme BytesTried)
	same "$scheme tried: status --json" "$(in_json /out/status.json "$scheme" tried_bytes)" "$value"
	same "$scheme tried: metrics" "$(in_metrics /out/metrics.om tierd_scheme_tried_bytes_total "$scheme")" "$value"
	same "$scheme tried: journal" "$(in_journal "$scheme" TIERD_TRIED_TOTAL_BYTES)" "$value"
done
moved=$(migrated_bytes)
usleep 3000000
same "bytes migrated while paused" $(($(migrated_bytes) - moved)) 0
tierctl resume
same "tierctl resume" $? 0
same "the state" "$(bus /org/tierd1 Manager State)" managing
same "the unit's log level" "$(systemctl service-log-level tierd)" info
systemctl service-log-level tierd debug
same "the unit's log level, changed" "$(systemctl service-log-level tierd)" debug
systemctl service-log-level tierd info

# What journalctl -x explains.
journalctl --update-catalog 2>/dev/null
journalctl -b -u tierd -x --no-pager >/out/journal-x.txt 2>/dev/null
check "explained by the catalog" "$(grep -c ' Subject: ' /out/journal-x.txt)" 3 10000

# A user who is not root.
as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@" 2>/run/as-user; }
as_user tierctl status >/dev/null
same "status, not as root" $? 0
as_user tierctl metrics >/dev/null
same "metrics, not as root" $? 0
for verb in reload pause resume; do
	as_user tierctl $verb
	same "$verb, not as root" $? 4
done
as_user busctl call org.tierd1 /org/tierd1 org.tierd1.Manager Pause
same "Pause by busctl, not as root" $? 1
as_user busctl set-property org.tierd1 /org/freedesktop/LogControl1 org.freedesktop.LogControl1 LogLevel s debug
same "LogLevel by busctl, not as root" $? 1
same "the state" "$(bus /org/tierd1 Manager State)" managing
# Garbage.
for call in "Reload s x" "Pause i 7" "Describe as 2 a b" "Nothing" "Metrics s x"; do
	# shellcheck disable=SC2086 # words
	busctl call org.tierd1 /org/tierd1 org.tierd1.Manager $call >/dev/null 2>&1
	same "call $call" $? 1
done

# How closed the unit is: systemd's own judgement, in tenths.
systemd-analyze security tierd.service --no-pager >/out/security.txt 2>&1
exposure=$(sed -n 's/.*Overall exposure level for tierd.service: \([0-9]*\)\.\([0-9]\).*/\1\2/p' /out/security.txt)
check "exposure by systemd-analyze, tenths" "${exposure:-999}" 0 15
pid=$(systemctl show -P MainPID tierd)
same "capabilities" "$(awk '$1 ~ /^Cap(Inh|Prm|Eff|Bnd|Amb):/ { print $2 }' "/proc/$pid/status" | sort -u)" 0000000000000000
check "locked memory (KiB)" "$(awk '$1 == "VmLck:" { print $2 }' "/proc/$pid/status")" 100 1000000
say "preferred memory: $(sed -n 's/^[0-9a-f]* \(prefer[^ ]*\) .*heap.*/\1/p' "/proc/$pid/numa_maps" | head -n 1)"

tierd_stop
memload_end
tierctl status >/dev/null 2>&1
same "tierctl status without tierd" $? 3
same "the metrics file afterwards" "$(find /run/tierd -name metrics.prom | wc -l)" 0
finish
