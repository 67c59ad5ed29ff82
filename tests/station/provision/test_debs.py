"""Debian packages are believed as far as the archive's signature reaches: InRelease, Packages, package."""

import shutil
from pathlib import Path

import pytest

from edge.errors import OperatorError
from station.cli import main
from station.provision.debs import read_debs
from tests.station.provision import cards
from tests.station.provision.archive import digest, make_key, write_lists

no_gpg = shutil.which("gpg") is None or shutil.which("gpgv") is None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(no_gpg, reason="gpg signs the archive of the test")]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keyring home with two archives' keys: `archive`, which is trusted, and `stranger`."""
    home = tmp_path_factory.mktemp("gpg")
    for name in ("archive", "stranger"):
        make_key(home, name)
    return home


@pytest.fixture
def debs(tmp_path: Path, keys: Path) -> Path:
    folder = tmp_path / "debs"
    folder.mkdir()
    for name in ("python3-picamera2", "python3-venv", "python3-numpy", "python3-yaml"):
        (folder / f"{name}_1.0_arm64.deb").write_bytes(b"!<arch>\n" + name.encode())
    write_lists(folder, keys, "archive")
    return folder


def test_signed_packages_are_taken(debs: Path, keys: Path) -> None:
    assert len(read_debs(debs, keys / "archive.gpg")) == 4


def test_an_altered_package_is_named(debs: Path, keys: Path) -> None:
    (debs / "python3-numpy_1.0_arm64.deb").write_bytes(b"!<arch>\nworse")
    with pytest.raises(OperatorError, match=r"no signed list names python3-numpy_1\.0_arm64\.deb"):
        read_debs(debs, keys / "archive.gpg")


def test_an_altered_list_is_named(debs: Path, keys: Path) -> None:
    worse = debs / "worse_1.0_arm64.deb"
    worse.write_bytes(b"!<arch>\nworse")
    packages = debs / "lab_main_binary-arm64_Packages"
    packages.write_text(packages.read_text() + f"Package: worse\nSHA256: {digest(worse)}\n")
    with pytest.raises(OperatorError, match="is not the list that the archive signed"):
        read_debs(debs, keys / "archive.gpg")


def test_a_strangers_signature_is_none(debs: Path, keys: Path) -> None:
    write_lists(debs, keys, "stranger")
    with pytest.raises(OperatorError, match=r"no key of archive\.gpg signed it"):
        read_debs(debs, keys / "archive.gpg")


def test_a_digest_beside_the_signed_text_counts_for_nothing(debs: Path, keys: Path) -> None:
    """Only what was signed is read: text before and after it is anybody's."""
    worse = debs / "worse_1.0_arm64.deb"
    worse.write_bytes(b"!<arch>\nworse")
    more = debs / "more_Packages"
    more.write_text(f"Package: worse\nSHA256: {digest(worse)}\n")
    release = debs / "lab_InRelease"
    release.write_text(release.read_text() + f"\nSHA256:\n {digest(more)} 1 main/binary-arm64/Packages\n")
    with pytest.raises(OperatorError, match=r"more_Packages is not the list|no key of archive\.gpg signed it"):
        read_debs(debs, keys / "archive.gpg")


def test_a_folder_without_lists_says_what_belongs_there(tmp_path: Path, keys: Path) -> None:
    (tmp_path / "one_1_all.deb").write_bytes(b"!<arch>\n")
    with pytest.raises(OperatorError, match="got 1, 0 and 0"):
        read_debs(tmp_path, keys / "archive.gpg")


def test_a_card_gets_the_packages_and_says_which_are_not_among_them(
    debs: Path, keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = cards.lab(tmp_path / "lab", extra=f"debs: {debs}\ndebs_keyring: {keys}/archive.gpg\n")
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    options = ["provision", "--lab", str(lab), "--device", "cage-07", "--card", str(card)]
    assert main(options) == 0
    assert len(list((card / "cageclock/debs").iterdir())) == 4
    assert "must reach Debian's" not in capsys.readouterr().out
    (debs / "python3-picamera2_1.0_arm64.deb").unlink()
    assert main(options) == 0
    assert "debs: no python3-picamera2; the first boot fails" in capsys.readouterr().out
