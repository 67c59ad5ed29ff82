"""Attacks by their names, each on a device with its own settings, its own canary, and a model that works.

Those that are rules of trust stand in `test_trust.py` (forged signature, one key of two, revoked key and bundle,
expired, older release, fast-forward, other channel, wrong target, root rotation, a clock of 1970); those of servers in
`tests/edge/fetch`; those of a station's clock in `test_fresh_word.py`.
"""

import io
import os
import struct
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge.bundle.canary import Verdict
from edge.bundle.history import read_history
from edge.bundle.install import Installer
from edge.config.load import load_config
from edge.contract.bundle.bundle import Bundle, bundle_bytes, manifest_bytes
from edge.contract.bundle.envelope import sign
from edge.contract.manifest import AGE, CARD, GOLDEN_OUTPUTS
from tests.edge.bundle.device import PRIVATE, Device
from tests.edge.vision.model.resigned import recoded


@pytest.fixture
def device(tmp_path: Path, tiny_bundle: Bundle) -> Iterator[Device]:
    made = Device(tmp_path, tiny_bundle)
    with (
        Installer(load_config(made.settings), lambda _path, _keys: Verdict(problems=())) as installer,
        made.make(4).open("rb") as file,
    ):
        assert installer.install("first.bundle", file.fileno()).result == "installed"
    floors, files = read_history(made.state).floors, in_bundles(made)
    yield made
    assert made.active() == 4, "whatever was tried, the model before it works on"
    assert read_history(made.state).floors == floors
    assert in_bundles(made) == files, "no rest is left"


def in_bundles(device: Device) -> set[str]:
    return {path.name for path in (device.state / "bundles").rglob("*")}


def refusal(device: Device, content: bytes, name: str = "attack.bundle") -> str:
    path = device.folder / name
    path.write_bytes(content)
    assert device.install(path) == 3
    return read_history(device.state).entries[-1].reason


ARBITRARY = {
    "nothing": b"",
    "noise": os.urandom(100_000),
    "zeros": bytes(100_000),
    "a picture": b"\xff\xd8\xff\xe0" + os.urandom(5000),
    "a network by itself": b"\x1c\0\0\0TFL3" + os.urandom(5000),
    "a program": b"#!/bin/sh\nreboot\n",
    "an archive of something else": None,
}


@pytest.mark.parametrize("what", ARBITRARY)
def test_an_arbitrary_file_is_refused(what: str, device: Device) -> None:
    content = ARBITRARY[what]
    if content is None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            archive.add(__file__, "age.tflite")
        content = out.getvalue()
    assert "expected a bundle" in refusal(device, content)


def test_mix_and_match_of_parts_is_refused_whoever_signed_the_parts(device: Device, tiny_bundle: Bundle) -> None:
    """Each part is of a bundle that the key signed; the whole is of none."""
    one, two = (
        device.make(5, "five").read_bytes(),
        device.make(6, "six", files={CARD: b"# Another card\n"}).read_bytes(),
    )
    at = one.index(b"MODEL_CARD.md")
    assert "MODEL_CARD.md" in refusal(device, one[:at] + two[two.index(b"MODEL_CARD.md") :])


TRICKS = ("../../etc/cron.d/x", "/etc/passwd", "a/../../b", "..", "age.tflite/../../x", "./age.tflite", "age.tflite\n")


@pytest.mark.parametrize("name", TRICKS)
def test_a_path_trick_writes_nothing_anywhere(name: str, device: Device, tiny_bundle: Bundle) -> None:
    """In the archive under a header as tar writes it, and in the manifest that a trusted key signed."""
    before = {path for path in device.folder.rglob("*") if path.is_file()}
    content = device.make(5, "five").read_bytes()
    assert refusal(device, retitled(content, name))
    body = manifest_bytes(tiny_bundle.manifest, tiny_bundle.files).replace(b'"age.tflite"', b'"%s"' % name.encode())
    assert refusal(device, bundle_bytes(sign(body, PRIVATE), tiny_bundle.files))
    new = {path.name for path in device.folder.rglob("*") if path.is_file()} - {path.name for path in before}
    assert new == {"five.bundle", "attack.bundle"}


def retitled(content: bytes, name: str) -> bytes:
    """Return a bundle whose part `age.tflite` has another name, under a checksum that holds."""
    at = content.index(b"age.tflite\0")
    head = name.encode().ljust(100, b"\0") + content[at + 100 : at + 512]
    blank = head[:148] + b" " * 8 + head[156:]
    return content[:at] + blank[:148] + b"%06o\0 " % sum(blank) + blank[156:] + content[at + 512 :]


KEYS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "an unknown key": (lambda body: b'{"run_this":"rm",' + body[1:], "unknown field `run_this`"),
    "an unknown key deeper": (
        lambda body: body.replace(b'"budget":{', b'"budget":{"extra":1,'),
        "unknown field `extra`",
    ),
    "a key twice": (lambda body: b'{"release":9,' + body[1:], "'release' twice"),
    "a key twice deeper": (lambda body: body.replace(b'"invoke_ms":', b'"invoke_ms":1e9,"invoke_ms":'), "twice"),
    "one hidden by an escape": (lambda body: b'{"\\u0072elease":9,' + body[1:], "twice"),
}


@pytest.mark.parametrize("what", KEYS)
def test_an_unknown_or_duplicate_key_of_a_signed_manifest_is_refused(
    what: str, device: Device, tiny_bundle: Bundle
) -> None:
    edit, expected = KEYS[what]
    body = manifest_bytes(tiny_bundle.manifest, tiny_bundle.files)
    changed = edit(body)
    assert changed != body
    reason = refusal(device, bundle_bytes(sign(changed, PRIVATE), tiny_bundle.files))
    assert "manifest" in reason
    assert expected in reason


def test_a_model_that_bombs_memory_ends_in_its_canary(device: Device, tiny_bundle: Bundle) -> None:
    """A real network whose input is two billion pixels wide by its own word: it is never given the memory."""
    network = tiny_bundle.files[AGE]
    before = struct.pack("<4i", 1, 40, 96, 1)
    assert network.count(before) == 1
    huge = network.replace(before, struct.pack("<4i", 1, 40_000, 48_000, 1))
    assert device.install(device.make(5, files={AGE: huge})) == 3
    assert read_history(device.state).entries[-1].reason.startswith("age: network: ")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e39"])
def test_a_model_that_answers_nan_is_refused(number: str, device: Device, tiny_bundle: Bundle) -> None:
    body = manifest_bytes(tiny_bundle.manifest, tiny_bundle.files)
    changed = body.replace(b'"head_bias":[0.0', b'"head_bias":[' + number.encode())
    assert changed != body
    assert "manifest" in refusal(device, bundle_bytes(sign(changed, PRIVATE), tiny_bundle.files))


def test_a_constant_model_is_refused_though_its_golden_outputs_hold(device: Device, tiny_bundle: Bundle) -> None:
    """Every picture gets the same age: the head weighs nothing, and states no estimates that could give it away."""
    age = tiny_bundle.manifest.age
    nothing = tuple(tuple(0.0 for _ in row) for row in age.head_weights)
    files = {GOLDEN_OUTPUTS: recoded(tiny_bundle.files[GOLDEN_OUTPUTS], estimates=[])}
    path = device.make(5, files=files, age=msgspec.structs.replace(age, head_weights=nothing))
    assert device.install(path) == 3
    assert "age: it is constant" in read_history(device.state).entries[-1].reason
