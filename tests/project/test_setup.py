"""On a bare machine the setup names what is missing, in one line, and changes nothing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def copy_of_tools(folder: Path) -> Path:
    shutil.copytree(ROOT / "tools", folder / "tools")
    return folder


def run(script: Path, path: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(script)] + (["dev"] if script.name == "prepare.sh" else []),
        env={"PATH": path},
        capture_output=True,
        text=True,
        user=user,
    )


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder of programs with just what any shell has."""
    for program in ("dirname", "sh", "id", "mktemp", "tail", "rm", "touch"):
        found = shutil.which(program)
        assert found
        (tmp_path / program).symlink_to(found)
    return tmp_path


def test_every_missing_program_is_named_in_one_line(bare: Path, tmp_path: Path) -> None:
    done = run(copy_of_tools(tmp_path / "copy") / "tools/prepare.sh", str(bare))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    for name in ("git", "make", "python3", "apt-get install"):
        assert name in line


def test_a_python_that_is_too_old_is_not_taken(bare: Path, tmp_path: Path) -> None:
    for name in ("git", "make"):
        (bare / name).symlink_to("/bin/true")
    (bare / "python3").write_text("#!/bin/sh\nexit 1\n")
    (bare / "python3").chmod(0o755)
    done = run(copy_of_tools(tmp_path / "copy") / "tools/prepare.sh", str(bare))
    assert done.returncode == 2
    assert "python3.11-or-newer" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become a user who may not install packages")
def test_an_ordinary_user_without_broker_and_browser_is_told_what_to_install(bare: Path, tmp_path: Path) -> None:
    script = copy_of_tools(tmp_path / "copy") / "tools/system_packages.sh"
    text = script.read_text().replace("sbin/mosquitto", "sbin/no-mosquitto").replace("bin/initdb", "bin/no-initdb")
    script.write_text(text)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/tmp") and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    done = run(script, str(bare), user=65534)
    assert done.returncode == 2
    *_, line = done.stderr.splitlines()
    assert "need mosquitto postgresql chromium; as root: apt-get install mosquitto postgresql chromium" in line
