"""The manifest of a model bundle: what is in it, what it was made for, how its outputs are to be read.

A bundle is a plain tar in fixed order: `envelope.json` (DSSE, Ed25519, over the exact bytes of the manifest), then the
parts that the manifest names. Nothing parses a part before the signature and the part's digest hold.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from edge.contract.base import Count, Fraction, NotNegative, Positive, Sequence, Sha256, Struct

MANIFEST_SCHEMA: Final = "cageclock/manifest/1"
PAYLOAD_TYPE: Final = "application/vnd.cageclock.manifest+json"
PREPROCESS_VERSION: Final = "2"
CENTRES, PARTS, AGE = "centres.tflite", "parts.tflite", "age.tflite"
GOLDEN_INPUTS, GOLDEN_OUTPUTS, CARD = "golden.npz", "golden.json", "MODEL_CARD.md"

Pixels = Annotated[int, msgspec.Meta(ge=8, le=2048)]
HeadKind = Literal["distribution", "gaussian", "quantile"]


class Part(Struct, frozen=True, kw_only=True):
    """One file of the bundle."""

    name: str
    sha256: Sha256
    bytes: Count


class Tensor(Struct, frozen=True, kw_only=True):
    """One quantised tensor: real value = (int8 value - zero_point) * scale."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["int8", "uint8", "float32"]
    scale: float
    zero_point: int


class Centres(Struct, frozen=True, kw_only=True):
    """Stage one of the locator: the whole small view to one heatmap of animals' centres.

    The view is resized to width x height; the heatmap is a logit map at `stride`; `threshold` is on the sigmoid of the
    dequantised logit; peaks nearer than `min_distance_px` (of the resized view) are one animal.
    """

    width: Pixels
    height: Pixels
    stride: Sequence
    channels: Literal[1, 3]
    threshold: Fraction
    min_distance_px: Positive
    input: Tensor
    output: Tensor


class Parts(Struct, frozen=True, kw_only=True):
    """Stage two: a square crop around one centre to a logit map per body part at `stride`.

    The crop is cut at `px_per_mm` (main stream resampled to it), `size` pixels wide and high. Position: soft-argmax
    over the whole map. Likelihood: the softmax mass m within 2 cells of it, calibrated: sigmoid(a + b * logit(m)).
    """

    size: Pixels
    px_per_mm: Positive
    stride: Sequence
    channels: Literal[1, 3]
    keypoints: tuple[str, ...]
    likelihood_a: float
    likelihood_b: float
    min_likelihood: Fraction
    input: Tensor
    output: Tensor


class Age(Struct, frozen=True, kw_only=True):
    """The age model: an aligned crop to an embedding, from which numpy makes the age distribution.

    The crop has the snout to the right and the midpoint of snout and tail base in its middle. The network's one output
    is the embedding; embedding @ head_weights + head_bias (embedding_size rows, one column an output) are the head's
    outputs, from which `edge.heads` makes the probability of each age in `bin_centres_days`: for a `distribution` head,
    one output a bin, that is softmax(outputs / temperature).
    """

    width: Pixels
    height: Pixels
    px_per_mm: Positive
    channels: Literal[1, 3]
    bin_centres_days: tuple[float, ...]
    embedding_size: Sequence
    head_weights: tuple[tuple[float, ...], ...]
    head_bias: tuple[float, ...]
    temperature: Positive
    head: HeadKind = "distribution"
    input: Tensor
    output: Tensor


class Band(Struct, frozen=True, kw_only=True):
    """Conformal half-widths for predictions below `below_days`: the interval is age - low_days .. age + high_days."""

    below_days: float
    low_days: NotNegative
    high_days: NotNegative


class Intervals(Struct, frozen=True, kw_only=True):
    """Calibrated for one unit of reporting.

    `animals` is the number of exchangeable units: cages where animals live together, animals where each lives alone.
    Bands are looked up by predicted age, the last one is open (`below_days` 1e9).
    """

    unit: Literal["reading", "day", "week"]
    coverage: Fraction
    animals: Count
    bands: tuple[Band, ...]


class Domain(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far an embedding is from the training data, and how much it looks like what is known to be foreign.

    The larger of |whitening @ (embedding - mean)| / threshold and 1 + foreign_weights @ embedding + foreign_bias; above
    1 is out of domain. Without weights (a bundle that was trained on no outliers) the first alone.
    """

    mean: tuple[float, ...]
    whitening: tuple[tuple[float, ...], ...]
    threshold: Positive
    foreign_weights: tuple[float, ...] = ()
    foreign_bias: float = 0.0


class Validity(Struct, frozen=True, kw_only=True):
    """Where the bundle claims to hold."""

    strains: tuple[str, ...]
    min_age_days: NotNegative
    max_age_days: Positive
    view: Literal["top"]
    lights: tuple[Literal["white", "infrared"], ...]
    max_sd_days: Positive
    min_px_per_mm: Positive


class Budget(Struct, frozen=True, kw_only=True):
    """What the canary allows: one whole invocation of the three networks, and the memory of the process."""

    invoke_ms: Positive
    memory_mb: Positive


class Manifest(Struct, frozen=True, kw_only=True):
    """Everything a device must know to run, trust or reject the bundle."""

    schema: Literal["cageclock/manifest/1"] = MANIFEST_SCHEMA
    name: str
    channel: str
    release: Sequence
    model_version: str
    created_at: datetime
    notice: str
    preprocess_version: str
    runtime_min: str
    target_group: str
    centres: Centres
    parts: Parts
    age: Age
    intervals: tuple[Intervals, ...]
    domain: Domain
    validity: Validity
    budget: Budget
    training: dict[str, str | int | float | bool | None]
    metrics: dict[str, float]
    files: tuple[Part, ...]
