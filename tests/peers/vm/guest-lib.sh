# shellcheck shell=bash
# What the guest's tests share: result lines as on the host, and open-iscsi in few words. Sourced as /job/guest-lib.sh.
set -u -o pipefail
FAILED=0
one_line() { tr '\n\t\r' '   ' | sed 's/  */ /g; s/ $//' | cut -c1-300; }
pass() { echo "PASS $PART.$1${2:+ ($2)}"; }
fail() { FAILED=$((FAILED + 1)); echo "FAIL $PART.$1 $(one_line <<<"${2:-no reason given}")"; }
note() { echo "  $*"; }
check() {  # check NAME COMMAND...
  local name=$1 rc; shift
  "$@" >/tmp/check.out 2>&1; rc=$?; { echo "== $name: $*"; cat /tmp/check.out; echo "-- exit $rc"; } >>/out/checks.log
  LAST_OUTPUT=$(cat /tmp/check.out)
  if [ $rc = 0 ]; then pass "$name"; else fail "$name" "exit $rc: $(tail -n 3 /tmp/check.out)"; fi; return $rc
}
finish() { [ $FAILED = 0 ] || { echo "  end of the guest's kernel log:"; dmesg | tail -n 8 | sed 's/^/    /'; }; exit $((FAILED > 0)); }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# discover PORTAL: as Kubernetes does, SendTargets first; what it lists must hold the address that was asked.
discover() { iscsiadm -m discovery -t sendtargets -p "$1" >/tmp/targets && cat /tmp/targets && grep -q "^$1,[0-9]* $IQN\$" /tmp/targets; }
setting() { iscsiadm -m node -T "$IQN" -p "$1" -o update -n "$2" -v "$3"; }
login() { setting "$1" node.session.initial_login_retry_max 3 && iscsiadm -m node -T "$IQN" -p "$1" --login; }
logout() { iscsiadm -m node -T "$IQN" -p "$1" --logout; }

# disk PORTAL: waits for the disk of that session and prints its /dev name.
disk() {
  local link=/dev/disk/by-path/ip-$1-iscsi-$IQN-lun-$LUN i
  for ((i = 0; i < 150; i++)); do [ -b "$link" ] && { readlink -f "$link"; return 0; }; sleep 0.1; done
  echo "no $link after 15 s: $(ls /dev/disk/by-path 2>&1)" >&2; return 1
}
kernel_errors() { dmesg | grep -E 'I/O error|Buffer I/O|blk_update_request|EXT4-fs error|XFS .*(error|corrupt|shutdown)|Aborting journal'; }
