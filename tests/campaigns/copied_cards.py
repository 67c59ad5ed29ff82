"""Cards copied or restored at random moments: each reading of each copy is at the station once, and none is hidden.

    CAGECLOCK_AT_ONCE=3 python -m tests.campaigns.copied_cards --seed S --budget CASES [--ledger FILE]

A case is one life: a card writes and publishes, is copied (closed, or as a power cut leaves it), and both go on one
after the other, or the copy takes the original's place; images are kept and put back later; station, broker and
publish are stopped and killed meanwhile, and a card is written while it publishes. At the end everything catches up and
is judged by the texts that were written.
Two copies never run at the very same time: they would take the broker's session from each other, which `health` reports
as `duplicate_client`.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.campaigns.campaign import Fault, Line, main
from tests.campaigns.cards import Card, CardRig, Stored, Written

CATCH_UP_S = 600.0
"""Ten times what it takes beside other work; the slowest lives have ten starts, each with its own connection."""
MOST_CARDS = 4
AT_ONCE = int(os.environ.get("CAGECLOCK_AT_ONCE", "3"))


class Life:
    """One random life of a system with its cards."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Start the broker and, mostly, the station."""
        self.chance = random.Random(seed)
        self.in_flight = self.chance.choice((2, 5, 100, 100))
        self.version = self.chance.choice(("5", "3.1.1"))
        self.rig = CardRig(
            folder,
            version=self.version,
            in_flight=self.in_flight,
            persistent=self.chance.random() < 0.5,
        )
        self.line = Line("", seed, "")
        self.cards: list[Card] = []
        self.images: list[tuple[Path, list[Written], str]] = []
        self.confirmed: list[Written] = []
        """Of cards that were pulled for good: what a station had confirmed to them."""
        self.unconfirmed: list[Written] = []
        """Of the same cards: what no station had confirmed, so that it may have gone with them."""
        self.made = 0
        self.station_runs = False
        self.steps: list[str] = []

    def live(self) -> None:
        """Live the whole life; what is left is to catch up."""
        chance = self.chance
        self.rig.broker.start()
        if chance.random() < 0.8:
            self._station(True)
        self.current = self._add(self._place(), "s", [])
        self._act(chance.randint(2, 7))
        for _ in range(chance.choice((1, 1, 2, 3))):
            self._copy()
            self._act(chance.randint(3, 9))

    def _place(self) -> Path:
        self.made += 1
        return self.rig.folder / f"card-{self.made}" / "state"

    def _add(self, state: Path, serial: str, written: list[Written]) -> Card:
        card = Card(self.rig, state, serial, f"card {self.made}", list(written))
        self.cards.append(card)
        return card

    def _note(self, what: str, more: str = "") -> None:
        self.line.count(what)
        self.steps.append(f"{what} {more}".strip())

    def _act(self, steps: int) -> None:
        for _ in range(steps):
            action = self.chance.choices(
                (self._append, self._publish, self._break, self._rest, self._maintain, self._swap, self._thin),
                (6, 4, 2, 2, 2, 3, 1),
            )[0]
            action()

    def _append(self) -> None:
        number = self.chance.choice((1, 2, 3, 5, 8))
        for _ in range(number):
            self.current.append(self.chance)
        self._note("append", f"{number} on {self.current.name}, last {self.current.outbox.last_seq}")

    def _publish(self) -> None:
        if self.current.running:
            kill = self.chance.random() < 0.5
            self.current.stop(kill=kill)
            self._note("publish killed" if kill else "publish stopped", self.current.name)
        else:
            self.current.start()
            self._note("publish started", self.current.name)
            if self.chance.random() < 0.6:
                self._settle(self.chance.choice((0.6, 1.5, 3.0)), busy=self.chance.random() < 0.3)

    def _settle(self, most_s: float, *, busy: bool = False) -> bool:
        """Give publish some time; return whether all that the card holds was released in it. busy: and write on."""
        until_s, next_s = time.monotonic() + most_s, time.monotonic()
        while busy or self.current.unreleased():
            now_s = time.monotonic()
            if now_s > until_s:
                return False
            if busy and now_s > next_s:
                self.current.append(self.chance)
                next_s = now_s + self.chance.choice((0.02, 0.1, 0.4))
            time.sleep(0.02)
            self.current.outbox.maintain()
        return True

    def _rest(self) -> None:
        time.sleep(self.chance.uniform(0.0, 0.7))

    def _maintain(self) -> None:
        if self.chance.random() < 0.4:
            self.current.reopen()
        self.current.outbox.maintain()
        self._note("maintain", self.current.name)

    def _break(self) -> None:
        if self.chance.random() < 0.35:
            self.rig.broker.kill()
            time.sleep(self.chance.uniform(0.0, 0.3))
            self.rig.broker.start()
            self._note("broker killed")
        else:
            self._station(not self.station_runs)

    def _station(self, runs: bool) -> None:
        part = self.rig.parts["station"]
        if runs:
            part.start()
        elif self.chance.random() < 0.5:
            part.kill()
        else:
            part.stop()
        self.station_runs = runs
        self._note("station started" if runs else "station ended")

    def _swap(self) -> None:
        """Let another one of the copies run."""
        others = [card for card in self.cards if card is not self.current]
        if others:
            self.current.stop(kill=self.chance.random() < 0.5)
            self.current = self.chance.choice(others)
            self._note("swapped", self.current.name)

    def _thin(self) -> None:
        if self.current.running and self.station_runs and self._settle(3.0):
            self.current.thin()
            self._note("thinned", self.current.name)

    def _copy(self) -> None:
        """Take an image; run it beside the card, in its place at once, or in its place later, when that has gone on."""
        chance, source = self.chance, self.current
        source.stop(kill=chance.random() < 0.5)
        closed = chance.random() < 0.5
        image = self._place()
        source.copy(image, closed=closed)
        self.images.append((image, list(source.written), source.serial))
        self._note("copied", f"{source.name} as {self.made}, {'closed' if closed else 'as killed'}")
        kind = chance.choice(("restored", "restored", "cloned", "cloned", "kept"))
        if kind == "kept" or len(self.cards) >= MOST_CARDS:
            return
        if kind == "restored":
            self._act(chance.randint(0, 5))
        self._put_in(kind)

    def _put_in(self, kind: str) -> None:
        """Put an image into a board: mostly the newest one."""
        image, written, serial = self.chance.choice([*self.images, self.images[-1], self.images[-1]])
        place = self._place()
        shutil.copytree(image, place)
        self.current.stop(kill=self.chance.random() < 0.5)
        if kind == "restored":
            self._pull(self.current)
        elif self.chance.random() < 0.3:
            serial = f"board {self.made}"
        self.current = self._add(place, serial, written)
        self._note(kind, f"{image.parent.name} as {self.current.name}, serial {serial}")
        if self.chance.random() < 0.4:
            self._cut_power()

    def _cut_power(self) -> None:
        """Let broker and station start together with the card that was just put in, and has written something."""
        self._append()
        self.rig.broker.kill()
        if self.station_runs:
            self.rig.parts["station"].kill()
        self.rig.broker.start()
        if self.chance.random() < 0.5:
            self.current.start()
            time.sleep(self.chance.uniform(0.0, 1.0))
            self.rig.parts["station"].start()
        else:
            self.rig.parts["station"].start()
            time.sleep(self.chance.uniform(0.0, 1.0))
            self.current.start()
        self.station_runs = True
        self._note("power cut")
        self._settle(self.chance.choice((1.0, 2.0, 4.0)), busy=self.chance.random() < 0.7)

    def _pull(self, card: Card) -> None:
        """Take a card away for good: what it had not yet handed over has gone with it."""
        released = {key for key, _ in card.released()}
        stored = Stored(self.rig)
        for one in card.written:
            confirmed = any(key in released for key in stored.places.get(one.text, []))
            (self.confirmed if confirmed else self.unconfirmed).append(one)
        self._check_released(card, stored)
        card.end()
        self.cards.remove(card)
        self._note("pulled", card.name)

    def _check_released(self, card: Card, stored: Stored) -> None:
        for key, digest in card.released():
            if stored.digests.get(key) != digest:
                raise AssertionError(f"{card.name}: {key[0][:8]}:{key[1]} was released, but the station lacks it")

    def catch_up(self) -> None:
        """Run each card until all that it holds is released, and judge what came through."""
        if not self.station_runs:
            self._station(True)
        for card in self.cards:
            card.stop()
        for card in self.chance.sample(self.cards, len(self.cards)):
            self.current = card
            card.start()
            self._note("catches up", card.name)
            if not self._settle(CATCH_UP_S):
                raise AssertionError(f"{card.name}: not released: {card.unreleased()[:5]}; {self._lacking(card)}")
            card.stop()
        self._judge()

    def _lacking(self, card: Card) -> list[str]:
        stored = Stored(self.rig)
        return [f"{one.text[:40]!r} is stored {fault}" for one in card.written if (fault := stored.lacks(one))]

    def _judge(self) -> None:
        stored = Stored(self.rig)
        wanted = {one.text: one for one in (*self.confirmed, *(one for card in self.cards for one in card.written))}
        twice = {text for text, places in stored.places.items() if len(places) > 1}
        faults = [f"{one.text[:40]!r} is stored {fault}" for one in wanted.values() if (fault := stored.lacks(one))]
        faults += [f"{text[:40]!r} is stored twice" for text in twice]
        known = {one.text for card in self.cards for one in card.written}
        known |= {one.text for one in (*self.confirmed, *self.unconfirmed)}
        faults += [f"{text[:40]!r} was never written" for text in stored.places if text not in known]
        faults += [f"lost: {loss}" for loss in stored.losses]
        if faults:
            raise AssertionError("; ".join(faults[:6]))
        for card in self.cards:
            self._check_released(card, stored)
        copied, reported = stored.copied()
        if reported < copied:
            raise AssertionError(f"{copied} epochs share their predecessor with another one, {reported} are reported")
        self.line.count("reported as copied", reported > 0)
        self.line.count("records", len(stored.digests))
        self.line.count("thumbnails", len(stored.pictures))
        self.line.count("conflicts", stored.conflicts)
        self.line.count("set aside", stored.quarantined)
        if stored.conflicts or stored.quarantined:
            raise AssertionError(f"{stored.conflicts} conflicts, {stored.quarantined} quarantined")

    def end(self) -> None:
        """Let go of everything."""
        self.rig.end()
        for card in self.cards:
            card.end()


def one_case(seed: int) -> tuple[dict[str, float], str]:
    """Live one life and judge it; return what was counted, and the fault with what was done until then, "" without."""
    folder = Path(tempfile.mkdtemp(prefix="cards-"))
    life = Life(folder, seed)
    try:
        life.live()
        life.catch_up()
    except Exception as error:  # noqa: BLE001 - whatever the product raises is a finding
        steps, what = "; ".join(life.steps), str(error) if isinstance(error, AssertionError) else repr(error)
        return {}, f"seed {seed}: {what}; MQTT {life.version}; after: {steps}; kept for a look: {folder}"
    finally:
        life.end()
    shutil.rmtree(folder, ignore_errors=True)
    return life.line.notes, ""


def run(line: Line, budget: int) -> None:
    """Live `budget` lives, some at once, each in a process: a fork beside an open card would keep its lock for a while.

    Raises:
        Fault: of all lives that had one.
    """
    seeds = range(line.seed, line.seed + budget)
    texts = []
    with ProcessPoolExecutor(AT_ONCE, multiprocessing.get_context("spawn")) as pool:
        for notes, fault in pool.map(one_case, seeds):
            line.done += not fault
            texts += [fault] if fault else []
            for what, number in notes.items():
                line.count(what, number)
    if texts:
        raise Fault(line.seed, "\n".join(texts))


if __name__ == "__main__":
    main(run, "copied cards", "cases", ci=6, full=2000, chunk=50)
