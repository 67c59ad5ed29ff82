"""The chain of trust statements, from the one that a device was given to the newest: every rule, and no file.

Each statement is signed by the root keys of the one before it and by its own (The Update Framework 1.0, 5.3: root
rotation), so that a device which was away for weeks walks from the roots that it knows to those of today. A chain file
is a JSON list of DSSE envelopes, one a line, in one fixed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.contract.bundle.envelope import Opened, enclose, open_envelope
from edge.contract.bundle.roles import Authority, Role, altered_signature
from edge.contract.bundle.statement import STATEMENT_TYPE, Statement, read_statement
from edge.errors import BundleError

MAX_CHAIN_BYTES: Final = 4_000_000
MAX_STATEMENTS: Final = 500
_OPEN, _BETWEEN, _CLOSE = b"[\n", b",\n", b"\n]\n"
_BEGIN = _OPEN + b'{"payloadType":"%s"' % STATEMENT_TYPE.encode()


@dataclass(frozen=True, slots=True)
class Trust:
    """Statements that follow from each other, oldest first, at least one; and the envelopes that hold them."""

    statements: tuple[Statement, ...]
    envelopes: tuple[bytes, ...]

    @property
    def newest(self) -> Statement:
        """The statement that counts."""
        return self.statements[-1]

    def extended(self, chain: Sequence[bytes]) -> Trust:
        """Return the chain with what follows its newest statement in another one; the same where nothing does.

        What is held already has to be signed as well: a file of which only a part is looked at has many forms.

        Raises:
            BundleError: a statement is not signed as it must be, has another version than the next one, takes a
                revocation back, or stands where another one stands already.
        """
        held = [open_envelope(one, STATEMENT_TYPE).body for one in self.envelopes]
        given = [open_envelope(one, STATEMENT_TYPE).body for one in chain]
        common = next((at for at, body in enumerate(given) if body in held), None)
        known = 0
        if common is not None:
            place = held.index(given[common])
            overlap = min(len(held) - place, len(given) - common)
            if given[common : common + overlap] != held[place : place + overlap]:
                raise BundleError(
                    "trust statement: another one of the same version is held; the two exclude each other"
                )
            known = common + overlap
            _check_known(chain[:known])
        trust = self
        for envelope in chain[known:]:
            trust = trust._followed_by(envelope)
        return trust

    def _followed_by(self, envelope: bytes) -> Trust:
        before, opened = self.newest, open_envelope(envelope, STATEMENT_TYPE)
        if not before.root.holds(opened):
            signed = len(before.root.signers(opened))
            older = any(one.root.holds(opened) for one in self.statements[:-1])
            raise BundleError(
                f"trust statement: expected {before.root.threshold} signatures of the root keys of version "
                f"{before.version}, got {signed}"
                + ("; it is signed by root keys of an older version, which count no longer" if older else "")
            )
        statement = read_statement(opened.body)
        _check_altered(opened, before, statement)
        if statement.version <= before.version:
            raise BundleError(
                f"trust statement: lower version: expected more than {before.version}, which is held, got "
                f"{statement.version}"
            )
        if statement.version != before.version + 1:
            raise BundleError(
                f"trust statement: expected version {before.version + 1} next, got {statement.version}; send the whole "
                "trust.json, which holds every version between"
            )
        if not statement.root.holds(opened):
            signed = len(statement.root.signers(opened))
            raise BundleError(
                f"trust statement {statement.version}: expected {statement.root.threshold} signatures of its own root "
                f"keys, got {signed}"
            )
        for name in ("revoked_keys", "revoked_bundles"):
            if missing := set(getattr(before, name)) - set(getattr(statement, name)):
                text = f"expected what was revoked to stay so, without {', '.join(sorted(missing))[:200]}"
                raise BundleError(f"trust statement {statement.version}: {name}: {text}")
        if statement.lab != before.lab:
            raise BundleError(
                f"trust statement {statement.version}: lab: expected {before.lab!r}, got {statement.lab!r}"
            )
        return Trust((*self.statements, statement), (*self.envelopes, envelope))

    def content(self) -> bytes:
        """Return the bytes of the chain file."""
        return chain_bytes(self.envelopes)

    def authority(self, channel: str) -> Authority:
        """Return who may sign what is installed on a device of this channel.

        Raises:
            BundleError: the newest statement has no such channel.
        """
        channels = self.newest.channels
        if channel not in channels:
            listed = ", ".join(map(repr, channels)) or "none"
            text = f"expected {channel!r}, which bundle.channel names, got {listed}"
            raise BundleError(f"channel: trust statement {self.newest.version}: {text}")
        others = {name: role for name, role in channels.items() if name != channel}
        return Authority(
            f"channel {channel!r}", (channels[channel],), frozenset(self.newest.revoked_keys), others, True
        )

    def earlier_authority(self, more: Sequence[Role] = ()) -> Authority:
        """Return whose signatures vouch for what is installed already: of any channel, at any version that is held.

        A key that was replaced or revoked since stops installations; a camera that measures goes on. more: other roles.
        """
        roles = dict.fromkeys((*more, *(role for one in self.statements for role in one.channels.values())))
        return Authority("an installed bundle", tuple(roles))


def begin(content: bytes) -> Trust:
    """Return the chain of a file that is trusted because of where it lies: a device's settings, a keeper's folder.

    Raises:
        BundleError: no chain, its first statement is not signed by its own root keys, or a later one does not follow.
    """
    chain = split_chain(content)
    opened = open_envelope(chain[0], STATEMENT_TYPE)
    statement = read_statement(opened.body)
    if not statement.root.holds(opened):
        signed = len(statement.root.signers(opened))
        text = f"expected {statement.root.threshold} signatures of its own root keys, got {signed}"
        raise BundleError(f"trust statement {statement.version}: {text}")
    _check_altered(opened, statement)
    return Trust((statement,), (chain[0],)).extended(chain[1:])


def _check_known(chain: Sequence[bytes]) -> None:
    """Refuse statements, each of them held or older than what is held, that do not follow from each other.

    Raises:
        BundleError: they do not.
    """
    begun = begin(chain_bytes(chain[:1]))
    for envelope in chain[1:]:
        begun = begun._followed_by(envelope)


def _check_altered(opened: Opened, *statements: Statement) -> None:
    altered = altered_signature(opened, [key for one in statements for key in one.root.keys])
    if altered:
        raise BundleError(f"trust statement {statements[-1].version}: {altered}")


def is_chain(beginning: bytes) -> bool:
    """Return whether bytes begin as a chain file does."""
    return beginning.startswith(_BEGIN)


CHAIN_BEGINS: Final = len(_BEGIN)
"""So many bytes tell."""


def chain_bytes(envelopes: Sequence[bytes]) -> bytes:
    """Return the one form of a chain file."""
    return _OPEN + _BETWEEN.join(envelopes) + _CLOSE


def split_chain(content: bytes) -> list[bytes]:
    """Return the envelopes of a chain file, taken apart by position; nothing in them is verified.

    Raises:
        BundleError: too long, or not in the one form.
    """
    if len(content) > MAX_CHAIN_BYTES:
        raise BundleError(f"trust.json: expected at most {MAX_CHAIN_BYTES} bytes, got {len(content)}")
    chain = content[len(_OPEN) : -len(_CLOSE)].split(_BETWEEN, MAX_STATEMENTS)
    if chain_bytes(chain) != content or not 1 <= len(chain) <= MAX_STATEMENTS:
        raise BundleError("trust.json: expected a list of signed statements, one a line, got something else")
    for envelope in chain:
        open_envelope(envelope, STATEMENT_TYPE)
    return chain


def merged(one: bytes, other: bytes) -> bytes:
    """Return an envelope with the signatures of both, which must be over the same bytes.

    Raises:
        BundleError: they are not.
    """
    first, second = open_envelope(one, STATEMENT_TYPE), open_envelope(other, STATEMENT_TYPE)
    if first.body != second.body:
        raise BundleError("trust statement: the two files hold different statements")
    return enclose(first.body, {**first.signatures, **second.signatures}, STATEMENT_TYPE)
