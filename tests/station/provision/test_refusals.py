"""What is wrong with a card, a lab or its files is one clear error, and the card stays untouched."""

import shutil
from pathlib import Path

import pytest

from tests.station.provision import cards
from tests.station.provision.cards import provision


def _renamed(files: dict[str, str], name: str, content: str | None) -> dict[str, str]:
    changed = dict(files)
    changed.pop(name, None)
    return changed if content is None else {**changed, name: content}


BAD_CARDS = {
    "not the Pi's": (_renamed(cards.trixie(), "issue.txt", None), "without issue.txt"),
    "another system": (
        _renamed(cards.trixie(), "issue.txt", "Ubuntu 24.04\n"),
        "issue.txt that says 'Ubuntu",
    ),
    "Bullseye": (cards.bookworm("2023-05-03"), "older than Bookworm"),
    "32 bit": (_renamed(cards.trixie(), "kernel8.img", None), "no 64-bit kernel"),
    "half of cloud-init": (_renamed(cards.trixie(), "meta-data", None), "got no meta-data"),
    "unknown way": (_renamed(cards.bookworm("2027-03-01"), "cmdline.txt", cards.TRIXIE_LINE), "is not known"),
    "two lines": (_renamed(cards.trixie(), "cmdline.txt", cards.TRIXIE_LINE + "quiet\n"), "expected one line, got 2"),
    "no root": (_renamed(cards.trixie(), "cmdline.txt", "console=tty1\n"), "expected root="),
}


@pytest.mark.parametrize("name", BAD_CARDS)
def test_a_card_that_is_not_known_is_refused_untouched(
    name: str, lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, expected = BAD_CARDS[name]
    card = cards.mounted(tmp_path / "boot", files)
    assert provision(lab, card) == 2
    assert expected in capsys.readouterr().err
    assert {path.name: path.read_text() for path in card.iterdir()} == files
    assert not (lab.parent / "authority/devices").exists(), "no key for a card that was refused"


def test_the_first_trixie_needs_wheels_for_both_versions_of_python(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = cards.mounted(tmp_path / "boot", cards.bookworm("2025-10-01"))
    assert provision(lab, card) == 0
    names = {path.name for path in (card / "cageclock/wheels").iterdir()}
    assert any("cp311" in name for name in names)
    assert any("cp313" in name for name in names)
    for path in (lab.parent / "wheels").glob("*cp311*"):
        path.unlink()
    assert provision(lab, card) == 2
    assert "none for Python 3.11 on aarch64" in capsys.readouterr().err


BAD_LABS = {
    "typo": ("statoin: x\n", "line 8: statoin: expected a known key (did you mean 'station'?)"),
    "inner typo": (
        "wifi: {sid: x, password_file: wifi-password, country: CH}\n",
        "line 8: wifi.sid: expected a known key (did you mean 'ssid'?)",
    ),
    "twice": ("station: lab2\n", "line 8: station: expected each key once, got it twice, on lines 2 and 8"),
    "lower country": (cards.WIFI.replace("CH", "ch"), "country"),
    "no password": (cards.WIFI.replace("wifi-password", "gone"), "cannot be read"),
    "no way out": ("ethernet: false\n", "no reading would arrive"),
    "bad host": ("time_server: ntp lab\n", "time_server: expected a host's name"),
    "unsigned debs": ("debs: debs\n", "debs without debs_keyring"),
    "trust without channel": ("trust: trust.json\n", "expected trust and channel together"),
    "trust that is none": ("trust: anna.pub\nchannel: study\n", "trust: anna.pub"),
    "bundle without key": ("bundle: some.bundle\n", "bundle without trusted_keys"),
}


@pytest.mark.parametrize("name", BAD_LABS)
def test_a_wrong_key_of_the_lab_is_one_clear_error(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra, expected = BAD_LABS[name]
    lab = cards.lab(tmp_path / "lab", extra=extra)
    assert provision(lab, cards.mounted(tmp_path / "boot", cards.trixie())) == 2
    assert expected in capsys.readouterr().err


def test_secrets_and_keys_that_are_none_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = cards.lab(tmp_path / "lab", extra=cards.WIFI)
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    (lab.parent / "wifi-password").write_text("short\n")
    assert provision(lab, card) == 2
    assert "expected a password of 8-63 plain characters" in capsys.readouterr().err
    (lab.parent / "wifi-password").write_text("long enough\n")
    (lab.parent / "anna.pub").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert provision(lab, card) == 2
    assert "expected a public key, got a PRIVATE one" in capsys.readouterr().err
    (lab.parent / "anna.pub").write_text(cards.PUBLIC_KEY.replace("AAAAC3", "AAAAB3"))
    assert provision(lab, card) == 2
    assert "anna.pub, line 1: expected a public key" in capsys.readouterr().err


def test_a_numpy_that_hides_the_systems_is_refused_where_there_is_a_camera(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab.parent / "wheels/numpy-2.2.0-cp313-cp313-manylinux2014_aarch64.whl").write_bytes(b"numpy")
    assert provision(lab, cards.mounted(tmp_path / "boot", cards.trixie())) == 2
    assert "would hide the system's numpy" in capsys.readouterr().err


def test_wheels_of_the_workstation_are_refused(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(lab.parent / "wheels")
    cards.wheels(lab.parent / "wheels", "3.13", machine="x86_64")
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    assert provision(lab, card) == 2
    assert "there are some for another machine" in capsys.readouterr().err
    assert provision(lab, card, "--architecture", "amd64") == 0


def test_a_bundle_that_the_device_would_refuse_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = cards.lab(tmp_path / "lab", extra="bundle: lab.bundle\ntrusted_keys: [lab.pub]\n")
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    data = cards.ROOT / "tests/data"
    shutil.copy(data / "tiny.bundle", lab.parent / "lab.bundle")
    shutil.copy(data / "tiny.pub", lab.parent / "lab.pub")
    assert provision(lab, card) == 0
    assert (card / "cageclock/bundle/lab.bundle").read_bytes() == (data / "tiny.bundle").read_bytes()
    assert "/etc/cageclock/keys/lab.pub" in (card / "cageclock/cageclock.yaml").read_text()
    altered = bytearray((data / "tiny.bundle").read_bytes())
    altered[-2000] ^= 1
    (lab.parent / "lab.bundle").write_bytes(altered)
    assert provision(lab, card) == 3
    assert "the device would refuse it" in capsys.readouterr().err


def test_settings_that_the_device_would_refuse_are_refused_here(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab.parent / "cage.yaml").write_text("schedule: {interval_ligt_s: 600}\nquality: {min_mean_grey: -1}\n")
    assert provision(lab, cards.mounted(tmp_path / "boot", cards.trixie())) == 2
    said = capsys.readouterr().err
    assert "interval_ligt_s" in said
    assert "min_mean_grey" in said


def test_a_key_of_user_data_that_cloud_init_passes_over_is_refused() -> None:
    """`cloud-init schema` finds `hostnme:` valid."""
    from edge.errors import OperatorError
    from station.provision.templates import check_user_data

    with pytest.raises(OperatorError, match="hostnme: cloud-init knows no such key; did you mean 'hostname'"):
        check_user_data("#cloud-config\nhostnme: cage-07\n", "user-data")
    with pytest.raises(OperatorError, match="lock_passwrd"):
        check_user_data("#cloud-config\nusers:\n- {name: a, lock_passwrd: true}\n", "user-data")
    with pytest.raises(OperatorError, match="#cloud-config"):
        check_user_data("# cloud-config\nhostname: a\n", "user-data")
