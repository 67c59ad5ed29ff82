"""What a curve shows, taken along: CSV, PNG and SVG; and the two gaps beside it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from PIL import Image

from station.curves.curve import fit_trend
from station.curves.days import load_day_curves
from station.page.read import log
from station.page.series import unpack
from tests.harness.waiting import wait_until
from tests.station.page.lab import NOW, Browserless, PageProcess, add_people, fill

OF = urlencode({"kind": "animal", "name": "M2", "device": ""})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageProcess]:
    data = tmp_path_factory.mktemp("export") / "lab"
    fill(data, 4, days=30)
    add_people(data)
    with PageProcess(data) as found:
        yield found


@pytest.fixture(scope="module")
def who(page: PageProcess) -> Browserless:
    found = Browserless(page.port)
    assert found.sign_in("technician") == 303
    return found


def table(who: Browserless) -> list[dict[str, str]]:
    assert "attachment" in (who.answer.getheader("content-disposition") or "")
    return list(csv.DictReader(io.StringIO(who.text)))


def test_days_as_csv_are_those_of_the_curve(who: Browserless) -> None:
    assert who.get(f"/data/days?{OF}") == 200
    _, columns = unpack(who.content)
    assert who.get(f"/data/days.csv?{OF}") == 200
    rows = table(who)
    assert len(rows) == len(columns["at"]) >= 30
    assert rows[-1]["day"] == NOW.date().isoformat()
    assert [date.fromisoformat(row["day"]) for row in rows] == sorted(date.fromisoformat(row["day"]) for row in rows)
    for n, row in enumerate(rows):
        assert row["readings"] == str(int(columns["readings"][n]))
        if row["looks_days"]:
            assert float(row["looks_days"]) == pytest.approx(columns["age"][n], abs=0.006)
            assert float(row["gap_days"]) == pytest.approx(columns["age"][n] - columns["true"][n], abs=0.011)


def test_readings_as_csv_hold_those_that_were_not_accepted_with_why(who: Browserless) -> None:
    assert who.get(f"/data/readings.csv?{OF}&from=0&until=9e9") == 200
    rows = table(who)
    assert len(rows) == 60
    refused = [row for row in rows if row["accepted"] == "no"]
    assert len(refused) == 11
    assert {row["reject_reasons"] for row in refused} == {"out_of_domain"}
    assert all(row["looks_days"] for row in refused)


def test_the_figure_comes_as_png_and_as_svg(who: Browserless) -> None:
    assert who.get(f"/figure?{OF}&format=png") == 200, who.text
    with Image.open(io.BytesIO(who.content)) as drawn:
        assert min(drawn.size) > 200
    assert who.get(f"/figure?{OF}&format=svg") == 200
    assert ElementTree.fromstring(who.content).tag.endswith("svg")
    assert who.get(f"/figure?{OF}&format=pdf") == 400
    nobody = urlencode({"kind": "animal", "name": "--help", "format": "png"})
    assert who.get(f"/figure?{nobody}") == 400
    assert "no readings to draw" in who.text


def test_the_corrected_gap_is_that_of_the_whole_lab_and_stands_apart_from_the_raw_one(
    page: PageProcess, who: Browserless
) -> None:
    with log(page.data) as connection:
        curves = load_day_curves(connection, "week")
    trend = fit_trend(curves)
    assert trend is not None
    own = next(curve for curve in curves if curve.name == "M2")
    newest = [window for window in own.windows if window.age_days is not None][-1]
    expected = trend.corrected_gap_days(newest)
    assert expected is not None
    wait_until(lambda: who.get("/animal?name=M2") == 200 and "Freed of that lean by a line over 4 animals" in who.text)
    gaps = re.findall(r"<dd>([+−][\d.]+) weeks\.", who.text)
    assert gaps == [f"{value / 7:+.1f}".replace("-", "−") for value in (newest.gap_days, expected) if value is not None]
