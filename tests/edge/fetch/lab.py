"""What the tests of fetch have in common: a device, a bundle for it, and the fetcher that is asked to bring it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.bundle.canary import Verdict
from edge.bundle.inbox import Inbox
from edge.bundle.install import Installer
from edge.bundle.slots import ACTIVE
from edge.bundle.wish import FetchState, keep_wish, read_fetch_state
from edge.config.load import load_config
from edge.config.tree import Config
from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle, unverified_sha256
from edge.contract.desired import Desired
from edge.fetch.backoff import Backoff
from edge.fetch.download import Limits
from edge.fetch.fetcher import Fetcher
from edge.timing.clock import SteppedClock
from tests.edge.bundle.device import Device

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
QUICK = Limits(connect_s=2.0, stall_s=2.0, least_bytes=4096)
HEAD = b"HTTP/1.1 200 OK\r\n"


class UnsetClock(SteppedClock):
    def synced(self) -> bool:
        return False


class Lab:
    """A device, a bundle for it, and the fetcher that is asked to bring it."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.device = Device(folder, bundle)
        self.path = self.device.make(7)
        self.content = self.path.read_bytes()
        self.digest = str(unverified_sha256(self.path))
        self.state = self.device.state
        self.clock: SteppedClock = SteppedClock(NOON)
        self.hosts: tuple[str, ...] = ("127.0.0.1",)
        self.passes = True

    @property
    def config(self) -> Config:
        config = load_config(self.device.settings)
        bundle = msgspec.structs.replace(config.bundle, fetch_hosts=self.hosts)
        outbox = msgspec.structs.replace(config.outbox, min_free_mb=0)
        return msgspec.structs.replace(config, bundle=bundle, outbox=outbox)

    def wish(self, url: str, **changes: object) -> Desired:
        values: dict[str, object] = {
            "device_id": self.config.device_id,
            "rollout": "r1",
            "mode": "install",
            "digest": self.digest,
            "channel": "demo",
            "release": 7,
            "size": len(self.content),
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "urls": (url,),
        }
        wish = Desired(**{**values, **changes})  # type: ignore[arg-type]
        keep_wish(self.state, jsontext.encode(wish))
        return wish

    def fetcher(self, **more: object) -> Fetcher:
        return Fetcher(self.config, self.clock, limits=QUICK, backoff=Backoff(0.0, 0.0), **more)  # type: ignore[arg-type]

    def cycle(self, fetcher: Fetcher | None = None, times: int = 1) -> FetchState:
        fetcher = fetcher or self.fetcher()
        for _ in range(times):
            fetcher.cycle()
        return read_fetch_state(self.state)

    def unit(self) -> None:
        """The bundle unit's turn."""
        verdict = Verdict(problems=() if self.passes else ("budget: too slow",))
        Inbox(lambda: self.config, lambda config: Installer(config, lambda _path, _keys: verdict), limit_s=20).run()

    def inbox(self) -> list[str]:
        return sorted(path.name for path in (self.state / "inbox").iterdir())

    def active(self) -> bool:
        return self.linked(ACTIVE)

    def linked(self, link: str) -> bool:
        slot = self.device.slots.target(link)
        return slot is not None and unverified_sha256(slot) == self.digest

    def parts(self) -> list[Path]:
        return sorted((self.state / "fetch").glob("*.part"))
