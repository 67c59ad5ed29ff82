"""The wheel, installed outside the tree, is a whole device: it writes settings, checks them and photographs."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment that holds the wheel and the device's dependencies, nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT], check=True, capture_output=True
    )
    (wheel,) = folder.glob("cageclock-*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    pip = [folder / "env/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # A tree on Python's path would count as the package, installed already.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = [*pip, "-c", ROOT / "constraints.txt", f"{wheel}[edge]"]
    subprocess.run(line, check=True, capture_output=True, env=clean)
    return folder / "env/bin"


def run(command: list[object], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "LANG": "C.UTF-8"}
    return subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)


def test_a_device_installed_from_the_wheel_photographs_a_simulated_cage(installed: Path, tmp_path: Path) -> None:
    assert run([installed / "cageclock", "init", "cageclock.yaml"], tmp_path).returncode == 0
    text = (tmp_path / "cageclock.yaml").read_text()
    state = tmp_path / "state"
    settings = tmp_path / "simulated.yaml"
    settings.write_text(
        f"device_id: wheel\nstate_dir: {state}\ncage: {{id: wheel}}\n"
        "camera: {backend: simulated, width: 640, height: 480, px_per_mm: 2.667}\n"
    )
    assert "device_id" in text
    checked = run([installed / "cageclock", "check", settings], tmp_path)
    assert checked.returncode == 0, checked.stderr
    captured = run([installed / "cageclock", "capture", "--config", settings, "--stepped", "--captures", "3"], tmp_path)
    assert captured.returncode == 0, captured.stderr
    assert (state / "outbox.db").is_file()


def test_the_wheel_brings_the_units_along(installed: Path, tmp_path: Path) -> None:
    """The tree's `systemd/` is their one source; an installed program finds its own copy."""
    (tmp_path / "card").mkdir()
    done = run([installed / "cageclock", "install-units", "--root", tmp_path / "card"], tmp_path)
    # Only root can give the folders beside them to their users.
    assert done.returncode == 0 or (os.geteuid() != 0 and "not permitted" in done.stderr), done.stderr
    unit = tmp_path / "card/etc/systemd/system/cageclock-capture.service"
    assert unit.read_text() == (ROOT / "systemd/cageclock-capture.service").read_text()


def test_the_wheel_carries_the_page_with_what_the_browser_gets_from_others(installed: Path) -> None:
    """`cageclock-station serve` needs no npm and no registry."""
    (wheel,) = installed.parents[1].glob("cageclock-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    page = ROOT / "station/page"
    wanted = {f"station/page/templates/{path.name}" for path in (page / "templates").iterdir()}
    wanted |= {f"station/page/static/{path.name}" for path in (page / "static").iterdir() if path.is_file()}
    wanted |= {f"station/page/static/vendor/{name}" for name in ("uplot.js", "uplot.css", "htmx.js", "uplot.LICENSE")}
    assert wanted | {"station/page/texts.yaml"} <= names


def test_the_device_carries_neither_training_nor_station_dependencies(installed: Path) -> None:
    listed = subprocess.run(
        [installed / "python", "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
    ).stdout.lower()
    names = {line.split("==")[0] for line in listed.splitlines()}
    assert not names & {
        "tensorflow",
        "tensorflow-cpu",
        "tensorflow_cpu",
        "keras",
        "matplotlib",
        "scikit-learn",
        "opencv-python",
    }
    assert {"numpy", "pillow", "paho-mqtt", "msgspec", "pyyaml", "cryptography"} <= names


def test_the_source_tree_is_not_what_was_tested(installed: Path, tmp_path: Path) -> None:
    shown = run([installed / "python", "-c", "import edge; print(edge.__file__)"], tmp_path).stdout
    assert os.fspath(ROOT / "edge") not in shown
