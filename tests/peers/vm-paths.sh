#!/usr/bin/env bash
# `dev --nodes 3` and a Linux kernel initiator in a VM. dm-multipath with a path to each node, grouped by the ALUA state that the target reports: the group in use follows the volume's coordinator when it
# moves; under fio with verification the gateway in use is killed, then all nodes are restarted in turn. Then a single path: the node of its portal is drained, and later stopped; the initiator is asked to
# log out, logs in again, and is sent to another portal (Target moved temporarily). No error reaches the file system; the longest stalls are printed.
# VMI_FLAVOR=amd64 takes the kernel that has scsi_dh_alua; the default one leaves ALUA to multipathd, which asks by itself.
. "$(dirname "$0")/lib.sh"
VM=$(dirname "$0")/vm
need tools qemu-system-x86_64 cpio ss curl jq
[ "$TARGET" = dev ] || { skip paths "is about the product only"; finish; }
start_dev --no-demo --nodes 3 --restart-delay 1s && create_volume test 512Mi || { fail start "the three nodes did not start"; finish; }
use_volume test; check healthy healthy_within test 60 || finish
PORTALS=(); for i in 0 1 2; do PORTALS+=("127.0.0.1:$((ISCSI_PORT + i))"); done
cat >"$WORK/hook" <<X
#!/bin/bash
PART=hook LOGS=$LOGS; . $(cd "$(dirname "$0")" && pwd)/lib.sh; trap - EXIT; rm -rf "\$WORK"
ISCSI_PORT=$ISCSI_PORT HTTP_PORT=$HTTP_PORT API=$API
for h in $HTTP_PORT $((HTTP_PORT + 1)) $((HTTP_PORT + 2)); do curl -fsS -m 1 http://127.0.0.1:\$h/readyz >/dev/null 2>&1 && { HTTP=http://127.0.0.1:\$h API=http://127.0.0.1:\$h/api/v1; break; }; done
node_of() { nodes | jq -r --arg p "\$1" '(.items? // .)[] | select(.portal == \$p) | .name'; }
ready() { curl -fsS -m 2 "http://127.0.0.1:\$((HTTP_PORT + \${1##*:} - ISCSI_PORT))/readyz" >/dev/null; }
stopped() { ! kill -0 "\$1" 2>/dev/null; }
elsewhere() { local p; p=\$(coordinator_portal test) && [ -n "\$p" ] && [ "\$p" != "\$1" ]; }
case \$1 in
  coordinator) coordinator_portal test;;
  kill) pid=\$(port_pid "\${2##*:}"); [ -n "\$pid" ] && kill -9 "\$pid" && echo "the node at \$2";;
  back) within 60 ready "\$2" && healthy_within test 60;;
  restart) pid=\$(port_pid "\${2##*:}"); [ -n "\$pid" ] && kill -TERM "\$pid" && within 20 stopped "\$pid" && within 60 ready "\$2" && healthy_within test 60;;
  drain) ctl node drain "\$(node_of "\$2")";;
  left) within 20 elsewhere "\$2" && coordinator_portal test;;
  uncordon) ctl node uncordon "\$(node_of "\$2")";;
  sessions) volume test | jq -r '.sessions[].node' | sort | tr '\n' ' ';;
esac
X
chmod +x "$WORK/hook"; args=(); for p in "${PORTALS[@]}"; do args+=(-p "$p"); done
"$VM/initiator.sh" "${args[@]}" -t "$IQN" -i "$VM/guest-lib.sh" -H "$WORK/hook" -o "$LOGS/guest" -T "${LIMIT:-900}" -e PART="$PART" -e LUN="$LUN" "$VM/guest-paths.sh" 2>"$LOGS/vm.err" | tee "$WORK/out"
rc=${PIPESTATUS[0]}; FAILED=$((FAILED + $(grep -c '^FAIL' "$WORK/out")))
[ "$rc" -lt 2 ] || fail vm "exit $rc: $(tail -n 3 "$LOGS/vm.err")"
crashes=$(grep -cE '^ +at [A-Z]|Unhandled exception' "$SERVER_LOG"); equal no-stack-trace-in-the-log 0 "$crashes"
check clean-stop stop_target
finish
