#!/usr/bin/env bash
# Failover of `dev --nodes 3`: a session at the gateway beside the volume grain writes; that node is killed N times; an initiator that knows all portals
# goes on through another one. Prints, per kill and as median, minimum and maximum, the time from the signal to the break of the connection, to the login
# at another portal, and to the first write that completes.
#   tests/bench/failover.sh [--times N] [--signal KILL|STOP] [--size MiB]
# With STOP the process is hung, not dead: it is continued after each round (and must not have been heard meanwhile).
TIMES=10 SIGNAL=KILL SIZE=512
while [ $# -gt 0 ]; do case $1 in --times) TIMES=$2;; --signal) SIGNAL=$2;; --size) SIZE=$2;; *) sed -n '2,6p' "$0" >&2; exit 2;; esac; shift 2; done
PART=failover LOGS=$(cd "$(dirname "$0")/../.." && pwd)/artifacts/bench/failover
. "$(dirname "$0")/../peers/lib.sh"
need tools gcc ss curl jq
BIN=$WORK/failover; gcc -O2 -Wall "$ROOT/tests/bench/failover.c" -o "$BIN" -liscsi || { fail compile "gcc failed"; finish; }
start_dev --no-demo --nodes 3 --restart-delay 1s && create_volume test "${SIZE}Mi" || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; healthy_within test 60 >&2 || { fail healthy; finish; }

: >"$LOGS/raw.tsv"
for ((n = 1; n <= TIMES; n++)); do
  # The node that holds gateway and coordinator: its portal comes first.
  for h in 0 1 2; do API=http://127.0.0.1:$((HTTP_PORT + h))/api/v1; volume test >/dev/null 2>&1 && break; done
  home=$(coordinator_portal test); pid=$(port_pid "${home##*:}"); others=()
  for i in 0 1 2; do p=127.0.0.1:$((ISCSI_PORT + i)); [ "$p" = "$home" ] || others+=("$p"); done
  [ -n "$pid" ] || { fail "round-$n" "no process listens at $home"; break; }
  if line=$(timeout 180 "$BIN" "$IQN" "$LUN" "$pid" "$(kill -l "$SIGNAL")" 1500 "$home" "${others[@]}" 2>"$WORK/err"); then
    printf '%s\t%s\n' "$n" "$line" | tee -a "$LOGS/raw.tsv" | awk -F'\t' '{printf "  %2d: connection lost after %s ms, login at %s after %s ms, first write after %s ms\n", $1, $2, $5, $3, $4}'
  else fail "round-$n" "$(cat "$WORK/err") $line"; fi
  [ "$SIGNAL" != STOP ] || { sleep 1; kill -CONT "$pid" 2>/dev/null; }
  sleep 2; API=http://127.0.0.1:$((${others[0]##*:} - ISCSI_PORT + HTTP_PORT))/api/v1
  healthy_within test 60 >"$WORK/healthy" || { fail "healthy-after-round-$n" "$(cat "$WORK/healthy")"; break; }
  sleep 1
done
summary() { cut -f"$2" "$LOGS/raw.tsv" | sort -n | awk -v w="$1" '{v[NR] = $1} END {if (NR) printf "%-28s median %6d ms   min %6d ms   max %6d ms   of %d\n", w, v[int((NR + 1) / 2)], v[1], v[NR], NR}'; }
{ echo "SIG$SIGNAL of the node that holds gateway and coordinator, dev --nodes 3:"; summary 'connection lost after' 2; summary 'login at another portal' 3; summary 'first write completed' 4; } | tee "$LOGS/table.txt"
stop_dev || fail clean-stop
finish
