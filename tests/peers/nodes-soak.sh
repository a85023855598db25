#!/usr/bin/env bash
# `dev --nodes 3` under fio with verification, through qemu-nbd's iSCSI bridge, while the nodes are killed and restarted in turn for SOAK_SECS (120).
# The bridge knows one portal only, that of the first node: while that node is away its I/O waits for the portal to come back. (vm-failover.sh has
# an initiator that knows all portals.) Environment: RESTART_DELAY (1s), VICTIMS "1 2 0" (the order in which nodes are killed).
. "$(dirname "$0")/lib.sh"
need tools qemu-nbd qemu-img fio ss curl jq
[ "$TARGET" = dev ] || { skip nodes-soak "is about the product only"; finish; }
SOAK_SECS=${SOAK_SECS:-120} VICTIMS=(${VICTIMS:-1 2 0})
start_dev --no-demo --nodes 3 --restart-delay "${RESTART_DELAY:-1s}" && create_volume test 256Mi || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; check healthy healthy_within test 60 || finish

SOCKET=$WORK/nbd.sock
check bridge bridge || finish

launch "$LOGS/fio.log" fio --ioengine=nbd --uri="nbd+unix:///?socket=$SOCKET" --name=soak --size=192m --rw=randwrite --bsrange=512-64k --iodepth=16 \
  --verify=crc32c --verify_fatal=1 --verify_state_save=0 --verify_backlog=512 --do_verify=1 --rate=24m,24m --fsync=200 --time_based --runtime="$SOAK_SECS" --loops=100000 \
  --output-format=json --output="$LOGS/fio.json"
FIO=$LAUNCHED; sleep 3

kills=0 longest=0
while alive $FIO; do
  v=${VICTIMS[$((kills % ${#VICTIMS[@]}))]}; pid=$(port_pid $((ISCSI_PORT + v)))
  [ -n "$pid" ] || { fail victim "node $v is not there: $(tail -n 3 "$SERVER_LOG")"; break; }
  for h in 1 2 0; do [ $h = "$v" ] || { API=http://127.0.0.1:$((HTTP_PORT + h))/api/v1; break; }; done
  before=$(volume test | jq -r .coordinator); t0=$(now_ms); kill -9 "$pid"; kills=$((kills + 1))
  sleep 1; if ! healthy_within test 45 >"$WORK/healthy"; then alive $FIO && { fail "healthy-after-kill-$kills" "$(cat "$WORK/healthy")"; break; }; fi
  t=$(($(now_ms) - t0)); [ $t -le $longest ] || longest=$t
  echo "kill $kills: node at portal $((ISCSI_PORT + v)), coordinator was $before and is $(volume test | jq -r .coordinator), healthy again after $t ms" >>"$LOGS/kills.log"
  sleep 1
done
wait $FIO; rc=$?
stats=$(jq -r '.jobs[0] | "\(.read.total_ios) reads, \(.write.total_ios) writes, longest wait \([.read.clat_ns.max, .write.clat_ns.max] | max / 1e6 | floor) ms, error \(.error)"' "$LOGS/fio.json" 2>/dev/null)
if [ $rc = 0 ] && [ -n "$stats" ]; then pass fio-without-error-or-mismatch "$kills kills in $SOAK_SECS s; $stats; at most $longest ms until all replicas were in sync again"
else fail fio-without-error-or-mismatch "exit $rc after $kills kills; $stats; $(grep -vE '^(\{|\})' "$LOGS/fio.log" | tail -n 3)"; fi
if [ $kills -ge 6 ] || [ "$SOAK_SECS" -lt 120 ]; then pass kills "$kills"; else fail kills "only $kills in $SOAK_SECS s; the soak needs 6: $(tail -n 2 "$LOGS/kills.log")"; fi
kill "$BRIDGE" 2>/dev/null; gone_within "$BRIDGE" 10

# A known image, read back after each node has been away once: whoever serves it afterwards has the same bytes.
API=$HTTP/api/v1; check healthy-at-the-end healthy_within test 45
dd if=/dev/urandom of="$WORK/image" bs=1M count=128 status=none; truncate -s 256M "$WORK/image"
convert() { timeout 120 qemu-img convert -n -W -m 8 -f raw -O raw "$WORK/image" "$URL"; }
compare() { timeout 120 qemu-img compare -f raw -F raw "$WORK/image" "$URL"; }
check image-in convert
for v in 2 1 0; do
  API=http://127.0.0.1:$((HTTP_PORT + (v + 1) % 3))/api/v1; pid=$(port_pid $((ISCSI_PORT + v))); kill -9 "$pid"; gone_within "$pid" 5; URL=iscsi://127.0.0.1:$((ISCSI_PORT + (v + 1) % 3))/$IQN/0
  check "image-equal-without-node-$v" compare
  sleep 1; check "healthy-again-$v" healthy_within test 45
  check "image-equal-with-node-$v" compare
done
crashes=$(grep -cE '^ +at [A-Z]|Unhandled exception' "$SERVER_LOG"); equal no-stack-trace-in-the-log 0 "$crashes"
check clean-stop stop_dev
finish
