#!/usr/bin/env bash
# A pool that fills up (promise P8): three replicas, one pool on a small file system of its own. Filled over iSCSI until a write is refused, cleanly; all replicas stay in sync; reads, unmaps and
# a restart go on; unmapping, and a file of somebody else that is deleted, make room again without a restart.
. "$(dirname "$0")/lib.sh"
need tools qemu-io mkfs.ext4 curl jq
[ "$TARGET" = dev ] || { skip full-pool "is about the product only"; finish; }
[ "$(id -u)" = 0 ] || { skip full-pool "needs root, to mount a small file system"; finish; }
DATA_DIR=$WORK/data; SMALL=$DATA_DIR/pool-1
mkdir -p "$SMALL"; truncate -s 512M "$WORK/small.img"; mkfs.ext4 -q -m 0 "$WORK/small.img"
mount -o loop "$WORK/small.img" "$SMALL" 2>"$WORK/mount.err" || { skip full-pool "cannot mount a file: $(one_line <"$WORK/mount.err")"; finish; }
unmount() { cleanup_small=1; umount -l "$SMALL" 2>/dev/null; cleanup; }
trap unmount EXIT
start_dev --no-demo && create_volume test 1Gi || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; check healthy healthy_within test 30 || finish

qio() { timeout 120 qemu-io -f raw "$@" "$URL" 2>&1; }
works() { local out; out=$(qio "$@"); echo "$out"; ! grep -qiE "failed|error|mismatch|discrepanc" <<<"$out"; }
in_sync() { volume test | jq -e '[.replicas[].state] == ["InSync","InSync","InSync"]'; }
pool() { curl -fsS -m 10 "$API/pools" | jq -er '(.items? // .)[] | select(.id == "pool-1") | '"$1"; }
events() { ctl events -n 200; }
shown() { [ "$(pool .fullness)" = "$1" ]; }
told() { events | grep -q "$1"; }

# Data that are written once, 4 MiB at a time, until a write is refused.
check first-data works -c "write -P 7 0 16M" -c flush
t0=$(now_ms); at=16 refusal=''
while [ $at -lt 1000 ]; do
  out=$(qio -c "write -P 9 ${at}M 4M")
  if ! grep -q "^wrote" <<<"$out"; then refusal=$out; break; fi
  at=$((at + 4))
done
note "$((at)) MiB were written in $(($(now_ms) - t0)) ms before a write was refused: $(one_line <<<"$refusal")"
matches refused-for-want-of-space "No space left on device|SPACE ALLOCATION|Space allocation|DATA_PROTECT|DATA PROTECT" "$refusal"
[ $at -ge 250 ] && pass most-of-the-pool-was-used "$at MiB of 512" || fail most-of-the-pool-was-used "only $at MiB"
check in-sync-when-full in_sync
check reads-when-full works -c "read -P 7 0 16M" -c "read -P 9 100M 16M"
check flush-when-full works -c flush
check shown-as-full within 15 shown Full
check told-as-full within 30 told PoolFull
check told-before within 5 told PoolNearlyFull
matches described-as-full "pool pool-1 is full" "$(ctl volume describe test)"
matches listed-as-full "full" "$(ctl pool list)"
matches metrics-say-so 'openebs_pool_fullness.*pool="pool-1".* 2' "$(curl -fsS -m 10 "$HTTP/metrics" | grep openebs_pool_fullness)"

check restart-when-full stop_dev
launch_dev; check ready-after-restart wait_ready 60 || finish
check healthy-after-restart healthy_within test 60
check reads-after-restart works -c "read -P 7 0 16M" -c "read -P 9 100M 16M"
kill_dev; launch_dev; check ready-after-kill wait_ready 60 || finish
check healthy-after-kill healthy_within test 60

check unmap works -c "discard 16M 128M" -c flush
frees() { local out; out=$(qio -c "write -P 5 16M 4M"); echo "$out"; grep -q "^wrote" <<<"$out"; }
t0=$(now_ms); check writes-after-unmap within 60 frees
note "writes went on $(($(now_ms) - t0)) ms after the unmap"
check in-sync-after-unmap in_sync

# Somebody else takes every byte that is left, also of what the replicas still give back after the unmap, and gives it back.
takes_all() {
  dd if=/dev/zero bs=64K status=none 2>/dev/null >>"$SMALL/somebody-elses"; sleep 1
  local left; left=$(df --output=avail -B1 "$SMALL" | tail -n 1); echo "$left bytes are left"; [ "$left" -lt 1048576 ]
}
check file-system-is-full within 60 takes_all
# What the pool has already it may use to the end: the segments begun, the files kept for the next ones, what compaction gets back. So what is written is new, and much enough for all of that.
blocked=''; for ((i = 0; i < 256; i++)); do out=$(qio -c "write -P 6 $((600 + i))M 1M"); grep -q "^wrote" <<<"$out" || { blocked=$out; break; }; done
note "$i MiB more were written before a write was refused: $(one_line <<<"$blocked")"
matches refused-when-others-took-all "No space left on device|SPACE ALLOCATION|Space allocation|DATA_PROTECT|DATA PROTECT" "$blocked"
check in-sync-when-others-took-all in_sync
check reads-when-others-took-all works -c "read -P 7 0 16M"
check unmap-when-others-took-all works -c "discard 150M 4M" -c flush
kill_dev; launch_dev; check ready-without-a-free-byte wait_ready 60 || finish
check healthy-without-a-free-byte healthy_within test 60
check reads-without-a-free-byte works -c "read -P 7 0 16M"
rm "$SMALL/somebody-elses"
t0=$(now_ms); check writes-after-others-gave-back within 30 frees
note "writes went on $(($(now_ms) - t0)) ms after the other file was deleted"
check told-of-room within 30 told PoolHasRoom
check in-sync-at-the-end in_sync
left=$(events | grep -c ReplicaLeft); note "replicas left the in-sync set $left times (kills of the process included)"
crashes=$(grep -hcE '^ +at [A-Z]|Unhandled exception' "$LOGS"/server-*.log | paste -sd+ | bc); equal no-stack-trace-in-the-logs 0 "$crashes"
check clean-stop stop_dev
finish
