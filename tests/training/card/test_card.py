"""The model card: filled from the run's files, the rest asked of people, and nothing signed without the required."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
import yaml

from edge.contract.manifest import Band, Domain, Intervals, Validity
from edge.errors import OperatorError
from tests.training.conftest import command
from tests.training.small_animals import SPEC, small_animals, small_crops
from training.bundle.label import NOTICE, OWN_NOTICE, Label
from training.card.answers import DEMO, read_answers, write_template
from training.card.figures import figures_of
from training.card.items import ITEMS, REQUIRED
from training.card.write import Card, make_card
from training.crops.split import split_by_group
from training.run import AGE_SPEC, Calibration, Run

INTERVALS = tuple(
    Intervals(unit=unit, coverage=0.9, animals=6, bands=(Band(below_days=1e9, low_days=60.0, high_days=60.0),))
    for unit in ("reading", "day", "week")
)
CALIBRATION = Calibration(
    intervals=INTERVALS,
    domain=Domain(mean=(0.0,), whitening=((1.0,),), threshold=1.0),
    validity=Validity(
        strains=("C57BL/6J",),
        min_age_days=60,
        max_age_days=900,
        view="top",
        lights=("white",),
        max_sd_days=220,
        min_px_per_mm=3.9,
    ),
    training={"source": "own animals", "calibration_animals": 6, "real_day_animals": 2, "real_week_animals": 0},
)
ANSWERS = {key: f"The answer about {key}." for key in REQUIRED}


def own_run(folder: Path, **columns: object) -> Path:
    """Write 40 made-up animals' crops and what the model is said to say of the held-out ones: wrong by 50 days."""
    data = small_animals(40, 3)
    sex = np.where(data.animal % 2 == 0, "F", "M")
    crops = small_crops(data, sex=sex, strain="C57BL/6J", light="white", **columns)
    crops.save(Run(folder))
    Run(folder).write_struct(AGE_SPEC, SPEC)
    split = split_by_group(data.group)
    estimated = crops.table.copy()
    estimated["predicted_days"] = estimated["age_days"] + np.where(sex == "F", 50.0, -70.0)
    estimated["low_90_days"] = estimated["predicted_days"] - 60
    estimated["high_90_days"] = estimated["predicted_days"] + 60
    estimated.insert(0, "split", np.select([split.test, split.calibration], ["test", "calibration"], "train"))
    estimated[split.test | split.calibration].to_csv(folder / "predictions.csv", index=False)
    return folder


def card_of(run: Path, answers: dict[str, str] | None = None, notice: str = OWN_NOTICE) -> Card:
    """Return the card with these answers."""
    path = None
    if answers is not None:
        path = run / "answers.yaml"
        path.write_text(yaml.safe_dump(answers))
    label = Label("own-animals", "1.0", 1, notice, "own")
    return make_card(Run(run), label, {"mae_days": 60.0, "coverage_90": 0.5}, CALIBRATION, "taken from elsewhere", path)


def answer(card: Card, number: str) -> str:
    """Return what stands below an item's heading."""
    return card.text.split(f"({number})\n\n")[1].split("\n\n#")[0]


def test_it_has_all_27_items_once() -> None:
    assert sorted({int(item.number.rstrip("abcdefg")) for item in ITEMS}) == list(range(1, 28))
    assert len({item.number for item in ITEMS}) == len({item.key for item in ITEMS}) == len(ITEMS) == 52


def test_own_animals_without_required_answers_are_refused_by_key(tmp_path: Path) -> None:
    """One error names exactly the keys that are missing; blanks do not count as answers."""
    run = own_run(tmp_path)
    with pytest.raises(OperatorError) as refused:
        card_of(run)
    assert all(key in str(refused.value) for key in REQUIRED)
    with pytest.raises(OperatorError) as refused:
        card_of(run, ANSWERS | {"ethics": "  "})
    assert "ethics (17)" in str(refused.value)
    assert "intended_use" not in str(refused.value)


def test_the_card_is_filled_from_the_runs_files(tmp_path: Path) -> None:
    """Numbers of animals, split, missing values, performance by sex with intervals; the people's words beside them."""
    run = own_run(tmp_path, weight_g=np.where(np.arange(120) % 4 == 0, np.nan, 25.0))
    card = card_of(run, ANSWERS)
    split = split_by_group(small_animals(40, 3).group)
    for name, mask in (("training", split.train), ("calibration", split.calibration), ("test", split.test)):
        assert f"{name} {mask.sum() // 3} animals in {mask.sum() // 3} cages, {mask.sum()} pictures" in answer(
            card, "10"
        )
    assert "weight_g 25%" in answer(card, "11")
    assert "captured_at 100%" in answer(card, "11")
    assert "96 x 64 px" in answer(card, "9b")
    assert "taken from elsewhere" in answer(card, "7")
    assert "6 calibration units cannot give one, 9 are the least" in answer(card, "12f")
    assert "Of 6 animals for the intervals 2 have a real day" in answer(card, "12f")
    assert "sex F 50.0, sex M 70.0" in answer(card, "14")
    assert "| mae_days | 60 |" in answer(card, "23a")
    assert answer(card, "17") == "The answer about ethics."
    assert "simulated" not in card.text


def test_what_nobody_answered_is_listed(tmp_path: Path) -> None:
    """Unanswered items are named in the card and given back; an answer takes an item off the list."""
    run = own_run(tmp_path)
    keys = {item.key for item in card_of(run, ANSWERS).unanswered}
    assert keys >= {"abstract", "protocol", "registration", "data_sharing", "dates"}
    assert not keys & set(REQUIRED)
    more = card_of(run, ANSWERS | {"protocol": "https://example.org/p"})
    assert keys - {item.key for item in more.unanswered} == {"protocol"}
    assert answer(more, "18d") == "Not answered."


def test_the_front_matter_is_yaml_that_a_registry_reads(tmp_path: Path) -> None:
    """Between the first two lines of dashes: licence, tags, and the report's figures as model-index."""
    card = card_of(own_run(tmp_path), ANSWERS | {"license": "cc-by-4.0"})
    front = yaml.safe_load(card.text.split("---\n")[1])
    assert front["license"] == "cc-by-4.0"
    assert "own-animals" in front["tags"]
    figures = front["model-index"][0]["results"][0]["metrics"]
    assert {one["type"]: one["value"] for one in figures} == {"mae_days": 60.0, "coverage_90": 0.5}


def test_the_demos_answers_are_built_in(tmp_path: Path) -> None:
    """Simulated animals need no file; the notice stands at the top and in the limitations, nothing is unanswered."""
    run = own_run(tmp_path, truth_rate=1.0)
    card = card_of(run, notice=NOTICE)
    assert set(REQUIRED) < set(DEMO)
    assert not card.unanswered
    assert f"**{NOTICE}**" in card.text
    assert "no biological claim" in answer(card, "26")
    assert "not for real animals" in answer(card, "3b")


def test_intervals_of_figures_draw_cages() -> None:
    """Ten readings of each cage tell no more than one, and fewer than five cages give no interval."""

    def table(repeats: int, cages: int = 12) -> pd.DataFrame:
        error = np.random.default_rng(1).normal(0, 50, cages)
        names = [f"c{number}" for number in range(cages)]
        one = pd.DataFrame({"split": "test", "subject": names, "cage": names, "site": "", "age_days": 300.0})
        one["predicted_days"] = 300 + error
        one["low_90_days"], one["high_90_days"] = one["predicted_days"] - 60, one["predicted_days"] + 60
        return pd.concat([one] * repeats, ignore_index=True)

    once, ten = figures_of(table(1))[0], figures_of(table(10))[0]
    assert once.mae_interval == pytest.approx(ten.mae_interval)
    assert once.mae_interval is not None
    assert once.mae_interval[0] < once.mae_days < once.mae_interval[1]
    assert figures_of(table(1, cages=4))[0].mae_interval is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ethic: yes we did", "did you mean ethics"),
        ("ethics: 17", "expected text"),
        ("ethics: [a", "expected YAML"),
        ("ethics: a\nethics: b", "twice"),
        ("- ethics", "expected"),
    ],
)
def test_wrong_answers_are_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    """The error names the file, the key, and what was expected."""
    path = tmp_path / "answers.yaml"
    path.write_text(text)
    with pytest.raises(OperatorError, match=message) as refused:
        read_answers(path)
    assert str(path) in str(refused.value)


def test_the_template_holds_every_key_and_is_never_overwritten(tmp_path: Path) -> None:
    """As written it is read as no answer at all; a second time the command refuses."""
    path = tmp_path / "answers.yaml"
    done = command("card-template", "--out", path)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(path.read_text())) == {item.key for item in ITEMS} | {"license"}
    assert read_answers(path) == {}
    with pytest.raises(OperatorError, match="not overwritten"):
        write_template(path)


def test_an_answer_for_a_simulated_run_takes_the_place_of_the_built_in_one(tmp_path: Path) -> None:
    card = card_of(own_run(tmp_path, truth_rate=1.0), {"funding": "A grant."}, NOTICE)
    assert answer(card, "18a") == "A grant."
    assert msgspec.structs.asdict(CALIBRATION)["training"]["source"] in card.text
