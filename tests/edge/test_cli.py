"""The command line: exit codes, one line an error."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge.cli import main
from tests.harness.child import Child, python

MINIMAL = "device_id: cage07\nstate_dir: /tmp/x\ncage: {id: cage07}\ncamera: {backend: simulated}\n"


def test_init_then_check_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cageclock.yaml"
    assert main(["init", str(path)]) == 0
    assert main(["check", str(path)]) == 0
    assert f"{path}: ok (device cage07" in capsys.readouterr().out
    assert main(["init", str(path)]) == 2


def test_a_wrong_setting_is_one_line_and_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cageclock.yaml"
    path.write_text(MINIMAL + "mqtt: {prot: 1883}\n")
    assert main(["check", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"cageclock: {path}, line 5: mqtt.prot: expected a known key (did you mean 'port'?)")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["photograph"],
        ["capture"],
        ["capture", "--config", "x", "--captures", "0"],
        ["capture", "--config", "x", "--stepped-from", "yesterday"],
        ["capture", "--config", "x", "--stepped-from", "2024-01-01T00:00:00"],
    ],
)
def test_a_wrong_command_line_is_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_it_runs_as_a_module_too() -> None:
    done = subprocess.run([sys.executable, "-m", "edge.cli", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("cageclock ")


def test_ctrl_c_in_a_command_that_is_not_done_is_code_130(tmp_path: Path) -> None:
    """It waits for the rest of its settings, from a pipe: what it did not say must not look like "right"."""
    pipe = tmp_path / "cageclock.yaml"
    os.mkfifo(pipe)
    with Child(python("-m", "edge.cli", "check", pipe), tmp_path / "check.log") as child:
        writer = os.open(pipe, os.O_WRONLY)  # returns when the command has opened it
        child.send(signal.SIGINT)
        code = child.ended()
        os.close(writer)
    assert (code, child.log()) == (130, "cageclock: interrupted\n")
