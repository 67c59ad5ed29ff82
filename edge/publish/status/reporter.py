"""What the device publishes of itself: health at each turn, `info` and the summaries where they have changed."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.config.load import config_sha256
from edge.config.state_folder import outbox_path
from edge.config.tree import Config
from edge.contract import jsontext
from edge.contract.status import Info, OpenEpoch
from edge.contract.topics import DeviceTopics
from edge.host.board import board_serial
from edge.publish.connection import Connection
from edge.publish.delivery.naming import Named
from edge.publish.delivery.sender import Sender
from edge.publish.delivery.source import RecordSource, ranges_held
from edge.publish.status.capture_status import CaptureState, capture_has_begun, capture_runs, read_capture_state
from edge.publish.status.health import Backlog, Surroundings, make_health
from edge.publish.status.machine import look_at_machine, machine_name
from edge.publish.status.model_report import ModelReport
from edge.publish.status.recent import Recent
from edge.publish.status.summary import Glance, summarise
from edge.publish.storage_guard import StorageGuard
from edge.timing.clock import Clock
from edge.version import VERSION

MODEL_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Network:
    """How the connection to broker and station has been since the process began; see `Backlog` and `Surroundings`."""

    reconnects: int
    connection_ends: dict[str, int]
    denied: str
    station_heard: bool


class Reporter:
    """Publishes the retained state of one device."""

    def __init__(
        self, config: Config, source: RecordSource, sender: Sender, guard: StorageGuard, recent: Recent, clock: Clock
    ) -> None:
        """The time that publish has run is counted from now."""
        self._config, self._source, self._sender, self._guard = config, source, sender, guard
        self._recent, self._clock = recent, clock
        self._state_dir, self._topics = Path(config.state_dir), DeviceTopics(config.device_id)
        self._started_at, self._started_s = datetime.now(UTC), time.monotonic()
        self._info = self._model = b""
        self._model_seen: tuple[object, ...] = ()
        self._model_report = ModelReport(config, clock)
        self._summaries: dict[str, bytes] = {}
        self._summarised: tuple[str, int] | None = None

    def connect(self) -> None:
        """Publish everything anew on a new connection."""
        self._info, self._model, self._summaries, self._summarised = b"", b"", {}, None

    def report(self, connection: Connection, network: Network) -> None:
        """Publish health, and info and summaries where they changed.

        Raises:
            StorageError: a database cannot be read.
        """
        now, capture = datetime.now(UTC), read_capture_state(self._state_dir)
        machine = look_at_machine(self._state_dir)
        glances: list[Glance] = []
        self._guard.run("glance", lambda: glances.extend(self._newest_readings()))
        around, backlog = self._surroundings(network), self._backlog(network)
        health = make_health(self._config, machine, capture, backlog, around, glances, now)
        connection.publish(self._topics.of("health"), jsontext.encode(health), retain=True)
        self.report_info(connection, capture)
        self._report_summaries(connection)

    def report_info(self, connection: Connection, capture: CaptureState | None = None) -> None:
        """Publish `info` where it has changed: it names other epochs in turn where there are many."""
        info = jsontext.encode(self._make_info(capture or read_capture_state(self._state_dir)))
        if info != self._info:
            self._info = info
            connection.publish(self._topics.of("info"), info, retain=True)

    def report_model(self, connection: Connection, unreadable: str) -> None:
        """Publish `model/reported` where it has changed. unreadable: why the newest wish is none.

        What it is made of is read where a file has changed, and every minute: a word or a statement ends by the clock.
        """
        seen = (*self._model_report.fingerprint(), unreadable, int(time.monotonic() / MODEL_AGAIN_S))
        if self._model and seen == self._model_seen:
            return
        self._model_seen = seen
        capture = read_capture_state(self._state_dir)
        begun = capture_has_begun(self._state_dir)
        message = jsontext.encode(self._model_report.make(capture.model, begun, unreadable))
        if message != self._model:
            self._model = message
            connection.publish(self._topics.of("model/reported"), message, retain=True)

    def _newest_readings(self) -> Sequence[Glance]:
        newest = self._source.newest
        return () if newest is None else self._recent.until(datetime.fromisoformat(newest.recorded_at))

    def _surroundings(self, network: Network) -> Surroundings:
        return Surroundings(
            watched_s=time.monotonic() - self._started_s,
            capture_running=capture_runs(self._state_dir),
            capture_begun=capture_has_begun(self._state_dir),
            station_heard=network.station_heard,
            station_online=self._sender.station_online,
            clock_synced=self._clock.synced(),
            storage=self._guard.trouble,
        )

    def _backlog(self, network: Network) -> Backlog:
        newest, path = self._source.newest, outbox_path(self._state_dir)
        refused, reasons = self._sender.refusals()
        return Backlog(
            records=sum(of.last - of.first_held + 1 for of in self._source.epochs),
            unreleased=self._sender.unreleased(),
            bytes=path.stat().st_size if path.exists() else 0,
            in_flight=self._sender.in_flight,
            quarantined=refused,
            refused=reasons,
            last_record_at=None if newest is None else datetime.fromisoformat(newest.recorded_at),
            reconnects=network.reconnects,
            connection_ends=network.connection_ends,
            denied=network.denied,
        )

    def _make_info(self, capture: CaptureState) -> Info:
        oldest = [
            next((of.epoch for of in ranges_held(all_)), None)
            for all_ in (self._source.epochs, self._source.own_epochs)
        ]
        return Info(
            device_id=self._config.device_id,
            cage_id=self._config.cage.id,
            version=VERSION,
            python=platform.python_version(),
            machine=f"{machine_name()}, {os.uname().release}",
            serial=board_serial(),
            boot_id=self._clock.boot_id,
            started_at=self._started_at,
            config_sha256=capture.config_sha256 or config_sha256(self._config),
            camera=capture.camera,
            model=capture.model,
            epochs=tuple(_describe_epoch(named) for named in self._sender.named()),
            oldest_held=tuple(epoch for epoch in oldest if epoch is not None),
        )

    def _report_summaries(self, connection: Connection) -> None:
        newest = self._source.newest
        if newest is None or (newest.epoch, newest.seq) == self._summarised:
            return
        self._summarised = (newest.epoch, newest.seq)
        glances = self._recent.until(datetime.fromisoformat(newest.recorded_at))
        cage = self._config.cage
        for name, summary in summarise(self._config.device_id, cage.id, cage.subject, glances).items():
            payload = jsontext.encode(summary)
            if payload != self._summaries.get(name):
                self._summaries[name] = payload
                connection.publish(self._topics.summary(name), payload, retain=True)


def _describe_epoch(named: Named) -> OpenEpoch:
    of = named.held
    return OpenEpoch(
        epoch=of.epoch,
        publisher=named.publisher,
        first_held=of.first_held,
        last=of.last,
        starts=of.starts or msgspec.UNSET,
        before=of.before or msgspec.UNSET,
        before_last=of.before_last if of.before else msgspec.UNSET,
    )
