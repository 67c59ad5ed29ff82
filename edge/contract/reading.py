"""A reading: the one result of one due slot of the schedule, whatever its outcome."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

from edge.contract.base import (
    Count,
    Days,
    Fraction,
    Name,
    NotNegative,
    Number,
    Positive,
    Seconds,
    Sha256,
    Struct,
    Text,
)

SCHEMA: Final = "cageclock/reading/1"
Box = tuple[Number, Number, Number, Number]
Vector = Annotated[tuple[Number, ...], msgspec.Meta(max_length=4096)]
Words = Annotated[tuple[Name, ...], msgspec.Meta(max_length=64)]


class Outcome(StrEnum):
    """What became of a capture; everything but `OK` explains why no age is given for the cage.

    `OK` means at least one animal was found and went through the age model; whether its estimate is accepted is said
    per animal.
    """

    OK = "ok"
    DARK = "dark"
    OVEREXPOSED = "overexposed"
    BLURRED = "blurred"
    OBSTRUCTED = "obstructed"
    STALE_FRAME = "stale_frame"
    NO_MOUSE = "no_mouse"
    IN_NEST = "in_nest"
    CAMERA_FAULT = "camera_fault"
    MODEL_FAULT = "model_fault"


class Reason(StrEnum):
    """Why an animal's estimate is not accepted."""

    OUT_OF_DOMAIN = "out_of_domain"
    TOO_UNCERTAIN = "too_uncertain"
    UNCALIBRATED_SCALE = "uncalibrated_scale"
    SCALE_TOO_COARSE = "scale_too_coarse"
    IN_NEST = "in_nest"
    CURLED = "curled"
    HUDDLE = "huddle"
    PARTIAL = "partial"
    STRAIN_NOT_COVERED = "strain_not_covered"
    LIGHT_NOT_COVERED = "light_not_covered"


class Trigger(StrEnum):
    """What asked for the capture."""

    SCHEDULE = "schedule"
    COMMAND = "command"


class Light(StrEnum):
    """The phase of the animals' day; `UNKNOWN` while the clock is not synchronised."""

    LIGHT = "light"
    DARK = "dark"
    UNKNOWN = "unknown"


class Keypoint(Struct, frozen=True, kw_only=True):
    """One body part in main-stream pixels; likelihood 0-1 as calibrated by the bundle."""

    part: Name
    x: Number
    y: Number
    likelihood: Fraction


class Estimate(Struct, frozen=True, kw_only=True):
    """What the age model said of one animal, kept whether or not it was accepted. Ages are days.

    distribution: probability of each age bin of the bundle; sums to 1.
    embedding: the model's features, before the head.
    interval: calibrated for one reading at `coverage`; all three None where the bundle's animals were too few for one.
    domain_score: distance of the embedding from the training data; above 1 is out of domain.
    """

    age_days: Days
    sd_days: NotNegative
    interval_low_days: Days | None
    interval_high_days: Days | None
    coverage: Fraction | None
    domain_score: NotNegative
    distribution: Vector
    embedding: Vector


class Animal(Struct, frozen=True, kw_only=True):
    """One animal that was found. `box` is x0, y0, x1, y1 in main-stream pixels, half open.

    subject: the animal's name, or None where nothing names it.
    identity_method: "single_housed", "none", or the method that named it ("ear_tag", "rfid", ...).
    age_days: the accepted estimate, else None; the estimate itself stays in `estimate`.
    crop_sha256: the archived crops that the estimate came from, one a frame of the burst that went into it.
    """

    box: Box
    centre_likelihood: Fraction
    keypoints: Annotated[tuple[Keypoint, ...], msgspec.Meta(max_length=256)]
    subject: Name | None
    identity_method: Name
    identity_confidence: Fraction | None
    accepted: bool
    reject_reasons: Annotated[tuple[Reason, ...], msgspec.Meta(max_length=64)]
    age_days: Days | None
    estimate: Estimate | None
    crop_sha256: Annotated[tuple[Sha256, ...], msgspec.Meta(max_length=256)] = ()


class Quality(Struct, frozen=True, kw_only=True):
    """What the quality gate measured on the small stream; grey levels 0-255, fractions 0-1.

    sharpness: standard deviation of the Laplacian, grey levels.
    covered_fraction: of the view, by flat dark regions: something stands before the lens.
    reference_shift_px: movement against the reference view in small-stream pixels, None without a reference.
    """

    mean_grey: NotNegative
    dark_fraction: Fraction
    saturated_fraction: Fraction
    sharpness: NotNegative
    contrast: NotNegative
    covered_fraction: Fraction = 0.0
    reference_shift_px: Number | None = None
    flags: Words = ()


class CameraState(Struct, frozen=True, kw_only=True):
    """What the frame really had, from the camera's own metadata; None where the camera does not say.

    not_applied: requested controls that the camera does not advertise.
    tuning_file: the file that was really loaded.
    """

    backend: Name
    model: Name
    width: Count
    height: Count
    exposure_us: Number | None = None
    analogue_gain: Number | None = None
    digital_gain: Number | None = None
    colour_gains: tuple[Number, Number] | None = None
    lens_position: Number | None = None
    lux: Number | None = None
    focus_measure: Number | None = None
    sensor_temperature_c: Number | None = None
    tuning_file: Text | None = None
    settled: bool = True
    not_applied: Words = ()
    source: Text | None = None


class Model(Struct, frozen=True, kw_only=True):
    """Which model spoke.

    `notice` travels with every reading: for the demo model it says that it knows simulated mice only.
    """

    name: Name
    model_version: Name
    release: Count
    sha256: Sha256
    preprocess_version: Name
    runtime: Name
    notice: Text


class Thumbnail(Struct, frozen=True, kw_only=True):
    """The picture that belongs to the reading; it travels on its own topic."""

    sha256: Sha256
    bytes: Count
    width: Count
    height: Count


class Timings(Struct, frozen=True, kw_only=True):
    """Where one capture's time went, milliseconds of wall time."""

    capture_ms: NotNegative = 0.0
    observe_ms: NotNegative = 0.0
    model_ms: NotNegative = 0.0


class ShadowAnimal(Struct, frozen=True, kw_only=True):
    """What a candidate says of one animal; no embedding and no distribution, so that a reading stays small.

    box, subject, accepted, reject_reasons, age_days: as in `Animal`, by the candidate's own networks and limits.
    estimate_days, sd_days, domain_score: of its estimate, accepted or not; None where it made none.
    """

    box: Box
    subject: Name | None
    accepted: bool
    reject_reasons: Annotated[tuple[Reason, ...], msgspec.Meta(max_length=64)]
    age_days: Days | None
    estimate_days: Days | None
    sd_days: NotNegative | None
    interval_low_days: Days | None
    interval_high_days: Days | None
    domain_score: NotNegative | None


class Shadow(Struct, frozen=True, kw_only=True):
    """A candidate's answer on the same frames, beside the active model's; it never counts as the reading's estimate.

    sha256: the candidate's identity. outcome: None where it gave no answer, with the reason in `fault`.
    took_ms: of wall time, all of it after the active model's answer.
    """

    name: Name
    model_version: Name
    release: Count
    sha256: Sha256
    outcome: Outcome | None
    fault: Text = ""
    animals: Annotated[tuple[ShadowAnimal, ...], msgspec.Meta(max_length=256)] = ()
    took_ms: NotNegative = 0.0


class Reading(Struct, frozen=True, kw_only=True):
    """One capture of one cage. A burst of frames is one measurement: `frames` says how many went in.

    captured_at: wall time of the trigger, UTC, years 1970-2200; a label only, see `clock_synced` and `clock` records.
    monotonic_s: seconds of CLOCK_BOOTTIME at the trigger, within `boot_id`.
    zeitgeber_h: hours since lights-on, 0-24, None while the clock is not synchronised.
    age_days: for dashboards: the accepted age of a single animal, else None.
    shadow: what a candidate said of the same frames, only while one runs beside the active model.
    """

    schema: Literal["cageclock/reading/1"] = SCHEMA
    device_id: Name
    cage_id: Name
    captured_at: datetime
    boot_id: Name
    monotonic_s: Seconds
    clock_synced: bool
    light: Light
    zeitgeber_h: Number | None
    trigger: Trigger
    request_id: Name | None = None
    outcome: Outcome
    detail: Text = ""
    accepted: bool
    age_days: Days | None
    animals: Annotated[tuple[Animal, ...], msgspec.Meta(max_length=256)]
    expected_animals: Count
    strain: Name | None
    frames: Count
    px_per_mm: Positive | None
    quality: Quality | None
    camera: CameraState | None
    model: Model | None
    thumbnail: Thumbnail | None
    timings: Timings = Timings()
    config_sha256: Sha256
    shadow: Shadow | msgspec.UnsetType = msgspec.UNSET
