"""What a rollout wants of one device, as the mode of a `model/desired` message. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from station.fleet.rollout.state import Member, Phase, Rollout, Status


@dataclass(frozen=True, slots=True)
class Want:
    """mode: as in `edge.contract.desired`; what it is about is the rollout's bundle."""

    mode: Literal["install", "shadow", "revert"]


_MODES = {
    Phase.SHADOW: Want("shadow"),
    Phase.ASKED: Want("install"),
    Phase.GOOD: Want("install"),
    Phase.RETURNING: Want("revert"),
    Phase.RETURNED: Want("revert"),
}


def wanted(rollout: Rollout, member: Member) -> Want | None:
    """Return what a device is asked; None where the rollout asks nothing of it, as of one that failed by itself."""
    if rollout.status in (Status.DRAFT, Status.SUPERSEDED):
        return None
    return _MODES.get(member.phase)
