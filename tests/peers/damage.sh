#!/usr/bin/env bash
# Files of replicas are damaged on disk, in every kind of place; the volume opens from what is whole, and each damaged replica is repaired, or discarded and rebuilt, unasked.
. "$(dirname "$0")/lib.sh"
need tools qemu-img qemu-io ss curl jq python3
[ "$TARGET" = dev ] || { skip damage "is about the product only"; finish; }
start_dev --no-demo --media-error-limit 0 && create_volume test 128Mi || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; check healthy healthy_within test 60 || finish
dd if=/dev/urandom of="$WORK/image" bs=1M count=48 status=none
check image-in timeout 60 qemu-io -f raw -c "write -s $WORK/image 0 48M" -c flush "$URL"
healthy() { volume test | jq -e '.state == "Healthy" and (.replicas | length) == 3 and all(.replicas[]; .state == "InSync")'; }
same() { timeout 60 qemu-img dd -f raw -O raw if="$URL" of="$WORK/back" bs=1M count=48 && cmp "$WORK/image" "$WORK/back"; }
replica() { find "$DATA" -type d -path "*pool-$1*/replicas/*" | head -n 1; }
discards() { ctl events --volume test -o json | jq '[.[] | select(.kind == "ReplicaDiscarded")] | length'; }
# flip FILE HOW: `all` overwrites every page's beginning, `some` flips one bit in each page that is not empty.
flip() { python3 - "$1" "$2" <<'PY'
import sys
path, how = sys.argv[1:]
data = bytearray(open(path, 'rb').read())
for page in range(0, len(data), 4096):
    if not any(data[page:page + 4096]): continue
    if how == 'all': data[page:page + 64] = b'\xa5' * 64
    else: data[page + 40] ^= 1
open(path, 'r+b').write(data)
PY
}
again() { launch_dev; wait_ready 60; }

# The commit point travels with the heartbeat, every 2 s; without it a store that is closed takes no checkpoint, and would have no map on disk to be damaged.
stop() { sleep 3; stop_dev; }
map_of() { ls "$(replica "$1")"/map-*; }
damage_map() { local f files; files=$(map_of "$1") || return 1; for f in $files; do flip "$f" "$2" || return 1; done; }
lose_map() { local files; files=$(map_of "$1") || return 1; rm $files; }
lose_superblock() { rm "$(replica "$1")/superblock"; }
lose_replica() { rm -r "$(replica "$1")"; }
damage_superblock() { flip "$(replica "$1")/superblock" all; }
check clean-stop stop

# Both superblocks of one, the whole map of another.
check damage-a-superblock damage_superblock 1; check damage-a-map damage_map 2 all
check opens-with-one-good-replica again || finish
check healed within 60 healthy; check image-equal same
note "discarded: $(ctl events --volume test -o json | jq -r '[.[] | select(.kind == "ReplicaDiscarded") | .cause] | join("; ")' | one_line)"
equal two-were-discarded 2 "$(discards)"
check clean-stop-again stop

# The third's superblock is gone altogether, and the map of the first; then the process is killed in the middle of healing.
check lose-a-superblock lose_superblock 3; check lose-a-map lose_map 1
check opens-again again || finish
kill_dev; check opens-after-a-kill again || finish
check healed-again within 60 healthy; check image-still-equal same
check third-stop stop

# A whole replica is gone (a disk that was replaced, say), and another cannot be opened: fewer than minInSync are left, and one that is whole is enough.
check lose-a-replica lose_replica 3; check damage-another-superblock damage_superblock 1
check opens-with-one-of-three again || finish
check healed-from-one within 60 healthy; check image-equal-from-one same
before=$(discards)
check fourth-stop stop

# Single bits of the map of a replica: whatever they hit is found at opening, by a read or a write, or by the scrub.
check flip-bits-of-a-map damage_map 2 some
check opens-with-bits-flipped again || finish
check scrub ctl volume scrub test
scrubbed() { ctl events --volume test -o json | jq -e '.[] | select(.kind == "Scrubbed")'; }
check scrubbed within 90 scrubbed; check healed-by-then within 60 healthy
equal the-flipped-bits-were-found $((before + 1)) "$(discards)"
check write timeout 60 qemu-io -f raw -c 'write -P 9 64M 16M' -c flush "$URL"
check image-equal-at-last same
check stop stop_dev
launch_dev; check starts wait_ready 60; check healthy-at-last within 60 healthy; check nothing-lost timeout 60 qemu-io -f raw -c 'read -P 9 64M 16M' "$URL"
equal no-stack-trace-for-users 0 "$(grep -c 'Unhandled exception' "$SERVER_LOG")"
check last-stop stop_dev
finish
