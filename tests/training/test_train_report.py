"""`train-report`: steps that are run once, and again only when something has changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.errors import OperatorError
from training.cli import main
from training.figures import Figures, read_figures
from training.steps.resumable import Step, run_steps, table_of
from training.steps.train_report_commands import steps_of


def quick(folder: Path, name: str, reads: tuple[Path, ...] = (), after: tuple[str, ...] = ()) -> Step:
    """Return a step that does little."""
    return Step(name, ("card-template", "--out", str(folder / f"{name}.yaml")), reads, after)


def test_a_finished_step_is_not_run_again_until_what_it_reads_changes(tmp_path: Path) -> None:
    """Judged by the content of its inputs, not by their dates."""
    source = tmp_path / "input.json"
    source.write_text("1")
    steps = [quick(tmp_path, "quick", (source,))]
    record, path = run_steps(tmp_path, steps)[0], tmp_path / "steps" / "quick.json"
    written = path.stat().st_mtime_ns
    source.write_text("1")
    assert run_steps(tmp_path, steps) == [record]
    assert path.stat().st_mtime_ns == written
    source.write_text("2")
    (tmp_path / "quick.yaml").unlink()  # the command overwrites nothing
    assert run_steps(tmp_path, steps)[0]["digest"] != record["digest"]


def test_a_step_that_fails_leaves_no_record(tmp_path: Path) -> None:
    """The steps before it keep theirs."""
    steps = [quick(tmp_path, "good"), Step("bad", ("evaluate", "--out", str(tmp_path / "nothing")))]
    with pytest.raises(OperatorError, match="bad"):
        run_steps(tmp_path, steps)
    assert [path.name for path in (tmp_path / "steps").iterdir()] == ["good.json"]


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    """It is not passed over as if the step had not run."""
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "good.json").write_text("{")
    with pytest.raises(OperatorError, match=r"good\.json"):
        run_steps(tmp_path, [quick(tmp_path, "good")])


def test_a_steps_figures_come_from_its_file_and_never_from_what_it_prints(tmp_path: Path) -> None:
    """`power` prints sentences; the record holds their figures by name, and they stand in one table."""
    line = ("power", "--sem", "60", "--icc", "0.5", "--studies", "20", "--out", str(tmp_path / "power"))
    record = run_steps(tmp_path / "report", [Step("power", line)])[0]
    kept = json.loads((tmp_path / "power" / "power.json").read_text())
    enough = {
        f"{row['readings']} days with a reading": row["animals_per_arm"]
        for row in kept["table"]
        if row["animals_per_arm"] is not None
    }
    assert enough
    assert record["figures"] == {**enough, "simulated power with 12 days": round(kept["power_simulated"], 2)}
    table = table_of([record])
    for name, animals in enough.items():
        assert f"| power | {name} | {animals:.4g} |" in table
    assert "| all | CPU minutes |" in table


def test_figures_are_written_whole_at_the_end_and_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With no digit lost, shown or not; of one name the last number counts."""
    path = tmp_path / "made" / "figures.json"
    figures = Figures(path)
    figures.show({"turned away: nest": 1, "mae_days": 99.123456})
    figures.add({"mae_days": 98.7654321, "width": float("inf")})
    assert not path.exists()
    figures.write()
    assert read_figures(path) == {"turned away: nest": 1.0, "mae_days": 98.7654321, "width": float("inf")}
    assert capsys.readouterr().out == f"{'turned away: nest':32} 1\n{'mae_days':32} 99.12\n"
    assert [one.name for one in path.parent.iterdir()] == ["figures.json"]


def test_a_command_that_fails_leaves_no_figures_of_an_earlier_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does one that is given a folder begin."""
    path = tmp_path / "figures.json"
    path.write_text('{"mae_days": 3}')
    assert main(["--figures", str(path), "evaluate", "--out", str(tmp_path / "nothing")]) == 2
    assert not path.exists()
    assert main(["--figures", str(tmp_path), "card-template", "--out", str(tmp_path / "card")]) == 2
    assert "expected a file to write, got a folder" in capsys.readouterr().err
    assert not (tmp_path / "card").exists()


@pytest.mark.parametrize("text", ["{", "[1]", '{"mae_days": "3"}', '{"mae_days": true}', '{"mae_days": null}'])
def test_a_file_that_holds_no_figures_is_named(text: str, tmp_path: Path) -> None:
    """It is not taken as a command that found none."""
    path = tmp_path / "figures.json"
    path.write_text(text)
    with pytest.raises(OperatorError, match=r"figures\.json: expected"):
        read_figures(path)


def test_a_step_that_hands_no_figures_over_is_no_finished_step(tmp_path: Path) -> None:
    """A command that ends well and writes no file is none of this program's commands."""
    with pytest.raises(OperatorError, match="it wrote none"):
        run_steps(tmp_path, [Step("help", ("--help",))])
    assert not list((tmp_path / "steps").iterdir())


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
    order = (("a", ()), ("b", ("a",)), ("c", ()), ("d", ("b",)))
    steps = [quick(tmp_path, name, after=after) for name, after in order]
    records = run_steps(tmp_path, steps, workers=2)
    assert [record["name"] for record in records] == ["a", "b", "c", "d"]
    assert all(0 < float(str(record["cpu_s"])) < 60 for record in records)
    a, b, d = ((tmp_path / "steps" / f"{name}.json").stat().st_mtime_ns for name in "abd")
    assert a < b < d


def test_nothing_follows_a_step_that_failed(tmp_path: Path) -> None:
    """What ran beside it is kept."""
    bad = Step("bad", ("evaluate", "--out", str(tmp_path / "nothing")))
    steps = [bad, quick(tmp_path, "beside"), quick(tmp_path, "later", after=("bad",))]
    with pytest.raises(OperatorError, match="bad"):
        run_steps(tmp_path, steps, workers=2)
    assert [path.name for path in (tmp_path / "steps").iterdir()] == ["beside.json"]
