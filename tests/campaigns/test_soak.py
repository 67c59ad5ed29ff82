"""The soak in small: a minute of the real processes, one reading a second."""

from pathlib import Path

import pytest

from tests.campaigns.campaign import Line
from tests.campaigns.soak import soak


@pytest.mark.broker
@pytest.mark.slow
def test_a_minute_of_the_real_processes_leaves_no_file_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = Line("soak", 0, "minutes")
    faults = soak(tmp_path, 1.0, line)
    with capsys.disabled():
        print(f"\n{line.text()}")
    assert faults == []
    assert line.notes["records"] > 40
