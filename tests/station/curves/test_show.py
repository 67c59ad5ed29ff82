"""What `show` says where there is little to show, much of it, or something hostile in a name."""

import csv
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from edge.contract.reading import Outcome, Reason
from station.curves.curve import Capture, Curve, Sighting, gather
from station.curves.figure import DPI, draw_png, page_files, pages, size_in
from station.curves.layout import layout_for
from station.registry.subjects import import_subjects
from station.store.schema import open_for_reading
from station.store.store import Store
from tests.station import samples
from tests.station.running import ROOT
from tests.station.samples import START, animal, arrival, reading


def show(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "station.cli", "show", "--data", str(data), *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )


def fill(data: Path, messages: list, table: str = "") -> None:
    with closing(Store.open(data)) as store:
        store.take(messages)
    if table:
        (data / "s.csv").write_text(table)
        import_subjects(data / "s.csv", data)


def test_an_animal_without_an_accepted_reading_is_shown_with_the_counts_of_reasons(tmp_path: Path) -> None:
    def refused(*reasons: Reason, estimated: bool = True):
        one = msgspec.structs.replace(animal(100, accepted=False), reject_reasons=reasons)
        return one if estimated else msgspec.structs.replace(one, estimate=None)

    found = [
        [refused(Reason.OUT_OF_DOMAIN, Reason.TOO_UNCERTAIN)],
        [refused(Reason.OUT_OF_DOMAIN)],
        [refused(Reason.CURLED, estimated=False)],
        [],
        [],
    ]
    messages = [
        arrival(
            reading(
                seq,
                accepted=False,
                animals=tuple(animals),
                at=START + timedelta(days=seq),
                outcome=Outcome.OK if animals else Outcome.DARK,
            ),
            seq,
        )
        for seq, animals in enumerate(found, start=1)
    ]
    fill(tmp_path, messages, "subject,cage\nM1,cage-1\nM7,cage-7\nM8,\n")
    done = show(tmp_path, "--subject", "M1", "--subject", "M7")
    assert done.returncode == 0, done.stderr
    expected = "of 5 captures 3 ok, 2 dark; estimates not accepted: 2 out_of_domain, 1 too_uncertain, 1 curled"
    assert f"  no accepted reading: {expected}\n" in done.stdout
    assert "M7: in the lab's table; no reading yet of its cage cage-7\n" in done.stdout
    assert show(tmp_path, "--subject", "M8").stdout.startswith("M8: in the lab's table; no reading yet names it")
    assert show(tmp_path, "--subject", "M9").returncode == 2


def test_ages_and_intervals_never_lie_below_0(tmp_path: Path) -> None:
    fill(
        tmp_path,
        samples.days([(d, 10 + d) for d in range(5)]),
        f"subject,date_of_birth,cage\nM1,{START.date()},cage-1\n",
    )
    text = show(tmp_path, "--by", "day").stdout
    assert "-" not in [line.split()[3] for line in text.splitlines() if line.startswith("  2026")]
    assert " 0.0 - 7.1 " in text
    from station.cli import main

    assert main(["export", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    with (tmp_path / "out" / "animals.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["interval_low_days"] for row in rows} == {"0.0"}
    assert rows[0]["estimate_days"] == "10.0"


def test_the_export_names_nobody_outside_an_animal_s_dates_and_says_why(tmp_path: Path) -> None:
    early = samples.days([(0, 5)], seq=11, synced=False, since=datetime(1970, 1, 1, tzinfo=UTC), subject="M1")
    messages = [*samples.days([(d, 700 + d) for d in range(0, 20, 2)], subject="M1"), *early]
    messages += samples.days([(0, 99)], device="cage-2")
    fill(tmp_path, messages, "subject,cage,date_of_death\nM1,cage-1,2026-01-13\n")
    from station.cli import main

    assert main(["export", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    with (tmp_path / "out" / "animals.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = [(row["subject"], row["subject_reason"], row["time_basis"]) for row in rows]
    assert [row["identity_method"] for row in rows] == ["none"] + ["single_housed"] * 5 + ["none"] * 6
    known = "synchronised"
    assert found == [
        ("", "clock_never_set", "unsynchronised"),
        *[("M1", "", known)] * 5,
        *[("", "after_death", known)] * 5,
        ("", "not_in_table", known),
    ]


def test_what_is_dated_after_it_came_is_on_no_curve_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clock that ran ahead drew a curve into the future, and hid in the status that the device had stopped."""
    good = samples.days([(d, 100 + d) for d in range(0, 10, 2)], subject="M1")
    ahead = samples.days([(0, 5), (2000, 6)], seq=21, since=datetime(2031, 6, 1, tzinfo=UTC), subject="M1")
    moved = msgspec.structs.replace(samples.event(31), recorded_at=datetime(2032, 1, 1, tzinfo=UTC))
    fill(tmp_path, [*good, *ahead, arrival(moved, 31)], "subject,cage,date_of_birth\nM1,cage-1,2025-10-01\n")
    text = show(tmp_path, "--by", "day").stdout
    assert "left out: 2 readings dated after they came (labelled 2031-06-01 to 2036-11-21), cage cage-1" in text
    assert [line for line in text.splitlines() if line.startswith(("  2031", "  2032", "  2036"))] == []
    assert len([line for line in text.splitlines() if line.startswith("  2026")]) == 5
    from station.cli import main

    assert main(["status", "--data", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "! clock_ahead: 2 readings are dated more than a day after they came, up to 2036-11-21" in said
    assert main(["export", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    with (tmp_path / "out" / "animals.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["subject_reason"] for row in rows] == [""] * 5 + ["clock_ahead"] * 2
    assert {row["time_basis"] for row in rows[5:]} == {"ahead"}
    assert main(["devices", "acknowledge", "cage-1", "--data", str(tmp_path)]) == 0
    assert main(["status", "--data", str(tmp_path)]) == 0


HOSTILE = "\x1b]0;owned\x07=cmd|' /C calc'!A0‮"


def test_hostile_names_steer_no_terminal_no_picture_and_no_spreadsheet(tmp_path: Path) -> None:
    names = [HOSTILE, "$\\frac{$", "=1+2"]
    messages = []
    for seq, name in enumerate(names, start=1):
        one = reading(seq, animals=(animal(100, subject=name),), cage=name, device=f"d{seq}")
        messages.append(arrival(one, seq, device=f"d{seq}"))
    fill(tmp_path, messages)
    done = show(tmp_path, "--png", str(tmp_path / "c.png"))
    assert done.returncode == 0, done.stderr
    wrong = show(tmp_path, "--subject", "\x1b[2J")
    for text in (done.stdout, done.stderr, wrong.stderr):
        assert not {"\x1b", "\x07", "‮"} & set(text)
    assert r"\x1b]0;owned\x07=cmd|' /C calc'!A0\u202e: C57BL/6J" in done.stdout
    from station.cli import main

    assert main(["export", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    with (tmp_path / "out" / "animals.csv").open() as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert "'=1+2" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\x1b"))]


def curves(number: int) -> list[Curve]:
    found = []
    for k in range(number):
        times = [START + timedelta(days=7 * week) for week in range(6)]
        seen = [Sighting(at, "dark", True, 100 + 5 * k, 60 + 5 * k, 140 + 5 * k, "a" * 64) for at in times]
        slots = [Capture(at, "dark", "ok", "a" * 64) for at in times]
        born = date(2025, 10, 1)
        windows = gather(seen, slots, "week", born)
        about = (f"M{k}", True, "d", "c", None, None, born, None)
        found.append(Curve(*about, tuple(seen), tuple(slots), windows, (), ("simulated",)))
    return found


def ink(picture: Image.Image, inches: tuple[float, float]) -> int:
    """Return how many rows of pixels between two heights, in inches from the top, are not white all along."""
    top, bottom = (round(DPI * inch) for inch in inches)
    grey = picture.convert("L").crop((0, top, picture.width, bottom))
    return sum(1 for row in range(grey.height) if min(grey.crop((0, row, grey.width, row + 1)).tobytes()) < 250)


def test_a_picture_of_fifty_animals_is_about_as_wide_as_high_and_more_go_into_further_pictures() -> None:
    for panels in (1, 2, 6, 7, 12, 50, 60):
        width, height = size_in(layout_for(panels), panels, legend_rows=2)
        assert 0.4 < width / height < 2.5
        assert height * DPI < 4000
    assert [len(page) for page in pages(curves(1) * 121)] == [60, 60, 1]
    assert [path.name for path in page_files(Path("x/c.png"), 3)] == ["c.png", "c-2.png", "c-3.png"]


@pytest.mark.parametrize("number", [1, 7])
def test_title_legend_and_panels_have_rows_of_their_own_for_one_animal_and_for_many(
    tmp_path: Path, number: int
) -> None:
    [path] = draw_png(curves(number), "week", tmp_path / "c.png")
    with Image.open(path) as picture:
        size = size_in(layout_for(number), number, legend_rows=2 if number == 1 else 1)
        assert picture.size == pytest.approx([DPI * length for length in size], abs=1)
        assert ink(picture, (0.08, 0.36)) > 15  # the title
        assert ink(picture, (0.37, 0.44)) == 0
        assert ink(picture, (0.45, 0.6)) > 5  # the legend's first line


def test_a_curve_without_any_capture_needs_no_panel(tmp_path: Path) -> None:
    fill(tmp_path, samples.days([(0, 100)], synced=False), "subject,cage\nM1,cage-1\n")
    with closing(open_for_reading(tmp_path)):
        done = show(tmp_path, "--png", str(tmp_path / "c.png"))
    assert done.returncode == 2
    assert "no readings to draw yet" in done.stderr
    assert "left out: 1 reading of a boot that never got the time" in done.stdout
