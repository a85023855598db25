#!/usr/bin/env bash
# libiscsi's tools against the target: discovery, INQUIRY with its VPD pages, capacity, a short load. (Debian's libiscsi-bin has no iscsi-dd; qemu.sh moves the data.)
. "$(dirname "$0")/lib.sh"
need tools iscsi-ls iscsi-inq iscsi-readcapacity16 iscsi-perf ss curl jq
start_target 64M || { fail start "the target did not start"; finish; }

discovery() { timeout 20 iscsi-ls -s "iscsi://$PORTAL"; }
check discovery discovery
found=$LAST_OUTPUT
matches discovery-lists-the-target "^Target:$IQN Portal:$PORTAL,[0-9]+" "$found"
matches discovery-lists-the-lun "^Lun:$LUN +Type:DIRECT_ACCESS \(Size:6[34]M\)" "$found"

inq() { timeout 20 iscsi-inq "$@" "$URL" 2>&1 | tee "$WORK/inq"; ! grep -qiE 'failed|unsupported|usage' "$WORK/inq"; }
check inquiry inq
standard=$LAST_OUTPUT
matches inquiry-direct-access 'Peripheral Device Type:DIRECT_ACCESS' "$standard"
matches inquiry-command-queueing 'CmdQue:1' "$standard"

page() { inq -e 1 -c "$1"; }
check vpd-00-supported-pages page 0
pages=$LAST_OUTPUT
for p in 80 83 b0 b1 b2; do matches "vpd-00-lists-$p" "^Page:0x$p" "$pages"; done
check vpd-80-serial page 128
check vpd-83-identification page 131
naa=$LAST_OUTPUT; matches vpd-83-has-naa 'Designator Type:\(3\) NAA' "$naa"
check vpd-b0-block-limits page 176
check vpd-b1-characteristics page 177
check vpd-b2-provisioning page 178
provisioning=$LAST_OUTPUT
if [ "$TARGET" = dev ]; then
  for p in 86 b7; do matches "vpd-00-lists-$p" "^Page:0x$p" "$pages"; done
  matches vpd-b2-unmap 'lbpu:1' "$provisioning"
  matches vpd-b2-write-same-unmap 'lbpws:1' "$provisioning"
  matches vpd-b2-reads-zeros 'lbprz:1' "$provisioning"
  matches vpd-b2-thin 'provisioning type:2' "$provisioning"
fi

capacity() { timeout 20 iscsi-readcapacity16 "$URL"; }
check read-capacity capacity
matches read-capacity-size 'Total size:67108864' "$LAST_OUTPUT"
matches read-capacity-512 'LOGICAL BLOCK LENGTH IN BYTES:512' "$LAST_OUTPUT"
matches read-capacity-4096-physical 'PHYSICAL BLOCK EXPONENT:3' "$LAST_OUTPUT"
[ "$TARGET" = tgt ] || matches read-capacity-thin 'LBPME:1 LBPRZ:1' "$LAST_OUTPUT"

perf() { timeout 20 iscsi-perf "$@" "$URL" 2>&1 | tr '\r' '\n' | tee "$WORK/perf" | tail -n 3; ! grep -qiE 'failed|error' "$WORK/perf" && grep -q '^finished' "$WORK/perf"; }
check perf-random-4k perf -r -m 32 -b 8 -t 3
check perf-sequential-128k perf -m 8 -b 256 -t 3

absent() { ! timeout 20 iscsi-inq "iscsi://$PORTAL/$IQN-absent/0"; }
check unknown-target-is-refused absent
absent_lun() { ! timeout 20 iscsi-inq "iscsi://$PORTAL/$IQN/7" | grep -q DIRECT_ACCESS; }
check absent-lun-is-no-disk absent_lun

# Connections that say nothing, or nonsense, are closed or time out; the target goes on serving the others.
garbage() {
  local i; for i in 1 2 3 4 5 6 7 8; do timeout 3 bash -c "exec 3<>/dev/tcp/${PORTAL%:*}/${PORTAL##*:}; head -c 4096 /dev/urandom >&3; cat <&3 >/dev/null" 2>/dev/null; done
  timeout 20 iscsi-inq "$URL" >/dev/null
}
check garbage-does-not-harm-others garbage
half_open() {
  local i fds=(); for ((i = 0; i < 300; i++)); do exec {fd}<>"/dev/tcp/${PORTAL%:*}/${PORTAL##*:}" || return 1; fds+=("$fd"); done 2>/dev/null
  timeout 20 iscsi-inq "$URL" >/dev/null; local rc=$?
  for fd in "${fds[@]}"; do exec {fd}>&-; done; return $rc
}
check 300-half-open-connections half_open

check clean-stop stop_target
finish
