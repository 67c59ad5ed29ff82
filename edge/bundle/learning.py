"""What new trust statements change on a device: first they are kept, then carried out; and whom they let in."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge.bundle.fresh_word import accept_word, read_word, why_frozen, write_word
from edge.bundle.history import Entry, History, entry_of, now, write_history
from edge.bundle.rules import check_revoked, check_trust
from edge.bundle.slots import ACTIVE, PREVIOUS, Slots
from edge.bundle.trial import Trials
from edge.bundle.trust_store import judge_time, read_trust, trusted_to_run, with_time, write_trust
from edge.config.tree import Config
from edge.contract.bundle.bundle import Bundle, Trusted, read_bundle
from edge.contract.bundle.envelope import open_envelope
from edge.contract.bundle.statement import STATEMENT_TYPE
from edge.contract.bundle.trust import Trust, split_chain
from edge.errors import BundleError
from edge.timing.clock import Clock


class Learning:
    """The trust statements of one run of the installer. Without `bundle.trust` in the settings it lets keys rule."""

    def __init__(self, config: Config, clock: Clock) -> None:
        """Read the keys.

        Raises:
            OperatorError: a key file, or the file of trust statements, cannot be used.
        """
        self._config, self._clock = config, clock
        self._state_dir = Path(config.state_dir)
        self._slots = Slots(self._state_dir)
        self._trust: Trust | None = None
        self._trials = Trials()
        self.keys: Trusted = trusted_to_run(config)
        """Whose signatures vouch for what is installed already."""

    def begin(self, history: History, trials: Trials) -> History:
        """Return the history once everything that is held was carried out, also what a power cut interrupted.

        Raises:
            OperatorError: the settings and what is held exclude each other.
            BundleError: what is held is damaged, or older than what was in force.
            OSError: the card failed or is full.
        """
        self._trust, self._trials = read_trust(self._config), trials
        return self._obeying(history)

    def learn(self, history: History, chain: bytes | list[bytes] | None) -> History:
        """Return the history once the statements that follow from those held are kept and carried out.

        Raises:
            BundleError: they do not follow.
            OSError: the card failed or is full.
        """
        if self._trust is None or chain is None:
            return history
        extended = self._trust.extended(split_chain(chain) if isinstance(chain, bytes) else chain)
        if extended is self._trust:
            return history
        write_trust(self._config, extended)
        self._trust, self.keys = extended, trusted_to_run(self._config)
        return self._obeying(history)

    def learn_by_itself(self, history: History, file: str, chain: bytes) -> tuple[History, Entry]:
        """Return the history and what became of a file of trust statements.

        Raises:
            BundleError: they do not follow from those held, or end before them.
            OSError: the card failed or is full.
        """
        if self._trust is None:
            raise BundleError("trust statement: this device goes by bundle.trusted_keys; set bundle.trust to use it")
        given, held = split_chain(chain), self._trust.newest.version
        history = self.learn(history, given)
        version = self._trust.newest.version
        if version > held:
            reason = f"trust statements up to {version} are held now"
            return history, Entry(at=now(), result="installed", file=file, reason=reason)
        newest = open_envelope(self._trust.envelopes[-1], STATEMENT_TYPE)
        if open_envelope(given[-1], STATEMENT_TYPE).body != newest.body:
            raise BundleError(f"trust statement: lower version: version {held} is held, and the file ends before it")
        return history, Entry(at=now(), result="active already", file=file, reason=f"trust statement {held} is held")

    def learn_freshness(self, history: History, file: str, envelope: bytes) -> Entry:
        """Return what became of a fresh word of the lab's online key.

        Raises:
            BundleError: it is none, is older than the one that is held, or cannot be of now by a clock that is set.
            OSError: the card failed or is full.
        """
        if self._trust is None:
            raise BundleError("freshness: this device goes by bundle.trusted_keys, which name no online key")
        newest = self._trust.newest
        word = accept_word(read_word(self._config, newest), envelope, newest, judge_time(history, newest, self._clock))
        if word is not None:
            write_word(self._config, envelope)
        return Entry(at=now(), result="active already", file=file, reason="the word of the lab's online key is held")

    def may_sign(self, channel: str | None) -> Trusted:
        """Return whose signatures let a new bundle in.

        Raises:
            BundleError: the newest statement has no such channel.
        """
        return self.keys if self._trust is None else self._trust.authority(channel or "")

    def check(self, history: History, bundle: Bundle) -> str:
        """Refuse what the newest statement does not let in; return a sentence on the time where the clock is not set.

        Raises:
            BundleError: a rule does not hold; the text begins with it.
        """
        if self._trust is None:
            return ""
        newest = self._trust.newest
        at, note = judge_time(history, newest, self._clock)
        check_trust(newest, bundle, at, note)
        frozen = why_frozen(read_word(self._config, newest), newest, (at, note))
        if frozen:
            raise BundleError(f"{frozen}{'; ' + note if note else ''}")
        return note

    def check_revoked(self, bundle: Bundle) -> None:
        """Refuse a bundle whose digest is revoked.

        Raises:
            BundleError: it is.
        """
        if self._trust is not None:
            check_revoked(self._trust.newest, bundle)

    def _obeying(self, history: History) -> History:
        """Carry out floors and revocations. Keeping comes first, so a kill between the two is made good here."""
        if self._trust is None:
            return history
        newest = self._trust.newest
        if newest.version < history.trust_version:
            raise BundleError(
                f"trust statement: lower version: expected {history.trust_version} or more, which was in force on this "
                f"device, got {newest.version}; send the lab's newest trust.json"
            )
        if newest.version > history.trust_version:
            for statement in self._trust.statements:
                if statement.version > history.trust_version:
                    history = history.obeying(statement)
            until = newest.expires_at.isoformat(timespec="seconds")
            reason = f"trust statement {newest.version} of {newest.lab} is in force until {until}"
            history = history.adding(Entry(at=now(), result="trust updated", file="trust.json", reason=reason))
            history = with_time(history, newest, self._clock)
            write_history(self._state_dir, history)
        return self._left_revoked(with_time(history, newest, self._clock), newest.revoked_bundles, newest.version)

    def _left_revoked(self, history: History, revoked: tuple[str, ...], version: int) -> History:
        """Go back from an active bundle that is revoked; where there is none to go back to, capture runs without."""
        bad = self._linked(ACTIVE)
        if bad is None or bad.sha256 not in revoked:
            return history
        good = self._linked(PREVIOUS)
        if good is not None and (good.sha256 in revoked or self._trials.reason(good.sha256) is not None):
            good = None
        if not history.refuses(bad):
            file = f"{bad.manifest.release:06d}-{bad.sha256[:16]}.bundle"
            why = f"revoked bundle: trust statement {version} revokes {bad.sha256[:12]}"
            if good is not None:
                entry = entry_of("rolled back", file, good, why)
            else:
                none_left = ", and there is no earlier one: no age is estimated until another is installed"
                entry = entry_of("refused", file, bad, why + none_left)
            history = history.refusing(bad.sha256).adding(msgspec.structs.replace(entry, left=bad.sha256))
            write_history(self._state_dir, history)
        if good is not None:
            self._slots.go_back()
        return history

    def _linked(self, link: str) -> Bundle | None:
        slot = self._slots.target(link)
        try:
            return None if slot is None else read_bundle(slot, self.keys)
        except BundleError:
            return None
