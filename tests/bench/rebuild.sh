#!/usr/bin/env bash
# A full rebuild between processes: on an idle volume beside cp of the same data; then what 4 KiB writes feel of one, at queue depth 1 and 32, beside the same without.
#   tests/bench/rebuild.sh [--written MiB (10240)] [--secs N (15)] [--rounds N (1)]
# Takes 5 x written of disk. The floors of the issue: 0.6 of cp; p99 at most twice.
WRITTEN=10240 SECS=15 ROUNDS=1
while [ $# -gt 0 ]; do case $1 in --written) WRITTEN=$2;; --secs) SECS=$2;; --rounds) ROUNDS=$2;; *) sed -n '2,4p' "$0" >&2; exit 2;; esac; shift 2; done
PART=bench-rebuild LOGS=$(cd "$(dirname "$0")/../.." && pwd)/artifacts/bench/rebuild
. "$(dirname "$0")/../peers/lib.sh"
need tools gcc ss curl jq
free=$(df -BM --output=avail "$WORK" | tail -n 1 | tr -dc 0-9)
[ "$free" -gt $((WRITTEN * 6 + 5000)) ] || { fail space "$WORK has $free MiB free; $((WRITTEN * 6 + 5000)) are needed"; finish; }
start_dev --no-demo --nodes 3 --replacement-delay 1h && create_volume test "$((WRITTEN * 2))Mi" --replicas 2 || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; healthy_within test 60 || { fail healthy; finish; }
bench() { "$ROOT/tests/bench/iscsi-bench.sh" -H -s "$WRITTEN" "$@" "$PORTAL" "$IQN" rebuild 2>>"$LOGS/bench.log"; }
bench -F || { fail fill "$(tail -n 2 "$LOGS/bench.log")"; finish; }
is() { volume test | jq -e --argjson n "$1" '.state == "Healthy" and (.replicas | length) == $n' >/dev/null 2>&1; }
replicas() { ctl volume set test --replicas "$1" >>"$LOGS/ctl.log" 2>&1 || { fail set; finish; }; }
until_is() { local i; for ((i = 0; i < 2400; i++)); do is "$1" && return 0; sleep 0.25; done; fail "has-$1-replicas" "$(volume test)"; finish; }
last() { curl -fsS "$API/events?volume=test&limit=100" | jq -r '[(.items? // .)[] | select(.kind == "ReplicaJoined")] | last | .cause' | sed -nE 's/^it is rebuilt: ([0-9]+) bytes moved, .* in ([0-9.]+) s from .*/\1 \2/p'; }
source=$(find "$DATA" -name 'segment-*' -printf '%h\n' | sort | uniq -c | sort -rn | awk 'NR == 1 {print $2}')
for ((n = 1; n <= ROUNDS; n++)); do
  sync; mkdir "$WORK/cp"; t0=$(now_ms); cp "$source"/segment-* "$WORK/cp/"; t1=$(now_ms); sync -f "$WORK/cp"; t2=$(now_ms); bytes=$(du -sb "$WORK/cp" | cut -f1); rm -rf "$WORK/cp"; sync
  replicas 3; until_is 3; read -r moved secs <<<"$(last)"
  awk -v n="$n" -v m="$moved" -v s="$secs" -v b="$bytes" -v c=$((t1 - t0)) -v f=$((t2 - t0)) 'BEGIN {r = m / s / 1e6; printf "round %d, idle: rebuild %.0f MB/s; cp %.0f MB/s, with sync %.0f MB/s: ratio %.2f of cp with sync, %.2f of cp without\n", n, r, b / c / 1e3, b / f / 1e3, r / (b / f / 1e3), r / (b / c / 1e3)}' | tee -a "$LOGS/table.txt"
  replicas 2; until_is 2
done
for w in randwrite-4k-qd1 randwrite-4k-qd32; do
  bench -w "$w" -t 5 >/dev/null; base=$(bench -w "$w" -t "$SECS" | cut -f3,7)
  replicas 3; sleep 2; loaded=$(bench -w "$w" -t "$SECS" | cut -f3,7); dealt=$(volume test | jq -c '[.replicas[] | select(.rebuild != null) | .rebuild | [.state, .movedBytes, .bytesPerSecond]] | first // "ended"')
  after=$(is 3 && echo "rebuild ended meanwhile" || echo "still under way: $dealt"); until_is 3; replicas 2; until_is 2
  awk -v w="$w" -v b="$base" -v l="$loaded" -v a="$after" 'BEGIN {split(b, x, "\t"); split(l, y, "\t"); printf "%s: %.0f IOPS, p99 %.0f us without; %.0f IOPS, p99 %.0f us beside a rebuild (%.2f times); %s\n", w, x[1], x[2], y[1], y[2], y[2] / x[2], a}' | tee -a "$LOGS/table.txt"
done
stop_dev || fail clean-stop
finish
