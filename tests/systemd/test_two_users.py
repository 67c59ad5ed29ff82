"""Capture and publish as the two users that they are on a device: neither can take what is the other's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.cli import main
from edge.host.install_units import install_units
from edge.outbox.lock import WriterLock

ROOT = Path(__file__).parents[2]
OPEN = {
    "capture": "Outbox.open(state, tree.Outbox(reserve_mb=1, min_free_mb=0), device_id='cage07', serial='s')",
    "publish": "PublishFile.open(state, device_id='cage07')",
}
FOLDER = {"capture": "outbox.db", "publish": "delivery.db"}
OTHER = {"capture": "publish", "publish": "capture"}
HEAD = """
import os, sys
from pathlib import Path
from edge.config import tree
from edge.errors import StorageError
from edge.outbox import Outbox
from edge.outbox.publish_file import PublishFile
from edge.outbox.reader import Reader
from edge.outbox.watermarks import read_released
from edge.config.state_folder import capture_folder, delivery_path, outbox_path, publish_folder
state = Path(sys.argv[1])
# Only now: another user may not be able to read this interpreter's folder.
os.setgroups([])
os.setgid(int(sys.argv[3]))
os.setuid(int(sys.argv[2]))
os.umask(0o007)
"""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become the two users"),
    pytest.mark.skipif(
        shutil.which("systemd-sysusers") is None or shutil.which("systemd-tmpfiles") is None,
        reason="systemd-sysusers and systemd-tmpfiles are not installed on this machine",
    ),
]


@dataclass(frozen=True)
class Card:
    """A card that `install-units` prepared, and its users by what they run."""

    root: Path
    users: dict[str, int]
    group: int

    @property
    def state(self) -> Path:
        return self.root / "var/lib/cageclock"

    def run(self, user: str, program: str) -> str:
        """Run a program as one of the users and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-c", HEAD + program, str(self.state), str(self.users[user]), str(self.group)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip()


def prepare(folder: Path) -> Card:
    os.chmod(folder, 0o755)
    (folder / "etc").mkdir(exist_ok=True)
    assert main(["install-units", "--root", str(folder)]) == 0
    text = (folder / "etc/passwd").read_text()
    users = {name: int(uid) for name, uid in re.findall(r"^cageclock-(\w+):x:(\d+):", text, re.MULTILINE)}
    (group,) = re.findall(r"^cageclock:x:(\d+):", (folder / "etc/group").read_text(), re.MULTILINE)
    return Card(folder, users, int(group))


@pytest.fixture
def card() -> Iterator[Card]:
    # Below /tmp and not below pytest's own folder, which other users may not enter.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield prepare(Path(folder))


@pytest.mark.parametrize("user", OPEN)
def test_neither_can_delete_rename_or_replace_what_is_the_others(card: Card, user: str) -> None:
    """Files and folders of all three, and the folders themselves."""
    for each, call in OPEN.items():
        card.run(each, f"{call}.close()")
    program = f"""
mine = state / {user!r} / "mine"
for place in sorted(state.rglob("*")):
    if place.stat().st_uid == os.geteuid():
        continue
    for what, work in (
        ("delete", lambda: place.rmdir() if place.is_dir() else place.unlink()),
        ("rename", lambda: place.rename(place.with_name("moved"))),
        ("replace", lambda: os.replace(mine, place)),
    ):
        mine.write_text("x")
        try:
            work()
            print(what, place.relative_to(state))
        except OSError:
            pass
"""
    assert card.run(user, program) == ""


def test_each_reads_the_other_in_every_order_of_beginnings_and_ends(card: Card) -> None:
    """A reader cannot make SQLite's journal in the writer's folder: the writer leaves one when it goes."""
    look_capture = "reader = Reader(outbox_path(state)); print(reader.changed(), len(reader.epochs()))"
    look_publish = "print(len(read_released(delivery_path(state))))"
    assert card.run("publish", look_publish) == "0"
    for _ in range(2):
        card.run("capture", f"{OPEN['capture']}.close()")
        assert card.run("publish", look_capture) == "True 0"  # no epoch before a first reading
        card.run("publish", f"{OPEN['publish']}.close()")
        assert card.run("capture", look_publish) == "0"
    killed = f"kept = {OPEN['capture']}; sys.stdout.flush(); os._exit(0)"
    card.run("capture", killed)
    assert card.run("publish", look_capture) == "True 0"  # no epoch before a first reading


def test_a_reader_that_outlives_its_writer_leaves_the_journal_to_the_next_one(card: Card) -> None:
    """The last connection to close would take the journal away; here it is another user's, and cannot."""
    card.run("capture", f"{OPEN['capture']}.close()")
    program = "reader = Reader(outbox_path(state)); reader.changed(); print(len(reader.epochs())); reader.close()"
    assert card.run("publish", program) == "0"  # no epoch before a first reading
    assert card.run("capture", f"box = {OPEN['capture']}; print(box.last_seq >= 0); box.close()") == "True"
    owners = {path.stat().st_uid for path in (card.state / "capture").iterdir()}
    assert owners == {card.users["capture"]}


@pytest.mark.parametrize("user", OPEN)
def test_a_damaged_file_is_set_aside_by_its_owner_while_the_other_has_read_it(card: Card, user: str) -> None:
    card.run(user, f"{OPEN[user]}.close()")
    database = card.state / user / FOLDER[user]
    look = {"capture": "read_released(delivery_path(state))", "publish": "Reader(outbox_path(state)).changed()"}
    card.run(OTHER[user], look[OTHER[user]])
    database.write_bytes(b"this is no database" * 1000)
    card.run(user, f"{OPEN[user]}.close()")
    assert len(list(database.parent.glob(f"{FOLDER[user]}.damaged-*"))) >= 1
    card.run(OTHER[user], look[OTHER[user]])


def test_what_an_earlier_version_put_in_one_folder_is_moved_and_lost_by_nobody(
    card: Card, capsys: pytest.CaptureFixture[str]
) -> None:
    state = card.state
    card.run("capture", f"{OPEN['capture']}.close()")
    card.run("publish", f"{OPEN['publish']}.close()")
    outbox = (state / "capture/outbox.db").read_bytes()
    for own in ("capture", "publish"):
        for path in (state / own).iterdir():
            path.rename(state / path.name)
        (state / own).rmdir()
    (state / "capture.json").write_text("{}")
    (state / "a-persons-own-note").write_text("stays")
    os.chmod(state, 0o2770)
    list(install_units(card.root, station=False))
    assert sorted(path.name for path in state.iterdir()) == [
        *("a-persons-own-note", "bundles", "capture", "fetch", "inbox", "publish")
    ]
    assert (state / "capture/outbox.db").read_bytes() == outbox
    assert card.run("capture", f"box = {OPEN['capture']}; print(box.last_seq); box.close()") == "0"
    assert (state / "publish/delivery.db").stat().st_size > 0


def test_files_of_a_running_process_are_not_moved_from_under_it(card: Card, capsys: pytest.CaptureFixture[str]) -> None:
    for path in list((card.state / "capture").iterdir()):
        path.rename(card.state / path.name)
    (card.state / "capture").rmdir()
    running = WriterLock(card.state / "outbox.lock", "outbox.db")
    try:
        assert main(["install-units", "--root", str(card.root)]) == 2
    finally:
        running.release()
    assert "systemctl stop cageclock-capture cageclock-publish" in capsys.readouterr().err
    assert (card.state / "outbox.db").is_file()


@pytest.mark.parametrize("name", ["outbox.lock", "capture"])
def test_a_link_that_one_of_them_left_is_not_followed_by_root(
    card: Card, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old folder was both users' to write: what root opens, empties or fills there may be somebody else's file."""
    shutil.rmtree(card.state / "capture")
    (card.state / "outbox.db").write_bytes(b"x")
    precious = tmp_path / "precious"
    if name == "capture":
        precious.mkdir()
    else:
        precious.write_text("kept")
    (card.state / name).symlink_to(precious)
    assert main(["install-units", "--root", str(card.root)]) == 2
    assert "link" in capsys.readouterr().err
    assert list(precious.iterdir()) == [] if precious.is_dir() else precious.read_text() == "kept"
