#!/bin/bash
# In the guest: dm-multipath over the portals of all nodes with ALUA, and a single path that is handed over. Environment: LUN, PART. The host's hook moves, kills, restarts and drains nodes.
. /job/guest-lib.sh
M=/dev/mapper/mpatha

# ---- load: fio with verification, and direct 4 KiB writes one after the other, of which each notes when it began and ended ----
prober() {
  while [ -e /tmp/probing ]; do
    s=$(now_ms); dd if=/job/env of=/mnt/v/probe bs=4k count=1 oflag=direct conv=sync,notrunc status=none || echo "error at $s" >>/out/probe-errors; echo "$s $(now_ms)" >>/out/probe
  done
}
load() {
  : >/out/probe; touch /tmp/probing; prober & PROBER=$!
  fio --name=verify --filename=/mnt/v/fio --size=32m --rw=randwrite --bsrange=4k-32k --direct=1 --ioengine=libaio --iodepth=8 --verify=crc32c --verify_fatal=1 --do_verify=1 \
    --verify_backlog=64 --rate=2m,2m --loops=100000 --time_based --runtime=3600 --output=/out/fio.txt & FIO=$!
  sleep 2
}
# longest SINCE: the longest that any probe took which ended since then.
longest() { awk -v t="$1" '$2 >= t {d = $2 - ($1 > t ? $1 : t); if (d > m) m = d} END {print m + 0}' /out/probe; }
end_load() {
  kill -INT $FIO; wait $FIO; local rc=$?; rm -f /tmp/probing; wait $PROBER
  { [ $rc = 0 ] || [ $rc = 128 ]; } && ! grep -qiE 'verify failed|err=[ ]*[1-9]' /out/fio.txt && pass "$1-fio-verify" "$(grep -m1 -o 'issued rwts: total=[0-9,]*' /out/fio.txt); longest stall $(longest 0) ms" ||
    fail "$1-fio-verify" "exit $rc: $(grep -m3 -iE 'err|verify' /out/fio.txt)"
  [ -s /out/probe-errors ] && fail "$1-no-io-error" "$(head -3 /out/probe-errors)" || pass "$1-no-io-error"
}
going_on() { local t i; t=$(now_ms); for ((i = 0; i < 600; i++)); do [ "$(awk -v t="$t" '$1 >= t' /out/probe | wc -l)" -ge 3 ] && return 0; sleep 0.1; done; echo "no I/O completed within 60 s"; return 1; }

# ---- three paths, grouped by what the target says of them ----
check discovery discover "$PORTAL" || finish
for p in $PORTALS; do
  grep -q "^$p," /tmp/targets && pass "send-targets-lists-$p" || fail "send-targets-lists-$p" "$(cat /tmp/targets)"
  setting "$p" node.session.timeo.replacement_timeout 1
  setting "$p" 'node.conn[0].timeo.noop_out_interval' 2; setting "$p" 'node.conn[0].timeo.noop_out_timeout' 2
  check "login-$p" login "$p"
done
modprobe -a dm_multipath dm_round_robin dm_service_time; modprobe scsi_dh_alua 2>/dev/null
cat >/etc/multipath.conf <<'Y'
defaults {
  user_friendly_names yes
  find_multipaths no
  path_grouping_policy group_by_prio
  prio alua
  failback immediate
  path_selector "service-time 0"
  no_path_retry queue
  polling_interval 1
  max_polling_interval 1
}
blacklist {
  devnode "^vd"
}
Y
for p in $PORTALS; do disk "$p" >/dev/null; done
multipathd; for ((i = 0; i < 100; i++)); do [ -b $M ] && break; sleep 0.1; done
[ -b $M ] || { fail multipath-device "$(multipath -ll 2>&1; ls /dev/mapper)"; finish; }
paths() { multipathd show paths format '%d %t %o' | grep -c 'active running'; }
all_paths() { local i; for ((i = 0; i < 300; i++)); do [ "$(paths)" = "$(wc -w <<<"$PORTALS")" ] && return 0; sleep 0.2; done; multipathd show paths; return 1; }
check multipath-all-paths all_paths
declare -A DISK; for p in $PORTALS; do DISK[$p]=$(disk "$p"); done
# beside PORTAL [DRAINED]: the path through it has priority 50 (active/optimized) and each other one 10 (active/non-optimized); the portal of a drained node has sent its session away.
beside() {
  local i p d state want; for ((i = 0; i < 100; i++)); do
    state=ok; multipathd show paths format '%d %p' >/tmp/prios
    for p in $PORTALS; do [ "$p" != "${2-}" ] || continue; want=10; [ "$p" != "$1" ] || want=50; d=${DISK[$p]}; grep -qE "^${d##*/} +$want *$" /tmp/prios || state="$p (${d##*/}) is not at $want"; done
    [ "$state" = ok ] && return 0; sleep 0.2; done
  echo "$state"; cat /tmp/prios; multipath -ll; return 1
}
C=$(host coordinator); check alua-optimized-beside-the-volume beside "$C"
used() { local d=${DISK[$1]}; awk -v d="${d##*/}" '$3 == d {print $8}' /proc/diskstats; }
check mkfs mkfs.ext4 -q $M || finish
mkdir -p /mnt/v; check mount mount $M /mnt/v || finish
dd if=/dev/urandom of=/mnt/v/big bs=1M count=8 conv=fsync status=none; (cd /mnt/v && sha256sum big >/out/sums)
load

# The volume moves: its old portal says so by a unit attention, and the other group is used.
t=$(now_ms); check move-drain host drain "$C"; N=$(host left "$C"); check alua-follows-the-volume beside "$N" "$C"
check move-goes-on going_on; note "volume moved from $C to $N: longest stall $(longest "$t") ms"
before=$(used "$N"); sleep 3; after=$(used "$N"); [ "$((after - before))" -gt 10 ] && pass alua-path-in-use-follows || fail alua-path-in-use-follows "writes through $N rose from $before to $after"
check move-uncordon host uncordon "$C"
check move-all-paths all_paths
check alua-all-states-after-the-move beside "$(host coordinator)"

# The gateway in use dies, with the volume.
t=$(now_ms); C=$(host coordinator); check kill host kill "$C"; check kill-goes-on going_on; pass kill-without-error "longest stall $(longest "$t") ms"
check kill-node-returns host back "$C"; check kill-all-paths all_paths

# All nodes, one after the other.
for p in $PORTALS; do t=$(now_ms); check "restart-$p" host restart "$p"; check "restart-$p-goes-on" going_on; check "restart-$p-all-paths" all_paths; note "restart of $p: longest stall $(longest "$t") ms"; done
end_load multipath
check multipath-unmount umount /mnt/v
check multipath-fsck e2fsck -fn $M
multipathd shutdown >/dev/null; sleep 1; multipath -F; for p in $PORTALS; do logout "$p" >/dev/null; done
errors=$(dmesg | grep -E 'Buffer I/O|EXT4-fs error|Aborting journal|I/O error, dev dm-'); [ -z "$errors" ] && pass multipath-no-error-reached-the-file-system || fail multipath-no-error-reached-the-file-system "$errors"

# ---- a single path, handed over: its node is drained, then the node that it went to stops ----
P=${PORTALS%% *}; setting "$P" node.session.timeo.replacement_timeout 120
check single-login login "$P" || finish
D=$(disk "$P") || { fail single-disk "no disk"; finish; }
check single-mount mount "$D" /mnt/v || finish
SEEN=$(dmesg | wc -l)
current() { iscsiadm -m session -P 1 | sed -n 's/.*Current Portal: \([0-9.:]*\),.*/\1/p'; }
moved() { local i c; for ((i = 0; i < 150; i++)); do c=$(current); [ -n "$c" ] && [ "$c" != "$1" ] && return 0; sleep 0.2; done; iscsiadm -m session -P 1; return 1; }
load
t=$(now_ms); check single-drain host drain "$P"; check single-session-moved moved "$P"; check single-drain-goes-on going_on
Q=$(current); pass single-handed-over-by-a-drain "from $P to $Q: longest stall $(longest "$t") ms; sessions on: $(host sessions)"
check single-uncordon host uncordon "$P"
t=$(now_ms); check single-stop host restart "$Q"; check single-stop-goes-on going_on
R=$(current); [ "$R" != "$Q" ] && pass single-handed-over-by-a-stop "from $Q to $R: longest stall $(longest "$t") ms" || fail single-handed-over-by-a-stop "still at $Q"
end_load single
check single-unmount umount /mnt/v
check single-fsck e2fsck -fn "$D"
check single-mount-read-only mount -o ro "$D" /mnt/v
sums() { cd /mnt/v && sha256sum --quiet -c /out/sums; local rc=$?; cd /; return $rc; }
check checksums-equal sums
umount /mnt/v; check last-logout logout "$P"
errors=$(dmesg | tail -n +$((SEEN + 1)) | grep -E 'I/O error|EXT4-fs error|Aborting journal'); [ -z "$errors" ] && pass single-no-kernel-error || fail single-no-kernel-error "$errors"
finish
