"""Whether a manifest agrees with itself: lists that belong together, ages that rise, an interval for what is reported.

Ranges of single values are in `edge.contract.manifest`; these rules need two fields at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from edge.contract.manifest import OPEN_DAYS, Age, Centres, Domain, Intervals, Manifest, Parts, Tensor
from edge.contract.times import check_time
from edge.errors import MessageError
from edge.vision.age_head import output_count


def contradictions(manifest: Manifest) -> list[str]:
    """Return one sentence, `field: expected ..., got ...`, for each rule that the manifest breaks; empty means well."""
    return [
        *_of_labels(manifest),
        *_of_centres(manifest.centres),
        *_of_parts(manifest.parts),
        *_of_age(manifest.age),
        *_of_intervals(manifest.intervals),
        *_of_domain(manifest.domain, manifest.age.embedding_size),
        *_of_validity(manifest),
    ]


def _of_labels(manifest: Manifest) -> Iterator[str]:
    named = {
        "name": manifest.name,
        "channel": manifest.channel,
        "model_version": manifest.model_version,
        "notice": manifest.notice,
        "preprocess_version": manifest.preprocess_version,
        "runtime_min": manifest.runtime_min,
        "target_group": manifest.target_group,
    }
    named |= {f"validity.strains[{number}]": name for number, name in enumerate(manifest.validity.strains)}
    named |= {f"parts.keypoints[{number}]": name for number, name in enumerate(manifest.parts.keypoints)}
    for field, text in named.items():
        if not text.isprintable():
            yield f"{field}: expected text on one line without control characters, got {text[:40]!r}"
    try:
        check_time(manifest.created_at)
    except MessageError as error:
        yield f"created_at: {error}"


def _of_centres(spec: Centres) -> Iterator[str]:
    yield from _of_input("centres", spec.input, (1, spec.height, spec.width, spec.channels))
    yield from _of_map("centres", spec.output, (spec.height, spec.width), spec.stride, 1)


def _of_parts(spec: Parts) -> Iterator[str]:
    yield from _of_input("parts", spec.input, (1, spec.size, spec.size, spec.channels))
    yield from _of_map("parts", spec.output, (spec.size, spec.size), spec.stride, len(spec.keypoints))
    if len(set(spec.keypoints)) != len(spec.keypoints):
        yield f"parts.keypoints: expected each name once, got {', '.join(spec.keypoints)[:200]}"


def _of_input(stage: str, tensor: Tensor, shape: tuple[int, ...]) -> Iterator[str]:
    if tensor.shape != shape:
        yield f"{stage}.input.shape: expected {shape}, got {tensor.shape}"


def _of_map(stage: str, tensor: Tensor, size: tuple[int, int], stride: int, channels: int) -> Iterator[str]:
    """Yield what is wrong with a heatmap's shape: a cell every `stride` pixels, a border cell more or less allowed."""
    rows, columns = (edge / stride for edge in size)
    shape = tensor.shape
    fits = len(shape) == 4 and abs(shape[1] - rows) < 1 and abs(shape[2] - columns) < 1
    if not fits or (shape[0], shape[3]) != (1, channels):
        yield f"{stage}.output.shape: expected (1, {round(rows)}, {round(columns)}, {channels}), got {shape}"


def _of_age(spec: Age) -> Iterator[str]:
    yield from _of_input("age", spec.input, (1, spec.height, spec.width, spec.channels))
    size, bins = spec.embedding_size, spec.bin_centres_days
    if spec.output.shape != (1, size):
        yield f"age.output.shape: expected (1, {size}), got {spec.output.shape}"
    yield from _of_rising("age.bin_centres_days", bins)
    outputs = output_count(spec.head, len(bins), quantiles=max(2, len(spec.head_bias)))
    yield from _of_matrix("age.head_weights", spec.head_weights, size, outputs)
    if len(spec.head_bias) != outputs:
        yield f"age.head_bias: expected {outputs} numbers for a {spec.head} head, got {len(spec.head_bias)}"


def _of_rising(field: str, values: Sequence[float]) -> Iterator[str]:
    for number, (before, after) in enumerate(itertools.pairwise(values), 1):
        if after <= before:
            yield f"{field}[{number}]: expected more than {before:g}, the one before it, got {after:g}"
            return


def _of_matrix(field: str, rows: Sequence[Sequence[float]], height: int | None, width: int) -> Iterator[str]:
    if height is not None and len(rows) != height:
        yield f"{field}: expected {height} rows, got {len(rows)}"
    for number, row in enumerate(rows):
        if len(row) != width:
            yield f"{field}[{number}]: expected {width} numbers, got {len(row)}"
            return


def _of_intervals(entries: Sequence[Intervals]) -> Iterator[str]:
    units = [entry.unit for entry in entries]
    if "reading" not in units or len(set(units)) != len(units):
        yield f"intervals: expected one for each unit, that of a reading among them, got {', '.join(units)}"
    for number, entry in enumerate(entries):
        field = f"intervals[{number}]"
        if not 0 < entry.coverage < 1:
            yield f"{field}.coverage: expected more than 0 and less than 1, got {entry.coverage:g}"
        if not entry.bands:
            continue  # too few animals for this coverage: no interval
        edges = [band.below_days for band in entry.bands]
        yield from _of_rising(f"{field}.bands.below_days", edges)
        if edges[-1] != OPEN_DAYS:
            yield f"{field}.bands: expected the last one to be open (below_days {OPEN_DAYS:g}), got {edges[-1]:g}"


def _of_domain(domain: Domain, size: int) -> Iterator[str]:
    if len(domain.mean) != size:
        yield f"domain.mean: expected {size} numbers, got {len(domain.mean)}"
    if not domain.whitening:
        yield f"domain.whitening: expected rows of {size} numbers, got none"
    yield from _of_matrix("domain.whitening", domain.whitening, None, size)
    if len(domain.foreign_weights) not in (0, size):
        yield f"domain.foreign_weights: expected {size} numbers or none, got {len(domain.foreign_weights)}"


def _of_validity(manifest: Manifest) -> Iterator[str]:
    validity = manifest.validity
    if validity.max_age_days <= validity.min_age_days:
        expected = f"more than min_age_days ({validity.min_age_days:g})"
        yield f"validity.max_age_days: expected {expected}, got {validity.max_age_days:g}"
