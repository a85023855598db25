#!/usr/bin/env bash
# libiscsi's conformance suite, families SCSI and iSCSI, against the target. conformance/expected lists by exact name what belongs to later work, with
# the reason: such a test counts as skipped while it fails or skips, and as a failure of this script once it passes and is still in the list.
. "$(dirname "$0")/lib.sh"
need tools iscsi-test-cu ss curl jq
EXPECTED=$(dirname "$0")/conformance/expected
start_target 128M || { fail start "the target did not start"; finish; }
LIM=${LIM:-100} bash "$(dirname "$0")/conformance/suites.sh" -o "$LOGS/suites" ${SUITES:+-f "$SUITES"} "$URL" >"$LOGS/table.txt" 2>&1
results=$LOGS/suites/results.tsv
[ -s "$results" ] || { fail suites "no results: $(tail -n 3 "$LOGS/table.txt")"; finish; }
while IFS=$'\t' read -r test result detail; do
  reason=$(awk -v t="$test" '$1 == t {$1 = ""; sub(/^ +/, ""); print; exit}' "$EXPECTED")
  case $result:${reason:+expected} in
    PASS:) pass "$test";;
    PASS:expected) if [ "$TARGET" = dev ]; then fail "$test" "passes now: take it off tests/peers/conformance/expected"; else pass "$test"; fi;;
    *:expected) skip "$test" "$result as expected: $reason";;
    SKIP:) skip "$test" "$detail";;
    *) fail "$test" "$result $detail";;
  esac
done <"$results"
sed 's/^/  /' "$LOGS/table.txt"
alive "$SERVER_PID" && pass target-lives-on || fail target-lives-on "the target ended"
check clean-stop stop_target
finish
