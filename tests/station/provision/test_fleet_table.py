"""One table for many cards: a wrong row costs itself."""

import shutil
from pathlib import Path

import pytest

from tests.station.provision import cards
from tests.station.provision.cards import provision


def test_one_wrong_row_of_the_fleet_costs_itself(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("cage-1", "cage-2", "cage-4", "cage-5"):
        cards.mounted(tmp_path / name, cards.trixie())
    table = tmp_path / "fleet.csv"
    table.write_text(
        "device;cage;px_per_mm;place\ncage-1;a1;4.0;rack 1\ncage-2;a2;-4.0;\ncage-3;a3;4.0;\nCage 4;a4;4.0;\n"
        "cage-5;a5;4.0;\ncage-5;a6;4.0;\n"
    )
    code = provision(
        lab, tmp_path / "{device}", "--fleet", str(table), "--labels", str(tmp_path / "l.pdf"), device=None
    )
    said = capsys.readouterr()
    assert code == 2
    assert (tmp_path / "cage-1/cageclock/card.json").exists()
    assert not (tmp_path / "cage-2/cageclock").exists()
    assert "cage-2: its settings would be refused" in said.err.replace("cage-2: cage-2", "cage-2")
    assert "cage-3: there is no such folder" in said.err.replace(f"--card {tmp_path}/", "")
    assert "line 5: device: expected a name" in said.err
    assert "lines 6, 7: device 'cage-5' stands there more than once" in said.err
    assert "1 of 5 devices; 4 passed over" in said.out
    assert (tmp_path / "l.pdf").read_bytes().startswith(b"%PDF")


def test_a_table_for_one_mount_needs_a_device(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = cards.mounted(tmp_path / "boot", cards.trixie())
    table = tmp_path / "fleet.csv"
    table.write_text("device,cage\ncage-1,a1\ncage-2,a2\n")
    assert provision(lab, card, "--fleet", str(table), device=None) == 2
    assert "expected {device} in it" in capsys.readouterr().err
    assert provision(lab, card, "--fleet", str(table), device="cage-9") == 2
    assert "no device 'cage-9'; there are cage-1, cage-2" in capsys.readouterr().err


def test_the_wrong_place_for_a_card_is_said(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "media").mkdir()
    cards.mounted(tmp_path / "media/bootfs", cards.trixie())
    assert provision(lab, tmp_path / "media") == 2
    assert f"did you mean {tmp_path / 'media/bootfs'}?" in capsys.readouterr().err
    assert provision(lab, tmp_path / "none") == 2
    assert "is the card in, and mounted?" in capsys.readouterr().err
    (tmp_path / "card.img.xz").write_bytes(b"\xfd7zXZ\x00" + bytes(1000))
    assert provision(lab, tmp_path / "card.img.xz") == 2
    assert "unpack it first" in capsys.readouterr().err or shutil.which("mcopy") is None
