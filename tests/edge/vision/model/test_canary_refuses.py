"""A bundle whose numbers would make a device answer nonsense is refused before it runs, in one clear sentence."""

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge.bundle.canary import ask_canary, examine
from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle, read_bundle
from edge.contract.manifest import AGE, CENTRES, GOLDEN_INPUTS, GOLDEN_OUTPUTS, Band, Intervals
from edge.errors import BundleError
from edge.vision.model.golden import GoldenOutputs, check_golden, make_golden, read_golden
from edge.vision.model.head_check import check_head
from edge.vision.model.loaded import LoadedModel, load_model
from edge.vision.model.runtime import open_network
from tests.edge.vision.model.resigned import PUBLIC, change, recoded, resign, resign_text


def verdict(path: Path) -> str:
    """Return what the canary finds wrong with a bundle, "" for nothing.

    Its sentence on memory is left out: here that is the whole test process's, with all that other tests have loaded.
    """
    try:
        return "; ".join(text for text in examine(path, [PUBLIC]).problems if " MB of memory" not in text)
    except BundleError as error:
        return str(error)


def weights(bundle: Bundle, value: float) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(value for _ in row) for row in bundle.manifest.age.head_weights)


def rescaled(content: bytes, before: float, after: float) -> bytes:
    """Return a network whose tensors of one quantisation scale have another."""
    old, new = struct.pack("<f", before), struct.pack("<f", after)
    assert old in content
    return content.replace(old, new)


OUT_OF_RANGE: dict[str, tuple[dict[str, Any], str, str]] = {
    "weights of 1e300": ({"age__head_weights": ((1e300,) * 16,) * 8}, "age.head_weights[0][0]: expected", "got 1e+300"),
    "a bias of -1e40": ({"age__head_bias": (*(0.0,) * 15, -1e40)}, "age.head_bias[15]: expected", "got -1e+40"),
    "a temperature of 1e-300": ({"age__temperature": 1e-300}, "age.temperature: expected at least 0.01", "got 1e-300"),
    "a scale of the age crop of 1e-9": ({"age__px_per_mm": 1e-9}, "age.px_per_mm: expected at least 0.1", "got 1e-09"),
    "a scale of the parts' crop of 1e9": ({"parts__px_per_mm": 1e9}, "parts.px_per_mm: expected", "got 1000000000.0"),
    "a bin of a million days": (
        {"age__bin_centres_days": tuple(range(0, 16_000_000, 1_000_000))},
        "age.bin_centres_days[1]: expected at least 0 and at most 3650",
        "got 1000000",
    ),
    "falling bins": (
        {"age__bin_centres_days": tuple(float(day) for day in range(750, -50, -50))},
        "age.bin_centres_days[1]: expected more than 750, the one before it",
        "got 700",
    ),
    "one bin": ({"age__bin_centres_days": (100.0,)}, "age.bin_centres_days: expected 2 to 1000 entries", "got 1"),
    "a row of weights too short": (
        {"age__head_weights": ((1.0,) * 16,) * 7 + ((1.0,) * 15,)},
        "age.head_weights[7]: expected 16 numbers",
        "got 15",
    ),
    "a row of weights too few": ({"age__head_weights": ((1.0,) * 16,) * 7}, "expected 8 rows", "got 7"),
    "a whitening of 1e30": ({"domain__whitening": ((1e30,) * 8,)}, "domain.whitening[0][0]: expected", "got 1e+30"),
    "no whitening": ({"domain__whitening": ()}, "domain.whitening: expected rows of 8", "got none"),
    "a threshold of 1e-300": ({"domain__threshold": 1e-300}, "domain.threshold: expected", "got 1e-300"),
    "a likelihood of 1e9": ({"parts__likelihood_a": 1e9}, "parts.likelihood_a: expected", "got 1000000000.0"),
    "an output scale of 0": (
        {"age__output": ("change", "scale", 0.0)},
        "age.output.scale: expected at least 1e-12",
        "got 0.0",
    ),
    "bands without an open end": (
        {
            "intervals": (
                Intervals(
                    unit="reading", coverage=0.9, animals=9, bands=(Band(below_days=9e8, low_days=1.0, high_days=1.0),)
                ),
            )
        },
        "intervals[0].bands: expected the last one to be open",
        "got 9e+08",
    ),
    "no interval for a reading": (
        {
            "intervals": (
                Intervals(
                    unit="day", coverage=0.9, animals=1, bands=(Band(below_days=1e9, low_days=1.0, high_days=1.0),)
                ),
            )
        },
        "intervals: expected one for each unit, that of a reading among them",
        "got day",
    ),
    "a half-width of 1e6 days": (
        {
            "intervals": (
                Intervals(
                    unit="reading", coverage=0.9, animals=1, bands=(Band(below_days=1e9, low_days=1e6, high_days=1.0),)
                ),
            )
        },
        "intervals[0].bands[0].low_days: expected",
        "got 1000000.0",
    ),
    "bands that fall": (
        {
            "intervals": (
                Intervals(
                    unit="reading",
                    coverage=0.9,
                    animals=1,
                    bands=tuple(Band(below_days=edge, low_days=1.0, high_days=1.0) for edge in (300.0, 200.0, 1e9)),
                ),
            )
        },
        "intervals[0].bands.below_days[1]: expected more than 300",
        "got 200",
    ),
    "a budget of a day": ({"budget__invoke_ms": 86_400_000.0}, "budget.invoke_ms: expected", "got 86400000.0"),
    "a validity upside down": ({"validity__max_age_days": 0.0}, "validity.max_age_days: expected more than", "got 0"),
    "a strain of 300 characters": ({"validity__strains": ("x" * 300,)}, "validity.strains[0]: expected", "got 300"),
    "a name with an escape": ({"name": "tiny\x1b[2J"}, "name: expected text on one line", "got 'tiny\\x1b[2J'"),
    "a stride that does not fit": ({"centres__stride": 8}, "centres.output.shape: expected (1, 15, 20, 1)", "got (1,"),
    "a part twice": (
        {"parts__keypoints": ("snout", "snout", "left_ear", "tail_base")},
        "parts.keypoints: expected each name once",
        "got snout, snout",
    ),
    "a metric of 1e300": ({"metrics": {"mae_days": 1e300}}, "metrics.mae_days: expected", "got 1e+300"),
}


@pytest.mark.parametrize("what", OUT_OF_RANGE)
def test_a_manifest_out_of_range_is_refused_by_field_expectation_and_value(
    what: str, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    values, expected, got = OUT_OF_RANGE[what]
    values = {
        path: msgspec.structs.replace(tiny_bundle.manifest.age.output, **{value[1]: value[2]})
        if path == "age__output"
        else value
        for path, value in values.items()
    }
    problem = verdict(resign(tmp_path, tiny_bundle, **values))
    assert expected in problem
    assert got in problem


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_bias_that_is_no_number_is_refused(number: str, tiny_bundle: Bundle, tmp_path: Path) -> None:
    path = resign_text(tmp_path, tiny_bundle, lambda text: text.replace('"head_bias":[0.0', f'"head_bias":[{number}'))
    assert f"expected finite numbers, got {number}" in verdict(path)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("scale", 0.2, "centres: output scale: expected 0.2 as in the manifest, got 0.156862766"),
        ("zero_point", 65, "centres: output zero point: expected 65 as in the manifest, got 66"),
        ("dtype", "uint8", "centres: output dtype: expected uint8 as in the manifest, got int8"),
    ],
)
def test_a_manifest_that_reads_the_output_otherwise_than_the_network_means_it_is_refused(
    field: str, value, problem: str, tiny_bundle: Bundle, tmp_path: Path
) -> None:
    output = msgspec.structs.replace(tiny_bundle.manifest.centres.output, **{field: value})
    assert problem in verdict(resign(tmp_path, tiny_bundle, centres__output=output))


def test_a_network_of_another_output_scale_is_refused_even_with_golden_outputs_of_its_own(
    tiny_bundle: Bundle, tmp_path: Path
) -> None:
    """Only the scale differs: shapes, names and golden outputs are the network's own."""
    before = tiny_bundle.manifest.centres.output.scale
    files = {CENTRES: rescaled(tiny_bundle.files[CENTRES], before, 3 * before)}
    networks = {
        name: open_network(({**tiny_bundle.files, **files})[f"{name}.tflite"]) for name in ("centres", "parts", "age")
    }
    inputs, outputs = make_golden(networks, read_golden(tiny_bundle).inputs)
    files |= {GOLDEN_INPUTS: inputs, GOLDEN_OUTPUTS: outputs}
    assert "centres: output scale: expected 0.156862766" in verdict(resign(tmp_path, tiny_bundle, files))


def npz(**arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def golden_parts(bundle: Bundle, name: str) -> dict[str, bytes]:
    """Return golden parts in which one network has no input."""
    golden = read_golden(bundle)
    inputs = dict(golden.inputs) | {name: golden.inputs[name][:0]}
    outputs = dict(golden.expected.outputs) | {name: []}
    return {GOLDEN_INPUTS: npz(**inputs), GOLDEN_OUTPUTS: recoded(bundle.files[GOLDEN_OUTPUTS], outputs=outputs)}


@pytest.mark.parametrize("name", ["centres", "parts", "age"])
def test_a_network_without_a_golden_input_is_refused(name: str, tiny_bundle: Bundle, tmp_path: Path) -> None:
    problem = verdict(resign(tmp_path, tiny_bundle, golden_parts(tiny_bundle, name)))
    assert f"outputs.{name}: expected 1 to 64 entries, got 0" in problem


GOLDEN = {
    "a tolerance of 300 steps": (
        {"tolerance_quanta": 300},
        "tolerance_quanta: expected at least 0 and at most 12, got",
    ),
    "any share allowed": ({"allowed_share": 1.0}, "allowed_share: expected at least 0 and at most 0.05, got 1.0"),
    "outputs beyond int8": ({"outputs": {"age": [[300]]}}, "outputs.age[0][0]: expected at least -128 and at most 127"),
    "no outputs": ({"outputs": {}}, "outputs: expected those of centres, parts, age, got none"),
}


@pytest.mark.parametrize("what", GOLDEN)
def test_golden_outputs_that_allow_anything_are_refused(what: str, tiny_bundle: Bundle, tmp_path: Path) -> None:
    values, expected = GOLDEN[what]
    files = {GOLDEN_OUTPUTS: recoded(tiny_bundle.files[GOLDEN_OUTPUTS], **values)}
    assert expected in verdict(resign(tmp_path, tiny_bundle, files))


def test_golden_outputs_of_another_length_are_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    outputs = dict(read_golden(tiny_bundle).expected.outputs) | {"age": [[1, 2, 3]]}
    files = {GOLDEN_OUTPUTS: recoded(tiny_bundle.files[GOLDEN_OUTPUTS], outputs=outputs)}
    assert "age: golden input 0: expected 3 outputs, got 8" in verdict(resign(tmp_path, tiny_bundle, files))


def test_golden_inputs_of_another_shape_or_number_are_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    inputs = dict(read_golden(tiny_bundle).inputs)
    files = {GOLDEN_INPUTS: npz(**inputs | {"parts": inputs["parts"][:, :50]})}
    problem = verdict(resign(tmp_path, tiny_bundle, files))
    assert "golden.npz: parts: expected uint8 (n, 96, 96, 1), got uint8 (1, 50, 96, 1)" in problem
    files = {GOLDEN_INPUTS: npz(**inputs | {"parts": inputs["parts"].repeat(2, axis=0)})}
    assert "as many inputs as outputs, at least one, got 2 and 1" in verdict(resign(tmp_path, tiny_bundle, files))


def test_golden_inputs_that_unpack_to_gigabytes_are_refused_unread(tiny_bundle: Bundle, tmp_path: Path) -> None:
    files = {GOLDEN_INPUTS: npz(centres=np.zeros((70, 1000, 1000), np.uint8))}
    assert "expected at most 64000000 bytes unpacked, got 70000" in verdict(resign(tmp_path, tiny_bundle, files))


def test_a_head_that_overflows_for_some_embeddings_only_is_refused(
    tiny_bundle: Bundle, tiny_model: LoadedModel
) -> None:
    """In range one by one: the golden embeddings give proper ages, a far corner of int8 does not."""
    weights = tiny_model.head_weights.copy()
    weights[3:5] = 3e38  # beyond what a manifest may hold: the walk over the extremes stands alone
    broken = replace(tiny_model, head_weights=weights)
    zero = tiny_model.manifest.age.output.zero_point
    golden = jsontext.decode(tiny_bundle.files[GOLDEN_OUTPUTS], GoldenOutputs).outputs["age"]
    quiet = [[zero if place in (3, 4) else value for place, value in enumerate(one)] for one in golden]
    (problem,) = check_head(broken, quiet, ())
    assert problem.startswith("head: int8 extreme")
    assert "expected a finite number, got nan" in problem


def stated(bundle: Bundle, model: LoadedModel, **changes) -> bytes:
    """Return golden outputs that hold the head's estimates, with one estimate changed."""
    networks = {"centres": model.centres, "parts": model.parts, "age": model.age}
    _, outputs = make_golden(networks, read_golden(bundle).inputs, bundle.manifest)
    (estimate,) = jsontext.parse(outputs)["estimates"]
    return recoded(outputs, estimates=[estimate | changes])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"age_days": 10.0}, "head: golden input 0: age_days: expected 10, got"),
        ({"sd_days": 7.0}, "head: golden input 0: sd_days: expected 7, got"),
        ({"interval_low_days": -5.0}, "head: golden input 0: interval_low_days: expected -5, got"),
        ({"domain_score": 9.0}, "head: golden input 0: domain_score: expected 9, got"),
        ({"domain_score": -1.0}, "estimates[0].domain_score: expected at least 0"),
    ],
)
def test_what_the_head_makes_of_golden_outputs_is_what_the_bundle_states(
    changes: dict, problem: str, tiny_bundle: Bundle, tiny_model: LoadedModel, tmp_path: Path
) -> None:
    files = {GOLDEN_OUTPUTS: stated(tiny_bundle, tiny_model, **changes)}
    found = verdict(resign(tmp_path, tiny_bundle, files))
    assert problem in found
    assert bool(problem) == bool(found)


def test_another_head_than_the_stated_one_is_refused(
    tiny_bundle: Bundle, tiny_model: LoadedModel, tmp_path: Path
) -> None:
    """The networks are right, the weights in the manifest are another model's."""
    files = {GOLDEN_OUTPUTS: stated(tiny_bundle, tiny_model)}
    other = tuple(tuple(-value for value in row) for row in tiny_bundle.manifest.age.head_weights)
    assert "head: golden input 0: age_days" in verdict(resign(tmp_path, tiny_bundle, files, age__head_weights=other))


def test_the_child_process_says_the_same(tiny_bundle: Bundle, tmp_path: Path) -> None:
    path = resign(tmp_path, tiny_bundle, age__head_weights=weights(tiny_bundle, 1e300))
    (problem,) = ask_canary(path, [PUBLIC]).problems
    assert "age.head_weights[0][0]: expected at least -1e+06 and at most 1e+06, got 1e+300" in problem
    assert ask_canary(resign(tmp_path, tiny_bundle), [PUBLIC]).problems == ()


def test_a_bundle_that_makes_the_loader_raise_anything_is_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    files = {AGE: tiny_bundle.files[CENTRES]}
    assert "age: input shape: expected (1, 40, 96, 1)" in verdict(resign(tmp_path, tiny_bundle, files))


def test_bundles_without_stated_estimates_stay_valid(tiny_bundle: Bundle) -> None:
    assert read_golden(tiny_bundle).expected.estimates == ()
    assert check_golden(load_model(tiny_bundle), tiny_bundle) == []
    path = Path(__file__).parents[4] / "edge/demo/bundle"
    demo = read_bundle(path / "demo.bundle", [(path / "demo.pub").read_bytes()])
    assert check_golden(load_model(demo), demo) == []


def test_a_changed_field_reaches_its_place(tiny_bundle: Bundle) -> None:
    assert change(tiny_bundle.manifest, age__temperature=3.0).age.temperature == 3.0
