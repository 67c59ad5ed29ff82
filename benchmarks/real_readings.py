"""Messages as a device in a lab sends them: every field filled, measured numbers with all their digits, pictures.

The store's cost depends on what is in a reading: numbers that no dictionary foresees, digests, body parts, the camera's
own values. A record made of round numbers flatters it.
"""

from __future__ import annotations

import hashlib
import io
import random
from datetime import UTC, datetime, timedelta

from PIL import Image

from edge.contract import jsontext
from edge.contract.identity import Head, join
from edge.contract.reading import (
    Animal,
    CameraState,
    Estimate,
    Keypoint,
    Light,
    Model,
    Outcome,
    Quality,
    Reading,
    Thumbnail,
    Timings,
    Trigger,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
PARTS = ("snout", "left_ear", "right_ear", "tail_base")
BINS, FEATURES = 40, 64


def device_name(number: int) -> str:
    """Return the name of a device of the benchmark."""
    return f"bench-{number:03d}"


def make_payload(device: int, seq: int, at: datetime, chance: random.Random, picture: bytes | None = None) -> bytes:
    """Return the message of a reading of one animal, 1.7 to 1.9 kB. seq: its number in the device's one epoch."""
    return join(Head(f"{device:032x}", seq, 1, False), jsontext.encode(make_reading(device, seq, at, chance, picture)))


def make_reading(device: int, seq: int, at: datetime, chance: random.Random, picture: bytes | None = None) -> Reading:
    """Return one reading of one animal that lives alone in the device's cage."""
    name = device_name(device)
    animal = _animal(f"M{device}", chance)
    thumbnail = None
    if picture is not None:
        digest = hashlib.sha256(picture).hexdigest()
        thumbnail = Thumbnail(sha256=digest, bytes=len(picture), width=320, height=240)
    hour = (at.hour + at.minute / 60 - 7) % 24
    return Reading(
        device_id=name,
        cage_id=name,
        captured_at=at + timedelta(microseconds=chance.randrange(1_000_000)),
        boot_id=f"{device:08x}-0000-4000-8000-{device:012x}",
        monotonic_s=round(100.0 + 600.0 * seq + chance.random(), 6),
        clock_synced=True,
        light=Light.LIGHT if hour < 12 else Light.DARK,
        zeitgeber_h=round(hour, 3),
        trigger=Trigger.SCHEDULE,
        outcome=Outcome.OK,
        accepted=True,
        age_days=animal.age_days,
        animals=(animal,),
        expected_animals=1,
        strain="C57BL/6J",
        frames=1,
        px_per_mm=round(chance.gauss(4.0, 0.01), 4),
        quality=_quality(chance),
        camera=_camera(chance),
        model=_MODEL,
        thumbnail=thumbnail,
        timings=Timings(
            capture_ms=round(chance.gauss(2000, 90), 1),
            observe_ms=round(chance.gauss(400, 30), 1),
            model_ms=round(chance.gauss(120, 9), 1),
        ),
        config_sha256=hashlib.sha256(name.encode()).hexdigest(),
    )


def make_picture(device: int, seq: int, chance: random.Random) -> bytes:
    """Return a thumbnail of about 6 kB that names its reading in its EXIF, as a device's does."""
    image = Image.frombytes("L", (320, 240), chance.randbytes(320 * 240)).resize((40, 30)).resize((320, 240))
    exif = Image.Exif()
    said = {"device_id": device_name(device), "epoch": f"{device:032x}", "seq": seq}
    exif[0x010E] = jsontext.encode(said).decode()
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80, exif=exif)
    return buffer.getvalue()


_MODEL = Model(
    name="cageclock-demo",
    model_version="1.4.0",
    release=7,
    sha256=hashlib.sha256(b"a model").hexdigest(),
    preprocess_version="2",
    runtime="ai-edge-litert 2.0.3",
    notice="trained on simulated mice; no biological claim",
)


def _animal(subject: str, chance: random.Random) -> Animal:
    age = round(chance.gauss(300, 30), 1)
    x, y = chance.uniform(40, 300), chance.uniform(40, 200)
    weights = [chance.random() for _ in range(BINS)]
    estimate = Estimate(
        age_days=age,
        sd_days=round(chance.gauss(40, 4), 1),
        interval_low_days=round(age - 80, 1),
        interval_high_days=round(age + 80, 1),
        coverage=0.9,
        domain_score=round(chance.random(), 4),
        distribution=tuple(round(weight / sum(weights), 4) for weight in weights),
        embedding=tuple(round(chance.gauss(0, 1), 3) for _ in range(FEATURES)),
    )
    return Animal(
        box=(round(x, 1), round(y, 1), round(x + 160, 1), round(y + 90, 1)),
        centre_likelihood=round(chance.uniform(0.8, 1.0), 4),
        keypoints=tuple(
            Keypoint(
                part=part,
                x=round(x + chance.uniform(0, 160), 1),
                y=round(y + chance.uniform(0, 90), 1),
                likelihood=round(chance.uniform(0.5, 1.0), 3),
            )
            for part in PARTS
        ),
        subject=subject,
        identity_method="single_housed",
        identity_confidence=1.0,
        accepted=True,
        reject_reasons=(),
        age_days=age,
        estimate=estimate,
    )


def _quality(chance: random.Random) -> Quality:
    return Quality(
        mean_grey=round(chance.gauss(120, 5), 2),
        dark_fraction=round(chance.random() / 50, 4),
        saturated_fraction=round(chance.random() / 100, 4),
        sharpness=round(chance.gauss(80, 5), 2),
        contrast=round(chance.gauss(30, 2), 2),
        reference_shift_px=round(chance.random(), 2),
    )


def _camera(chance: random.Random) -> CameraState:
    return CameraState(
        backend="picamera2",
        model="imx708_noir",
        width=4608,
        height=2592,
        exposure_us=20000,
        analogue_gain=1.1228,
        digital_gain=1.0,
        colour_gains=(1.0, 1.0),
        lens_position=8.0,
        lux=round(chance.gauss(10, 0.5), 3),
        focus_measure=chance.randrange(800, 1200),
        sensor_temperature_c=round(chance.gauss(31, 1), 1),
        tuning_file="imx708_noir.json",
    )
