"""The broker's settings as they are packaged, in a real mosquitto: who may connect, write and read what."""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from edge.config.load import load_config
from edge.doctor.broker import check_broker
from tests.edge.publish.lab import Publish
from tests.harness.certificates import Authority
from tests.harness.child import Child, python
from tests.harness.mosquitto import find_mosquitto, free_port
from tests.harness.waiting import LIMIT_S, wait_until

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "firmware_config/mosquitto"
LOGGERS, DASHBOARDS = {"lab1", "lab1-a", "lab1-b"}, {"dashboard", "dashboard-2"}
READS_ALL = {*LOGGERS, *DASHBOARDS, "operator"}
PEOPLE = ("cage01", "cage02", *sorted(READS_ALL))

pytestmark = pytest.mark.broker


def expected() -> Iterator[tuple[str, set[str], set[str]]]:
    """Each topic with who may write and who may read it: the intention, written down apart from the access list."""
    device = "cageclock/v1/cage01/"
    said = ("availability", "info", "reading", "record", "latest", "thumbnail", "thumbnail/latest", "summary/M1")
    for suffix in (*said, "health", "result", "model/reported"):
        yield device + suffix, {"cage01"}, READS_ALL
    yield device + "doctor", {"cage01"}, READS_ALL | {"cage01"}
    yield device + "command/capture", {"operator", "dashboard"}, READS_ALL | {"cage01"}
    for suffix in ("command/replay", "model/desired", "model/trust"):
        yield device + suffix, {"operator"}, READS_ALL | {"cage01"}
    yield device + "committed/lab1", LOGGERS, READS_ALL | {"cage01"}
    yield "cageclock/v1/station/lab1/availability", LOGGERS, READS_ALL | {"cage01", "cage02"}
    yield "homeassistant/device/cageclock_cage01/config", {"cage01", "operator"}, DASHBOARDS
    yield "homeassistant/status", DASHBOARDS, set(PEOPLE)
    for topic in ("committed/lab2", "reading/more", "anything", "command/capture/more"):
        yield device + topic, set(), set()
    for topic in ("cageclock/v1/station/lab2/availability", "cageclock/v2/cage01/reading", "free", "cageclock/v1"):
        yield topic, set(), set()


class Lab:
    """A broker with the packaged settings, on a free port and with certificates of its own."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.authority.issue("broker", "127.0.0.1")
        self.port = free_port()
        text = (SETTINGS / "cageclock.conf").read_text()
        text = text.replace("/etc/mosquitto/certs/", f"{folder}/").replace("listener 8883", f"listener {self.port}")
        text = text.replace("/etc/mosquitto/cageclock.acl", str(SETTINGS / "cageclock.acl"))
        # As Debian's own file includes it, which names these two already.
        (folder / "cageclock.conf").write_text(text)
        main = f"user root\npersistence true\npersistence_location {folder}/\ninclude_dir {folder}/conf.d\n"
        (folder / "conf.d").mkdir()
        (folder / "cageclock.conf").rename(folder / "conf.d/cageclock.conf")
        (folder / "mosquitto.conf").write_text(main)
        self.broker = Child([find_mosquitto(), "-c", str(folder / "mosquitto.conf")], folder / "log")
        self.broker.start()

    def client(self, name: str | None, authority: Authority | None = None, client_id: str = "") -> Client:
        files = (authority or self.authority).issue(name) if name is not None else None
        return Client(name or "nobody", self.port, self.authority.ca, files, client_id)

    def close(self) -> None:
        self.broker.stop()


class Client:
    """One MQTT 5 client that hears `#` and remembers what came, and the answer to each publish."""

    def __init__(self, name: str, port: int, ca: Path, files: tuple[str, str] | None, client_id: str) -> None:
        self.name, self.heard = name, set[bytes]()
        self.connected, self.answers, self.ended = threading.Event(), dict[int, int](), threading.Event()
        self._mqtt = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        self._mqtt.on_disconnect = lambda *_: self.ended.set()
        context = ssl.create_default_context(cafile=str(ca))
        if files is not None:
            context.load_cert_chain(*files)
        self._mqtt.tls_set_context(context)
        self._mqtt.on_connect = lambda _c, _u, _f, _code, _p: self._mqtt.subscribe([("#", 1), ("$SYS/#", 1)])
        self._mqtt.on_subscribe = lambda *_: self.connected.set()
        self._mqtt.on_message = lambda _c, _u, message: self.heard.add(bytes(message.payload))
        self._mqtt.on_publish = lambda _c, _u, mid, code, _p: self.answers.update({mid: code.value})
        self._mqtt.connect("127.0.0.1", port)
        self._mqtt.loop_start()

    def publish(self, topic: str, payload: bytes) -> int:
        """Return the broker's reason code."""
        number = self._mqtt.publish(topic, payload, qos=1).mid
        until = time.monotonic() + LIMIT_S
        while number not in self.answers:
            assert time.monotonic() < until, f"{self.name}: no answer for {topic}"
            time.sleep(0.002)
        return self.answers[number]

    def close(self) -> None:
        self._mqtt.disconnect()
        self._mqtt.loop_stop()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("broker"))
    try:
        for _ in range(200):
            try:
                made.client("probe").close()
                break
            except OSError:
                time.sleep(0.05)
        yield made
    finally:
        made.close()


def test_every_identity_may_do_what_is_meant_and_nothing_else(lab: Lab) -> None:
    people = {name: lab.client(name) for name in PEOPLE}
    try:
        assert all(one.connected.wait(LIMIT_S) for one in people.values())
        table = list(expected())
        wrong = []
        for topic, writers, _ in table:
            for name, one in people.items():
                accepted = one.publish(topic, f"{name} {topic}".encode()) in (0x00, 0x10)
                if accepted != (name in writers):
                    wrong.append(f"{name} {'may' if accepted else 'may not'} write {topic}")
        meant_to_arrive = [
            (people[reader], f"{name} {topic}".encode())
            for topic, writers, readers in table
            for reader in readers
            for name in writers
        ]
        with contextlib.suppress(AssertionError):  # what is missing is named below
            wait_until(lambda: all(text in one.heard for one, text in meant_to_arrive))
        time.sleep(0.5)  # what should not arrive has its chance
        for topic, writers, readers in table:
            for reader, one in people.items():
                heard = {name for name in PEOPLE if f"{name} {topic}".encode() in one.heard}
                meant = writers if reader in readers else set()
                if heard != meant:
                    wrong.append(f"{reader} hears {sorted(heard)} on {topic}, meant: {sorted(meant)}")
        assert wrong == []
    finally:
        for one in people.values():
            one.close()


def test_all_of_a_lab_are_connected_at_once_and_the_doctor_pushes_nobody_off(lab: Lab, tmp_path: Path) -> None:
    """The real publish and the real station among them; each has its own certificate, as the document says."""
    tls = dict(zip(("certificate", "key"), lab.authority.issue("cage07"), strict=True)) | {"ca": str(lab.authority.ca)}
    certificate, key = lab.authority.issue("lab1")
    settings = {"name": "lab1", "data": str(tmp_path / "station"), "host": "127.0.0.1", "port": lab.port}
    settings["tls"] = {"ca_file": str(lab.authority.ca), "cert_file": certificate, "key_file": key}
    (tmp_path / "station.yaml").write_text(yaml.safe_dump(settings))
    people = [lab.client(name) for name in PEOPLE if name != "lab1"]
    command = python("-m", "station.cli", "run", "--config", tmp_path / "station.yaml")
    station = Child(command, tmp_path / "station.log")
    station.start()
    try:
        assert all(one.connected.wait(LIMIT_S) for one in people)
        with Publish(tmp_path, lab.port, station="lab1", tls=tls) as publish:
            config = load_config(publish.config)
            wait_until(lambda: "publish is connected since" in check_broker(config).text)
            wait_until(lambda: "connected to" in station.log())
            pushed_off = lab.broker.log().count("already connected, closing old connection")
            for _ in range(3):
                found = check_broker(config)
                assert found.ok, found.line()
                assert "publish is connected since" in found.text
            assert lab.broker.log().count("already connected, closing old connection") == pushed_off
            assert publish.log().count("connected to") == 1
            assert "another client" not in publish.log() + station.log()
            assert "lost" not in station.log()
            assert [one.name for one in people if one.ended.is_set()] == []
            assert publish.stop() == 0
        assert "there and back" in check_broker(config).text  # publish has ended: now the doctor looks for itself
    finally:
        station.stop()
        for one in people:
            one.close()


def test_nobody_takes_over_anothers_connection_by_naming_its_client_identifier(lab: Lab) -> None:
    """With an identifier that a client may choose, any certificate of the lab could keep the station off the broker."""
    station = lab.client("lab1", client_id="cageclock-station-lab1")
    device = lab.client("cage02", client_id="cageclock-cage02")
    intruder = None
    try:
        assert station.connected.wait(LIMIT_S)
        assert device.connected.wait(LIMIT_S)
        for name in ("cageclock-station-lab1", "lab1", "cageclock-cage02", "cage02"):
            intruder = lab.client("cage01", client_id=name)
            assert intruder.connected.wait(LIMIT_S)
            assert station.publish("cageclock/v1/station/lab1/availability", b"online") in (0x00, 0x10)
            assert not station.ended.is_set()
            assert not device.ended.is_set()
            intruder.close()
    finally:
        for one in (station, device, intruder):
            if one is not None:
                one.close()


def test_a_name_with_a_wildcard_opens_nothing(lab: Lab) -> None:
    """CVE-2017-7650: a user name `#` or `+` in a pattern would match everybody's topics."""
    for name in ("#", "+", "cage01/#"):
        try:
            one = lab.client(name)
        except (OSError, ssl.SSLError):
            continue  # refused at the door
        try:
            if one.connected.wait(2):
                assert one.publish("cageclock/v1/cage01/reading", b"forged") not in (0x00, 0x10)
        except AssertionError as error:
            assert "no answer" in str(error)  # thrown out  # noqa: PT017
        finally:
            one.close()


def test_without_a_certificate_of_the_lab_nobody_is_heard(lab: Lab, tmp_path: Path) -> None:
    for name, authority in ((None, None), ("cage01", Authority(tmp_path))):
        try:
            one = lab.client(name, authority)
        except (OSError, ssl.SSLError):
            continue
        assert not one.connected.wait(1)
        one.close()


def test_every_line_of_the_settings_has_its_why() -> None:
    """Each block of settings stands under a comment."""
    for block in (SETTINGS / "cageclock.conf").read_text().strip().split("\n\n"):
        lines = block.splitlines()
        assert lines[0].startswith("#"), f"no reason is given for: {lines[0]}"


def test_every_topic_of_a_device_is_in_the_access_list() -> None:
    """What `docs/mqtt.md` lists, a device may do."""
    text = (ROOT / "docs/mqtt.md").read_text()
    listed = {re.sub(r"<[^>]+>", "+", name) for name in re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)}
    rules = set(
        re.findall(r"^pattern \w+ cageclock/v1/%u/(\S+)", (SETTINGS / "cageclock.acl").read_text(), re.MULTILINE)
    )
    missing = {name for name in listed if name not in rules and not name.startswith("command/")}
    assert missing == set()
    assert "command/+" in rules


def _typed(line: str, folder: Path) -> argparse.Namespace:
    """Return the options of a documented mosquitto_sub or mosquitto_pub, with the test's folder of certificates."""
    parser = argparse.ArgumentParser(add_help=False)
    for option in ("-h", "-p", "--cafile", "--cert", "--key", "-q", "-t", "-m"):
        parser.add_argument(option)
    parser.add_argument("-v", action="store_true")
    _, *words = shlex.split(line)
    options = parser.parse_args(words)
    for name in ("cafile", "cert", "key"):
        setattr(options, name, str(folder / getattr(options, name)))
    return options


def _connect(options: argparse.Namespace, port: int) -> mqtt.Client:
    """Return a client as mosquitto's own would connect: the certificate's name is its identifier."""
    assert (options.h, options.p) == ("localhost", "8883"), "the packaged broker's listener"
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.tls_set(options.cafile, options.cert, options.key)
    client.connect("127.0.0.1", port)  # the name in the test's certificate
    return client


def test_the_documents_examples_work_with_the_packaged_broker(tmp_path: Path) -> None:
    """mosquitto's clients are not everywhere: what is typed is taken apart, and tried with its files and rights."""
    text = (ROOT / "docs/mqtt.md").read_text()
    watch_line, press_line = re.findall(r"^    (mosquitto_(?:sub|pub) -h .*)$", text, re.MULTILINE)
    watch, press = _typed(watch_line, tmp_path), _typed(press_line, tmp_path)
    lab = Lab(tmp_path)
    try:
        lab.broker.wait_for("running")
        for path in (watch.cert, press.cert):
            lab.authority.issue(Path(path).stem)
        device = lab.client("cage07")
        assert device.connected.wait(LIMIT_S)
        seen: list[str] = []
        watching = _connect(watch, lab.port)
        watching.on_message = lambda _c, _d, message: seen.append(f"{message.topic} {message.payload.decode()}")
        granted = threading.Event()
        watching.on_subscribe = lambda _c, _d, _mid, codes, _p: granted.set() if not codes[0].is_failure else None
        watching.on_connect = lambda client, *_: client.subscribe(watch.t)
        watching.loop_start()
        wait_until(granted.is_set)
        device.publish("cageclock/v1/cage07/latest", b'{"age_days": 100}')
        wait_until(lambda: 'cageclock/v1/cage07/latest {"age_days": 100}' in seen)
        pressing = _connect(press, lab.port)
        pressing.loop_start()
        pressing.publish(press.t, press.m, qos=int(press.q)).wait_for_publish(60)
        wait_until(lambda: press.m.encode() in device.heard)
        for client in (watching, pressing):
            client.disconnect()
            client.loop_stop()
        device.close()
    finally:
        lab.close()
