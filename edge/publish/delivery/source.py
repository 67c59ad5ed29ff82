"""What the card holds to be sent: capture's records and thumbnails, and this process's own events, by number."""

from __future__ import annotations

from pathlib import Path

from edge.config.state_folder import delivery_path, outbox_path
from edge.contract import identity
from edge.outbox.reader import HeldEpoch, Reader
from edge.outbox.row import Row
from edge.publish.delivery.window import Held, Key


class RecordSource:
    """Both files, read only; what they hold is what the last `refresh` saw."""

    def __init__(self, state_dir: Path) -> None:
        """Begin with nothing seen."""
        self.outbox = Reader(outbox_path(state_dir))
        self._own = Reader(delivery_path(state_dir))
        self.epochs: list[HeldEpoch] = []
        self.own_epochs: list[HeldEpoch] = []
        self.newest: Row | None = None
        self.version = 0
        self._first: dict[str, int] = {}
        self._own_names: set[str] = set()

    @property
    def newest_key(self) -> Key | None:
        """The newest reading's epoch and number."""
        return None if self.newest is None else (self.newest.epoch, self.newest.seq)

    def refresh(self) -> tuple[bool, bool]:
        """Look again; return whether there are new records, and whether capture's file is another one than before.

        Raises:
            StorageError: a database is there and cannot be read.
        """
        before = self.outbox.replaced
        outbox, own = self.outbox.changed(), self._own.changed()
        if outbox:
            self.epochs = self.outbox.epochs()
            self.newest = self.outbox.newest_reading()
        if own:
            self.own_epochs = self._own.epochs()
        if outbox or own:
            self.version += 1
            self._first = {held.epoch: held.first_held for held in self.all_epochs()}
            self._own_names = {held.epoch for held in self.own_epochs}
        return outbox, self.outbox.replaced != before

    def all_epochs(self) -> list[HeldEpoch]:
        """Return the epochs of both files."""
        return self.epochs + self.own_epochs

    def last(self) -> dict[str, int]:
        """Return each epoch's highest number."""
        return {held.epoch: held.last for held in self.all_epochs()}

    def row(self, key: Key) -> Row | None:
        """Return a record; None where it is gone or not what was written."""
        return (self._own if key[0] in self._own_names else self.outbox).row(*key)

    def between(self, since: str, until: str) -> list[Held]:
        """Return what both files hold of a time, by the records' own labels; "" is no bound."""
        found = self.outbox.between(since, until) + self._own.between(since, until)
        return [Held(*numbers) for numbers in found]

    def holds(self, key: Key) -> bool:
        """Return whether capture's file, as it is now, should have a record of that number."""
        held = next((of for of in self.outbox.epochs() if of.epoch == key[0]), None)
        return held is not None and held.first_held <= key[1] <= held.last

    def payload(self, row: Row, replayed: bool) -> bytes:
        """Return the message that a record travels as, with the first number that its epoch still holds.

        An epoch that began between two reads of a refresh is not known yet: then nothing is said to be gone.
        """
        first = self._first.get(row.epoch, 1)
        return identity.join(identity.Head(row.epoch, row.seq, min(first, row.seq), replayed), row.body)

    def picture(self, row: Row) -> bytes | None:
        """Return a record's thumbnail; None where it has none, or its file is gone or not what was written."""
        return None if row.thumbnail is None else self.outbox.picture(row.thumbnail)

    def close(self) -> None:
        """Let go of the files."""
        self.outbox.close()
        self._own.close()


def ranges_held(epochs: list[HeldEpoch]) -> list[Held]:
    """Return the numbers that are held, without epochs that hold none any more."""
    return [Held(of.epoch, of.first_held, of.last) for of in epochs if of.first_held <= of.last]
