"""`train-report`: steps that are run once, and again only when something has changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.errors import OperatorError
from training.commands.resumable import Step, figures_in, run_steps, table_of
from training.commands.train_report import steps_of


def test_a_finished_step_is_not_run_again_until_what_it_reads_changes(tmp_path: Path) -> None:
    """Judged by the content of its inputs, not by their dates."""
    source = tmp_path / "input.json"
    source.write_text("1")
    steps = [Step("help", ("--help",), (source,))]
    record, path = run_steps(tmp_path, steps)[0], tmp_path / "steps" / "help.json"
    written = path.stat().st_mtime_ns
    source.write_text("1")
    assert run_steps(tmp_path, steps) == [record]
    assert path.stat().st_mtime_ns == written
    source.write_text("2")
    assert run_steps(tmp_path, steps)[0]["digest"] != record["digest"]


def test_a_step_that_fails_leaves_no_record(tmp_path: Path) -> None:
    """The steps before it keep theirs."""
    steps = [Step("good", ("--help",)), Step("bad", ("evaluate", "--out", str(tmp_path / "nothing")))]
    with pytest.raises(OperatorError, match="bad"):
        run_steps(tmp_path, steps)
    assert [path.name for path in (tmp_path / "steps").iterdir()] == ["good.json"]


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    """It is not passed over as if the step had not run."""
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "good.json").write_text("{")
    with pytest.raises(OperatorError, match=r"good\.json"):
        run_steps(tmp_path, [Step("good", ("--help",))])


def test_printed_figures_are_read_back_and_put_into_one_table() -> None:
    """Lines that are no figures are passed over."""
    found = figures_in("mae_days          99.5\nturned away: nest    1\nruns/short/report.md\nage 3 days\n")
    assert found == {"mae_days": 99.5, "turned away: nest": 1.0}
    told = figures_in("greying: 0.43 deviations more (n 3)\n  12 days: 45 animals an arm\npower with 12 days: 0.8\n")
    assert told == {"greying": 0.43, "12 days": 45.0, "power with 12 days": 0.8}
    table = table_of([{"name": "truth", "figures": found, "cpu_s": 90.0}])
    assert "| truth | mae_days | 99.5 |" in table
    assert table.endswith("| truth | CPU minutes | 1.5 |\n| all | CPU minutes | 1.5 |\n")


def test_both_profiles_name_their_seeds(tmp_path: Path) -> None:
    """Short takes one, full takes three; every command is given its own."""
    short, full = (steps_of(tmp_path, profile, 5, tmp_path / "none") for profile in ("short", "full"))
    assert [step.name for step in short] == ["model-5", "truth-5", "studies", "power", "associate", "features"]
    names = [step.name for step in full]
    assert len(set(names)) == len(names)
    for seed in (6, 7):
        assert {f"model-{seed}", f"truth-{seed}", f"studies-{seed}"} <= set(names)
    assert "candidates" in names
    assert all("--seed" in step.arguments for step in [*short, *full])
    assert json.dumps(short[0].arguments) == json.dumps(steps_of(tmp_path, "short", 5, tmp_path)[0].arguments)


def test_several_steps_run_at_a_time_and_none_before_what_it_follows(tmp_path: Path) -> None:
    """Records come in the order of the list; a step's CPU time is its own."""
    steps = [Step(name, ("--help",), (), after) for name, after in (("a", ()), ("b", ("a",)), ("c", ()), ("d", ("b",)))]
    records = run_steps(tmp_path, steps, workers=2)
    assert [record["name"] for record in records] == ["a", "b", "c", "d"]
    assert all(0 < float(str(record["cpu_s"])) < 60 for record in records)
    a, b, d = ((tmp_path / "steps" / f"{name}.json").stat().st_mtime_ns for name in "abd")
    assert a < b < d


def test_nothing_follows_a_step_that_failed(tmp_path: Path) -> None:
    """What ran beside it is kept."""
    bad = Step("bad", ("evaluate", "--out", str(tmp_path / "nothing")))
    steps = [bad, Step("beside", ("--help",)), Step("later", ("--help",), (), ("bad",))]
    with pytest.raises(OperatorError, match="bad"):
        run_steps(tmp_path, steps, workers=2)
    assert [path.name for path in (tmp_path / "steps").iterdir()] == ["beside.json"]
