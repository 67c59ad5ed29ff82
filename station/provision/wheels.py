"""The program and what it needs as wheels, for a machine without an index: built by pip, or taken from a folder."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edge.errors import OperatorError
from station.provision.templates import text

ARCHITECTURES = {"arm64": "aarch64", "amd64": "x86_64"}
"""Debian's name and that of the wheels."""
_PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28", "manylinux_2_31", "manylinux_2_34")
_NEEDED = ("cageclock", "msgspec", "pyyaml", "paho_mqtt", "cryptography", "pillow", "ai_edge_litert")
"""What must be there by name; what those need in turn is pip's to find, and the first boot's to report."""
_NAME = re.compile(
    r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl"
)


@dataclass(frozen=True, slots=True)
class Wheels:
    """paths: the files for the card. notes: sentences on what was passed over."""

    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def read_wheels(folder: Path, pythons: tuple[str, ...], architecture: str, *, picamera: bool) -> Wheels:
    """Return the wheels of a folder that such a card needs.

    Raises:
        OperatorError: no folder, wheels for another machine or another Python only, one is missing, or a numpy that
            would hide the system's, with which picamera2 was built.
    """
    how = "build them: cageclock-station wheels FOLDER"
    if not folder.is_dir():
        raise OperatorError(f"wheels: {folder}: expected a folder, got none; {how}")
    found = [(path, match) for path in sorted(folder.glob("*.whl")) if (match := _NAME.fullmatch(path.name))]
    if not found:
        raise OperatorError(f"wheels: {folder}: expected .whl files, got none; {how}")
    machine = ARCHITECTURES[architecture]
    for path, match in found:
        if match["name"].lower() == "numpy" and picamera:
            raise OperatorError(
                f"wheels: {path.name} would hide the system's numpy, with which picamera2 was built; remove it"
            )
    fitting = [(path, match) for path, match in found if _fits_machine(match["platform"], machine)]
    foreign = [path.name for path, match in found if not _fits_machine(match["platform"], machine)]
    chosen: dict[Path, None] = {}
    for version in pythons:
        of = [(path, match) for path, match in fitting if _fits_python(match, version)]
        names = {match["name"].lower().replace(".", "_") for _, match in of}
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            other = f"; there are some for another machine ({foreign[0]})" if foreign else ""
            raise OperatorError(
                f"wheels: {folder}: none for Python {version} on {machine} of {', '.join(missing)}{other}; {how}"
            )
        own = [path.name for path, match in of if match["name"] == "cageclock"]
        if len(own) > 1:
            raise OperatorError(
                f"wheels: {folder}: expected one cageclock wheel, got {', '.join(own)}; remove the older one"
            )
        chosen |= dict.fromkeys(path for path, _ in of)
    passed = len(found) - len(chosen)
    return Wheels(tuple(chosen), (f"{passed} wheels for another machine or Python stay here",) if passed else ())


def _fits_machine(platform: str, machine: str) -> bool:
    return platform == "any" or any(one.endswith(f"_{machine}") for one in platform.split("."))


def _fits_python(match: re.Match[str], version: str) -> bool:
    own = "cp" + version.replace(".", "")
    if match["abi"] == "abi3":
        return any(one.startswith("cp3") and int(one[3:]) <= int(own[3:]) for one in match["python"].split("."))
    return any(one in ("py3", own) for one in match["python"].split("."))


def build_wheels(folder: Path, pythons: tuple[str, ...], architecture: str, source: str, *, numpy: bool) -> list[str]:
    """Fill a folder by pip, without building anything but our own wheel; return a sentence a step.

    source: the program's source tree, or its wheel. numpy: keep it (no camera of the system's is used).

    Raises:
        OperatorError: pip failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = []
    own = Path(source)
    if own.suffix != ".whl":
        for stale in folder.glob("cageclock-*.whl"):
            stale.unlink()
        _pip("wheel", "-q", "--no-deps", "-w", str(folder), source)
        own = next(folder.glob("cageclock-*.whl"))
        said.append(f"{own.name}: built")
    elif own.parent.resolve() != folder.resolve():
        (folder / own.name).write_bytes(own.read_bytes())
    machine = ARCHITECTURES[architecture]
    tags = [word for tag in _PLATFORMS for word in ("--platform", f"{tag}_{machine}")]
    for version in pythons:
        options = ["-q", "--only-binary=:all:", *tags, "--python-version", version, "--implementation", "cp"]
        before = {path.name for path in folder.glob("*.whl")}
        # pip judges markers by the machine that it runs on: they are judged here, by the device's.
        _pip("download", *options, "-d", str(folder), *_requirements(own, version, machine, numpy=numpy))
        if not numpy:
            for path in folder.glob("numpy-*.whl"):
                path.unlink()
        fresh = [path for path in folder.glob("*.whl") if path.name not in before]
        size = sum(path.stat().st_size for path in folder.glob("*.whl")) / 1e6
        said.append(f"Python {version} on {machine}: {len(fresh)} new wheels, {size:.0f} MB in all")
    return said


def _requirements(wheel: Path, version: str, machine: str, *, numpy: bool) -> list[str]:
    """Return what the program needs on such a device, from the wheel's own metadata.

    numpy: from an index; else the versions are held to what fits the system's numpy, as in constraints-pi.txt.
    """
    from packaging.requirements import Requirement

    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    found = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    if not numpy:
        constraints = (line for line in text("constraints-pi.txt").splitlines() if line and not line.startswith("#"))
        found += constraints
    device = {"python_version": version, "platform_machine": machine, "sys_platform": "linux", "extra": "edge"}
    needed = [one for one in map(Requirement, found) if one.marker is None or one.marker.evaluate(device)]
    return [f"{one.name}{one.specifier}" for one in needed]


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise OperatorError(
            f"pip {arguments[0]}: {lines[-1] if lines else 'failed'}; does this machine reach an index?"
        )
