"""A dataset of pictures and a table: every error with its line and column, warnings of what misleads, crops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from edge.errors import OperatorError
from edge.simulate import CageSetup, SimulatedCage
from edge.vision.preprocess import age_input
from tests.training.conftest import command
from training.crops.table import Crops
from training.dataset.check import check, two_cages
from training.dataset.cut import cut_dataset
from training.dataset.scale import check_scale
from training.dataset.strains import judge_strain
from training.dataset.table import read_animals
from training.networks.shapes import age_spec
from training.run import Run
from training.simulated.table import animals_of


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Forty animals of all ages seen by four cameras, a picture each, with nothing to say against them."""
    rng = np.random.default_rng(2)
    rows = []
    for number in range(40):
        name = f"p{number:02d}.png"
        noise = rng.integers(0, 256, (12, 16), dtype=np.uint8)
        Image.fromarray(noise).resize((160, 120)).save(tmp_path / name)
        born = pd.Timestamp("2023-01-01") + pd.Timedelta(days=int(rng.integers(0, 300)))
        rows.append(
            {
                "picture": name,
                "subject": f"m{number}",
                "date_of_birth": f"{born:%Y-%m-%d}",
                "captured_at": f"{born + pd.Timedelta(days=60 + number * 8):%Y-%m-%d}",
                "strain": "C57BL/6J",
                "sex": "FM"[number % 2],
                "cage": f"c{number // 2}",
                "camera": f"cam{number % 4}",
                "weight_g": 25.5,
            }
        )
    pd.DataFrame(rows).to_csv(tmp_path / "animals.csv", index=False)
    return tmp_path


def changed(dataset: Path, change: Callable[[pd.DataFrame], object]) -> list[str]:
    """Return the findings, as text, after a change of the table (text cells; changed in place or returned)."""
    path = dataset / "animals.csv"
    table = pd.read_csv(path, dtype=str)
    result = change(table)
    (result if isinstance(result, pd.DataFrame) else table).to_csv(path, index=False)
    return [str(finding) for finding in check(dataset)]


def put(line: int, column: str, value: str) -> Callable[[pd.DataFrame], None]:
    """Return a change of one cell by the line of the file."""

    def change(table: pd.DataFrame) -> None:
        table.loc[line - 2, column] = value

    return change


def test_a_sound_dataset_has_no_errors(dataset: Path) -> None:
    assert [text for text in changed(dataset, lambda table: table) if text.startswith("error")] == []


WRONG = [
    (5, "captured_at", "2022-12-01", "error: line 5, column 'captured_at': taken"),
    (6, "date_of_birth", "05/06/2023", "error: line 6, column 'date_of_birth': expected an ISO date"),
    (7, "sex", "X", "error: line 7, column 'sex': expected one of M, F, U, O, got 'X'"),
    (8, "weight_g", "2550", "error: line 8, column 'weight_g': expected a number from 1 to 120, got '2550'"),
    (9, "subject", "", "error: line 9, column 'subject': is empty"),
    (10, "picture", "none.png", "error: line 10, column 'picture': there is no file none.png"),
    (11, "strain", "C57BL/6X", "error: line 11, column 'strain': expected a strain in MGI nomenclature"),
    (12, "strain", "B6", "warning: line 12, column 'strain': 'B6' names no substrain; C57BL/6J, C57BL/6NTac and"),
]


def test_every_wrong_cell_is_named_errors_first(dataset: Path) -> None:
    def change(table: pd.DataFrame) -> None:
        for line, column, value, _ in WRONG:
            put(line, column, value)(table)

    texts = changed(dataset, change)
    for line, _, _, said in WRONG:
        assert any(text.startswith(said) for text in texts), line
    errors = [text.startswith("error") for text in texts]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.assign(subject="m1"), "all lines are of one animal"),
        (lambda table: table.assign(age_days="70", captured_at=table.captured_at), "but date_of_birth and captured_at"),
        (lambda table: table.drop(columns="captured_at").assign(age_days="70"), "constant: every animal is 70 days"),
        (lambda table: table.assign(litter=""), "column 'litter': no value in any line"),
        (lambda table: table.rename(columns={"weight_g": "wieght_g"}), "did you mean 'weight_g'?"),
        (lambda table: table.drop(columns="captured_at").assign(age_days="-3"), "the age lies before the birth: -3"),
        (lambda table: table.assign(sex="F"), "warning: column 'sex': only F"),
        (lambda table: table.assign(camera=table.cage), "every camera sees one cage only"),
    ],
)
def test_what_is_wrong_with_the_whole_is_said(dataset: Path, change, said: str) -> None:
    assert any(said in text for text in changed(dataset, change))


def test_a_truncated_picture_is_named(dataset: Path) -> None:
    path = dataset / "p03.png"
    path.write_bytes(path.read_bytes()[:200])
    texts = changed(dataset, lambda table: table)
    assert next(one for one in texts if one.startswith("error")).startswith("error: line 5, column 'picture': cannot")


def test_the_same_picture_of_two_animals_is_found_though_saved_anew(dataset: Path) -> None:
    Image.open(dataset / "p01.png").convert("RGB").resize((320, 240)).save(dataset / "p30.png")
    said = "line 32, column 'picture': p30.png shows the same as p01.png of 'm1' (line 3)"
    assert any(said in text for text in changed(dataset, lambda table: table))


def test_an_animal_in_two_cages_at_once_is_found(dataset: Path) -> None:
    def change(table: pd.DataFrame) -> None:
        for column in ("subject", "date_of_birth"):
            table.loc[10, column] = table.loc[0, column]
        table.loc[[0, 10], "captured_at"] = [f"{table.captured_at[0]}T09:{minute}:00Z" for minute in ("00", "20")]

    assert any(
        "line 12, column 'cage': 'm0' is in two cages at once: c0 and c5" in one for one in changed(dataset, change)
    )


@pytest.mark.parametrize("ages", [False, True])
def test_one_day_in_two_cages_proves_nothing(ages: bool) -> None:
    """The animal moved on that day; days come with a clock time of midnight from some programs."""
    days = pd.to_datetime(pd.Series(["2024-03-31", "2024-03-31T00:00:00Z"]), utc=True, format="ISO8601")
    table = pd.DataFrame({"subject": "M1", "cage": ["c1", "c2"], "captured_at": days, "age_days": 100.0})
    nothing = pd.to_datetime(pd.Series([pd.NaT] * 2), utc=True)
    assert two_cages(table.assign(captured_at=nothing) if ages else table) == []
    hours = days + pd.to_timedelta([540, 560], unit="min")
    timed = table.assign(captured_at=nothing, age_days=[100.4, 100.41])
    assert len(two_cages(timed if ages else table.assign(captured_at=hours))) == 1


def looked_over(dataset: Path, text: str, name: str = "animals.csv") -> tuple[pd.DataFrame, list[str]]:
    """Return a table of text as it is read, and what is said of it."""
    (dataset / name).write_text(text)
    table, findings = read_animals(dataset / name)
    return table, [str(finding) for finding in findings]


def test_a_table_as_spreadsheets_leave_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    text = "sep=;\nPicture;Subject;Age days;Treatment;Weight g;;\n"
    text += "sub\\a.png;M1;970;none;20,5;;\n.\\b.png;M2;1.005;drug;n/a;;\n;;;;;;\n"
    table, said = looked_over(tmp_path, text)
    assert table.picture.tolist() == ["sub/a.png", "b.png"]
    assert table.treatment.tolist() == ["none", "drug"]
    assert table.age_days.tolist() == [970, 1005]
    assert table.weight_g[:1].tolist() == [20.5]
    assert [text for text in said if text.startswith("error")] == []
    assert any("'1.005' is read as 1005" in text for text in said)
    assert "note: column 'weight_g': 1 cell 'n/a' count as missing" in said


def test_arms_and_strains_written_in_two_ways_are_warned_of(dataset: Path) -> None:
    def change(table: pd.DataFrame) -> None:
        table["treatment"] = ["Control", "control", *["drug"] * (len(table) - 2)]

    said = changed(dataset, change)
    assert any("likely mean one arm: 'Control' and 'control'" in text for text in said), said


def test_what_could_be_read_two_ways_is_an_error_of_check(tmp_path: Path) -> None:
    text = 'picture,subject,age_days,date_of_birth\na.png,M1,5,05/06/2023\nb.png,m1,"1,005",2023-01-01\n'
    table, said = looked_over(tmp_path, text)
    assert table.age_days.isna().tolist() == [False, True]
    assert any(text.startswith("error: line 3, column 'age_days': '1,005' can be 1005 or 1.005") for text in said)
    assert any("line 2, column 'date_of_birth': expected an ISO date" in text for text in said)
    assert any(
        "column 'subject': names that differ little likely mean one animal: 'M1' and 'm1'" in text for text in said
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("age_weeks", "'age_weeks' is likely the age: write its weeks in days (1 of them is 7) and name it age_days"),
        ("Age (months)", "'Age (months)' is likely the age: write its months in days (1 of them is 30.4)"),
        ("age", "'age' is likely the age: if it is in days, do no more than name it age_days"),
        ("stage", "expected a column age_days, or date_of_birth and captured_at"),
    ],
)
def test_a_column_that_is_likely_the_age_is_named(dataset: Path, name: str, hint: str) -> None:
    rows = "".join(f"p{n:02d}.png,m{n},{20 + n}\n" for n in range(9))
    _, found = looked_over(dataset, f"picture,subject,{name}\n{rows}")
    [said] = [text for text in found if "expected a column age_days" in text]
    assert said.endswith(hint) or f"{hint} and name it" in said
    assert ("likely" in said) == (name != "stage")


def test_weeks_and_months_among_days_are_warned_of(dataset: Path) -> None:
    def ages(factor: float, strain: str = "C57BL/6J") -> list[str]:
        rows = "".join(f"p{n:02d}.png,m{n},{(100 + 20 * n) / factor:.0f},{strain}\n" for n in range(30))
        _, found = looked_over(dataset, f"picture,subject,age_days,strain\n{rows}")
        return [text for text in found if "are these weeks or months?" in text]

    assert ages(1) == []
    assert ages(1, "AKR/J") == []
    assert len(ages(7)) == len(ages(30.4)) == 1
    assert "the median of C57BL/6J is 55.5 days, and such mice live about 800" in ages(7)[0]


def test_a_body_part_at_the_corner_is_not_labelled(dataset: Path) -> None:
    head = "picture,subject,age_days,snout_x,snout_y,tail_base_x,tail_base_y\n"
    table, found = looked_over(dataset, f"{head}p00.png,m0,200,0,0,50,60\np01.png,m1,300,0,12,0,0\n")
    errors = [text for text in found if "(0, 0)" in text]
    assert [text.split(":")[1].strip() for text in errors] == [
        "line 2, column 'snout_x'",
        "line 3, column 'tail_base_x'",
    ]
    assert table[["snout_x", "snout_y"]].loc[2].isna().all()
    assert (table.snout_x[3], table.snout_y[3]) == (0, 12), "one coordinate may be 0"


def test_a_refused_date_is_one_error(dataset: Path) -> None:
    """The age that cannot be reckoned from it is none of its own."""
    head = "picture,subject,date_of_birth,captured_at\n"
    rows = "p00.png,m0,2023-01-01,31.02.2024\np01.png,m1,2023-01-01,\np02.png,m2,01/02/2023,2024-05-05\n"
    _, found = looked_over(dataset, head + rows)
    errors = [text for text in found if text.startswith("error: line")]
    assert [text.split(":")[1].strip() for text in sorted(errors) if "no age" in text] == ["line 3, column 'age_days'"]
    assert len([text for text in errors if "column 'captured_at'" in text or "column 'date_of_birth'" in text]) == 2


def test_pictures_outside_of_the_dataset_are_no_pictures_of_its_folder(dataset: Path) -> None:
    inner = dataset / "inner"
    inner.mkdir()
    table = "picture,subject,age_days\n..\\p00.png,m0,200\n../p01.png,m1,300\n"
    (inner / "animals.csv").write_text(table)
    found = [str(finding) for finding in check(inner)]
    assert [text for text in found if "in no line of the table" in text] == []
    text = "warning: column 'picture': 2 pictures lie outside of the dataset's folder (first: ../p00.png): a copy of it"
    assert [one for one in found if one.startswith(text)]


def placed(scale: float = 4.0, count: int = 6, length_mm: float = 85.0) -> pd.DataFrame:
    """Return lines of animals that lie across a picture of 640 x 480, of one length, seen by one camera."""
    rows = []
    for number in range(count):
        angle = number / 2
        half = np.array([np.cos(angle), np.sin(angle)]) * length_mm * 4.0 / 2
        (snout_x, snout_y), (tail_x, tail_y) = np.array([330.0, 240.0]) + half, np.array([330.0, 240.0]) - half
        rows.append((snout_x, snout_y, tail_x, tail_y, scale, "cam0"))
    names = ["snout_x", "snout_y", "tail_base_x", "tail_base_y", "px_per_mm", "camera"]
    return pd.DataFrame(rows, columns=names, index=range(2, count + 2))


def scale_findings(table: pd.DataFrame, size: tuple[int, int] = (640, 480)) -> list[str]:
    return [str(finding) for finding in check_scale(table, dict.fromkeys(table.index, size))]


@pytest.mark.parametrize("factor", [0.1, 0.5, 2, 10])
@pytest.mark.parametrize("length_mm", [65, 85, 95])
def test_a_scale_wrong_by_two_or_ten_is_an_error(factor: float, length_mm: float) -> None:
    """A length of 100 mm and more, halved, is one that mice have too; nothing can tell it then."""
    assert scale_findings(placed(length_mm=length_mm)) == []
    said = scale_findings(placed(scale=4 * factor, length_mm=length_mm))
    assert said, (factor, length_mm)
    assert said[0].startswith("error: line 2, column 'px_per_mm': ")
    assert f"too {'small' if factor < 1 else 'large'}" in said[0]


def test_a_scale_wrong_in_one_line_is_named() -> None:
    table = placed()
    table.loc[4, "px_per_mm"] = 1.2
    assert [
        "line 4, column 'px_per_mm': snout and tail base are 283 mm apart" in one for one in scale_findings(table)
    ] == [True]


def test_exchanged_coordinates_are_named() -> None:
    table = placed()
    table.loc[2, ["snout_x", "snout_y"]] = table.loc[2, ["snout_y", "snout_x"]].to_numpy()
    [said] = scale_findings(table)
    assert "line 2, column 'snout_x'" in said
    assert "with snout_x and snout_y exchanged they are 85 mm" in said or "are snout_x and snout_y exchanged?" in said
    table = placed()
    table.loc[2, list(table)[:4]] = [60.0, 560.0, 300.0, 30.0]  # the snout was at 560, 60
    said = [one for one in scale_findings(table, (640, 640)) if "line 2, column 'snout_x'" in one]
    assert said[0].endswith("expected 50 to 120 for a mouse; with snout_x and snout_y exchanged they are 65 mm")
    table = placed()
    table[["snout_x", "snout_y"]] += [100.0, -150.0]
    table[["tail_base_x", "tail_base_y"]] += [100.0, -150.0]
    table[["snout_x", "snout_y"]] = table[["snout_y", "snout_x"]].to_numpy()
    assert any("as in a mouse only with snout_x and snout_y exchanged in 6" in one for one in scale_findings(table))
    narrow = placed(scale=1.2, length_mm=25.5)
    narrow[["snout_x", "snout_y"]] = narrow[["snout_y", "snout_x"]].to_numpy()
    narrow[["tail_base_x", "tail_base_y"]] = narrow[["tail_base_y", "tail_base_x"]].to_numpy()
    assert any("are snout_x and snout_y exchanged?" in one for one in scale_findings(narrow, (640, 300)))


def test_boxes_and_pictures_are_weighed_too() -> None:
    table = placed().assign(x0=100.0, y0=0.0, x1=639.0, y1=480.0)
    assert scale_findings(table) == []
    table.loc[3, ["x0", "x1"]] = [300.0, 200.0]
    assert any("line 3, column 'x0': expected x0 < x1" in one for one in scale_findings(table))
    only = pd.DataFrame({"px_per_mm": [42.0]}, index=[2])
    assert "no mouse fits" in scale_findings(only.assign(camera=""))[0]


def test_pictures_that_no_line_names_are_warned_of(dataset: Path) -> None:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        return put(3, "picture", "P01.PNG")(table) or table[table.picture != "p05.png"]

    texts = changed(dataset, change)
    assert any(
        "2 pictures of the folder are in no line of the table (first: p01.png, p05.png); 38 are" in one for one in texts
    )
    assert any("there is no file P01.PNG; there is p01.png" in one for one in texts)


def test_a_camera_that_tells_the_age_is_warned_of(dataset: Path) -> None:
    def change(table: pd.DataFrame) -> None:
        table["camera"] = [f"cam{number // 10}" for number in range(40)]

    texts = changed(dataset, change)
    assert any("column 'camera': the camera alone tells the age" in text for text in texts)


def test_two_groups_of_ages_are_warned_of(dataset: Path) -> None:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        ages = [str(60 + number if number % 2 else 700 + number) for number in range(40)]
        return table.drop(columns="captured_at").assign(age_days=ages)

    assert any("two groups of ages" in text for text in changed(dataset, change))


def test_strains_are_judged_by_their_names() -> None:
    assert judge_strain("C57BL/6J") is None
    assert judge_strain("B6.129P2-Apoetm1Unc/J") is None
    found = judge_strain("c57bl/6nt")
    assert found is not None
    assert found[0] == "error"
    assert "C57BL/6NTac" in found[1]


@pytest.mark.parametrize("content", ["", "picture,subject,age_days\n", "image,subject\na.png,m1\n"])
def test_a_table_that_cannot_be_read_is_one_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "animals.csv").write_text(content)
    done = command("check", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"cageclock-train: {tmp_path / 'animals.csv'}: ")
    assert "Traceback" not in done.stderr


def test_crops_are_the_devices_and_what_is_not_usable_is_listed(tmp_path: Path) -> None:
    """With body parts given, the crop has the very bits of `edge.vision.preprocess`; a line without scale is listed."""
    from datetime import UTC, datetime

    animal = animals_of(1, 1, 1)
    setup = CageSetup.from_seed(3)
    frame = SimulatedCage("c", animal, setup).photograph(
        at=datetime(2021, 3, 1, tzinfo=UTC), light="white", zeitgeber_h=6.0, seed=1
    )
    Image.fromarray(frame.image).save(tmp_path / "a.png")
    scale, height, width = frame.truth.px_per_mm, *frame.image.shape[:2]
    middle = (width / 2, height / 2)
    row = {"picture": "a.png", "subject": "m1", "age_days": 400, "cage": "c1", "item_fur_loss": 0.5}
    row |= {"snout_x": middle[0] + 35 * scale, "snout_y": middle[1]}
    row |= {"tail_base_x": middle[0] - 35 * scale, "tail_base_y": middle[1], "px_per_mm": scale}
    rows = [row, {**row, "px_per_mm": ""}, {**row, "snout_x": row["tail_base_x"] + 1}, {**row, "px_per_mm": scale / 2}]
    pd.DataFrame(rows).to_csv(tmp_path / "animals.csv", index=False)
    crops, unusable, _ = cut_dataset(tmp_path, None, None)
    points = (row["snout_x"], row["snout_y"]), (row["tail_base_x"], row["tail_base_y"])
    assert np.array_equal(crops.pixels[0], age_input(frame.image, *points, scale, age_spec()).pixels)
    assert [finding.line for finding in unusable] == [3, 4, 5]
    assert "no scale" in unusable[0].text
    assert "curled" in unusable[1].text
    assert "140 mm apart, no mouse is" in unusable[2].text
    crops.save(Run(tmp_path / "run"))
    kept = Crops.load(Run(tmp_path / "run")).table
    assert kept.item_fur_loss.tolist() == [0.5]
    assert kept.body_length_mm.tolist() == pytest.approx([70.0])


def test_crops_of_a_table_with_errors_are_refused(dataset: Path) -> None:
    changed(dataset, put(4, "sex", "X"))
    with pytest.raises(OperatorError, match="line 4, column 'sex'"):
        cut_dataset(dataset, None, None)
