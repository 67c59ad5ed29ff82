"""Real messages for the station's tests: readings, events, pictures, as a device would send them."""

import hashlib
import io
from datetime import UTC, datetime, timedelta

import msgspec
from PIL import Image

from edge.contract import jsontext
from edge.contract.base import Struct
from edge.contract.identity import Head, join
from edge.contract.reading import Animal, Estimate, Light, Model, Outcome, Reading, Reason, Thumbnail, Trigger
from edge.contract.record import ClockCorrection, Event, Lost
from station.store.message import Arrival

EPOCH = "0123456789abcdef" * 2
START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
NOTICE = "trained on simulated mice; no biological claim"


def picture(seq: int, epoch: str = EPOCH, device: str = "cage-1", shade: int | None = None) -> bytes:
    """A small JPEG with its identity in the EXIF."""
    image = Image.new("RGB", (16, 12), (seq * 37 % 256 if shade is None else shade, 90, 60))
    exif = Image.Exif()
    exif[0x010E] = jsontext.encode(
        {"device_id": device, "epoch": epoch, "seq": seq, "captured_at": START.isoformat()}
    ).decode()
    target = io.BytesIO()
    image.save(target, "JPEG", exif=exif)
    return target.getvalue()


def animal(age_days: float, *, accepted: bool = True, subject: str | None = "M1", half_width: float = 40.0) -> Animal:
    estimate = Estimate(
        age_days=age_days,
        sd_days=20.0,
        interval_low_days=age_days - half_width,
        interval_high_days=age_days + half_width,
        coverage=0.9,
        domain_score=0.4 if accepted else 3.0,
        distribution=(0.25, 0.75),
        embedding=(0.5, -0.5),
    )
    return Animal(
        box=(10, 10, 60, 40),
        centre_likelihood=0.9,
        keypoints=(),
        subject=subject,
        identity_method="single_housed" if subject else "none",
        identity_confidence=1.0 if subject else None,
        accepted=accepted,
        reject_reasons=() if accepted else (Reason.OUT_OF_DOMAIN,),
        age_days=age_days if accepted else None,
        estimate=estimate,
    )


def reading(
    seq: int = 1,
    *,
    device: str = "cage-1",
    age_days: float = 100.0,
    accepted: bool = True,
    at: datetime | None = None,
    light: Light = Light.DARK,
    synced: bool = True,
    boot: str = "boot-1",
    thumbnail: bytes | None = None,
    model_sha: str = "a" * 64,
    animals: tuple[Animal, ...] | None = None,
    outcome: Outcome = Outcome.OK,
    cage: str = "cage-1",
) -> Reading:
    found = (animal(age_days, accepted=accepted),) if animals is None else animals
    return Reading(
        device_id=device,
        cage_id=cage,
        captured_at=at or START + timedelta(hours=seq),
        boot_id=boot,
        monotonic_s=1000.0 + seq,
        clock_synced=synced,
        light=light if synced else Light.UNKNOWN,
        zeitgeber_h=14.0 if synced else None,
        trigger=Trigger.SCHEDULE,
        outcome=outcome,
        accepted=accepted,
        age_days=age_days if accepted else None,
        animals=found,
        expected_animals=1,
        strain="C57BL/6J",
        frames=1,
        px_per_mm=4.0,
        quality=None,
        camera=None,
        model=Model(
            name="demo",
            model_version="0.1",
            release=1,
            sha256=model_sha,
            preprocess_version="1",
            runtime="test",
            notice=NOTICE,
        ),
        thumbnail=Thumbnail(sha256=hashlib.sha256(thumbnail).hexdigest(), bytes=len(thumbnail), width=16, height=12)
        if thumbnail is not None
        else None,
        config_sha256="c" * 64,
    )


def event(
    seq: int, code: str = "start", *, device: str = "cage-1", text: str = "capture began", at: datetime | None = None
) -> Event:
    return Event(
        device_id=device,
        recorded_at=at or START + timedelta(hours=seq),
        boot_id="boot-1",
        monotonic_s=1000.0 + seq,
        clock_synced=True,
        code=code,
        text=text,
    )


def lost(first: int, last: int, *, what: str = "record", of_epoch: str = EPOCH) -> Lost:
    return Lost(
        device_id="cage-1",
        recorded_at=START,
        boot_id="boot-1",
        monotonic_s=1.0,
        clock_synced=True,
        what=what,
        of_epoch=of_epoch,
        first_seq=first,
        last_seq=last,
        reason="the disk was full",
    )


def correction(boot: str, epoch_offset_s: float, uncertainty_s: float = 0.1) -> ClockCorrection:
    return ClockCorrection(
        device_id="cage-1",
        recorded_at=START,
        boot_id=boot,
        monotonic_s=2000.0,
        clock_synced=True,
        of_boot_id=boot,
        offset_s=1.0,
        epoch_offset_s=epoch_offset_s,
        uncertainty_s=uncertainty_s,
    )


def arrival(
    content: Struct | bytes,
    seq: int,
    *,
    epoch: str = EPOCH,
    device: str = "cage-1",
    first_held: int = 1,
    replayed: bool = False,
    stream: str | None = None,
) -> Arrival:
    """A record as it arrives; bytes are a body."""
    body = content if isinstance(content, bytes) else jsontext.encode(content)
    payload = join(Head(epoch, seq, first_held, replayed), body)
    stream = stream or ("reading" if isinstance(content, (Reading, bytes)) else "record")
    return Arrival(device, stream, payload, 1.8e9 + seq)


def picture_arrival(jpeg: bytes, *, device: str = "cage-1", properties: tuple[tuple[str, str], ...] = ()) -> Arrival:
    return Arrival(device, "thumbnail", jpeg, 1.8e9, properties)


def days(
    days_and_ages: list[tuple[float, float]],
    *,
    device: str = "cage-1",
    subject: str | None = None,
    epoch: str = EPOCH,
    seq: int = 1,
    synced: bool = True,
    expected: int = 1,
    since: datetime = START,
) -> list[Arrival]:
    """Readings of one cage as (day after `since`, age in days) pairs, numbered from seq on."""
    found = []
    for number, (day, age) in enumerate(days_and_ages, start=seq):
        one = reading(
            number,
            device=device,
            cage=device,
            at=since + timedelta(days=day),
            animals=(animal(age, subject=subject),),
            age_days=age,
            synced=synced,
            boot="boot-1" if synced else "boot-2",
        )
        found.append(
            arrival(msgspec.structs.replace(one, expected_animals=expected), number, device=device, epoch=epoch)
        )
    return found
