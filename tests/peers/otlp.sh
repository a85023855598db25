#!/usr/bin/env bash
# Export of metrics and traces over OTLP, from three nodes to a collector: one trace goes from the SCSI command through the volume grain to the replicas in other processes.
. "$(dirname "$0")/lib.sh"
need tools ss curl jq python3 qemu-img
[ "$TARGET" = dev ] || { skip otlp "is about the product only"; finish; }
COLLECTED=$WORK/otlp; mkdir -p "$COLLECTED"; touch "$COLLECTED"/{spans,metrics}.tsv
PORT=$(free_ports 1)
launch "$LOGS/collector.log" python3 "$(dirname "$0")/otlp/collector.py" "$PORT" "$COLLECTED"
export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$PORT OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_METRIC_EXPORT_INTERVAL=1000 OTEL_BSP_SCHEDULE_DELAY=500
start_dev --nodes 3 --no-demo || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
create_volume traced 256Mi || { fail create "see $LOGS/ctl.log"; finish; }
check volume-is-healthy healthy_within traced 30
use_volume traced

# Of so many commands one in a hundred is traced: that none of 4,000 is happens once in 10^17 runs.
check writes qemu-img bench -f raw -t none -w -c 4000 -d 8 -s 4096 "$URL"
check reads qemu-img bench -f raw -t none -c 4000 -d 8 -s 4096 "$URL"

# within SECS COMMAND...: tries until it succeeds.
within() { local i secs=$1; shift; for ((i = 0; i < secs * 5; i++)); do "$@" && return 0; sleep 0.2; done; return 1; }
metric_from_each() { [ "$(grep -P "\t$1\$" "$COLLECTED/metrics.tsv" | cut -f1 | sort -u | wc -l)" -ge "$2" ]; }
for metric in openebs.pool.free dotnet.gc.collections; do check "metric-$metric-from-all-nodes" within 15 metric_from_each "$metric" 3; done
for metric in openebs.volume.operations openebs.volume.operation.duration openebs.replica.operation.duration openebs.replica.state openebs.volume.sessions; do
  check "metric-$metric" within 20 metric_from_each "$metric" 1
done

# whole_trace NAME CHILD COUNT NODES: a trace whose root is a SCSI command of that name, with so many spans named CHILD below it, from at least so many nodes, and none whose parent is missing.
whole_trace() {
  awk -F'\t' -v name="$1" -v child="$2" -v count="$3" -v nodes="$4" '
    { n[$1]++; parent[$1, n[$1]] = $3; has[$1, $2] = 1; if (!seen[$1, $4]++) places[$1]++
      if ($3 == "-" && $5 == "OpenEbs.Iscsi" && $6 ~ name) root[$1] = 1
      if ($6 == child) children[$1]++ }
    END { for (t in root) { ok = children[t] >= count && places[t] >= nodes
            for (i = 1; i <= n[t]; i++) if (parent[t, i] != "-" && !((t, parent[t, i]) in has)) ok = 0
            if (ok) { print "trace " t ": " n[t] " spans from " places[t] " nodes"; exit 0 } }
          exit 1 }' "$COLLECTED/spans.tsv" | grep .
}
check trace-of-a-write-reaches-all-replicas within 20 whole_trace Write 'replica append' 3 3
check trace-of-a-read-reaches-one-replica within 20 whole_trace Read 'replica read' 1 1
roots_are_commands() { awk -F'\t' '$3 == "-" { roots++; if ($5 != "OpenEbs.Iscsi") others++ } END { print roots + 0 " roots, " others + 0 " not of a command"; exit !roots || others }' "$COLLECTED/spans.tsv"; }
check every-trace-begins-with-a-command roots_are_commands
check clean-stop stop_dev
cp "$COLLECTED"/*.tsv "$LOGS/"
finish
