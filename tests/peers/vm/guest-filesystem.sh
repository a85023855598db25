#!/bin/bash
# In the guest: a file system's life on the volume. Environment: FS ext4|xfs, DIGESTS None|CRC32C, LUN, PART, FIO_MB.
. /job/guest-lib.sh
check discovery discover "$PORTAL" || finish
setting "$PORTAL" 'node.conn[0].iscsi.HeaderDigest' "$DIGESTS"; setting "$PORTAL" 'node.conn[0].iscsi.DataDigest' "$DIGESTS"
check login login "$PORTAL" || finish
check by-path-link disk "$PORTAL" || finish
D=$LAST_OUTPUT
iscsiadm -m session -P 2 >/out/session.txt
if grep -q "HeaderDigest: $DIGESTS" /out/session.txt && grep -q "DataDigest: $DIGESTS" /out/session.txt; then pass "digests-$DIGESTS"; else
  fail "digests-$DIGESTS" "$(grep Digest /out/session.txt)"; fi

for p in 0x00 0x80 0x83 0x86 0xb0 0xb1 0xb2 0xb7; do
  [ "$STAND_IN" = 1 ] && [[ $p = 0x86 || $p = 0xb7 ]] && continue
  check "sg_vpd-$p" sg_vpd -p $p "$D"
done

check "mkfs-$FS" "mkfs.$FS" -q "$D" || finish
mkdir -p /mnt/v; check mount mount "$D" /mnt/v || finish
files() {
  mkdir -p /mnt/v/tree && cp -a /usr/lib/udev /usr/share/multipath-tools /etc /mnt/v/tree/ 2>/dev/null
  dd if=/dev/urandom of=/mnt/v/big bs=1M count=24 status=none && dd if=/dev/urandom of=/mnt/v/direct bs=64k count=64 oflag=direct status=none &&
    (cd /mnt/v && find . -type f -exec sha256sum {} + | sort >/out/sums) && [ "$(wc -l </out/sums)" -gt 50 ]
}
check write-files files
verify() {
  fio --name=verify --filename=/mnt/v/fio --size="${FIO_MB}m" --rw=randwrite --bsrange=512-64k --direct=1 --ioengine=libaio --iodepth=16 --verify=crc32c --verify_fatal=1 \
    --do_verify=1 --verify_backlog=256 --output=/out/fio.txt --fsync=64
}
check fio-verify verify
sync; before=$(host used)
rm -f /mnt/v/fio; dd if=/dev/urandom of=/mnt/v/waste bs=1M count=48 conv=fsync status=none
middle=$(host used); rm -f /mnt/v/waste; sync
check fstrim fstrim -v /mnt/v; note "fstrim: $LAST_OUTPUT"
check unmount umount /mnt/v
after=$middle; for ((i = 0; i < 60; i++)); do after=$(host used); [ "$after" -lt "$middle" ] 2>/dev/null && break; sleep 0.5; done
if [ "${after:-0}" -lt "${middle:-0}" ]; then pass fstrim-frees-space "$middle -> $after bytes"
else fail fstrim-frees-space "used bytes $before, before the trim $middle, 30 s after it still $after"; fi
case $FS in ext4) check fsck e2fsck -fn "$D";; xfs) check fsck xfs_repair -n "$D";; esac

check logout logout "$PORTAL"
check log-in-again login "$PORTAL"
check by-path-link-again disk "$PORTAL" || finish
D=$LAST_OUTPUT
check mount-read-only mount -o ro "$D" /mnt/v
sums() { cd /mnt/v && sha256sum --quiet -c /out/sums; local rc=$?; cd /; return $rc; }
check checksums-equal sums
check unmount-again umount /mnt/v
check logout-again logout "$PORTAL"
errors=$(kernel_errors); if [ -z "$errors" ]; then pass no-kernel-errors; else fail no-kernel-errors "$errors"; fi
finish
