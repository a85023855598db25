#!/usr/bin/env bash
# The life of `dev`: first start, Ctrl-C, start again, kill -9, and what it says when it cannot start. Data written before is there afterwards.
. "$(dirname "$0")/lib.sh"
need tools qemu-io ss curl jq unshare
[ "$TARGET" = dev ] || { skip lifecycle "is about the product only"; finish; }

io() { local a=() c; for c in "$@"; do a+=(-c "$c"); done; timeout 60 qemu-io -f raw "${a[@]}" "$URL" 2>&1 | tee "$WORK/io"; ! grep -qiE 'failed|error|could not' "$WORK/io"; }
rss_mib() { awk '/VmRSS/{print int($2/1024)}' "/proc/$1/status"; }
cpu_ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }

# ---- first start ----
t0=$(now_ms); start_dev || { fail first-start "$(tail -n 3 "$SERVER_LOG")"; finish; }
pass first-start "ready after $(($(now_ms) - t0)) ms"
use_volume demo
demo_there() { local i; for ((i = 0; i < 100; i++)); do [ "$(volume demo | jq -r '"\(.sizeBytes) \(.replicaCount) \(.state)"')" = '1073741824 3 Healthy' ] && return 0; sleep 0.1; done; volume demo; return 1; }
check demo-volume-is-there demo_there
sleep 0.5; welcome=$(cat "$SERVER_LOG")
matches welcome-discovery "iscsiadm -m discovery -t sendtargets -p $PORTAL" "$welcome"
matches welcome-login "iscsiadm -m node -T $IQN -p $PORTAL --login" "$welcome"
matches welcome-dashboard "$HTTP/orleans" "$welcome"
image_line=$(grep -o "qemu-img .*" <<<"$welcome" | head -n 1)
check welcome-qemu-line-works timeout 20 bash -c "$image_line"
check write-and-flush io 'write -P 0xd1 1M 1M' 'flush'

idle() {
  sleep 3; local before after; before=$(cpu_ticks "$SERVER_PID"); sleep 5; after=$(cpu_ticks "$SERVER_PID")
  IDLE="$(rss_mib "$SERVER_PID") MiB resident, $(awk -v t=$((after - before)) -v h="$(getconf CLK_TCK)" 'BEGIN{printf "%.1f", t / h / 5 * 100}') % of a core"
}
idle; note "idle: $IDLE"

# ---- Ctrl-C and again ----
t0=$(now_ms)
if stop_dev 2>"$WORK/stop"; then pass ctrl-c-stops-cleanly "$(($(now_ms) - t0)) ms"; else fail ctrl-c-stops-cleanly "$(cat "$WORK/stop")"; fi
matches ctrl-c-logs-no-error '^0$' "$(grep -cE '^ +at [A-Z]|Unhandled|fail:|crit:' "$SERVER_LOG")"
launch_dev; check second-start wait_ready 60 || finish
check data-after-ctrl-c io 'read -P 0xd1 1M 1M' 'read -P 0 0 1M'
names() { curl -fsS -m 10 "$API/volumes" | jq -r '.[].name'; }
equal volumes-after-restart demo "$(names)"

# ---- kill -9 ----
check write-flush-write io 'write -P 0xd2 4M 1M' 'flush' 'write -P 0xd3 8M 1M'
kill_dev; launch_dev; t0=$(now_ms)
check start-after-kill wait_ready 60 || finish
check flushed-data-after-kill io 'read -P 0xd1 1M 1M' 'read -P 0xd2 4M 1M'
# Not flushed, but only the process died: what was acknowledged is in the page cache of this host.
check acknowledged-data-after-kill io 'read -P 0xd3 8M 1M'

# kill -9 while 4 KiB writes are running, three times: what was flushed before each is there, and the volume serves.
kill_under_load() {
  local round pattern; for round in 1 2 3; do
    pattern=0x$((40 + round)); io "write -P $pattern 16M 2M" flush || return 1
    timeout 20 qemu-img bench -f raw -w -t none -c 200000 -d 16 -s 4096 -o 67108864 "$URL" >/dev/null 2>&1 & local load=$!
    sleep 1.5; kill_dev; kill "$load" 2>/dev/null; wait "$load" 2>/dev/null
    launch_dev; wait_ready 60 || return 1
    io "read -P $pattern 16M 2M" 'write -P 1 32M 64k' 'read -P 1 32M 64k' || return 1
  done
}
check kill-under-load kill_under_load

# ---- what it says when it cannot start ----
# fails NAME EXITCODE REGEX dev-options...: ends by itself with that code and a message that says what to do, without a stack trace.
fails() {
  local name=$1 code=$2 regex=$3 text rc; shift 3
  text=$(timeout 30 dotnet "$SERVER_DLL" "$@" 2>&1 </dev/null); rc=$?
  { echo "== $name: $*"; echo "$text"; echo "-- exit $rc"; } >>"$LOGS/checks.log"
  equal "$name-exit-code" "$code" "$rc"; says "$name-message" "$regex" "$text"
}
other=$ISCSI_PORT; first_args=("${PORT_ARGS[@]}"); first_http=$HTTP_PORT; choose_ports || finish
fails two-servers-on-one-directory 4 'in use by another server' dev --data "$DATA" "${PORT_ARGS[@]}"
fails ports-in-use 3 "Ports are in use: $other \(iSCSI\)" dev --data "$WORK/second" "${first_args[@]}"
fails one-port-in-use 3 "Port $first_http \(HTTP\) is in use" dev --data "$WORK/second" "${PORT_ARGS[@]/#$HTTP_PORT/$first_http}"
fails data-is-a-file 4 'is a file' dev --data "$SERVER_DLL" "${PORT_ARGS[@]}"
fails unknown-option 2 'openebs: .*--nods' dev --nods 3
fails bad-port 2 '99999' dev --data "$WORK/second" --http-port 99999
fails bad-nodes 2 'nodes is 0' dev --data "$WORK/second" --nodes 0
fails bad-duration 2 'is not a duration' dev --data "$WORK/second" --restart-delay soon
fails unknown-command 2 'openebs: ' serv
fails no-such-config 2 'no-such.json' server --config "$WORK/no-such.json"
mkdir -p "$WORK/readonly"
# Root may write anywhere, so the directory is on a file system that is mounted read-only, in a mount namespace of its own.
text=$(timeout 30 unshare -m bash -c "mount -t tmpfs t '$WORK/readonly' && mount -o remount,ro '$WORK/readonly' && exec dotnet '$SERVER_DLL' dev --data '$WORK/readonly/data' ${PORT_ARGS[*]}" 2>&1); rc=$?
equal read-only-directory-exit-code 4 $rc; says read-only-directory-message 'cannot be (created|written)' "$text"

help=$(timeout 20 dotnet "$SERVER_DLL" --help 2>&1); matches help-lists-commands ' dev ' "$help"
version=$(timeout 20 dotnet "$SERVER_DLL" --version 2>&1); matches version '^[0-9]+\.[0-9]+' "$version"

# ---- what a damaged directory says: nothing is lost, nothing crashes ----
PORT_ARGS=("${first_args[@]}") HTTP_PORT=$first_http HTTP=http://127.0.0.1:$first_http API=http://127.0.0.1:$first_http/api/v1
check first-server-still-serves io 'read -P 0xd1 1M 1M'
check stop-before-damage stop_dev
find "$DATA" -maxdepth 4 | sort >"$LOGS/data-directory.txt"
metadata=$(find "$DATA" -maxdepth 2 -name '*.db' | head -n 1)
if [ -n "$metadata" ]; then
  cp -a "$DATA" "$WORK/damaged"; head -c 65536 /dev/urandom >"$WORK/damaged/${metadata#"$DATA"/}"; rm -f "$WORK/damaged/${metadata#"$DATA"/}"-*
  fails damaged-metadata 5 'metadata|database' dev --data "$WORK/damaged" "${PORT_ARGS[@]}"
  rm -rf "$WORK/damaged"
else fail damaged-metadata "no .db file below the data directory: $(ls "$DATA")"; fi

# One pool is gone: the volume serves from the other two, and openebsctl says what is missing.
pool=$(find "$DATA" -maxdepth 1 -name 'pool-*' -type d | sort | tail -n 1)
if [ -n "$pool" ]; then
  mv "$pool" "$WORK/lost-pool"; : >"$pool"; launch_dev; wait_ready 30 2>/dev/null
  for ((i = 0; i < 100; i++)); do [ "$(volume demo 2>/dev/null | jq -r .state)" = Degraded ] && break; alive "$SERVER_PID" || break; sleep 0.2; done
  if alive "$SERVER_PID"; then
    check serves-without-one-pool io 'read -P 0xd1 1M 1M' 'write -P 0xd4 12M 1M' 'flush'
    equal degraded-without-one-pool Degraded "$(volume demo | jq -r .state)"
    check stop-without-one-pool stop_dev
  else says lost-pool-message 'pool' "$(cat "$SERVER_LOG")"; fi
  kill_dev; rm -f "$pool"; mv "$WORK/lost-pool" "$pool"; launch_dev; check start-with-the-pool-back wait_ready 60
  check healthy-with-the-pool-back healthy_within demo 60
  check data-with-the-pool-back io 'read -P 0xd1 1M 1M'
else fail pool-gone "no pool-* directory in $DATA"; fi

# ---- three nodes: the parent's death takes the children along, and a start after it finds everything ----
check stop-one-node stop_dev
rm -rf "$DATA"; start_dev --nodes 3 --restart-delay 1s || { fail three-nodes "$(tail -n 3 "$SERVER_LOG")"; finish; }
use_volume demo; check three-nodes-healthy healthy_within demo 60
equal three-nodes-listed 3 "$(nodes | jq length)"
check three-nodes-write io 'write -P 0xe1 1M 1M' 'flush'
children=$(descendants "$SERVER_PID"); kill -9 "$SERVER_PID"; wait "$SERVER_PID" 2>/dev/null
orphans_gone() { local c; for c in $children; do gone_within "$c" 15 || { echo "pid $c lives on"; return 1; }; done; }
check children-follow-their-parent orphans_gone
launch_dev; check three-nodes-start-again wait_ready 60
check three-nodes-data io 'read -P 0xe1 1M 1M'
children=$(descendants "$SERVER_PID")
if stop_dev 2>"$WORK/stop"; then pass three-nodes-ctrl-c; else fail three-nodes-ctrl-c "$(cat "$WORK/stop")"; fi
check three-nodes-all-ended orphans_gone
finish
