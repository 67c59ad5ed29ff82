"""Cards and a lab for the tests of provisioning. The cards' files follow pi-gen: no real image is at hand."""

from __future__ import annotations

import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.harness.certificates import Authority

ROOT = Path(__file__).parents[3]
ISSUE = "Raspberry Pi reference {date}\nGenerated using pi-gen, https://example/pi-gen, 0123abcd, {stage}\n"
CONFIG = "# For more options see the manual\ndtparam=audio=on\ncamera_auto_detect=1\narm_64bit=1\n\n[cm4]\notg_mode=1\n"
BOOKWORM_LINE = (
    "console=serial0,115200 console=tty1 root=PARTUUID=9710ec8c-02 rootfstype=ext4 fsck.repair=yes rootwait quiet "
    "init=/usr/lib/raspberrypi-sys-mods/firstboot\n"
)
TRIXIE_LINE = (
    "console=serial0,115200 console=tty1 root=PARTUUID=9710ec8c-02 rootfstype=ext4 fsck.repair=yes rootwait resize\n"
)
IMAGER = " cfg80211.ieee80211_regdom=US ds=nocloud;i=rpi-imager-1787532598498\n"
WHEELS = ("msgspec-0.22.0", "pyyaml-6.0.4", "cryptography-50.0.2", "pillow-13.0.0", "ai_edge_litert-2.3.0")
PURE = ("cageclock-0.1.0-py3-none-any.whl", "paho_mqtt-2.2.0-py3-none-any.whl")
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKM0NrxCTNk5dLtkD0iRrKFdgvJ3eiNMGBwFVHEoJwmo anna@lab\n"


def bookworm(date: str = "2025-05-13", stage: str = "stage2") -> dict[str, str]:
    """The boot partition of Bookworm, before its first boot."""
    common = {"config.txt": CONFIG, "kernel8.img": "kernel", "bcm2712-rpi-5-b.dtb": "dtb"}
    return {**common, "issue.txt": ISSUE.format(date=date, stage=stage), "cmdline.txt": BOOKWORM_LINE}


def trixie(date: str = "2025-11-24") -> dict[str, str]:
    """The boot partition of a Trixie with cloud-init, before its first boot."""
    return {
        **bookworm(date),
        "cmdline.txt": TRIXIE_LINE,
        "user-data": "#cloud-config\n# hostname: raspberrypi\nssh_pwauth: false\n",
        "meta-data": "dsmode: local\ninstance_id: rpios-image\n",
        "network-config": "network:\n  version: 2\n",
    }


def mounted(folder: Path, files: dict[str, str]) -> Path:
    """A mounted boot partition."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def image(path: Path, files: dict[str, str], megabytes: int = 64, *, table: bool = True) -> Path:
    """A card's image with a FAT boot partition; without `table` the bare file system."""
    start = 8192 if table else 0
    with path.open("wb") as file:
        file.truncate(start * 512 + megabytes * 2**20)
    sectors = megabytes * 2048
    command = ["mkfs.vfat", "-F", "32", "-n", "bootfs", "--offset", str(start), str(path), str(sectors // 2)]
    subprocess.run(command, check=True, capture_output=True)
    if table:
        entry = struct.pack("<B3sB3sII", 0, b"\0\0\0", 0x0C, b"\0\0\0", start, sectors)
        with path.open("r+b") as file:
            file.seek(446)
            file.write(entry)
            file.seek(510)
            file.write(b"\x55\xaa")
    for name, content in files.items():
        command = ["mcopy", "-i", f"{path}@@{start * 512}", "-", f"::{name}"]
        subprocess.run(command, check=True, input=content.encode(), capture_output=True)
    return path


def read_image(path: Path, name: str, *, table: bool = True) -> str:
    """A file of an image, by mtools alone."""
    command = ["mtype", "-i", f"{path}@@{8192 * 512 if table else 0}", f"::{name}"]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode()


def wheels(folder: Path, *pythons: str, machine: str = "aarch64") -> Path:
    """A folder of wheels by name; nothing installs them."""
    folder.mkdir()
    for name in PURE:
        (folder / name).write_bytes(b"wheel " + name.encode())
    for version in pythons:
        tag = "cp" + version.replace(".", "")
        for name in WHEELS:
            path = folder / f"{name}-{tag}-{tag}-manylinux2014_{machine}.manylinux_2_17_{machine}.whl"
            path.write_bytes(b"wheel " + path.name.encode() * 100)
    return folder


def lab(folder: Path, *, extra: str = "", camera: str = "imx708") -> Path:
    """A lab's folder with lab.yaml, an authority, a key for ssh, the Wi-Fi's password and wheels."""
    folder.mkdir()
    authority = Authority(folder / "authority", ends_at=datetime.now(UTC) + timedelta(days=3650))
    authority.keep_key()
    wheels(folder / "wheels", "3.11", "3.13")
    (folder / "anna.pub").write_text(PUBLIC_KEY)
    (folder / "wifi-password").write_text("NO sugar 0123\n")
    (folder / "cage.yaml").write_text(
        "light_cycle:\n  lights_on: 07:00\n  zone: +01:00\nschedule: {interval_light_s: 600}\n"
    )
    path = folder / "lab.yaml"
    path.write_text(
        f"broker: {{host: broker.lab, port: 8883}}\nstation: lab1\nauthority: authority\nwheels: wheels\n"
        f"settings: cage.yaml\ncamera: {camera}\nssh: {{user: anna, keys: [anna.pub]}}\n{extra}"
    )
    return path


WIFI = "wifi: {ssid: NO, password_file: wifi-password, country: CH}\n"


def provision(lab: Path, card: Path | str, *options: str, device: str | None = "cage-07") -> int:
    """Return the exit code of `provision` for a card, or without a device for a whole table."""
    from station.cli import main

    named = ["--device", device] if device else []
    return main(["provision", "--lab", str(lab), "--card", str(card), *named, *options])
