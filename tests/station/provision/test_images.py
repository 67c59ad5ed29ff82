"""An image file is written like a mounted card."""

import json
import shutil
from pathlib import Path

import pytest

from tests.station.provision import cards
from tests.station.provision.cards import provision

needs_mtools = pytest.mark.skipif(
    shutil.which("mcopy") is None or shutil.which("mkfs.vfat") is None, reason="mtools and dosfstools make the image"
)


@needs_mtools
@pytest.mark.parametrize("table", [True, False], ids=["card", "partition"])
def test_an_image_is_written_without_a_mount(lab: Path, tmp_path: Path, table: bool) -> None:
    image = cards.image(tmp_path / "card.img", cards.trixie(), table=table)
    assert provision(lab, image) == 0
    assert 'hostname: "cage-07"' in cards.read_image(image, "user-data", table=table)
    card = json.loads(cards.read_image(image, "cageclock/card.json", table=table))
    for name in card["files"]:
        assert cards.read_image(image, f"cageclock/{name}", table=table)
    mounted = cards.mounted(tmp_path / "boot", cards.trixie())
    provision(lab, mounted)
    assert (mounted / "cmdline.txt").read_text() == cards.read_image(image, "cmdline.txt", table=table)


@needs_mtools
def test_a_full_partition_is_refused_before_anything_is_written(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = cards.image(tmp_path / "card.img", cards.trixie(), megabytes=40)
    big = lab.parent / "wheels/msgspec-0.22.0-cp313-cp313-manylinux2014_aarch64.manylinux_2_17_aarch64.whl"
    big.write_bytes(b"x" * 36 * 2**20)
    before = image.read_bytes()
    assert provision(lab, image) == 4
    said = capsys.readouterr().err
    assert "nothing was written" in said
    assert "MB are free" in said
    assert image.read_bytes() == before
