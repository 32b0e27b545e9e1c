# Processes in groups below an excluded one, with memory that they have bound: cold on node 0, where everything else that is cold
# goes down, and hot on node 2, from where everything else that is hot comes up. In SPAN seconds of exchange not one of their
# pages may move; nor, in half of that again, any of a group that is made later. EXCLUDE=no is the proof that they would.
#
# What is free to move is hot in turn, a set after the other, and more than node 0 holds: whichever has its turn has been cold for
# longer than the others, so some of it has gone down since, comes up, and drives down another.
# shellcheck shell=sh
set -u
# shellcheck source=tests/vm/scenarios/lib.sh
. /root/lib.sh
SPAN=60
EXCLUDE=yes
HOT=100
BOUND=150
STRIDE=1
INTERVAL=1s
# shellcheck disable=SC1091
[ ! -r /root/settings ] || . /root/settings

# What the late group takes of node 0, which is full by then: held for it until then. (With nothing free a bound process that
# asks for a page ends by the kernel's hand, "constraint=CONSTRAINT_MEMORY_POLICY": there is no swap, and it may go nowhere else.)
LATE=16
SPARE=$((3 * LATE))

groups=/sys/fs/cgroup
group_make() { # PATH...
	for g; do
		mkdir "$groups$g"
		echo +memory >"$groups${g%/*}/cgroup.subtree_control"
	done
}
# memload in a group: its control is /run/NAME, its output /run/NAME.json.
bound_start() { # NAME GROUP OPTION...
	name=$1 group=$2
	shift 2
	mkfifo "/run/$name"
	# shellcheck disable=SC2016 # for that shell
	sh -c 'echo $$ >"$0/cgroup.procs"; exec memload "$@"' "$groups$group" "$@" --bind --frames --stride $STRIDE --thp never \
		--pass-every 30ms --interval $INTERVAL --control "/run/$name" >"/run/$name.json" &
	bound=$!
	wait_for 120 grep -q '"ready"' "/run/$name.json" || say "FAILED: memload $name did not get ready"
}
# Pages of a set that were elsewhere than on its node, in the worst sample.
strays() { # NAME SET NODE
	awk -v set="\"set\":\"$2\"" -v node="\"$3\":" 'index($0, set) && /node_bytes/ {
		split($0, a, "\"bytes\":")
		n = split($0, b, node)
		gone = a[2] - (n > 1 ? b[2] + 0 : 0)
		if (gone > worst) worst = gone
		samples++
	} END { print samples ? worst / 4096 : "no sample" }' "/run/$1.json"
}
frames_changed() { # NAME SET
	grep "\"set\":\"$2\"" "/run/$1.json" | tail -n 1 | sed 's/.*"frames_changed":\([0-9]*\).*/\1/'
}
anon_of() { # GROUP NODE: bytes
	sed -n "s/^anon .*N$2=\([0-9]*\).*/\1/p" "$groups$1/memory.numa_stat"
}

group_make /db.slice /db.slice/a /other
bound_start spare /db.slice/a --set spare:${SPARE}M@0
spare=$bound
bound_start db /db.slice/a --set dbcold:${BOUND}M@0 --set dbhot:40M@2:touch
echo $$ >$groups/other/cgroup.procs
memload_start --set a:${HOT}M@0 --set b:${HOT}M@0 --set c:${HOT}M@0 --set d:${HOT}M@0 --set e:${HOT}M@0 --set cold:fill-5%@0 \
	--set hot:${HOT}M@2:touch --set warm:${HOT}M@2 --thp never --pass-every 30ms
say "kernel $(uname -r); bound in /db.slice/a: $((BOUND + SPARE)) MiB cold on node 0, 40 MiB hot on node 2; free to move: $((5 * HOT)) + $(($(set_bytes cold) / MIB)) MiB on node 0, $((2 * HOT)) MiB on node 2; all but $(($(set_bytes cold) / MIB)) MiB hot in turn"

# What doctor says of it, before and after it is excluded.
tierctl doctor >/run/doctor
same "doctor warns of bound memory" "$(grep -c '^! bound-memory' /run/doctor)" 1
same "doctor names its group" "$(tr -s ' \n' ' ' </run/doctor | grep -c 'exclude: \[{cgroup: /db.slice/a}\]')" 1
if [ "$EXCLUDE" = yes ]; then
	mkdir -p /etc
	echo 'exclude: [{cgroup: /db.slice}]' >/etc/tierd.yaml
	tierctl doctor >/run/doctor
	same "doctor is content" "$(grep -c '^✓ bound-memory' /run/doctor)" 1
	same "groups in the plan" "$(tierctl plan --json | sed -n 's/.*"memcg_path": "\(.*\)",*/\1/p' | sort -u | tr '\n' ' ')" "/db.slice /db.slice/a "
fi
cp /run/doctor /out/

n0=$(anon_of /db.slice/a 0) n1=$(anon_of /db.slice/a 1) n2=$(anon_of /db.slice/a 2)
tierd_start || { failed=1; finish; }
start=$(now_ms)
free_min=10000
best=0
turn=hot
# Every 20 s the heat goes to the next set.
next_turn() {
	case $turn in
	hot) echo warm ;;
	warm) echo a ;;
	a) echo b ;;
	b) echo c ;;
	c) echo d ;;
	d) echo e ;;
	e) echo hot ;;
	esac
}
turns=0
turns_moved=0
turn_end() {
	moved=$(($(applied 0 migrate_cold 1) / MIB))
	turns=$((turns + 1))
	[ "$moved" -le "$moved_before" ] || turns_moved=$((turns_moved + 1))
	moved_before=$moved
}
exchange() { # SECONDS
	from=$(now_ms) switched=$(now_ms) moved_before=$(($(applied 0 migrate_cold 1) / MIB))
	while [ $(($(now_ms) - from)) -lt $(($1 * 1000)) ]; do
		f=$(free_bp 0) r=$(resident_percent "$turn" 0)
		[ "$f" -ge "$free_min" ] || free_min=$f
		[ "$r" -le "$best" ] || best=$r
		echo "$(($(now_ms) - start)) ms: $turn on 0 $r %; free $f bp; promoted $(($(applied 2 migrate_hot 1) / MIB)) $(($(applied 1 migrate_hot 0) / MIB)) demoted $(($(applied 0 migrate_cold 1) / MIB)) $(($(applied 1 migrate_cold 2) / MIB)) MiB" >>/out/progress
		usleep 500000
		if [ $(($(now_ms) - switched)) -ge 20000 ]; then
			switched=$(now_ms)
			turn_end
			memload_tell "idle $turn"
			turn=$(next_turn)
			memload_tell "touch $turn"
		fi
	done
}
exchange "$SPAN"
up=$(($(applied 1 migrate_hot 0) / MIB)) down=$(($(applied 0 migrate_cold 1) / MIB))
say "after $SPAN s: promoted 2 -> 1 $(($(applied 2 migrate_hot 1) / MIB)) MiB, 1 -> 0 $up MiB; demoted 0 -> 1 $down MiB, 1 -> 2 $(($(applied 1 migrate_cold 2) / MIB)) MiB; of what is hot in its turn at most $best % on node 0; free on node 0 at least $free_min bp"
say "in another frame than at the start: $(frames_changed db dbcold) pages of the bound cold, $(frames_changed db dbhot) of the bound hot set"
if [ "$EXCLUDE" = no ]; then
	check "bound pages that moved, cold" "$(strays db dbcold 0)" 1 1000000
	check "bound pages that moved, hot" "$(strays db dbhot 2)" 1 1000000
	tierd_stop
	echo quit >/run/db
	memload_end
	finish
fi
same "pages of the bound cold set away from node 0, in any sample" "$(strays db dbcold 0)" 0
same "pages of the bound hot set away from node 2, in any sample" "$(strays db dbhot 2)" 0
same "the group's anonymous memory on node 1, bytes more" $(($(anon_of /db.slice/a 1) - n1)) 0
check "the same on node 0, KiB more" $((($(anon_of /db.slice/a 0) - n0) / 1024)) -64 1024
check "the same on node 2, KiB more" $((($(anon_of /db.slice/a 2) - n2) / 1024)) -64 64
check "the rest was exchanged: promoted 1 -> 0 (MiB)" "$up" $((HOT / 2)) 100000
check "the rest was exchanged: demoted 0 -> 1 (MiB)" "$down" $((HOT / 2)) 100000
say "turns of 20 s in which memory left node 0: $turns_moved of $turns"
check "free on node 0, at least (bp)" "$free_min" 200 10000

# A group that is made later: tierd finds it by itself, before anything is in it.
group_make /db.slice/b
planned() { grep -q 'the plan is made again for the control groups' /run/tierd.log; }
if wait_for 60 planned; then say "ok the plan is made again when a group comes"; else
	say "FAILED the plan is not made again when a group comes"
	failed=1
fi
echo quit >/run/spare
wait "$spare"
bound_start late /db.slice/b --set latecold:${LATE}M@0 --set latehot:24M@2:touch
exchange $((SPAN / 2))
same "the same for the late group: cold" "$(strays late latecold 0)" 0
same "the same for the late group: hot" "$(strays late latehot 2)" 0
same "and still for the first: cold" "$(strays db dbcold 0)" 0
same "and still for the first: hot" "$(strays db dbhot 2)" 0
say "in another frame than at the start: $(frames_changed late latecold), $(frames_changed late latehot), $(frames_changed db dbcold), $(frames_changed db dbhot) pages"
tierd_stop
echo quit >/run/db
echo quit >/run/late
memload_end
gzip -c /run/db.json >/out/db.json.gz
finish
