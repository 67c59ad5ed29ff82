"""The manifest of a model bundle: what is in it, what it was made for, how its outputs are to be read.

A bundle is a plain tar in fixed order: `envelope.json` (DSSE, Ed25519, over the exact bytes of the manifest), then the
parts that the manifest names. Nothing parses a part before the signature and the part's digest hold.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from edge.contract.base import Fraction, Sequence, Sha256, Struct

MANIFEST_SCHEMA: Final = "cageclock/manifest/1"
PAYLOAD_TYPE: Final = "application/vnd.cageclock.manifest+json"
PREPROCESS_VERSION: Final = "3"
"""What new bundles are trained with: see `edge.vision.views`."""
PREPROCESS_VERSIONS: Final = ("2", PREPROCESS_VERSION)
"""What bundles this program runs, each with its own."""
CENTRES, PARTS, AGE = "centres.tflite", "parts.tflite", "age.tflite"
GOLDEN_INPUTS, GOLDEN_OUTPUTS, CARD = "golden.npz", "golden.json", "MODEL_CARD.md"

Pixels = Annotated[int, msgspec.Meta(ge=8, le=2048)]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Text = Annotated[str, msgspec.Meta(max_length=2000)]
Bytes = Annotated[int, msgspec.Meta(ge=0, le=64_000_000)]
Units = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
"""How many animals or cages something rests on."""
Scale = Annotated[float, msgspec.Meta(ge=0.1, le=100.0)]
"""Pixels per millimetre: a mouse of 90 mm on 9 to 9,000 pixels."""
Days = Annotated[float, msgspec.Meta(ge=0.0, le=3650.0)]
"""The oldest known mouse died at 1,819 days."""
Weight = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
"""Float32 sums of thousands of products of such numbers and dequantised int8 outputs stay finite."""
Quantum = Annotated[float, msgspec.Meta(ge=1e-12, le=1e4)]
Stride = Annotated[int, msgspec.Meta(ge=1, le=64)]
Count = Annotated[int, msgspec.Meta(ge=1, le=4096)]
Row = Annotated[tuple[Weight, ...], msgspec.Meta(max_length=1000)]
Whitened = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
"""An embedding that hardly varies is whitened by large numbers."""
HalfWidth = Annotated[float, msgspec.Meta(ge=0.0, le=10_000.0)]
Metric = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
SMALL_WIDTH: Final = 320
"""Width, pixels, of the small view that a locator learns from; the device's default for its own."""
OPEN_DAYS = 1e9
"""`below_days` of the last band."""
HeadKind = Literal["distribution", "gaussian", "quantile"]


class Part(Struct, frozen=True, kw_only=True):
    """One file of the bundle."""

    name: Label
    sha256: Sha256
    bytes: Bytes


class Tensor(Struct, frozen=True, kw_only=True):
    """One quantised tensor: real value = (int8 value - zero_point) * scale."""

    name: Label
    shape: Annotated[tuple[Count, ...], msgspec.Meta(min_length=1, max_length=6)]
    dtype: Literal["int8", "uint8", "float32"]
    scale: Quantum
    zero_point: Annotated[int, msgspec.Meta(ge=-128, le=255)]


class Centres(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Stage one of the locator: the whole small view to one heatmap of animals' centres.

    The small view is the main stream in grey, reduced to `small_width`: what the network was trained on, whatever the
    width of the device's own small view. Manifests before this field were all trained at the default, which is
    not written, so that the manifest of an older bundle is the same bytes again.
    The view is resized to width x height; the heatmap is a logit map at `stride`; `threshold` is on the sigmoid of the
    dequantised logit; peaks nearer than `min_distance_px` (of the resized view) are one animal.
    """

    width: Pixels
    height: Pixels
    stride: Stride
    channels: Literal[1, 3]
    threshold: Fraction
    min_distance_px: Annotated[float, msgspec.Meta(ge=0.1, le=2048.0)]
    small_width: Pixels = SMALL_WIDTH
    input: Tensor
    output: Tensor


class Parts(Struct, frozen=True, kw_only=True):
    """Stage two: a square crop around one centre to a logit map per body part at `stride`.

    The crop is cut at `px_per_mm` (main stream resampled to it), `size` pixels wide and high. Position: soft-argmax
    over the whole map. Likelihood: the softmax mass m within 2 cells of it, calibrated: sigmoid(a + b * logit(m)).
    """

    size: Pixels
    px_per_mm: Scale
    stride: Stride
    channels: Literal[1, 3]
    keypoints: Annotated[tuple[Label, ...], msgspec.Meta(min_length=1, max_length=64)]
    likelihood_a: Annotated[float, msgspec.Meta(ge=-100.0, le=100.0)]
    likelihood_b: Annotated[float, msgspec.Meta(ge=0.0, le=100.0)]
    min_likelihood: Fraction
    input: Tensor
    output: Tensor


class Age(Struct, frozen=True, kw_only=True):
    """The age model: an aligned crop to an embedding, from which numpy makes the age distribution.

    The crop has the snout to the right and the midpoint of snout and tail base in its middle. The network's one output
    is the embedding; embedding @ head_weights + head_bias (embedding_size rows, one column an output) are the head's
    outputs, from which `edge.vision.age_head` makes the probability of each age in `bin_centres_days`: for a
    `distribution` head, one output a bin, that is softmax(outputs / temperature).
    """

    width: Pixels
    height: Pixels
    px_per_mm: Scale
    channels: Literal[1, 3]
    bin_centres_days: Annotated[tuple[Days, ...], msgspec.Meta(min_length=2, max_length=1000)]
    embedding_size: Annotated[int, msgspec.Meta(ge=1, le=2048)]
    head_weights: Annotated[tuple[Row, ...], msgspec.Meta(max_length=4096)]
    head_bias: Annotated[tuple[Weight, ...], msgspec.Meta(max_length=1000)]
    temperature: Annotated[float, msgspec.Meta(ge=0.01, le=100.0)]
    head: HeadKind = "distribution"
    input: Tensor
    output: Tensor


class Band(Struct, frozen=True, kw_only=True):
    """Conformal half-widths for predictions below `below_days`: the interval is age - low_days .. age + high_days."""

    below_days: Annotated[float, msgspec.Meta(gt=0.0, le=OPEN_DAYS)]
    low_days: HalfWidth
    high_days: HalfWidth


class Intervals(Struct, frozen=True, kw_only=True):
    """Calibrated for one unit of reporting.

    `animals` is the number of exchangeable units: cages where animals live together, animals where each lives alone.
    Bands are looked up by predicted age, the last one is open (`below_days` 1e9). None: so few units cannot give this
    coverage ((units + 1) * coverage is more than units), and the device reports no interval.
    """

    unit: Literal["reading", "day", "week"]
    coverage: Fraction
    animals: Units
    bands: Annotated[tuple[Band, ...], msgspec.Meta(max_length=100)]


class Domain(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far an embedding is from the training data, and how much it looks like what is known to be foreign.

    The larger of |whitening @ (embedding - mean)| / threshold and 1 + foreign_weights @ embedding + foreign_bias; above
    1 is out of domain. Without weights (a bundle that was trained on no outliers) the first alone.
    """

    mean: Annotated[tuple[Weight, ...], msgspec.Meta(max_length=4096)]
    whitening: Annotated[
        tuple[Annotated[tuple[Whitened, ...], msgspec.Meta(max_length=4096)], ...], msgspec.Meta(max_length=4096)
    ]
    threshold: Annotated[float, msgspec.Meta(ge=1e-6, le=1e9)]
    foreign_weights: Annotated[tuple[Weight, ...], msgspec.Meta(max_length=4096)] = ()
    foreign_bias: Weight = 0.0


class Validity(Struct, frozen=True, kw_only=True):
    """Where the bundle claims to hold."""

    strains: Annotated[tuple[Label, ...], msgspec.Meta(max_length=1000)]
    min_age_days: Days
    max_age_days: Days
    view: Literal["top"]
    lights: Annotated[tuple[Literal["white", "infrared"], ...], msgspec.Meta(max_length=2)]
    max_sd_days: Days
    min_px_per_mm: Scale


class Budget(Struct, frozen=True, kw_only=True):
    """What the canary allows: one whole invocation of the three networks, and the memory of the process.

    No more than capture's watchdog and the canary's own limit leave room for.
    """

    invoke_ms: Annotated[float, msgspec.Meta(ge=0.001, le=10_000.0)]
    memory_mb: Annotated[float, msgspec.Meta(ge=1.0, le=4096.0)]


class Manifest(Struct, frozen=True, kw_only=True):
    """Everything a device must know to run, trust or reject the bundle."""

    schema: Literal["cageclock/manifest/1"] = MANIFEST_SCHEMA
    name: Label
    channel: Label
    release: Sequence
    model_version: Label
    created_at: datetime
    notice: Text
    preprocess_version: Label
    runtime_min: Label
    target_group: Label
    centres: Centres
    parts: Parts
    age: Age
    intervals: Annotated[tuple[Intervals, ...], msgspec.Meta(min_length=1, max_length=3)]
    domain: Domain
    validity: Validity
    budget: Budget
    training: Annotated[dict[str, Text | int | float | bool | None], msgspec.Meta(max_length=1000)]
    metrics: Annotated[dict[str, Metric], msgspec.Meta(max_length=1000)]
    files: Annotated[tuple[Part, ...], msgspec.Meta(max_length=16)]
