#!/bin/bash
# In the guest: logins with CHAP as open-iscsi is configured for it. Environment: LUN, PART.
. /job/guest-lib.sh
check discovery discover "$PORTAL" || finish

# configure USER SECRET [TARGETUSER TARGETSECRET]
configure() {
  setting "$PORTAL" node.session.auth.authmethod CHAP && setting "$PORTAL" node.session.auth.username "$1" && setting "$PORTAL" node.session.auth.password "$2" || return 1
  setting "$PORTAL" node.session.auth.username_in "${3:-}" && setting "$PORTAL" node.session.auth.password_in "${4:-}"
}
once() { setting "$PORTAL" node.session.initial_login_retry_max 1; iscsiadm -m node -T "$IQN" -p "$PORTAL" --login; }
refused() { ! once; }
check none-is-refused refused
for algorithm in MD5 SHA1 SHA256 SHA3-256; do
  if ! setting "$PORTAL" node.session.auth.chap_algs "$algorithm"; then echo "SKIP $PART.$algorithm this open-iscsi does not know it"; continue; fi
  [ $algorithm != SHA256 ] || { configure alice secret-of-alice; check one-way once && check out-one-way logout "$PORTAL"; }
  configure alice secret-of-alice openebs proof-of-target; check "mutual-$algorithm" once && check "out-mutual-$algorithm" logout "$PORTAL"
done
setting "$PORTAL" node.session.auth.chap_algs SHA256,MD5
configure alice wrong-secret-xx; check wrong-secret-is-refused refused
configure mallory secret-of-alice; check unknown-user-is-refused refused
configure alice secret-of-alice openebs another-proof-xx; check wrong-target-is-refused-by-the-initiator refused
configure alice secret-of-alice openebs proof-of-target
check login once
check by-path-link disk "$PORTAL" && D=$LAST_OUTPUT
check write-and-read eval 'dd if=/dev/urandom of=/tmp/data bs=64k count=16 status=none && dd if=/tmp/data of='"$D"' bs=64k oflag=direct status=none && dd if='"$D"' of=/tmp/back bs=64k count=16 iflag=direct status=none && cmp /tmp/data /tmp/back'
check logout logout "$PORTAL"

# Access is revoked while the disk is in use: the session ends, comes back no more, I/O fails after the replacement timeout, and logging out cleans up.
setting "$PORTAL" node.session.timeo.replacement_timeout 3
check login-again once
check by-path-link-again disk "$PORTAL" && D=$LAST_OUTPUT
check reads dd if="$D" of=/dev/null bs=64k count=1 iflag=direct status=none
check revoke host revoke
cut_off() { ! timeout 60 dd if="$D" of=/dev/null bs=64k count=1 iflag=direct status=none; }
t0=$(now_ms); check revoked-reads-fail cut_off; note "after $(($(now_ms) - t0)) ms"
check revoked-stays-out refused
check revoked-logout eval 'logout "$PORTAL" || ! iscsiadm -m session 2>/dev/null | grep -q "$IQN"'
finish
