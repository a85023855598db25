#!/usr/bin/env bash
# qemu's block layer (libiscsi inside) against the target: patterns, zeroes, discard, images converted in and compared, unaligned writes, CRC digests.
. "$(dirname "$0")/lib.sh"
need tools qemu-io qemu-img ss curl jq
start_target 256M || { fail start "the target did not start"; finish; }

qio() { timeout 60 qemu-io -f raw "${@:2}" "$1" 2>&1 | tee "$WORK/qio.out"; ! grep -qiE 'failed|error|could not|can.t' "$WORK/qio.out"; }
io() { local a=() c; for c in "$@"; do a+=(-c "$c"); done; qio "$URL" "${a[@]}"; }

check write-read-pattern io 'write -P 0x5a 0 1M' 'flush' 'read -P 0x5a 0 1M' 'read -P 0 1M 1M'
check overwrite-part io 'write -P 0xa5 64k 4k' 'read -P 0x5a 0 64k' 'read -P 0xa5 64k 4k' 'read -P 0x5a 68k 60k'
check write-zeroes io 'write -P 0x11 8M 1M' 'write -z 8M 512k' 'read -P 0 8M 512k' 'read -P 0x11 8704k 512k'
check write-zeroes-unmap io 'write -P 0x12 16M 1M' 'write -z -u 16M 1M' 'read -P 0 16M 1M'
check discard io 'write -P 0x33 32M 2M' 'flush' 'discard 32M 1M' 'read -P 0x33 33M 1M'
if [ "$TARGET" = dev ]; then check discarded-blocks-read-as-zeros io 'read -P 0 32M 1M'; else skip discarded-blocks-read-as-zeros "tgt does not promise LBPRZ"; fi
check unaligned-512-bytes io 'write -P 1 40M 4k' 'write -P 2 41943552 512' 'write -P 3 41945088 1024' \
  'read -P 1 40M 512' 'read -P 2 41943552 512' 'read -P 1 41944064 1024' 'read -P 3 41945088 1024' 'read -P 1 41946112 512'
check unaligned-across-blocks io 'write -P 4 48M 64k' 'write -P 5 50334208 7168' 'read -P 4 48M 2560' 'read -P 5 50334208 7168' 'read -P 4 50341376 4096'
check fua io 'write -f -P 0x77 56M 64k' 'read -P 0x77 56M 64k'
check last-block io 'write -P 9 268431360 4k' 'read -P 9 268431360 4k'
check many-in-flight io 'aio_write -P 21 60M 1M' 'aio_write -P 22 61M 1M' 'aio_write -P 23 62M 1M' 'aio_write -P 24 63M 1M' 'aio_flush' \
  'read -P 21 60M 1M' 'read -P 22 61M 1M' 'read -P 23 62M 1M' 'read -P 24 63M 1M'

digest() {  # the header digest, which libiscsi computes and checks on its own
  timeout 60 qemu-io -c 'write -P 0x66 70M 1M' -c 'read -P 0x66 70M 1M' --image-opts \
    "driver=raw,file.driver=iscsi,file.transport=tcp,file.portal=$PORTAL,file.target=$IQN,file.lun=$LUN,file.header-digest=crc32c" 2>&1 | tee "$WORK/d"
  ! grep -qiE 'failed|error|could not' "$WORK/d"
}
check header-digest digest

image_info() {
  local i; i=$(qemu-img info -f raw --output json "$URL") || return 1
  echo "$i"; [ "$(jq -r '."virtual-size"' <<<"$i")" = 268435456 ]
}
check image-info image_info

# A random image with holes, converted in (several requests in flight, out of order) and compared from outside.
random_image() {
  truncate -s 256M "$WORK/random.img"
  dd if=/dev/urandom of="$WORK/random.img" bs=1M count=40 seek=3 conv=notrunc status=none
  dd if=/dev/urandom of="$WORK/random.img" bs=512 count=4001 seek=200001 conv=notrunc status=none
  dd if=/dev/urandom of="$WORK/random.img" bs=1M count=30 seek=200 conv=notrunc status=none
}
random_image
convert_in() { timeout 120 qemu-img convert -n -W -m 8 -f raw -O raw "$WORK/random.img" "$URL"; }
compare() { timeout 120 qemu-img compare -f raw -F raw "$WORK/random.img" "$URL"; }
check convert-image-in convert_in
check compare-image compare
convert_out() { timeout 120 qemu-img convert -m 8 -f raw -O raw "$URL" "$WORK/out.img" && cmp "$WORK/random.img" "$WORK/out.img"; }
check convert-image-out-and-compare convert_out
bench() { timeout 60 qemu-img bench -f raw -w -t none -c 5000 -d 16 -s 4096 -S 65536 --pattern 7 "$URL"; }
check bench-depth-16 bench

check clean-stop stop_target
finish
