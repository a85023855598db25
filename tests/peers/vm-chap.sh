#!/usr/bin/env bash
# open-iscsi in the VM and CHAP: each algorithm, one-way and mutual, wrong secrets on either side, discovery; what Linux makes of access that is revoked.
. "$(dirname "$0")/lib.sh"
VM=$(dirname "$0")/vm
need tools qemu-system-x86_64 cpio ss curl jq
[ "$TARGET" = dev ] || { skip vm-chap "is about the product only"; finish; }
start_dev --no-demo --default-access none || { fail start "the target did not start"; finish; }
echo secret-of-alice | ctl credential create alices --user alice --secret-file - --target-user openebs --target-secret-file <(echo proof-of-target) >/dev/null || { fail credential; finish; }
create_volume test 64Mi --credentials alices || { fail create; finish; }
use_volume test
printf '#!/bin/bash\ncurl -fsS -m 20 -X PUT -H "content-type: application/json" -d "{\\"initiators\\": [\\"iqn.2026-01.test:other\\"]}" %s/volumes/test/access\n' "$API" >"$WORK/hook"; chmod +x "$WORK/hook"
"$VM/initiator.sh" -H "$WORK/hook" -p "$PORTAL" -t "$IQN" -i "$VM/guest-lib.sh" -o "$LOGS/guest" -T 240 -e PART="$PART" -e LUN=0 "$VM/guest-chap.sh" 2>"$LOGS/vm.err" | tee "$WORK/out"
rc=$?; FAILED=$((FAILED + $(grep -c '^FAIL' "$WORK/out")))
[ $rc -lt 2 ] || fail vm "exit $rc: $(tail -n 3 "$LOGS/vm.err")"
check clean-stop stop_dev
finish
