#!/bin/sh
# Fetches what the Linux guest of the tests is made of into a folder: the kernel of Debian's cloud images, its virtio modules, and a static
# busybox. Nothing is installed. Needs apt with its package lists, and dpkg-deb. The folder appears whole or not at all.
set -eu
to=$1
mkdir -p "$(dirname "$to")"
work=$(mktemp -d "$to.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

download() {
  kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)/\1/p' | head -n 1)
  [ -n "$kernel" ] && apt-get download -q "$kernel" busybox-static >&2
}
refresh() { [ "$(id -u)" -eq 0 ] && apt-get update -q >&2; }
if ! download && ! { refresh && download; }; then
  echo 'apt gives no linux-image-cloud-amd64 or no busybox-static: run apt-get update, on a Debian of amd64' >&2
  exit 1
fi
for package in *.deb; do dpkg-deb -x "$package" root; done

mkdir -p parts/modules
cp root/boot/vmlinuz-* parts/vmlinuz
cp root/bin/busybox parts/busybox
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk failover net_failover virtio_net qemu_fw_cfg nls_ascii nls_cp437 fat vfat; do
  find root -name "$module.ko" -exec cp {} parts/modules/ \;
done
# Somebody else may have been faster.
mv -T parts "$to" || [ -d "$to" ]
