#!/usr/bin/env bash
# The metadata store is lost, the pools are not: `replica orphans` lists what is on them, `volume import` brings a volume back with its data, size and settings, and nothing is deleted unasked.
. "$(dirname "$0")/lib.sh"
need tools qemu-img qemu-io ss curl jq
[ "$TARGET" = dev ] || { skip orphans "is about the product only"; finish; }
start_dev && create_volume test 64Mi --min-in-sync 2 --io-timeout 30s || { fail start "$(tail -n 3 "$SERVER_LOG")"; finish; }
create_volume gone 16Mi; use_volume test; check healthy healthy_within test 60 || finish
dd if=/dev/urandom of="$WORK/image" bs=1M count=24 status=none
convert() { timeout 60 qemu-io -f raw -c "write -s $WORK/image 0 24M" -c flush "$URL"; }
check image-in convert
check resize ctl volume resize test --size 96Mi
uid=$(volume test | jq -r .uid)
none() { ctl replica orphans -o json | jq -e 'length == 0'; }
check none-while-all-is-known none
kept() { find "$DATA" -name volume.json -exec cat {} + | grep -c "100663296" | grep -qx 3; }
check replicas-know-the-new-size within 15 kept
kill_dev
find "$DATA" -name '*.db*' -exec rm -f {} +
# Some rot in what one replica remembers: the others remember too.
first=$(find "$DATA" -path "*${uid//-/}*" -name volume.json | sort | head -n 1); printf 'x' | dd of="$first" bs=1 seek=40 conv=notrunc status=none
launch_dev; check starts-without-metadata wait_ready 60 || finish
says start-tells-of-orphans 'replicas of 3 volume\(s\) that the metadata store does not know' "$(within 20 grep -q 'metadata store does not know' "$SERVER_LOG"; cat "$SERVER_LOG")"
empty() { [ "$(ctl volume list -o json | jq length)" = 0 ]; }
check no-volume-is-made-up empty
listed=$(ctl replica orphans); note "$(grep -m 2 test <<<"$listed" | one_line)"
matches listed "test +$uid +96 MiB" "$listed"
refused=$(ctl replica delete-orphan "${uid//-/}-0" 2>&1); equal delete-of-a-last-copy-is-refused 2 $?
says and-says-why 'could be the last copy' "$refused"
ctl volume import nothing >/dev/null 2>&1; equal import-of-nothing 3 $?
check import ctl volume import test
healthy() { volume test | jq -e '.state == "Healthy" and (.replicas | length) == 3 and .sizeBytes == 100663296 and .minInSync == 2 and .ioTimeoutSeconds == 30'; }
check healthy-with-its-settings within 60 healthy
same() { timeout 60 qemu-img dd -f raw -O raw if="$URL" of="$WORK/back" bs=1M count=24 && cmp "$WORK/image" "$WORK/back"; }
check image-equal same
matches event 'VolumeImported' "$(ctl events)"
check write-after timeout 30 qemu-io -f raw -c 'write -P 7 80M 4M' -c flush -c 'read -P 7 80M 4M' "$URL"
# A name that is taken meanwhile.
create_volume gone 16Mi
taken=$(ctl volume import gone 2>&1); equal name-taken 4 $?
says name-taken-says-what-to-do '\-\-name' "$taken"
check import-under-another-name ctl volume import gone --name old
left=$(ctl replica orphans -o json | jq -r '.[].name' | sort | xargs); equal demo-is-left demo "$left"
orphan=$(ctl replica orphans -o json | jq -r '.[0].replicas[0].id')
check delete-orphan ctl replica delete-orphan "$orphan" --force
equal two-left 2 "$(ctl replica orphans -o json | jq '.[0].replicas | length')"
check clean-stop stop_dev
launch_dev; check starts-again wait_ready 60; check healthy-again within 60 healthy; check image-still-equal same
check clean-stop-again stop_dev
finish
