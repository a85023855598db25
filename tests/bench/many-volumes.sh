#!/usr/bin/env bash
# What idle volumes cost one `dev` process: memory, background CPU, disk, and the time to start with them. Each row is a data directory of its own.
#   tests/bench/many-volumes.sh [--counts "1 10 100 1000"] [--replicas N (3)] [--size SIZE (64Mi)] [--idle SECS (30)]
# Targets of the issue: at most 2 MiB a volume (of the process's RSS, beyond that without volumes), below 5 % of a core with 1,000 idle volumes. MiB and % after a restart, which is how a node lives.
COUNTS="1 10 100 1000" REPLICAS=3 SIZE=64 IDLE=30
while [ $# -gt 0 ]; do case $1 in --counts) COUNTS=$2;; --replicas) REPLICAS=$2;; --size) SIZE=${2%Mi};; --idle) IDLE=$2;; *) sed -n '2,5p' "$0" >&2; exit 2;; esac; shift 2; done
PART=bench-many-volumes LOGS=$(cd "$(dirname "$0")/../.." && pwd)/artifacts/bench/many-volumes
. "$(dirname "$0")/../peers/lib.sh"
need tools curl jq xargs
ulimit -n 65536 2>/dev/null || note "at most $(ulimit -n) files may be open; an open replica needs two for good, others are closed when they are many"
rss() { awk '/^VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$SERVER_PID/status"; }
cpu_ticks() { awk '{print $14 + $15}' "/proc/$SERVER_PID/stat"; }
cpu() { local a b t0 t1; a=$(cpu_ticks) t0=$(now_ms); sleep "$IDLE"; b=$(cpu_ticks) t1=$(now_ms); awk -v d=$((b - a)) -v t=$((t1 - t0)) -v hz="$(getconf CLK_TCK)" 'BEGIN {printf "%.1f", 100 * d / hz / t * 1000}'; }
healthy() { curl -fsS -m 60 "$API/volumes" 2>/dev/null | jq -r '[.[] | select(.state == "Healthy")] | length'; }
all_healthy() { local i; for ((i = 0; i < 1200; i++)); do [ "$(healthy)" = "$1" ] && return 0; sleep 0.25; done; fail "healthy-$1" "only $(healthy) of $1"; finish; }
create() { seq -f "v%04g" "$1" | xargs -P 4 -I{} curl -fsS -m 120 --retry 10 --retry-delay 2 --retry-all-errors -o /dev/null -H 'Content-Type: application/json' -d "{\"name\": \"{}\", \"sizeBytes\": $((SIZE << 20)), \"replicaCount\": $REPLICAS}" "$API/volumes" 2>>"$LOGS/create.log"; }
row() { printf '%7s %9s %10s %9s %8s %8s %9s %9s %8s\n' "$@" | tee -a "$LOGS/table.txt"; }
row volumes create-s RSS-MiB MiB/vol CPU-% disk-MiB ready-s healthy-s stop-s
base=''
for n in 0 $COUNTS; do
  DATA_DIR=$WORK/data-$n; start_dev --no-demo || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
  t0=$(now_ms); [ "$n" = 0 ] || create "$n" || { fail "create-$n" "$(tail -n 2 "$LOGS/create.log")"; finish; }; t1=$(now_ms)
  all_healthy "$n"; sleep 2; s0=$(now_ms); stop_dev || fail "stop-$n"; s1=$(now_ms)
  r0=$(now_ms); launch_dev; wait_ready 300 || { fail "restart-$n"; finish; }; r1=$(now_ms); all_healthy "$n"; r2=$(now_ms)
  sleep "$IDLE"; busy=$(cpu); memory=$(rss); [ -n "$base" ] || base=$memory
  row "$n" "$(((t1 - t0) / 1000))" "$memory" "$(awk -v m="$memory" -v b="$base" -v n="$n" 'BEGIN {printf "%.2f", n ? (m - b) / n : 0}')" "$busy" "$(du -sm "$DATA" | cut -f1)" \
    "$(awk -v t=$((r1 - r0)) 'BEGIN {printf "%.1f", t / 1000}')" "$(awk -v t=$((r2 - r0)) 'BEGIN {printf "%.1f", t / 1000}')" "$(awk -v t=$((s1 - s0)) 'BEGIN {printf "%.1f", t / 1000}')"
  [ -z "${MEASURE:-}" ] || eval "$MEASURE"
  kill_dev; rm -rf "$DATA"
done
finish
