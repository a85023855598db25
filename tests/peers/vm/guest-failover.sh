#!/bin/bash
# In the guest: a file system on dm-multipath over the portals of all nodes; the host kills the node that holds a session and the volume grain
# while fio verifies; then the same over a single path, whose node comes back. Environment: LUN, PART, ROUNDS, FIO_SECS.
. /job/guest-lib.sh

# ---- paths ----
check discovery discover "$PORTAL" || finish
for p in $PORTALS; do
  grep -q "^$p," /tmp/targets && pass "send-targets-lists-$p" || { [ "$STAND_IN" = 1 ] || fail "send-targets-lists-$p" "$(cat /tmp/targets)"; discover "$p" >/dev/null; }
  setting "$p" node.session.timeo.replacement_timeout 1  # hand failed commands to multipath soon
  setting "$p" 'node.conn[0].timeo.noop_out_interval' 2; setting "$p" 'node.conn[0].timeo.noop_out_timeout' 2
  check "login-$p" login "$p"
done
modprobe -a dm_multipath dm_round_robin dm_service_time
cat >/etc/multipath.conf <<'X'
defaults {
  user_friendly_names yes
  find_multipaths no
  path_grouping_policy multibus
  path_selector "service-time 0"
  no_path_retry queue
  polling_interval 1
  max_polling_interval 2
}
blacklist {
  devnode "^vd"
}
X
for p in $PORTALS; do disk "$p" >/dev/null; done
multipathd; for ((i = 0; i < 100; i++)); do [ -b /dev/mapper/mpatha ] && break; sleep 0.1; done
M=/dev/mapper/mpatha
[ -b $M ] || { fail multipath-device "$(multipath -ll 2>&1; ls /dev/mapper)"; finish; }
paths() { multipathd show paths format '%d %t %o' | grep -c 'active running'; }
want=$(wc -w <<<"$PORTALS"); for ((i = 0; i < 50; i++)); do [ "$(paths)" = "$want" ] && break; sleep 0.2; done
[ "$(paths)" = "$want" ] && pass "multipath-$want-paths" || fail "multipath-$want-paths" "$(multipathd show paths)"

# ---- load ----
prober() {  # direct 4 KiB writes one after the other: "start end" in ms
  while [ -e /tmp/probing ]; do
    s=$(now_ms); dd if=/job/env of=/mnt/v/probe bs=4k count=1 oflag=direct conv=sync,notrunc status=none || echo "error at $s" >>/out/probe-errors; echo "$s $(now_ms)" >>/out/probe
  done
}
load() {  # load NAME: fio with verification in the background
  : >/out/probe; touch /tmp/probing; prober & PROBER=$!
  fio --name=verify --filename=/mnt/v/fio --size=48m --rw=randwrite --bsrange=4k-32k --direct=1 --ioengine=libaio --iodepth=8 --verify=crc32c --verify_fatal=1 --do_verify=1 \
    --verify_backlog=64 --rate=2m,2m --loops=1000 --time_based --runtime="$1" --output=/out/fio.txt & FIO=$!
  sleep 2
}
# kill_and_time NAME: the host kills the node; prints when I/O went on.
kill_and_time() {
  local t0 t1 who; t0=$(now_ms); who=$(host kill) || { fail "$1-kill" "$who"; return 1; }
  t1=$(now_ms)
  local i; for ((i = 0; i < 600; i++)); do [ "$(awk -v t="$t1" '$1 >= t' /out/probe | wc -l)" -ge 3 ] && break; sleep 0.1; done
  local first stall; first=$(awk -v t="$t1" '$1 >= t {print $2 - t; exit}' /out/probe)
  stall=$(awk -v t="$t0" '$2 >= t {d = $2 - ($1 > t ? $1 : t); if (d > m) m = d} END {print m + 0}' /out/probe)
  [ -n "$first" ] && pass "$1" "killed $who; first I/O issued after the kill completed after $first ms, longest stall of any I/O $stall ms" || fail "$1" "no I/O completed within 60 s after $who was killed"
}
end_load() {
  wait $FIO; local rc=$?
  rm -f /tmp/probing; wait $PROBER
  [ $rc = 0 ] && pass "$1-fio-verify" "$(grep -m1 -o 'issued rwts: total=[0-9,]*' /out/fio.txt)" || fail "$1-fio-verify" "exit $rc: $(grep -m3 -iE 'err|verify' /out/fio.txt)"
  [ -s /out/probe-errors ] && fail "$1-no-io-error" "$(head -3 /out/probe-errors)" || pass "$1-no-io-error"
}

# ---- multipath ----
check mkfs mkfs.ext4 -q $M || finish
mkdir -p /mnt/v; check mount mount $M /mnt/v || finish
dd if=/dev/urandom of=/mnt/v/big bs=1M count=16 conv=fsync status=none; (cd /mnt/v && sha256sum big >/out/sums)
load "$FIO_SECS"
for ((r = 1; r <= ROUNDS; r++)); do
  kill_and_time "multipath-kill-$r"
  check "multipath-healthy-again-$r" host wait-healthy
  for ((i = 0; i < 150; i++)); do [ "$(paths)" = "$want" ] && break; sleep 0.2; done
  [ "$(paths)" = "$want" ] && pass "multipath-path-returns-$r" || fail "multipath-path-returns-$r" "$(multipathd show paths)"
done
dd if=/dev/urandom of=/mnt/v/after bs=1M count=8 conv=fsync status=none; (cd /mnt/v && sha256sum after >>/out/sums)
end_load multipath
check multipath-unmount umount /mnt/v
check multipath-fsck e2fsck -fn $M
multipathd shutdown >/dev/null; sleep 1; multipath -F; for p in $PORTALS; do logout "$p" >/dev/null; done
errors=$(dmesg | grep -E 'Buffer I/O|EXT4-fs error|Aborting journal|dm-0.*I/O error|I/O error, dev dm-'); [ -z "$errors" ] && pass multipath-no-error-reached-the-file-system || fail multipath-no-error-reached-the-file-system "$errors"

# ---- a single path to the coordinator's portal, which comes back with its node ----
if [ "$STAND_IN" != 1 ]; then
  P=$(host coordinator); setting "$P" node.session.timeo.replacement_timeout 120
  check single-login login "$P" || finish
  D=$(disk "$P") || { fail single-disk "no disk"; finish; }
  check single-mount mount "$D" /mnt/v || finish
  load 25; kill_and_time single-path-kill; check single-healthy-again host wait-healthy; end_load single
  check single-unmount umount /mnt/v
  check single-logout logout "$P"
fi

# ---- what was written is there ----
P=$(host coordinator); check last-login login "$P" || finish
D=$(disk "$P") || { fail last-disk "no disk"; finish; }
check fsck e2fsck -fn "$D"
check mount-read-only mount -o ro "$D" /mnt/v
sums() { cd /mnt/v && sha256sum --quiet -c /out/sums; local rc=$?; cd /; return $rc; }
check checksums-equal sums
umount /mnt/v; check last-logout logout "$P"
finish
