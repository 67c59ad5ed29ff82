"""`cageclock install-units` puts the packaged files in place, says so, and changes nothing the second time."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from edge.cli import main

ROOT = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders to users")
needs_tools = pytest.mark.skipif(
    shutil.which("systemd-sysusers") is None or shutil.which("systemd-tmpfiles") is None,
    reason="systemd-sysusers and systemd-tmpfiles are not installed on this machine",
)


def install(card: Path, *options: str) -> int:
    (card / "etc").mkdir(parents=True, exist_ok=True)
    return main(["install-units", "--root", str(card), *options])


@needs_root
def test_a_card_gets_every_unit_that_a_device_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(tmp_path) == 0
    units = {path.name for path in (tmp_path / "etc/systemd/system").iterdir()}
    packaged = {path.name for path in (ROOT / "systemd").iterdir() if path.suffix in (".service", ".path", ".mount")}
    assert units == packaged - {f"cageclock-{name}.service" for name in ("station", "page", "fleet")}
    helper = tmp_path / "opt/cageclock/libexec/cageclock-reboot"
    assert helper.stat().st_mode & 0o777 == 0o755
    assert "/etc/systemd/journald.conf.d/cageclock.conf: written" in capsys.readouterr().out


@needs_root
def test_a_second_run_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.service")}
    capsys.readouterr()
    assert install(tmp_path) == 0
    said = capsys.readouterr().out
    assert "written" not in said
    assert "replaced" not in said
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.service")} == before


def test_a_unit_that_somebody_changed_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    unit = tmp_path / "etc/systemd/system/cageclock-capture.service"
    text = unit.read_text()
    unit.write_text("[Service]\n")
    install(tmp_path)
    assert unit.read_text() == text
    assert "cageclock-capture.service: replaced" in capsys.readouterr().out


@needs_root
@needs_tools
def test_every_folder_has_one_writer_and_the_databases_are_there_beforehand(tmp_path: Path) -> None:
    install(tmp_path)
    users = dict(re.findall(r"^(cageclock-\w+):x:(\d+):", (tmp_path / "etc/passwd").read_text(), re.MULTILINE))
    state = tmp_path / "var/lib/cageclock"
    found = {}
    for path in (state, *state.rglob("*")):
        status = path.stat()
        owner = next((name for name, number in users.items() if int(number) == status.st_uid), str(status.st_uid))
        place = path.relative_to(state).as_posix()
        found[place] = (owner.removeprefix("cageclock-"), oct(stat.S_IMODE(status.st_mode)))
    assert found == {
        ".": ("0", "0o2750"),
        "capture": ("capture", "0o2750"),
        "capture/outbox.db": ("capture", "0o660"),
        "capture/thumbnails": ("capture", "0o2750"),
        "publish": ("publish", "0o2750"),
        "publish/delivery.db": ("publish", "0o660"),
        "bundles": ("bundle", "0o2750"),
        "inbox": ("publish", "0o2770"),
        "fetch": ("fetch", "0o2750"),
    }
    assert len({path.stat().st_gid for path in (state, *state.rglob("*"))}) == 1


def test_a_station_gets_its_own_unit_and_the_brokers_settings(tmp_path: Path) -> None:
    assert install(tmp_path, "--station") == 0
    units = sorted(path.name for path in (tmp_path / "etc/systemd/system").iterdir())
    assert units == ["cageclock-fleet.service", "cageclock-page.service", "cageclock-station.service"]
    assert (tmp_path / "etc/mosquitto/conf.d/cageclock.conf").is_file()
    assert (tmp_path / "etc/mosquitto/cageclock.acl").is_file()


def test_a_folder_that_is_none_is_one_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install-units", "--root", str(tmp_path / "none")]) == 2
    assert "mount the card there first" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_is_not_root_is_told_to_be() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as card:
        os.chmod(card, 0o755)
        program = (
            "import os; from pathlib import Path; from edge.host.install_units import install_units\n"
            "from edge.errors import OperatorError\n"
            f"os.setuid(65534)\ntry: list(install_units(Path({card!r}), station=False))\n"
            "except OperatorError as error: print(error)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert "run it as root" in done.stdout, done.stderr
