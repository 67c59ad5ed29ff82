#!/bin/bash
# boot.sh CARD WORK COMMAND...: run a command in a copy of this machine that only it sees, without a network, with the
# card's boot partition at /boot/firmware. Nothing outside WORK is changed. Needs root; no virtual machine, no mount of the
# card: its files are a copy (CARD), which the command may write to.
set -euo pipefail
card=$(realpath "$1") work=$(realpath "$2")
shift 2
[ "${CAGECLOCK_BOOT:-}" = inside ] || exec env CAGECLOCK_BOOT=inside unshare --mount --net --pid --uts --ipc --fork \
    --kill-child "$0" "$card" "$work" "$@"
mount --make-rprivate /
mount -t tmpfs -o size=2G tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
# systemd does not run in there, and whatever else this machine runs is out of sight.
for place in run tmp; do mount -t tmpfs tmpfs "$root/$place"; done
mkdir -p "$root/boot/firmware" "$root/run/lock"
mount --bind "$card" "$root/boot/firmware"
# As on a card that has just been flashed.
rm -rf "$root/var/lib/cloud" "$root/opt/cageclock" "$root/etc/cageclock" "$root/var/lib/cageclock"
ip link set lo up 2>/dev/null || true
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
