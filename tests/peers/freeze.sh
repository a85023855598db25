#!/usr/bin/env bash
# `dev --nodes 3`, volumes that serve with two replicas, and two nodes that stop: writes cannot be acknowledged any more. What becomes of them the volume's policy says (wait, error, readonly);
# reads go on, new sessions too, and when the nodes are back everything does. Nothing is acknowledged that is not on two replicas.
. "$(dirname "$0")/lib.sh"
need tools qemu-io ss curl jq
[ "$TARGET" = dev ] || { skip freeze "is about the product only"; finish; }
start_dev --no-demo --nodes 3 --restart-delay 1s && create_volume waits 64Mi && create_volume fails 64Mi --io-timeout 3s --on-timeout error \
  && create_volume shuts 64Mi --io-timeout 3s --on-timeout readonly || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
says bad-policy "give wait \(I/O goes on waiting\), error" "$(ctl volume create x --size 64Mi --on-timeout panic 2>&1)"
says bad-time 'io-timeout is .*give 1s to 24h' "$(ctl volume set waits --io-timeout 2d 2>&1)"
matches described 'I/O timeout +3 ?s, then writes are refused' "$(ctl volume describe shuts)"

url() { use_volume "$1"; echo "$URL"; }
# io VOLUME COMMAND: one command through a session of its own. qemu-io says on standard output what went wrong, with exit code 0 or 1.
# A session that only reads, for reads: one that would write is not begun with a write-protected disk.
io() { local out ro=''; [ "${2%% *}" = write ] || ro=-r; out=$(timeout "${IO_SECS:-20}" qemu-io $ro -f raw -t none -c "$2" "$(url "$1")" 2>&1); local rc=$?; echo "$out"; [ $rc = 0 ] && grep -qE '^(wrote|read) [1-9]' <<<"$out" && ! grep -qE 'failed|error' <<<"$out"; }
for v in waits fails shuts; do check "healthy-$v" healthy_within "$v" 60 || finish; check "fill-$v" io "$v" 'write -P 0x5a 0 8M'; done

# The first node keeps its portal and the coordinators; its initiators brought them there.
within 15 eval '[ "$(for v in waits fails shuts; do volume $v | jq -r .coordinator; done | sort -u)" = node-1 ]'
equal coordinators-beside-the-portal node-1 "$(for v in waits fails shuts; do volume $v | jq -r .coordinator; done | sort -u)"
STOPPED=$(for i in 1 2; do port_pid $((ISCSI_PORT + i)); done | tr '\n' ' ')
t0=$(now_ms); kill -STOP $STOPPED

# A volume that waits: a write that was begun in the freeze is not answered, for longer than the others' time limits; it ends well after it.
launch "$LOGS/waiting.log" timeout 120 qemu-io -f raw -t none -c 'write -P 0xa5 1M 64k' "$(url waits)"; WAITING=$LAUNCHED
frozen() { [ "$(volume "$1" | jq -r .state)" = Frozen ]; }
check frozen within 20 frozen waits
matches says-why 'waiting for replica .*(node|answer|dead|gone|left)' "$(volume waits | jq -r .reason)"
for v in waits fails shuts; do check "reads-go-on-$v" io "$v" 'read -P 0x5a 4M 1M'; done

refused() { ! io "$1" "$2" && ! grep -q 'wrote [1-9]' <<<"$(io "$1" "$2")"; }
check error-policy-fails-writes within 20 refused fails 'write -P 0xee 2M 64k'
t1=$(now_ms); io fails 'write -P 0xee 2M 64k' >"$WORK/fails.out"; t2=$(now_ms)
[ $((t2 - t1)) -lt 2500 ]; equal and-the-next-at-once 0 $?
note "refused $((t2 - t1)) ms after it was sent: $(tail -n 1 "$WORK/fails.out")"
check readonly-policy-refuses-writes within 20 refused shuts 'write -P 0xee 2M 64k'
matches write-protected 'LUN is write protected' "$(io shuts 'write -P 0xee 2M 64k')"
check readonly-policy-reads io shuts 'read -P 0x5a 2M 64k'
check error-policy-reads io fails 'read -P 0x5a 4M 64k'
alive "$WAITING"; equal still-waiting 0 $?

# Whoever changes the policy in a freeze means this one, too.
launch "$LOGS/changed.log" timeout 120 qemu-io -f raw -t none -c 'write -P 0xa6 3M 64k' "$(url waits)"; CHANGED=$LAUNCHED
sleep 1; alive "$CHANGED"; equal changed-still-waits 0 $?
check change-in-a-freeze ctl volume set waits --io-timeout 600s
equal change-is-told 600 "$(volume waits | jq -r .ioTimeoutSeconds)"
note "frozen for $(($(now_ms) - t0)) ms so far"

kill -CONT $STOPPED
check waiting-write-ends gone_within "$WAITING" 60; wait "$WAITING"; equal waiting-write-ends-well 0 $?
check changed-write-ends gone_within "$CHANGED" 60; wait "$CHANGED"; equal changed-write-ends-well 0 $?
for v in waits fails shuts; do check "healthy-again-$v" healthy_within "$v" 90; done
check waiting-write-is-there io waits 'read -P 0xa5 1M 64k'
check changed-write-is-there io waits 'read -P 0xa6 3M 64k'
check writes-again-fails within 10 io fails 'write -P 0x77 2M 64k'
check writes-again-shuts within 10 io shuts 'write -P 0x77 2M 64k'
check nothing-but-that io shuts 'read -P 0x5a 4M 1M'
for v in waits fails shuts; do matches "events-$v" 'Frozen' "$(ctl events --volume $v)"; matches "thaw-$v" 'Thawed' "$(ctl events --volume $v)"; done
matches refusal-is-an-event 'WritesRefused' "$(ctl events --volume shuts)"
note "$(ctl events --volume shuts -n 5 | tail -n 6)"
equal no-stack-trace-in-the-log 0 "$(grep -cE '^ +at [A-Z]|Unhandled exception' "$SERVER_LOG")"
check clean-stop stop_dev
finish
