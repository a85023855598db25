# shellcheck shell=bash
# What every script of tests/peers and tests/bench shares: result lines, free ports, starting and stopping a target, and leaving nothing behind.
# A script sources this file, prints one line per check (`PASS name`, `FAIL name reason`, `SKIP name reason`) and ends with `finish`.
#
#   TARGET=dev  (default) the product: `openebs.dll dev` from the Release build of OPENEBS_TREE (default: this checkout)
#   TARGET=tgt  Debian's tgt on one file, as a stand-in: a check that fails against it too is probably wrong itself
#   OPENEBS_TEST_PORTS=FIRST-LAST   ports to choose from (default 20000-29999); only 127.0.0.1 is used
#   KEEP=1      keep the temporary directory and print where it is
set -u -o pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TREE=${OPENEBS_TREE:-$ROOT}
TARGET=${TARGET:-dev}
PART=${PART:-$(basename "$0" .sh)}
LOGS=${LOGS:-$ROOT/artifacts/tests/$PART}
WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/openebs-$PART.XXXXXX")
SERVER_DLL=$TREE/src/OpenEbs.Server/bin/Release/net10.0/openebs.dll
CTL_DLL=$TREE/src/OpenEbs.Cli/bin/Release/net10.0/openebsctl.dll
PORTAL='' IQN='' LUN=0 URL='' HTTP='' API='' SERVER_PID='' SERVER_ARGS=() PORT_ARGS=() SERVER_LOG=''
STARTED=() FAILED=0 SERVER_COUNT=0 LAST_OUTPUT=''
mkdir -p "$LOGS"

# ---- results -------------------------------------------------------------------------------------------------------

one_line() { tr '\n\t\r' '   ' | sed 's/  */ /g; s/ $//' | cut -c1-300; }
pass() { echo "PASS $PART.$1${2:+ ($2)}"; }
fail() { FAILED=$((FAILED + 1)); echo "FAIL $PART.$1 $(one_line <<<"${2:-no reason given}")"; }
skip() { echo "SKIP $PART.$1 $(one_line <<<"${2:-no reason given}")"; }
note() { echo "  $*"; }

# check NAME COMMAND...: passes when the command exits with 0. Its output is kept in LAST_OUTPUT and in the part's log. (In this shell, so that a
# function may wait for a process and set variables.)
check() {
  local name=$1; shift
  "$@" >"$WORK/check.out" 2>&1; local rc=$?
  LAST_OUTPUT=$(tr -d '\0' <"$WORK/check.out")
  { echo "== $name: $*"; echo "$LAST_OUTPUT"; echo "-- exit $rc"; } >>"$LOGS/checks.log"
  if [ $rc = 0 ]; then pass "$name"; else fail "$name" "exit $rc: $(tail -n 3 <<<"$LAST_OUTPUT")"; fi
  return $rc
}

# matches NAME REGEX TEXT: passes when TEXT holds a line that matches the extended REGEX.
matches() {
  if grep -qE -- "$2" <<<"$3"; then pass "$1"; else fail "$1" "nothing matches /$2/ in: $3"; return 1; fi
}

# says NAME REGEX TEXT: the text tells a user what is wrong: it matches REGEX and shows no stack trace.
says() {
  if grep -qE '^ +at [A-Z][A-Za-z]+\..*\(|Unhandled exception' <<<"$3"; then fail "$1" "a stack trace: $(grep -m1 -E '^ +at |Unhandled' <<<"$3")"; return 1; fi
  matches "$1" "$2" "$3"
}

# equal NAME EXPECTED ACTUAL
equal() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "expected '$2', got '$3'"; return 1; fi; }

need() {  # need NAME TOOL...: skips the whole part when a tool is missing
  local name=$1 t; shift
  for t in "$@"; do command -v "$t" >/dev/null || { skip "$name" "$t is not installed"; finish; }; done
}

finish() {
  [ $FAILED = 0 ] || [ -z "$SERVER_LOG" ] || { echo "  last lines of the server's log ($SERVER_LOG):"; tail -n 15 "$SERVER_LOG" | sed 's/^/    /'; }
  exit $((FAILED > 0))
}

# ---- processes: only those started here are ever ended ---------------------------------------------------------------

alive() { kill -0 "$1" 2>/dev/null && [ "$(ps -o stat= -p "$1" 2>/dev/null | cut -c1)" != Z ]; }
gone_within() { local i; for ((i = 0; i < $2 * 20; i++)); do alive "$1" || return 0; sleep 0.05; done; return 1; }
descendants() { local c; for c in $(ps -o pid= --ppid "$1" 2>/dev/null); do echo "$c"; descendants "$c"; done; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# launch LOG COMMAND...: in the background, in a process group of its own, with SIGINT as a terminal would leave it. Sets LAUNCHED.
launch() {
  local log=$1; shift
  set -m; env --default-signal=INT,QUIT "$@" >>"$log" 2>&1 </dev/null & LAUNCHED=$!; set +m
  STARTED+=("$LAUNCHED")
}

cleanup() {
  local p q
  for p in ${STARTED[@]+"${STARTED[@]}"}; do
    for q in $(descendants "$p") "$p"; do kill -9 "$q" 2>/dev/null; done; kill -9 -- "-$p" 2>/dev/null; wait "$p" 2>/dev/null
  done
  if [ -n "${KEEP:-}" ]; then echo "  kept: $WORK"; else rm -rf "$WORK"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# free_ports COUNT: the first of COUNT consecutive ports on which nothing listens.
free_ports() {
  local range=${OPENEBS_TEST_PORTS:-20000-29999} count=$1 first last base i p busy
  first=${range%-*} last=${range#*-}; busy=" $(ss -Htnl | awk '{n=split($4,a,":"); print a[n]}' | tr '\n' ' ') "
  for ((i = 0; i < 500; i++)); do
    base=$((first + (RANDOM * 32768 + RANDOM) % (last - first - count + 2)))
    for ((p = base; p < base + count; p++)); do [[ $busy == *" $p "* ]] && continue 2; done
    echo "$base"; return 0
  done
  echo "no $count free consecutive ports in $range" >&2; return 1
}
port_pid() { ss -Htnlp "sport = :$1" | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | head -n 1; }

# ---- the target --------------------------------------------------------------------------------------------------------

# start_target SIZE [dev options]: sets PORTAL, IQN, LUN and URL. SIZE like 256M; the volume is named `test` (dev) and is empty.
start_target() {
  local size=$1; shift
  if [ "$TARGET" = tgt ]; then start_tgt "$size"; return; fi
  start_dev --no-demo "$@" || return 1
  create_volume test "${size}i" || return 1
  use_volume test
}
stop_target() { if [ "$TARGET" = tgt ]; then stop_tgt; else stop_dev; fi; }

start_tgt() {
  local port control img=$WORK/tgt.img
  port=$(free_ports 1) || return 1; control=$((port % 32000)); truncate -s "$1" "$img"
  mkdir -p /var/run/tgtd; launch "$LOGS/tgtd.log" tgtd -f -C "$control" --iscsi "portal=127.0.0.1:$port"
  TGT_PID=$LAUNCHED TGT_CONTROL=$control SERVER_PID=$LAUNCHED; IQN=iqn.2016-09.com.openebs.orleans:stand-in LUN=1 PORTAL=127.0.0.1:$port
  local i; for ((i = 0; i < 100; i++)); do tgtadm -C "$control" --op show --mode sys >/dev/null 2>&1 && break; sleep 0.05; done
  tgtadm -C "$control" --lld iscsi --op new --mode target --tid 1 -T "$IQN" &&
    tgtadm -C "$control" --lld iscsi --op new --mode logicalunit --tid 1 --lun 1 --backing-store "$img" &&
    tgtadm -C "$control" --lld iscsi --op update --mode logicalunit --tid 1 --lun 1 --params thin_provisioning=1 &&
    tgtadm -C "$control" --lld iscsi --op update --mode target --tid 1 --name HeaderDigest --value CRC32C,None &&
    tgtadm -C "$control" --lld iscsi --op update --mode target --tid 1 --name DataDigest --value CRC32C,None &&
    tgtadm -C "$control" --lld iscsi --op bind --mode target --tid 1 --initiator-address ALL || { echo "tgtadm failed" >&2; return 1; }
  URL=iscsi://$PORTAL/$IQN/$LUN
}
stop_tgt() { kill -9 "$TGT_PID" 2>/dev/null; wait "$TGT_PID" 2>/dev/null; rm -f "/var/run/tgtd/socket.$TGT_CONTROL" "/var/run/tgtd/socket.$TGT_CONTROL.lock"; }

# start_dev [dev options]: a new data directory, ports chosen. Sets SERVER_PID, HTTP, API, DATA, ISCSI_PORT, HTTP_PORT.
start_dev() {
  DATA=${DATA_DIR:-$WORK/data}; choose_ports || return 1
  SERVER_ARGS=("$@"); launch_dev && wait_ready "${READY_SECS:-60}"
}
# One block holds all ports of up to five nodes: portal, HTTP, silo, Orleans clients, and the sentinel at silo + 50.
choose_ports() {
  ISCSI_PORT=$(free_ports 65) || return 1
  HTTP_PORT=$((ISCSI_PORT + 5)) HTTP=http://127.0.0.1:$((ISCSI_PORT + 5)); API=$HTTP/api/v1
  PORT_ARGS=(--iscsi-port "$ISCSI_PORT" --http-port "$HTTP_PORT" --silo-port $((ISCSI_PORT + 10)) --gateway-port $((ISCSI_PORT + 15)))
}
# launch_dev: starts (again) with the ports and options of start_dev.
launch_dev() {
  [ -f "$SERVER_DLL" ] || { echo "$SERVER_DLL is not built: dotnet build -c Release" >&2; return 1; }
  SERVER_COUNT=$((SERVER_COUNT + 1)); SERVER_LOG=$LOGS/server-$SERVER_COUNT.log; : >"$SERVER_LOG"
  launch "$SERVER_LOG" dotnet "$SERVER_DLL" dev --data "$DATA" "${PORT_ARGS[@]}" ${SERVER_ARGS[@]+"${SERVER_ARGS[@]}"}
  SERVER_PID=$LAUNCHED
}
# wait_ready SECS: every node of `--nodes N` is ready; with fewer there are not yet the pools that a volume needs.
wait_ready() {
  local i nodes=1 node=0 next=""
  for i in ${SERVER_ARGS[@]+"${SERVER_ARGS[@]}"}; do [ "$next" != nodes ] || nodes=$i; next=${i#--}; done
  for ((i = 0; i < $1 * 10; i++)); do
    while curl -fsS -m 2 "http://127.0.0.1:$((HTTP_PORT + node))/readyz" >/dev/null 2>&1; do node=$((node + 1)); [ $node -lt "$nodes" ] || return 0; done
    alive "$SERVER_PID" || { echo "the server ended before it was ready: $(tail -n 5 "$SERVER_LOG")" >&2; return 1; }
    sleep 0.1; done
  echo "node $node is not ready after $1 s: $(tail -n 5 "$SERVER_LOG")" >&2; return 1
}
# stop_dev: Ctrl-C as a terminal sends it (to the whole process group); fails when it does not end within 20 s or with an error.
stop_dev() {
  kill -INT -- "-$SERVER_PID" 2>/dev/null; gone_within "$SERVER_PID" 20 || { kill -9 -- "-$SERVER_PID"; echo "still running 20 s after Ctrl-C" >&2; return 1; }
  wait "$SERVER_PID" 2>/dev/null; local rc=$?
  [ $rc = 0 ] || [ $rc = 130 ] || { echo "ended with exit code $rc" >&2; return 1; }
}
kill_dev() { kill -9 -- "-$SERVER_PID" 2>/dev/null; gone_within "$SERVER_PID" 10; wait "$SERVER_PID" 2>/dev/null; return 0; }

ctl() { dotnet "$CTL_DLL" --server "$HTTP" "$@"; }
create_volume() { local name=$1 size=$2; shift 2; ctl volume create "$name" --size "$size" "$@" >>"$LOGS/ctl.log" 2>&1 || { tail -n 3 "$LOGS/ctl.log" >&2; return 1; }; }
volume() { curl -fsS -m 10 "$API/volumes/$1"; }
nodes() { curl -fsS -m 10 "$API/nodes"; }

# use_volume NAME: sets IQN, PORTAL (of the first node), LUN, URL.
use_volume() { IQN=iqn.2016-09.com.openebs.orleans:$1 LUN=0 PORTAL=127.0.0.1:$ISCSI_PORT; URL=iscsi://$PORTAL/$IQN/0; }

# healthy_within VOLUME SECS: waits until every replica is in sync.
healthy_within() {
  local i; for ((i = 0; i < $2 * 5; i++)); do
    [ "$(volume "$1" 2>/dev/null | jq -r .state 2>/dev/null)" = Healthy ] && return 0; sleep 0.2; done
  echo "volume $1 is not healthy after $2 s: $(volume "$1" | jq -c '[.state,.reason,[.replicas[]|[.node,.state,.reason]]]' 2>&1)"; return 1
}
# coordinator_portal VOLUME: host:port of the gateway beside the volume grain.
coordinator_portal() { local n; n=$(volume "$1" | jq -r .coordinator) && nodes | jq -r --arg n "$n" '(.items? // .)[] | select(.name == $n) | .portal'; }

# within SECS COMMAND...: tries until the command succeeds; at the end once more, so that its last words are kept.
within() { local secs=$1 i; shift; for ((i = 0; i < secs * 4; i++)); do "$@" >/dev/null 2>&1 && return 0; sleep 0.25; done; "$@"; }

# bridge: an NBD server in front of URL, at the path SOCKET, for fio. Sets BRIDGE.
bridge() {
  launch "$LOGS/qemu-nbd.log" qemu-nbd -f raw -t -e 8 -k "$SOCKET" "$URL"; BRIDGE=$LAUNCHED
  local i; for ((i = 0; i < 100; i++)); do [ -S "$SOCKET" ] && return 0; sleep 0.1; done
  tail -n 3 "$LOGS/qemu-nbd.log"; return 1
}
