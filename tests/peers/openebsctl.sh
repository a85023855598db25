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

# ---- placement ----
check create-dry-run ctl volume create planned --size 64Mi --replicas 2 --dry-run
matches create-dry-run-chosen '^pool-[123] +node-1 +- +Chosen +-?[0-9]+ +free \+[0-9]+ \([0-9]+ ?% of it is free\)' "$LAST_OUTPUT"
matches create-dry-run-possible '^pool-[123] +node-1 +- +Possible +-[0-9]+ .*its node node-1 has 2 of the volume' "$LAST_OUTPUT"
plan_json() { ctl volume create planned --size 64Mi --replicas 2 --dry-run -o json | jq -e '.problem == "" and ([.candidates[] | select(.verdict == "Chosen")] | length) == 2 and all(.candidates[]; .score == ([.parts[].points] | add))'; }
check create-dry-run-json plan_json
refused_plan() { ctl volume create planned --size 64Mi --replicas 2 --node-anti-affinity hard --dry-run >"$WORK/plan"; [ $? = 6 ] && grep -qE 'Refused .*two may not share a node' "$WORK/plan" && grep -q '1 of 2 replica(s) have no place' "$WORK/plan"; }
check create-dry-run-that-does-not-fit refused_plan
ctl_fails create-hard-node 6 'needs 2 pools.*two may not share a node' --server "$HTTP" volume create planned --size 64Mi --replicas 2 --node-anti-affinity hard
ctl_fails create-hard-zone 6 'it is in no zone .label topology.kubernetes.io/zone' --server "$HTTP" volume create planned --size 64Mi --replicas 1 --zone-anti-affinity hard
ctl_fails create-selector-nobody-has 6 'it has no label disk, ssd is selected' --server "$HTTP" volume create planned --size 64Mi --replicas 1 --selector disk=ssd
ctl_fails create-too-large-for-the-pools 6 'more than 10 times its capacity.*smaller' --server "$HTTP" volume create planned --size 64Ti --replicas 1
ctl_fails bad-anti-affinity 2 "node-anti-affinity is 'medium'; give soft" --server "$HTTP" volume create planned --size 64Mi --node-anti-affinity medium
ctl_fails bad-selector 2 "selector: 'ssd' is not a label; write key=value" --server "$HTTP" volume create planned --size 64Mi --selector ssd
check why ctl volume why first
matches why-shows-holding '^pool-[123] +node-1 +- +Holding +-[0-9]+ .*its node node-1 has 2 of the volume' "$LAST_OUTPUT"
why_third() { ctl volume why third -o json | jq -e '.replicaCount == 1 and ([.candidates[] | select(.verdict == "Holding")] | length) == 1 and ([.candidates[] | select(.verdict == "Possible")] | length) == 2'; }
check why-json why_third
ctl_fails why-absent 3 'no volume' --server "$HTTP" volume why absent
check describe-shows-the-policy ctl volume describe first
matches policy-shown 'Placement +apart by node: soft, by zone: soft' "$LAST_OUTPUT"

# ---- cordons and drains: three pools on one node, so what three replicas need has nowhere to go ----
items='(if type == "array" then . else .items end)'
check node-cordon ctl node cordon node-1
matches node-cordon-says-so 'node-1 takes no new replicas' "$LAST_OUTPUT"
check node-list-shows-cordoned ctl node list
matches node-list-cordoned '^node-1 +Active +Cordoned' "$LAST_OUTPUT"
check pool-list-shows-cordoned ctl pool list
matches pool-list-cordoned '^pool-2 +node-1 +online +Cordoned' "$LAST_OUTPUT"
ctl_fails create-on-cordoned 6 'pool-1.*node node-1 is cordoned' --server "$HTTP" volume create x --size 64Mi --replicas 1
check pool-uncordon ctl pool uncordon pool-1
matches pool-uncordon-says-that-its-node-is 'pool-1 takes no new replicas: its node' "$LAST_OUTPUT"
check node-uncordon ctl node uncordon node-1
available() { ctl node describe node-1 -o json | jq -e '.availability == "Available" and .drain == null' && ctl pool list -o json | jq -e "$items | all(.availability == \"Available\")"; }
check node-uncordon-json available
check node-describe ctl node describe node-1
matches node-describe-pools 'Pools +pool-1, pool-2, pool-3' "$LAST_OUTPUT"
from=$(ctl volume describe third -o json | jq -r '.replicas[0].pool')
check pool-drain-dry-run ctl pool drain "$from" --dry-run
text=$LAST_OUTPUT
matches dry-run-moves-the-single-replica "^third .* $from +pool-[123] +node-1 .*1 replica\(s\) in sync and 1 needed" "$text"
matches dry-run-has-no-place-for-the-third-of-three "^first .* $from +nowhere .*no pool" "$text"
matches dry-run-sums-up 'would go, .* copied: about [0-9]+m?s, if .* nowhere to go' "$text"
plan() { ctl pool drain "$from" --dry-run -o json | jq -e --arg from "$from" '.subject == $from and .durationSeconds > 0 and .concurrentMoves == 2 and any(.moves[]; .volume == "third" and .fromPool == $from and (.isStuck | not) and .toPool != "" and (.risks | length) == 1) and any(.moves[]; .volume == "first" and .isStuck)'; }
check dry-run-json plan
node_plan() { ctl node drain node-1 --dry-run -o json | jq -e '.subject == "node-1" and (.moves | length) == 6 and all(.moves[]; .isStuck) and .copyBytes == 0'; }
check node-dry-run-json node_plan
nothing_changed() { ctl pool list -o json | jq -e "$items | all(.availability == \"Available\")"; }
check dry-run-changes-nothing nothing_changed
check pool-drain ctl pool drain "$from"
matches pool-drain-says-how-far "$from is being drained: [0-9] of [0-9] replica.s. left.*uncordon" "$LAST_OUTPUT"
moved() { ctl volume describe third -o json | jq -e --arg from "$from" '.state == "Healthy" and (.replicas | length) == 1 and .replicas[0].pool != $from'; }
check single-replica-moves within moved
held_up() { ctl pool drain "$from" | tee "$WORK/held" | grep -q 'Held up: volume first' && ctl volume describe first -o json | jq -e '.concern | test("drains")'; }
check drain-says-what-holds-it-up within held_up
check volume-describe-shows-the-concern ctl volume describe first
matches concern-shown "Concern +another replica is needed .*$from, which drains" "$LAST_OUTPUT"
check pool-list-shows-progress ctl pool list
matches pool-list-progress "^$from +node-1 +online +Draining\([0-9]/[0-9]\)" "$LAST_OUTPUT"
check pool-uncordon-stops-the-drain ctl pool uncordon "$from"
unconcerned() { ctl volume describe first -o json | jq -e '.concern == ""'; }
check concern-goes within unconcerned
drain_events() { ctl events -n 500 -o json | jq -e --arg from "$from" "$items"' | map("\(.kind) \(.subject)") | contains(["NodeCordoned node-1", "NodeUncordoned node-1", "PoolDraining \($from)", "ReplicaUnplaced first", "PoolUncordoned \($from)", "ReplicaPlaced first"])'; }
check drain-events drain_events
ctl_fails node-cordon-absent 3 "no node 'nope'.*node list" --server "$HTTP" node cordon nope
ctl_fails pool-drain-absent 3 "no pool 'nope'.*pool list" --server "$HTTP" pool drain nope
ctl_fails pool-dry-run-absent 3 "no pool 'nope'" --server "$HTTP" pool drain nope --dry-run
ctl_fails node-remove-running 4 'node-1.*is running.*drain' --server "$HTTP" node remove node-1
ctl_fails pool-remove-with-replicas 4 'replica.s. on pool .pool-1.*pool drain pool-1' --server "$HTTP" pool remove pool-1
ctl_fails node-remove-absent 3 'nope' --server "$HTTP" node remove nope
ctl_fails node-drain-nothing 2 'argument|name' --server "$HTTP" node drain

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
