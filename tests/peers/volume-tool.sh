#!/usr/bin/env bash
# samples/VolumeTool, as samples/README.md says to run it, against a running `dev`: the client library over Orleans, no iSCSI.
. "$(dirname "$0")/lib.sh"
need tools ss curl jq
[ "$TARGET" = dev ] || { skip volume-tool "is about the product only"; finish; }
TOOL=$TREE/samples/VolumeTool/bin/Release/net10.0/VolumeTool.dll
[ -f "$TOOL" ] || { fail built "$TOOL is not built: dotnet build -c Release"; finish; }
start_dev --no-demo || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
GATEWAY=127.0.0.1:$((ISCSI_PORT + 15))
tool() { timeout 60 dotnet "$TOOL" --gateway "$GATEWAY" "$@"; }

check write-and-read tool
text=$LAST_OUTPUT
matches verified '^verified +every byte is as written' "$text"
equal lists-three-replicas 3 "$(grep -c ' InSync ' <<<"$text")"
equal deletes-its-volume 0 "$(curl -fsS "$API/volumes" | jq length)"
check keep tool --volume kept --size 32 --data 8 --replicas 2 --keep
equal keeps-the-volume 'kept 33554432 2' "$(volume kept | jq -r '"\(.name) \(.sizeBytes) \(.replicaCount)"')"
check again-on-the-kept-volume tool --volume kept --size 32 --data 8 --replicas 2 --keep

# tool_fails NAME EXITCODE REGEX arguments...
tool_fails() {
  local name=$1 code=$2 regex=$3 text rc; shift 3
  text=$(timeout 60 dotnet "$TOOL" "$@" 2>&1); rc=$?
  equal "$name-exit-code" "$code" "$rc"; says "$name-message" "$regex" "$text"
}
tool_fails another-spec 1 'kept' --gateway "$GATEWAY" --volume kept --size 64 --replicas 2
tool_fails too-much-data 2 'do not fit' --gateway "$GATEWAY" --size 8 --data 16
tool_fails bad-argument 2 'makes no sense' --gateway "$GATEWAY" --colour red
tool_fails no-cluster 1 'no cluster answers' --gateway 127.0.0.1:1
check clean-stop stop_dev
finish
