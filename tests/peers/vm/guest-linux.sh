#!/bin/bash
# In the guest: libiscsi's suite, family LINUX, on the disks of the sessions to all portals. Environment: LUN, PART, LIM.
. /job/guest-lib.sh
check discovery discover "$PORTAL" || finish
DISKS=()
for p in $PORTALS; do
  discover "$p" >/dev/null; check "login-$p" login "$p" || finish
  d=$(disk "$p") || { fail "disk-$p" "no disk"; finish; }; DISKS+=("$d")
done
modprobe sg
# With one session a second one to the same portal would be no other path: the disk stands for both.
[ ${#DISKS[@]} -gt 1 ] || DISKS+=("${DISKS[0]}")
bash /job/suites.sh -o /out/suites -f LINUX -x -S "${DISKS[@]}" >/out/table.txt 2>&1
for p in $PORTALS; do logout "$p" >/dev/null; done
finish
