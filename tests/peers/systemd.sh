#!/usr/bin/env bash
# `server` as deploy/openebs.service runs it: a systemd boots in a container over a copy-on-write view of this machine's root (nothing outside it is written), installs the unit as its head says,
# and looks at what becomes of the service: ready, killed, stopped, misconfigured. Not part of tests/run.sh: needs root, and Debian's systemd-container. About a minute.
. "$(dirname "$0")/lib.sh"
need tools systemd-nspawn systemctl journalctl curl jq
[ "$(id -u)" = 0 ] || { skip systemd "needs root, for a container"; finish; }
ROOTFS=$WORK/rootfs
unmount() { umount -l "$ROOTFS" "$WORK/layer" 2>/dev/null; cleanup; }
trap unmount EXIT
mkdir -p "$WORK/layer" "$ROOTFS" && mount -t tmpfs tmpfs "$WORK/layer" && mkdir "$WORK/layer/up" "$WORK/layer/work" \
  && mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/layer/up,workdir=$WORK/layer/work" "$ROOTFS" 2>"$WORK/mount.err" || { skip systemd "no overlay file system here: $(one_line <"$WORK/mount.err")"; finish; }

# As the unit's head says; the Release build stands in for what is published.
mkdir -p "$ROOTFS/opt" "$ROOTFS/etc/openebs"; cp -r "$TREE/src/OpenEbs.Server/bin/Release/net10.0" "$ROOTFS/opt/openebs"
chroot "$ROOTFS" useradd --system --home-dir /var/lib/openebs openebs
install -m 0644 "$TREE/deploy/openebs.json" "$ROOTFS/etc/openebs/openebs.json"
install -m 0644 "$TREE/deploy/openebs.service" "$ROOTFS/etc/systemd/system/openebs.service"
check unit-verifies chroot "$ROOTFS" systemd-analyze verify /etc/systemd/system/openebs.service
cat >"$ROOTFS/etc/systemd/system/probe.service" <<'UNIT'
[Unit]
After=openebs.service
[Service]
Type=oneshot
ExecStart=/bin/bash /probe.sh
ExecStopPost=/bin/systemctl poweroff
UNIT
cat >"$ROOTFS/probe.sh" <<'PROBE'
exec >/probe.out 2>&1
API=http://127.0.0.1:8080
ready() { for ((i = 0; i < 200; i++)); do curl -fsS $API/readyz >/dev/null 2>&1 && { echo yes; return; }; sleep 0.2; done; echo no; }
show() { systemctl show openebs -p "$1" --value; }
settled() { for ((i = 0; i < 100; i++)); do case $(systemctl is-active openebs) in activating|deactivating) sleep 0.1;; *) break;; esac; done; }
echo "ready $(ready)"; echo "user $(ps -o user= -p "$(show MainPID)")"
curl -fsS -X POST $API/api/v1/volumes -H 'content-type: application/json' -d '{"name":"db","sizeBytes":67108864}' >/dev/null; echo "created $?"
echo "others-may-read $(find /var/lib/openebs -maxdepth 1 -name 'openebs.db*' -perm /o+r | wc -l)"
kill -9 "$(show MainPID)"; sleep 2; echo "ready-after-kill $(ready)"; echo "restarts $(show NRestarts)"
echo "volumes $(curl -fsS $API/api/v1/volumes | jq -r '[.[].name] | join(",")')"
systemctl stop openebs; echo "stop $(show Result) $(show ExecMainStatus)"
sed -i 's/"Capacity": "100Gi"/"Capacity": "lots"/' /etc/openebs/openebs.json
systemctl start openebs; sleep 3; settled; echo "misconfigured $(show Result) $(show ExecMainStatus)"; echo "restarts-then $(show NRestarts)"
journalctl -u openebs --no-pager -o cat >/journal.out
PROBE
mkdir -p "$ROOTFS/etc/systemd/system/multi-user.target.wants"
for unit in openebs probe; do ln -sf "/etc/systemd/system/$unit.service" "$ROOTFS/etc/systemd/system/multi-user.target.wants/$unit.service"; done
rm -f "$ROOTFS"/etc/rc?.d/S* "$ROOTFS/usr/sbin/tgtd"  # whatever else this machine starts is not wanted here

# A systemd of its own wants the unified control groups, also where this machine has older ones.
timeout -k 5 240 unshare -m bash -c "umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec systemd-nspawn --register=no --keep-unit -q -D '$ROOTFS' --private-network -b --console=read-only systemd.unified_cgroup_hierarchy=1" \
  >"$LOGS/boot.log" 2>&1 </dev/null
[ -s "$ROOTFS/probe.out" ] || { fail boot "$(tail -n 2 "$LOGS/boot.log")"; finish; }
cp "$ROOTFS/probe.out" "$ROOTFS/journal.out" "$LOGS/" 2>/dev/null
told() { sed -n "s/^$1 //p" "$ROOTFS/probe.out"; }
equal becomes-ready yes "$(told ready)"
equal runs-as-its-user openebs "$(told user)"
equal creates-a-volume 0 "$(told created)"
equal metadata-is-private 0 "$(told others-may-read)"
equal is-back-after-kill-9 yes "$(told ready-after-kill)"
equal was-restarted-once 1 "$(told restarts)"
equal volume-is-still-there db "$(told volumes)"
equal stops-cleanly 'success 0' "$(told stop)"
equal misconfigured-fails 'exit-code 2' "$(told misconfigured)"
equal misconfigured-is-not-restarted 0 "$(told restarts-then)"
says journal-says-what-is-wrong "Pools:2:Capacity: 'lots' is not a size" "$(cat "$ROOTFS/journal.out" 2>/dev/null)"
finish
