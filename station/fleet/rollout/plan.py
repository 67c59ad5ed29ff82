"""What a person decides about a rollout before it begins: rings, thresholds, hours; read from what is typed."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from itertools import pairwise
from typing import Annotated

import msgspec

from edge.contract.base import Fraction, NotNegative, Positive, Sha256, Struct
from edge.errors import OperatorError

_DURATION = re.compile(r"([0-9]{1,6})(min|m|h|d|s)")
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_RING = re.compile(r"([0-9]{1,6})(%?)")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")

Minute = Annotated[int, msgspec.Meta(ge=0, lt=1440)]


class Ring(Struct, frozen=True, kw_only=True):
    """How many devices may have the bundle once this ring is through: a number of them, or a share of all."""

    devices: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    share: Fraction | None = None

    def __str__(self) -> str:
        """Return it as a person types it."""
        return str(self.devices) if self.devices is not None else f"{(self.share or 0.0) * 100:g}%"


class Window(Struct, frozen=True, kw_only=True):
    """The minutes of the day, in the zone of the device's room, between which a device may be asked to switch."""

    begin: Minute
    end: Minute

    def holds(self, at_s: float, zone: tzinfo) -> bool:
        """Return whether a moment (Unix seconds) lies in it; one whose end is before its begin spans midnight."""
        local = datetime.fromtimestamp(at_s, zone)
        minute = 60 * local.hour + local.minute
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end

    def __str__(self) -> str:
        """Return it as a person types it."""
        begin, end = divmod(self.begin, 60), divmod(self.end, 60)
        return f"{begin[0]:02}:{begin[1]:02}-{end[0]:02}:{end[1]:02}"


class Thresholds(Struct, frozen=True, kw_only=True):
    """When a ring is through and when a rollout takes itself back.

    success: of a ring's devices, the share that must be good. errors: the share that may fail; one more reverts all.
    soak_s: how long a device must have been good before its ring is through. watch_s: how long after that it is judged
    whether it is worse than before; later changes have other causes. frozen_s: how long a device that is connected may
    leave undone what it was asked. abstention_rise, domain_rise: by how much the share of captures without an accepted
    estimate, and the median domain score, may rise on one device. least_readings: below so many on either side neither
    is judged.
    """

    success: Fraction = 0.8
    errors: Fraction = 0.1
    soak_s: NotNegative = 3600.0
    watch_s: NotNegative = 86400.0
    frozen_s: Positive = 86400.0
    abstention_rise: Fraction = 0.15
    domain_rise: Positive = 0.25
    least_readings: Annotated[int, msgspec.Meta(ge=2, le=100_000)] = 20


UNDECIDED_TIMES = 3.0
"""After so many times the shadow's own length without a verdict a person is asked; the devices run it so long."""


class Shadow(Struct, frozen=True, kw_only=True):
    """A time in which the bundle runs beside the present one before any device switches.

    margin_days: the two count as equivalent where the 90% interval of the paired difference lies within it.
    animals: of fewer animals nothing is concluded. runs: how often it was given its time, once more by each `resume`.
    judged: how often it was judged since: once after each whole length, because looking until it fits would find
    equivalence by chance.
    """

    seconds: Positive
    margin_days: Positive
    animals: Annotated[int, msgspec.Meta(ge=2, le=10_000)] = 5
    runs: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    judged: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0


class Plan(Struct, frozen=True, kw_only=True):
    """All of it. sha256: the bundle's identity. limit: how many devices may be switching at the same time.

    approvals: how many persons beside the one who made it must approve. only: the groups whose devices take part
    (`strain=C57BL/6J`); none: all devices of the channel.
    """

    sha256: Sha256
    channel: str
    release: int
    name: str
    rings: Annotated[tuple[Ring, ...], msgspec.Meta(min_length=1, max_length=20)]
    thresholds: Thresholds = Thresholds()
    shadow: Shadow | None = None
    window: Window | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4
    approvals: Annotated[int, msgspec.Meta(ge=0, le=8)] = 0
    only: tuple[str, ...] = ()


def read_rings(text: str) -> tuple[Ring, ...]:
    """Return the rings of a text such as `1,5%,25%,100%`.

    Raises:
        OperatorError: it is no such list, a share does not rise, a number follows a share, or the last is not 100%.
    """
    rings: list[Ring] = []
    for part in text.replace(" ", "").split(","):
        share, number = _PERCENT.fullmatch(part), _RING.fullmatch(part)
        if share and 0.0 < float(share[1]) <= 100.0:
            rings.append(Ring(share=float(share[1]) / 100.0))
        elif number and not number[2] and int(number[1]) > 0:
            rings.append(Ring(devices=int(number[1])))
        else:
            raise OperatorError(
                f"--rings: expected numbers of devices and shares such as 1,5%,25%,100%, got {part!r} in {text!r}"
            )
    if rings[-1].share != 1.0:
        raise OperatorError(f"--rings: expected 100% as the last ring, got {rings[-1]} in {text!r}")
    if len(rings) > 20:
        raise OperatorError(f"--rings: expected at most 20 rings, got {len(rings)}")
    for before, after in pairwise(rings):
        if before.devices is None and after.devices is not None:
            raise OperatorError(f"--rings: expected numbers of devices before shares, got {after} after {before}")
        if (before.devices or 0) >= (after.devices or 1 << 30) or (before.share or 0.0) >= (after.share or 2.0):
            raise OperatorError(f"--rings: expected each ring larger than the one before, got {after} after {before}")
    return tuple(rings)


def read_share(text: str, option: str) -> float:
    """Return the share (0-1) of a text such as `10%`.

    Raises:
        OperatorError: it is none.
    """
    found = _PERCENT.fullmatch(text.strip())
    if found is None or float(found[1]) > 100.0:
        raise OperatorError(f"{option}: expected a share such as 10%, got {text!r}")
    return float(found[1]) / 100.0


def read_duration(text: str, option: str) -> float:
    """Return the seconds of a text such as `24h`, `90min` or `2d`.

    Raises:
        OperatorError: it is no such text.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise OperatorError(f"{option}: expected a time such as 24h, 90min or 2d, got {text!r}")
    return int(found[1]) * _SECONDS[found[2]]


def read_window(text: str) -> Window:
    """Return the hours of a text such as `09:00-17:00`.

    Raises:
        OperatorError: it is no such text, or begin and end are the same.
    """
    found = _WINDOW.fullmatch(text.strip())
    if found is None:
        raise OperatorError(f"--window: expected hours such as 09:00-17:00, got {text!r}")
    begin, end = 60 * int(found[1]) + int(found[2]), 60 * int(found[3]) + int(found[4])
    if begin == end:
        raise OperatorError(f"--window: expected an end other than the begin, got {text!r}")
    return Window(begin=begin, end=end)
