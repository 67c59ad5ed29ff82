#!/bin/bash
# build.sh container|vm|trixie|has-container|has-vm - make the trees that the rig boots, from Debian's packages and PyPI only. What exists is kept.
#
#   container   $RIG/container: Debian trixie with systemd, mosquitto and what the program needs, for systemd-nspawn
#   vm          $RIG/vm.img, vmlinux, initrd.img: the same, with a kernel, libcamera, unmodified picamera2 and a virtual
#               camera (vimc, compiled out of tree from Debian's own kernel source)
#   trixie      $RIG/trixie: Debian trixie with what the README asks for and nothing else, and an ordinary user `tester`
#
# Needs root, debootstrap, systemd-container; for the vm also qemu-system-x86, e2fsprogs, zstd. They are installed where
# apt-get can. RIG: where to, default ~/.cache/cageclock-rig.
set -euo pipefail
RIG=${RIG:-$HOME/.cache/cageclock-rig}
SUITE=trixie
PICAMERA2=0.3.38
HERE=$(cd "$(dirname "$0")" && pwd)
TREE=$(cd "$HERE/../.." && pwd)
mkdir -p "$RIG"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
say() { echo "rig: [${SECONDS}s] $*" >&2; }

need() {   # need PROGRAM=PACKAGE ...
	local pair missing=()
	for pair in "$@"; do command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}"); done
	[ ${#missing[@]} -eq 0 ] && return
	say "installing ${missing[*]}"
	{ apt-get -q update && apt-get -qy --no-install-recommends install "${missing[@]}"; } >"$RIG/apt-host.log" 2>&1 ||
		{ tail -3 "$RIG/apt-host.log" >&2; exit 2; }
}

apt_in() {   # apt_in ROOT PACKAGE...
	local root=$1; shift
	chroot "$root" apt-get -q update >/dev/null
	chroot "$root" apt-get -qy --no-install-recommends -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0 \
		install "$@" >>"$RIG/apt.log" 2>&1 || { tail -20 "$RIG/apt.log" >&2; return 1; }
	chroot "$root" apt-get clean
}

needs() {   # what the program needs on a device and on a station, one requirement a line
	python3 - "$TREE/pyproject.toml" <<-'P'
	import sys, tomllib
	project = tomllib.load(open(sys.argv[1], "rb"))["project"]
	extras = project["optional-dependencies"]
	print("\n".join(project["dependencies"] + extras["edge"] + extras["station"]))
	P
}

stamp() {   # what a tree was made from; another stamp means another tree
	{ needs; cat "$TREE/constraints.txt" "$HERE"/build.sh "$HERE"/guest_job.sh; } | sha256sum
}

base() {
	[ -e "$RIG/base.tar" ] && return
	say "debootstrap $SUITE"
	local mirror
	mirror=$(apt-get indextargets --format "\$(REPO_URI)" "Codename: $(. /etc/os-release; echo "$VERSION_CODENAME")" | head -1)
	rm -rf "$RIG/base"
	debootstrap --variant=minbase --include=ca-certificates "$SUITE" "$RIG/base" "$mirror" >"$RIG/debootstrap.log"
	cp /etc/ssl/certs/ca-certificates.crt "$RIG/base/etc/ssl/certs/ca-certificates.crt"
	printf 'path-exclude=/usr/share/%s/*\n' doc man locale info >"$RIG/base/etc/dpkg/dpkg.cfg.d/lean"
	tar -C "$RIG/base" -cf "$RIG/base.tar.part" . && mv "$RIG/base.tar.part" "$RIG/base.tar"
	rm -rf "$RIG/base"
}

program_in() {   # program_in ROOT: the environment with everything that the program needs, but not the program
	say "python environment"
	chroot "$1" python3 -m venv --system-site-packages /opt/cageclock
	mkdir -p "$1/tmp/source"
	needs >"$1/tmp/source/needs.txt"   # only the dependencies; each test installs the program itself, as it is then
	# The system's numpy stays, as on a device: picamera2's companions are built against it.
	grep -v '^numpy' "$TREE/constraints.txt" >"$1/tmp/source/held.txt"
	chroot "$1" /opt/cageclock/bin/pip install -q --disable-pip-version-check -c /tmp/source/held.txt \
		-r /tmp/source/needs.txt setuptools wheel >>"$RIG/pip.log" 2>&1 || { tail -5 "$RIG/pip.log" >&2; return 1; }
	rm -rf "$1/tmp/source" "$1/root/.cache"
}

container() {
	has_container && return
	need debootstrap=debootstrap systemd-nspawn=systemd-container
	base
	say "container: packages"
	local r=$RIG/container
	rm -rf "$r"; mkdir -p "$r"; tar -C "$r" -xf "$RIG/base.tar"
	apt_in "$r" systemd systemd-sysv udev dbus mosquitto openssl python3 python3-venv python3-numpy python3-yaml
	# The tests start it when its certificates are there.
	rm -f "$r/etc/systemd/system/multi-user.target.wants/mosquitto.service"
	echo rig >"$r/etc/hostname"
	chroot "$r" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer \
		dpkg-db-backup.timer systemd-timesyncd.service systemd-resolved.service systemd-networkd.service
	program_in "$r"
	stamp >"$r/.complete"
}

trixie() {
	local r=$RIG/trixie packages="git make python3 python3-venv mosquitto"
	[ "$(cat "$r/.complete" 2>/dev/null)" = "$packages" ] && return
	need debootstrap=debootstrap
	base
	say "trixie: packages"
	rm -rf "$r"; mkdir -p "$r"; tar -C "$r" -xf "$RIG/base.tar"
	# shellcheck disable=SC2086
	apt_in "$r" $packages
	chroot "$r" useradd --create-home tester
	echo "$packages" >"$r/.complete"
}

vimc() {
	[ -e "$RIG/ko/vimc.ko" ] && return
	say "vimc: kernel headers, compiler, source package"
	local k=$RIG/kbuild version
	rm -rf "$k"; mkdir -p "$k"; tar -C "$k" -xf "$RIG/base.tar"
	apt_in "$k" linux-headers-amd64 linux-source-6.12 make gcc xz-utils libc6-dev python3-dev python3-pip
	version=$(ls "$k/lib/modules" | head -1)
	mkdir -p "$k/build"
	tar -C "$k/build" -xf "$k"/usr/src/linux-source-6.12.tar.xz --strip-components=5 \
		linux-source-6.12/drivers/media/test-drivers/vimc
	# vimc is not set in Debian's configuration, so CONFIG_VIDEO_VIMC comes from the command line.
	chroot "$k" make -C "/lib/modules/$version/build" M=/build CONFIG_VIDEO_VIMC=m modules \
		>"$RIG/kbuild.log" 2>&1 || { tail -30 "$RIG/kbuild.log" >&2; return 1; }
	chroot "$k" pip wheel -q --no-deps -w /wheels PiDNG >>"$RIG/pip.log" 2>&1   # PyPI has its source only
	mkdir -p "$RIG/wheels" "$RIG/ko"
	cp "$k"/wheels/* "$RIG/wheels/"; cp "$k"/build/*.ko "$RIG/ko/"; echo "$version" >"$RIG/ko/version"
	rm -rf "$k"
}

vm() {
	need debootstrap=debootstrap qemu-system-x86_64=qemu-system-x86 mke2fs=e2fsprogs zstd=zstd
	has_vm && return
	container
	vimc
	say "vm: kernel, libcamera"
	local r=$RIG/vm-root version
	rm -rf "$r"; cp -a "$RIG/container" "$r"
	mkdir -p "$r/etc/initramfs-tools/conf.d"
	echo 'MODULES=list' >"$r/etc/initramfs-tools/conf.d/lean"   # `dep` would guess from the build host
	apt_in "$r" kmod linux-image-amd64 initramfs-tools zstd python3-libcamera libcamera-ipa libcamera-tools v4l-utils python3-prctl
	printf '%s\n' virtio_pci virtio_blk ext4 crc32c_generic >>"$r/etc/initramfs-tools/modules"
	version=$(ls "$r/lib/modules" | head -1)
	[ "$version" = "$(cat "$RIG/ko/version")" ] || { say "kernel $version differs from the compiled vimc; remove $RIG/ko"; exit 1; }
	mkdir -p "$r/lib/modules/$version/extra"; cp "$RIG"/ko/*.ko "$r/lib/modules/$version/extra/"
	chroot "$r" depmod "$version"
	chroot "$r" update-initramfs -u -k "$version" >>"$RIG/apt.log" 2>&1
	say "vm: picamera2 $PICAMERA2"
	mkdir -p "$r/tmp/wheels"; cp "$RIG"/wheels/* "$r/tmp/wheels/"
	chroot "$r" /opt/cageclock/bin/pip install -q --disable-pip-version-check --only-binary=:all: --find-links /tmp/wheels \
		"picamera2==$PICAMERA2" >>"$RIG/pip.log" 2>&1 || { tail -5 "$RIG/pip.log" >&2; return 1; }
	rm -rf "$r/tmp/wheels" "$r/root/.cache"
	# picamera2 imports pykms (not in Debian) for its preview, and wants a heap called vidbuf_cached.
	install -m 644 "$HERE/pykms_stub.py" "$(echo "$r"/opt/cageclock/lib/python3.*/site-packages)/pykms.py"
	echo vimc >"$r/etc/modules-load.d/vimc.conf"
	echo 'SUBSYSTEM=="dma_heap", KERNEL=="system", SYMLINK+="dma_heap/vidbuf_cached", GROUP="video", MODE="0660"' \
		>"$r/etc/udev/rules.d/60-dma-heap.rules"
	: >"$r/etc/fstab"
	install -D -m 755 "$HERE/guest_job.sh" "$r/usr/local/sbin/guest-job"
	cat >"$r/etc/systemd/system/guest-job.service" <<-U
	[Unit]
	Description=Run the job found on the host's share, then power off
	After=basic.target
	[Service]
	Type=exec
	ExecStart=/usr/local/sbin/guest-job
	[Install]
	WantedBy=multi-user.target
	U
	chroot "$r" systemctl -q enable guest-job.service
	chroot "$r" systemctl -q mask getty@tty1.service serial-getty@ttyS0.service systemd-hwdb-update.service \
		systemd-journal-catalog-update.service ldconfig.service
	say "vm: image"
	# The unpacked ELF boots through PVH: no decompression, which takes 8 s under emulation.
	python3 "$HERE/extract_vmlinux.py" "$r"/boot/vmlinuz-* "$RIG/vmlinux" >&2
	cp "$r"/boot/initrd.img-* "$RIG/initrd.img"
	mke2fs -q -F -t ext4 -O ^has_journal -m 0 -d "$r" "$RIG/vm.img.part" 3G && mv "$RIG/vm.img.part" "$RIG/vm.img"
	stamp >"$RIG/vm.stamp"
	rm -rf "$r"
}

has_container() {
	[ "$(cat "$RIG/container/.complete" 2>/dev/null)" = "$(stamp)" ]
}

has_vm() {   # succeeds where an image is there that was made from this very script and these dependencies
	[ -e "$RIG/vm.img" ] && [ "$(cat "$RIG/vm.stamp" 2>/dev/null)" = "$(stamp)" ]
}

case ${1:-} in
container | vm | trixie) "$1" ;;
has-container) has_container; exit ;;
has-vm) has_vm; exit ;;
*) sed -n '2,11p' "$0"; exit 2 ;;
esac
say "$1: done"
