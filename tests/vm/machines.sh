# The machines that `run` can emulate; sourced, not run. machine_args NAME prints QEMU's arguments, one per
# line, for everything that makes the machine: type, memory, CPUs, nodes, distances, HMAT.
# Of the nodes that are there at boot, the kernel makes memory tiers by HMAT (latency in ns, bandwidth per second)
# and by nothing else.
# shellcheck shell=sh

# Those with a GiB or two have room for workloads; the others are small, for their sysfs is all that one wants.
machine_list() {
	cat <<'EOF'
three-tiers            DRAM with CPUs, two CPU-less tiers below it, by HMAT; 3 x 1 GiB
two-tiers              DRAM with CPUs and a larger CPU-less tier below it, by HMAT; 1 and 2 GiB
three-tiers-distance   three-tiers without HMAT: only distances tell the nodes apart
hotplug                three-tiers-distance with node 2 as a memory module, which can be taken offline; 3 x 1 GiB
two-sockets-private    two sockets, each with an expander of its own nearby, by HMAT; 4 x 512 MiB
two-sockets-large      the same with room for workloads; 4 x 768 MiB
two-sockets-shared     two sockets that share one CPU-less node, by distance; 3 x 256 MiB
hbm                    DRAM with CPUs and a faster CPU-less node, by HMAT; 2 x 256 MiB
hmat-levels            HBM above DRAM, and below it two equal nodes and a slower one, by HMAT; 5 x 128 MiB
hmat-latency           three-tiers with latencies alone in HMAT, of which the kernel makes no tiers; 3 x 256 MiB
hmat-cxl               DRAM with CPUs, a slower CPU-less node, and a CXL expander behind a generic port, by HMAT
cpu-memoryless         CPUs on a node without memory, memory on two CPU-less nodes, by HMAT
gaps                   nodes 0, 2 and 5: ids with holes, by distance; 3 x 256 MiB
single                 one node; 512 MiB
cxl-sockets            two sockets, an expander of 512 MiB at each, and one window over both
cxl                    DRAM with CPUs, and a CXL expander that nobody has made a region of; 1 GiB each
cxl-two                the same with two expanders of 512 MiB below one window
cxl-mixed              768 MiB of DRAM with CPUs, and 256 MiB in the node that the window of a CXL expander of 512 MiB belongs to
cxl-windows            two expanders of 512 MiB, each below a host bridge and a window of its own, and a window over both
EOF
}

# --- pieces; each prints arguments

m_board() { # CPUS MEMORY [MACHINE-OPTIONS]
	printf '%s\n' -machine "q35${3:+,$3}" -smp "$1" -m "$2"
}

m_node() { # ID SIZE|- [OPTIONS]: a node with memory of that size, or with none
	if [ "$2" = - ]; then
		printf '%s\n' -numa "node,nodeid=$1${3:+,$3}"
	else
		printf '%s\n' -object "memory-backend-ram,id=m$1,size=$2" -numa "node,nodeid=$1,memdev=m$1${3:+,$3}"
	fi
}

m_dist() { # SRC DST VALUE
	printf '%s\n' -numa "dist,src=$1,dst=$2,val=$3"
}

m_hmat() { # INITIATOR TARGET LATENCY_NS [BANDWIDTH]
	printf '%s\n' -numa "hmat-lb,initiator=$1,target=$2,hierarchy=memory,data-type=access-latency,latency=$3"
	[ $# -lt 4 ] ||
		printf '%s\n' -numa "hmat-lb,initiator=$1,target=$2,hierarchy=memory,data-type=access-bandwidth,bandwidth=$4"
}

# Without hypervisor=off the kernel refuses to commit a region ("Failed to synchronize CPU cache state"); string instructions are slow on
# memory that QEMU emulates access by access.
m_cxl_cpu() {
	printf '%s\n' -cpu max,hypervisor=off,erms=off,fsrm=off
}
m_cxl_bridge() { # NUMBER [NODE]
	printf '%s\n' -device "pxb-cxl,bus_nr=$(($1 * 12)),bus=pcie.0,id=cxl.$1${2:+,numa_node=$2}"
}
m_cxl_device() { # BRIDGE PORT SIZE SERIAL
	printf '%s\n' -object "memory-backend-ram,id=vmem$2,share=on,size=$3" \
		-device "cxl-rp,port=$2,bus=cxl.$1,id=rp$2,chassis=0,slot=$(($2 + 2))" \
		-device "cxl-type3,bus=rp$2,volatile-memdev=vmem$2,id=cxl-vmem$2,sn=$4"
}
m_cxl() { # WINDOW-SIZE SIZE SERIAL...: all below one window
	window=$1
	size=$2
	shift 2
	m_cxl_cpu
	m_cxl_bridge 1 0
	printf '%s\n' -M "cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.size=$window"
	port=0
	for serial; do
		m_cxl_device 1 $port "$size" "$serial"
		port=$((port + 1))
	done
}

# A number as bytes, the lowest first.
bytes() { # COUNT NUMBER
	count=$1
	number=$2
	while [ "$count" -gt 0 ]; do
		# shellcheck disable=SC2059 # the format is the byte
		printf "\\$(printf %03o $((number & 255)))"
		number=$((number >> 8))
		count=$((count - 1))
	done
}
# The firmware's table of nodes (ACPI 6.5, 5.2.16), for what QEMU's own cannot say. It goes to M_DIR, without which only its name is printed.
# An argument is cpu:NODE:APIC-ID, memory:NODE:START:SIZE, or later:NODE:START:SIZE for memory that may come.
m_srat() { # ENTRY...
	printf '%s\n' -acpitable "sig=SRAT,rev=3,data=${M_DIR-}/srat"
	[ -n "${M_DIR-}" ] || return 0
	{
		bytes 4 1
		bytes 8 0
		for entry; do
			IFS=: read -r kind domain start size <<EOF
$entry
EOF
			case $kind in
			cpu)
				bytes 2 $((16 << 8))
				bytes 1 "$domain"
				bytes 1 "$start"
				bytes 4 1
				bytes 8 0
				;;
			memory | later)
				bytes 2 $((40 << 8 | 1))
				bytes 4 "$domain"
				bytes 2 0
				bytes 8 $((start))
				bytes 8 $((size))
				bytes 4 0
				# Bit 0: in use; bit 1: it may come.
				case $kind in
				memory) bytes 4 1 ;;
				*) bytes 4 3 ;;
				esac
				bytes 8 0
				;;
			esac
		done
	} >"$M_DIR/srat"
}

# Two sockets with an expander each, four nodes of that many MiB.
m_two_sockets() { # MIB
	m_board 2,sockets=2,cores=1,threads=1 $(($1 * 4))M hmat=on
	m_node 0 "$1M" cpus=0,initiator=0
	m_node 1 "$1M" cpus=1,initiator=1
	m_node 2 "$1M" initiator=0
	m_node 3 "$1M" initiator=1
	m_dist 0 1 21
	m_dist 0 2 14
	m_dist 0 3 24
	m_dist 1 2 24
	m_dist 1 3 14
	m_dist 2 3 26
	m_hmat 0 0 100 100G
	m_hmat 0 1 180 50G
	m_hmat 0 2 250 20G
	m_hmat 0 3 350 15G
	m_hmat 1 0 180 50G
	m_hmat 1 1 100 100G
	m_hmat 1 2 350 15G
	m_hmat 1 3 250 20G
}

# --- machines

machine_args() {
	case $1 in
	three-tiers)
		m_board 2 3G hmat=on
		m_node 0 1G cpus=0-1,initiator=0
		m_node 1 1G initiator=0
		m_node 2 1G initiator=0
		m_dist 0 1 20
		m_dist 0 2 40
		m_dist 1 2 30
		m_hmat 0 0 100 10G
		m_hmat 0 1 200 5G
		m_hmat 0 2 400 2G
		;;
	two-tiers)
		m_board 2 3G hmat=on
		m_node 0 1G cpus=0-1,initiator=0
		m_node 1 2G initiator=0
		m_dist 0 1 20
		m_hmat 0 0 100 10G
		m_hmat 0 1 250 5G
		;;
	three-tiers-distance)
		m_board 2 3G
		m_node 0 1G cpus=0-1
		m_node 1 1G
		m_node 2 1G
		m_dist 0 1 20
		m_dist 0 2 40
		m_dist 1 2 30
		;;
	hotplug)
		# Memory of a module is hotpluggable to the kernel, so with memhp_default_state=online_movable all of it can go.
		m_board 2 2G,slots=2,maxmem=8G
		m_node 0 1G cpus=0-1
		m_node 1 1G
		m_node 2 -
		printf '%s\n' -object memory-backend-ram,id=m2,size=1G -device pc-dimm,id=dimm2,memdev=m2,node=2
		m_dist 0 1 20
		m_dist 0 2 40
		m_dist 1 2 30
		;;
	two-sockets-private) m_two_sockets 512 ;;
	two-sockets-large) m_two_sockets 768 ;;
	two-sockets-shared)
		m_board 2,sockets=2,cores=1,threads=1 768M
		m_node 0 256M cpus=0
		m_node 1 256M cpus=1
		m_node 2 256M
		m_dist 0 1 21
		m_dist 0 2 30
		m_dist 1 2 30
		;;
	hbm)
		m_board 2 512M hmat=on
		m_node 0 256M cpus=0-1,initiator=0
		m_node 1 256M initiator=0
		m_dist 0 1 20
		m_hmat 0 0 100 10G
		m_hmat 0 1 50 40G
		;;
	hmat-levels)
		m_board 2 640M hmat=on
		m_node 0 128M cpus=0-1,initiator=0
		for near in 1 2 3 4; do m_node $near 128M initiator=0; done
		for near in 1 2 3 4; do
			m_dist 0 $near 20
			for far in 1 2 3 4; do [ $far -le $near ] || m_dist $near $far 30; done
		done
		m_hmat 0 0 100 10G
		m_hmat 0 1 50 40G
		m_hmat 0 2 250 4G
		m_hmat 0 3 250 4G
		m_hmat 0 4 500 2G
		;;
	hmat-latency)
		m_board 2 768M hmat=on
		m_node 0 256M cpus=0-1,initiator=0
		m_node 1 256M initiator=0
		m_node 2 256M initiator=0
		m_dist 0 1 20
		m_dist 0 2 20
		m_dist 1 2 20
		m_hmat 0 0 100
		m_hmat 0 1 400
		m_hmat 0 2 200
		;;
	hmat-cxl)
		# What lies behind a generic port has no entry in HMAT: the kernel adds what the expander says of itself (CDAT) to the way there.
		m_board 2 768M,maxmem=8G,slots=4 hmat=on,cxl=on
		m_node 0 512M cpus=0-1,initiator=0
		m_node 1 256M initiator=0
		m_node 2 -
		m_cxl 4G 512M 0x1234
		printf '%s\n' -object acpi-generic-port,id=gp0,pci-bus=cxl.1,node=2
		m_dist 0 1 20
		m_dist 0 2 20
		m_dist 1 2 20
		m_hmat 0 0 100 10G
		m_hmat 0 1 130 8G
		m_hmat 0 2 150 8G
		;;
	cpu-memoryless)
		m_board 2 512M hmat=on
		m_node 0 - cpus=0-1,initiator=0
		m_node 1 256M initiator=0
		m_node 2 256M initiator=0
		m_dist 0 1 12
		m_dist 0 2 30
		m_dist 1 2 32
		m_hmat 0 1 100 10G
		m_hmat 0 2 300 3G
		;;
	gaps)
		# Linux numbers nodes in the order in which the firmware first mentions them. CPUs come first in its
		# table, absent ones too, so one absent CPU on each node keeps the ids as they are, and a node that
		# has nothing else never comes online.
		m_board 2,maxcpus=7 768M
		m_node 0 256M cpus=0-1
		m_node 1 - cpus=2
		m_node 2 256M cpus=3
		m_node 3 - cpus=4
		m_node 4 - cpus=5
		m_node 5 256M cpus=6
		m_dist 0 2 20
		m_dist 0 5 40
		m_dist 2 5 30
		for near in 1 3 4; do
			for far in 0 2 5; do m_dist $near $far 50; done
		done
		m_dist 1 3 50
		m_dist 1 4 50
		m_dist 3 4 50
		;;
	cxl)
		m_board 2 1G,maxmem=8G,slots=4 cxl=on
		m_node 0 1G cpus=0-1
		m_cxl 4G 1G 0x1234
		;;
	cxl-two)
		m_board 2 1G,maxmem=8G,slots=4 cxl=on
		m_node 0 1G cpus=0-1
		m_cxl 4G 512M 0x1234 0x5678
		;;
	cxl-sockets)
		m_board 2,sockets=2,cores=1,threads=1 1G,maxmem=8G,slots=4 cxl=on
		m_node 0 512M cpus=0
		m_node 1 512M cpus=1
		m_dist 0 1 21
		m_cxl_cpu
		m_cxl_bridge 1 0
		m_cxl_bridge 2 1
		printf '%s\n' -M cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.targets.1=cxl.2,cxl-fmw.0.size=4G
		m_cxl_device 1 1 512M 0x1000
		m_cxl_device 2 2 512M 0x2000
		;;
	cxl-mixed)
		# Without nodes of QEMU's, which make a table of its own, and without hotplug, which makes nodes. The window begins 256 MiB above
		# 4 GiB, after its bridge's registers.
		m_board 2 1G cxl=on
		m_cxl_cpu
		m_cxl_bridge 1
		m_cxl_device 1 0 512M 0x1234
		printf '%s\n' -M cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.size=1G
		m_srat cpu:0:0 cpu:0:1 memory:0:0:0x30000000 memory:1:0x30000000:0x10000000 later:1:0x110000000:0x10000000
		;;
	cxl-windows)
		m_board 2 1G,maxmem=8G,slots=4 cxl=on
		m_node 0 1G cpus=0-1
		m_cxl_cpu
		m_cxl_bridge 1 0
		m_cxl_bridge 2 0
		m_cxl_device 1 0 512M 0x1234
		m_cxl_device 2 1 512M 0x5678
		printf '%s\n' -M "cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.size=2G,cxl-fmw.1.targets.0=cxl.2,cxl-fmw.1.size=2G,\
cxl-fmw.2.targets.0=cxl.1,cxl-fmw.2.targets.1=cxl.2,cxl-fmw.2.size=2G"
		;;
	single)
		m_board 2 512M
		m_node 0 512M cpus=0-1
		;;
	*) return 1 ;;
	esac
}
