"""`model/reported`, retained, written by the device: which model it runs, and what became of the newest attempt."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from edge.contract.base import Count, Name, NotNegative, Sequence, Sha256, Struct, Text
from edge.contract.desired import RolloutId

REPORTED_SCHEMA: Final = "cageclock/model-reported/1"

State = Literal[
    "none", "waiting", "fetching", "installing", "shadow", "pending", "good", "refused", "rolled_back", "safe_mode"
]
REASONS: Final = {
    "window": "outside the hours of the wish",
    "not_before": "the wish does not hold yet",
    "captures_due": "a capture is due; the fetch goes on after it",
    "not_here": "the wish names no address, and the file is not on the device",
    "unreachable": "no server answers, or not as it should; tried again at growing intervals",
    "stalled": "the server sends nothing more; tried again",
    "wrong_content": "what came is not the file that the wish names",
    "disk_full": "no space on the card",
    "clock_unset": "the hours or times of the wish cannot be judged while the clock is not set",
    "expired": "the lab's trust statement has expired, and nothing is installed under it; send a newer one",
    "frozen": "no fresh word of the lab's online key reached the device; nothing is installed until one does",
    "behind": "a newer trust statement exists and has not reached the device",
    "shadow_complete": "the shadow run has lasted as long as it should",
    "shadow_fault": "the candidate failed in the shadow; it is not run any more",
    "wish_expired": "the time of the wish is over",
    "host_not_allowed": "the host is not in bundle.fetch_hosts of the device's settings",
    "too_large": "the file is larger than the device takes",
    "refused_before": "this device refused the digest earlier and does not fetch it again",
    "nothing_before": "there is no earlier model to go back to",
    "unreadable": "the wish is no message of this contract, or another device's",
    "signature": "nobody of the channel signed it",
    "threshold": "too few signatures",
    "revoked_key": "a signer was revoked",
    "revoked_bundle": "the digest was revoked",
    "trust_statement": "its trust statements do not follow from those held",
    "channel": "another channel's",
    "release": "not above the releases before, or far above",
    "target_group": "for other devices",
    "runtime": "it needs another runtime",
    "canary": "it failed in the canary: no verdict, a crash, or outputs other than the golden ones",
    "budget": "too slow, or too large in memory",
    "container": "no bundle, or a damaged one",
    "trial": "it failed its trial",
    "by_person": "a person went back on the device",
    "no_model": "no model can be used: images and health only, no estimate",
    "other": "see the advice",
}
"""Codes of `reason` with what they mean; devices of later versions may say others."""


class Running(Struct, frozen=True, kw_only=True):
    """The installed model that runs."""

    digest: Sha256
    name: Name
    model_version: Name
    channel: Name
    release: Count
    state: Literal["pending", "good"]


class InShadow(Struct, frozen=True, kw_only=True):
    """The candidate beside it. hours: of work with it so far; of_hours: how long it is to run. fault: "" while well."""

    digest: Sha256
    name: Name
    model_version: Name
    channel: Name
    release: Count
    hours: NotNegative
    of_hours: NotNegative
    captures: Count
    fault: Text = ""


class TrustHeld(Struct, frozen=True, kw_only=True):
    """The newest trust statement that the device holds.

    frozen: a sentence where the device has no fresh word of the lab's online key or knows that it lacks a statement.
    clock: a sentence where expiry is judged by another time than the clock's, "" otherwise.
    """

    version: Sequence
    lab: Name
    expires_at: datetime
    expired: bool
    fresh_until: datetime | None = None
    frozen: Text = ""
    clock: Text = ""


class Reported(Struct, frozen=True, kw_only=True):
    """What a device says of its model.

    state, digest, reason, advice, since: of the newest attempt, whoever asked for it (`way`); without one, of what
    runs. `pending` becomes `good` after the trial; `rolled_back` names the digest that was left.
    reason: "" or a code of REASONS. advice: what it is about and what to do, in words.
    rollout: of the wish that the attempt belongs to, None where a person gave the file.
    since: when the state began, by the device's clock. bytes: fetched so far, of `size`.
    floor: the highest release of the device's channel that was ever active on it.
    running: None in safe mode, where images and health go on and no age is estimated.
    trust: None where the settings name keys and no trust statements.
    """

    schema: Literal["cageclock/model-reported/1"] = REPORTED_SCHEMA
    device_id: Name
    state: State
    digest: Sha256 | None
    reason: Name
    advice: Text
    rollout: RolloutId | None
    way: Literal["", "wish", "inbox", "trial", "person"] = ""
    since: datetime
    bytes: Count = 0
    size: Count = 0
    channel: Name | None = None
    floor: Count = 0
    running: Running | None
    shadow: InShadow | msgspec.UnsetType = msgspec.UNSET
    trust: TrustHeld | None = None
