"""What publish sees of the two files: an epoch that begins while it looks costs nothing."""

from __future__ import annotations

from pathlib import Path

from edge.config import tree
from edge.contract import identity
from edge.outbox.outbox import Outbox
from edge.publish.delivery.source import RecordSource
from tests.edge.outbox.conftest import make_reading

SETTINGS = tree.Outbox(reserve_mb=0, min_free_mb=0)


def test_a_reading_of_an_epoch_that_began_while_the_files_were_looked_at_names_nothing_as_gone(tmp_path: Path) -> None:
    """Epochs and newest reading are two reads; capture may begin an epoch, with an event in front, between them."""
    for _ in range(2):
        outbox = Outbox.open(tmp_path, SETTINGS, device_id="cage07", serial="s")
        outbox.append_reading(make_reading(None))
        outbox.close()
    source = RecordSource(tmp_path)
    source.refresh()
    outbox = Outbox.open(tmp_path, SETTINGS, device_id="cage07", serial="s")
    outbox.append_reading(make_reading(None))
    newest = source.outbox.newest_reading()
    assert newest is not None
    assert (newest.epoch, newest.seq) == (outbox.epoch, 2), "behind the record that begins the epoch"
    head, _ = identity.split(source.payload(newest, False))
    assert head.first_held == 1, "a higher number would have the station note record 1 as lost"
    outbox.close()
    source.close()
