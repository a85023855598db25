# shellcheck shell=bash
# Builds the guest's kernel, initrd and root file system from Debian packages only; sourced by initiator.sh. Cached per set of packages and
# per version of these files.
CACHE=${VMI_CACHE:-/var/tmp/openebs-vm} FLAVOR=${VMI_FLAVOR:-cloud-amd64}
# shellcheck disable=SC2116,SC2086
PKGS=$(echo bash dash libc-bin coreutils util-linux mount kmod udev iproute2 procps grep sed gawk findutils tar gzip diffutils nftables busybox-static \
  open-iscsi e2fsprogs xfsprogs sg3-utils lsscsi multipath-tools fio parted ${VMI_EXTRA:-})
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

image_key() { echo "$FLAVOR-$( { echo "$PKGS"; cat "$HERE/image.sh" "$HERE/guest-init.sh"; } | sha256sum | cut -c1-12)"; }

# image: prints the directory that holds vmlinuz, initrd and root.img; builds it when it is not there.
image() {
  local target; target=$CACHE/$(image_key); mkdir -p "$CACHE"
  exec 8>"$CACHE/lock"; flock 8
  [ -s "$target/root.img" ] || build_image "$target" || return 1
  flock -u 8; exec 8>&-; echo "$target"
}

build_image() {
  local target=$1 b=$CACHE/build.$$ kernel release f
  mkdir -p "$CACHE/archives/partial"; : >"$CACHE/empty"; rm -rf "$b"; mkdir -p "$b/root"
  # Only the resolved set of packages is unpacked, without maintainer scripts; archives/ may hold others too.
  local apt=(apt-get -y -qq -o Dir::State::status="$CACHE/empty" -o Dir::Cache::archives="$CACHE/archives" -o APT::Install-Recommends=0
             -o Debug::NoLocking=1 -o APT::Sandbox::User=root)
  kernel=$(apt-cache depends "linux-image-$FLAVOR" | awk '/Depends: linux-image/{print $2; exit}'); release=${kernel#linux-image-}
  [ -n "$kernel" ] || { echo "no kernel package linux-image-$FLAVOR: run apt-get update" >&2; return 1; }
  # shellcheck disable=SC2086
  "${apt[@]}" --download-only install $PKGS >/dev/null || { echo "package download failed" >&2; return 1; }
  (cd "$CACHE/archives" && { ls "$kernel"_*.deb || apt-get -qq -o APT::Sandbox::User=root download "$kernel"; }) >/dev/null 2>&1 ||
    { echo "kernel download failed" >&2; return 1; }
  # shellcheck disable=SC2086
  "${apt[@]}" --print-uris --reinstall -o Dir::Cache::archives="$b/none" install $PKGS 2>/dev/null | awk '{print $2}' >"$b/list"
  mkdir -p "$b/root/usr/"{bin,sbin,lib,lib64}; for f in bin sbin lib lib64; do ln -s usr/$f "$b/root/$f"; done
  while read -r f; do
    dpkg-deb --fsys-tarfile "$CACHE/archives/$f" | tar -x --keep-directory-symlink -C "$b/root" \
      --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' --exclude='./usr/share/i18n/*' || return 1
  done <"$b/list"
  dpkg-deb --fsys-tarfile "$CACHE/archives/${kernel}"_*.deb | tar -x --keep-directory-symlink -C "$b/root" || return 1
  chroot "$b/root" /usr/sbin/depmod "$release"; chroot "$b/root" /usr/sbin/ldconfig
  mv "$b/root/boot/vmlinuz-$release" "$b/vmlinuz"; rm -rf "$b/root/boot"
  guest_files "$b/root"; initrd "$b" "$release"
  truncate -s $(( $(du -sm "$b/root" | cut -f1) * 5 / 4 + 64 ))M "$b/root.img"
  /sbin/mke2fs -q -F -t ext4 -b 4096 -O ^has_journal -m 0 -d "$b/root" "$b/root.img" || return 1
  rm -rf "$b/root" "$b/ird" "${target:?}"; mv "$b" "$target"
}

guest_files() {
  local r=$1 groups='root:0 disk:6 kvm:105 tty:5 sgx:106 render:107 input:104 kmem:15 audio:29 video:44 dialout:20 cdrom:24 tape:26 lp:7' g
  ln -sf gawk "$r/usr/bin/awk"; mkdir -p "$r/"{proc,sys,dev,run,tmp,out,job,mnt,root}; ln -sfn /run "$r/var/run"
  printf 'root:x:0:0:root:/root:/bin/bash\n' >"$r/etc/passwd"
  for g in $groups; do printf '%s:x:%s:\n' "${g%:*}" "${g#*:}"; done >"$r/etc/group"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$r/etc/hosts"; echo vm >"$r/etc/hostname"
  install -m 755 "$HERE/guest-init.sh" "$r/usr/sbin/vminit"
  # host WORDS: runs the host hook with WORDS on the host, prints its output, returns its exit code.
  cat >"$r/usr/bin/host" <<'EOF'
#!/bin/bash
o=$(printf '%s\n' "$*" | busybox nc 10.0.2.99 99); printf '%s' "${o%rc=*}"; exit "${o##*rc=}"
EOF
  chmod +x "$r/usr/bin/host"
}

# initrd DIR RELEASE: busybox, the virtio disk driver, and a switch to the root image, of which qemu keeps changes in a snapshot.
initrd() {
  local b=$1 release=$2 m n=0; mkdir -p "$b/ird/"{bin,m}; cp "$b/root/bin/busybox" "$b/ird/bin/"
  for m in $(chroot "$b/root" /usr/sbin/modprobe -S "$release" --show-depends -a virtio_pci virtio_blk ext4 crc32c_generic 2>/dev/null |
      awk '/^insmod/&&!s[$2]++{print $2}'); do
    n=$((n+1)); cp "$b/root$m" "$b/ird/m/$(printf %03d $n)-${m##*/}"
  done
  cat >"$b/ird/init" <<'EOF'
#!/bin/busybox sh
/bin/busybox --install -s /bin; mkdir -p /dev /r; mount -t devtmpfs d /dev
for m in /m/*; do insmod $m; done
i=0; while ! [ -b /dev/vda ] && [ $i -lt 100 ]; do sleep 0.05; i=$((i+1)); done
mount -t ext4 -o noatime /dev/vda /r && for d in run tmp out job; do mount -t tmpfs t /r/$d; done
cp -a /j/. /r/job/; mount --move /dev /r/dev
exec switch_root /r /usr/sbin/vminit
EOF
  chmod +x "$b/ird/init"; (cd "$b/ird" && find . | cpio -o -H newc --quiet | gzip -1) >"$b/initrd"
}
