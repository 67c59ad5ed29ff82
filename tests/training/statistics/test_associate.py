"""`cageclock-train associate` and `power` as a person runs them: known effects are found, wrong input is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.training.conftest import command
from tests.training.statistics.study import write_study
from training.cli import main
from training.statistics.associate import associate_files
from training.statistics.panel import AnalysisPlan

PLAN = AnalysisPlan(
    continuous=("frailty", "weight_g"),
    binary=("cataract",),
    genotype=("genotype",),
    treatment="treatment",
    survival=(("end_days", "fate", None),),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("study")
    return folder, *write_study(folder, 1)


def test_known_effects_are_found_and_replicate(study: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, predictions, table = study
    again = write_study(tmp_path / "again", 2, site="B")
    out = tmp_path / "out"
    done = command(
        *("associate", "--predictions", predictions, "--phenotypes", table, "--out", out),
        *("--validate", f"{again[0]},{again[1]}", "--continuous", "frailty,weight_g", "--binary", "cataract"),
        *("--genotype", "genotype", "--treatment", "treatment", "--survival", "end_days,fate"),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text())
    rows = {(row["name"], row["cohort"]): row for row in report["associations"]}
    assert len(rows) == 12
    for name in ("frailty", "cataract", "genotype, per allele", "death (end_days)"):
        assert rows[name, "discovery"]["p_bh"] < 0.05
        assert rows[name, "validation"]["replicated"] is True
    assert rows["weight_g", "validation"]["replicated"] is None
    allele = rows["genotype, per allele", "discovery"]
    assert allele["low"] < 40 < allele["high"]
    assert rows["death (end_days)", "discovery"]["estimate"] > 1.3
    assert "left-truncated" in rows["death (end_days)", "discovery"]["method"]
    one = report["interventions"][0]
    assert one["low"] < 0.7 < one["high"] < 1
    assert one["bootstrap_low"] == pytest.approx(one["low"], abs=0.05)
    assert sum(report["at_risk"]["discovery, end_days"]["looks old"].values()) > 0
    assert "associations hold" in done.stdout
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert (out / "forest.png").stat().st_size > 20_000


def test_cohorts_by_column_and_the_tables_own_columns(study: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, predictions, table = study
    known = pd.read_csv(table)
    known["batch"] = ["spring" if number % 3 else "autumn" for number in range(len(known))]
    whole = pd.read_csv(predictions).merge(known, on="subject")
    whole.to_csv(tmp_path / "whole.csv", index=False)
    lines = associate_files(
        tmp_path / "out", tmp_path / "whole.csv", None, AnalysisPlan(continuous=("frailty",)), by="batch"
    ).lines
    assert lines[0].startswith("spring: 60 animals")
    assert any(line.startswith("1 of 1 replicate in autumn") for line in lines)


def test_arms_given_to_whole_cages_make_the_cage_the_unit(tmp_path: Path) -> None:
    predictions, table = write_study(tmp_path, 3, per_cage=3)
    associate_files(tmp_path / "out", predictions, table, AnalysisPlan(treatment="treatment"))
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["associations"][0]["n"] == 30
    assert report["interventions"][0]["unit"] == "cage"
    assert report["interventions"][0]["units_treated"] == 15


def test_phenotypes_of_cages_make_the_cage_the_animal(tmp_path: Path) -> None:
    predictions, table = write_study(tmp_path, 4, per_cage=3)
    known = pd.read_csv(table).merge(pd.read_csv(predictions).drop_duplicates("subject")[["subject", "cage"]])
    cages = known.groupby("cage").agg({"frailty": "mean", "treatment": "first"}).reset_index()
    cages.to_csv(tmp_path / "cages.csv", index=False)
    plan = AnalysisPlan(continuous=("frailty",), treatment="treatment")
    associate_files(tmp_path / "out", predictions, tmp_path / "cages.csv", plan)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [row["n"] for row in report["associations"]] == [30, 30]
    assert report["interventions"][0]["units_control"] == 15
    assert report["interventions"][0]["ratio"] == pytest.approx(0.7, abs=0.15)


def test_several_arms_are_each_compared_with_the_control_and_corrected(tmp_path: Path) -> None:
    predictions, table = write_study(tmp_path, 6)
    known = pd.read_csv(table)
    known["treatment"] = [
        "water" if arm == "vehicle" and number % 6 == 0 else arm for number, arm in enumerate(known["treatment"])
    ]
    known.to_csv(table, index=False)
    associate_files(tmp_path / "out", predictions, table, AnalysisPlan(treatment="treatment", control="vehicle"))
    drug, water = json.loads((tmp_path / "out" / "report.json").read_text())["interventions"]
    assert (drug["treated"], water["treated"]) == ("rapamycin", "water")
    assert drug["p_holm"] == pytest.approx(2 * drug["p"])
    assert water["p_holm"] == pytest.approx(water["p"])
    assert drug["high"] < 1 < water["high"]


def test_several_examinations_make_a_mixed_model(study: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, predictions, table = study
    readings, known = pd.read_csv(predictions), pd.read_csv(table).set_index("subject")["frailty"]
    exams = readings[["subject", "age_days"]].iloc[::3].copy()
    exams["frailty"] = exams["subject"].map(known) + 0.001 * exams["age_days"] + (exams.index % 7) * 0.005
    exams.to_csv(tmp_path / "exams.csv", index=False)
    associate_files(tmp_path / "out", predictions, tmp_path / "exams.csv", AnalysisPlan(continuous=("frailty",)))
    row = json.loads((tmp_path / "out" / "report.json").read_text())["associations"][0]
    assert row["method"] == "mixed (animal), errors by animal (CR2, Satterthwaite)"
    assert row["estimate"] > 0


def test_the_stations_export_is_read_with_true_ages_from_births(study: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _, predictions, table = study
    readings, known = pd.read_csv(predictions), pd.read_csv(table)
    born = pd.Timestamp("2025-01-01", tz="UTC")
    animals = pd.DataFrame(
        {
            "subject": readings["subject"],
            "cage": readings["cage"],
            "captured_at": (born + pd.to_timedelta(readings["age_days"], unit="D")).dt.strftime(
                "%Y-%m-%dT%H:%M:%S.000Z"
            ),
            "accepted": readings["accepted"],
            "age_days": readings["predicted_days"],
            "estimate_days": readings["predicted_days"],
        }
    )
    animals.loc[animals["subject"] == "A003", "subject"] = ""  # alone in its cage: the cage names it
    animals.to_csv(tmp_path / "animals.csv", index=False)
    subjects = readings.drop_duplicates("subject")[["subject", "cage"]].assign(
        sex="female", date_of_birth="2025-01-01", arm=known["treatment"].to_numpy()
    )
    subjects.to_csv(tmp_path / "subjects.csv", index=False)
    plan = AnalysisPlan(continuous=("frailty",), treatment="treatment")
    lines = associate_files(tmp_path / "out", tmp_path, table, plan).lines
    direct = associate_files(tmp_path / "direct", predictions, table, plan).lines
    assert lines[0] == direct[0]
    assert lines[-1] == direct[-1]


def _as_export(folder: Path, readings: pd.DataFrame) -> pd.DataFrame:
    """Write the readings as the station exports them, each of an animal in its own cage; return its animals.csv."""
    born = pd.Timestamp("2025-01-01", tz="UTC")
    folder.mkdir()
    animals = pd.DataFrame(
        {
            "subject": readings["subject"],
            "subject_reason": "",
            "time_basis": "synchronised",
            "cage": "c" + readings["subject"],
            "captured_at": (born + pd.to_timedelta(readings["age_days"], unit="D")).dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "accepted": 1,
            "age_days": readings["predicted_days"],
            "estimate_days": readings["predicted_days"],
        }
    )
    subjects = animals.drop_duplicates("subject")[["subject", "cage"]].assign(
        sex="female", date_of_birth="2025-01-01", arm=""
    )
    animals.to_csv(folder / "animals.csv", index=False)
    subjects.to_csv(folder / "subjects.csv", index=False)
    return animals


@pytest.mark.parametrize("version", ["new", "old"])
def test_odd_rows_of_an_export_cost_themselves_and_are_counted(
    study: tuple[Path, Path, Path], tmp_path: Path, version: str
) -> None:
    _, predictions, table = study
    readings = pd.read_csv(predictions)
    good = _as_export(tmp_path / "good", readings[readings["accepted"].astype(str).isin(["1", "True", "true"])])
    odd = good.iloc[:3].assign(captured_at="1970-01-01T00:05:00Z", estimate_days=5000.0)
    if version == "new":
        odd = odd.assign(time_basis="unsynchronised", subject="", subject_reason="clock_never_set")
        dead = good.iloc[3:5].assign(estimate_days=5000.0, subject="", subject_reason="after_death")
        odd = pd.concat([odd, dead])
    (tmp_path / "odd").mkdir()
    columns = good.columns if version == "new" else [c for c in good if c not in ("subject_reason", "time_basis")]
    pd.concat([odd, good])[columns].to_csv(tmp_path / "odd" / "animals.csv", index=False)
    (tmp_path / "odd" / "subjects.csv").write_bytes((tmp_path / "good" / "subjects.csv").read_bytes())
    plan = AnalysisPlan(continuous=("frailty",))
    clean = associate_files(tmp_path / "a", tmp_path / "good", table, plan).lines
    found = associate_files(tmp_path / "b", tmp_path / "odd", table, plan).lines
    assert (tmp_path / "a" / "associations.csv").read_text() == (tmp_path / "b" / "associations.csv").read_text()
    said = [line.partition(": ")[2] for line in found if line not in clean]
    assert (
        said
        == {
            "new": [
                "3 readings are no animal's (clock_never_set, as the station says) and are left out.",
                "2 readings are no animal's (after_death, as the station says) and are left out.",
            ],
            "old": ["3 readings lie before their animal's date_of_birth and are left out."],
        }[version]
    )


def test_a_cage_s_age_is_that_of_the_animals_that_lived_in_it_then(tmp_path: Path) -> None:
    from training.statistics.gaps import read_gaps

    (tmp_path / "subjects.csv").write_text(
        "subject,sex,arm,cage,date_of_birth,date_of_arrival,date_of_death\n"
        "A,,,c1,2025-01-01,,2025-12-31\nB,,,c1,2025-03-01,,\nC,,,c1,2025-12-01,2026-01-10,\n"
    )
    times = ["2025-12-31T12:00:00Z", "2026-01-05T12:00:00Z", "2026-01-10T12:00:00Z"]
    rows = "".join(f",not_told_apart,synchronised,c1,{at},1,300,300\n" for at in times)
    (tmp_path / "animals.csv").write_text(
        f"subject,subject_reason,time_basis,cage,captured_at,accepted,age_days,estimate_days\n{rows}"
    )
    table, refused, said = read_gaps(tmp_path)
    assert (list(table["subject"]), refused, said) == (["cage c1"] * 3, 0, [])
    a_and_b, b, b_and_c = 364.5 - 59 / 2, 310.5, (315.5 + 40.5) / 2
    assert list(table["age_days"]) == pytest.approx([a_and_b, b, b_and_c])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--continuous", "fraility"], "table.csv: column fraility: there is none; columns are "),
        (["--continuous", "constant"], "table.csv: column constant: expected values that differ"),
        (["--continuous", "fate"], "table.csv: row 2, column fate: expected a number, got"),
        (["--binary", "weight_g"], "table.csv: column weight_g: expected two values that differ"),
        (["--genotype", "treatment"], "column treatment: expected 0, 1, 2, or +/+"),
        (["--treatment", "genotype"], "which arm is the control?"),
        (["--survival", "end_days,frailty"], "column frailty: expected dead, culled or 1"),
        ([], "nothing to relate the gap to"),
        (["--continuous", "frailty", "--cohort", "constant"], "column constant: expected '3' and another cohort"),
    ],
)
def test_a_wrong_column_is_one_line_that_names_file_and_column(
    study: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str], asked: list[str], said: str
) -> None:
    folder, predictions, table = study
    line = ["associate", "--predictions", str(predictions), "--phenotypes", str(table), "--out", str(folder / "bad")]
    assert main([*line, *asked]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_an_arm_written_in_two_ways_is_refused(
    study: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """`Vehicle` and `vehicle` were two arms: a part of the controls was compared with the rest."""
    folder, predictions, table = study
    known = pd.read_csv(table)
    known.loc[known["treatment"].eq("vehicle") & (known.index % 3 == 0), "treatment"] = "Vehicle"
    known.to_csv(folder / "two-ways.csv", index=False)
    line = ["associate", "--predictions", str(predictions), "--phenotypes", str(folder / "two-ways.csv")]
    assert main([*line, "--out", str(folder / "bad"), "--treatment", "treatment", "--control", "vehicle"]) == 2
    error = capsys.readouterr().err
    assert "column treatment: names that differ little likely mean one arm: 'Vehicle' and 'vehicle'" in error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.assign(predicted_days=float("nan")), "column predicted_days: expected values, all 630 rows are"),
        (lambda t: t.drop(columns="age_days"), "column age_days: there is none"),
        (lambda t: t[t["subject"] == "A000"], "expected at least 3 animals, got 1"),
        (lambda t: t.iloc[:0], "expected rows below the header"),
        (lambda t: t.assign(accepted=0), "no accepted reading"),
        (lambda t: t.assign(subject="Z" + t["subject"]), "none of its 90 names is in"),
        (lambda t: t.assign(age_days=[-3.0, *t["age_days"][1:]]), "row 2, column age_days: expected an age from 0"),
        (lambda t: t.assign(predicted_days=t["age_days"] + 5), "the age gap does not vary"),
    ],
)
def test_wrong_readings_are_one_line(
    study: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], change: object, said: str
) -> None:
    _, predictions, table = study
    assert callable(change)
    change(pd.read_csv(predictions)).to_csv(tmp_path / "p.csv", index=False)
    line = ["associate", "--predictions", tmp_path / "p.csv", "--phenotypes", table, "--continuous", "frailty"]
    assert main([*map(str, line), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_animals_without_a_partner_are_named_in_terminal_and_report(
    study: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A spreadsheet ate the zeros of names: half of the animals would vanish."""
    _, predictions, table = study
    readings, known = pd.read_csv(predictions), pd.read_csv(table)
    readings["subject"] = readings["subject"].str[1:]
    known["subject"] = [name[1:] if number % 2 else str(int(name[1:])) for number, name in enumerate(known["subject"])]
    readings.to_csv(tmp_path / "p.csv", index=False)
    known.to_csv(tmp_path / "t.csv", index=False, sep=";", encoding="utf-16")
    line = [
        "associate",
        "--predictions",
        tmp_path / "p.csv",
        "--phenotypes",
        tmp_path / "t.csv",
        "--out",
        tmp_path / "o",
    ]
    assert main([*map(str, line), "--continuous", "frailty"]) == 0
    shown = capsys.readouterr()
    assert "45 animals are in both the predictions and the phenotypes" in shown.out
    for text in (
        "45 animals of the predictions are not in the phenotypes (first: 000, 002, 004, ...)",
        "45 animals of the phenotypes are not in the predictions (first: 0, 2, 4, ...)",
        "45 of them likely mean the same, written in two ways: 000 and 0",
    ):
        assert text in shown.out
        beware = (tmp_path / "o" / "report.md").read_text().partition("## Beware")[2]
        assert text in beware


def test_numbers_of_a_lab_are_read_by_one_rule(study: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """Decimal commas, units, thousands and missing words in the phenotypes change no figure; arms stay names."""
    _, predictions, table = study
    known = pd.read_csv(table)
    known["weight_g"] = known["weight_g"].round(2)
    known["arm"] = ["none" if arm == "vehicle" else arm for arm in known["treatment"]]
    known.to_csv(tmp_path / "a.csv", index=False)
    known["weight_g"] = [f"{value} g".replace(".", ",") for value in known["weight_g"]]
    known["frailty"] = [f"{value}".replace(".", ",") for value in known["frailty"]]
    known["end_days"] = [f"{value}".replace(".", ",") for value in known["end_days"]]
    known["Subject"] = known.pop("subject")
    known.to_csv(tmp_path / "b.csv", index=False, sep=";", encoding="utf-8-sig")
    plan = AnalysisPlan(continuous=("frailty", "weight_g"), treatment="arm", survival=(("end_days", "fate", None),))
    found = []
    for name in ("a", "b"):
        associate_files(tmp_path / name, predictions, tmp_path / f"{name}.csv", plan)
        report = json.loads((tmp_path / name / "report.json").read_text())
        found.append([(row["name"], row["estimate"], row["n"]) for row in report["associations"]])
        assert report["interventions"][0]["control"] == "none"
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1,005", "t.csv: row 5, column grip: '1,005' can be 1005 or 1.005"),
        ("many", "row 5, column grip: expected a number"),
    ],
)
def test_a_phenotype_that_is_unclear_is_refused_where_it_is_asked_for_only(
    study: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str, said: str
) -> None:
    _, predictions, table = study
    known = pd.read_csv(table)
    known["grip"] = [value if number == 3 else str(number % 9) for number in range(len(known))]
    known.drop(columns=["frailty", "weight_g", "end_days", "constant"]).to_csv(tmp_path / "t.csv", index=False)
    line = ["associate", "--predictions", predictions, "--phenotypes", tmp_path / "t.csv", "--out", tmp_path / "out"]
    assert main([*map(str, line), "--binary", "cataract"]) == 0
    capsys.readouterr()
    for asked in (["--continuous", "grip"], ["--binary", "cataract", "--adjust", "grip"]):
        assert main([*map(str, line), *asked]) == 2
        assert said in capsys.readouterr().err


def test_no_deaths_are_said(study: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, predictions, table = study
    pd.read_csv(table).assign(fate="alive").to_csv(tmp_path / "t.csv", index=False)
    line = ["associate", "--predictions", predictions, "--phenotypes", tmp_path / "t.csv", "--out", tmp_path / "out"]
    assert main([*map(str, line), "--survival", "end_days,fate"]) == 2
    assert "t.csv: column fate: expected deaths or culls, got none" in capsys.readouterr().err


def test_power_from_a_run_and_from_figures(
    study: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _, _ = study
    effort = ["--studies", "300", "--out"]
    assert (
        main(["power", "--report", str(folder), "--from-days", "200", "--until-days", "550", *effort, str(tmp_path)])
        == 0
    )
    found = json.loads((tmp_path / "power.json").read_text())
    assert found["power_simulated"] == pytest.approx(0.8, abs=0.08)
    animals = pd.read_csv(tmp_path / "power.csv")["animals_per_arm"].to_list()
    assert animals == sorted(animals, reverse=True)
    assert (tmp_path / "power.png").stat().st_size > 10_000
    assert main(["power", "--sem", "60", "--icc", "0.6", *effort, str(tmp_path / "two")]) == 0
    capsys.readouterr()
    assert main(["power", "--sem", "60", "--out", str(tmp_path)]) == 2
    assert main(["studies", "--sem", "60", "--icc", "0.6", "--studies", "300", "--out", str(tmp_path / "three")]) == 0
    kept = json.loads((tmp_path / "three" / "studies.json").read_text())
    assert 0.9 < kept["coverage"] < 0.99
    assert kept["false_positives"] < 0.1
    assert main(["studies", "--out", str(tmp_path)]) == 2
    assert "give --report RUN, or --sem and --icc" in capsys.readouterr().err
