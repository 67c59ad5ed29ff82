"""The picamera backend through the real picamera2, in an emulated machine with a virtual camera (vimc)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.rig.machine import RIG, ROOT, build_wheel

CAPTURES = int(os.environ.get("CAGECLOCK_RIG_CAPTURES", "100"))
LIMIT_S = 2400
KERNEL_LINE = "root=/dev/vda rw console=ttyS0 quiet loglevel=4 TERM=dumb mitigations=off audit=0 apparmor=0"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(LIMIT_S + 300)]


def why_not() -> str:
    if "CAGECLOCK_RIG" not in os.environ:
        return "it takes minutes: make test-rig-camera runs it"
    if shutil.which("qemu-system-x86_64") is None:
        return "qemu-system-x86_64 is not installed; make test-rig-camera installs it"
    if not (RIG / "vm.img").exists():
        return f"there is no image in {RIG}; make test-rig-camera builds it"
    return ""


def run_in_vm(job: Path, command: str) -> None:
    """Boot the image, run one command in it as root, and wait until it has powered itself off.

    job: a folder that becomes /job; its `in` is copied to /input, `out` comes back as $OUT. Nothing else is kept.
    Plain emulation: a /dev/kvm that opens is no proof that it can run a stock kernel.
    """
    (job / "out").mkdir()
    (job / "cmd").write_text(command)
    qemu = ["qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max,la57=off", "-m", "1024"]
    qemu += ["-smp", "2", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none"]
    qemu += ["-kernel", str(RIG / "vmlinux"), "-initrd", str(RIG / "initrd.img"), "-append", KERNEL_LINE]
    qemu += ["-drive", f"file={RIG}/vm.img,format=raw,if=virtio,snapshot=on,discard=unmap"]
    qemu += ["-virtfs", f"local,path={job},mount_tag=job,security_model=none,multidevs=remap"]
    qemu += ["-device", "virtio-rng-pci", "-serial", f"file:{job}/console"]
    try:
        subprocess.run(["nice", "-n", "10", *qemu], check=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        pytest.fail(f"no end within {LIMIT_S} s\n{tail(job / 'log')}\n{tail(job / 'console')}")
    assert (job / "rc").is_file(), f"the guest did not report\n{tail(job / 'console')}"
    assert (job / "rc").read_text().strip() == "0", f"{tail(job / 'log')}\n{tail(job / 'journal')}"


def tail(path: Path) -> str:
    return path.read_text(errors="replace")[-4000:] if path.exists() else f"{path.name}: nothing"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if reason := why_not():
        pytest.skip(reason)
    job = tmp_path_factory.mktemp("vm")
    given = job / "in"
    given.mkdir()
    build_wheel(given)
    for path in (ROOT / "tests/data/tiny.pub", ROOT / "tests/data/tiny.bundle"):
        shutil.copy(path, given)
    for name in ("guest_camera.py", "probe.py"):
        shutil.copy(Path(__file__).with_name(name), given)
    begin = time.monotonic()
    run_in_vm(job, f"CAPTURES={CAPTURES} /opt/cageclock/bin/python /input/guest_camera.py")
    found: dict[str, Any] = json.loads((job / "out/result.json").read_text())
    found["wall_s"] = round(time.monotonic() - begin)
    print(json.dumps(found, indent=1))
    return found


def test_all_captures_came_and_the_hang_was_ended(result: dict[str, Any]) -> None:
    assert result["watchdog"]
    assert 0 < result["hang_ended_after_s"] < 135
    assert result["second_half"][-1]["captures"] >= CAPTURES - 6
    faults = {name: n for name, n in result["outcomes"].items() if "fault" in name or "error" in name}
    assert sum(faults.values()) <= 2, faults


@pytest.mark.parametrize("half", ["first_half", "second_half"])
def test_nothing_leaks(result: dict[str, Any], half: str) -> None:
    """From the tenth capture of a process on: no descriptor, no thread, at most 3 MB of memory."""
    warm = result[half][2:]
    assert len(warm) >= 3
    for key in ("files", "threads"):
        assert warm[-1][key] <= warm[0][key], [one[key] for one in warm]
    assert warm[-1]["rss_kib"] - warm[0]["rss_kib"] < 3072, [one["rss_kib"] for one in warm]


def test_reopening_leaks_nothing(result: dict[str, Any]) -> None:
    assert result["reopened"][-1] <= result["reopened"][1], result["reopened"]


def test_the_kernels_oom_killer_is_survived(result: dict[str, Any]) -> None:
    assert result["oom_killed"]
    assert 0 < result["after_oom_s"] < 240


def test_only_capture_can_open_the_camera(result: dict[str, Any]) -> None:
    probes = result["probes"]
    assert probes["capture"] == "done"
    assert "done" not in (probes["publish"], probes["bundle"])
