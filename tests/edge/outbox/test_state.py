"""Laws of the outbox under any order of appending, promising, ageing, maintaining, stopping and pulling the plug."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from edge.config import tree
from edge.contract import identity
from edge.contract.ranges import RangeSet
from edge.outbox import Outbox
from edge.outbox.publish_file import PublishFile
from edge.outbox.reader import Reader
from edge.outbox.watermarks import Released
from tests.losses import Loss, read_losses

SETTINGS = tree.Outbox(max_mb=1, min_free_mb=0, keep_days=1, reserve_mb=0)  # smaller than a file may say: soon full
BIG = 200_000


class Life(RuleBasedStateMachine):
    """One device's outbox; `acknowledged` is what appending returned, `promised` what a station said it holds."""

    make_reading: ClassVar[Any]
    seen: ClassVar[set[str]]

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="outbox-"))
        self.serial = 1
        self.earlier: set[str] = set()
        self.acknowledged: list[tuple[str, int]] = []
        self.pictured: set[tuple[str, int]] = set()
        self.old: set[tuple[str, int]] = set()
        self.promised: dict[str, Released] = {}
        self.heard: list[Loss] = []
        self.delivery = PublishFile.open(self.folder, device_id="cage07")
        self.open()

    def open(self) -> None:
        if hasattr(self, "outbox"):
            self.earlier.add(self.outbox.epoch)
        self.outbox = Outbox.open(self.folder, SETTINGS, device_id="cage07", serial=str(self.serial))

    @rule(picture=st.sampled_from([None, 10, BIG]), body=st.sampled_from([0, 0, BIG]), old=st.booleans())
    def append(self, picture: int | None, body: int, old: bool) -> None:
        content = None if picture is None else b"j" * picture
        build = self.make_reading(content, days_ago=3 if old else 0, detail="x" * body)
        key = self.outbox.append_reading(build).key
        assert key not in self.acknowledged
        assert key == (self.outbox.epoch, self.outbox.last_seq)
        assert key[0] not in self.earlier, "no two starts share an epoch"
        self.acknowledged.append(key)
        if picture is not None:
            self.pictured.add(key)

    @rule()
    def fill_with_readings(self) -> None:
        """More than the ceiling of what may go last only."""
        for _ in range(7):
            self.append(None, BIG, False)
        self.outbox.maintain()

    @rule()
    def fill_with_pictures(self) -> None:
        for _ in range(7):
            self.append(BIG, 0, False)
        self.outbox.maintain()

    @rule()
    def promise_what_is_days_old(self) -> None:
        for _ in range(3):
            self.append(10, 0, True)
        self.promise(1.0, False, True)
        self.append(10, 0, False)
        self.outbox.maintain()

    @rule(share=st.floats(0, 1), holes=st.booleans(), pictures_too=st.booleans())
    def promise(self, share: float, holes: bool, pictures_too: bool) -> None:
        through = int(self.outbox.last_seq * share)
        records = RangeSet([(1, through)] if through else [])
        if holes and through > 2:
            records = RangeSet([(1, through - 2), (through, through)])
        before = self.promised.get(self.outbox.epoch, Released())
        for first, last in before.records:
            records.add(first, last)
        pictures = records if pictures_too else before.thumbnails
        self.promised[self.outbox.epoch] = Released(records, pictures)
        self.delivery.set_released(self.promised, "db-1")

    @rule()
    def maintain(self) -> None:
        self.outbox.maintain()

    @rule()
    def stop_and_start(self) -> None:
        self.outbox.close()
        self.open()

    @rule()
    def move_to_another_board(self) -> None:
        self.outbox.close()
        self.serial += 1
        before = self.outbox.epoch
        self.open()
        assert self.outbox.epoch != before

    @rule()
    def pull_the_plug(self) -> None:
        """Go on with a copy of what lies on the disk at this moment, the journal not yet written back."""
        after = Path(tempfile.mkdtemp(prefix="outbox-"))
        shutil.copytree(self.folder, after, dirs_exist_ok=True)
        self.outbox.close()
        self.delivery.close()
        shutil.rmtree(self.folder)
        self.folder = after
        self.delivery = PublishFile.open(self.folder, device_id="cage07")
        self.open()

    @invariant()
    def every_number_is_held_or_promised_or_named_as_lost(self) -> None:
        reader = Reader(self.folder / "outbox.db")
        reader.changed()
        held: dict[tuple[str, int], str | None] = {}
        lost: dict[str, dict[str, RangeSet]] = {"record": {}, "thumbnail": {}}
        for span in reader.epochs():
            for row in reader.rows(span.epoch, 1, span.last):
                assert row.digest == identity.digest(row.body)
                held[row.epoch, row.seq] = row.thumbnail
                assert row.thumbnail is None or reader.picture(row.thumbnail) is not None
                for loss in read_losses(row.schema, row.body):
                    self.seen.add(loss.what)
                    lost[loss.what].setdefault(loss.of_epoch, RangeSet()).add(loss.first_seq, loss.last_seq)
                    if row.seq in self.promised.get(row.epoch, Released()).records:
                        self.heard.append(loss)
            numbers = [seq for epoch, seq in held if epoch == span.epoch]
            assert numbers == list(range(span.first_held, span.last + 1)), "records go from the front only"
        reader.close()
        for loss in self.heard:  # the station holds it, whether or not the device still does
            lost[loss.what].setdefault(loss.of_epoch, RangeSet()).add(loss.first_seq, loss.last_seq)
        for epoch, seq in self.acknowledged:
            done = self.promised.get(epoch, Released())
            named = seq in lost["record"].get(epoch, RangeSet())
            assert (epoch, seq) in held or seq in done.records or named, f"{seq} of {epoch} vanished"
            if (epoch, seq) not in held and not named:
                self.seen.add("released record gone")
            assert not ((epoch, seq) in held and named), f"{seq} of {epoch} is held and named as lost"
            if (epoch, seq) in self.pictured and held.get((epoch, seq)) is None:
                self.seen.add("picture gone")
                said = named or seq in lost["thumbnail"].get(epoch, RangeSet())
                assert said or seq in done.thumbnails, "a picture vanished"

    def teardown(self) -> None:
        if hasattr(self, "outbox"):
            self.outbox.close()
            self.delivery.close()
            shutil.rmtree(self.folder)


@pytest.mark.slow
def test_no_order_of_events_lets_a_record_or_a_picture_vanish_unnamed(reading):
    class Filled(Life):
        make_reading = staticmethod(reading)
        seen: ClassVar[set[str]] = set()

    run_state_machine_as_test(
        Filled,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Filled.seen == {"record", "thumbnail", "picture gone", "released record gone"}, "the runs reached every case"
