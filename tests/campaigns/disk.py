"""A disk that forgets: what lies on it after a power cut, from the steps that were seen before."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.vfs import Step

SECTOR = 512


@dataclass
class Held:
    """One file: its bytes as of the last sync, and what came after, which a cut may keep, drop or tear."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Step] = field(default_factory=list)
    lasting: bool = True
    """Whether the name has ever been synced; before that, the file may not be there at all after a cut."""


class Disk:
    """Takes in steps in their order; `after_cut` draws one of the states that a cut may leave."""

    def __init__(self) -> None:
        self.files: dict[str, Held] = {}

    def see(self, step: Step) -> None:
        if step.what == "delete":
            self.files.pop(step.path, None)
            return
        held = self.files.setdefault(step.path, Held(lasting=step.path.endswith(".db")))
        if step.what == "sync":
            for one in held.pending:
                apply(held.synced, one)
            held.pending.clear()
            held.lasting = True
        else:
            held.pending.append(step)

    def after_cut(self, chance: random.Random) -> dict[str, bytes]:
        """Return path -> content. SQLite's index in shared memory (`-shm`) is not among them: it is rebuilt."""
        kept = chance.choice((0.0, 1.0, 0.5, chance.random()))
        torn = chance.choice((0.0, 0.0, 0.2))
        left = {}
        for path, held in self.files.items():
            if not held.lasting and chance.random() < 0.5:
                continue
            content = bytearray(held.synced)
            for step in held.pending:
                if step.what == "truncate":
                    if chance.random() < kept:
                        apply(content, step)
                    continue
                for sector in sectors(step):
                    if chance.random() < kept:
                        apply(content, tear(sector, chance) if chance.random() < torn else sector)
            left[path] = bytes(content)
        return left


def sectors(step: Step) -> list[Step]:
    """Return a write cut at the disk's sectors: each of them arrives or not by itself."""
    parts, at = [], step.at
    while at < step.at + len(step.data):
        end = min(step.at + len(step.data), (at // SECTOR + 1) * SECTOR)
        parts.append(Step("write", step.path, at, step.data[at - step.at : end - step.at]))
        at = end
    return parts


def tear(sector: Step, chance: random.Random) -> Step:
    """Return only the beginning of a sector, or rubbish in its place."""
    if chance.random() < 0.5:
        return Step("write", sector.path, sector.at, sector.data[: chance.randrange(len(sector.data) + 1)])
    return Step("write", sector.path, sector.at, chance.randbytes(len(sector.data)))


def apply(content: bytearray, step: Step) -> None:
    """Do a write or truncation to a file's bytes; a gap before a write is zeros, as on a real disk."""
    if step.what == "truncate":
        del content[step.at :]
        return
    if len(content) < step.at:
        content.extend(bytes(step.at - len(content)))
    content[step.at : step.at + len(step.data)] = step.data


def lay_out(folder: Path, left: dict[str, bytes]) -> None:
    """Write a state into a folder, each file under its own name."""
    for path, content in left.items():
        (folder / Path(path).name).write_bytes(content)
