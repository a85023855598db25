#!/usr/bin/env bash
# REST, its OpenAPI document, problem+json, health, metrics in Prometheus' format, the Orleans dashboard.
. "$(dirname "$0")/lib.sh"
need tools ss curl jq qemu-io
[ "$TARGET" = dev ] || { skip rest "is about the product only"; finish; }
start_dev --no-demo || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }

# http METHOD PATH [BODY]: sets STATUS, TYPE, BODY.
http() {
  local out; out=$(curl -sS -m 20 -o "$WORK/body" -w '%{http_code} %{content_type}' -X "$1" ${3+-H 'content-type: application/json' -d "$3"} "$HTTP$2" 2>&1) || { STATUS=curl TYPE=$out BODY=''; return 1; }
  STATUS=${out%% *} TYPE=${out#* } BODY=$(cat "$WORK/body"); { echo "== $*: $STATUS $TYPE"; echo "$BODY" | head -c 2000; } >>"$LOGS/checks.log"
}
# answers NAME STATUS METHOD PATH [BODY]
answers() { local name=$1 want=$2; shift 2; http "$@"; equal "$name" "$want" "$STATUS"; }
# problem NAME STATUS METHOD PATH [BODY]: problem+json with that status, a title and a detail, and no stack trace
problem() {
  local name=$1 want=$2; shift 2; http "$@"
  if [ "$STATUS" = "$want" ] && [[ $TYPE == application/problem+json* ]] && jq -e --argjson s "$want" '.status == $s and (.title | length > 0)' >/dev/null <<<"$BODY" && ! grep -qE '   at ' <<<"$BODY"; then pass "$name"
  else fail "$name" "wanted $want problem+json, got $STATUS $TYPE: $BODY"; fi
}

answers healthz 200 GET /healthz
answers readyz 200 GET /readyz
answers openapi 200 GET /openapi/v1.json
cp "$WORK/body" "$LOGS/openapi.json"
valid_openapi() {
  jq -e '(.openapi | test("^3\\.[01]\\.")) and (.info.title | length > 0) and (.info.version | length > 0)
    and all(.paths | keys[]; startswith("/"))
    and all(.paths[] | to_entries[] | select(.key | IN("get", "put", "post", "patch", "delete")); .value.responses | length > 0)
    and ([.paths[][] | objects | .operationId | select(. != null)] | length == (unique | length))' "$LOGS/openapi.json" &&
    # every reference leads somewhere
    jq -e '. as $d | all([.. | objects | ."$ref"? | strings | select(startswith("#/"))] | unique[]; . as $r | $d | getpath($r[2:] | split("/") | map(gsub("~1"; "/"))) != null)' "$LOGS/openapi.json"
}
check openapi-is-valid valid_openapi
for path in /api/v1/volumes '/api/v1/volumes/{name}' /api/v1/replicas /api/v1/pools /api/v1/nodes; do
  matches "openapi-has-$(tr -c 'a-z0-9\n' - <<<"${path#/api/v1/}")" true "$(jq --arg p "$path" '.paths | has($p)' "$LOGS/openapi.json")"
done

answers create 201 POST /api/v1/volumes '{"name":"web","sizeBytes":67108864}'
answers create-again 200 POST /api/v1/volumes '{"name":"web","sizeBytes":67108864}'
problem create-other-size 409 POST /api/v1/volumes '{"name":"web","sizeBytes":134217728}'
problem create-bad-name 400 POST /api/v1/volumes '{"name":"No Such","sizeBytes":67108864}'
problem create-bad-size 400 POST /api/v1/volumes '{"name":"x","sizeBytes":1000}'
problem create-no-size 400 POST /api/v1/volumes '{"name":"x"}'
problem create-unknown-member 400 POST /api/v1/volumes '{"name":"x","sizeBytes":67108864,"colour":"red"}'
problem create-not-json 400 POST /api/v1/volumes 'hello'
problem create-too-many-replicas 400 POST /api/v1/volumes '{"name":"x","sizeBytes":67108864,"replicaCount":99}'
problem create-more-replicas-than-pools 503 POST /api/v1/volumes '{"name":"x","sizeBytes":67108864,"replicaCount":7}'
problem get-absent 404 GET /api/v1/volumes/absent
problem delete-absent 404 DELETE /api/v1/volumes/absent
problem resize-absent 404 PATCH /api/v1/volumes/absent '{"sizeBytes":67108864}'
problem resize-smaller 400 PATCH /api/v1/volumes/web '{"sizeBytes":33554432}'
problem change-nothing 400 PATCH /api/v1/volumes/web '{}'
problem change-min-in-sync-beyond-replicas 400 PATCH /api/v1/volumes/web '{"minInSync":4}'
problem events-of-absent 404 GET '/api/v1/events?volume=absent'
problem events-bad-limit 400 GET '/api/v1/events?limit=0'
answers plan-volume 200 POST /api/v1/volumes/plan '{"name":"planned","sizeBytes":67108864,"replicaCount":2}'
matches plan-volume-chooses 2 "$(jq '[.candidates[] | select(.verdict == "Chosen")] | length' <<<"$BODY")"
problem plan-bad-selector 400 POST /api/v1/volumes/plan '{"name":"planned","sizeBytes":67108864,"selector":"ssd"}'
problem create-bad-anti-affinity 400 POST /api/v1/volumes '{"name":"planned","sizeBytes":67108864,"nodeAntiAffinity":"Medium"}'
problem create-anti-affinity-by-number 400 POST /api/v1/volumes '{"name":"planned","sizeBytes":67108864,"zoneAntiAffinity":7}'
answers why-volume 200 GET /api/v1/volumes/web/placement
problem why-absent 404 GET /api/v1/volumes/absent/placement
answers cordon-pool 200 POST /api/v1/pools/pool-1/cordon
matches cordoned-pool-says-so true "$(jq '.availability == "Cordoned" and .availabilityReason != ""' <<<"$BODY")"
answers uncordon-pool 200 POST /api/v1/pools/pool-1/uncordon
answers drain-plan 200 GET /api/v1/nodes/node-1/drain-plan
matches drain-plan-has-moves true "$(jq '(.moves | length) > 0 and .durationSeconds >= 0' <<<"$BODY")"
answers get-node 200 GET /api/v1/nodes/node-1
answers get-pool 200 GET /api/v1/pools/pool-1
problem cordon-absent-node 404 POST /api/v1/nodes/absent/cordon
problem drain-absent-pool 404 POST /api/v1/pools/absent/drain
problem get-absent-pool 404 GET /api/v1/pools/absent
problem remove-running-node 409 DELETE /api/v1/nodes/node-1
problem remove-pool-in-use 409 DELETE /api/v1/pools/pool-1
problem no-such-path 404 GET /api/v1/nothing
problem wrong-method 405 PUT /api/v1/volumes
answers resize 200 PATCH /api/v1/volumes/web '{"sizeBytes":134217728}'
for list in volumes replicas pools nodes events; do
  http GET "/api/v1/$list"; matches "list-$list" true "$(jq 'type == "array" and length > 0' <<<"$BODY")"
done

# Some traffic, so that the metrics have something to count.
use_volume web; check healthy healthy_within web 30
traffic() { timeout 60 qemu-io -f raw -c 'write -P 1 0 4M' -c flush -c 'read -P 1 0 4M' -c 'discard 0 1M' "$URL" 2>&1 | tee "$WORK/io"; ! grep -qiE 'failed|error' "$WORK/io"; }
check traffic traffic
sleep 2; answers metrics 200 GET /metrics
metrics=$BODY; cp "$WORK/body" "$LOGS/metrics.txt"
malformed() { ! grep -vE '^(# (HELP|TYPE|UNIT|EOF).*|[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*",?)*\})? (-?[0-9.eE+-]+|[+-]Inf|NaN)( [0-9]+)?( # .*)?|)$' "$LOGS/metrics.txt"; }
check metrics-are-well-formed malformed
# series NAME REGEX...: a sample above zero of a series whose name (with labels) matches
series() { if awk -v r="$2" '!/^#/ && $0 ~ r && $NF + 0 > 0 {f = 1} !/^#/ && $0 ~ r && NF > 2 && $2 + 0 > 0 {f = 1} END {exit !f}' "$LOGS/metrics.txt"; then pass "$1"; else fail "$1" "no sample above zero matches /$2/"; fi; }
present() { if grep -qE "$2" <<<"$metrics"; then pass "$1"; else fail "$1" "no series matches /$2/"; fi; }
series metrics-volume-operations '^openebs_volume_[a-z_]*operations[a-z_]*\{.*web'
series metrics-volume-bytes '^openebs_volume_[a-z_]*bytes[a-z_]*\{.*web'
series metrics-volume-latency '^openebs_volume_[a-z_]*_bucket\{.*web'
series metrics-replica-latency '^openebs_replica_[a-z_]*_bucket\{'
present metrics-replica-state '^openebs_replica_[a-z_]*state'
present metrics-replica-lag '^openebs_replica_[a-z_]*lag'
series metrics-pool-bytes '^openebs_pool_[a-z_]*bytes'
present metrics-sessions '^openebs_[a-z_]*sessions'
present metrics-orleans '^orleans_'
present metrics-runtime '^dotnet_'

dashboard() { local page; page=$(curl -fsSL -m 10 "$HTTP/orleans") && grep -qi '<html' <<<"$page"; }
check dashboard dashboard
assets() { local a; a=$(curl -fsSL -m 10 "$HTTP/orleans" | grep -oE '(src|href)="[^"]+\.(js|css)"' | head -n 1 | cut -d'"' -f2); [ -n "$a" ] || return 1
  case $a in /*) ;; *) a=/orleans/${a#./};; esac; curl -fsS -m 10 -o /dev/null "$HTTP$a"; }
check dashboard-assets assets

answers delete 204 DELETE /api/v1/volumes/web
problem delete-again 404 DELETE /api/v1/volumes/web
concurrent() { local i; for i in 1 2 3 4 5 6 7 8; do curl -s -m 20 -o /dev/null -w '%{http_code}\n' -H 'content-type: application/json' -d '{"name":"race","sizeBytes":67108864}' "$API/volumes" & done | sort | uniq -c | tee "$WORK/race"; ! grep -qvE ' 20[01]$' "$WORK/race"; }
check eight-creates-at-once-are-one-volume concurrent
equal eight-creates-made-three-replicas 3 "$(curl -fsS "$API/replicas" | jq 'map(select(.volume == "race")) | length')"
check clean-stop stop_dev
finish
