#!/usr/bin/env bash
# iscsi-bench.sh - one common workload harness for user-space iSCSI targets.
#
#   iscsi-bench.sh [options] PORTAL IQN LABEL
#     PORTAL   host:port, e.g. 127.0.0.1:3260        IQN  target name
#     LABEL    free text, first column of every row
#   -l LUN       (0)             -t SECS    seconds per workload (15)
#   -w "A B .."  workload names (default: all below)
#   -s MIB       use only the first MIB of the LUN (default: whole LUN)
#   -p PIDS      comma separated server PIDs (their threads and later children are included)
#   -m REGEX     or: pgrep -f REGEX picks the server PIDs
#   -F           fill the volume first (sequential 1 MiB writes, incompressible), then exit unless -w given
#   -V           verify data integrity first (stamped random blocks, read back); prints a verify row
#   -H           no header line       -a CPU  pin the client to this CPU
# Needs Debian packages only: gcc libc6-dev libiscsi-dev (libiscsi7 1.19+).
# Output: TSV, one row per workload. Latencies in us. MBps = 1e6 bytes/s.
#   srv_cpu_s        user+sys CPU seconds of the server PIDs during the workload
#   cpu_s_per_GiB / cpu_s_per_100kIO   the same, divided by data moved / IOs done
#   rss_MiB          sum of server RSS at the end of the workload
#   cli_cpu_s        CPU of this client;  other_cpu_s  CPU of everything else on the machine (noise!)
# Workloads (all direct SCSI, one session, one connection):
#   randread-4k-qd1 randread-4k-qd32 randwrite-4k-qd1 randwrite-4k-qd32 randrw70-4k-qd32
#   seqread-128k-qd8 seqwrite-128k-qd8 writeflush-4k-qd1 (WRITE + SYNCHRONIZE CACHE(10) = 1 op)
#   extra, on request: seqread-1m-qd4 seqwrite-1m-qd4 writefua-4k-qd1 randread-4k-qd8 randwrite-4k-qd8
set -euo pipefail
LUN=0; SECS=15; WL=""; SIZE=0; PIDS=""; MATCH=""; FILL=0; VERIFY=0; HDR=1; PIN=""
while getopts "l:t:w:s:p:m:FVHa:" o; do case $o in
 l) LUN=$OPTARG;; t) SECS=$OPTARG;; w) WL=$OPTARG;; s) SIZE=$OPTARG;; p) PIDS=$OPTARG;;
 m) MATCH=$OPTARG;; F) FILL=1;; V) VERIFY=1;; H) HDR=0;; a) PIN=$OPTARG;; *) exit 2;; esac; done
shift $((OPTIND-1)); [ $# -eq 3 ] || { sed -n '2,30p' "$0" >&2; exit 2; }
PORTAL=$1 IQN=$2 LABEL=$3
ALL="randread-4k-qd1 randread-4k-qd32 randwrite-4k-qd1 randwrite-4k-qd32 randrw70-4k-qd32 seqread-128k-qd8 seqwrite-128k-qd8 writeflush-4k-qd1"
SRC=$(cd "$(dirname "$0")" && pwd)/iscsi-bench.c
BIN=${TMPDIR:-/tmp}/.iscsi-bench-$(sha256sum "$SRC" | cut -c1-16)-$(id -u)
[ -x "$BIN" ] || { gcc -O2 -Wall -Wno-unused-result "$SRC" -o "$BIN.$$" -liscsi -lm && mv "$BIN.$$" "$BIN"; }
if [ -n "$MATCH" ]; then PIDS=$(pgrep -f -- "$MATCH" | grep -vx "$$" | paste -sd,); fi
[ $FILL = 1 ] && { "$BIN" "$PORTAL" "$IQN" "$LUN" fill "$SECS" "$SIZE" "$LABEL" "${PIDS:--}" >&2; [ -n "$WL" ] || exit 0; }
[ $HDR = 1 ] && printf 'label\tworkload\tiops\tMBps\tlat_mean\tlat_p50\tlat_p99\tlat_p999\tlat_max\terrors\tsrv_cpu_s\tcpu_s_per_GiB\tcpu_s_per_100kIO\trss_MiB\tcli_cpu_s\tother_cpu_s\n'
[ $VERIFY = 1 ] && "$BIN" "$PORTAL" "$IQN" "$LUN" verify "$SECS" "$SIZE" "$LABEL" "${PIDS:--}"
for w in ${WL:-$ALL}; do
  ${PIN:+taskset -c $PIN} "$BIN" "$PORTAL" "$IQN" "$LUN" "$w" "$SECS" "$SIZE" "$LABEL" "${PIDS:--}" || printf '%s\t%s\tFAILED(rc=%s)\n' "$LABEL" "$w" "$?"
done
