"""Curves by day, made once and kept until a record or the table of animals changes them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from station.page.database import page_database
from station.page.read import devices_of_animal, load_some_curves, log, made_of
from station.page.series import pack, pack_days

STEPS_AT_ONCE = 2
"""Curves made at the same time; further ones wait."""
FORM = "2"
"""Of the stored series: another one makes all of them again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose curve: an animal's by its name, or what a device saw that is no one animal's, by the cage's name."""

    kind: str
    name: str
    device: str = ""


class Curves:
    """The store of curves over one data folder; used by several threads."""

    def __init__(self, data: Path) -> None:
        """Nothing is made yet."""
        self._data = data
        self._slots = threading.Semaphore(STEPS_AT_ONCE)
        self._making: set[Wanted] = set()
        self._lock = threading.Lock()

    def days(self, wanted: Wanted, *, patient: bool = False) -> bytes:
        """Return the packed days of a curve: as it is now, or the last one while the new one is being made.

        patient: always as it is now.
        """
        devices, now = self._state(wanted)
        key = f"{wanted.name}\n{wanted.device}"
        with page_database(self._data) as connection:
            row = connection.execute(
                "SELECT made_of, body FROM series WHERE kind = ? AND name = ?", (wanted.kind, key)
            ).fetchone()
        if row is not None and row["made_of"] == now:
            return bytes(row["body"])
        if row is not None and not patient:
            self._make_beside(wanted, devices, now, key)
            return bytes(row["body"])
        return self._make(wanted, devices, now, key)

    def _state(self, wanted: Wanted) -> tuple[list[str], str]:
        with log(self._data) as connection:
            devices = [wanted.device] if wanted.kind == "cage" else devices_of_animal(connection, wanted.name)
            return devices, f"{FORM} {made_of(connection, devices)}"

    def _make(self, wanted: Wanted, devices: list[str], now: str, key: str) -> bytes:
        with self._slots:
            found = load_some_curves(self._data, devices) if devices else []
        named = wanted.kind == "animal"
        curve = next((one for one in found if one.name == wanted.name and one.named == named), None)
        body = pack_days(curve) if curve is not None else _empty(wanted)
        with page_database(self._data) as connection:
            connection.execute("INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?)", (wanted.kind, key, now, body))
        return body

    def _make_beside(self, wanted: Wanted, devices: list[str], now: str, key: str) -> None:
        with self._lock:
            if wanted in self._making:
                return
            self._making.add(wanted)

        def work() -> None:
            try:
                self._make(wanted, devices, now, key)
            finally:
                with self._lock:
                    self._making.discard(wanted)

        threading.Thread(target=work, name="ThreadPoolExecutor-curve", daemon=True).start()


def _empty(wanted: Wanted) -> bytes:
    names = ("at", "age", "low", "high", "true", "readings", "captures", "light", "dark")
    more = {"name": wanted.name, "named": wanted.kind == "animal", "about": "", "cage": "", "device": wanted.device}
    more |= {"born": None, "died": None, "accepted": 0, "captures_in_all": 0, "notices": [], "left_out": []}
    more |= {"why_no_age": None, "refused": [], "marks": [], "weeks": []}
    return pack({name: [] for name in names}, more)
