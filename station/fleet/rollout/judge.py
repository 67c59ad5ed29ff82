"""Whether a device is worse since it has the bundle, and whether two bundles are equivalent. Pure; reasons in words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from station.fleet.rollout.plan import Shadow, Thresholds
from station.fleet.rollout.state import Comparison, Device, Figures, Member

_ONE_SIDED_95 = 1.6449
_T_95 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753)
"""95% points of Student's t for 1 to 15 degrees of freedom; above, `_t_95` goes on by Cornish and Fisher (1937)."""

Equivalence = Literal["equivalent", "different", "unknown"]


def worse(device: Device, member: Member, thresholds: Thresholds) -> str:
    """Return in words why a device is worse since it has the bundle, "" where it is not."""
    new = [code for code in device.problems if code not in member.known]
    if new:
        return f"since it has the bundle it reports {', '.join(new)}: {device.problems[new[0]]}".rstrip(": ")
    return _more_abstentions(device.before, device.after, thresholds) or _farther(
        device.before, device.after, thresholds
    )


def _more_abstentions(before: Figures, after: Figures, thresholds: Thresholds) -> str:
    """Return why it abstains more: the rise is above the threshold, and chance alone does not explain all of it."""
    if min(before.readings, after.readings) < thresholds.least_readings:
        return ""
    old, new = before.abstained / before.readings, after.abstained / after.readings
    error = math.sqrt(old * (1 - old) / before.readings + new * (1 - new) / after.readings)
    if new - old <= thresholds.abstention_rise or new - old <= _ONE_SIDED_95 * error:
        return ""
    return (
        f"it abstains in {new:.0%} of {after.readings} captures, before in {old:.0%} of {before.readings}; at most "
        f"{thresholds.abstention_rise:.0%} more are allowed"
    )


def _farther(before: Figures, after: Figures, thresholds: Thresholds) -> str:
    if before.domain_score is None or after.domain_score is None:
        return ""
    if min(before.readings, after.readings) < thresholds.least_readings:
        return ""
    rise = after.domain_score - before.domain_score
    if rise <= thresholds.domain_rise:
        return ""
    return (
        f"its animals are farther from what the model was trained on: median domain score {after.domain_score:.2f}, "
        f"before {before.domain_score:.2f}; a rise of {thresholds.domain_rise:g} is allowed"
    )


def compare(differences: Sequence[float]) -> Comparison:
    """Return mean and 90% interval of the paired difference. differences: new less old, days, one number an animal.

    The animals are the units: readings of one animal are averaged first, because they are not independent. Two
    one-sided tests at 5% are the same as a 90% interval within the margin (Schuirmann 1987).
    """
    animals = len(differences)
    if animals < 2:
        return Comparison(animals, differences[0] if differences else None)
    mean = statistics.fmean(differences)
    half = t_95(animals - 1) * statistics.stdev(differences) / math.sqrt(animals)
    return Comparison(animals, mean, mean - half, mean + half)


def equivalence(found: Comparison | None, shadow: Shadow) -> tuple[Equivalence, str]:
    """Return whether the bundles are equivalent, and the sentence that says why.

    `different`: the whole interval lies outside the margin. Between the two nothing is known yet: an interval that is
    wide shows no difference, and no equivalence either.
    """
    margin = f"the margin of {shadow.margin_days:g} days"
    if found is None or found.low_days is None or found.high_days is None or found.animals < shadow.animals:
        animals = 0 if found is None else found.animals
        return "unknown", f"{animals} of the {shadow.animals} animals that it takes have been seen by both models"
    interval = f"the 90% interval of the paired difference, {found.low_days:+.1f} to {found.high_days:+.1f} days"
    of = f"over {found.animals} animals"
    if -shadow.margin_days < found.low_days and found.high_days < shadow.margin_days:
        return "equivalent", f"{interval} {of}, lies within {margin}"
    if found.low_days > shadow.margin_days or found.high_days < -shadow.margin_days:
        return "different", f"{interval} {of}, lies outside {margin}"
    return "unknown", f"{interval} {of}, does not lie within {margin}"


def t_95(degrees: int) -> float:
    """Return the 95% point of Student's t."""
    if degrees <= len(_T_95):
        return _T_95[degrees - 1]
    z = _ONE_SIDED_95
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / degrees + second / degrees**2
