"""The contact sheet shows animals of three ages in both lights, and every posture."""

import pytest

from edge.simulate import POSTURES
from edge.simulate.gallery import contact_sheet


@pytest.mark.slow
def test_the_sheet_has_a_tile_for_every_age_light_and_posture() -> None:
    sheet = contact_sheet(3)
    assert sheet.mode == "RGB"
    assert sheet.size == (3 * 480, (3 * 2 + len(POSTURES) // 3) * 300)
    assert len(sheet.convert("L").resize((30, 80)).getcolors()) > 40, "tiles are pictures, not blanks"
