#!/usr/bin/env bash
# The product beside tgt, on the same disk in the same run: alternately, medians, with the floors of the issue that asked for them.
#   tests/bench/compare.sh [--rows "randread-4k-qd32 ..."] [--sides "tgt dev1 dev3 nodes3"] [--secs N] [--rounds N] [--size MiB] [--dir DIR]
#   --secs   seconds per row (10); 3 gives a first look       --rounds  how often each side is measured (3); the median is shown
#   --size   MiB of the volume, filled before (1024)          --dir     where the data lies (default /var/tmp)
# Sides: tgt = one unreplicated file; dev1, dev3 = `dev`, one process, 1 or 3 replicas; nodes3 = `dev --nodes 3`, 3 replicas in three processes.
# Prints one table and keeps it, with every single measurement, in artifacts/bench/. Close everything else on the machine: `other` shows what was not ours.
ROWS='randread-4k-qd32 randwrite-4k-qd32 randread-4k-qd1 randwrite-4k-qd1 seqread-128k-qd8 seqwrite-128k-qd8 writeflush-4k-qd1'
SIDES='tgt dev1 dev3 nodes3' SECS=10 ROUNDS=3 SIZE=1024
while [ $# -gt 0 ]; do case $1 in
  --rows) ROWS=$2;; --sides) SIDES=$2;; --secs|-t) SECS=$2;; --rounds) ROUNDS=$2;; --size) SIZE=$2;; --dir) export TMPDIR=$2;;
  *) sed -n '2,8p' "$0" >&2; exit 2;; esac; shift 2; done
PART=compare LOGS=$(cd "$(dirname "$0")/../.." && pwd)/artifacts/bench/compare
. "$(dirname "$0")/../peers/lib.sh"
need tools gcc tgtd tgtadm ss curl jq
BENCH=$ROOT/tests/bench/iscsi-bench.sh RAW=$LOGS/raw.tsv; : >"$RAW"
declare -A AT NAME UNIT PIDS HTTPS

# Floors as ratios to tgt, from the issue "The main job", section Speed.
floor() {
  case $1:$2 in
    dev1:randread-4k-qd32) echo 0.9;; dev1:randread-4k-qd1) echo 0.8;; dev1:randwrite-4k-qd32) echo 1.2;; dev1:randwrite-4k-qd1) echo 0.8;;
    dev1:seqread-128k-qd8) echo 0.4;; dev1:seqwrite-128k-qd8) echo 1.0;; dev1:writeflush-4k-qd1) echo 0.8;;
    dev3:randread-4k-qd32) echo 0.8;; dev3:randwrite-4k-qd32) echo 1.0;; dev3:seqwrite-128k-qd8) echo 0.5;; dev3:writeflush-4k-qd1) echo 0.5;;
    nodes3:randread-4k-qd32) echo 0.7;; nodes3:randwrite-4k-qd32) echo 0.9;; nodes3:seqwrite-128k-qd8) echo 0.5;; nodes3:writeflush-4k-qd1) echo 0.4;;
    *) echo -;; esac
}

start_side() {
  local side=$1 replicas=3 nodes=1
  case $side in
    tgt) start_tgt "${SIZE}M" || return 1;;
    *) [ "$side" != dev1 ] || replicas=1; [ "$side" != nodes3 ] || nodes=3
      DATA_DIR=$WORK/$side; if [ $nodes = 3 ]; then start_dev --no-demo --nodes 3; else start_dev --no-demo; fi || return 1
      create_volume bench "${SIZE}Mi" --replicas $replicas && use_volume bench && healthy_within bench 60 || return 1;;
  esac
  AT[$side]=$PORTAL NAME[$side]=$IQN UNIT[$side]=$LUN
  PIDS[$side]=$(echo "$SERVER_PID" $(descendants "$SERVER_PID") | tr ' ' ,)
  [ "$side" = tgt ] || HTTPS[$side]=$(for ((i = 0; i < nodes; i++)); do echo "http://127.0.0.1:$((HTTP_PORT + i))"; done | tr '\n' ' ')
}
# Managed bytes allocated so far by all processes of a side.
allocated() {
  local h sum=0 v; for h in ${HTTPS[$1]-}; do v=$(curl -fsS -m 5 "$h/metrics" | awk '/^dotnet_gc_heap_total_allocated_bytes_total/{printf "%.0f", $2}'); sum=$((sum + ${v:-0})); done; echo $sum; }
rss() { local p sum=0 v; for p in ${PIDS[$1]//,/ }; do v=$(awk '/VmRSS/{print $2}' "/proc/$p/status" 2>/dev/null); sum=$((sum + ${v:-0})); done; echo $((sum / 1024)); }
ticks() { local p sum=0 v; for p in ${PIDS[$1]//,/ }; do v=$(awk '{print $14 + $15}' "/proc/$p/stat" 2>/dev/null); sum=$((sum + ${v:-0})); done; echo $sum; }

# Waits, for 20 s at most, until the machine has little to do: what a side does after its turn (writeback, compaction) is not to be paid for by the next one.
busy_percent() {
  local before after; before=$(head -n 1 /proc/stat); sleep 0.5; after=$(head -n 1 /proc/stat)
  awk -v a="$before" -v b="$after" 'BEGIN{split(a, x); split(b, y); for (i = 2; i <= 9; i++) all += y[i] - x[i]; idle = y[5] + y[6] - x[5] - x[6]; printf "%.0f", (all - idle) * 100 / (all ? all : 1)}'
}
settle() { local i; sync; for ((i = 0; i < 40; i++)); do [ "$(busy_percent)" -ge 25 ] || return 0; done; }

for side in $SIDES; do
  start_side "$side" || { fail "start-$side" "$(tail -n 3 "$SERVER_LOG" 2>/dev/null)"; finish; }
  "$BENCH" -l "${UNIT[$side]}" -F "${AT[$side]}" "${NAME[$side]}" "$side" 2>>"$LOGS/fill.log" || { fail "fill-$side" "$(tail -n 2 "$LOGS/fill.log")"; finish; }
done
sync; sleep 5
for side in $SIDES; do [ "$side" = tgt ] || { a=$(ticks "$side"); sleep 5; b=$(ticks "$side")
  note "$side at rest: RSS $(rss "$side") MiB, CPU $(awk -v t=$((b - a)) -v h="$(getconf CLK_TCK)" 'BEGIN{printf "%.1f", t / h / 5 * 100}') % of a core"; }; done

for ((round = 0; round <= ROUNDS; round++)); do  # round 0 warms up and is not counted
  for row in $ROWS; do
    for side in $SIDES; do
      settle; before=$(allocated "$side"); secs=$SECS; [ $round != 0 ] || secs=2
      line=$("$BENCH" -H -l "${UNIT[$side]}" -t $secs -w "$row" -p "${PIDS[$side]}" "${AT[$side]}" "${NAME[$side]}" "$side" 2>>"$LOGS/bench.log")
      [ $round != 0 ] || continue
      printf '%s\t%s\t%s\n' "$round" "$line" "$(awk -v a="$before" -v b="$(allocated "$side")" -v n="$(cut -f3 <<<"$line")" -v s="$secs" 'BEGIN{print (n * s > 0 && b > a) ? (b - a) / (n * s) : "-"}')" >>"$RAW"
    done
  done
done

# round label workload iops MBps mean p50 p99 p999 max errors srv_cpu cpu/GiB cpu/100kIO rss cli other bytes/IO
{
  printf '%-20s %-7s %9s %6s %6s %-7s %8s %8s %11s %8s %9s %7s\n' row side value ratio floor reached 'p50 us' 'p99 us' 'CPU s/100k' 'RSS MiB' 'alloc B/IO' other
  for row in $ROWS; do for side in $SIDES; do
    median() { awk -F'\t' -v s="$side" -v r="$row" -v c="$1" '$2 == s && $3 == r {print $c}' "$RAW" | sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
    column=4; [[ $row == seq* ]] && column=5
    value=$(median $column); [ "$side" != tgt ] || base=$value; want=$(floor "$side" "$row")
    errors=$(awk -F'\t' -v s="$side" -v r="$row" '$2 == s && $3 == r {e += $11} END {print e + 0}' "$RAW")
    printf '%-20s %-7s %9s %6s %6s %-7s %8s %8s %11s %8s %9s %7s%s\n' "$row" "$side" "$(printf %.0f "${value:-0}")" \
      "$(awk -v v="$value" -v b="${base:-0}" 'BEGIN{print (b > 0) ? sprintf("%.2f", v / b) : "-"}')" "$want" \
      "$(awk -v v="$value" -v b="${base:-0}" -v f="$want" 'BEGIN{print (f == "-" || b == 0) ? "" : ((v / b >= f) ? "yes" : "NO")}')" \
      "$(median 7)" "$(median 8)" "$(median 14)" "$(median 15)" "$(median 18 | awk '{print ($1 == "-") ? "-" : sprintf("%.0f", $1)}')" "$(median 17)" "$([ "$errors" = 0 ] || echo " $errors ERRORS")"
  done; done
  echo "value: IOPS, for seq rows MB/s (10^6 B); medians of $ROUNDS rounds of $SECS s on $SIZE MiB; other = CPU s of everything else on the machine"
} | tee "$LOGS/table.txt"
for side in $SIDES; do [ "$side" = tgt ] || note "$side after load: RSS $(rss "$side") MiB"; done
! grep -q ERRORS "$LOGS/table.txt"
