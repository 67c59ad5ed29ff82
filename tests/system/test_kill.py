"""Kill -9 of any process at any moment: what was appended is in the station's database exactly once."""

import os
from pathlib import Path

import pytest

from tests.harness.waiting import wait_until
from tests.system.rig import ROOT, Rig

KILLS = int(os.environ.get("CAGECLOCK_KILLS", "55"))
SEED = int(os.environ.get("CAGECLOCK_KILL_SEED", "20261121"))
TINY = ROOT / "tests" / "data" / "tiny.bundle"


@pytest.mark.broker
@pytest.mark.slow
def test_kills_of_device_broker_and_station_lose_and_double_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = Rig(tmp_path)
    feeder = ["tests/system/feeder.py", str(rig.state_dir), rig.device, str(rig.ledger), "0.01"]
    rig.add_device(rig.settings(), feeder)
    try:
        rig.start()
        counts = rig.kill_for(KILLS, SEED, longest_pause_s=1.6)
        rig.power_cut()
        before = len(rig.promises())
        wait_until(lambda: len(rig.promises()) > before)
        assert rig.parts["capture"].stop() == 0
        quiet_s = rig.wait_for_quiet(180)
        assert rig.parts["publish"].stop() == 0
        assert rig.parts["station"].stop() == 0
        found = rig.judge()
    finally:
        rig.end()
    killed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    with capsys.disabled():
        print(
            f"\n{KILLS} kills (seed {SEED}: {killed}) and a power cut of all; {found.appended} records on the device, "
            f"{found.promised} promised by append, {found.thumbnails} thumbnails; all at the station {quiet_s:.1f} s "
            f"after the last; faults: {found.faults() or 'none'}"
        )
    assert found.faults() == [], "\n".join(f"== {name}\n{part.log()[-2000:]}" for name, part in rig.parts.items())
    assert found.promised > KILLS  # on a busy machine the children take most of the time to start
    assert found.thumbnails > 0
    assert min(counts.values()) > 0


@pytest.mark.broker
@pytest.mark.slow
def test_the_real_capture_killed_between_its_slots_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = Rig(tmp_path)
    settings = rig.settings()
    settings["bundle"] = {"path": str(TINY), "trusted_keys": [str(TINY.with_suffix(".pub"))]}
    config = tmp_path / "cageclock.yaml"
    rig.add_device(settings, ["-m", "edge.cli", "capture", "--config", str(config), "--stepped"])
    try:
        rig.start()
        wait_until(lambda: len(rig.appended()) > 3)
        counts = rig.kill_for(8, SEED, longest_pause_s=3.0)
        before = len(rig.appended())
        wait_until(lambda: len(rig.appended()) > before)
        assert rig.parts["capture"].stop() == 0
        quiet_s = rig.wait_for_quiet(120)
        rig.parts["publish"].stop()
        rig.parts["station"].stop()
        found = rig.judge()
    finally:
        rig.end()
    with capsys.disabled():
        print(
            f"\n{sum(counts.values())} kills, real capture: {found.appended} records, {found.thumbnails} thumbnails; "
            f"quiet after {quiet_s:.1f} s; faults: {found.faults() or 'none'}"
        )
    assert found.faults() == [], "\n".join(f"== {name}\n{part.log()[-2000:]}" for name, part in rig.parts.items())
