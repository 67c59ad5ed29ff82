"""What a shadow run has shown: the paired difference of two models on the same frames, by light, camera, strain, age.

The animals are the units: readings of one are averaged first. An animal that nothing names counts with its cage.
"""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edge.contract import jsontext
from edge.contract.reading import Animal, Reading, Shadow, ShadowAnimal
from edge.errors import MessageError
from station.fleet.rollout.judge import compare
from station.fleet.rollout.state import Phase, Rollout
from station.store.body import unpack_body

MOST = 50_000
"""Newest readings that are looked at."""
LEAST_OVERLAP = 0.3
_AGES = ((180.0, "below 180 days"), (540.0, "180 to 540 days"), (float("inf"), "above 540 days"))
_READINGS = """
SELECT r.body FROM records r JOIN readings g ON g.device = r.device AND g.epoch = r.epoch AND g.seq = r.seq
    WHERE r.device = ? AND r.received_at >= ? ORDER BY g.captured_s DESC LIMIT ?"""


@dataclass(slots=True)
class Pairs:
    """Collected so far. differences: group -> animal -> new less old, days, where both accept.

    both, old_only, new_only, neither: pairs by who accepts. old_scores, new_scores: domain scores. took_ms: of the
    candidate; model_ms: of the active one.
    """

    differences: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    accepted: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("both", "old_only", "new_only", "neither"), 0)
    )
    old_scores: list[float] = field(default_factory=list)
    new_scores: list[float] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    model_ms: list[float] = field(default_factory=list)
    faults: int = 0

    def add(self, reading: Reading, shadow: Shadow) -> None:
        """Take one reading."""
        if shadow.outcome is None:
            self.faults += 1
            return
        self.took_ms.append(shadow.took_ms)
        self.model_ms.append(reading.timings.model_ms)
        for old, new in matched(reading.animals, shadow.animals):
            key = {(True, True): "both", (True, False): "old_only", (False, True): "new_only"}
            self.accepted[key.get((old.accepted, new.accepted), "neither")] += 1
            if old.estimate is not None and new.domain_score is not None:
                self.old_scores.append(old.estimate.domain_score)
                self.new_scores.append(new.domain_score)
            if old.accepted and new.accepted and old.age_days is not None and new.age_days is not None:
                animal = old.subject or f"cage {reading.cage_id}"
                for group in _groups(reading, old.age_days):
                    of_group = self.differences.setdefault(group, {})
                    of_group.setdefault(animal, []).append(new.age_days - old.age_days)

    def summary(self) -> dict[str, Any]:
        """Return it as plain values: `all` and `groups` hold the 90% intervals of the paired difference, days."""
        means = {
            group: [statistics.fmean(found) for found in animals.values()]
            for group, animals in self.differences.items()
        }
        pairs = sum(self.accepted.values())
        agree = self.accepted["both"] + self.accepted["neither"]
        return {
            "all": asdict(compare(means.pop("all", []))),
            "groups": {group: asdict(compare(found)) for group, found in sorted(means.items())},
            "pairs": pairs,
            "accepted": self.accepted,
            "agreement": round(agree / pairs, 4) if pairs else None,
            "domain_score": {"before": _median(self.old_scores), "candidate": _median(self.new_scores)},
            "model_ms": {"before": _median(self.model_ms), "candidate": _median(self.took_ms)},
            "faults": self.faults,
        }


def load_shadow(log: sqlite3.Connection | None, rollout: Rollout) -> dict[str, Any]:
    """Return what the shadow run of a rollout has shown so far, as plain values. log: None where there is none."""
    pairs = Pairs()
    if log is not None:
        for reading in _readings(log, rollout):
            shadow = reading.shadow
            if isinstance(shadow, Shadow) and shadow.sha256 == rollout.plan.sha256:
                pairs.add(reading, shadow)
    return pairs.summary()


def matched(old: Iterable[Animal], new: Iterable[ShadowAnimal]) -> Iterator[tuple[Animal, ShadowAnimal]]:
    """Return the pairs of one animal each: by name where both have one, else by the overlap of their boxes."""
    left = list(new)
    for animal in old:
        best = max(left, key=lambda one: (_same_name(animal, one), overlap(animal.box, one.box)), default=None)
        if best is None or not (_same_name(animal, best) or overlap(animal.box, best.box) >= LEAST_OVERLAP):
            continue
        left.remove(best)
        yield animal, best


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return intersection over union (0-1) of two boxes x0, y0, x1, y1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def _same_name(animal: Animal, other: ShadowAnimal) -> bool:
    return animal.subject is not None and animal.subject == other.subject


def _groups(reading: Reading, age_days: float) -> list[str]:
    age = next(text for limit, text in _AGES if age_days < limit)
    return [
        "all",
        f"light: {reading.light}",
        f"camera: {reading.device_id}",
        f"strain: {reading.strain}",
        f"age: {age}",
    ]


def _readings(log: sqlite3.Connection, rollout: Rollout) -> Iterator[Reading]:
    since_s = rollout.stage_since_s or 0.0
    devices = [name for name, one in rollout.members.items() if one.phase is Phase.SHADOW]
    for device in devices:
        for (body,) in log.execute(_READINGS, (device, since_s, MOST // len(devices))).fetchall():
            content = unpack_body(body)
            if b'"shadow":{' not in content:
                continue
            try:
                yield jsontext.decode(_without_head(content), Reading)
            except MessageError:
                continue  # of a later version of the program


def _without_head(content: bytes) -> bytes:
    """Return a stored body without the numbers that stand before a reading's own fields."""
    found: Mapping[str, Any] = jsontext.parse(content)
    return jsontext.encode({key: value for key, value in found.items() if key in Reading.__struct_fields__})


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 4) if values else None
