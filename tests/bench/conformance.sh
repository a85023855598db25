#!/usr/bin/env bash
# libiscsi's conformance suite against tgt and the product, in one run: what passes, fails and is skipped, suite by suite.
#   tests/bench/conformance.sh [--sides "tgt dev nodes3"] [--suites "SCSI iSCSI"]
# Each side has two portals (nodes3: those of two nodes), a thin volume of 128 MiB, and the suites' destructive tests, SANITIZE included. Writes a table in Markdown to standard output and to
# artifacts/bench/conformance.md, and every result to artifacts/bench/conformance/. Fails when the product passes no more tests of a family (SCSI, iSCSI) than tgt.
SIDES='tgt dev nodes3' SUITES='SCSI iSCSI'
while [ $# -gt 0 ]; do case $1 in --sides) SIDES=$2;; --suites) SUITES=$2;; *) sed -n '2,5p' "$0" >&2; exit 2;; esac; shift 2; done
PART=conformance LOGS=$(cd "$(dirname "$0")/../.." && pwd)/artifacts/bench/conformance
. "$(dirname "$0")/../peers/lib.sh"
need tools iscsi-test-cu tgtd tgtadm ss curl jq

side() {  # side NAME: sets URL and SECOND
  case $1 in
    tgt) TARGET=tgt; start_target 128M || return 1
      local second; second=$(free_ports 1) && tgtadm -C "$TGT_CONTROL" --lld iscsi --op new --mode portal --param "portal=127.0.0.1:$second" || return 1
      SECOND=iscsi://127.0.0.1:$second/$IQN/$LUN;;
    dev) TARGET=dev DATA_DIR=$WORK/dev; start_target 128M || return 1; SECOND=$URL;;
    nodes3) TARGET=dev DATA_DIR=$WORK/nodes3; start_target 128M --nodes 3 || return 1; SECOND=iscsi://127.0.0.1:$((ISCSI_PORT + 1))/$IQN/$LUN;;
    *) echo "no side $1" >&2; return 1;;
  esac
}
for s in $SIDES; do
  side "$s" || { fail "start-$s" "$(tail -n 3 "${SERVER_LOG:-/dev/null}" 2>/dev/null)"; finish; }
  LIM=${LIM:-100} bash "$ROOT/tests/peers/conformance/suites.sh" -o "$LOGS/$s" -x -S -f "$SUITES" "$URL" "$SECOND" >"$LOGS/$s.txt" 2>&1
  [ -s "$LOGS/$s/results.tsv" ] || { fail "suites-$s" "$(tail -n 3 "$LOGS/$s.txt")"; finish; }
  stop_target >/dev/null 2>&1; SERVER_LOG=''
done

# One row a suite: passed/failed/skipped of each side. A crash or a suite that ran out of its time counts as failed.
OUT=$LOGS.md
for s in $SIDES; do sed "s/^/$s\t/" "$LOGS/$s/results.tsv"; done | awk -F'\t' -v sides="$SIDES" '
  { split($2, a, "."); k = a[1] "." a[2]; if (!(k in seen)) { seen[k] = 1; order[++m] = k }
    r = $3 == "PASS" ? "P" : $3 == "SKIP" ? "S" : "F"; n[k, $1, r]++; n["all", $1, r]++ }
  END { c = split(sides, side, " "); printf "| suite |"; for (i = 1; i <= c; i++) printf " %s |", side[i]; printf "\n|---|"; for (i = 1; i <= c; i++) printf "---|"; print ""
    order[++m] = "all"
    for (j = 1; j <= m; j++) { k = order[j]; printf "| %s |", k
      for (i = 1; i <= c; i++) { s = side[i]; printf " %d/%d/%d |", n[k, s, "P"], n[k, s, "F"], n[k, s, "S"] }; print "" } }' | tee "$OUT"
if [[ " $SIDES " == *" tgt "* ]]; then
  for s in $SIDES; do
    [ "$s" != tgt ] || continue
    behind=$(awk -F'\t' -v tgt="$LOGS/tgt/results.tsv" '{ split($1, a, "."); k = a[1]; if ($2 == "PASS") { if (FILENAME == tgt) theirs[k]++; else ours[k]++ } }
      END { for (k in theirs) if (ours[k] + 0 <= theirs[k]) printf "%s (%d, tgt %d) ", k, ours[k], theirs[k] }' "$LOGS/tgt/results.tsv" "$LOGS/$s/results.tsv")
    [ -z "$behind" ] && pass "$s-ahead-of-tgt" || fail "$s-ahead-of-tgt" "not ahead in: $behind"
    lost=$(awk -F'\t' -v tgt="$LOGS/tgt/results.tsv" 'FILENAME == tgt { if ($2 == "PASS") theirs[$1] = 1; next } $2 != "PASS" && ($1 in theirs) { printf "%s ", $1 }' "$LOGS/tgt/results.tsv" "$LOGS/$s/results.tsv")
    [ -z "$lost" ] || note "tests that tgt passes and $s does not: $lost"
  done
fi
finish
