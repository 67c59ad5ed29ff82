"""`model/desired`, retained, one a device: which model the device should run, and how it gets there.

Whoever writes it is the `operator` on the broker. It only asks: what is installed needs the signatures that the device
goes by, and a device that has refused a digest never fetches it again. An empty message takes the wish back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from edge.contract import jsontext
from edge.contract.base import Name, Sequence, Sha256, Struct
from edge.contract.times import check_time
from edge.errors import MessageError

DESIRED_SCHEMA: Final = "cageclock/model-desired/1"
MAX_DESIRED_BYTES: Final = 8192
MAX_FILE_BYTES: Final = 64_000_000
"""Of a bundle file that is fetched; the device's own cap on containers is lower or equal."""
RolloutId = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,64}$", max_length=64)]
Channel = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,63}$", max_length=64)]
Url = Annotated[str, msgspec.Meta(pattern="^https?://[!-~]+$", max_length=1024)]
ClockTime = Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]
FileBytes = Annotated[int, msgspec.Meta(ge=1, le=MAX_FILE_BYTES)]
Hours = Annotated[float, msgspec.Meta(gt=0, le=1440)]


class LocalHours(Struct, frozen=True, kw_only=True):
    """From `begin` until `end` by the clock of the animal room (`light_cycle.zone` of the device); may span midnight.

    While the device's clock is not set, no hour is within it.
    """

    begin: ClockTime
    end: ClockTime

    def __post_init__(self) -> None:
        """Refuse what is no span of time."""
        if self.begin == self.end:
            raise ValueError(f"expected two different times, got {self.begin} twice")


class Desired(Struct, frozen=True, kw_only=True):
    """Which model a device should run.

    device_id: the device's own name; a message of another device is refused.
    rollout: what the device says again in `model/reported`.
    digest: the bundle's identity, SHA-256 of its signed manifest. With `revert` it names the bundle to be left: where
    another one is active already, there is nothing to do. So a message that comes again never does anything twice.
    size, sha256: of the whole file. urls: where it lies, tried in turn; empty means that the device has it already (by
    an earlier shadow run, a card or the inbox). A revert has none of the three.
    mode: `install`; `shadow`: it runs beside the active one for `shadow_hours` of work and is not installed; `revert`.
    window: hours within which it may be fetched and installed; None: at any time.
    not_before, expires_at: when it begins to hold, and when a device that has not begun gives it up.
    """

    schema: Literal["cageclock/model-desired/1"] = DESIRED_SCHEMA
    device_id: Name
    rollout: RolloutId
    mode: Literal["install", "shadow", "revert"]
    digest: Sha256
    channel: Channel
    release: Sequence
    model_version: Name = ""
    size: FileBytes | msgspec.UnsetType = msgspec.UNSET
    sha256: Sha256 | msgspec.UnsetType = msgspec.UNSET
    urls: Annotated[tuple[Url, ...], msgspec.Meta(max_length=8)] = ()
    shadow_hours: Hours | msgspec.UnsetType = msgspec.UNSET
    window: LocalHours | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what could be read two ways, and times that are none."""
        sized = [one is not msgspec.UNSET for one in (self.size, self.sha256)]
        if self.mode == "revert" and (any(sized) or self.urls):
            raise ValueError("expected a revert without size, sha256 and urls: it leaves the bundle that digest names")
        if sized[0] != sized[1] or (self.urls and not all(sized)):
            raise ValueError("expected size and sha256 of the file together, and both of them beside urls")
        if (self.mode == "shadow") != (self.shadow_hours is not msgspec.UNSET):
            raise ValueError("expected shadow_hours with the mode shadow, and with no other")
        for at in (self.not_before, self.expires_at):
            if at is not None:
                _checked(at)
        if self.not_before is not None and self.expires_at is not None and self.not_before >= self.expires_at:
            raise ValueError(f"expected not_before before expires_at, got {self.not_before} and {self.expires_at}")


def read_desired(payload: bytes, device_id: str) -> Desired | None:
    """Return what the message asks of this device; None of an empty one, which takes the wish back.

    Raises:
        MessageError: too long, no such message, or another device's.
    """
    if not payload:
        return None
    if len(payload) > MAX_DESIRED_BYTES:
        raise MessageError(f"model/desired: expected at most {MAX_DESIRED_BYTES} bytes, got {len(payload)}")
    desired = jsontext.decode(payload, Desired)
    if desired.device_id != device_id:
        raise MessageError(f"model/desired: device_id: expected {device_id!r}, got {desired.device_id[:64]!r}")
    return desired


def _checked(at: datetime) -> None:
    try:
        check_time(at)
    except MessageError as error:
        raise ValueError(str(error)) from error
