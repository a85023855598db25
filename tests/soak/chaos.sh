#!/usr/bin/env bash
# Five nodes as processes, each in a network namespace of its own; volumes with three replicas under fio with verification, through an initiator that knows all portals (portals.c);
# faults by seed, one after the other and overlapping, all of them such as a volume must survive. Needs root, ip, gcc, python3, fio, libiscsi-dev, e2fsprogs. Uses nothing outside
# namespaces that end with it.
#   tests/soak/chaos.sh [--minutes N (10)] [--seed N (the time)] [--only KIND,KIND...] [--without KIND,...] [--volumes N (3)] [--sessions N (2)] [--keep]
# OPENEBS_PROGRAM=DIR takes a published program, OPENEBS_TREE=DIR another checkout; CHAOS_LOG_LEVEL=information makes nodes tell more.
# Kinds and what they do: the table in tests/soak/chaos.py. What happened: artifacts/soak/chaos/ (chaos.log, a log a node). Last lines: counts, then PASS or FAIL of each check; exit code 0 only if all passed.
set -u -o pipefail
HERE=$(cd "$(dirname "$0")" && pwd) ROOT=$(cd "$(dirname "$0")/../.." && pwd)
[ "$(id -u)" = 0 ] || { echo "chaos.sh makes namespaces and mounts: run it as root" >&2; exit 2; }
for t in ip nsenter gcc python3 fio losetup mkfs.ext4 e2fsck unshare dotnet; do command -v $t >/dev/null || { echo "$t is not installed" >&2; exit 2; }; done
TREE=${OPENEBS_TREE:-$ROOT}; SERVER=${OPENEBS_PROGRAM:-$TREE/src/OpenEbs.Server/bin/Release/net10.0}/openebs.dll
[ -f "$SERVER" ] || { echo "$SERVER is not built: dotnet build -c Release" >&2; exit 2; }
LOGS=${LOGS:-$ROOT/artifacts/soak/chaos}; rm -rf "$LOGS"; mkdir -p "$LOGS"
WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/openebs-chaos.XXXXXX")
gcc -O2 -o "$WORK/portals" "$HERE/../peers/portals.c" -liscsi && gcc -O2 -o "$WORK/faultdisk" "$HERE/faultdisk.c" || { echo "the tools do not compile" >&2; exit 2; }
cp -r "$(dirname "$SERVER")" "$WORK/program"   # a build beside the run must not change it
INNER=''
trap '[ -z "$INNER" ] || kill -TERM "$INNER" 2>/dev/null' INT TERM
CHAOS_WORK=$WORK CHAOS_LOGS=$LOGS unshare --net --mount --pid --fork --kill-child --mount-proc python3 -u "$HERE/chaos.py" "$@" & INNER=$!
wait $INNER; rc=$?; wait $INNER 2>/dev/null
case " $* " in *" --keep "*) echo "  kept: $WORK";; *) rm -rf "$WORK";; esac
exit $rc
