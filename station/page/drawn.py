"""What the model saw in a picture: boxes and body parts, which stand in the record alone."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from edge.contract import jsontext
from edge.contract.reading import Animal, Quality, Reading
from edge.errors import MessageError
from station.store.body import unpack_body


@dataclass(frozen=True, slots=True)
class Drawn:
    """One record's picture. width, height: of the frame in whose pixels boxes and body parts are; None if unknown."""

    width: int | None
    height: int | None
    animals: tuple[Animal, ...]
    quality: Quality | None

    @property
    def unit(self) -> float:
        """A length that is as thick on every picture as a thin line on a small one."""
        return max(self.width or 0, self.height or 0) / 200


def find_drawn(connection: sqlite3.Connection, device: str, epoch: str, seq: int) -> Drawn | None:
    """Return what a record says was seen where; None where there is no such record, or it cannot be read."""
    row = connection.execute(
        "SELECT body FROM records WHERE device = ? AND epoch = ? AND seq = ?", (device, epoch, seq)
    ).fetchone()
    try:
        found = jsontext.decode(unpack_body(row["body"]), Reading) if row is not None else None
    except (MessageError, ValueError):
        return None
    if found is None:
        return None
    camera = found.camera
    if camera is None or not (camera.width and camera.height):
        return Drawn(None, None, found.animals, found.quality)
    return Drawn(camera.width, camera.height, found.animals, found.quality)
