#!/usr/bin/env bash
# `dev --nodes 3` with one node that is slow, not dead: its process is stopped for 500 of every 530 ms. Its replica is set aside, writes no longer wait for it, and it is taken back when it keeps up.
# Latencies are printed, not judged: machines are shared.
. "$(dirname "$0")/lib.sh"
need tools qemu-nbd fio ss curl jq
[ "$TARGET" = dev ] || { skip slow "is about the product only"; finish; }
start_dev --no-demo --nodes 3 && create_volume test 256Mi || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; check healthy healthy_within test 60 || finish
SOCKET=$WORK/nbd.sock
check bridge bridge || finish

# The node with the portal stays quick; so does the volume's coordinator, which runs beside it.
SLOW=$(volume test | jq -r '[.replicas[].node | select(. != "node-1")] | last')
SLOW_PID=$(port_pid $((ISCSI_PORT + ${SLOW#node-} - 1)))
standing() { volume test | jq -r --arg n "$SLOW" '.replicas[] | select(.node == $n) | "\(.state) \(.reason)"'; }
is_aside() { standing | grep -qv '^InSync'; }
is_back() { standing | grep -q '^InSync'; }
# load NAME SECS: writes of 4 KiB, one at a time, every eighth followed by a flush, some reads; all that is written is verified.
load() {
  fio --ioengine=nbd --uri="nbd+unix:///?socket=$SOCKET" --name="$1" --size=256m --rw=randrw --rwmixread=30 --bs=4k --iodepth=1 --fsync=8 --verify=crc32c --verify_fatal=1 --verify_state_save=0 \
    --verify_backlog=64 --time_based --runtime="$2" --output-format=json --output="$LOGS/$1.json" >"$LOGS/$1.log" 2>&1
  local rc=$?
  note "$1: $(jq -r '.jobs[0] | "writes \(.write.iops | floor)/s, p50 \(.write.clat_ns.percentile["50.000000"] / 1e3 | floor) us, p99 \(.write.clat_ns.percentile["99.000000"] / 1e3 | floor) us, longest \(.write.clat_ns.max / 1e6 | floor) ms; reads p99 \(.read.clat_ns.percentile["99.000000"] / 1e3 | floor) us; flushes p99 \((.sync.lat_ns.percentile["99.000000"] // 0) / 1e3 | floor) us; error \(.error)"' "$LOGS/$1.json")"
  return $rc
}
slow_down() { while alive "$SLOW_PID"; do kill -STOP "$SLOW_PID"; sleep 0.5; kill -CONT "$SLOW_PID"; sleep 0.03; done; }
load warm 5 >/dev/null; check healthy-load load healthy 8; echo "$LAST_OUTPUT"
slow_down & SLOWING=$!
launch "$LOGS/while.log" fio --ioengine=nbd --uri="nbd+unix:///?socket=$SOCKET" --name=while --size=256m --rw=randwrite --bs=4k --iodepth=4 --fsync=8 --time_based --runtime=80; WHILE=$LAUNCHED
t0=$(now_ms); check set-aside within 60 is_aside && note "set aside after $(($(now_ms) - t0)) ms: $(standing)"
kill "$WHILE" 2>/dev/null; wait "$WHILE" 2>/dev/null
check slow-load load aside 8; echo "$LAST_OUTPUT"
is_aside; equal still-aside 0 $?
matches event-says-why 'slow' "$(ctl events --volume test -o json | jq -r '.. | .cause? // empty')"
kill $SLOWING 2>/dev/null; wait $SLOWING 2>/dev/null; kill -CONT "$SLOW_PID"
t0=$(now_ms); check taken-back within 60 is_back && note "taken back $(($(now_ms) - t0)) ms after it was quick again"
check load-after load after 5; echo "$LAST_OUTPUT"
kill "$BRIDGE" 2>/dev/null; gone_within "$BRIDGE" 10
equal no-stack-trace-in-the-log 0 "$(grep -cE '^ +at [A-Z]|Unhandled exception' "$SERVER_LOG")"
check clean-stop stop_dev
finish
