"""Route `features`: tables as people keep them, folds by animal, honest figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import OperatorError
from tests.training.conftest import command, here
from training.features.folds import group_folds
from training.features.prepare import FeatureTable, prepare
from training.features.read import read_table
from training.features.route import figures, fit_features, without_kinds
from training.features.validate import Validated, cross_conformal, quantile_by_animal, validate, validate_rows
from training.run import Run


def written(path: Path, table: pd.DataFrame, **options: object) -> Path:
    """Write the table and return its path."""
    table.to_csv(path, index=False, **options)
    return path


def animals(seed: int = 0, count: int = 40, rows: int = 3) -> pd.DataFrame:
    """Return a table of animals with a feature of age, one of the individual, a sex and gaps."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(count), rows)
    age = rng.uniform(10, 130, count)[subject] + rng.normal(0, 1, count * rows)
    return pd.DataFrame(
        {
            "mouse": [f"m{number}" for number in subject],
            "age_weeks": age.round(2),
            "grey": age + rng.normal(0, 15, len(age)),
            "print": rng.normal(0, 1, count)[subject],
            "noise": np.where(rng.random(len(age)) < 0.1, np.nan, rng.normal(0, 1, len(age))),
            "sex": rng.choice(["F", "M"], count)[subject],
        }
    )


def test_a_split_by_row_flatters_and_the_index_says_so(tmp_path: Path) -> None:
    """Where only the individual can be recognised, rows of one animal on both sides look like knowledge of age."""
    rng = np.random.default_rng(1)
    subject = np.repeat(np.arange(40), 6)
    table = pd.DataFrame(rng.normal(0, 1, (40, 6))[subject] + rng.normal(0, 0.05, (240, 6)), columns=list("abcdef"))
    table = table.assign(mouse=[f"m{one}" for one in subject], age=rng.uniform(0, 100, 40)[subject])
    ready = prepare(written(tmp_path / "t.csv", table), "age", "mouse")
    by_animal = validate(ready, 1, weigh=False, names=("forest",))
    by_row = validate_rows(ready, 1, weigh=False, names=("forest",))
    found = figures(ready, by_animal, by_row)
    assert found["mae_group_split"] > 0.9 * found["mae_constant"]
    assert found["mae_row_split"] < 0.3 * found["mae_constant"]
    assert found["leakage_index"] == pytest.approx(found["mae_group_split"] / found["mae_row_split"])


def test_figures_are_those_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    table = prepare(written(tmp_path / "t.csv", animals()), "age_weeks", "mouse")
    found = validate(table, 1, weigh=False, names=("ridge-1",))
    said = figures(table, found, found)
    assert said["mae"] == pytest.approx(mean_absolute_error(table.target, found.predicted))
    assert said["rmse"] == pytest.approx(root_mean_squared_error(table.target, found.predicted))
    assert said["r2"] == pytest.approx(r2_score(table.target, found.predicted))
    slope = np.linalg.lstsq(np.c_[table.target, np.ones(len(table.target))], found.predicted - table.target, rcond=None)
    assert said["gap_slope"] == pytest.approx(slope[0][0])


def test_diabetes_is_predicted_as_well_as_is_known() -> None:
    """Ridge on scikit-learn's diabetes data: mean absolute error near 44, always guessing near 66 (its examples)."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(as_frame=True)
    names = np.array([f"p{number}" for number in range(len(data.target))], dtype=object)
    table = FeatureTable(data.data, (), data.target.to_numpy(float), names, np.arange(len(names)), "progression")
    found = validate(table, 1, weigh=False, names=("ridge-1", "ridge-30"))
    said = figures(table, found, found)
    assert 42 < said["mae"] < 47
    assert 62 < said["mae_constant"] < 70
    assert 0.85 < said["coverage_90"] < 0.95


def test_the_interval_covers_nine_of_ten_new_animals() -> None:
    """Over many draws the mean coverage of unseen animals is at least 90%, however unequal their rows."""
    rng = np.random.default_rng(3)
    covered = []
    for _ in range(150):
        counts = rng.integers(1, 12, 40)
        names = np.repeat(np.arange(40), counts).astype(str).astype(object)
        errors = np.abs(np.repeat(rng.normal(0, 2, 40), counts) + rng.normal(0, 1, counts.sum()))
        width = quantile_by_animal(errors, names)
        covered.append((np.abs(rng.normal(0, 2, 400) + rng.normal(0, 1, 400)) <= width).mean())
    assert 0.89 < np.mean(covered) < 0.94


def test_too_few_animals_for_an_interval_give_an_endless_one() -> None:
    assert quantile_by_animal(np.arange(5.0), np.array(list("abcde"), object)) == np.inf
    assert quantile_by_animal(np.arange(9.0), np.array(list("abcdefghi"), object)) == 8


def test_a_handful_of_animals_is_fitted_and_the_endless_interval_said(tmp_path: Path) -> None:
    table = animals(count=6).assign(rare=[1.0, *[np.nan] * 17], coat=["a", None, "b"] * 6)
    ready = prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse")
    found = validate(ready, 1, weigh=True, names=("ridge-1",))
    assert np.isfinite(found.predicted).all()
    assert np.isinf(figures(ready, found, found)["width_90"])


def test_an_interval_never_comes_from_the_animals_own_fold() -> None:
    names = np.array([f"a{number}" for number in range(40)], object)
    fold = np.arange(40) % 2
    width = cross_conformal(np.where(fold == 0, 1.0, 9.0), names, fold)
    assert set(width[fold == 0]) == {9.0}
    assert set(width[fold == 1]) == {1.0}


@given(st.lists(st.integers(0, 12), min_size=5, max_size=60), st.integers(2, 6), st.integers(0, 9))
def test_no_animal_is_on_two_sides(owners: list[int], folds: int, seed: int) -> None:
    names = np.array([f"m{owner}" for owner in owners], object)
    tested = []
    for train, test in group_folds(names, np.arange(len(names), dtype=float), folds, seed):
        assert not set(names[train]) & set(names[test])
        tested += test.tolist()
    assert sorted(tested) == list(range(len(names)))


def test_the_same_seed_gives_the_same_predictions(tmp_path: Path) -> None:
    table = prepare(written(tmp_path / "t.csv", animals()), "age_weeks", "mouse")
    first, second = (validate(table, 5, weigh=True, names=("ridge-1", "svr-1")) for _ in range(2))
    assert isinstance(first, Validated)
    assert np.array_equal(first.predicted, second.predicted)
    assert first.chosen == second.chosen


def test_columns_that_give_the_age_away_are_left_out_and_named(tmp_path: Path) -> None:
    table = animals().assign(AgeGroup=1, date_of_birth="2020-01-05", TestDate="2021-03-04", row=range(120), average=1.5)
    table["AgeGroup"] = (table.age_weeks // 20).astype(int)
    table["average"] = table.grey
    ready = prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse")
    assert set(ready.left_out) == {"AgeGroup", "date_of_birth", "TestDate", "row"}
    assert "average" in ready.features
    kept = prepare(tmp_path / "t.csv", "age_weeks", "mouse", keep=["AgeGroup"])
    assert "AgeGroup" in kept.features
    dropped = prepare(tmp_path / "t.csv", "age_weeks", "mouse", drop=["grey", "AgeGroup"])
    assert "grey" not in dropped.features
    assert "AgeGroup" not in dropped.left_out


@pytest.mark.parametrize("slope", [2.0, -1.0])
def test_the_target_in_disguise_is_left_out_and_can_be_kept(tmp_path: Path, slope: float) -> None:
    """Whatever its name, a column that ranks the lines as the target does is the target; an honest one stays."""
    table = animals().assign(sessions=lambda one: np.exp(slope * one.age_weeks / 50))
    ready = prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse")
    assert "the target in disguise" in ready.left_out["sessions"]
    assert "sessions" not in ready.features
    assert "grey" in ready.features
    kept = prepare(tmp_path / "t.csv", "age_weeks", "mouse", keep=["sessions"])
    assert "sessions" in kept.features
    assert any("'sessions' alone nearly gives the target" in text for text in kept.warnings)


@pytest.mark.parametrize("name", ["testage3", "TestAge", "age3", "ageattest", "mouse_age_2", "trueage"])
def test_a_name_that_says_age_in_any_dress_is_left_out(tmp_path: Path, name: str) -> None:
    """Noise enough that ranks tell nothing, so that the name alone decides."""
    table = animals().assign(**{name: lambda one: one.age_weeks + np.random.default_rng(1).normal(0, 30, len(one))})
    ready = prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse")
    assert ready.left_out[name].startswith("its name says age")
    assert name in prepare(tmp_path / "t.csv", "age_weeks", "mouse", keep=[name]).features


@pytest.mark.parametrize("name", ["image", "stage", "cage_no", "average", "percentage", "dosage2", "agent"])
def test_a_word_that_only_holds_age_is_used(tmp_path: Path, name: str) -> None:
    table = animals().rename(columns={"grey": name})
    assert name in prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse").features


def test_what_knows_more_than_looks_is_named_and_the_figure_without_it_shown(tmp_path: Path) -> None:
    """Weight and a person's score carry the age here, the look nothing: without them the error is that of guessing."""
    rng = np.random.default_rng(4)
    age = animals(count=24, rows=2).age_weeks
    table = animals(count=24, rows=2)[["mouse", "age_weeks", "noise"]].assign(
        BodyWeight_g=age + rng.normal(0, 12, len(age)),
        frailty_score=age + rng.normal(0, 12, len(age)),
        tester=rng.choice(["Ann", "Bo"], len(age)),
        batch_no=rng.integers(1, 3, len(age)),
    )
    ready = prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse")
    assert ready.kinds == {
        "BodyWeight_g": "a weight", "frailty_score": "a score by people", "tester": "a tester", "batch_no": "a batch",
    }  # fmt: skip
    assert any("'tester' is a tester, not a look" in text for text in ready.warnings)
    known = replace(ready, kinds={"BodyWeight_g": "a weight", "frailty_score": "a score by people"})
    judged = validate(known, 1, weigh=False, names=("ridge-30",))
    guess = np.abs(judged.constant - known.target).mean()
    mae = without_kinds(known, 1, ("ridge-30",), weigh=False)
    assert np.abs(judged.predicted - known.target).mean() < 0.5 * guess
    assert mae["all of these"] > 0.9 * guess
    assert mae["a weight"] < 0.7 * mae["all of these"]
    assert without_kinds(known.without(["tester", "batch_no", "noise"]), 1, ("ridge-30",), weigh=False) is None


def test_tables_of_all_dialects_are_the_same_table(tmp_path: Path) -> None:
    table = animals()
    expected = prepare(written(tmp_path / "a.csv", table), "age_weeks", "mouse")
    continental = written(tmp_path / "b.csv", table, sep=";", decimal=",", encoding="utf-8-sig", na_rep="n/a")
    found = prepare(continental, "age_weeks", "mouse")
    assert found.features.equals(expected.features)
    assert np.array_equal(found.target, expected.target)


def test_booleans_infinities_and_stray_texts_are_read(tmp_path: Path) -> None:
    table = animals().assign(flag=["TRUE", "false"] * 60, wild=[np.inf, *range(1, 240, 2)][:120])
    table["typo"] = ["12..5", *map(str, table.grey[1:])]
    ready = prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse")
    assert set(ready.features.flag) == {0.0, 1.0}
    assert ready.features[["wild", "typo"]].isna().sum().tolist() == [1, 1]
    assert any("line 2, column 'typo'" in text and "12..5" in text for text in ready.warnings)
    assert ready.categories == ("sex",)


def test_dressed_numbers_are_numbers_and_that_is_said(tmp_path: Path) -> None:
    """Units, percent signs, limits, another minus, thousands: none becomes a text in silence."""
    rng = np.random.default_rng(1)
    table = animals().assign(
        weight=[f"{value:.1f} g" for value in rng.uniform(20, 30, 120)],
        fat=[f"{value}%" for value in rng.integers(10, 40, 120)],
        il6=[f"{value:.2f}" if value > 0.5 else "<0.5" for value in rng.uniform(0, 2, 120)],
        temp=[f"{value:.1f}".replace("-", "\u2212") for value in rng.uniform(-5, 5, 120)],
        count=[f"{value:,}" for value in rng.integers(800, 2000, 120)],
    )
    ready = prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse")
    assert ready.categories == ("sex",)
    assert 800 <= ready.features["count"].min() <= ready.features["count"].max() < 2000
    assert ready.features["temp"].min() < 0
    said = "\n".join(ready.warnings)
    for text in ("'weight': all values have the unit 'g'", "'fat': all values have the unit '%'", "'il6': "):
        assert f"column {text}" in said
    assert "is read as 1" in said


def test_a_column_of_numbers_and_texts_is_left_out_with_its_reason(tmp_path: Path) -> None:
    table = animals().assign(grip=[str(number) if number % 3 else "n.q." for number in range(120)])
    ready = prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse")
    assert ready.left_out["grip"].startswith("67% of its cells are numbers, the others are not (line 2: ")
    assert "grip" in prepare(tmp_path / "t.csv", "age_weeks", "mouse", keep=["grip"]).left_out


def test_a_target_of_thousands_stays_itself_or_is_a_question(tmp_path: Path) -> None:
    table = animals().assign(age_days=lambda one: (one.age_weeks * 7 + 600).round().astype(int))
    table = table.drop(columns="age_weeks")
    expected = prepare(written(tmp_path / "a.csv", table), "age_days", "mouse").target
    english = table.assign(age_days=[f"{value:,}" for value in table.age_days])
    found = prepare(written(tmp_path / "b.csv", english), "age_days", "mouse")
    assert np.array_equal(found.target, expected)
    assert any("is read as 1" in text for text in found.warnings)
    german = table.assign(age_days=[f"{value:,}".replace(",", ".") for value in table.age_days])[["mouse", "age_days"]]
    with pytest.raises(OperatorError, match=r"line \d+, column 'age_days': '1\.\d{3}' can be 1\.\d+ or 1\d{3}"):
        prepare(written(tmp_path / "c.csv", german.assign(rest=range(120)), sep=";"), "age_days", "mouse")


def test_dates_that_are_kept_have_one_order(tmp_path: Path) -> None:
    days = pd.date_range("2023-01-01", periods=120, freq="3D")
    table = animals().assign(entered=days.strftime("%d.%m.%Y"))
    ready = prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse", keep=["entered"])
    assert ready.features.entered.tolist() == (days - pd.Timestamp("1970-01-01")).days.tolist()
    assert any("dates are read day first throughout" in text for text in ready.warnings)
    table["entered"] = "05.06.2023"
    with pytest.raises(OperatorError, match=r"line 2, column 'entered': .* can be 2023-06-05 or 2023-05-06"):
        prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse", keep=["entered"])


def test_names_that_likely_mean_one_animal_are_warned_of(tmp_path: Path) -> None:
    table = animals()
    table.loc[::3, "mouse"] = table.mouse[::3].str.upper()
    said = prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse").warnings
    assert any("likely mean one animal each: 'M0' and 'm0'; 'M1' and 'm1'; " in text for text in said)


def test_a_category_written_in_two_ways_is_warned_of(tmp_path: Path) -> None:
    """`Control` and `control` were two categories, without a word."""
    table = animals().assign(arm=lambda one: ["Control", "control", "drug"] * (len(one) // 3))
    said = prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse").warnings
    assert any(
        "column 'arm': names that differ little likely mean one category: 'Control' and 'control'" in text
        for text in said
    )


def test_missing_words_are_counted_and_animals_without_a_target_named(tmp_path: Path) -> None:
    table = animals().astype({"noise": object})
    table.loc[:4, "noise"] = ["none", "n/a", "missing", "NA", "leer"]
    table.loc[table.mouse == "m3", "age_weeks"] = np.nan
    said = "\n".join(prepare(written(tmp_path / "t.csv", table), "age_weeks", "mouse").warnings)
    assert "1 cell 'none'" in said
    assert "count as missing (column 'noise')" in said
    assert "1 animals have no line with 'age_weeks' (first: m3)" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.assign(age_weeks=7), "column 'age_weeks': constant, 7 in every line"),
        (lambda table: table.assign(mouse="m1"), "all lines are of one animal"),
        (lambda table: table.assign(empty=np.nan), "column 'empty': no value in any line"),
        (lambda table: table.assign(age_weeks=np.nan), "column 'age_weeks': no value in any line"),
        (lambda table: table.rename(columns={"age_weeks": "age_wekks"}), "did you mean 'age_wekks'?"),
        (lambda table: table.assign(age_weeks=["old", *table.age_weeks[1:]]), "line 2, column 'age_weeks': expected a"),
        (lambda table: table.assign(mouse=[None, *table.mouse[1:]]), "line 2, column 'mouse': expected the animal's"),
        (lambda table: table.iloc[:0], "the table is empty"),
        (lambda table: table[["mouse", "age_weeks"]], "expected columns to learn from"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_column(tmp_path: Path, change, said: str) -> None:
    path = written(tmp_path / "t.csv", change(animals()))
    with pytest.raises(OperatorError) as error:
        prepare(path, "age_weeks", "mouse")
    assert str(path) in str(error.value)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"a,b\n1,2\n1\n", "line 3: expected 2 cells, got 1"),
        (b"a,a\n1,2\n", "column 'a' is there 2 times"),
        (b"PK\0\0", "binary"),
        (b'a,b\n1,2\n1,"5 in\n2,3\n2,"6 in\n', "line 3, cell 2: expected quotation marks"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(OperatorError, match=said):
        read_table(tmp_path / "t.csv")


def test_a_run_leaves_report_predictions_and_model(tmp_path: Path) -> None:
    import joblib

    known = animals(count=24, rows=2).assign(weight_g=np.random.default_rng(9).normal(30, 3, 48))
    table = prepare(written(tmp_path / "t.csv", known), "age_weeks", "mouse")
    report = fit_features(table, tmp_path / "run", 1)
    assert "`weight_g` is a weight" in (tmp_path / "run" / "report.md").read_text()
    assert f"- without all of these: mae {report['without_kinds']['all of these']:.4g} instead of" in (
        (tmp_path / "run" / "report.md").read_text()
    )
    kept = json.loads((tmp_path / "run" / "report.json").read_text())
    assert {"mae", "rmse", "r2", "r", "mae_constant", "mae_row_split", "mae_group_split"} <= kept.keys()
    assert {"leakage_index", "coverage_90", "width_90", "gap_slope", "model", "folds", "seed"} <= kept.keys()
    assert report["mae"] < 0.7 * report["mae_constant"]
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert (predictions.predicted - predictions.truth).abs().mean() == pytest.approx(report["mae"])
    model = joblib.load(tmp_path / "run" / "model.joblib")
    assert np.corrcoef(model.predict(table.features), table.target)[0, 1] > 0.8


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", animals())
    options = ("fit", "--route", "features", "--table", path, "--out", tmp_path / "run")
    done = command(*options, "--target", "age_week", "--group", "mouse")
    assert done.returncode == 2
    assert "did you mean 'age_weeks'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert "--target COLUMN" in here(*options).stderr


def test_an_embedding_without_a_network_says_what_to_run(tmp_path: Path) -> None:
    from training.features.embedding import embedded

    with pytest.raises(OperatorError, match=r"age\.tflite: there is no int8 age model; run `cageclock-train quantise"):
        embedded(Run(tmp_path), "int8", 1)
    with pytest.raises(OperatorError, match=r"backbone\.keras: there is no pretrained backbone; run `cageclock-train"):
        embedded(Run(tmp_path), "backbone", 1, Run(tmp_path / "other"))
