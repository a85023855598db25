#!/usr/bin/env bash
# `dev --nodes 4` under fio with verification: a node that holds replicas of three volumes is drained while one is written to, then stopped and removed; nobody waits long, nothing is lost, and
# what was on it is gone. Before that a drain without a place says so and goes on when there is one.
. "$(dirname "$0")/lib.sh"
need tools qemu-nbd qemu-img qemu-io fio ss curl jq
[ "$TARGET" = dev ] || { skip drain "is about the product only"; finish; }
start_dev --no-demo --nodes 4 --zones 2 --restart-delay 600s && create_volume test 256Mi && create_volume second 64Mi && create_volume third 64Mi --replicas 2 || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test; check healthy healthy_within test 60 || finish
SOCKET=$WORK/nbd.sock
dd if=/dev/urandom of="$WORK/image" bs=1M count=48 status=none
convert() { timeout 60 qemu-io -f raw -c "write -s $WORK/image 0 48M" -c flush "$URL"; }
check image-in convert
check bridge bridge || finish

items='(if type == "array" then . else .items end)'
# The portal that fio uses is that of the first node: it stays.
NODE=$(volume test | jq -r '[.replicas[].node] - ["node-1"] | sort | .[0]'); POOL=$(volume test | jq -r --arg n "$NODE" '.replicas[] | select(.node == $n) | .pool')
SPARE=$(nodes | jq -r --argjson used "$(volume test | jq '[.replicas[].node]')" '[.[].name] - $used | .[0]')
launch "$LOGS/fio.log" fio --ioengine=nbd --uri="nbd+unix:///?socket=$SOCKET" --name=drain --offset=48m --size=192m --rw=randwrite --bsrange=512-64k --iodepth=8 \
  --verify=crc32c --verify_fatal=1 --verify_state_save=0 --verify_backlog=512 --do_verify=1 --rate=12m,12m --fsync=200 --time_based --runtime=75 --loops=100000 \
  --output-format=json --output="$LOGS/fio.json"
FIO=$LAUNCHED; sleep 2

# Without a place, since the fourth node is cordoned.
check cordon-the-spare ctl node cordon "$SPARE"
stuck_plan() { ctl node drain "$NODE" --dry-run -o json | tee "$LOGS/plan-stuck.json" | jq -e 'any(.moves[]; .volume == "test" and .isStuck and .toPool == "")'; }
check dry-run-without-a-place stuck_plan
check drain ctl node drain "$NODE"
held_up() { ctl node describe "$NODE" -o json | jq -e '.availability == "Draining" and any(.drain.obstacles[]; test("volume test"))' && volume test | jq -e '.concern | test("drains")'; }
check drain-without-a-place-says-so within 30 held_up
check uncordon-the-drained ctl node uncordon "$NODE"
check uncordon-the-spare ctl node uncordon "$SPARE"

# With one.
check dry-run ctl node drain "$NODE" --dry-run
note "$(tail -n 1 <<<"$LAST_OUTPUT" | one_line)$(sed -n 's/^/\n    /p' <<<"$LAST_OUTPUT" | head -n 6)"
plan() { ctl node drain "$NODE" --dry-run -o json | jq -e --arg spare "$SPARE" 'any(.moves[]; .volume == "test" and .toNode == $spare and .bytes > 40000000 and (.isStuck | not))'; }
check dry-run-json plan
t0=$(now_ms); check drain-again ctl node drain "$NODE"
# Never fewer in sync than before: looked at all the time.
( while kill -0 $FIO 2>/dev/null; do volume test | jq -r '[.replicas[] | select(.state == "InSync")] | length'; sleep 0.2; done >"$WORK/in-sync" ) & WATCH=$!
drained() { ctl node describe "$NODE" -o json | jq -e '.availability == "Drained" and .drain.replicasLeft == 0'; }
check drained within 60 drained
took=$(($(now_ms) - t0))
kill $WATCH 2>/dev/null; wait $WATCH 2>/dev/null
equal never-fewer-in-sync 3 "$(grep -E '^[0-9]+$' "$WORK/in-sync" | sort -n | head -n 1)"
nothing_there() { curl -fsS "$API/replicas" | jq -e --arg p "$POOL" 'all(.[]; .pool != $p)' && curl -fsS "$API/pools" | jq -e --arg p "$POOL" '.[] | select(.id == $p) | .replicaCount == 0' && [ -z "$(ls "$DATA/$POOL/replicas")" ]; }
check nothing-is-left-on-it nothing_there
no_coordinator() { curl -fsS "$API/volumes" | jq -e --arg n "$NODE" 'all(.[]; .coordinator != $n and .state == "Healthy")'; }
check no-coordinator-is-left-on-it within 30 no_coordinator
remove_running() { ctl node remove "$NODE"; [ $? = 4 ]; }
check remove-refuses-a-running-node remove_running
matches remove-says-what-to-do 'stop its process' "$LAST_OUTPUT"
kill -TERM "$(port_pid $((ISCSI_PORT + ${NODE#node-} - 1)))"
removed() { ctl node remove "$NODE"; }
check removed within 30 removed
forgotten() { nodes | jq -e --arg n "$NODE" 'all(.[]; .name != $n)' && curl -fsS "$API/pools" | jq -e --arg p "$POOL" 'all(.[]; .id != $p)'; }
check forgotten forgotten
told() { ctl events -n 500 -o json | jq -e --arg n "$NODE" "$items"' | map("\(.kind) \(.subject)") | contains(["NodeDraining \($n)", "NodeUncordoned \($n)", "NodeDrained \($n)", "NodeRemoved \($n)", "ReplicaUnplaced test", "ReplicaPlaced test"])'; }
check events-tell-it told
wait $FIO; rc=$?
stats=$(jq -r '.jobs[0] | "\(.read.total_ios) reads, \(.write.total_ios) writes, longest wait \([.read.clat_ns.max, .write.clat_ns.max] | max / 1e6 | floor) ms, error \(.error)"' "$LOGS/fio.json" 2>/dev/null)
note "drained in $took ms (upkeep every 10 s)"
if [ $rc = 0 ] && [ -n "$stats" ]; then pass fio-without-error-or-mismatch "$stats"; else fail fio-without-error-or-mismatch "exit $rc; $stats; $(grep -vE '^(\{|\})' "$LOGS/fio.log" | tail -n 3)"; fi
kill "$BRIDGE" 2>/dev/null; gone_within "$BRIDGE" 10
same() { timeout 60 qemu-img dd -f raw -O raw if="$URL" of="$WORK/back" bs=1M count=48 && cmp "$WORK/image" "$WORK/back"; }
check image-equal same
crashes=$(grep -cE '^ +at [A-Z]|Unhandled exception' "$SERVER_LOG"); equal no-stack-trace-in-the-log 0 "$crashes"
check clean-stop stop_dev
finish
