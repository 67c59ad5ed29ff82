"""A FAT file system inside an image file, read and written by mtools: no root, no mount."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

from edge.errors import DeviceError, DiskFull, OperatorError

_SECTOR = 512
_FAT_TYPES = {0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E}
_GPT = 0xEE


def boot_offset(path: Path) -> int:
    """Return where the boot partition begins in an image, bytes: 0 for a bare file system.

    Raises:
        OperatorError: the file holds neither a FAT file system nor a partition table that begins with one.
    """
    try:
        with path.open("rb") as file:
            first = file.read(_SECTOR)
            size = file.seek(0, 2)
    except OSError as error:
        raise OperatorError(f"{path}: cannot be read: {error.strerror}") from error
    expected = "expected the image of a card (.img, unpacked) or of its FAT boot partition"
    if first[:6] == b"\xfd7zXZ\x00" or first[:2] in (b"\x1f\x8b", b"PK"):
        raise OperatorError(f"{path}: {expected}, got a compressed file; unpack it first (unxz, gunzip or unzip)")
    if len(first) < _SECTOR or first[510:] != b"\x55\xaa":
        raise OperatorError(f"{path}: {expected}, got a file without a boot sector")
    if first[54:57] == b"FAT" or first[82:85] == b"FAT":
        return 0
    kind, start = first[450], struct.unpack_from("<I", first, 454)[0]
    if kind == _GPT:
        raise OperatorError(
            f"{path}: {expected} with an MBR partition table, as Raspberry Pi OS has, got a GPT; "
            "mount its boot partition and give that folder"
        )
    if kind not in _FAT_TYPES or not start or start * _SECTOR >= size:
        raise OperatorError(f"{path}: {expected}, got a first partition of type 0x{kind:02x}")
    return int(start) * _SECTOR


class ImagePartition:
    """The boot partition inside an image file."""

    def __init__(self, path: Path) -> None:
        """Find the partition.

        Raises:
            OperatorError: no FAT partition, or mtools is not installed.
        """
        if shutil.which("mcopy") is None:
            raise OperatorError(
                f"{path}: an image is written by mtools, which is not installed (apt-get install mtools); "
                "or mount the boot partition and give its folder"
            )
        self.name = str(path)
        self._image = f"{path}@@{boot_offset(path)}"

    def read(self, path: str) -> bytes | None:
        """Return a file's content."""
        done = self._run("mcopy", "-n", f"::{path}", "-")
        if done.returncode != 0:
            if b"not found" in done.stderr or b"No match" in done.stderr:
                return None
            raise self._failure(path, done)
        return done.stdout

    def write(self, path: str, content: bytes) -> None:
        """Write a file, making its folders.

        Raises:
            DiskFull: the partition is full.
            DeviceError: mtools failed.
        """
        folders = path.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            folder = "/".join(folders[:depth])
            if self._run("mdir", "-b", f"::{folder}").returncode != 0:
                self._checked(folder, self._run("mmd", f"::{folder}"))
        self._checked(path, self._run("mcopy", "-o", "-D", "o", "-", f"::{path}", content=content))

    def remove(self, path: str) -> None:
        """Remove a file."""
        if self.read(path) is not None:
            self._checked(path, self._run("mdel", f"::{path}"))

    def names(self, folder: str = "") -> list[str]:
        """Return every file below a folder."""
        options = ["-/"] if folder else []
        done = self._run("mdir", "-b", *options, f"::{folder}")
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        return sorted(line.removeprefix("::/") for line in lines if line.startswith("::/") and not line.endswith("/"))

    def free_bytes(self) -> int:
        """Return the free space of the file system."""
        found = re.search(rb"([\d ]+) bytes free", self._run("mdir", "::").stdout)
        if found is None:
            raise DeviceError(f"{self.name}: its FAT file system cannot be read; flash the image anew")
        return int(found.group(1).replace(b" ", b""))

    def flush(self) -> None:
        """Hand everything to the disk."""
        with open(self.name, "rb+") as file:
            os.fsync(file.fileno())

    def _run(self, program: str, *arguments: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [program, "-i", self._image, *arguments]
        # mtools thinks some partitions of Raspberry Pi OS inconsistent (their hidden sectors); they are not.
        environment = {"MTOOLS_SKIP_CHECK": "1", "PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
        return subprocess.run(command, input=content, capture_output=True, check=False, env=environment, timeout=600)

    def _checked(self, path: str, done: subprocess.CompletedProcess[bytes]) -> None:
        if done.returncode != 0 or b"full" in done.stderr.lower():
            raise self._failure(path, done)

    def _failure(self, path: str, done: subprocess.CompletedProcess[bytes]) -> Exception:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        if "full" in said.lower() or "no free" in said.lower():
            return DiskFull(f"{self.name}: {path}: the boot partition is full; take a smaller set of wheels")
        return DeviceError(f"{self.name}: {path}: mtools failed: {said or done.returncode}")
