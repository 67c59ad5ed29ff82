"""Runs the demo: broker, station, cages; watches until all is logged; draws the curves; prints what was measured."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from edge.camera.simulated import animals_of
from edge.config.load import load_config
from edge.contract.reading import Reading
from edge.demo import lab, verdict
from edge.demo.broker import Broker, start_broker
from edge.demo.children import Children
from edge.demo.lab import DemoCage
from edge.demo.page import start_page
from edge.demo.subscriber import Subscriber
from edge.demo.table import Table
from edge.errors import OperatorError

TrueAge = Callable[[DemoCage, Reading], float]
"""The simulated animal's age in days at a reading."""

_MARKER = ".cageclock-demo"
_PATIENCE_S = 120.0


def run(out: Path, *, cages: int = 4, captures: int = 230, seed: int = 1, broker: str = "auto") -> int:
    """Run the demo into the folder `out` and return the exit code; Ctrl-C ends it cleanly at any moment.

    Raises:
        OperatorError: the folder holds something else than an earlier demo, or no broker can be had.
        DeviceError: a child ended badly; the message quotes its last line.
    """
    # SIGINT too: a shell that starts a job in the background has it ignored, and Python leaves that as it is.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        _make_empty(out)
        with Children(out / "logs") as children:
            return _live(children, out.resolve(), cages, captures, seed, broker)
    except KeyboardInterrupt:
        print(f"\nstopped; what was logged so far is in {out}", flush=True)
        return 0


def _live(children: Children, out: Path, cages: int, captures: int, seed: int, choice: str) -> int:
    started = time.monotonic()
    broker = start_broker(children, out / "broker", choice)
    built = lab.build_lab(out, broker, cages=cages, captures=captures, seed=seed)
    begin = lab.begins_at(captures)
    births = {cage.device_id: animals_of(load_config(cage.config), begin)[0] for cage in built}
    subjects = [
        {
            "subject": cage.subject,
            "strain": births[cage.device_id].strain,
            "sex": births[cage.device_id].sex,
            "date_of_birth": births[cage.device_id].date_of_birth.isoformat(),
            "cage": cage.device_id,
            "device": cage.device_id,
        }
        for cage in built
    ]
    lab.write_subjects(out / "subjects.csv", subjects)
    print(f"{cages} simulated cages, {captures} captures each, over {broker.name} on port {broker.port}; folder {out}")
    print("the model was trained on simulated mice; no biological claim\n", flush=True)

    def true_age(cage: DemoCage, reading: Reading) -> float:
        born = births[cage.device_id].date_of_birth
        return (reading.captured_at.date() - born).days + reading.captured_at.hour / 24

    station = out / "station"
    _start_station(children, broker, station)
    page = start_page(children, station)
    if page is not None:
        print(f"page            {page.address} (follows by itself)\n", flush=True)
    stays = page is not None and sys.stdin.isatty()
    subscriber = Subscriber(broker)
    try:
        for cage in built:
            _start_device(children, cage, begin.isoformat())
        table = Table()
        _watch_until_logged(children, built, subscriber, table, true_age)
    finally:
        subscriber.stop()
    elapsed_s = time.monotonic() - started
    if not stays:
        for cage in built:
            children.stop(f"{cage.device_id}-publish")
        children.stop("station")
    code = _close(out, station, built, elapsed_s, true_age)
    if page is not None and stays:
        print(f"\nCtrl-C ends the demo; until then its cages are at\n{page.address}", flush=True)
        with suppress(KeyboardInterrupt):
            while page.runs():
                time.sleep(0.5)
    elif page is not None:
        print(f"page            cageclock-station serve --token --data {station}", flush=True)
    return code


def _start_station(children: Children, broker: Broker, data: Path) -> None:
    command = [sys.executable, "-m", "station.cli", "run", "--host", broker.host, "--port", str(broker.port)]
    command += ["--name", lab.STATION, "--data", str(data), "--mqtt-version", broker.version]
    if broker.username is not None and broker.password_file is not None:
        command += ["--username", broker.username, "--password-file", str(broker.password_file)]
    children.start("station", command)


def _start_device(children: Children, cage: DemoCage, begin: str) -> None:
    cageclock = [sys.executable, "-m", "edge.cli"]
    stepped = ["--stepped", "--stepped-from", begin, "--captures", str(cage.captures)]
    # One thread a process: four cages share the machine's cores.
    calm = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    children.start(f"{cage.device_id}-capture", [*cageclock, "capture", "--config", str(cage.config), *stepped], calm)
    children.start(f"{cage.device_id}-publish", [*cageclock, "publish", "--config", str(cage.config)])


def _watch_until_logged(
    children: Children, built: list[DemoCage], subscriber: Subscriber, table: Table, true_age: TrueAge
) -> None:
    """Redraw until every capture has ended and everything it appended is committed by the station."""
    quiet_since = time.monotonic()
    done = -1
    while True:
        children.check()
        rows = []
        for cage in built:
            seen = subscriber.seen(cage.device_id)
            rows.append((cage, seen, true_age(cage, seen.newest) if seen.newest else None))
        table.draw(rows)
        captured = all(children.finished(f"{cage.device_id}-capture") for cage in built)
        if captured and all(seen.committed >= verdict.appended(cage) for cage, seen, _ in rows):
            table.draw(rows, final=True)
            return
        now_done = sum(seen.committed for _, seen, _ in rows)
        if now_done != done:
            done, quiet_since = now_done, time.monotonic()
        if captured and time.monotonic() - quiet_since > _PATIENCE_S:
            table.draw(rows, final=True)
            print(f"gave up waiting: nothing more was logged for {_PATIENCE_S:.0f} s; see the logs folder")
            return
        time.sleep(0.2)


def _close(out: Path, station: Path, built: list[DemoCage], elapsed_s: float, true_age: TrueAge) -> int:
    show = [sys.executable, "-m", "station.cli"]
    data = ["--data", str(station)]
    subprocess.run(
        [*show, "subjects", "import", str(out / "subjects.csv"), *data], check=True, stdout=subprocess.DEVNULL
    )
    curves = out / "curves.png"
    print()
    subprocess.run([*show, "show", *data, "--png", str(curves), "--by", "month"], check=True)
    found = verdict.judge(built, verdict.station_keys(station / "station.db"), true_age)
    print()
    print(verdict.describe(found, elapsed_s))
    print(f"curves          {curves}")
    print(f"thumbnails      {station / 'thumbnails'}")
    return 0 if found.missing == 0 else 1


def _make_empty(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        if not (out / _MARKER).exists():
            raise OperatorError(f"demo: {out} holds other files; name an empty or new folder with --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARKER).touch()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
