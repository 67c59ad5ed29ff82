"""What a curve shows, as files: CSV of days and readings, and the figure as PNG and SVG, drawn by a child process."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import isnan

from starlette.responses import Response

from edge.errors import OperatorError
from station.page.read import load_readings, load_table
from station.page.series import unpack
from station.page.show_animal import find_wanted, find_window
from station.page.texts import text
from station.page.web import Visit
from station.printable import as_cell

MOST_READINGS = 300_000
"""In one file: two years with a reading each three and a half minutes."""
FORMATS = {"png": "image/png", "svg": "image/svg+xml"}
MOST_S = 120.0
_ONE_AT_A_TIME = threading.Semaphore(1)
"""A drawing takes a second of a core and 150 MB of memory."""
DAYS = ("day", "looks_days", "low_days", "high_days", "true_age_days", "gap_days", "readings", "captures", "light_days")
READINGS = (
    "time",
    "device",
    "epoch",
    "seq",
    "light",
    "outcome",
    "accepted",
    "reject_reasons",
    "looks_days",
    "low_days",
)


def send_days_csv(visit: Visit) -> Response:
    """Return a curve by day as CSV: ages in days, one row a day of the room on which something was captured."""
    wanted, devices = find_wanted(visit)
    head, columns = unpack(visit.page.curves.days(wanted, patient=True))
    zone = load_table(visit.data)[1].of(devices[0] if devices else None)
    rows = []
    for n, at in enumerate(columns["at"]):
        day = datetime.fromtimestamp(at, UTC).astimezone(zone).date().isoformat()
        ages = [_cell(columns[name][n]) for name in ("age", "low", "high", "true")]
        gap = _cell(columns["age"][n] - columns["true"][n])
        counts = [int(columns[name][n]) for name in ("readings", "captures")]
        rows.append([day, *ages, gap, *counts, _cell(columns["light"][n]), _cell(columns["dark"][n])])
    return csv_response(f"{head['name']}-days", (*DAYS, "dark_days"), rows)


def send_readings_csv(visit: Visit) -> Response:
    """Return the readings of a window as CSV: times in UTC, ages in days, estimates that were not accepted too."""
    wanted, devices = find_wanted(visit)
    from_s, until_s = find_window(visit)
    found = load_readings(visit.data, devices, wanted.name, wanted.kind == "animal", from_s, until_s, MOST_READINGS)
    rows = [
        [
            datetime.fromtimestamp(one.at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            *(as_cell(one.device), as_cell(one.epoch), one.seq, one.light, one.outcome),
            *("yes" if one.accepted else "no", one.reasons),
            *(_cell(one.age_days), _cell(one.low_days), _cell(one.high_days)),
        ]
        for one in found
    ]
    return csv_response(f"{wanted.name}-readings", (*READINGS, "high_days"), rows)


def send_figure(visit: Visit) -> Response:
    """Return the figure of a curve by day, as `cageclock-station show` draws it.

    Raises:
        OperatorError: it is to be none of the formats, or nothing can be drawn.
    """
    wanted, devices = find_wanted(visit)
    kind = visit.value("format")
    if kind not in FORMATS:
        raise OperatorError(f"format: expected png or svg, got {kind[:40]!r}")
    command = [sys.executable, "-m", "station.page.draw", kind, str(visit.data), wanted.kind, wanted.name, *devices]
    with _ONE_AT_A_TIME:
        try:
            done = subprocess.run(command, capture_output=True, timeout=MOST_S, check=False)
        except subprocess.TimeoutExpired:
            raise OperatorError(text("export.slow")) from None
    if done.returncode != 0:
        raise OperatorError(done.stderr.decode(errors="replace").strip()[-300:] or text("export.slow"))
    return _file(done.stdout, FORMATS[kind], f"{wanted.name}.{kind}")


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Return a table as a file for a spreadsheet."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(columns)
    writer.writerows(rows)
    return _file(target.getvalue().encode(), "text/csv; charset=utf-8", f"{name}.csv")


def _file(content: bytes, kind: str, name: str) -> Response:
    sound = re.sub(r"[^0-9A-Za-z._-]+", "_", name)[-100:]
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{sound}"'})


def _cell(days: float | None) -> str:
    return "" if days is None or isnan(days) else f"{days:.2f}"
