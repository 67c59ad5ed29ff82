"""The online key's word, by clocks that are right, unset, wrong on the device and wrong on the station; a re-keying."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.bundle.history import read_history
from edge.contract.bundle.bundle import Bundle
from edge.contract.bundle.freshness import Freshness, sign_freshness
from edge.contract.model_trust import model_trust, read_model_trust
from edge.errors import BundleError
from edge.timing.clock import SteppedClock
from tests.edge.bundle.test_trust import Device, UnsetClock
from tests.edge.contract.bundle.signers import MONDAY, chain, person, role, signed, statement

TUESDAY = MONDAY + timedelta(days=1)
ONLINE = {"online": role(1, "station")}


def word(at: datetime, *, version: int = 1, hours: float = 24.0, by: str = "station") -> bytes:
    said = Freshness(
        lab="our lab",
        trust_version=version,
        releases={"study": 3},
        signed_at=at,
        expires_at=at + timedelta(hours=hours),
    )
    return sign_freshness(said, person(by).private)


@pytest.fixture
def device(tmp_path: Path, tiny_bundle: Bundle) -> Device:
    made = Device(tmp_path, tiny_bundle)
    (tmp_path / "given.json").write_bytes(chain(signed(statement(**ONLINE))))
    return made


def hear(device: Device, content: bytes) -> str:
    entry = device.put(content, "lab.freshness.json")
    return entry.reason if entry.result == "refused" else ""


def test_nothing_is_installed_without_a_fresh_word_and_what_runs_goes_on(device: Device) -> None:
    assert device.refusal(device.bundle(1)).startswith("frozen: no word of the lab's online key")
    assert hear(device, word(TUESDAY)) == ""
    assert device.put(device.bundle(1)).result == "installed"
    device.clock = SteppedClock(TUESDAY + timedelta(hours=25))
    assert device.refusal(device.bundle(2)).startswith("frozen: the last word of the lab's online key held until")
    assert device.active() == 1
    assert hear(device, word(TUESDAY + timedelta(hours=25))) == ""
    assert device.put(device.bundle(2)).result == "installed"


def test_a_word_that_knows_of_a_newer_statement_stops_installs_until_that_one_is_there(device: Device) -> None:
    assert hear(device, word(TUESDAY, version=2)) == ""
    assert device.refusal(device.bundle(1)).startswith("behind: trust statement 2 exists")
    device.put(chain(signed(statement(**ONLINE)), signed(statement(2, **ONLINE))), "lab.trust.json")
    assert device.put(device.bundle(1)).result == "installed"


@pytest.mark.parametrize("by", ["dora", "anna", "mallory"])
def test_a_word_of_another_key_is_refused(device: Device, by: str) -> None:
    assert "expected 1 signatures of the online keys" in hear(device, word(TUESDAY, by=by))
    assert device.refusal(device.bundle(1)).startswith("frozen:")


def test_an_older_word_is_refused_and_the_same_one_is_no_news(device: Device) -> None:
    assert hear(device, word(TUESDAY)) == ""
    entries = len(read_history(device.state).entries)
    assert hear(device, word(TUESDAY)) == ""
    assert len(read_history(device.state).entries) == entries
    assert hear(device, word(TUESDAY - timedelta(hours=1))).startswith("freshness: older")


def test_a_station_whose_clock_is_wrong_is_named(device: Device) -> None:
    assert "correct the station's clock" in hear(device, word(TUESDAY + timedelta(days=3)))
    assert "correct its clock" in hear(device, word(TUESDAY - timedelta(days=3)))
    assert device.refusal(device.bundle(1)).startswith("frozen:")


def test_a_clock_that_was_never_set_makes_no_word_late_and_says_so(device: Device) -> None:
    """A device whose clock shows 1970 goes by the last time that it could trust."""
    device.clock = UnsetClock(datetime(1970, 1, 1, tzinfo=UTC))
    assert hear(device, word(TUESDAY)) == ""
    entry = device.put(device.bundle(1))
    assert entry.result == "installed"
    assert "the last trusted time: the clock is not set" in entry.reason


def test_a_word_of_the_future_that_an_unset_clock_took_does_not_hide_a_freeze(device: Device) -> None:
    device.clock = UnsetClock(datetime(1970, 1, 1, tzinfo=UTC))
    assert hear(device, word(TUESDAY + timedelta(days=3650))) == ""
    device.clock = SteppedClock(TUESDAY)
    assert device.refusal(device.bundle(1)).startswith("frozen:")
    assert hear(device, word(TUESDAY)) == ""
    assert device.put(device.bundle(1)).result == "installed"


def test_a_word_that_would_hold_for_ever_is_refused(device: Device) -> None:
    with pytest.raises(BundleError, match="at most 336 hours"):
        word(TUESDAY, hours=24 * 365)


def test_forty_devices_are_re_keyed_within_an_hour(tmp_path: Path, tiny_bundle: Bundle) -> None:
    """A stolen release key: one retained message, simulated minutes of connecting; some were off for five statements.

    Each device hears the message when it is connected next (twenty minutes at most here), and its bundle unit takes it
    in; those that connect get the whole chain, whatever they hold.
    """
    rng = random.Random(14)
    said = [signed(statement(one, **ONLINE)) for one in range(1, 6)]
    stolen = person("emil").key.id
    revoking = statement(6, channels={"study": role(2, "dora", "fritz", "gina")}, revoked_keys=(stolen,), **ONLINE)
    said.append(signed(revoking))
    payload = model_trust(chain(*said), word(TUESDAY, version=6))
    devices, heard_min = [], []
    for number in range(40):
        folder = tmp_path / f"cage{number}"
        folder.mkdir()
        one = Device(folder, tiny_bundle)
        (folder / "given.json").write_bytes(chain(said[0]))
        if number % 4:  # the others were off, and hold what they were given weeks ago
            one.put(chain(*said[: 1 + number % 5]), "lab.trust.json")
        devices.append(one)
    for one in devices:
        minute = rng.uniform(0.0, 20.0)
        message = read_model_trust(payload)
        assert message is not None
        one.clock = SteppedClock(TUESDAY + timedelta(minutes=minute))
        one.put(message.chain_file(), "lab.trust.json")
        assert message.freshness is not None
        assert hear(one, message.freshness.encode()) == ""
        heard_min.append(minute)
    assert max(heard_min) < 60
    for one in devices:
        assert one.held() == 6
        assert one.refusal(one.bundle(5, "dora", "emil")).startswith("revoked key:")
        assert one.put(one.bundle(6, "dora", "gina")).result == "installed"
