#!/bin/bash
# In the guest: libiscsi's suite, family LINUX, on the disks of the sessions to all portals. Environment: LUN, PART, LIM, BUDGET (seconds).
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
# Within the time that the VM has, so that what there is gets out.
timeout "$BUDGET" bash /job/suites.sh -o /out/suites -f LINUX -x -S "${DISKS[@]}" >/out/table.txt 2>&1 || fail complete "the suites did not end within $BUDGET s"
for p in $PORTALS; do logout "$p" >/dev/null; done
finish
