#!/usr/bin/env bash
# Runs a test script inside a small VM (Debian kernel, open-iscsi) against an iSCSI target on the host's loopback.
#   initiator.sh [options] TESTSCRIPT [args...]   exit code = the script's (124 over time, 125 the VM broke)
#   initiator.sh build                            only fills the cache (root image and initrd) and prints its folder
#  -p 127.0.0.1:PORT  portal, repeatable (one network card in the guest per portal); -t IQN
#  -i FILE  puts FILE in the guest's /job (repeatable); -e K=V environment for the test (repeatable)
#  -H CMD   host hook: in the guest `host WORDS` runs `CMD WORDS` on the host and prints its output (exit code kept)
#  -o DIR   what the test leaves in the guest's /out comes to DIR (console.log too); -T SECS limit (300); -m MiB (1024); -c vCPUs (2)
# Environment: VMI_CACHE (/var/tmp/openebs-vm), VMI_FLAVOR cloud-amd64 (default, 27 MB) | amd64 (71 MB, has scsi_dh_alua), VMI_EXTRA "package ..."
#      more Debian packages in the guest, VMI_ACCEL tcg|kvm (default: kvm only if the CPU has vmx or svm)
# In the guest: $PORTAL $PORTALS $IQN, /job, /out, udevd and iscsid run; 127.0.0.1:PORT is translated to the host's loopback, so that what
# SendTargets answers just works.
set -euo pipefail
. "$(dirname "$0")/image.sh"
die() { echo "vm: $*" >&2; exit 125; }
PORTALS=() INJECT=() ENVS=() IQN='' HOOK='' OUT='' LIMIT=300 MEM=1024 CPUS=2
while getopts p:t:i:e:H:o:T:m:c: o; do case $o in
  p) PORTALS+=("$OPTARG");; t) IQN=$OPTARG;; i) INJECT+=("$OPTARG");; e) ENVS+=("$OPTARG");; H) HOOK=$OPTARG;; o) OUT=$OPTARG;;
  T) LIMIT=$OPTARG;; m) MEM=$OPTARG;; c) CPUS=$OPTARG;; *) exit 2;; esac; done; shift $((OPTIND-1))
[ $# -ge 1 ] || die "no test script"
for t in qemu-system-x86_64 cpio; do command -v $t >/dev/null || die "$t is not installed"; done
IMAGE=$(image) || die "the guest's image cannot be built"
[ "$1" != build ] || { echo "$IMAGE"; exit 0; }

TEST=$1; shift; [ -f "$TEST" ] || die "no file $TEST"
J=$(mktemp -d); QP=''
cleanup() { [ -z "$QP" ] || kill -9 "$QP" "$(cat "$J/pid" 2>/dev/null)" 2>/dev/null || :; rm -rf "$J"; }
trap cleanup EXIT; trap 'exit 130' INT TERM
mkdir -p "$J/c/j" "$J/o"; cp "$TEST" "$J/c/j/test"; for f in ${INJECT[@]+"${INJECT[@]}"}; do cp -a "$f" "$J/c/j/"; done

P='' NET=() n=2
for p in ${PORTALS[@]+"${PORTALS[@]}"}; do
  P+="$p " fw=''; case ${p%:*} in 127.0.0.1) ;; *) die "a portal must be on 127.0.0.1 (qemu's user network maps only that): $p";; esac
  if [ $n = 2 ] && [ -n "$HOOK" ]; then
    printf '#!/bin/bash\nread -r -a w; o=$(%s "${w[@]}" 2>&1); r=$?; printf "%%s${o:+\\n}rc=%%s" "$o" $r\n' "$HOOK" >"$J/hook"; chmod +x "$J/hook"
    fw=",guestfwd=tcp:10.0.2.99:99-cmd:$J/hook"
  fi
  NET+=(-netdev "user,id=n$n,net=10.0.$n.0/24$fw" -device "virtio-net-pci,netdev=n$n,romfile="); n=$((n+1))
done
{ for v in IQN:"$IQN" PORTALS:"${P% }" PORTAL:"${P%% *}"; do printf 'export %s=%q\n' "${v%%:*}" "${v#*:}"; done
  for e in ${ENVS[@]+"${ENVS[@]}"}; do printf 'export %s=%q\n' "${e%%=*}" "${e#*=}"; done
  printf 'ARGS=('; [ $# = 0 ] || printf '%q ' "$@"; echo ')'; } >"$J/c/j/env"
(cd "$J/c" && find . | cpio -o -H newc --quiet | gzip -1) >"$J/job.gz"; cat "$IMAGE/initrd" "$J/job.gz" >"$J/initrd"

ACCEL=${VMI_ACCEL:-tcg}; [ -n "${VMI_ACCEL:-}" ] || { grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ] && ACCEL=kvm; } || :
if [ "$ACCEL" = kvm ]; then CPU=host; else CPU=max ACCEL=tcg,thread=multi; fi
mkfifo "$J/out"; cat "$J/out" & CP=$!; SECONDS=0
timeout -s KILL "$LIMIT" qemu-system-x86_64 -pidfile "$J/pid" -accel "$ACCEL" -cpu "$CPU" -smp "$CPUS" -m "$MEM" -nodefaults -no-user-config -display none -no-reboot \
  -kernel "$IMAGE/vmlinuz" -initrd "$J/initrd" -append "console=ttyS0 quiet panic=-1 random.trust_cpu=1 mitigations=off audit=0 net.ifnames=0 tsc=reliable" \
  -drive file="$IMAGE/root.img",if=virtio,format=raw,snapshot=on,cache=unsafe -chardev file,id=con,path="$J/o/console.log" -serial chardev:con \
  -device virtio-serial-pci -chardev file,id=out,path="$J/out" -device virtserialport,chardev=out,name=out \
  -chardev file,id=rc,path="$J/rc" -device virtserialport,chardev=rc,name=rc -chardev file,id=fl,path="$J/files.tar" -device virtserialport,chardev=fl,name=files \
  ${NET[@]+"${NET[@]}"} </dev/null 2>"$J/qemu.err" & QP=$!
wait $QP 2>/dev/null || :; QP=''; : 1<>"$J/out"; wait $CP || :
if [ -n "$OUT" ]; then mkdir -p "$OUT"; cp "$J/o/console.log" "$OUT/"; tar -C "$OUT" -xf "$J/files.tar" 2>/dev/null || :; fi
[ ! -s "$J/rc" ] || exit "$(cat "$J/rc")"
{ cat "$J/qemu.err"; tail -15 "$J/o/console.log"; } >&2
[ $SECONDS -lt "$LIMIT" ] || { echo "vm: over $LIMIT s" >&2; exit 124; }
die "the VM ended without a result"
