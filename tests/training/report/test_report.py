"""The report of `evaluate`: the page of a real run, and laws that figures obey on animals whose model is known."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from edge.contract.bundle.bundle import read_bundle
from tests.training.conftest import here
from tests.training.report.made_up_report import BINS, ages, made_up
from training.crops.table import Crops, complete
from training.report import (
    abstention,
    background,
    baselines,
    coverage,
    domain,
    groups,
    leakage,
    learning,
    regression,
    retest,
    saliency,
    transfer,
)
from training.report.section import Picture, Section, Table
from training.run import Run

KEYS = {
    *("error_by_group", "leave_one_camera_out", "leave_one_site_out", "baselines", "leakage", "calibration", "domain"),
    *("regression_to_the_mean", "abstention", "test_retest", "learning_curve", "saliency", "contact_sheet"),
}
ANIMALS, EACH = 100, 6
ANIMAL = np.repeat(np.arange(ANIMALS), EACH)
AGE = ages(ANIMALS, EACH)
NOISE = np.random.default_rng(7).normal(0, 60, len(AGE))


def test_the_page_stands_alone(run: Path) -> None:
    """No script, no link outside the page, all pictures in it; every section answers or says why not."""
    page = (run / "report.html").read_text()
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!#|data:image/png;base64,)', page) == []
    assert "http" not in re.sub(r"base64,[^\"]+", "", page)
    report = json.loads((run / "report.json").read_text())
    assert report.keys() >= KEYS
    for key in KEYS:
        assert f'id="{key}"' in page
        assert report[key].keys() & {"summary", "missing"}
    assert page.count("data:image/png") >= 5


def test_figures_of_the_whole_keep_their_names_and_only_they_are_signed(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    assert isinstance(report["mae_days"], float)
    assert report["error_by_group"]["all"]["mae_days"] == pytest.approx(report["mae_days"])
    assert report["error_by_group"]["all"]["readings"] == report["test_readings"]
    bundle = read_bundle(run / "cageclock-demo.bundle", [(run / "key.pub").read_bytes()])
    metrics = bundle.manifest.metrics
    assert metrics.keys() == {name for name, value in report.items() if isinstance(value, float)}


def test_few_animals_of_one_camera_are_told_why_there_is_no_answer(run: Path, tmp_path: Path) -> None:
    """Own crops with nothing but ages: each section that cannot answer names what is missing."""
    for name in ("age.json", "age.keras", "age.tflite", "calibration.json"):
        shutil.copy(run / name, tmp_path / name)
    crops = Crops.load(Run(run))
    table = crops.table[["subject", "age_days"]].assign(camera="one")
    Crops(crops.pixels, complete(table)).save(Run(tmp_path))
    done = here("evaluate", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert "one camera" in report["leave_one_camera_out"]["missing"]
    assert "weight_g" in report["baselines"]["weight"]["missing"]
    assert "captured_at" in report["baselines"]["date"]["missing"]
    assert "no arm is given" in report["abstention"]["treatment"]["missing"]
    assert "missing" in report["test_retest"]


def test_a_constant_prediction_has_ratio_one_and_slope_minus_one() -> None:
    material = made_up(AGE, ANIMAL, np.full(len(AGE), 480.0))
    material = type(material)(**{**_fields(material), "median_days": 480.0})
    assert groups.section(material).figures["all"]["mae_ratio"] == pytest.approx(1, abs=0.01)
    assert regression.section(material).figures["raw"]["gap_slope"] == pytest.approx(-1, abs=0.01)


def test_an_error_of_one_sex_is_seen_in_it_alone() -> None:
    sex = np.where(ANIMAL % 2 == 0, "F", "M")
    material = made_up(AGE, ANIMAL, AGE + NOISE + np.where(sex == "F", 100, 0), sex=sex, site="s")
    found = groups.section(material)
    levels = found.figures["sex"]["levels"]
    assert levels["F"]["bias_days_95"][0] > 50
    assert levels["M"]["bias_days_95"][0] < 0 < levels["M"]["bias_days_95"][1]
    assert "sex" in found.beware
    assert not groups.section(made_up(AGE, ANIMAL, AGE + NOISE, sex=sex, site="s")).beware.startswith("The bias")


def test_a_camera_that_sees_one_age_only_shows_as_a_good_metadata_baseline() -> None:
    """Camera by age: metadata alone tells it. The same cameras dealt out at random: no better than guessing."""
    leaking = np.char.add("cam", (AGE // 150).astype(int).astype(str))
    rng = np.random.default_rng(4)
    error_ratio = {
        name: baselines.section(made_up(AGE, ANIMAL, AGE + NOISE, camera=cameras)).figures["metadata"]["mae_ratio"]
        for name, cameras in (("leaking", leaking), ("shuffled", rng.permutation(leaking)))
    }
    assert error_ratio["leaking"] < 0.3
    assert error_ratio["shuffled"] == pytest.approx(1, abs=0.05)


def test_a_model_no_better_than_weight_is_named() -> None:
    """Weight tells the age as well as the model does: the page says so; the pixels' baselines know it too here."""
    weight = 20 + AGE / 40 + np.random.default_rng(5).normal(0, 1, len(AGE))
    found = baselines.section(made_up(AGE, ANIMAL, AGE + NOISE * 2, weight_g=weight))
    assert found.figures["weight"]["model_less_days_95"][0] < 0
    assert "weight" in found.beware
    assert "missing" in found.figures["body_size"]


def test_a_head_that_leans_on_the_site_is_found_out() -> None:
    """The embedding is shifted by the site, old animals stand at one site: without it the head is lost there."""
    site = np.where(AGE > 480, "b", "a")
    shifted = np.column_stack([(site == "b").astype(float)])
    bad = transfer.section(made_up(AGE, ANIMAL, NOISE * 3 + 480, site=site, more=shifted), "site")
    fair_site = np.where(ANIMAL % 2 == 0, "a", "b")
    fair = transfer.section(made_up(AGE, ANIMAL, AGE + NOISE, site=fair_site), "site")
    assert bad.beware
    assert bad.figures["pooled"]["difference_days"] > 50
    assert not fair.beware
    assert abs(fair.figures["pooled"]["difference_days"]) < 5


def test_one_site_or_only_new_sites_have_no_answer() -> None:
    assert "one site" in str(transfer.section(made_up(AGE, ANIMAL, AGE, site="s"), "site").missing)
    own = np.char.add("s", ANIMAL.astype(str))
    assert "already of" in str(transfer.section(made_up(AGE, ANIMAL, AGE, site=own), "site").missing)


def test_an_embedding_that_knows_the_animal_leaks() -> None:
    """Each animal has one age and looks of its own: a split by row learns the animals, a split by animal cannot."""
    rng = np.random.default_rng(6)
    one_age = rng.uniform(60, 900, ANIMALS)[ANIMAL]
    own = rng.normal(0, 1, (ANIMALS, 7))[ANIMAL]
    clean = leakage.section(made_up(AGE, ANIMAL, AGE + NOISE)).figures
    assert clean["index"] == pytest.approx(1, abs=0.05)
    leaking = leakage.section(made_up(one_age, ANIMAL, np.full(len(AGE), 480.0), more=own)).figures
    assert leaking["index_95"][0] > 1.05


def test_the_probability_below_the_truth_is_even_where_the_distribution_is_right() -> None:
    rng = np.random.default_rng(8)
    middle = rng.uniform(200, 800, 3000)
    density = np.exp(-((BINS - middle[:, None]) ** 2) / (2 * 80**2))
    truth = middle + rng.normal(0, 80, 3000)
    pit = coverage.pit_of(density / density.sum(axis=1, keepdims=True), BINS, truth)
    counts = np.histogram(pit, 10, (0, 1))[0]
    assert np.abs(counts - 300).max() < 65
    too_sure = np.exp(-((BINS - middle[:, None]) ** 2) / (2 * 40**2))
    pit = coverage.pit_of(too_sure / too_sure.sum(axis=1, keepdims=True), BINS, truth)
    assert np.histogram(pit, 10, (0, 1))[0][[0, 9]].min() > 450, "a bowl"


def test_too_few_cages_for_an_interval_are_said_with_how_many_more_it_takes() -> None:
    """30 animals leave 6 to calibrate: no interval, three more are the least; with 60 the luck of 12 is said."""
    age, animal = ages(30, 4), np.repeat(np.arange(30), 4)
    few = made_up(age, animal, age + np.random.default_rng(2).normal(0, 50, len(age)))
    assert few.predictions["low_90_days"].isna().all()
    said = coverage.section(few).missing or ""
    assert said.startswith(
        "No 90% interval is given: 6 calibration cages cannot give one, 9 are the least. It takes 3 more"
    )
    age, animal = ages(60, 4), np.repeat(np.arange(60), 4)
    summary = coverage.section(made_up(age, animal, age + np.random.default_rng(2).normal(0, 50, len(age)))).summary
    assert (
        "rest on 12 calibration cages: the chance that they truly cover less than 80% of future animals is 7%"
        in summary
    )


def test_intervals_cover_what_they_say_and_too_sure_distributions_show() -> None:
    draws = [AGE + np.random.default_rng(seed).normal(0, 60, len(AGE)) for seed in range(8)]
    covered = [coverage.section(made_up(AGE, ANIMAL, looks)).figures["intervals"]["coverage_90"] for looks in draws]
    assert np.mean(covered) == pytest.approx(0.9, abs=0.06), "20 animals calibrate, and 20 others say how it went"
    right = coverage.section(made_up(AGE, ANIMAL, AGE + NOISE, sharp_days=60)).figures
    assert right["central_coverage"]["0.5"] == pytest.approx(0.5, abs=0.12)
    sure = coverage.section(made_up(AGE, ANIMAL, AGE + NOISE, sharp_days=20)).figures
    assert sure["central_coverage"]["0.9"] < 0.6


def test_refusals_of_one_arm_stand_out() -> None:
    arm = np.where(ANIMAL % 2 == 0, "drug", "water")
    material = made_up(AGE, ANIMAL, AGE + NOISE, treatment=arm, light="white")
    drug = material.predictions["treatment"] == "drug"
    material.predictions["reject_reasons"] = ""
    material.predictions["accepted"] = True
    even = abstention.section(material)
    assert even.beware == ""
    refused = drug & (np.random.default_rng(9).random(len(drug)) < 0.4)
    material.predictions.loc[refused, "accepted"] = False
    material.predictions.loc[refused, "reject_reasons"] = "out_of_domain"
    found = abstention.section(material)
    assert "arm drug" in found.beware
    assert found.figures["reasons"] == {"out_of_domain": int(refused.sum())}
    assert found.figures["treatment"]["drug"]["more_than_others"] == pytest.approx(refused[drug].mean())
    assert "one light only (white)" in found.figures["light"]["missing"]


def test_a_score_that_follows_the_error_is_seen() -> None:
    material = made_up(AGE, ANIMAL, AGE + NOISE)
    material.predictions["domain_score"] = (
        material.predictions["gap_days"].abs() / material.predictions["gap_days"].abs().max() * 1.2
    )
    found = domain.section(material).figures
    assert found["rank_correlation"] == pytest.approx(1)
    assert [one["mae_days"] for one in found["bins"]] == sorted(one["mae_days"] for one in found["bins"])
    assert sum(one["readings"] for one in found["bins"]) == len(material.predictions)


def test_repeated_readings_give_the_spread_that_was_put_in() -> None:
    """Animals that differ by sd 50 and are read with sd 25 on three days in a row: ICC 0.8, SEM 25."""
    rng = np.random.default_rng(10)
    animal = np.repeat(np.arange(1000), 3)
    age = rng.uniform(200, 700, 1000)[animal] + np.tile([0.0, 1.0, 2.0], 1000)
    looks = age + rng.normal(0, 50, 1000)[animal] + rng.normal(0, 25, 3000)
    found = retest.section(made_up(age, animal, looks)).figures["reading"]["gap"]
    assert (found["animals"] > 150, found["readings"]) == (True, 3)
    assert found["icc_1"] == pytest.approx(0.8, abs=0.06)
    assert found["sem_days"] == pytest.approx(25, rel=0.12)


def test_readings_months_apart_are_no_test_retest() -> None:
    apart = np.tile(np.arange(6) * 100.0 + 100, ANIMALS)
    found = retest.section(made_up(apart, ANIMAL, apart + NOISE))
    assert "within 7 days" in str(found.missing or found.summary)
    assert "reading" not in found.figures


def test_further_animals_read_again_tell_test_retest_where_there_are_any() -> None:
    """The test animals were read months apart; others were photographed on three days in a row for it."""
    apart = np.tile(np.arange(6) * 100.0 + 100, ANIMALS)
    rng = np.random.default_rng(12)
    animal = np.repeat(np.arange(200), 3)
    age = rng.uniform(200, 700, 200)[animal] + np.tile([0.0, 1.0, 2.0], 200)
    gap = rng.normal(0, 50, 200)[animal] + rng.normal(0, 25, 600)
    again = pd.DataFrame({"animal": animal, "age_days": age, "predicted_days": age + gap, "gap_days": gap})
    again = again.assign(corrected_gap_days=np.nan, accepted=True)
    material = replace(made_up(apart, ANIMAL, apart + NOISE), again=again)
    found = retest.section(material).figures["reading"]["gap"]
    assert (found["animals"], found["readings"]) == (200, 3)
    assert found["sem_days"] == pytest.approx(25, rel=0.12)


def test_more_animals_help_where_many_directions_must_be_learnt() -> None:
    rng = np.random.default_rng(11)
    hidden = rng.normal(0, 1, (len(AGE), 7))
    age = np.clip(480 + hidden @ rng.normal(0, 80, 7), 60, 900)
    curve = learning.section(made_up(age, ANIMAL, np.full(len(age), 480.0), more=hidden)).figures["embedding"]
    assert curve[0]["animals"] < curve[-1]["animals"] == 60
    assert curve[-1]["mae_days"] < curve[0]["mae_days"]


def test_only_the_place_that_matters_is_marked() -> None:
    """A model that reads one corner: covering it changes the age, covering anything else does not."""
    crop = np.full((40, 96, 1), 50, np.uint8)
    crop[:8, :8] = 250
    found = saliency.occlusion(crop, lambda pictures: pictures[:, :8, :8, 0].mean(axis=(1, 2)).astype(float))
    assert found[:8, :8].max() < -50
    assert np.abs(found[:, 24:]).max() == 0


def test_the_background_is_blind_to_the_animal() -> None:
    rng = np.random.default_rng(12)
    crops = rng.integers(0, 255, (3, 160, 384, 1), dtype=np.uint8)
    outside = background.outside_body(160, 384)
    other = crops.copy()
    other[:, ~outside] = 0
    np.testing.assert_allclose(background.background(crops), background.background(other))
    other[:, outside] = 0
    assert np.abs(background.background(crops) - background.background(other)).min() > 1


@pytest.mark.parametrize("part", [groups, leakage, learning, regression])
def test_the_same_seed_gives_the_same_figures(part: ModuleType) -> None:
    once, again = (part.section(made_up(AGE, ANIMAL, AGE + NOISE)) for _ in range(2))
    assert once.json() == again.json()
    assert once.pictures == again.pictures


def test_texts_of_a_table_are_escaped() -> None:
    """A camera's name is what somebody typed: it is shown, never run."""
    from training.report.page import page

    bad = Section("k", "T", "<b>", ("x",), {}, (Table(("a",), (("<script>",),)),), (Picture("c<", b"png"),))
    assert "<script>" not in page("t", "n", [bad], {"mae_days": 1.0})


def _fields(material: object) -> dict[str, object]:
    return {name: getattr(material, name) for name in material.__dataclass_fields__}  # type: ignore[attr-defined]
