"""A lab for tests of the fleet process: keys, bundles signed by two, and devices that speak the contract."""

from __future__ import annotations

import contextlib
import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.contract import jsontext, topics
from edge.contract.bundle.bundle import read_bundle, read_unverified, signed_again, write_bundle
from edge.contract.bundle.envelope import add_signature, enclose
from edge.contract.bundle.keys import new_key_pair, open_public, raw_public
from edge.contract.bundle.roles import Key, Role
from edge.contract.bundle.statement import STATEMENT_TYPE, Statement
from edge.contract.bundle.trust import chain_bytes
from edge.contract.command import Result
from edge.contract.desired import read_desired
from edge.contract.model_trust import read_model_trust
from edge.contract.reported import Reported, Running, TrustHeld
from station.cli import main

DATA = Path(__file__).parents[2] / "data"
OLD = "0" * 64


class Keys:
    """Keys of a lab: one root, two who release for `study`, an online one."""

    def __init__(self) -> None:
        self.root, self.dora, self.emil, self.online = (new_key_pair() for _ in range(4))
        self.chain: list[bytes] = []

    def state(self, **changes: Any) -> bytes:
        """Sign the next statement and return the chain file."""
        now = datetime.now(UTC).replace(microsecond=0)
        values: dict[str, Any] = {
            "lab": "our lab",
            "version": len(self.chain) + 1,
            "created_at": now,
            "expires_at": now + timedelta(days=365),
            "root": Role(threshold=1, keys=(self.key("anna", self.root),)),
            "channels": {"study": self.releasing(("dora", self.dora), ("emil", self.emil))},
            "online": Role(threshold=1, keys=(self.key("station", self.online),)),
        }
        statement = Statement(**(values | changes))
        body = jsontext.encode(statement)
        self.chain.append(add_signature(enclose(body, {}, STATEMENT_TYPE), self.root[0], STATEMENT_TYPE))
        return chain_bytes(self.chain)

    def releasing(self, *pairs: tuple[str, tuple[bytes, bytes]]) -> Role:
        """Return the role of those who sign bundles, two of them."""
        return Role(threshold=2, keys=tuple(self.key(name, pair) for name, pair in pairs))

    def bundle(self, path: Path, release: int, signers: int = 2, **changes: Any) -> str:
        """Write a bundle of the tiny model's parts, signed by so many, and return its identity."""
        tiny = read_bundle(DATA / "tiny.bundle", [(DATA / "tiny.pub").read_bytes()])
        values: dict[str, Any] = {
            "channel": "study",
            "release": release,
            "model_version": f"2026.{release}",
            "files": (),
        }
        manifest = msgspec.structs.replace(tiny.manifest, **(values | changes))
        digest = write_bundle(path, manifest, tiny.files, self.dora[0])
        if signers == 2:
            path.write_bytes(signed_again(read_unverified(path), self.emil[0]))
        return digest

    @staticmethod
    def key(name: str, pair: tuple[bytes, bytes]) -> Key:
        return Key(name=name, public=raw_public(open_public(pair[1])).hex())


def station(data: Path, *words: object, who: str = "anna", code: int | None = 0) -> str:
    """Run one command of the station as a person, check its exit code and return what it printed."""
    said = io.StringIO()
    before = os.environ.get("SUDO_USER")
    os.environ["SUDO_USER"] = who
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            found = main([*map(str, words), "--data", str(data)])
    finally:
        os.environ.pop("SUDO_USER")
        if before is not None:
            os.environ["SUDO_USER"] = before
    assert code is None or found == code, said.getvalue()
    return said.getvalue()


def as_json(data: Path, *words: object, code: int | None = 0) -> Any:
    """Run one command with --json and return what it says."""
    return json.loads(station(data, *words, "--json", code=code))


class Peer:
    """Stands for a device on the broker: hears its wishes, and answers as the contract says. Not our device's code.

    fate: `good`, `refused`, `rolled_back`, or `silent` (says nothing of what it is asked).
    """

    def __init__(self, name: str, port: int, fate: str = "good", running: str | None = OLD) -> None:
        self.name, self.port, self.fate, self.running = name, port, fate, running
        self.topics = topics.DeviceTopics(name)
        self.asked: list[tuple[str, str]] = []
        self.refused: dict[str, str] = {}
        self.commands: list[str] = []
        self.trust = 0
        self.fresh: bytes | None = None
        self.client: mqtt.Client | None = None

    def connect(self) -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self.name, clean_session=True)
        self.client.will_set(self.topics.of("availability"), b"offline", qos=1, retain=True)
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()

    def leave(self) -> None:
        if self.client is not None:
            self.client.publish(self.topics.of("availability"), b"offline", qos=1, retain=True).wait_for_publish(10)
            self.client.disconnect()
            self.client.loop_stop()
            self.client = None

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        for suffix in ("model/desired", "model/trust", "command/+"):
            client.subscribe(self.topics.of(suffix), 1)
        client.publish(self.topics.of("availability"), b"online", qos=1, retain=True)
        self.say("none", None)

    def _on_message(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        suffix = message.topic.removeprefix(f"{self.topics.root}/")
        if suffix == "model/trust":
            found = read_model_trust(bytes(message.payload))
            if found is not None:
                self.trust = len(found.chain)
                self.fresh = None if found.freshness is None else found.freshness.encode()
                self.say("none", None)
        elif suffix == "model/desired":
            desired = read_desired(bytes(message.payload), self.name)
            if desired is not None:
                self._do(desired.mode, desired.digest, desired.rollout)
        elif not message.retain:
            self.commands.append(suffix)
            request = json.loads(message.payload)["id"]
            name = suffix.removeprefix("command/")
            answer = Result(id=request, command=name, status="done", text="the reading is stored")
            client.publish(self.topics.of("result"), jsontext.encode(answer), qos=1)

    def _do(self, mode: str, digest: str, rollout: str) -> None:
        if not self.asked or self.asked[-1] != (mode, digest):
            self.asked.append((mode, digest))
        if mode == "revert":
            if self.running == digest:
                self.running = OLD
                self.refused[digest] = "by_person"
                self.say("rolled_back", digest, "by_person", rollout)
        elif digest in self.refused or self.fate == "silent" or self.running == digest:
            return
        elif self.fate == "good":
            self.running = digest
            self.say("pending", digest, "", rollout)
            self.say("good", digest, "", rollout)
        else:
            self.refused[digest] = "canary" if self.fate == "refused" else "trial"
            self.say(self.fate, digest, self.refused[digest], rollout)

    def say(self, state: str, digest: str | None, reason: str = "", rollout: str | None = None) -> None:
        assert self.client is not None
        running = None
        if self.running is not None:
            which = "pending" if state == "pending" else "good"
            running = Running(
                digest=self.running, name="lab", model_version="1", channel="study", release=1, state=which
            )
        now = datetime.now(UTC).replace(microsecond=0)
        trust = TrustHeld(version=self.trust, lab="our lab", expires_at=now, expired=False) if self.trust else None
        body = Reported(
            device_id=self.name, state=state, digest=digest, reason=reason, advice=reason, rollout=rollout, since=now,
            channel="study", running=running, trust=trust,
        )  # fmt: skip
        self.client.publish(self.topics.of("model/reported"), jsontext.encode(body), qos=1, retain=True)
