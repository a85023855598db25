#!/usr/bin/env bash
# libiscsi's conformance suite, families SCSI and iSCSI, against the target, SANITIZE included, with a second path for the multipath tests. conformance/expected
# lists by exact name what is not served, with the reason: such a test counts as skipped while it fails or skips, and as a failure of this script once it passes
# and is still in the list. A skip that is not in the list is a failure too (of dev). NODES=3: three nodes, three replicas, the second path through another node's
# gateway. TARGET=tgt: the same suite against tgt, for comparison.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/peers/conformance/judge.sh"
need tools iscsi-test-cu ss curl jq
NODES=${NODES:-1} NODE_ARGS=()
[ "$NODES" = 1 ] || NODE_ARGS=(--nodes "$NODES")
start_target 128M ${NODE_ARGS[@]+"${NODE_ARGS[@]}"} || { fail start "the target did not start"; finish; }
SECOND=$URL; [ "$NODES" = 1 ] || SECOND=iscsi://127.0.0.1:$((ISCSI_PORT + 1))/$IQN/0
LIM=${LIM:-100} bash "$(dirname "$0")/conformance/suites.sh" -o "$LOGS/suites" -x -S ${SUITES:+-f "$SUITES"} "$URL" "$SECOND" >"$LOGS/table.txt" 2>&1
results=$LOGS/suites/results.tsv
[ -s "$results" ] || { fail suites "no results: $(tail -n 3 "$LOGS/table.txt")"; finish; }
judge "$results" "$ROOT/tests/peers/conformance/expected"
sed 's/^/  /' "$LOGS/table.txt"
# The one that cannot pass where a physical block is eight logical ones.
if [ "$TARGET" = dev ]; then
  single() { create_volume large-blocks 128Mi --block-size 4096 && iscsi-test-cu -d -t SCSI.GetLBAStatus.UnmapSingle "iscsi://$PORTAL/${IQN%:*}:large-blocks/0" | tee "$LOGS/large-blocks.txt" && grep -q 'UnmapSingle .*passed' "$LOGS/large-blocks.txt"; }
  check SCSI.GetLBAStatus.UnmapSingle-with-4096-byte-blocks single
fi
alive "$SERVER_PID" && pass target-lives-on || fail target-lives-on "the target ended"
check clean-stop stop_target
finish
