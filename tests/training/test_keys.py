"""`cageclock-train keys` and `bundle sign | verify | inspect | diff`, as people type them; a stolen key on Monday."""

import json
from pathlib import Path

import msgspec
import pytest

from edge.bundle.canary import Verdict
from edge.bundle.history import Entry, read_history
from edge.bundle.install import Installer
from edge.bundle.slots import Slots
from edge.config.load import load_config
from edge.contract.bundle.bundle import Bundle, bundle_bytes, manifest_bytes, read_unverified
from edge.contract.bundle.envelope import enclose
from edge.contract.bundle.keys import is_encrypted, new_key_pair, open_private
from edge.contract.bundle.trust import begin
from edge.errors import OperatorError
from edge.timing.clock import SystemClock
from tests.edge.capture.running import write_settings
from training.bundle.ledger import read_ledger
from training.cli import main

DATA = Path(__file__).parents[1] / "data"
PHRASE = "a long enough phrase"
ROOTS, RELEASERS = ("anna", "ben", "clara"), ("dora", "emil", "fritz")


class Lab:
    """A folder with everybody's keys; nobody has signed anything yet."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.folder, self._bundle = folder, bundle
        (folder / "phrase").write_text(PHRASE + "\n")
        for name in (*ROOTS, *RELEASERS):
            private, public = new_key_pair()
            (folder / f"{name}.key").write_bytes(private)
            (folder / f"{name}.pub").write_bytes(public)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def keys(self, action: str, *arguments: object, by: tuple[str, ...] = ("anna", "ben")) -> int:
        signers = [text for name in by for text in ("--by", str(self / f"{name}.key"))]
        return main(["keys", action, str(self / "trust.json"), *map(str, arguments), *signers])

    def channel(self, threshold: int, *names: str) -> str:
        return f"study={threshold}:" + ",".join(str(self / f"{name}.pub") for name in names)

    def init(self, *names: str) -> int:
        roots = [text for name in ROOTS for text in ("--root", self / f"{name}.pub")]
        return self.keys("init", "--lab", "our lab", *roots, "--channel", self.channel(2, *RELEASERS), by=names)

    def built(self, name: str = "model", **changes) -> Path:
        """An unsigned bundle, as `bundle build` leaves it."""
        manifest = msgspec.structs.replace(self._bundle.manifest, **{"channel": "study", **changes})
        path = self / f"{name}.bundle"
        path.write_bytes(bundle_bytes(enclose(manifest_bytes(manifest, self._bundle.files), {}), self._bundle.files))
        return path

    def sign(self, path: Path, *names: str) -> int:
        codes = [
            main(["bundle", "sign", str(path), "--key", str(self / f"{name}.key"), "--trust", str(self / "trust.json")])
            for name in names
        ]
        return max(codes)

    def newest(self):
        return begin((self / "trust.json").read_bytes()).newest


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    (tmp_path / "lab").mkdir()
    return Lab(tmp_path / "lab", read_unverified(DATA / "tiny.bundle"))


class Device:
    """A device of channel `study` that was given the lab's trust.json."""

    def __init__(self, folder: Path, trust: bytes) -> None:
        folder.mkdir()
        (folder / "trust.json").write_bytes(trust)
        more = f"bundle: {{trust: {folder / 'trust.json'}, channel: study, target_groups: [test]}}\n"
        self.config = load_config(write_settings(folder, more=more))
        self.state = Path(self.config.state_dir)

    def put(self, path: Path) -> Entry:
        clock = SystemClock()
        with (
            Installer(self.config, lambda _path, _keys: Verdict(problems=()), clock) as installer,
            path.open("rb") as file,
        ):
            return installer.install(path.name, file.fileno())

    def active(self) -> str:
        slot = Slots(self.state).target("active.bundle")
        return "" if slot is None else read_unverified(slot).manifest.model_version


def test_a_key_is_encrypted_and_never_overwritten_or_made_by_mistake(lab: Lab, capsys) -> None:
    path = lab / "hugo.key"
    command = ["keys", "create", str(path), "--passphrase-file", str(lab / "phrase")]
    assert main(command) == 0
    pem = path.read_bytes()
    assert is_encrypted(pem)
    assert path.stat().st_mode & 0o077 == 0
    open_private(pem, PHRASE.encode())
    for phrase in (b"another phrase", None):
        with pytest.raises(OperatorError, match="passphrase"):
            open_private(pem, phrase)
    assert main(command) == 2
    assert "there is a key already" in capsys.readouterr().err
    assert path.read_bytes() == pem
    assert main(["keys", "create", str(lab / "no/such/folder.key"), "--passphrase-file", str(lab / "phrase")]) == 2
    (lab / "phrase").write_text("short")
    assert main(["keys", "create", str(lab / "ida.key"), "--passphrase-file", str(lab / "phrase")]) == 2
    assert not (lab / "ida.key").exists()
    assert main(["bundle", "--out", str(lab / "run"), "--key", str(lab / "mispelt.pem")]) == 2
    assert main(["bundle", "sign", str(lab.built()), "--key", str(lab / "mispelt.pem")]) == 2
    assert not list(lab.folder.glob("mispelt*"))


def test_statements_are_signed_by_people_in_turn(lab: Lab, capsys) -> None:
    assert lab.init("anna") == 0
    assert "not in force yet; it takes 1 more of the new root: ben, clara" in capsys.readouterr().out
    assert not (lab / "trust.json").exists()
    assert lab.keys("sign", by=("dora",)) == 2
    assert "no root key, old or new" in capsys.readouterr().err
    assert lab.keys("sign", by=("clara",)) == 0
    assert lab.newest().version == 1
    assert not (lab / "trust.next.json").exists()
    assert lab.keys("show", by=()) == 0
    out = capsys.readouterr().out
    assert "study      2 of 3: dora (" in out


def test_a_root_is_rotated_by_the_old_and_the_new_one(lab: Lab, capsys) -> None:
    lab.init("anna", "ben")
    new = [text for name in RELEASERS for text in ("--root", lab / f"{name}.pub")]
    assert lab.keys("rotate", *new, by=("anna", "ben")) == 2, "a root key has no other work"
    assert "no root key: those sign statements and nothing else" in capsys.readouterr().err
    for name in ("hugo", "ida"):
        private, public = new_key_pair()
        (lab / f"{name}.key").write_bytes(private)
        (lab / f"{name}.pub").write_bytes(public)
    assert lab.keys("rotate", "--root", lab / "hugo.pub", "--root", lab / "ida.pub", by=("hugo", "ida", "anna")) == 0
    assert "1 more of the old root: ben, clara" in capsys.readouterr().out
    assert lab.keys("rotate", by=("anna",)) == 2, "one statement at a time"
    assert lab.keys("sign", by=("ben",)) == 0
    assert [key.name for key in lab.newest().root.keys] == ["hugo", "ida"]


def test_releases_are_counted_and_the_same_content_is_the_same_bundle(lab: Lab, capsys) -> None:
    lab.init("anna", "ben")
    first = lab.built("first", model_version="1")
    assert lab.sign(first, "dora", "emil") == 0
    out = capsys.readouterr().out
    assert "not complete yet: threshold: " in out
    assert "complete: a device with trust statement 1 takes it" in out
    content = first.read_bytes()
    assert lab.sign(lab.built("second", model_version="2"), "dora") == 0
    assert lab.sign(lab.built("first", model_version="1"), "emil", "dora") == 0
    assert first.read_bytes() == content, "whoever signed first, and whatever came between"
    ledger = read_ledger(lab / "releases.json")
    assert [(one.channel, one.release, one.model_version) for one in ledger.releases] == [
        ("study", 1, "1"),
        ("study", 2, "2"),
    ]
    (lab / "releases.json").write_text("{}")
    assert lab.sign(lab.built("third"), "dora") == 2
    assert "releases are counted by it" in capsys.readouterr().err


def test_a_second_signer_notices_a_number_that_is_taken(lab: Lab, tmp_path: Path, capsys) -> None:
    lab.init("anna", "ben")
    lab.sign(lab.built("one", model_version="1"), "dora")
    other = lab.built("other", model_version="9")
    ledger = ["--ledger", str(tmp_path / "other.json")]
    assert main(["bundle", "sign", str(other), "--key", str(lab / "emil.key"), *ledger]) == 0
    assert lab.sign(other, "dora") == 2
    assert "release: 1 of channel 'study' is tiny 1 by" in capsys.readouterr().err


def test_verify_inspect_and_diff_say_what_a_person_wants_to_know(lab: Lab, capsys) -> None:
    lab.init("anna", "ben")
    one, two = lab.built("one", metrics={"mae_days": 60.5}), lab.built("two", metrics={"mae_days": 48.25, "r2": 0.5})
    lab.sign(one, "dora", "emil")
    lab.sign(two, "fritz")
    trust = ["--trust", str(lab / "trust.json")]
    assert main(["bundle", "verify", str(one), *trust]) == 0
    assert main(["bundle", "verify", str(two), *trust]) == 3
    assert "threshold: channel 'study' takes 2 of its keys, got fritz" in capsys.readouterr().err
    assert main(["bundle", "inspect", str(one), *trust, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"] == {"mae_days": 60.5}
    assert sorted(found["signatures"].values()) == ["dora: holds", "emil: holds"]
    assert main(["bundle", "inspect", str(one)]) == 0
    out = capsys.readouterr().out
    assert "not verified" in out
    assert "age.tflite" in out
    assert main(["bundle", "diff", str(one), str(two), "--json"]) == 0
    changed = json.loads(capsys.readouterr().out)
    assert changed["metrics"]["mae_days"] == {"before": 60.5, "after": 48.25, "change": -12.25}
    assert changed["metrics"]["r2"] == {"before": None, "after": 0.5}
    assert "bytes" not in changed
    assert main(["bundle", "diff", str(one), str(two)]) == 0
    assert "60.5 -> 48.25  (-12.25)" in capsys.readouterr().out


def test_what_says_too_little_is_not_signed(lab: Lab, capsys) -> None:
    lab.init("anna", "ben")
    lab._bundle.files["MODEL_CARD.md"], card = b" \n", lab._bundle.files["MODEL_CARD.md"]
    try:
        path = lab.built()
    finally:
        lab._bundle.files["MODEL_CARD.md"] = card
    assert lab.sign(path, "dora") == 3
    assert "a bundle is signed with its model card" in capsys.readouterr().err


def test_a_release_key_is_stolen_on_monday(lab: Lab, tmp_path: Path, capsys) -> None:
    """The drill of docs/keys.md: what is typed, and what a device does that was off all the while."""
    lab.init("anna", "ben")
    trust = (lab / "trust.json").read_bytes()
    device, away = Device(tmp_path / "device", trust), Device(tmp_path / "away", trust)
    good = lab.built("good", model_version="good")
    lab.sign(good, "dora", "emil")
    assert [device.put(good).result, away.put(good).result] == ["installed", "installed"]

    # The thief has one key of the two that it takes, and gets nowhere.
    evil = lab.built("evil", model_version="evil", release=2)
    main(["bundle", "sign", str(evil), "--key", str(lab / "emil.key"), "--ledger", str(tmp_path / "thief.json")])
    assert device.put(evil).reason.startswith("threshold: channel 'study' takes 2")

    # Worse: a second holder was talked into signing it, with a number that uses up the channel.
    evil.unlink()
    evil = lab.built("evil", model_version="evil")
    numbered = msgspec.structs.replace(read_unverified(evil).manifest, release=90_000)
    evil.write_bytes(bundle_bytes(enclose(manifest_bytes(numbered, lab._bundle.files), {}), lab._bundle.files))
    unsigned = read_unverified(evil)
    from edge.contract.bundle.bundle import signed_again

    for name in ("dora", "emil"):
        evil.write_bytes(signed_again(unsigned, (lab / f"{name}.key").read_bytes()))
        unsigned = read_unverified(evil)
    assert device.put(evil).result == "installed"

    # Monday: two people with root keys type one command, and the file goes to the devices.
    assert lab.keys("revoke", "--key", "emil", "--bundle", evil, "--reset-floor", "study=2") == 0
    assert "in force; send it to the devices" in capsys.readouterr().out
    assert device.put(lab / "trust.json").result == "installed"
    assert device.active() == "good", "it went back by itself"
    assert [entry.result for entry in read_history(device.state).entries[-3:]] == [
        "trust updated",
        "rolled back",
        "installed",
    ]
    assert device.put(evil).reason.startswith("revoked key: "), "the key does not count"
    again = lab.built("again", model_version="again")
    assert lab.sign(again, "dora", "emil") == 0, "whoever signs with it sees that"
    assert "revoked key" in capsys.readouterr().out
    assert device.put(again).result == "refused"

    # Tuesday: a key in its place, a new release, and the device that was away walks the chain in the bundle.
    private, public = new_key_pair()
    (lab / "gina.key").write_bytes(private)
    (lab / "gina.pub").write_bytes(public)
    assert lab.keys("rotate", "--channel", lab.channel(2, "dora", "fritz", "gina"), by=("clara", "ben")) == 0
    assert not lab.newest().floors["study"].reset, "a floor is taken back once"
    fresh = lab.built("fresh", model_version="fresh")
    assert lab.sign(fresh, "gina", "fritz") == 0
    for one in (device, away):
        assert one.put(fresh).result == "installed"
        assert one.active() == "fresh"
        assert one.put(good).result == "refused"
        assert read_history(one.state).trust_version == 3
