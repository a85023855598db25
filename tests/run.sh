#!/usr/bin/env bash
# Builds everything and runs every test. Needs Debian, the .NET SDK, and root for the parts that use real peers (without root those are skipped).
#   tests/run.sh                 all of it
#   tests/run.sh --fast          build, and the unit, model, simulation and cluster tests only
#   tests/run.sh --only NAME...  build, and only the parts named (a test project such as OpenEbs.Storage.Tests, or a script of tests/peers such as qemu)
#   tests/run.sh --no-build ...  with what is built already
# The last line is always `N passed, N failed, N skipped`; the exit code is 0 only if nothing failed. Logs: artifacts/tests/.
# Only loopback is used, free ports are chosen (OPENEBS_TEST_PORTS=FIRST-LAST to confine them), and no process is left behind.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
ROOT=$PWD LOGS=$PWD/artifacts/tests

# Debian packages that the tests use, and for what.
PACKAGES=(
  curl jq yq iproute2 procps python3             # REST and openebsctl checks; who listens on which port; an OTLP collector
  libiscsi-bin qemu-utils qemu-block-extra fio   # initiators in user space, conformance suite, verified load
  tgt gcc libc6-dev libiscsi-dev                 # the stand-in and the peer of the benchmarks; our libiscsi clients
  qemu-system-x86 cpio e2fsprogs                 # the VM with the Linux kernel initiator
)
# Scripts of tests/peers with their time limits in seconds, in the order in which they run.
PEERS=(lifecycle:300 openebsctl:240 rest:180 volume-tool:120 otlp:180 qemu:240 libiscsi:120 access:240 conformance:420 vm-filesystems:420 vm-failover:480 nodes-soak:360 replacement:240 rebuild:480 slow:240 freeze:240 drain:240 rolling:240 orphans:240 full-pool:300 damage:240 scrub:180)
PROJECT_LIMIT=900

FAST='' BUILD=1 ONLY=()
while [ $# -gt 0 ]; do case $1 in
  --fast) FAST=1;; --no-build) BUILD='';; --only) shift; ONLY=("$@"); break;;
  *) sed -n '2,9p' "$0" >&2; exit 2;; esac; shift; done

PASSED=0 FAILED=0 SKIPPED=0 MARK='' STARTED_AT=$SECONDS
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
mkdir -p "$LOGS"

# ---- one part at a time; its processes carry a mark in their environment, so that what it leaves behind is found and ended ----

left_behind() { [ -z "$MARK" ] || grep -lsazx "OPENEBS_TEST_PART=$MARK" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3; }
end_part() { local p; for p in $(left_behind); do kill -9 "$p" 2>/dev/null; done; MARK=''; }
# in_part LIMIT LOG COMMAND...: sets LEFT to the command lines of processes that the command left running.
in_part() {
  local limit=$1 log=$2 rc; shift 2; MARK=$$-$RANDOM
  OPENEBS_TEST_PART=$MARK setsid timeout -k 20 "$limit" "$@" >"$log" 2>&1 </dev/null &
  wait $!; rc=$?
  LEFT=$(for p in $(left_behind); do ps -o args= -p "$p" | cut -c1-100; done); end_part
  return $rc
}
end() {
  end_part
  echo "total time $((SECONDS - STARTED_AT)) s; logs in artifacts/tests"
  echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
  exit $((FAILED > 0))
}
trap end EXIT
trap 'FAILED=$((FAILED + 1)); echo "interrupted"; exit 1' INT TERM

failed() { FAILED=$((FAILED + 1)); echo "  FAIL $1"; }
tail_of() { echo "  ---- end of ${1#"$ROOT"/}"; tail -n "${2:-25}" "$1" | cut -c1-240 | sed 's/^/  | /'; }
stage() { STAGE=$1 STAGE_AT=$SECONDS BEFORE=("$PASSED" "$FAILED" "$SKIPPED"); }
staged() {
  local skipped=$((SKIPPED - BEFORE[2]))
  printf '%-32s %4d s  %5d passed%s%s\n' "$STAGE" $((SECONDS - STAGE_AT)) $((PASSED - BEFORE[0])) \
    "$([ "$FAILED" = "${BEFORE[1]}" ] || echo ", $((FAILED - BEFORE[1])) FAILED")" "$([ $skipped = 0 ] || echo ", $skipped skipped")"
}
wanted() { [ ${#ONLY[@]} = 0 ] || [[ " ${ONLY[*]} " == *" $1 "* ]]; }

# ---- what must be there first ----

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q ' installed'; }
install_packages() {
  local missing=() p i; for p in "${PACKAGES[@]}"; do installed "$p" || missing+=("$p"); done
  local image; image=$(. tests/peers/vm/image.sh && echo "$CACHE/$(image_key)/root.img")
  [ ${#missing[@]} -gt 0 ] || [ ! -s "$image" ] || return 0
  for i in 1 2 3; do apt-get update -qq >>"$LOGS/apt.log" 2>&1 && break; sleep $((i * 5)); done
  [ ${#missing[@]} = 0 ] && return 0
  for i in 1 2 3; do DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$LOGS/apt.log" 2>&1 && return 0; sleep $((i * 5)); done
  return 1
}
build() {
  local i; for i in 1 2 3; do in_part 600 "$LOGS/restore.log" dotnet restore OpenEbs.Orleans.sln -v q && break; sleep $((i * 3)); done
  in_part 900 "$LOGS/build.log" dotnet build OpenEbs.Orleans.sln -c Release --no-restore -v q -nodeReuse:false -p:UseSharedCompilation=false
}

# ---- the parts ----

run_project() {
  local project=$1 name log trx rc total executed passed; name=$(basename "$project" .csproj); log=$LOGS/$name.log trx=$LOGS/$name.trx; rm -f "$trx"
  stage "$name"
  in_part $PROJECT_LIMIT "$log" dotnet test "$project" -c Release --no-build --logger "trx;LogFileName=$trx" --blame-hang --blame-hang-timeout 10m --blame-hang-dump-type none
  rc=$?
  local counters; counters=$(grep -om1 '<Counters [^>]*>' "$trx" 2>/dev/null)
  count() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$counters"; }
  if [ -z "$counters" ]; then failed "$name: crashed or ran out of $PROJECT_LIMIT s (exit $rc)"; tail_of "$log"
  else
    total=$(count total) executed=$(count executed) passed=$(count passed)
    PASSED=$((PASSED + passed)) SKIPPED=$((SKIPPED + total - executed)) FAILED=$((FAILED + executed - passed))
    if [ "$executed" != "$passed" ]; then grep -E '^ +Failed ' "$log" | head -n 20; tail_of "$log" 40
    elif [ $rc != 0 ]; then failed "$name: exit $rc though no test failed"; tail_of "$log"
    elif [ "$total" = 0 ]; then failed "$name: has no test"; fi
  fi
  [ -z "$LEFT" ] || failed "$name: left processes behind: $LEFT"
  staged
}
run_peer() {
  local name=${1%:*} limit=${1#*:} log rc; log=$LOGS/$name.log
  stage "peers/$name"; rm -rf "${LOGS:?}/$name"
  in_part "$limit" "$log" env PART="$name" LOGS="$LOGS/$name" bash "tests/peers/$name.sh"; rc=$?
  local p f s; p=$(grep -c '^PASS ' "$log") f=$(grep -c '^FAIL ' "$log") s=$(grep -c '^SKIP ' "$log")
  PASSED=$((PASSED + p)) FAILED=$((FAILED + f)) SKIPPED=$((SKIPPED + s))
  grep -E '^(FAIL|SKIP) ' "$log" | head -n 40 | cut -c1-300 | sed 's/^/  /'; grep -E '^PASS .*\(.* ms' "$log" | sed 's/^PASS/  time:/'
  if [ $rc = 124 ] || [ $rc = 137 ]; then failed "$name: ran out of its $limit s"
  elif [ $rc != 0 ] && [ "$f" = 0 ]; then failed "$name: crashed (exit $rc)"; f=1
  elif [ $((p + f + s)) = 0 ]; then failed "$name: reported nothing"; fi
  [ -z "$LEFT" ] || failed "$name: left processes behind: $LEFT"
  [ "$FAILED" = "${BEFORE[1]}" ] || tail_of "$log"
  staged
}

if [ -n "$BUILD" ]; then
  stage 'build (warnings are errors)'
  if build; then PASSED=$((PASSED + 1)); staged; else failed 'the build'; grep -E 'error|warning' "$LOGS/build.log" | sort -u | head -n 20; tail_of "$LOGS/build.log" 5; staged; exit 1; fi
fi
for project in tests/*/*.csproj; do
  grep -q '<IsTestProject>true' "$project" && wanted "$(basename "$project" .csproj)" && run_project "$project"
done
[ -z "$FAST" ] || exit 0
if [ "$(id -u)" = 0 ]; then
  stage 'Debian packages'; if install_packages; then PASSED=$((PASSED + 1)); else failed 'installing Debian packages'; tail_of "$LOGS/apt.log"; fi; staged
  if wanted vm-filesystems || wanted vm-failover; then
    stage 'image of the VM'; in_part 600 "$LOGS/vm-image.log" bash tests/peers/vm/initiator.sh build && PASSED=$((PASSED + 1)) || { failed 'building the image of the VM'; tail_of "$LOGS/vm-image.log"; }; staged
  fi
fi
for peer in "${PEERS[@]}"; do
  wanted "${peer%:*}" || continue
  if [ "$(id -u)" = 0 ]; then run_peer "$peer"; else SKIPPED=$((SKIPPED + 1)); echo "  SKIP peers/${peer%:*}: needs root"; fi
done
