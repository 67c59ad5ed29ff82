"""Coverage-guided fuzzing (atheris) of all that reads bytes from outside: a decoder returns or refuses, no more.

    python -m tests.campaigns.fuzz --seed S --budget INPUTS [--ledger FILE]

The inputs are shared out among the decoders, one process each after the other. What a decoder may do is its law,
written beside it: anything else it raises, and five seconds without an answer, is a fault, and its input is named.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.campaigns.campaign import Fault, Line, main

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "edge" / "contract" / "schemas" / "examples"
INPUT_TIMEOUT_S = 5
MAX_BYTES = 4096
Decoder = Callable[[bytes], None]


def decoders() -> dict[str, tuple[Decoder, list[bytes]]]:
    """Return name -> (what is done with one input, inputs to begin with)."""
    from edge.config.load import parse_config
    from edge.contract import identity, jsontext
    from edge.contract.bundle.envelope import sign, verify
    from edge.contract.bundle.keys import new_key_pair
    from edge.contract.command import CaptureRequest, ReplayRequest
    from edge.contract.committed import Committed
    from edge.contract.manifest import Manifest
    from edge.contract.ranges import RangeSet
    from edge.errors import BundleError, ConfigError, MessageError
    from edge.vision.image import encode_jpeg, with_identity
    from station.store.message import Arrival, Record, read_picture, read_record

    private, public = new_key_pair()

    def record(data: bytes) -> None:
        found = read_record(Arrival("cage07", "reading" if len(data) % 2 else "record", data, 0.0), 1 << 20)
        if isinstance(found, Record):
            assert identity.split(identity.join(found.head, found.body)) == (found.head, found.body)

    def picture(data: bytes) -> None:
        read_picture(Arrival("cage07", "thumbnail", data, 0.0), 1 << 20)

    def committed(data: bytes) -> None:
        with suppress(MessageError):
            for of in jsontext.decode(data, Committed).epochs:
                held = RangeSet.from_watermark(of.through, of.holes)
                assert held.highest <= of.through
                assert not any(first in held or last in held for first, last in of.holes)

    def command(data: bytes) -> None:
        for kind in (CaptureRequest, ReplayRequest):
            with suppress(MessageError):
                jsontext.decode(data, kind)

    def manifest(data: bytes) -> None:
        with suppress(MessageError):
            jsontext.decode(data, Manifest)

    def envelope(data: bytes) -> None:
        with suppress(BundleError):
            assert verify(data, [public]) == b'{"a":1}', "a forged envelope was accepted"

    def config(data: bytes) -> None:
        with suppress(ConfigError):
            parse_config(data.decode("utf-8", "replace"))

    from datetime import UTC, datetime

    import numpy as np

    jpeg = encode_jpeg(np.full((24, 32, 3), 90, np.uint8), width=32, quality=60, max_bytes=4000)
    named = with_identity(jpeg, device_id="cage07", epoch="a" * 32, seq=1, captured_at=datetime(2026, 1, 1, tzinfo=UTC))
    texts = {path.name: path.read_bytes() for path in sorted(EXAMPLES.glob("*.json"))}
    records = [text for name, text in texts.items() if name.split(".")[0] in ("reading", "event", "lost", "clock")]
    from edge.config.example import EXAMPLE

    return {
        "record": (record, records),
        "picture": (picture, [named, jpeg]),
        "committed": (committed, [texts["committed.v1.json"]]),
        "command": (command, [texts["command-capture.v1.json"], texts["command-replay.v1.json"]]),
        "manifest": (manifest, [texts["manifest.v1.json"]]),
        "envelope": (envelope, [sign(b'{"a":1}', private)]),
        "config": (config, [EXAMPLE.encode()]),
    }


NAMES = ("record", "picture", "committed", "command", "manifest", "envelope", "config")
SHARES = {"record": 4, "picture": 1, "committed": 4, "command": 6, "manifest": 2, "envelope": 2, "config": 0.2}
"""Shares of the inputs: most to the fast ones that stand open to the network. A YAML file takes milliseconds."""


def fuzz_one(name: str, seed: int, inputs: int, corpus: Path) -> None:
    """Never returns: libFuzzer ends the process, with 0 after `inputs` runs."""
    import atheris

    with atheris.instrument_imports(include=["edge", "station"]):
        import station.store.message  # noqa: F401
    decode, examples = decoders()[name]
    for number, example in enumerate(examples):
        (corpus / f"example-{number}").write_bytes(example)
    options = [f"-runs={inputs}", f"-seed={seed}", f"-timeout={INPUT_TIMEOUT_S}", f"-max_len={MAX_BYTES * 4}"]
    options += ["-rss_limit_mb=1500", "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={corpus.parent}/"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], decode)
    atheris.Fuzz()


def run(line: Line, budget: int) -> None:
    """Give each decoder its share of the inputs.

    Raises:
        Fault: a decoder raised what it must not, or did not answer.
    """
    for name in NAMES:
        inputs = max(200, int(budget * SHARES[name] / sum(SHARES.values())))
        with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as text:
            corpus = Path(text) / "corpus"
            corpus.mkdir()
            began = time.monotonic()
            command = [sys.executable, "-m", "tests.campaigns.fuzz", name, str(line.seed), str(inputs), str(corpus)]
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                kept = [path.read_bytes() for path in Path(text).glob("*") if path.is_file()]
                said = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
                raise Fault(line.seed, f"{name}: exit code {done.returncode} on {json.dumps(repr(kept[:1]))}\n{said}")
        line.done += inputs
        line.count(f"{name} inputs", inputs)
        line.notes[f"{name} per s"] = round(inputs / (time.monotonic() - began))


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] in NAMES:
        fuzz_one(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
    else:
        main(run, "fuzzed decoders", "inputs", ci=100_000, full=50_000_000, chunk=5_000_000)
