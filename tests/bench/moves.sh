#!/usr/bin/env bash
# Planned moves of a coordinator whose gateway stays where it is, `dev --nodes 3`, N rounds of three moves each, under 4 KiB I/O at depth 8 through one portal:
#   drain: the node that holds gateway and coordinator is drained; stop: the node to which the coordinator went gets SIGTERM; back: the first node is uncordoned, and its gateway draws the volume back.
# Prints, per move, for how long no I/O completed (and the longest such time before the move, for comparison), and medians.
#   tests/bench/moves.sh [--times N] [--size MiB]
TIMES=5 SIZE=256
while [ $# -gt 0 ]; do case $1 in --times) TIMES=$2;; --size) SIZE=$2;; *) sed -n '2,5p' "$0" >&2; exit 2;; esac; shift 2; done
PART=moves LOGS=$(cd "$(dirname "$0")/../.." && pwd)/artifacts/bench/moves
. "$(dirname "$0")/../peers/lib.sh"
need tools gcc ss curl jq
BIN=$WORK/pause; gcc -O2 -Wall "$ROOT/tests/bench/pause.c" -o "$BIN" -liscsi || { fail compile "gcc failed"; finish; }
start_dev --no-demo --nodes 3 --restart-delay 0s --login-redirection never ${DEV_ARGS:-} && create_volume test "${SIZE}Mi" || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; healthy_within test 60 >&2 || { fail healthy; finish; }

: >"$LOGS/raw.tsv"
away() { curl -fsS -m 5 -X POST "$API/nodes/node-1/$1" >/dev/null; }
# move KIND WINDOW_MS COMMAND
move() {
  local line; line=$(timeout 120 "$BIN" "$IQN" "$LUN" "$PORTAL" 1000 "$2" "$3" 2>"$WORK/err") || { fail "$1" "$line $(cat "$WORK/err")"; return 1; }
  printf '%s\t%s\n' "$1" "$line" | tee -a "$LOGS/raw.tsv" | awk -F'\t' '{printf "  %-6s nothing completed for %4d ms, %5d ms after it began (before: %d ms)\n", $1, $2, $3, $4}'
}
home() { volume test | jq -r .coordinator; }
for ((n = 1; n <= TIMES; n++)); do
  within 30 sh -c "curl -fsS $API/volumes/test | grep -q '\"coordinator\":\"node-1\"'" || true
  move drain 3000 "curl -fsS -m 5 -X POST $API/nodes/node-1/drain >/dev/null" || break
  h=$(home); [ "$h" != node-1 ] || { fail "round-$n" "the coordinator is still on node-1"; break; }
  pid=$(port_pid $((ISCSI_PORT + ${h#node-} - 1)))
  move stop 6000 "kill -TERM $pid" || break
  healthy_within test 60 >"$WORK/healthy" || { fail "healthy-after-round-$n" "$(cat "$WORK/healthy")"; break; }
  move back 8000 "curl -fsS -m 5 -X POST $API/nodes/node-1/uncordon >/dev/null" || break
done
summary() { awk -F'\t' -v k="$1" '$1 == k {print $2}' "$LOGS/raw.tsv" | sort -n | awk -v w="$1" '{v[NR] = $1} END {if (NR) printf "%-6s no I/O for: median %5d ms   min %5d ms   max %5d ms   of %d\n", w, v[int((NR + 1) / 2)], v[1], v[NR], NR}'; }
{ echo "planned moves, gateway elsewhere, dev --nodes 3:"; summary drain; summary stop; summary back; } | tee "$LOGS/table.txt"
stop_dev || fail clean-stop
finish
