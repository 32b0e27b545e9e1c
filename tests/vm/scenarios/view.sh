# Draws, every second, where the memory is and what tierd's schemes do, until /run/view.end is there. VIEW=screen repaints
# (a terminal), VIEW=plain prints a line per node.
# shellcheck shell=sh
VIEW=${1:-plain}
esc=$(printf '\033')

frame() {
	{
		for n in /sys/devices/system/node/node[0-9]*; do
			awk -v n="${n##*node}" '$3 == "MemTotal:" || $3 == "MemFree:" { print "node", n, $3, $4 }' "$n/meminfo"
		done
		tail -n 12 /run/memload.json | grep node_bytes | tr -d '{}"' | tr ',' '\n' | awk -F: '
			$1 == "t_ms" { set = "" } $1 == "set" { set = $2 }
			$1 == "node_bytes" { print "set", set, $2, $3 } $1 ~ /^[0-9]+$/ { print "set", set, $1, $2 }'
		tail -n 40 /run/tierd.log 2>/dev/null | sed -n 's/^tierd: \(demote\|promote\) /scheme \1 /p' | tail -n 4
		for s in /sys/kernel/mm/damon/admin/kdamonds/*/contexts/0/schemes/*; do
			[ -r "$s/target_nid" ] || continue
			read -r action <"$s/action"
			case $action in migrate_*) ;; *) continue ;; esac
			read -r to <"$s/target_nid"
			read -r moved <"$s/stats/sz_applied" || continue
			from=${s#*kdamonds/}
			echo "moved $action ${from%%/*} $to $moved"
		done 2>/dev/null
	} | awk -v view="$VIEW" -v esc="$esc" -v up="$(cut -d' ' -f1 /proc/uptime)" -v kernel="$(uname -r)" '
		function bar(n, width, text) { text = sprintf("%" width "s", ""); gsub(/ /, n, text); return text }
		function colour(c, text) { return view == "screen" ? esc "[" c "m" text esc "[0m" : text }
		$1 == "node" { if ($3 == "MemTotal:") total[$2] = $4 * 1024; else free[$2] = $4 * 1024; if ($2 > last) last = $2 }
		$1 == "set" { if ($2 == "hot") hot[$3] = $4; else if ($2 == "cold") cold[$3] = $4 }
		$1 == "scheme" { line[++lines] = $0; sub(/^scheme /, "", line[lines]) }
		$1 == "moved" { total_moved[($2 == "migrate_hot" ? "promote" : "demote") " " $3 " -> " $4] = $5 }
		END {
			W = 36                  # with the rest, 80 columns
			if (view == "screen") printf "%s[H", esc
			printf "tierd on Linux %s, %d s after boot%s\n\n", kernel, up, view == "screen" ? esc "[K" : ""
			for (n = 0; n <= last; n++) {
				if (!total[n]) continue
				h = int(hot[n] * W / total[n] + .5)
				f = int(free[n] * W / total[n] + .5)
				c = W - h - f
				if (c < 0) c = 0
				printf "node %d |%s%s%s| hot %3d cold %3d MiB free %4.1f %%%s\n", n, \
					colour("41", bar("#", h)), colour("44", bar("-", c)), bar(".", f), \
					hot[n] / 1048576, cold[n] / 1048576, free[n] * 100 / total[n], view == "screen" ? esc "[K" : ""
			}
			print view == "screen" ? esc "[K" : ""
			for (i = 1; i <= lines; i++) {
				split(line[i], part, ":")
				text = line[i]; sub(/, moved .*/, "", text); sub(/: node [0-9]+ /, ": ", text); sub(/quota /, "", text)
				printf "%s, %.0f MiB moved%s\n", text, total_moved[part[1]] / 1048576, view == "screen" ? esc "[K" : ""
			}
			if (view == "screen") printf "%s[J", esc
		}'
}

[ "$VIEW" != screen ] || printf '\033[2J'
until [ -e /run/view.end ]; do
	frame
	if [ "$VIEW" = screen ]; then usleep 700000; else usleep 4000000; fi
done
