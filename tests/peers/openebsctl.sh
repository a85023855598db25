#!/usr/bin/env bash
# openebsctl end to end: create, list, describe, resize, delete; table, JSON and YAML; what it says and with which code it ends when something is wrong.
. "$(dirname "$0")/lib.sh"
need tools ss curl jq yq qemu-img
[ "$TARGET" = dev ] || { skip openebsctl "is about the product only"; finish; }
start_dev --no-demo || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }

# ctl_fails NAME EXITCODE REGEX arguments...: ends with that code and a message that matches, without a stack trace.
# Codes: 1 failed, 2 usage or invalid request, 3 no such volume, 4 exists with another spec, 5 unreachable, 6 unavailable now.
ctl_fails() {
  local name=$1 code=$2 regex=$3 text rc; shift 3
  text=$(timeout 30 dotnet "$CTL_DLL" "$@" 2>&1 </dev/null); rc=$?
  { echo "== $name: $*"; echo "$text"; echo "-- exit $rc"; } >>"$LOGS/checks.log"
  equal "$name-exit-code" "$code" "$rc"
  says "$name-message" "$regex" "$text"
}

check version ctl version
matches version-number '[0-9]+\.[0-9]+\.[0-9]+' "$LAST_OUTPUT"
check list-empty ctl volume list
check create ctl volume create first --size 64Mi --replicas 3
check create-again-is-the-same ctl volume create first --size 64Mi --replicas 3
ctl_fails create-with-another-size 4 'first' --server "$HTTP" volume create first --size 128Mi
check create-with-all-options ctl volume create second --size 32Mi --replicas 2 --write-cache off --min-in-sync 2 --io-timeout 30s
check create-one-replica ctl volume create third --size 1Gi --replicas 1

check list ctl volume list
matches list-table-first '^first +64 ?Mi' "$LAST_OUTPUT"
aligned() { # every line of the table has its second column at the same place
  ctl volume list | awk 'NF { match($0, /^[^ ]+ +/); if (w && RLENGTH != w) bad = 1; w = RLENGTH } END { exit bad }'
}
check list-is-aligned aligned
json() { ctl volume list -o json | jq -e 'if type == "array" then . else .items end | map(.name) == ["first", "second", "third"]'; }
check list-json json
yaml() { ctl volume list -o yaml | yq -e 'if type == "array" then . else .items end | map(.name) == ["first", "second", "third"]'; }
check list-yaml yaml
# The state of the volumes may change between two lists (they have only just been created), so a YAML list is compared when the JSON lists before and
# after it are equal. What a replica occupies changes all the time.
without_used() { "$1" -cS 'del(.. | .usedBytes?)' <<<"$2"; }
same() {
  local i before yaml after
  for ((i = 0; i < 15; i++)); do
    before=$(without_used jq "$(ctl volume list -o json)"); yaml=$(without_used yq "$(ctl volume list -o yaml)"); after=$(without_used jq "$(ctl volume list -o json)")
    [ "$before" = "$after" ] || continue
    [ -n "$yaml" ] && [ "$yaml" = "$before" ] && return
    echo "json: $before"; echo "yaml: $yaml"; return 1
  done
  echo "the lists did not stand still: $before / $after"; return 1
}
check yaml-says-what-json-says same

check describe healthy_within first 30
check describe-table ctl volume describe first
text=$LAST_OUTPUT
for word in 'iqn.2016-09.com.openebs.orleans:first' "127.0.0.1:$ISCSI_PORT" 'InSync' '[Ee]poch'; do matches "describe-shows-$(tr -dc 'a-zA-Z0-9' <<<"$word")" "$word" "$text"; done
describe() { ctl volume describe second -o json | jq -e '.writeCache == false and .minInSync == 2 and .ioTimeoutSeconds == 30 and .replicaCount == 2 and (.replicas | length) == 2'; }
check describe-json describe

check resize ctl volume resize first --size 128Mi
size() { [ "$(qemu-img info -f raw --output json "iscsi://127.0.0.1:$ISCSI_PORT/iqn.2016-09.com.openebs.orleans:first/0" | jq '."virtual-size"')" = 134217728 ]; }
check resize-is-seen-by-an-initiator size
ctl_fails shrink 2 'smaller|shrink|least|grow' --server "$HTTP" volume resize first --size 64Mi

check set-replicas ctl volume set second --replicas 3
in_sync() { ctl volume describe second -o json | jq -e --argjson n "$1" '.state == "Healthy" and .replicaCount == $n and ([.replicas[] | select(.state == "InSync")] | length) == $n and (.replicas | length) == $n'; }
within() { local i; for ((i = 0; i < 60; i++)); do "$@" && return; sleep 1; done; "$@"; }
check set-replicas-adds-one within in_sync 3
check set-replicas-down ctl volume set second --replicas 2
check set-replicas-removes-one within in_sync 2
check scrub ctl volume scrub first
matches scrub-says-where-to-look 'describe first' "$LAST_OUTPUT"
scrubbed() { ctl volume describe first -o json | jq -e '.isScrubbing == false and .lastScrubAt != null'; }
check scrub-ends within scrubbed
scrub_event() { ctl events --volume first -o json | jq -e 'if type == "array" then . else .items end | any(.kind == "Scrubbed") and all(.kind != "BadBlocks" and .kind != "ReplicasDiffer")'; }
check scrub-is-an-event scrub_event
ctl_fails scrub-absent 3 'no volume' --server "$HTTP" volume scrub absent
check events ctl events --volume second
for word in ReplicaAdded ReplicaJoined ReplicaRemoved ReplicasWanted; do matches "events-show-$word" "second +$word" "$LAST_OUTPUT"; done
events() { ctl events -n 200 -o json | jq -e 'if type == "array" then . else .items end | any(.kind == "VolumeCreated" and .subject == "first") and any(.kind == "Resized" and .volume == "first") and all(.cause != "")'; }
check events-json events
ctl_fails events-absent 3 'no volume' --server "$HTTP" events --volume absent
ctl_fails events-bad-limit 2 'whole number' --server "$HTTP" events -n many
ctl_fails set-nothing 2 'replicas' --server "$HTTP" volume set second
ctl_fails set-too-many 6 'needs 7 pools' --server "$HTTP" volume set second --replicas 7
ctl_fails set-absent 3 'no volume' --server "$HTTP" volume set absent --replicas 2

for list in replica pool node; do
  check "$list-list" ctl $list list
  lists() { ctl $list list -o json | jq -e 'if type == "array" then . else .items end | length > 0'; }
  check "$list-list-json" lists
done
replicas() { [ "$(ctl replica list -o json | jq 'if type == "array" then . else .items end | length')" = 6 ]; }
check replica-list-has-six replicas

ctl_fails delete-asks-first 2 '--yes' --server "$HTTP" volume delete second
check delete ctl volume delete second --yes
gone() { ! ctl volume describe second; }
check deleted-volume-is-gone gone
check create-a-deleted-name-again ctl volume create second --size 32Mi
environment() { OPENEBS_SERVER=$HTTP dotnet "$CTL_DLL" volume list | grep -q '^first'; }
check server-from-the-environment environment

ctl_fails describe-absent 3 'nope' --server "$HTTP" volume describe nope
ctl_fails delete-absent 3 'nope' --server "$HTTP" volume delete nope --yes
ctl_fails bad-size 2 '12Qx.*(1Gi|size)|size.*12Qx' --server "$HTTP" volume create x --size 12Qx
ctl_fails zero-size 2 '1 MiB|size' --server "$HTTP" volume create x --size 0
ctl_fails bad-name 2 "Bad_Name" --server "$HTTP" volume create Bad_Name --size 1Gi
ctl_fails too-many-replicas 2 'replicas is 9|[0-9] to 7' --server "$HTTP" volume create x --size 1Gi --replicas 9
ctl_fails more-replicas-than-pools 6 'pool' --server "$HTTP" volume create x --size 1Gi --replicas 5
ctl_fails bad-write-cache 2 'on|off' --server "$HTTP" volume create x --size 1Gi --write-cache maybe
ctl_fails bad-output 2 'xml' --server "$HTTP" volume list -o xml
ctl_fails no-size 2 '--size|size' --server "$HTTP" volume create x
ctl_fails unknown-command 2 'volum' --server "$HTTP" volum list
ctl_fails no-server 5 '127.0.0.1:1' --server http://127.0.0.1:1 volume list
ctl_fails unknown-host 5 'no-such-host' --server no-such-host volume list
ctl_fails bad-url 2 'ftp' --server ftp://127.0.0.1 volume list
check nothing-was-created-by-mistakes bash -c "[ \"\$(curl -fsS $API/volumes | jq -r 'map(.name) | join(\" \")')\" = 'first second third' ]"
check clean-stop stop_dev
finish
