"""The settings of one device: a frozen tree, one class a section of the YAML file.

Defaults are what a new device should run with; a key without one must be given. Units stand in the names.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from edge.contract.base import Count, Fraction, NotNegative, Positive, Sequence, Struct
from edge.contract.manifest import SMALL_WIDTH

Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]
ClockTime = Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
FetchHost = Annotated[
    str, msgspec.Meta(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?$", max_length=260)
]
Width = Annotated[int, msgspec.Meta(ge=64, le=8192)]


class Cage(Struct, frozen=True, kw_only=True):
    """What lives in front of the camera.

    animals: how many are housed there; `subject` names the one animal of a cage with `animals: 1`.
    strain: MGI nomenclature, checked against the bundle's validity; None means unknown, which the bundle may refuse.
    nest_box: x0, y0, x1, y1 of the nest as fractions of the view; an animal whose centre lies in it is `in_nest`.
    """

    id: Name
    animals: Annotated[int, msgspec.Meta(ge=0, le=20)] = 1
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    strain: str | None = None
    nest_box: tuple[Fraction, Fraction, Fraction, Fraction] | None = None


class Controls(Struct, frozen=True, kw_only=True):
    """Camera controls locked for one kind of light; None leaves the camera's own value and is not recommended."""

    exposure_us: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] | None = None
    analogue_gain: Positive | None = None
    colour_gains: tuple[Positive, Positive] | None = None
    lens_position: NotNegative | None = None


class PicameraSettings(Struct, frozen=True, kw_only=True):
    """A camera module on the Raspberry Pi's own connector.

    tuning_file: a file name in libcamera's tuning folder or an absolute path; a NoIR module needs its `_noir` file.
    light, dark: locked controls for white light and for the dark phase's infrared.
    """

    number: Count = 0
    tuning_file: str | None = None
    light: Controls = Controls()
    dark: Controls = Controls()
    settle_timeout_s: Positive = 5.0
    capture_timeout_s: Positive = 10.0


class ReplaySettings(Struct, frozen=True, kw_only=True):
    """Stored pictures in place of a camera: a folder of images, or a video file.

    pace: `schedule` takes the next picture at each due time; `own` runs at the video's frame rate (a folder: at
    `frames_per_s`), so that pictures between two due times are passed over. every: take each n-th picture.
    """

    path: str
    pace: Literal["schedule", "own"] = "schedule"
    loop: bool = False
    frames_per_s: Positive = 1.0
    every: Sequence = 1


class SimulatedSettings(Struct, frozen=True, kw_only=True):
    """Simulated mice. `faults` is a script: `<first capture>[-<last capture>]: <fault>`, see `edge.camera.faults`."""

    seed: Count = 1
    age_days_at_start: NotNegative = 60.0
    strain: str = "C57BL/6J"
    faults: dict[str, str] = msgspec.field(default_factory=dict)


class Camera(Struct, frozen=True, kw_only=True):
    """Which camera, and its calibrated scale.

    px_per_mm: pixels of the main stream per millimetre on the cage floor; None: not calibrated, and no age is given.
    small_width: the small stream keeps the main stream's shape; a locator that was trained at another width is given
        one of its own.
    """

    backend: Literal["picamera", "replay", "simulated"]
    width: Width = 1456
    height: Width = 1088
    small_width: Width = SMALL_WIDTH
    px_per_mm: Positive | None = None
    picamera: PicameraSettings = PicameraSettings()
    replay: ReplaySettings | None = None
    simulated: SimulatedSettings = SimulatedSettings()


class ZeitgeberWindow(Struct, frozen=True, kw_only=True):
    """From `from_h` to `until_h` of zeitgeber time, try every `interval_s` until `usable_readings` were accepted."""

    from_h: Annotated[float, msgspec.Meta(ge=0, le=24)]
    until_h: Annotated[float, msgspec.Meta(ge=0, le=24)]
    usable_readings: Sequence
    interval_s: Positive


class Schedule(Struct, frozen=True, kw_only=True):
    """When pictures are taken. phase_offset_s: None spreads a fleet by a hash of the device's name."""

    interval_light_s: Annotated[float, msgspec.Meta(ge=1, le=2_592_000)] = 3600.0
    interval_dark_s: Annotated[float, msgspec.Meta(ge=1, le=2_592_000)] = 900.0
    burst_frames: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    phase_offset_s: NotNegative | None = None
    windows: tuple[ZeitgeberWindow, ...] = ()


class LightCycle(Struct, frozen=True, kw_only=True):
    """When the room's light goes on. zone: a fixed offset such as `+01:00` (most animal rooms) or an IANA name.

    light_hours: from lights-on to lights-off by the clock on the wall; one more or less on the day of a clock change.
    """

    lights_on: ClockTime = "07:00"
    light_hours: Annotated[float, msgspec.Meta(gt=0, lt=24)] = 12.0
    zone: str = "+00:00"


class Quality(Struct, frozen=True, kw_only=True):
    """Limits of the quality gate on the small stream; grey levels 0-255."""

    min_mean_grey: NotNegative = 12.0
    max_saturated_fraction: Fraction = 0.35
    min_sharpness: NotNegative = 1.5
    min_contrast: NotNegative = 4.0
    max_covered_fraction: Fraction = 0.2
    max_reference_shift_px: Positive = 6.0


class Outbox(Struct, frozen=True, kw_only=True):
    """How much is kept on the device. keep_days: released records stay that long for replay, while there is space."""

    max_mb: Annotated[int, msgspec.Meta(ge=16)] = 2000
    min_free_mb: Annotated[int, msgspec.Meta(ge=0)] = 200
    keep_days: Positive = 14.0
    reserve_mb: Annotated[int, msgspec.Meta(ge=0, le=64)] = 4


class Thumbnail(Struct, frozen=True, kw_only=True):
    """The picture that travels with a reading."""

    width: Annotated[int, msgspec.Meta(ge=64, le=1920)] = 320
    jpeg_quality: Annotated[int, msgspec.Meta(ge=20, le=95)] = 75
    max_kb: Annotated[int, msgspec.Meta(ge=4, le=1024)] = 48
    enabled: bool = True


class Archive(Struct, frozen=True, kw_only=True):
    """Exact model crops kept on the device for later rescoring and retraining; the oldest go first."""

    enabled: bool = False
    max_mb: Annotated[int, msgspec.Meta(ge=1)] = 500


class Tls(Struct, frozen=True, kw_only=True):
    """Files for TLS; a client certificate needs both `certificate` and `key`, which may be `credential:NAME`."""

    ca: str
    certificate: str | None = None
    key: str | None = None


class Mqtt(Struct, frozen=True, kw_only=True):
    """The broker, and who logs. station: None lets the broker's success code release a record.

    password_file: a file, or `credential:NAME` for a systemd credential; never the password itself.
    """

    host: str = "localhost"
    port: Port = 1883
    version: Literal["5", "3.1.1"] = "5"
    username: str | None = None
    password_file: str | None = None
    tls: Tls | None = None
    station: Name | None = None
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    max_packet_kb: Annotated[int, msgspec.Meta(ge=8, le=262144)] = 256
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 20
    resend_after_s: Positive = 15.0
    health_interval_s: Positive = 60.0
    home_assistant: bool = False
    home_assistant_prefix: str = "homeassistant"


class Bundle(Struct, frozen=True, kw_only=True):
    """Where the model is. path: a bundle file; None means the active slot under `<state_dir>/bundles`.

    trusted_keys: Ed25519 public keys (PEM files) that may sign bundles; None trusts only the demo bundle's own key.
    trust: the lab's trust statements (a trust.json), whose root keys say who may sign for `channel`; then new bundles
    need as many signatures as the channel takes, and `trusted_keys` vouches only for what is installed already.
    channel: the only one whose bundles are installed; None keeps to the channel of the bundle that is active, and takes
    the first one on a device that has none.
    target_groups: the groups of devices that this one belongs to; a bundle for another group is refused.
    trial_captures, trial_minutes: so many captures that ran a newly installed model, and so many minutes of work with
    it, make it GOOD; until then a crash or a wrong answer goes back to the model before.
    fetch_hosts: from where `model/desired` may have a bundle fetched, as `host` (any port) or `host:port`; None: from
    the broker's host, `mqtt.host`; empty: nothing is fetched.
    """

    path: str | None = None
    trusted_keys: tuple[str, ...] | None = None
    trust: str | None = None
    threads: Annotated[int, msgspec.Meta(ge=1, le=8)] = 1
    channel: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    target_groups: tuple[Name, ...] = ()
    trial_captures: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20
    trial_minutes: Annotated[float, msgspec.Meta(ge=0, le=10_080)] = 10.0
    fetch_hosts: Annotated[tuple[FetchHost, ...], msgspec.Meta(max_length=32)] | None = None


class Memory(Struct, frozen=True, kw_only=True):
    """At how much resident memory, MB, a process ends itself to be started anew; below its unit's `MemoryMax`."""

    capture_mb: Annotated[int, msgspec.Meta(ge=150)] = 300
    publish_mb: Annotated[int, msgspec.Meta(ge=50)] = 90


class Config(Struct, frozen=True, kw_only=True):
    """The whole file."""

    device_id: Name
    state_dir: str
    cage: Cage
    camera: Camera
    schedule: Schedule = Schedule()
    light_cycle: LightCycle = LightCycle()
    quality: Quality = Quality()
    outbox: Outbox = Outbox()
    thumbnail: Thumbnail = Thumbnail()
    archive: Archive = Archive()
    mqtt: Mqtt = Mqtt()
    bundle: Bundle = Bundle()
    memory: Memory = Memory()
