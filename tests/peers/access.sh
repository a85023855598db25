#!/usr/bin/env bash
# `openebs server` as it is by default: nobody logs in to a volume without an access rule. Rules by name and by credential, CHAP one-way and mutual with libiscsi, discovery with CHAP, one initiator
# at a time, sessions that are listed, closed and revoked; a secret is nowhere to be read; thousands of stalled connections beside a session that works.
. "$(dirname "$0")/lib.sh"
need tools iscsi-ls iscsi-inq qemu-io python3 ss curl jq
[ "$TARGET" = dev ] || { skip access "is about the product only"; finish; }
choose_ports || { fail ports; finish; }
SECRET=secret-of-alice-0 TARGET_SECRET=secret-of-target-1 ROTATED=secret-after-rotation
ALICE=iqn.2026-01.test:alice BOB=iqn.2026-01.test:bob

serve() {  # serve [EXTRA JSON MEMBERS]
  cat >"$WORK/openebs.json" <<JSON
{ "OpenEbs": { "NodeName": "node-1", "IscsiPort": $ISCSI_PORT, "HttpPort": $HTTP_PORT, "SiloPort": $((ISCSI_PORT + 10)), "OrleansGatewayPort": $((ISCSI_PORT + 15)), "SentinelPort": 0,
  "Pools": [ { "Id": "pool-1", "Path": "$WORK/pool-1" } ], "Metadata": { "Path": "$WORK/openebs.db" }${1:+, $1} } }
JSON
  SERVER_COUNT=$((SERVER_COUNT + 1)); SERVER_LOG=$LOGS/server-$SERVER_COUNT.log; : >"$SERVER_LOG"
  launch "$SERVER_LOG" dotnet "$SERVER_DLL" server --config "$WORK/openebs.json" --log-level information
  SERVER_PID=$LAUNCHED; SERVER_ARGS=(); wait_ready 60
}
serve || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }

# ---- nobody ------------------------------------------------------------------------------------------------------------
says create-warns 'Nobody may log in to test yet' "$(ctl volume create test --size 64Mi --replicas 1 2>&1)"
ctl volume create other --size 64Mi --replicas 1 >/dev/null 2>&1
use_volume test
inq() { timeout 20 iscsi-inq -i "$1" "${2:-$URL}" 2>&1 | tee "$WORK/inq"; grep -q 'DIRECT_ACCESS' "$WORK/inq"; }
refused() { ! inq "$@"; }
matches describe-says-nobody 'Access +NOBODY' "$(ctl volume describe test)"
matches event-says-nobody 'AccessMissing' "$(ctl events --volume test)"
check nobody-logs-in refused $ALICE
matches the-initiator-hears-why 'Authorization failure|not authorized|0x0202|\(514\)' "$(cat "$WORK/inq")"
logged() { grep -qE "$1" "$SERVER_LOG"; }
check the-log-says-why within 5 logged 'volume test has no access rule'
discover() { timeout 20 iscsi-ls -i "$1" "iscsi://${2:-}$PORTAL" 2>&1; }
equal discovery-lists-nothing '' "$(discover $ALICE | grep Target:)"

# ---- by name -----------------------------------------------------------------------------------------------------------
says bad-name 'no initiator name; give a name that begins with iqn' "$(ctl volume access test --initiators host1 2>&1)"
says bad-wildcard "behind its ':'" "$(ctl volume access test --initiators 'iqn.2026-01.test*' 2>&1)"
matches rule 'Volume test may be used by iqn.2026-01.test:alice without proof, one initiator at a time' "$(ctl volume access test --initiators $ALICE)"
check alice-logs-in inq $ALICE
check bob-does-not refused $BOB
matches discovery-lists-what-is-reached "Target:$IQN " "$(discover $ALICE)"
equal discovery-hides-the-rest '' "$(discover $ALICE | grep orleans:other; discover $BOB | grep Target:)"
matches wildcard 'iqn.2026-01.test:\* without proof' "$(ctl volume access test --initiators 'iqn.2026-01.test:*')"
check bob-fits-the-wildcard inq $BOB
equal rest-shows-the-rule '["iqn.2026-01.test:*"] Exclusive' "$(curl -fsS "$API/volumes/test" | jq -r '.access | (.initiators|tojson) + " " + .sharing')"

# ---- CHAP --------------------------------------------------------------------------------------------------------------
says no-secret-as-argument "Unrecognized|by --secret-file" "$(ctl credential create alices --secret $SECRET 2>&1)"
says weak-secret 'has 5 characters; give 12 to 128' "$(echo short | ctl credential create alices --secret-file - 2>&1)"
matches credential-created 'Credential alices created: user alice, target user openebs' \
  "$(echo $SECRET | TSECRET=$TARGET_SECRET ctl credential create alices --user alice --secret-file - --target-user openebs --target-secret-env TSECRET)"
says credential-exists 'already' "$(echo $SECRET | ctl credential create alices --secret-file - 2>&1)"
says unknown-credential "no credential 'bobs'" "$(ctl volume access test --credentials bobs 2>&1)"
matches rule-with-credential 'any initiator with credential alices' "$(ctl volume access test --initiators '' --credentials alices)"
chap() { echo "iscsi://$1@$PORTAL/$IQN/0${2:-}"; }
check chap-right inq $ALICE "$(chap alice%$SECRET)"
check chap-from-any-initiator inq iqn.2026-01.test:anybody "$(chap alice%$SECRET)"
check chap-wrong-secret refused $ALICE "$(chap alice%wrong-secret-xx)"; wrong=$(grep -i auth "$WORK/inq" | sed 's/alice[^ ]*//g')
check chap-unknown-user refused $ALICE "$(chap mallory%$SECRET)"; unknown=$(grep -i auth "$WORK/inq" | sed 's/mallory[^ ]*//g')
equal both-look-the-same "$wrong" "$unknown"
check chap-none refused $ALICE
mutual() { LIBISCSI_CHAP_TARGET_USERNAME=$1 LIBISCSI_CHAP_TARGET_PASSWORD=$2 inq $ALICE "$(chap alice%$SECRET)"; }
check mutual-right mutual openebs $TARGET_SECRET
not_mutual() { ! mutual "$@"; }
check mutual-wrong-target-secret not_mutual openebs another-secret-xx
qemu() { timeout 30 qemu-io -f raw -t none -c "$1" "$(chap "${2:-alice%$SECRET}")" 2>&1 | tee "$WORK/qemu"; grep -qE '^(wrote|read) [1-9]' "$WORK/qemu"; }
check qemu-writes-with-chap qemu 'write -P 0x5a 0 1M'
check qemu-reads-with-chap qemu 'read -P 0x5a 0 1M'
metric() { curl -fsS "$HTTP/metrics" | grep "^openebs_iscsi_authentications_total.*outcome=\"$1\"" | awk '{s += $NF} END {print s + 0}'; }
[ "$(metric authentic)" -ge 4 ] && [ "$(metric refused)" -ge 2 ]; equal authentications-are-counted 0 $?
matches credential-list 'alices +alice +yes +openebs .*test' "$(ctl credential list)"
says credential-in-use 'named by the access rules of test' "$(ctl credential delete alices 2>&1)"

# ---- sessions ----------------------------------------------------------------------------------------------------------
SOCKET=$WORK/nbd URL=$(chap alice%$SECRET)
check a-long-session bridge
nbd() { timeout 60 qemu-io -f raw -c "$1" "nbd+unix:///?socket=$SOCKET" 2>&1 | tee "$WORK/nbd.out"; grep -qE '^(wrote|read) [1-9]' "$WORK/nbd.out"; }
check it-works nbd 'write -P 0x77 1M 2M'
sessions() { curl -fsS "$API/sessions?volume=test"; }
within 5 eval '[ "$(sessions | jq length)" -ge 1 ]'
equal session-tells-what-it-did 'alices 2097152 true' "$(sessions | jq -r '.[0] | "\(.credential) \(.writtenBytes) \(.lastCommandAt != null)"')"
matches session-list "$(sessions | jq -r '.[0].id') +test +iqn" "$(ctl session list)"
says exclusive-refuses-another 'one at a time' "$(inq $BOB "$(chap alice%$SECRET)" >/dev/null; grep 'one at a time' "$SERVER_LOG" | tail -n 1)"
check exclusive-other-initiator refused $BOB "$(chap alice%$SECRET)"
ctl volume access test --sharing shared >/dev/null
check shared-lets-it-in inq $BOB "$(chap alice%$SECRET)"
first=$(sessions | jq -r '.[0].id')
check session-close ctl session close "$first"
says session-close-unknown 'There is no session' "$(ctl session close "$first" 2>&1)"
check it-comes-back nbd 'read -P 0x77 1M 2M'
within 5 eval '[ "$(sessions | jq length)" -ge 1 ]'
[ "$(sessions | jq -r '.[0].id')" != "$first" ]; equal as-another-session 0 $?

# ---- rotation and revocation -------------------------------------------------------------------------------------------
check rotate eval "echo $ROTATED | ctl credential create alices --user alice --secret-file - --replace"
check old-secret-is-refused refused $ALICE "$(chap alice%$SECRET)"
check new-secret-is-taken inq $ALICE "$(chap alice%$ROTATED)"
check the-session-goes-on nbd 'read -P 0x77 1M 1M'
t0=$(now_ms); ctl volume access test --initiators $BOB --credentials '' --sharing exclusive >/dev/null; t1=$(now_ms)
equal revoked-sessions-are-gone 0 "$(sessions | jq length)"
note "the change and the end of the session took $((t1 - t0)) ms"
still_out() { ! timeout 6 qemu-io -f raw -c 'read 0 4k' "nbd+unix:///?socket=$SOCKET"; }
check and-stay-out still_out
check revocation-is-logged within 5 logged 'Session .*iqn\..* on .*:test is closed: its access was revoked'
kill -9 "$BRIDGE"; wait "$BRIDGE" 2>/dev/null
check copies-are-told-in-the-events grep -q AccessChanged <(ctl events --volume test)

# ---- a flood beside a session that works --------------------------------------------------------------------------------
rss() { awk '/VmRSS/ {print int($2 / 1024)}' "/proc/$SERVER_PID/status"; }
URL=$(chap ''); URL=iscsi://$PORTAL/$IQN/0
before=$(rss)
python3 - "$ISCSI_PORT" >"$LOGS/flood.txt" 2>&1 <<'PY' &
import socket, struct, sys, time
port, held, closed = int(sys.argv[1]), [], 0
text = b"InitiatorName=iqn.2026-01.test:flood\0SessionType=Normal\0TargetName=iqn.2016-09.com.openebs.orleans:test\0"
def login(flags, data):
    head = bytearray(48); head[0], head[1] = 0x43, flags; head[5:8] = len(data).to_bytes(3, "big"); head[8:14] = bytes.fromhex("00023d000001"); head[20:22] = b"\0\1"
    return bytes(head) + data + b"\0" * (-len(data) % 4)
for i in range(3000):
    s = socket.socket(); s.bind((f"127.0.1.{1 + i % 40}", 0)); s.settimeout(5)
    try:
        s.connect(("127.0.0.1", port))
        if i % 4 == 1: s.sendall(b"\x43\x87" + bytes(20))
        if i % 4 == 2: s.sendall(login(0x44, text + b"x" * 8000) )
        if i % 4 == 3: s.sendall(login(0x87, b"InitiatorName=iqn.2026-01.test:flood\0SessionType=Discovery\0"))
    except OSError: closed += 1
    held.append(s)
print(f"{len(held)} connections, {closed} closed while they began", flush=True)
time.sleep(4)
PY
flood=$!
perf() { timeout 30 qemu-io -f raw -t none -c 'write -P 0x11 0 1M' -c 'read -P 0x11 0 1M' "iscsi://$PORTAL/$IQN/0" >/dev/null; }
longest=0 served=0; rm -f "$LOGS/flood-errors.txt"
while kill -0 $flood 2>/dev/null; do
  t0=$(now_ms); timeout 20 iscsi-inq -i $BOB "$URL" >"$WORK/inq" 2>&1 && grep -q DIRECT_ACCESS "$WORK/inq" && served=$((served + 1)) || { served=$((served - 1000)); cat "$WORK/inq"; } >>"$LOGS/flood-errors.txt"
  t1=$(now_ms); [ $((t1 - t0)) -le $longest ] || longest=$((t1 - t0)); after=$(rss); sleep 0.2
done; wait $flood
curl -fsS "$HTTP/metrics" | grep '^openebs_iscsi_connections_closed' >"$LOGS/flood-metrics.txt"
note "$(cat "$LOGS/flood.txt"); meanwhile $served logins of another initiator, the longest took $longest ms; memory $before MiB before, $after MiB with them"
[ $served -ge 3 ]; equal logins-go-on-beside-a-flood 0 $?
[ $((after - before)) -le 150 ]; equal memory-stays-bounded 0 $?

# ---- nothing shows a secret --------------------------------------------------------------------------------------------
{ ctl credential list -o yaml; ctl volume describe test -o yaml; ctl events
  for p in volumes volumes/test volumes/test/access credentials events sessions nodes pools replicas; do curl -fsS "$API/$p"; done; curl -fsS "$HTTP/metrics"; curl -fsS "$HTTP/openapi/v1.json"
  cat "$LOGS"/server-*.log; } >"$WORK/everything" 2>&1
equal no-secret-anywhere 0 "$(grep -cE 'secret-of-alice|secret-of-target|secret-after' "$WORK/everything")"
equal secrets-beside-no-replica 0 "$(grep -rlE 'secret-of-alice|secret-of-target|secret-after' "$WORK/pool-1" | wc -l)"
equal store-is-its-owners-only 600 "$(stat -c %a "$WORK/openebs.db")"

# ---- discovery with CHAP, few sessions, another address -----------------------------------------------------------------
kill -INT "$SERVER_PID"; gone_within "$SERVER_PID" 20
serve '"Iscsi": { "DiscoveryCredentials": ["alices"], "ChapAlgorithms": ["sha256", "md5"], "Interfaces": ["lo"], "MaxSessionsPerVolume": 1 }' || { fail restart "$(tail -n 3 "$SERVER_LOG")"; finish; }
equal discovery-without-chap '' "$(discover $BOB | grep Target:)"
matches discovery-with-chap "Target:$IQN " "$(discover $BOB "alice%$ROTATED@")"
check rule-survived-the-restart inq $BOB
ctl volume access test --clear >/dev/null
check cleared-is-nobody refused $BOB
check delete-credential ctl credential delete alices
check clean-stop eval 'kill -INT $SERVER_PID; gone_within $SERVER_PID 20'
equal no-trace 0 "$(grep -cE '^ +at OpenEbs|Unhandled' "$LOGS"/server-*.log | awk -F: '{s += $2} END {print s}')"
finish
