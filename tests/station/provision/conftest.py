"""A lab whose cards are provisioned."""

from pathlib import Path

import pytest

from tests.station.provision import cards


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return cards.lab(tmp_path / "lab", extra=cards.WIFI + "time_server: ntp.lab\ninfrared_gpio: 22\n")
