"""A wish and the lab's trust statements over a real broker, and what the device reports of its model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.bundle.canary import Verdict
from edge.bundle.history import read_history
from edge.bundle.inbox import Inbox
from edge.bundle.install import Installer
from edge.bundle.wish import read_fetch_state
from edge.config.load import load_config
from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle, unverified_sha256
from edge.contract.bundle.freshness import Freshness, sign_freshness
from edge.contract.model_trust import model_trust
from edge.contract.reported import Reported, TrustHeld
from edge.fetch.backoff import Backoff
from edge.fetch.fetcher import Fetcher
from edge.timing.clock import SteppedClock
from tests.edge.contract.bundle.signers import MONDAY, bundle_of, chain, person, role, signed, statement
from tests.edge.fetch.server import Server
from tests.edge.publish.lab import DEVICE, Logger, Publish
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.broker


class Lab:
    """A device on a broker: publish is a real process; fetcher and bundle unit take their turns when they are asked."""

    def __init__(self, folder: Path, port: int, bundle: Bundle) -> None:
        self.publish = Publish(folder, port)
        (folder / "given.json").write_bytes(chain(signed(statement(online=role(1, "station")))))
        text = self.publish.config.read_text()
        settings = f"bundle: {{trust: {folder / 'given.json'}, channel: study, target_groups: [test]}}\n"
        self.publish.config.write_text(text + settings)
        self.state = self.publish.state_dir
        self.clock = SteppedClock(MONDAY + timedelta(days=1))
        self.path = folder / "lab.bundle"
        self.path.write_bytes(bundle_of(bundle, "dora", "emil", release=3))
        self.digest = str(unverified_sha256(self.path))
        self.passes = True

    def wish(self, url: str, **changes: object) -> bytes:
        content = self.path.read_bytes()
        values = {
            "schema": "cageclock/model-desired/1",
            "device_id": DEVICE,
            "rollout": "r1",
            "mode": "install",
            "digest": self.digest,
            "channel": "study",
            "release": 3,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "urls": [url],
        }
        return json.dumps({**values, **changes}).encode()

    def trust(self, *, version: int = 1, hours: float = 24.0, behind: bool = False) -> bytes:
        online = role(1, "station")
        said = [signed(statement(one, online=online)) for one in range(1, version + 1)]
        now = self.clock.now()
        word = Freshness(
            lab="our lab",
            trust_version=version + behind,
            releases={"study": 3},
            signed_at=now,
            expires_at=now + timedelta(hours=hours),
        )
        return model_trust(chain(*said), sign_freshness(word, person("station").private))

    def unit(self) -> None:
        verdict = Verdict(problems=() if self.passes else ("canary: no verdict within 120 s",))
        config = load_config(self.publish.config)
        Inbox(lambda: config, lambda one: Installer(one, lambda _path, _keys: verdict, self.clock), limit_s=20).run()

    def fetch(self) -> str:
        Fetcher(load_config(self.publish.config), self.clock, backoff=Backoff(0.0, 0.0)).cycle()
        return read_fetch_state(self.state).state


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def lab(tmp_path: Path, broker: Mosquitto, tiny_bundle: Bundle) -> Iterator[tuple[Lab, Logger]]:
    made = Lab(tmp_path / "device", broker.port, tiny_bundle)
    logger = Logger(broker.port)
    made.publish.start()
    try:
        yield made, logger
    finally:
        made.publish.stop()
        logger.close()


def reported(logger: Logger, **wanted: Any) -> Reported:
    """Wait until the newest report is so, and return it."""

    def look() -> Reported | None:
        said = logger.of("model/reported")
        newest = jsontext.decode(said[-1], Reported) if said else None
        if newest is not None and all(getattr(newest, name) == value for name, value in wanted.items()):
            return newest
        return None

    return wait_until(look)  # type: ignore[return-value]


def newest_trust(logger: Logger) -> TrustHeld | None:
    said = logger.of("model/reported")
    return jsontext.decode(said[-1], Reported).trust if said else None


def test_a_wish_is_reported_from_its_arrival_to_its_end(lab: tuple[Lab, Logger]) -> None:
    device, logger = lab
    reported(logger, state="none", digest=None, rollout=None)
    logger.say("model/trust", device.trust(), retain=True)
    wait_until(lambda: (device.state / "inbox/lab.freshness.json").exists())
    device.unit()
    with Server(device.path.read_bytes()) as server:
        logger.say("model/desired", device.wish(server.url), retain=True)
        said = reported(logger, state="waiting", digest=device.digest, rollout="r1")
        assert "cageclock-fetch" in said.advice  # nobody fetches yet, and the lab is told so
        assert device.fetch() == "installing"
        reported(logger, state="installing", rollout="r1", way="wish")
        device.unit()
        assert device.fetch() == "done"
        said = reported(logger, state="pending", digest=device.digest, rollout="r1")
        assert said.floor == 3
        # A retained message comes again with each connection, and does nothing twice.
        device.publish.stop()
        device.publish.start()
        reported(logger, state="pending", digest=device.digest, rollout="r1")
        assert device.fetch() == "done"
        assert len(server.heads) == 1
    assert [one.result for one in read_history(device.state).entries].count("installed") == 1


def test_a_refusal_comes_with_its_code_and_its_words(lab: tuple[Lab, Logger]) -> None:
    device, logger = lab
    device.passes = False
    logger.say("model/trust", device.trust(), retain=True)
    wait_until(lambda: (device.state / "inbox/lab.freshness.json").exists())
    device.unit()
    with Server(device.path.read_bytes()) as server:
        logger.say("model/desired", device.wish(server.url), retain=True)
        wait_until(lambda: device.fetch() == "installing")
        device.unit()
        assert device.fetch() == "refused"
    said = reported(logger, state="refused", digest=device.digest, rollout="r1", reason="canary")
    assert "no verdict within 120 s" in said.advice


def test_a_wish_that_is_none_is_reported_and_takes_the_one_before_away(lab: tuple[Lab, Logger]) -> None:
    device, logger = lab
    logger.say("model/desired", device.wish("http://127.0.0.1:1/x"), retain=True)
    reported(logger, state="waiting", digest=device.digest)
    logger.say("model/desired", device.wish("http://127.0.0.1:1/x", device_id="cage08"), retain=True)
    said = reported(logger, state="refused", reason="unreadable")
    assert "cage08" in said.advice
    assert device.fetch() == "none"
    logger.say("model/desired", b"", retain=True)
    reported(logger, state="none", rollout=None)


def test_a_frozen_channel_is_reported_and_stops_installs_until_a_fresh_word_comes(lab: tuple[Lab, Logger]) -> None:
    device, logger = lab
    said = reported(logger, state="none")
    assert said.trust is not None
    assert "no word of the lab's online key" in said.trust.frozen
    with Server(device.path.read_bytes()) as server:
        logger.say("model/desired", device.wish(server.url), retain=True)
        wait_until(lambda: device.fetch() == "installing")
        device.unit()
        device.fetch()
        reported(logger, state="waiting", reason="frozen", digest=device.digest)
        device.fetch()
        assert read_fetch_state(device.state).state == "waiting"  # and is not installed over and over
        assert len(read_history(device.state).entries) == 2  # the statement that it was given, one refusal
        logger.say("model/trust", device.trust(), retain=True)
        wait_until(lambda: (device.state / "inbox/lab.freshness.json").exists())
        device.unit()
        wait_until(lambda: device.fetch() in ("installing", "done"))
        device.unit()
        device.fetch()
        reported(logger, state="pending", digest=device.digest)
        assert len(server.heads) == 1
    # A word that knows of a newer statement: somebody keeps that one from the device.
    logger.say("model/trust", device.trust(behind=True), retain=True)
    wait_until(lambda: (device.state / "inbox/lab.freshness.json").exists())
    device.unit()

    wait_until(lambda: newest_trust(logger).frozen.startswith("behind:"))  # type: ignore[union-attr]


def test_a_device_that_was_off_for_weeks_walks_the_chain_of_one_message(lab: tuple[Lab, Logger]) -> None:
    device, logger = lab
    logger.say("model/trust", device.trust(version=5), retain=True)
    wait_until(lambda: (device.state / "inbox/lab.freshness.json").exists())
    device.unit()

    wait_until(lambda: newest_trust(logger) is not None)
    wait_until(lambda: newest_trust(logger).version == 5)  # type: ignore[union-attr]
