#!/usr/bin/env bash
# `dev --nodes 3` and a Linux kernel initiator in a VM, with a session to every node and dm-multipath above them: the node that holds a session and the
# volume grain is killed under fio with verification, twice; then once more with a single path. No error reaches the file system.
. "$(dirname "$0")/lib.sh"
VM=$(dirname "$0")/vm ROUNDS=${ROUNDS:-2}
need tools qemu-system-x86_64 cpio ss curl jq

if [ "$TARGET" = tgt ]; then  # the stand-in: two tgtd on one file
  ROUNDS=1; start_tgt 512M || { fail start "the target did not start"; finish; }
  first=$TGT_PID first_portal=$PORTAL; start_tgt 512M || { fail start "the second target did not start"; finish; }
  PORTALS=("$first_portal" "$PORTAL"); control=$((${first_portal##*:} % 32000))
  cat >"$WORK/hook" <<X
#!/bin/bash
case \$1 in coordinator) echo $PORTAL;; kill) kill -9 $first; echo the first tgtd;;
wait-healthy) tgtd -f -C $control --iscsi portal=$first_portal >/dev/null 2>&1 </dev/null & echo \$! >$WORK/second; sleep 1
  for o in "target --op new --tid 1 -T $IQN" "logicalunit --op new --tid 1 --lun 1 --backing-store $WORK/tgt.img" "target --op bind --tid 1 --initiator-address ALL"; do
    tgtadm -C $control --lld iscsi --mode \$o; done;; esac
X
else
  start_dev --no-demo --nodes 3 && create_volume test 512Mi || { fail start "the three nodes did not start"; finish; }
  use_volume test; check healthy healthy_within test 60 || finish
  PORTALS=(); for i in 0 1 2; do PORTALS+=("127.0.0.1:$((ISCSI_PORT + i))"); done
  # The hook runs outside this shell: it gets the functions by sourcing the library again, without its cleanup.
  cat >"$WORK/hook" <<X
#!/bin/bash
PART=hook LOGS=$LOGS; . $(cd "$(dirname "$0")" && pwd)/lib.sh; trap - EXIT; rm -rf "\$WORK"
ISCSI_PORT=$ISCSI_PORT API=$API
for h in $HTTP_PORT $((HTTP_PORT + 1)) $((HTTP_PORT + 2)); do curl -fsS -m 1 http://127.0.0.1:\$h/readyz >/dev/null 2>&1 && { API=http://127.0.0.1:\$h/api/v1; break; }; done
case \$1 in
  coordinator) coordinator_portal test;;
  kill) p=\$(coordinator_portal test); pid=\$(port_pid "\${p##*:}"); [ -n "\$pid" ] && kill -9 "\$pid" && echo "the node at \$p";;
  wait-healthy) healthy_within test 60;;
esac
X
fi
chmod +x "$WORK/hook"; args=(); for p in "${PORTALS[@]}"; do args+=(-p "$p"); done
"$VM/initiator.sh" "${args[@]}" -t "$IQN" -i "$VM/guest-lib.sh" -H "$WORK/hook" -o "$LOGS/guest" -T 500 -e PART="$PART" -e LUN="$LUN" -e ROUNDS="$ROUNDS" \
  -e FIO_SECS=$((20 + ROUNDS * 15)) -e STAND_IN="$([ "$TARGET" = tgt ] && echo 1 || echo 0)" "$VM/guest-failover.sh" 2>"$LOGS/vm.err" | tee "$WORK/out"
rc=$?; FAILED=$((FAILED + $(grep -c '^FAIL' "$WORK/out")))
[ $rc -lt 2 ] || fail vm "exit $rc: $(tail -n 3 "$LOGS/vm.err")"
[ ! -s "$WORK/second" ] || STARTED+=("$(cat "$WORK/second")")
check clean-stop stop_target
finish
