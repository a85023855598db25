#!/usr/bin/env bash
# Bits flip on a disk under pages that are cached (the file under a loop device that holds one of three pools): nothing but a scrub, which reads the media, can tell. It does, puts everything right, and
# the pool is marked and drained, until it is trusted again.
. "$(dirname "$0")/lib.sh"
need tools qemu-img qemu-io mkfs.ext4 curl jq python3
[ "$TARGET" = dev ] || { skip scrub "is about the product only"; finish; }
[ "$(id -u)" = 0 ] || { skip scrub "needs root, to mount a small file system"; finish; }
DATA_DIR=$WORK/data; SMALL=$DATA_DIR/pool-1
mkdir -p "$SMALL"; truncate -s 512M "$WORK/small.img"; mkfs.ext4 -q -m 0 "$WORK/small.img"
mount -o loop "$WORK/small.img" "$SMALL" 2>"$WORK/mount.err" || { skip scrub "cannot mount a file: $(one_line <"$WORK/mount.err")"; finish; }
unmount() { umount -l "$SMALL" 2>/dev/null; cleanup; }
trap unmount EXIT
start_dev --no-demo --media-error-limit 8 --scrub-limit none && create_volume test 128Mi || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; check healthy healthy_within test 60 || finish
dd if=/dev/urandom of="$WORK/image" bs=1M count=24 status=none
check image-in timeout 60 qemu-io -f raw -c "write -s $WORK/image 0 24M" -c flush "$URL"
same() { timeout 60 qemu-img dd -f raw -O raw if="$URL" of="$WORK/back" bs=1M count=24 && cmp "$WORK/image" "$WORK/back"; }
pool() { curl -fsS -m 10 "$API/pools" | jq -er '(.items? // .)[] | select(.id == "pool-1") | '"$1"; }
ended() { volume test | jq -r '.lastScrub.endedAt // "never"'; }
scrub() { local before i; before=$(ended); ctl volume scrub test >/dev/null || return 1; for ((i = 0; i < 120; i++)); do [ "$(ended)" != "$before" ] && volume test | jq -e '.isScrubbing | not' >/dev/null && return 0; sleep 0.5; done; return 1; }
found() { volume test | jq -ce '.lastScrub | [.badBlocks, .repairedBlocks, .differingBlocks, .repairedStructures, .damagedReplicas]'; }
is() { local want=$1; shift; local got; got=$("$@") || return 1; [ "$got" = "$want" ] || { echo "it is $got, not $want"; return 1; }; }
soon() { local i; for ((i = 0; i < 60; i++)); do "$@" >/dev/null 2>&1 && return 0; sleep 0.5; done; "$@"; }

check first-scrub scrub
check nothing-found is '[0,0,0,0,0]' found

# flip BLOCK...: one bit in each of these blocks and in one superblock, in the file under the loop device. The page cache of the file system above still has what was there, and says so.
flip() { sync -f "$SMALL"; cat "$SMALL"/replicas/*/* >/dev/null; python3 - "$WORK/small.img" "$WORK/image" "$SMALL" "$@" <<'PY'
import glob, mmap, os, sys
disk_path, image_path, pool = sys.argv[1:4]
image = open(image_path, 'rb').read()
superblock = open(glob.glob(pool + '/replicas/*/superblock')[0], 'rb').read()
wanted = [(image[b * 4096:(b + 1) * 4096], 1234) for b in map(int, sys.argv[4:])] + [(superblock[4096:8192], 300)]
fd = os.open(disk_path, os.O_RDWR)
disk = mmap.mmap(fd, 0)
for page, at in wanted:
    place, last = disk.find(page), -1
    if place < 0: sys.exit('a page is not on the disk')
    # The superblock is there twice, the same: its second copy.
    if at == 300: place = max(place, disk.find(page, place + 1))
    disk[place + at] = disk[place + at] ^ 4
disk.flush()
cached = b''.join(open(f, 'rb').read() for f in sorted(glob.glob(pool + '/replicas/*/segment-*')))
missing = [i for i, (page, at) in enumerate(wanted[:-1]) if page not in cached]
if missing: sys.exit(f'blocks {missing} are not good in the page cache')
PY
}
check bits-flip-under-the-cache flip 0 7 1000 2500 4000 6143
check reads-see-nothing same
check scrub-of-the-media scrub
check all-found-and-put-right is '[6,6,0,1,0]' found
check scrub-again scrub
check nothing-left is '[0,0,0,0,0]' found
check image-is-right same
matches told 'BadBlocks' "$(ctl events --volume test -n 100)"
matches told-of-the-superblock 'StoreRepaired' "$(ctl events --volume test -n 100)"
check seven-errors is 7 pool .mediaErrorCount
check not-marked is '' pool .suspicion

# Some more, and the pool is marked and drained (with nowhere to go: it stays, and serves).
check more-flips flip 1 8 5000; check third-scrub scrub
marked() { pool '.suspicion | test("media errors")' && is Draining pool .availability; }
check marked-and-drained soon marked
matches pool-list-says-so 'marked: ' "$(ctl pool list)"
matches event-says-so 'PoolSuspected' "$(ctl events -n 200)"
check trusted-again ctl pool uncordon pool-1
trusted() { is '' pool .suspicion && is Available pool .availability; }
check mark-is-gone trusted
sleep 12; check stays-gone trusted
matches metrics 'openebs_pool_media_errors.*pool="pool-1"' "$(curl -fsS -m 10 "$HTTP/metrics" | grep openebs_pool_media)"
matches scrub-metrics 'openebs_scrub_last_found.*' "$(curl -fsS -m 10 "$HTTP/metrics" | grep openebs_scrub)"
check healthy-at-the-end healthy_within test 60
check image-at-the-end same
finish
