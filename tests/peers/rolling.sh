#!/usr/bin/env bash
# `dev --nodes 3` under fio with verification, through an initiator that knows all three portals (portals.c): each node is stopped in order (SIGTERM) and comes back, in turn; then, with a gateway that
# stays (--login-redirection never), the coordinator is moved by a drain and by stopping the node to which it went. The client sees no error; what it waited at most is printed.
. "$(dirname "$0")/lib.sh"
need tools gcc fio ss curl jq
[ "$TARGET" = dev ] || { skip rolling "is about the product only"; finish; }
PORTALS=$WORK/portals; gcc -O2 -Wall "$ROOT/tests/peers/portals.c" -o "$PORTALS" -liscsi || { fail compile "gcc failed"; finish; }
start_dev --no-demo --nodes 3 --restart-delay 0s --login-redirection never && create_volume test 128Mi || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; check healthy healthy_within test 60 || finish
SOCKET=$WORK/nbd.sock
# paths NAME PORTAL...: the bridge, one session at a time through one of these portals. Sets BRIDGE.
paths() { local name=$1; shift; launch "$LOGS/portals-$name.log" "$PORTALS" "$SOCKET" "$IQN" 1 "$@"; BRIDGE=$LAUNCHED; within 20 test -S "$SOCKET"; }
# bridged NAME FIELD...: ends the bridge, and what it counted.
bridged() {
  local name=$1; shift; kill "$BRIDGE" 2>/dev/null; gone_within "$BRIDGE" 10; rm -f "$SOCKET"
  tail -n 1 "$LOGS/portals-$name.log" | jq -r --args '. as $c | $ARGS.positional | map("\(.) \($c[.])") | join(", ")' "$@"
}
# load NAME SECS: fio in the background. Sets FIO.
load() {
  launch "$LOGS/fio-$1.log" fio --ioengine=nbd --uri="nbd+unix:///?socket=$SOCKET" --name="$1" --size=96m --rw=randwrite --bsrange=512-64k --iodepth=8 --verify=crc32c --verify_fatal=1 \
    --verify_state_save=0 --verify_backlog=256 --do_verify=1 --rate=8m,8m --fsync=100 --time_based --runtime="$2" --loops=100000 --output-format=json --output="$LOGS/fio-$1.json"
  FIO=$LAUNCHED; sleep 1
}
# ended NAME WHAT: fio ended, by itself or by SIGINT (exit code 128), without an error.
ended() {
  local rc stats; wait "$FIO"; rc=$?
  stats=$(sed -n '/^{/,$p' "$LOGS/fio-$1.json" 2>/dev/null | jq -r '.jobs[0] | "\(.read.total_ios) reads, \(.write.total_ios) writes, longest wait \([.read.clat_ns.max, .write.clat_ns.max] | max / 1e6 | floor) ms, error \(.error)"' 2>/dev/null)
  if { [ $rc = 0 ] || [ $rc = 128 ]; } && [[ $stats == *"error 0" ]]; then pass "$1-without-error-or-mismatch" "$2; $stats"
  else fail "$1-without-error-or-mismatch" "exit $rc; $stats; $(grep -vE '^(\{|\})' "$LOGS/fio-$1.log" | tail -n 3)"; fi
}
# stop NODE: SIGTERM, until its process has ended in order and the node is back with every replica in sync. Asks a node that stays. Prints how long each took.
stop() {
  local pid t0=$(now_ms) t1; pid=$(port_pid $((ISCSI_PORT + $1 - 1))); API=http://127.0.0.1:$((HTTP_PORT + $1 % 3))/api/v1
  [ -n "$pid" ] && kill -TERM "$pid" && gone_within "$pid" 20 || { echo "node-$1 (pid ${pid:-none}) did not stop within 20 s"; return 1; }
  t1=$(now_ms); grep -q "node-$1 (pid $pid) ended with exit code 0" <(sleep 0.2; cat "$SERVER_LOG") || { echo "node-$1 did not end in order: $(grep "pid $pid" "$SERVER_LOG")"; return 1; }
  within 60 ready "$1" && healthy_within test 60 && echo "node-$1 stopped after $((t1 - t0)) ms, all in sync again after $(($(now_ms) - t0)) ms"
}
ready() { curl -fsS -m 2 "http://127.0.0.1:$((HTTP_PORT + $1 - 1))/readyz"; }
coordinator() { volume test | jq -r .coordinator; }
events() { ctl events --volume test -n 500 -o json; }

check three-portals paths rolling "127.0.0.1:$ISCSI_PORT" "127.0.0.1:$((ISCSI_PORT + 1))" "127.0.0.1:$((ISCSI_PORT + 2))" || finish
load rolling 600
for n in 1 2 3; do check "stop-node-$n" stop $n || break; note "$LAST_OUTPUT"; done
kill -INT "$FIO"; ended rolling "each of three nodes stopped and back"
left_in_order() { volume test | jq -e '.state == "Healthy"' && events | jq -e '(if type == "array" then . else .items end) | map(select(.kind == "ReplicaLeft" and (.cause | test("shutting down")))) | length >= 3'; }
check replicas-left-before-they-stopped left_in_order
counts=$(bridged rolling errors aborted unanswered logins resent unit_attentions longest_ms); note "the initiator's counts: $counts"
matches no-error-no-abort '^errors 0, aborted 0, unanswered 0, ' "$counts"

# A gateway that stays: the first node's.
API=$HTTP/api/v1; check one-portal paths staying "127.0.0.1:$ISCSI_PORT" || finish
beside() { [ "$(coordinator)" = node-1 ]; }
load staying 600
check coordinator-beside-its-gateway within 20 beside
elsewhere() { local c; c=$(coordinator) && [ "$c" != node-1 ] && [ -n "$c" ]; }
check drain ctl node drain node-1
check drained-of-its-coordinator within 20 elsewhere
HOME_NODE=$(coordinator); check stop-the-coordinators-node stop "${HOME_NODE#node-}"; note "$LAST_OUTPUT"
API=$HTTP/api/v1; moved() { elsewhere && [ "$(coordinator)" != "$HOME_NODE" ]; }
check coordinator-on-the-third-node within 5 moved
check uncordon ctl node uncordon node-1
check coordinator-is-back within 20 beside
kill -INT "$FIO"; ended staying "coordinator moved by a drain, a stop and its gateway"
equal one-session 'errors 0, aborted 0, logins 1, breaks 0' "$(bridged staying errors aborted logins breaks)"
crashes=$(grep -cE '^ +at [A-Z]|Unhandled exception' "$SERVER_LOG"); equal no-stack-trace-in-the-log 0 "$crashes"
check clean-stop stop_dev
finish
