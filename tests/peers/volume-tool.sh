#!/usr/bin/env bash
# samples/VolumeTool, as samples/README.md says to run it, against a running `dev`: the client library over Orleans, no iSCSI.
. "$(dirname "$0")/lib.sh"
need tools ss curl jq
[ "$TARGET" = dev ] || { skip volume-tool "is about the product only"; finish; }
