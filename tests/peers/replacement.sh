#!/usr/bin/env bash
# `dev --nodes 4 --replacement-delay 3s` under fio with verification: a node that stays away loses its replica to another node, twice, with the number of replicas changed in between;
# what the nodes still have when they return is deleted; an image written before reads back the same from what is left.
. "$(dirname "$0")/lib.sh"
need tools qemu-nbd qemu-img fio ss curl jq
[ "$TARGET" = dev ] || { skip replacement "is about the product only"; finish; }
start_dev --no-demo --nodes 4 --restart-delay 40s --replacement-delay 3s && create_volume test 256Mi || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; check healthy healthy_within test 60 || finish
SOCKET=$WORK/nbd.sock
dd if=/dev/urandom of="$WORK/image" bs=1M count=32 status=none
convert() { timeout 60 qemu-io -f raw -c "write -s $WORK/image 0 32M" -c flush "$URL"; }
check image-in convert
check bridge bridge || finish
launch "$LOGS/fio.log" fio --ioengine=nbd --uri="nbd+unix:///?socket=$SOCKET" --name=heal --offset=32m --size=192m --rw=randwrite --bsrange=512-64k --iodepth=8 \
  --verify=crc32c --verify_fatal=1 --verify_state_save=0 --verify_backlog=512 --do_verify=1 --rate=12m,12m --fsync=200 --time_based --runtime=75 --loops=100000 \
  --output-format=json --output="$LOGS/fio.json"
FIO=$LAUNCHED; sleep 2

# The portal that fio uses is that of the first node: it stays.
holders() { volume test | jq -r '.replicas[].node' | sort; }
victim() { holders | grep -v "^node-1$" | head -n 1; }
without() { volume test | jq -e --arg node "$1" --arg pool "$2" --argjson n "$3" \
  '.state == "Healthy" and (.replicas | length) == $n and all(.replicas[]; .state == "InSync" and .node != $node and .pool != $pool)'; }
replace() { # NAME REPLICAS: kills the node of a replica, and waits until another has taken its place
  local node pool pid t0; node=$(victim); pool=$(volume test | jq -r --arg n "$node" '.replicas[] | select(.node == $n) | .pool')
  pid=$(port_pid $((ISCSI_PORT + ${node#node-} - 1))); t0=$(now_ms); kill -9 "$pid"
  check "$1-replaced" within 60 without "$node" "$pool" "$2"
  note "$1: $node was killed; another replica was in sync in its place after $(($(now_ms) - t0)) ms (delay 3 s, upkeep every 10 s)"
  LOST_POOL=$pool
}
replace first 3; first=$LOST_POOL
check scale-down ctl volume set test --replicas 2
two() { volume test | jq -e '.state == "Healthy" and (.replicas | length) == 2'; }
check two-replicas within 30 two
emptied() { ctl pool list -o json | jq -e --arg pool "$first" '(if type == "array" then . else .items end)[] | select(.id == $pool) | .online and .replicaCount == 0'; }
check lost-replica-is-deleted-on-return within 75 emptied
check scale-up ctl volume set test --replicas 3
three() { volume test | jq -e '.state == "Healthy" and (.replicas | length) == 3'; }
check three-replicas within 45 three
replace second 3
wait $FIO; rc=$?
stats=$(jq -r '.jobs[0] | "\(.read.total_ios) reads, \(.write.total_ios) writes, longest wait \([.read.clat_ns.max, .write.clat_ns.max] | max / 1e6 | floor) ms, error \(.error)"' "$LOGS/fio.json" 2>/dev/null)
if [ $rc = 0 ] && [ -n "$stats" ]; then pass fio-without-error-or-mismatch "$stats"; else fail fio-without-error-or-mismatch "exit $rc; $stats; $(grep -vE '^(\{|\})' "$LOGS/fio.log" | tail -n 3)"; fi
kill "$BRIDGE" 2>/dev/null; gone_within "$BRIDGE" 10
same() { timeout 60 qemu-img dd -f raw -O raw if="$URL" of="$WORK/back" bs=1M count=32 && cmp "$WORK/image" "$WORK/back"; }
check image-equal same
crashes=$(grep -cE '^ +at [A-Z]|Unhandled exception' "$SERVER_LOG"); equal no-stack-trace-in-the-log 0 "$crashes"
check clean-stop stop_dev
finish
