"""The fleet's table: one row a device, with what differs from cage to cage."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edge.contract.tables.columns import nearest, with_known_names
from edge.contract.tables.read import read_table
from edge.contract.topics import check_device
from edge.errors import MessageError, OperatorError

_SETTINGS = {
    "cage": ("cage", "id"),
    "animals": ("cage", "animals"),
    "subject": ("cage", "subject"),
    "strain": ("cage", "strain"),
    "px_per_mm": ("camera", "px_per_mm"),
    "lights_on": ("light_cycle", "lights_on"),
    "light_hours": ("light_cycle", "light_hours"),
    "zone": ("light_cycle", "zone"),
}
COLUMNS = ("device", *_SETTINGS, "place")
_MOST_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Device:
    """One device. settings: keys of cageclock.yaml with the text that the table has for them. place: for its label."""

    name: str
    settings: dict[tuple[str, str], str] = field(default_factory=dict)
    place: str = ""

    @property
    def cage(self) -> str:
        """The cage's name; the device's own where the table gives none."""
        return self.settings.get(("cage", "id"), self.name)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The rows that can be used, and a sentence for each that cannot."""

    devices: tuple[Device, ...]
    refused: tuple[str, ...] = ()


def read_fleet(path: Path, station: str) -> Fleet:
    """Return the table's devices; a wrong row costs itself.

    Raises:
        OperatorError: the file cannot be read, or a column is unknown or missing.
    """
    table = with_known_names(read_table(path, _MOST_BYTES), COLUMNS)
    for name in table.names:
        if name not in COLUMNS:
            near = nearest(name, COLUMNS)
            meant = f"did you mean '{near}'?" if near else f"known are {', '.join(COLUMNS)}"
            raise OperatorError(f"{path}: column '{name}': no such column; {meant}")
    if "device" not in table.names:
        raise OperatorError(f"{path}: expected a column 'device', got {', '.join(table.names)}")
    rows = [dict(zip(table.names, cells, strict=True)) for cells in table.rows]
    lines: dict[str, list[int]] = {}
    for row, line in zip(rows, table.lines, strict=True):
        lines.setdefault(row["device"], []).append(line)
    devices, refused = [], []
    for row, line in zip(rows, table.lines, strict=True):
        name = row["device"]
        if len(lines[name]) > 1:
            if line == lines[name][0]:
                there = ", ".join(map(str, lines[name]))
                refused.append(
                    f"{path}, lines {there}: device {name!r} stands there more than once; one name, one card"
                )
            continue
        try:
            check_device(name, station)
        except MessageError as error:
            refused.append(f"{path}, line {line}: device: {error}")
            continue
        settings = {key: row[column] for column, key in _SETTINGS.items() if row.get(column)}
        devices.append(Device(name, settings, row.get("place", "")))
    return Fleet(tuple(devices), tuple(refused))


def device_of(fleet: Fleet, name: str, path: Path) -> Device:
    """Return a device by its name.

    Raises:
        OperatorError: it is not in the table, or its row is wrong.
    """
    for one in fleet.devices:
        if one.name == name:
            return one
    wrong = [sentence for sentence in fleet.refused if repr(name) in sentence]
    if wrong:
        raise OperatorError(wrong[0])
    known = ", ".join(one.name for one in fleet.devices[:20]) or "none"
    raise OperatorError(f"{path}: no device {name!r}; there are {known}")
