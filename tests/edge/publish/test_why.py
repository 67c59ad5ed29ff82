"""Why there is no connection is said in the same words by device, station and doctor, with real peers."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.config.load import parse_config
from edge.config.tree import Mqtt, Tls
from edge.doctor.broker import try_broker
from edge.errors import NetworkError, OperatorError
from edge.publish.connection import Connection
from station.ingest import settings as station_settings
from station.ingest.connection import Connection as StationConnection
from tests.harness.certificates import Authority
from tests.harness.mosquitto import Mosquitto, free_port

_TLS = "cafile {folder}/ca.pem\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n"


@contextmanager
def tls_broker(
    folder: Path, more: str = "", address: str = "127.0.0.1", **dates: Any
) -> Iterator[tuple[Any, Authority]]:
    """Run a broker with a certificate of its own authority."""
    authority = Authority(folder / "ca")
    authority.issue("broker", address, **dates)
    files = {name: (folder / "ca" / name).read_bytes() for name in ("ca.pem", "broker.pem", "broker.key")}
    with Mosquitto(folder / "broker", _TLS + more, files=files) as broker:
        yield broker, authority


def of_device(mqtt: Mqtt) -> str:
    """Return what a device says of its first attempt."""
    try:
        link = Connection(mqtt, "cage07", "cageclock/v1/cage07/availability", lambda *_: None, lambda *_: None)
    except NetworkError as error:
        return str(error)
    deadline = time.monotonic() + 60
    while link.ended is None and not link.connected and time.monotonic() < deadline:
        link.turn(0.1)
    link.drop()
    assert link.ended is not None
    return link.ended.text


def of_station(mqtt: Mqtt, caplog: pytest.LogCaptureFixture) -> str:
    """Return what a station with the same settings says."""
    tls = mqtt.tls
    given = station_settings.Settings(
        name="lab1",
        data="/nowhere",
        host=mqtt.host,
        port=mqtt.port,
        tls=None if tls is None else station_settings.Tls(ca_file=tls.ca, cert_file=tls.certificate, key_file=tls.key),
    )
    link = StationConnection(given)
    with caplog.at_level(logging.ERROR, "station"):
        link.start()
        deadline = time.monotonic() + 60
        while not link.trouble() and time.monotonic() < deadline:
            time.sleep(0.02)
    said = link.trouble()
    link.stop()
    return said


def of_doctor(mqtt: Mqtt, folder: Path) -> str:
    """Return what the doctor says."""
    tls = mqtt.tls
    files = (
        ""
        if tls is None
        else f", tls: {{ca: {tls.ca}"
        + ("}" if tls.certificate is None else f", certificate: {tls.certificate}, key: {tls.key}}}")
    )
    text = (
        f"device_id: cage07\nstate_dir: {folder}\ncage: {{id: c}}\ncamera: {{backend: simulated}}\n"
        f"mqtt: {{host: '{mqtt.host}', port: {mqtt.port}{files}}}\n"
    )
    return try_broker(parse_config(text)).line()


def all_three(mqtt: Mqtt, folder: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the words of the three programs."""
    return [of_device(mqtt), of_station(mqtt, caplog), of_doctor(mqtt, folder)]


def test_an_unknown_name_and_a_closed_port_are_two_things(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for said in all_three(Mqtt(host="broker.invalid"), tmp_path, caplog):
        assert "the name 'broker.invalid' is unknown here" in said
    for said in all_three(Mqtt(host="127.0.0.1", port=free_port()), tmp_path, caplog):
        assert "nobody listens there" in said


def test_another_authority_another_name_and_an_expired_certificate_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Authority(tmp_path / "other")
    with tls_broker(tmp_path / "one") as (broker, _):
        for said in all_three(Mqtt(host="127.0.0.1", port=broker.port, tls=Tls(ca=str(other.ca))), tmp_path, caplog):
            assert f"is not signed by the authority in {other.ca}" in said
    with tls_broker(tmp_path / "two", address="192.0.2.7") as (broker, authority):
        tls = Tls(ca=str(authority.ca))
        for said in all_three(Mqtt(host="127.0.0.1", port=broker.port, tls=tls), tmp_path, caplog):
            assert "the broker's certificate is not for '127.0.0.1'" in said
    with tls_broker(tmp_path / "three", ends_at=datetime.now(UTC) - timedelta(hours=1)) as (broker, authority):
        tls = Tls(ca=str(authority.ca))
        for said in all_three(Mqtt(host="127.0.0.1", port=broker.port, tls=tls), tmp_path, caplog):
            assert "certificate has expired, or this machine's clock is wrong" in said


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
def test_a_certificate_that_the_broker_misses_or_does_not_know_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    more = f"require_certificate true\nuse_identity_as_username true\nallow_anonymous false\ntls_version {version}\n"
    stranger = Authority(tmp_path / "other").issue("cage07")
    with tls_broker(tmp_path, more) as (broker, authority):
        mqtt = Mqtt(host="127.0.0.1", port=broker.port, tls=Tls(ca=str(authority.ca)))
        for said in all_three(mqtt, tmp_path, caplog):
            assert "certificate of this client" in said
        # The alert may be lost where the broker closes at once, but not each time.
        assert any("TLS with" in of_device(mqtt) for _ in range(20))
        tls = Tls(ca=str(authority.ca), certificate=stranger[0], key=stranger[1])
        for said in all_three(Mqtt(host="127.0.0.1", port=broker.port, tls=tls), tmp_path, caplog):
            assert "certificate of this client" in said or "signed this client's certificate" in said


def test_tls_on_a_plain_port_and_the_other_way_round_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path / "ca")
    with Mosquitto(tmp_path / "plain") as broker:
        mqtt = Mqtt(host="127.0.0.1", port=broker.port, tls=Tls(ca=str(authority.ca)))
        for said in all_three(mqtt, tmp_path, caplog):
            assert "does that port speak TLS" in said or "does not speak TLS" in said
    with tls_broker(tmp_path / "tls") as (broker, _):
        for said in all_three(Mqtt(host="127.0.0.1", port=broker.port), tmp_path, caplog):
            assert "TLS" in said


def _not_there(folder: Path) -> Tls:
    return Tls(ca=str(folder / "none.pem"))


def _no_authority(folder: Path) -> Tls:
    (folder / "text.pem").write_text("no certificate")
    return Tls(ca=str(folder / "text.pem"))


def _another_key(folder: Path) -> Tls:
    authority = Authority(folder / "keys")
    one, another = authority.issue("one"), authority.issue("another")
    return Tls(ca=str(authority.ca), certificate=one[0], key=another[1])


def _no_key(folder: Path) -> Tls:
    authority = Authority(folder / "keys")
    one = authority.issue("one")
    return Tls(ca=str(authority.ca), certificate=one[0], key=one[0])


@pytest.mark.parametrize(
    ("make", "key", "words"),
    [
        (_not_there, "ca", "none.pem: No such file"),
        (_no_authority, "ca", "text.pem: expected certificates of authorities"),
        (_another_key, "key", "another.key: it is not the key of"),
        (_no_key, "key", "one.pem: expected a private key"),
    ],
)
def test_a_file_that_is_missing_or_wrong_is_named_on_both_sides(
    tmp_path: Path, make: Callable[[Path], Tls], key: str, words: str
) -> None:
    tls = make(tmp_path)
    with pytest.raises(OperatorError, match=words) as device:
        Connection(Mqtt(tls=tls), "a", "b", lambda *_: None, lambda *_: None)
    assert str(device.value).startswith(f"mqtt.tls.{key}: ")
    given = station_settings.Tls(ca_file=tls.ca, cert_file=tls.certificate, key_file=tls.key)
    with pytest.raises(OperatorError, match=words) as station:
        StationConnection(station_settings.Settings(name="lab1", data="/nowhere", tls=given))
    assert str(station.value).startswith(f"tls.{key}{'_file'}: ")
    device_says, station_says = str(device.value).partition(": ")[2], str(station.value).partition(": ")[2]
    assert device_says == station_says, "one wording: only the setting has another name"
    assert device_says.endswith("; correct the path, the file or its rights")


def test_a_read_error_that_passes_is_tried_again_and_a_missing_file_is_not(tmp_path: Path) -> None:
    """/proc/self/mem can be opened and gives EIO: what a card does that fails for a moment."""
    with pytest.raises(NetworkError, match=r"mqtt\.tls\.ca: /proc/self/mem: Input/output error"):
        Connection(Mqtt(tls=Tls(ca="/proc/self/mem")), "a", "b", lambda *_: None, lambda *_: None)
    with pytest.raises(NetworkError, match=r"tls\.ca_file: /proc/self/mem: Input/output error"):
        StationConnection(
            station_settings.Settings(name="lab1", data="/nowhere", tls=station_settings.Tls(ca_file="/proc/self/mem"))
        )
    with pytest.raises(NetworkError, match="Input/output error"):
        Connection(Mqtt(username="a", password_file="/proc/self/mem"), "a", "b", lambda *_: None, lambda *_: None)


def test_an_address_that_swallows_everything_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full backlog drops what comes: the connection is neither refused nor made."""
    monkeypatch.setattr("edge.publish.connection.CONNECT_TIMEOUT_S", 1.0)
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    try:
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        time.sleep(0.2)
        assert "does not answer" in of_device(Mqtt(host="127.0.0.1", port=full.getsockname()[1]))
    finally:
        for one in [*waiting, full]:
            one.close()
