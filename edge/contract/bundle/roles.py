"""Who may sign what: named keys, how many of them it takes, and the rule by which a bundle's signatures are judged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

import msgspec

from edge.contract.base import Struct
from edge.contract.bundle.envelope import Opened
from edge.contract.bundle.keys import id_of_raw
from edge.errors import BundleError

PersonName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Key(Struct, frozen=True, kw_only=True):
    """One Ed25519 public key. name: whose it is, for people. public: its 32 bytes in hexadecimal."""

    name: PersonName
    public: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", max_length=64)]

    @property
    def id(self) -> str:
        """The name of the key in envelopes."""
        return id_of_raw(bytes.fromhex(self.public))


class Role(Struct, frozen=True, kw_only=True):
    """Keys of which `threshold` must have signed."""

    threshold: Annotated[int, msgspec.Meta(ge=1, le=16)]
    keys: Annotated[tuple[Key, ...], msgspec.Meta(max_length=16)]

    def signers(self, opened: Opened) -> list[Key]:
        """Return whose signatures hold, each key once."""
        return [key for key in self.keys if opened.signed_by(_public_key(key.public))]

    def holds(self, opened: Opened) -> bool:
        """Return whether enough of the keys have signed."""
        return len(self.signers(opened)) >= self.threshold

    def without(self, revoked: Collection[str]) -> Role:
        """Return the role without the keys of these names; the threshold stays."""
        return msgspec.structs.replace(self, keys=tuple(key for key in self.keys if key.id not in revoked))


@dataclass(frozen=True, slots=True)
class Authority:
    """Whose signatures let a bundle in: those of any one of `roles`, revoked keys not counted.

    name: of the role, for people. others: roles of other channels, only to say whose bundle it is. every: a signature
    beyond those that it takes must hold too, where its key is known; for what is new only: keys that become known
    later must not condemn what is installed.
    """

    name: str
    roles: tuple[Role, ...]
    revoked: frozenset[str] = frozenset()
    others: Mapping[str, Role] = field(default_factory=dict)
    every: bool = False

    def verify(self, opened: Opened) -> bytes:
        """Return the signed bytes.

        Raises:
            BundleError: they are not signed as it takes; the text begins with the rule that does not hold.
        """
        if not any(role.without(self.revoked).holds(opened) for role in self.roles):
            raise BundleError(self._reason(opened))
        known = [key for role in (*self.roles, *self.others.values()) for key in role.keys]
        altered = altered_signature(opened, known) if self.every else ""
        if altered:
            raise BundleError(f"signature: {altered}")
        return opened.body

    def _reason(self, opened: Opened) -> str:
        role = self.roles[-1] if self.roles else Role(threshold=1, keys=())
        signed = role.signers(opened)
        gone = [key for key in signed if key.id in self.revoked]
        left = [key for key in signed if key.id not in self.revoked]
        counted = f"{self.name} takes {role.threshold} of its keys, got {_listed(left)}"
        named = [name for name in opened.signatures if name in self.revoked]
        if gone or named:
            who = _listed(gone) if gone else ", ".join(named)
            return f"revoked key: {who} signed it and is revoked; {counted}; have it signed by others"
        if left:
            return f"threshold: {counted}; have another key's holder sign it"
        for name, other in self.others.items():
            if other.without(self.revoked).holds(opened):
                return f"channel: it is signed for channel {name!r}, this device keeps to {self.name}"
        names = ", ".join(opened.signatures) or "none"
        return f"signature: {counted} (it names these keys: {names})"

    def pems(self, opened: Opened) -> list[bytes]:
        """Return the public keys (PEM) of those whose signatures count."""
        from cryptography.hazmat.primitives import serialization

        counting = {key.public for role in self.roles for key in role.without(self.revoked).signers(opened)}
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return [_public_key(public).public_bytes(encoding, form) for public in sorted(counting)]


def altered_signature(opened: Opened, known: Iterable[Key]) -> str:
    """Return in words which signature was changed since it was made, "" where none of a known key was.

    One that nobody needs any more is judged too, so that of one file no second form is taken. What a key signed of
    which nothing is known is passed over: a newer statement may name it.
    """
    keys = {key.id: key for key in known}
    for name in opened.signatures:
        if name in keys:
            if not opened.signed_by(_public_key(keys[name].public)):
                return f"the signature of {keys[name].name} ({name}) does not hold; have it signed again"
            continue
        for key in keys.values():
            if opened.signed_by(_public_key(key.public), name):
                return f"the signature under {name} is {key.name}'s ({key.id}); the file was changed"
    return ""


def _listed(keys: list[Key]) -> str:
    return ", ".join(f"{key.name} ({key.id})" for key in keys) or "none"


@cache
def _public_key(public: str) -> Any:
    """Return the key; any 32 bytes are one, of which some verify nothing."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
