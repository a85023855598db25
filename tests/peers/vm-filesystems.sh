#!/usr/bin/env bash
# A Linux kernel initiator in a VM: ext4 without digests, xfs with header and data digests. Logs in, makes the file system, writes, verifies with fio,
# trims (and the pool's used bytes fall), unmounts, checks, logs in again and compares checksums.
. "$(dirname "$0")/lib.sh"
VM=$(dirname "$0")/vm
need tools qemu-system-x86_64 cpio ss curl jq

for run in ext4:None xfs:CRC32C; do
  fs=${run%:*} digests=${run#*:}
  start_target 512M || { fail "start-$fs" "the target did not start"; finish; }
  # The guest asks the host for the bytes that the volume takes on its pools.
  if [ "$TARGET" = tgt ]; then hook="stat -c %b"; printf '#!/bin/bash\nexec stat -c %%b %s/tgt.img\n' "$WORK" >"$WORK/hook"
  else printf '#!/bin/bash\ncurl -fsS -m 10 %s/volumes/test | jq "[.replicas[].usedBytes] | add"\n' "$API" >"$WORK/hook"; fi
  chmod +x "$WORK/hook"
  "$VM/initiator.sh" -p "$PORTAL" -t "$IQN" -i "$VM/guest-lib.sh" -H "$WORK/hook" -o "$LOGS/guest-$fs" -T 400 \
    -e PART="$PART-$fs" -e FS="$fs" -e DIGESTS="$digests" -e LUN="$LUN" -e FIO_MB="${FIO_MB:-48}" -e STAND_IN="$([ "$TARGET" = tgt ] && echo 1 || echo 0)" \
    "$VM/guest-filesystem.sh" 2>"$LOGS/vm-$fs.err" | tee "$WORK/out"
  rc=$?; FAILED=$((FAILED + $(grep -c '^FAIL' "$WORK/out")))
  [ $rc -lt 2 ] || fail "$fs-vm" "exit $rc: $(tail -n 3 "$LOGS/vm-$fs.err")"
  check "$fs-clean-stop" stop_target
  rm -rf "$WORK/data" "$WORK/tgt.img"
done
finish
