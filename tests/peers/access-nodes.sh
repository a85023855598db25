#!/usr/bin/env bash
# Access on `dev --nodes 3`: a volume for one initiator at a time is refused to another through every gateway, given to it when the gateway of the first dies; a rule changed through one node ends
# a session on another. The initiator that holds a session is a few lines of Python.
. "$(dirname "$0")/lib.sh"
need tools iscsi-inq iscsi-ls python3 ss curl jq
[ "$TARGET" = dev ] || { skip access-nodes "is about the product only"; finish; }
A=iqn.2026-01.test:a B=iqn.2026-01.test:b
start_dev --no-demo --nodes 3 --restart-delay 60s --default-access none && create_volume test 64Mi --initiators "$A,$B" || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume test

inq() { timeout 20 iscsi-inq -i "$1" "iscsi://127.0.0.1:$((ISCSI_PORT + $2))/$IQN/0" >"$WORK/inq" 2>&1; grep -q DIRECT_ACCESS "$WORK/inq"; }
refused() { ! inq "$@"; }
# hold FILE NODE NAME: logs in and stays, answers pings, writes to FILE what comes.
cat >"$WORK/hold.py" <<'PY'
import socket, sys
port, name, iqn = int(sys.argv[1]), sys.argv[2], sys.argv[3]
text = f"InitiatorName={name}\0TargetName={iqn}\0SessionType=Normal\0".encode()
head = bytearray(48); head[0], head[1] = 0x43, 0x87; head[5:8] = len(text).to_bytes(3, "big"); head[8:14] = bytes.fromhex("00023d000009"); head[20:22] = b"\0\1"
s = socket.create_connection(("127.0.0.1", port)); s.sendall(bytes(head) + text + b"\0" * (-len(text) % 4))
print("status", s.recv(4096)[36:38].hex(), flush=True)
try:
    while d := s.recv(4096):
        if d[0] == 0x32: print("async event", d[36], flush=True)
        if d[0] == 0x20:
            pong = bytearray(48); pong[0], pong[1] = 0x40, 0x80; pong[16:20] = b"\xff" * 4; pong[20:24] = d[20:24]; s.sendall(bytes(pong))
except OSError: pass
print("closed", flush=True)
PY
hold() { launch "$1" python3 "$WORK/hold.py" $((ISCSI_PORT + $2)) "$3" "$IQN"; within 10 grep -q 'status 0000' "$1"; }

check a-holds-the-volume-through-node-1 hold "$WORK/first" 0 $A
check a-through-node-2-too inq $A 1
for i in 0 1 2; do check "b-is-refused-by-node-$((i + 1))" refused $B $i; done
equal listed-through-any-node "$A node-1" "$(curl -fsS "http://127.0.0.1:$((HTTP_PORT + 2))/api/v1/sessions" | jq -r '.[] | "\(.initiator) \(.node)"')"
t0=$(now_ms); kill -9 "$(port_pid "$ISCSI_PORT")"
check b-gets-in-when-that-gateway-has-died within 40 inq $B 1
note "after $(($(now_ms) - t0)) ms"

check b-holds-it-through-node-3 hold "$WORK/second" 2 $B
HTTP=http://127.0.0.1:$((HTTP_PORT + 1)) API=http://127.0.0.1:$((HTTP_PORT + 1))/api/v1
t0=$(now_ms); check rule-changed-through-node-2 ctl volume access test --initiators $A; t1=$(now_ms)
check the-session-on-node-3-is-told-and-closed within 5 eval 'grep -q "async event 3" $WORK/second && grep -q closed $WORK/second'
note "the command took $((t1 - t0)) ms"
equal no-session-is-left 0 "$(curl -fsS "$API/sessions" | jq length)"
check a-gets-in inq $A 1
check b-does-not refused $B 2
check clean-stop stop_dev
finish
