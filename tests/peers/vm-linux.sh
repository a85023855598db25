#!/usr/bin/env bash
# libiscsi's conformance suite, family LINUX: the same kind of tests through the kernel initiator of the VM (SG_IO on /dev/sdX), with two paths. conformance/expected-linux lists by exact name what
# does not pass, with the reason, as conformance/expected does. Builds an image of the VM with libiscsi-bin in it first. NODES=3: three nodes, the second path through another node's gateway.
# TARGET=tgt: the same against tgt.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/peers/conformance/judge.sh"
HERE=$(cd "$(dirname "$0")" && pwd) VM=$HERE/vm
need tools qemu-system-x86_64 cpio ss curl jq
NODES=${NODES:-1} NODE_ARGS=(); [ "$NODES" = 1 ] || NODE_ARGS=(--nodes "$NODES")
start_target 128M ${NODE_ARGS[@]+"${NODE_ARGS[@]}"} || { fail start "the target did not start"; finish; }
PORTALS=(-p "$PORTAL"); [ "$NODES" = 1 ] || PORTALS+=(-p "127.0.0.1:$((ISCSI_PORT + 1))")
VMI_EXTRA="${VMI_EXTRA:-} libiscsi-bin" "$VM/initiator.sh" "${PORTALS[@]}" -t "$IQN" -i "$VM/guest-lib.sh" -i "$HERE/conformance/suites.sh" -o "$LOGS/guest" -T "${LIMIT:-3000}" \
  -e PART="$PART" -e LUN="$LUN" -e LIM="${LIM:-240}" -e BUDGET=$((${LIMIT:-3000} - 90)) "$VM/guest-linux.sh" 2>"$LOGS/vm.err" | tee "$WORK/out"
rc=${PIPESTATUS[0]}; FAILED=$((FAILED + $(grep -c '^FAIL' "$WORK/out")))
[ "$rc" -lt 2 ] || fail vm "exit $rc: $(tail -n 3 "$LOGS/vm.err")"
results=$LOGS/guest/suites/results.tsv; [ -s "$results" ] || { fail suites "no results"; finish; }
judge "$results" "$ROOT/tests/peers/conformance/expected-linux"
sed 's/^/  /' "$LOGS/guest/table.txt"
check clean-stop stop_target
finish
