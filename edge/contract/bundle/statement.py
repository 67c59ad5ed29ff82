"""A trust statement: who may sign bundles of which channel, what is revoked, until when. Root keys sign it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from edge.contract import jsontext
from edge.contract.base import Sequence, Sha256, Struct
from edge.contract.bundle.roles import Key, PersonName, Role
from edge.errors import BundleError, MessageError

STATEMENT_SCHEMA: Final = "cageclock/trust/1"
STATEMENT_TYPE: Final = "application/vnd.cageclock.trust+json"
ChannelName = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,63}$", max_length=64)]
KeyId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$", max_length=16)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Floor(Struct, frozen=True, kw_only=True):
    """The lowest release that may be installed on a channel.

    reset: a device whose own floor is higher takes it back to this one, once: the way out where somebody used up the
    channel's numbers with a stolen key.
    """

    release: Sequence
    reset: bool = False


class Statement(Struct, frozen=True, kw_only=True):
    """Everything that a device believes about keys.

    version: rises by one from each statement to the next. What is revoked stays revoked in all later ones.
    expires_at: from then on nothing is installed under it; what is installed goes on.
    online: who signs that nothing newer exists (`edge.contract.bundle.freshness`), and nothing else. Where it is named,
    a device installs only while it has such a word that holds.
    """

    schema: Literal["cageclock/trust/1"] = STATEMENT_SCHEMA
    lab: PersonName
    version: Sequence
    created_at: Moment
    expires_at: Moment
    root: Role
    channels: Annotated[dict[ChannelName, Role], msgspec.Meta(max_length=64)]
    revoked_keys: Annotated[tuple[KeyId, ...], msgspec.Meta(max_length=1000)] = ()
    revoked_bundles: Annotated[tuple[Sha256, ...], msgspec.Meta(max_length=1000)] = ()
    floors: Annotated[dict[ChannelName, Floor], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=dict)
    online: Role | msgspec.UnsetType = msgspec.UNSET

    def keys(self) -> dict[str, Key]:
        """Return every key of the statement by the name that envelopes give it."""
        online = () if isinstance(self.online, msgspec.UnsetType) else (self.online,)
        roles = (*online, *self.channels.values(), self.root)
        return {key.id: key for role in roles for key in role.keys}


def read_statement(body: bytes) -> Statement:
    """Return the statement of signed bytes.

    Raises:
        BundleError: it is none, or contradicts itself; the text says where, what was expected and what came.
    """
    try:
        statement = jsontext.decode(body, Statement)
    except MessageError as error:
        raise BundleError(f"trust statement: {error}") from error
    for where, expected in _contradictions(statement):
        raise BundleError(f"trust statement {statement.version}: {where}: expected {expected}")
    return statement


def check_statement(statement: Statement) -> None:
    """Refuse a statement that no device would take.

    Raises:
        BundleError: it contradicts itself.
    """
    read_statement(jsontext.encode(statement))


def _contradictions(statement: Statement) -> list[tuple[str, str]]:
    root, revoked = statement.root, set(statement.revoked_keys)
    roots = {key.id for key in root.keys}
    found = []
    if statement.expires_at <= statement.created_at:
        found.append(("expires_at", "a moment after created_at"))
    if len(roots) < root.threshold:
        found.append(("root", f"at least {root.threshold} keys, got {len(roots)}"))
    if roots & revoked:
        found.append(("root", f"no revoked key, got {', '.join(sorted(roots & revoked))}"))
    named = [("root", root), *((f"channels.{name}", role) for name, role in statement.channels.items())]
    if not isinstance(statement.online, msgspec.UnsetType):
        named.append(("online", statement.online))
        releasing = {key.id for role in statement.channels.values() for key in role.keys}
        if releasing & {key.id for key in statement.online.keys}:
            found.append(("online", "no key of a channel: those sign bundles, and lie on no server"))
    for name, role in named:
        if len({key.id for key in role.keys}) != len(role.keys):
            found.append((name, "each key once"))
        if name != "root" and roots & {key.id for key in role.keys}:
            found.append((name, "no root key: those sign statements and nothing else"))
    for name in ("revoked_keys", "revoked_bundles"):
        listed = getattr(statement, name)
        if list(listed) != sorted(set(listed)):
            found.append((name, "each one once, in order"))
    return found
