#!/bin/bash
# PID 1 of the guest: mounts, network, iscsid; then the test script /job/test; its exit code, /out and dmesg go back to the host over virtio-serial.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc p /proc; mount -t sysfs s /sys
mkdir -p /dev/pts /dev/shm /run/lock; mount -t devpts d /dev/pts; mount -t tmpfs t /dev/shm
dmesg -n 4; echo vm >/proc/sys/kernel/hostname; ulimit -n 65536
modprobe -a virtio_net virtio_console nf_tables nft_chain_nat nft_masq iscsi_tcp sd_mod sg crc32c_intel 2>/dev/null
/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add -s block -s virtio-ports -s net -s misc; udevadm settle
. /job/env
ip link set lo up; i=2
for p in $PORTALS; do  # network card i is 10.0.i.15 and the host's loopback is 10.0.i.2: one card per portal, so that each path is its own
  d=$(ls /sys/class/net | grep -v lo | sort | sed -n "$((i-1))p"); ip link set "$d" up
  ip addr add 10.0.$i.15/24 dev "$d"; nat+="ip daddr 127.0.0.1 tcp dport ${p##*:} dnat to 10.0.$i.2;"; i=$((i+1))
done
sysctl -qw net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
[ -z "$nat" ] || nft "table ip nat { chain o { type nat hook output priority -100; $nat }; chain p { type nat hook postrouting priority 100; oifname != \"lo\" masquerade; }; }"
echo "InitiatorName=${INITIATOR:-iqn.1993-08.org.debian:01:vmtest}" >/etc/iscsi/initiatorname.iscsi; mkdir -p /run/lock/iscsi; iscsid
cd /tmp; read -r up _ </proc/uptime; echo "vm: up after ${up}s, $(uname -r), $(nproc) vCPU" >/dev/console
chmod +x /job/test; /job/test "${ARGS[@]}" >/dev/virtio-ports/out 2>&1 </dev/null; rc=$?
dmesg >/out/dmesg.txt; tar -C /out -cf /dev/virtio-ports/files . 2>/dev/null; echo $rc >/dev/virtio-ports/rc
sync; echo o >/proc/sysrq-trigger; sleep 5; poweroff -f 2>/dev/null || busybox poweroff -f
