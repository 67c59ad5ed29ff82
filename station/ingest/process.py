"""`cageclock-station run`: take a batch, commit, acknowledge, promise; for ever."""

from __future__ import annotations

import logging
import signal
import sqlite3
import threading
import time

from edge.contract import jsontext, topics
from edge.contract.service.systemd_notify import notify
from edge.contract.service.unexpected import Unexpected
from edge.errors import CageclockError, DatabaseDamaged, MessageError, NetworkError, OperatorError, StorageError
from station.ingest.connection import STOP_S, Connection
from station.ingest.opening import MAX_BACKOFF_S, PATIENCE_S, open_store, running_file
from station.ingest.retaining import Retaining
from station.ingest.settings import Settings
from station.ingest.waiting import Delivery
from station.store.message import STATES, Arrival, one_line
from station.store.quota import is_worth_an_alarm
from station.store.schema import BUSY_S
from station.store.store import Store
from station.store.taken import Taken

LOG = logging.getLogger("station")
BATCH = 500
PROMISE_EVERY_S = 0.1
PROMISE_AGAIN_S = 5.0
REPORT_EVERY_S = 60.0
WATCHDOG_S = 5.0
VERIFY_EVERY_S, VERIFY_ASK_S, VERIFY_AGAIN_S = 1.0, 600.0, 7 * 86400.0
"""Between two parts of a pass over the database, between two looks whether one is due, and between two passes."""
WORST_CYCLE_S = PATIENCE_S + STOP_S + 2 * BUSY_S + MAX_BACKOFF_S + 0.5
"""The sum of one cycle's bounded waits: a dead network thread is replaced, the store is locked, the disk is full."""


def run(settings: Settings) -> int:
    """Log until SIGTERM or SIGINT and return 0.

    Raises:
        OperatorError: a setting, a path or a permission is wrong.
        DatabaseDamaged: the database is damaged.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Connection(settings)  # before the disk is waited for: what is wrong with a setting is said at once
    store = open_store(settings, stop)
    if store is None:
        return 0
    try:
        return Process(settings, store, stop).run()
    finally:
        store.close()


class Process:
    """The main loop. The store is used by this thread only."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        stop: threading.Event | None = None,
        unexpected: Unexpected | None = None,
    ) -> None:
        """Prepare a link that is not connected yet.

        stop: set when the end is asked for. unexpected: with other pauses, for tests.
        """
        self._unexpected = unexpected or Unexpected("station")
        self._settings = settings
        self._store = store
        self._link = Connection(settings)
        self._running = running_file(settings)
        self._stop = stop or threading.Event()
        self._due: set[str] = set()
        self._promise_at: dict[str, float] = {}
        self._passed_over = 0
        self._total = Taken()
        self._reported_at = time.monotonic()
        self._reported = 0
        self._fed_at = float("-inf")
        self._retaining = Retaining(store, settings.retention, settings.name)
        self._verify_at, self._verifying = time.monotonic() + VERIFY_EVERY_S, False

    def run(self) -> int:
        """Serve until the end is asked for."""
        LOG.info("database %s in %s", self._store.station_db[:8], self._settings.data)
        self._link.start()
        # Ready without a broker: it waits for one by itself, and what is stored can be looked at.
        notify("READY=1")
        try:
            while not self._stop.is_set():
                self._guarded_cycle()
        finally:
            notify("STOPPING=1")
            self._link.stop()
            self._running.note(connected=False, ended=True)
        return 0

    def _guarded_cycle(self) -> None:
        """Do one cycle; an exception that nobody foresaw ends no log: nothing of its batch was acknowledged."""
        try:
            self._cycle()
            self._link.ask_again()
            self._feed_watchdog(self._link.denied())
            self._running.note(connected=self._link.connected(), said=self._link.trouble())
        except (CageclockError, sqlite3.Error):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            text, _ = self._unexpected.note(error)
            LOG.error("%s (trying again)", one_line(text))
            self._feed_watchdog(one_line(text))
            self._link.stop()
            self._unexpected.wait(self._stop.is_set)
            self._renew()

    def _cycle(self) -> None:
        if not self._link.alive():
            LOG.error("the network thread has ended unexpectedly: making a new connection; nothing is lost")
            self._link.stop()
            self._stop.wait(PATIENCE_S)
            self._renew()
        if self._link.renewed():
            # A broker that forgot its retained messages must not leave a device waiting.
            self._promise_at.clear()
            self._due.update(self._store.devices())
        batch = self._link.next_batch(BATCH, PROMISE_EVERY_S / 2 if self._due else 0.5)
        if batch:
            self._take(batch)
        self._promise()
        idle = not batch and not self._settle_days(idle=not batch)
        self._verify(idle=idle)
        if idle:
            self._retaining.work()
        self._report()

    def _settle_days(self, *, idle: bool) -> bool:
        """Make some of the days anew that wait for it, where nothing else is to be done; return whether any did."""
        if not idle:
            return False
        try:
            return self._store.settle_days()
        except DatabaseDamaged:
            raise  # only a person can put that right
        except Exception as error:  # noqa: BLE001 - what looks after the log must not end it
            LOG.error("could not make days anew: %s: %s (trying again)", type(error).__name__, error)
            return True

    def _verify(self, *, idle: bool) -> None:
        """Look at the next part of the database, once a second where nothing else is to be done."""
        now = time.monotonic()
        if not idle or now < self._verify_at:
            return
        self._verify_at = now + VERIFY_EVERY_S
        try:
            if not self._verifying and time.time() - self._store.last_pass_s() < VERIFY_AGAIN_S:
                self._verify_at = now + VERIFY_ASK_S
                return
            findings, complete = self._store.verify_part(time.time())
            self._verifying = not complete
        except DatabaseDamaged:
            raise  # only a person can put that right
        except Exception as error:  # noqa: BLE001 - what looks after the log must not end it
            LOG.error("could not verify: %s: %s (trying again)", type(error).__name__, error)
            self._verify_at = now + VERIFY_ASK_S
            return
        if findings:
            # What was taken out of the accounts is asked for again.
            self._due.update(self._store.devices())
        for finding in findings[:20]:
            LOG.warning("DAMAGED %s", one_line(finding))

    def _renew(self) -> None:
        """Make another connection; a file that is being replaced just now is read at the next try."""
        try:
            self._link = Connection(self._settings)
        except (OperatorError, NetworkError) as error:
            LOG.error("%s (trying again; the devices keep their readings)", error)
            self._running.note(connected=False, said=str(error))
            return
        self._link.start()

    def _take(self, batch: list[Delivery]) -> None:
        arrivals = [found for delivery in batch if (found := self._arrival(delivery)) is not None]
        backoff_s = PATIENCE_S
        while arrivals and not self._stop.is_set():
            try:
                taken = self._store.take(arrivals)
            except DatabaseDamaged:
                raise  # only a person can put that right
            except Exception as error:  # noqa: BLE001 - a fault of this program must not end the log either
                # Nothing is acknowledged or promised: the devices keep what the station cannot.
                what = str(error) if isinstance(error, StorageError) else f"unexpected {type(error).__name__}: {error}"
                LOG.error("%s; free space or check the disk; trying again in %.0f s", what, backoff_s)
                self._feed_watchdog("cannot store: see the journal")
                self._running.note(connected=self._link.connected(), said=what)
                self._stop.wait(backoff_s)
                backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)
                continue
            self._count(taken)
            break
        else:
            if arrivals:
                return
        for delivery in batch:
            self._link.acknowledge(delivery)

    def _arrival(self, delivery: Delivery) -> Arrival | None:
        """Return what the store takes, None for what is only the end of a retained message."""
        try:
            device, suffix = topics.parse_topic(delivery.topic)
            topics.check_device(device, self._settings.name)
        except MessageError as error:
            self._pass_over(str(error))
            return None
        if not delivery.payload:
            return None
        if suffix not in (*topics.STREAMS, *STATES):
            self._pass_over(f"expected one of the topics that the station subscribed to, got {delivery.topic!r}")
            return None
        return Arrival(device, suffix, delivery.payload, delivery.received_at, delivery.properties)

    def _pass_over(self, reason: str) -> None:
        self._passed_over += 1
        if is_worth_an_alarm(self._passed_over):
            LOG.warning("passed over %d messages so far, the last: %s", self._passed_over, one_line(reason))

    def _promise(self) -> None:
        now = time.monotonic()
        for device in sorted(self._due):
            if now < self._promise_at.get(device, now):
                continue
            try:
                payload = jsontext.encode(self._store.committed(device))
                said = self._link.say_committed(device, payload)
            except DatabaseDamaged:
                raise  # only a person can put that right
            except Exception as error:  # noqa: BLE001 - one device's promise must not stop the others' log
                LOG.error("could not promise to %s: %s: %s (trying again)", device, type(error).__name__, error)
                self._promise_at[device] = now + PROMISE_AGAIN_S
                continue
            if said:
                self._promise_at[device] = now + PROMISE_EVERY_S
                self._due.discard(device)

    def _count(self, taken: Taken) -> None:
        # A duplicate renews the promise too: the device that sends it has not heard the last one.
        self._due |= taken.devices
        alarms, taken.alarms = taken.alarms, []
        self._total.add(taken)
        self._total.devices.clear()
        for alarm in alarms[:20]:
            LOG.warning("%s", alarm)
        if len(alarms) > 20:
            LOG.warning("and %d more of this kind; see cageclock-station status", len(alarms) - 20)

    def _feed_watchdog(self, state: str) -> None:
        """Tell systemd of a completed cycle. Waiting for space is one too: another start would not make any."""
        now = time.monotonic()
        if now - self._fed_at >= WATCHDOG_S:
            self._fed_at = now
            notify(f"WATCHDOG=1\nSTATUS={state or f'{self._total.stored} stored since the start'}")

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported_at < REPORT_EVERY_S:
            return
        total = self._total
        if total.stored + total.known != self._reported:
            LOG.info(
                "%d stored, %d came again, %d quarantined, %d conflicts, %d not accounted for (over a quota)",
                total.stored,
                total.known,
                total.quarantined,
                total.conflicts,
                total.refused,
            )
        self._reported_at, self._reported = now, total.stored + total.known
