"""Which ring a device belongs to: chance by digest, so that it is the same for everyone who asks, at any time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from station.fleet.rollout.plan import Ring


def place(sha256: str, unit: str) -> float:
    """Return where a unit stands between 0 and 1 in the rollout of a bundle; the next bundle puts it elsewhere."""
    digest = hashlib.sha256(f"{sha256}/{unit}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2.0**64


def assign(
    sha256: str,
    rings: Sequence[Ring],
    units: Mapping[str, Iterable[str]],
    arms: Mapping[str, frozenset[str]] = MappingProxyType({}),
) -> dict[str, int]:
    """Return the ring of each device.

    units: unit -> its devices, which come into one ring. A ring of a number of devices is never exceeded: of devices
    that switch together only those go into it that fit. A ring of a share ends with the unit that reaches it. arms:
    unit -> the arms of the study whose animals it sees, where they are known. Units follow each other by chance, every
    arm at the same pace.
    """
    order = _balanced(sha256, units, arms)
    left = sorted(((unit, sorted(devices)) for unit, devices in units.items()), key=lambda one: order[one[0]])
    total = sum(len(devices) for _, devices in left)
    found: dict[str, int] = {}
    for number, ring in enumerate(rings):
        most = ring.devices if ring.devices is not None else math.ceil((ring.share or 0.0) * total - 1e-9)
        remaining = []
        for unit, devices in left:
            fits = len(found) + len(devices) <= most if ring.devices is not None else len(found) < most
            if fits:
                found |= dict.fromkeys(devices, number)
            else:
                remaining.append((unit, devices))
        left = remaining
    return found


def _balanced(sha256: str, units: Iterable[str], arms: Mapping[str, frozenset[str]]) -> dict[str, tuple[float, str]]:
    """Return the place of each unit in an order of which every beginning holds the same share of each arm.

    A systematic sample: of an arm's n units in their order by chance, one in each 1/n. Otherwise one arm could have
    the new model weeks before the other, and the model's difference would be taken for the treatment's.
    """
    strata: dict[tuple[str, ...], list[str]] = {}
    for unit in units:
        strata.setdefault(tuple(sorted(arms.get(unit, ()))), []).append(unit)
    found = {}
    for stratum, members in strata.items():
        begin = place(sha256, f"arm {stratum}")
        for at, unit in enumerate(sorted(members, key=lambda one: (place(sha256, one), one))):
            found[unit] = ((at + begin) / len(members), unit)
    return found


def ring_of_late(sha256: str, unit: str, rings: Sequence[Ring]) -> int:
    """Return the ring of a unit that was not there when the rollout was made: the share in which its place lies.

    Rings of a number of devices are full: they were filled from the devices of that time.
    """
    at = place(sha256, unit)
    for number, ring in enumerate(rings):
        if ring.share is not None and at < ring.share:
            return number
    return len(rings) - 1
