#!/usr/bin/env bash
# How long a volume takes to open after kill -9 under load: a large thin volume with much written, killed while 4 KiB writes run.
#   tests/bench/reopen.sh [--size 100Gi] [--written GiB (10)] [--replicas N (3)] [--times N (3)]
# Takes written x replicas of disk. Prints per round: from the start of the process to ready, to the first read through iSCSI; and beside it the same for
# a data directory with an empty volume: the difference is what opening costs.
SIZE=100Gi WRITTEN=10 REPLICAS=3 TIMES=3
while [ $# -gt 0 ]; do case $1 in --size) SIZE=$2;; --written) WRITTEN=$2;; --replicas) REPLICAS=$2;; --times) TIMES=$2;; *) sed -n '2,5p' "$0" >&2; exit 2;; esac; shift 2; done
PART=reopen LOGS=$(cd "$(dirname "$0")/../.." && pwd)/artifacts/bench/reopen
. "$(dirname "$0")/../peers/lib.sh"
need tools gcc ss curl jq qemu-io
free=$(df -BG --output=avail "$WORK" | tail -n 1 | tr -dc 0-9)
[ "$free" -gt $((WRITTEN * REPLICAS * 2 + 5)) ] || { fail space "$WORK has $free GiB free; $((WRITTEN * REPLICAS * 2 + 5)) are needed"; finish; }
first_read() { timeout 120 qemu-io -r -f raw -c "read $1 4k" "$URL" >"$WORK/io" 2>&1 && ! grep -qiE 'failed|error' "$WORK/io"; }
# measure: starts the server; sets READY and READ, in ms since the start of its process.
measure() {
  local t0; t0=$(now_ms); launch_dev; wait_ready 120 || return 1; READY=$(($(now_ms) - t0))
  first_read 0 || return 1; READ=$(($(now_ms) - t0))
}

DATA_DIR=$WORK/empty; start_dev --no-demo && create_volume test "$SIZE" --replicas "$REPLICAS" || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; healthy_within test 60 || { fail healthy; finish; }
first_read 0; kill_dev; measure || { fail empty "$(tail -n 3 "$SERVER_LOG")"; finish; }
note "empty volume:  ready after $READY ms, first read after $READ ms"; empty=$READ; stop_dev

DATA_DIR=$WORK/full; start_dev --no-demo && create_volume test "$SIZE" --replicas "$REPLICAS" || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; healthy_within test 60 || { fail healthy; finish; }
t0=$(now_ms); "$ROOT/tests/bench/iscsi-bench.sh" -F -s $((WRITTEN * 1024)) "$PORTAL" "$IQN" fill 2>>"$LOGS/bench.log" || { fail fill "$(tail -n 2 "$LOGS/bench.log")"; finish; }
note "wrote $WRITTEN GiB to $REPLICAS replicas in $((($(now_ms) - t0) / 1000)) s"
: >"$LOGS/raw.tsv"
for ((n = 1; n <= TIMES; n++)); do
  "$ROOT/tests/bench/iscsi-bench.sh" -H -s $((WRITTEN * 1024)) -t 60 -w randwrite-4k-qd32 "$PORTAL" "$IQN" load >>"$LOGS/bench.log" 2>&1 & load=$!
  sleep 6; kill_dev; kill "$load" 2>/dev/null; wait "$load" 2>/dev/null
  sync; measure || { fail "round-$n" "$(tail -n 3 "$SERVER_LOG")"; finish; }
  note "round $n: ready after $READY ms, first read after $READ ms, which is $((READ - empty)) ms more than with an empty volume"; printf '%s\t%s\t%s\n' "$n" "$READY" "$READ" >>"$LOGS/raw.tsv"
  healthy_within test 60 || fail "healthy-$n" "not healthy"
done
sort -n -k3 "$LOGS/raw.tsv" | awk -v e="$empty" '{v[NR] = $3} END {m = v[int((NR + 1) / 2)]; printf "a volume with much written opens, after kill -9 under load, to its first read in %d ms (median of %d; an empty one takes %d ms)\n", m, NR, e}' | tee "$LOGS/table.txt"
stop_dev || fail clean-stop
finish
