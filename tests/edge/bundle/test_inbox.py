"""What lies in the inbox is taken when it is complete; nothing in it keeps anything else from being taken."""

import os
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import pytest

from edge.bundle.canary import Verdict
from edge.bundle.history import read_history
from edge.bundle.inbox import Inbox
from edge.bundle.install import Installer
from edge.bundle.waiting import InboxWatch
from edge.cli import main
from edge.config.load import load_config
from edge.contract.bundle.bundle import Bundle
from edge.errors import DeviceError
from tests.edge.bundle.device import Device
from tests.edge.capture.running import records, run


@pytest.fixture
def device(tmp_path: Path, tiny_bundle: Bundle) -> Device:
    return Device(tmp_path, tiny_bundle)


def content(device: Device) -> Path:
    return device.state / "inbox"


def inbox_of(device: Device, canary=lambda _path, _keys: Verdict(problems=()), **ways) -> Inbox:
    ways.setdefault("limit_s", 20)
    return Inbox(lambda: load_config(device.settings), lambda config: Installer(config, canary), **ways)


def results(device: Device) -> list[str]:
    return [entry.result for entry in read_history(device.state).entries]


def chained_headers() -> bytes:
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 0
    return entry.tobuf(tarfile.USTAR_FORMAT) * 800


BAD = {
    "chained headers": chained_headers(),
    "a long envelope": b"envelope.json".ljust(100, b"\0") + b"[" * 3_000_000,
    "text": b"rubbish",
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_does_not_keep_the_good_one_behind_it_waiting(what: str, device: Device) -> None:
    (content(device) / "a.bundle").write_bytes(BAD[what])
    os.utime(content(device) / "a.bundle", (1, 1))
    os.replace(device.make(1), content(device) / "b.bundle")
    inbox = inbox_of(device)
    inbox.run()
    assert results(device) == ["refused", "installed"]
    assert [*content(device).iterdir()] == []
    assert inbox.trouble is None


def test_whatever_a_file_makes_our_code_raise_is_its_refusal(device: Device) -> None:
    """The next RecursionError."""
    os.replace(device.make(1, "a"), content(device) / "a.bundle")
    os.utime(content(device) / "a.bundle", (1, 1))
    os.replace(device.make(2, "b"), content(device) / "b.bundle")
    asked = []

    def canary(path, _keys) -> Verdict:
        asked.append(path)
        if len(asked) == 1:
            raise RecursionError("maximum recursion depth exceeded")
        return Verdict(problems=())

    inbox_of(device, canary).run()
    first, second = read_history(device.state).entries
    assert (first.result, first.reason) == (
        "refused",
        "it cannot be read: RecursionError: maximum recursion depth exceeded",
    )
    assert (second.result, device.active()) == ("installed", 2)


@pytest.mark.parametrize("way", ["open meanwhile", "opened again", "its length set first"])
def test_a_copy_that_pauses_is_waited_for(way: str, device: Device) -> None:
    """`cp`, `scp` and `sftp` keep the file open; others go on later, or set the length before the content."""
    whole, path = device.make(1).read_bytes(), content(device) / "slow.bundle"
    half = len(whole) // 1024 * 512

    def copy() -> None:
        with path.open("r+b" if path.exists() else "wb", buffering=0) as file:
            if way == "its length set first":
                file.truncate(len(whole))
            file.write(whole[:half])
            if way != "opened again":
                time.sleep(3.5)
                file.write(whole[half:])
        if way == "opened again":
            time.sleep(3.5)
            with path.open("ab", buffering=0) as file:
                file.write(whole[half:])

    writer = threading.Thread(target=copy)
    writer.start()
    while not path.exists():
        time.sleep(0.01)
    inbox_of(device).run()
    writer.join()
    assert results(device) == ["installed"]
    assert not path.exists()


def test_a_real_copy_over_a_slow_line_is_installed(device: Device) -> None:
    """`dd` writes block by block into the inbox, as a copy over a network does."""
    source, path = device.make(1), content(device) / "slow.bundle"
    slow = f"(head -c 20000; sleep 3.5; cat) < {source} | dd bs=512 of={path} status=none"
    child = subprocess.Popen(["sh", "-c", slow])
    while not path.exists():
        time.sleep(0.01)
    inbox_of(device).run()
    assert child.wait(300) == 0
    assert results(device) == ["installed"]


def test_a_file_that_was_renamed_into_place_is_taken_at_once(device: Device) -> None:
    os.replace(device.make(1), content(device) / "whole.bundle")
    begin = time.monotonic()
    inbox_of(device).run()
    assert results(device) == ["installed"]
    assert time.monotonic() - begin < 300, "it was waited for as for one that is still being written"


def test_a_beginning_that_never_goes_on_is_set_aside_under_a_name_that_starts_nothing(device: Device) -> None:
    (content(device) / "half.bundle").write_bytes(device.make(1).read_bytes()[:20_000])
    inbox_of(device, watch=InboxWatch(unfinished_s=1)).run()
    (entry,) = read_history(device.state).entries
    assert "20000 bytes are the start of a bundle, and the rest did not come" in entry.reason
    assert [path.name for path in content(device).iterdir()] == ["half.bundle.refused"]


def test_what_is_waited_for_is_named_with_the_reason_and_for_how_long(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once when the waiting begins, and once when the run ends without it."""
    half, open_one = content(device) / "half.bundle", content(device) / "open.bundle"
    whole = device.make(1).read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    inbox = inbox_of(device, limit_s=3)
    with open_one.open("wb") as writer:
        writer.write(whole)
        writer.flush()
        inbox.run()
    lines = capsys.readouterr().err.splitlines()
    reason = f"it is incomplete, {len(whole) // 2} bytes so far; it is given up 10 min after its last change"
    assert lines.count(f"cageclock: waiting for {half}: {reason}") == 1
    assert lines.count(f"cageclock: {half} was not taken within the 3 s of this run: {reason}") == 1
    reason = "a program has it open for writing; it is given up 60 min after its last change"
    assert lines.count(f"cageclock: waiting for {open_one}: {reason}") == 1
    assert len(lines) == 4
    assert (half.exists(), open_one.exists()) == (True, True)


def test_what_is_no_file_is_named_at_once(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    pipe, folder = device.state / "pipe.bundle", device.state / "folder.bundle"
    os.mkfifo(pipe)
    folder.mkdir()
    for path, what in ((pipe, "a pipe or a device"), (folder, "a folder"), (Path("/dev/null"), "a pipe or a device")):
        assert main(["bundle", "install", str(path), "--config", str(device.settings)]) == 2
        assert capsys.readouterr().err.startswith(f"cageclock: {path}: expected a bundle file, got {what}; copy")


def test_what_takes_the_place_of_a_file_meanwhile_is_not_thrown_away_with_it(device: Device) -> None:
    path, second = content(device) / "lab.bundle", device.make(2, "second")
    os.replace(device.make(1, "first"), path)

    def canary(_path, _keys) -> Verdict:
        if second.exists():
            os.replace(second, path)
        return Verdict(problems=())

    inbox_of(device, canary).run()
    assert results(device) == ["installed", "installed"]
    assert device.active() == 2


TROUBLE = {
    "a missing key": lambda d: (d.folder / "lab.pub").rename(d.folder / "gone.pub"),
    "a damaged history": lambda d: (
        d.slots.folder.mkdir(exist_ok=True),
        (d.slots.folder / "history.json").write_text("{"),
    ),
    "wrong settings": lambda d: d.settings.write_text(d.settings.read_text() + "nonsense: 1\n"),
    "settings with a bundle of their own": lambda d: d.settings.write_text(
        d.settings.read_text().replace("bundle: {", "bundle: {path: /srv/x.bundle, ")
    ),
}
MENDED = {
    "a missing key": lambda d: (d.folder / "gone.pub").rename(d.folder / "lab.pub"),
    "a damaged history": lambda d: (d.slots.folder / "history.json").unlink(),
}


@pytest.mark.parametrize("what", TROUBLE)
def test_what_is_not_the_files_fault_leaves_it_and_does_not_run_in_circles(what: str, device: Device) -> None:
    path = content(device) / "lab.bundle"
    os.replace(device.make(1), path)
    right = device.settings.read_text()
    TROUBLE[what](device)
    reads, begin = [], time.monotonic()

    def settings():
        reads.append(time.monotonic())
        return load_config(device.settings)

    inbox = Inbox(settings, limit_s=3)
    inbox.run()
    assert time.monotonic() - begin >= 3, "the unit is started again at once"
    assert len(reads) <= 5
    assert inbox.trouble is not None
    assert path.exists()
    if what in ("a missing key", "settings with a bundle of their own"):
        (entry,) = read_history(device.state).entries
        assert (entry.result, entry.file, entry.reason) == ("waiting", "lab.bundle", str(inbox.trouble))
    MENDED.get(what, lambda d: d.settings.write_text(right))(device)
    inbox_of(device).run()
    assert results(device)[-1] == "installed"
    assert not path.exists()


def test_a_full_disk_keeps_its_last_space_and_the_file(tmp_path: Path, device: Device) -> None:
    bundles = device.slots.folder
    bundles.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", bundles]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    try:
        (bundles / "slots").mkdir()
        (bundles / "slots/.candidate").write_bytes(bytes(5_000_000))
        os.replace(device.make(1), content(device) / "lab.bundle")
        inbox = inbox_of(device, limit_s=3)
        inbox.run()
        assert "MB free" in str(inbox.trouble)
        assert [*(bundles / "slots").iterdir()] == [], "what a killed run left behind, and what was copied"
        assert results(device) == ["waiting"]
        subprocess.run(["mount", "-o", "remount,size=64m", bundles], check=True)
        inbox_of(device).run()
        assert results(device) == ["waiting", "installed"]
    finally:
        subprocess.run(["umount", bundles], check=True)


def test_what_nobody_signed_is_not_even_copied(device: Device, tiny_bundle: Bundle) -> None:
    from edge.contract.bundle.keys import new_key_pair

    path = device.make(1, key=new_key_pair()[0])
    with Installer(load_config(device.settings)) as installer, path.open("rb") as file:
        assert installer.install("x", file.fileno()).result == "refused"
    assert not (device.slots.folder / "slots").exists()


def test_a_folder_that_cannot_be_removed_and_its_namesakes_get_out_of_the_way(device: Device) -> None:
    for _ in range(2):
        (content(device) / "a.bundle").mkdir()
        (content(device) / "a.bundle/x").write_text("x")
        inbox_of(device).run()
    assert sorted(path.name for path in content(device).iterdir()) == ["a.bundle.refused", "a.bundle.refused.1"]


def test_the_lab_hears_of_what_waits_and_of_a_damaged_history(device: Device) -> None:
    os.replace(device.make(1), content(device) / "lab.bundle")
    (device.folder / "lab.pub").rename(device.folder / "gone.pub")
    Inbox(lambda: load_config(device.settings), limit_s=1).run()
    (device.folder / "gone.pub").rename(device.folder / "lab.pub")
    for expected in (["lab.bundle, waits in the inbox: "], ["no bundle can be installed or refused: "]):
        run(
            device.settings, "--stepped", "--captures", "1"
        )  # its model is trusted by another key: that is reported, too
        refused = [one for one in records(device.settings, "record") if one["code"] == "bundle_refused"]
        assert [text for text in expected if text in refused[-1]["text"]] == expected
        (device.slots.folder / "history.json").write_text("{")
    assert len(refused) == 2


def test_an_inbox_whose_installer_cannot_even_begin_waits_within_one_run(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where a sandbox hides a file that nobody thought of: the lab hears why, and the bundle stays."""
    path = device.make(1).rename(content(device) / "a.bundle")
    begun = []

    def installer(_config: object) -> None:
        begun.append(1)
        raise FileNotFoundError(2, "No such file or directory", "/proc/sys/kernel/random/boot_id")

    inbox = Inbox(lambda: load_config(device.settings), installer, limit_s=4)  # type: ignore[arg-type]
    inbox.run()
    assert isinstance(inbox.trouble, DeviceError)
    assert path.exists()
    assert 2 <= len(begun) <= 4  # at growing intervals
    said = capsys.readouterr().err
    assert said.count("Traceback (most recent call last)") == 1
    assert "bundle install met an unexpected FileNotFoundError" in said
    (entry,) = read_history(device.state).entries
    assert (entry.result, entry.file) == ("waiting", "a.bundle")
    assert "boot_id" in entry.reason
