"""A photograph becomes an outcome, and an animal's age is given only where everything speaks for it."""

import os
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.config.tree import Camera, Quality
from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle
from edge.contract.manifest import SMALL_WIDTH, Centres
from edge.contract.reading import Light, Outcome, Reason
from edge.footage.picture import read_image
from edge.simulate import CageSetup, SceneFaults, SimulatedCage, create_population
from edge.vision.locate import find_animals
from edge.vision.observe import ObserveSettings, observe
from edge.vision.preprocess import small_view
from edge.vision.quality import judge_quality, measure_quality, reference_view, shift_against

SHARED = Path(os.environ.get("CAGECLOCK_SHARED_DATA", Path(__file__).parents[4] / "shared/data"))

CAGE = ObserveSettings(Quality(), 1, "m1", "C57BL/6J")


def reasons(observation) -> set[Reason]:
    return set(observation.animals[0].reject_reasons)


def test_one_animal_in_full_view_is_accepted_and_named_by_its_cage(tiny_model, blob_frame) -> None:
    seen = observe([blob_frame((300, 200))], tiny_model, CAGE)
    (animal,) = seen.animals
    assert (seen.outcome, seen.accepted, seen.age_days) == (Outcome.OK, True, animal.estimate.age_days)
    assert (animal.subject, animal.identity_method) == ("m1", "single_housed")
    assert len(seen.crops) == 1


def test_the_box_holds_the_animal(tiny_model, blob_frame) -> None:
    x0, y0, x1, y1 = observe([blob_frame((300, 200))], tiny_model, CAGE).animals[0].box
    assert x0 < 240 < 360 < x1
    assert y0 < 190 < 210 < y1


def test_two_animals_are_two_and_nobody_is_named(tiny_model, blob_frame) -> None:
    frame = blob_frame((180, 120), (450, 360))
    seen = observe([frame], tiny_model, replace(CAGE, expected_animals=2, subject=None))
    assert [animal.identity_method for animal in seen.animals] == ["none", "none"]
    assert seen.age_days is None


def test_an_empty_cage_is_no_mouse(tiny_model, blob_frame) -> None:
    limits = Quality(min_contrast=1.0)
    assert observe([blob_frame()], tiny_model, replace(CAGE, limits=limits)).outcome is Outcome.NO_MOUSE


def test_an_animal_in_the_nest_box_is_in_nest(tiny_model, blob_frame) -> None:
    seen = observe([blob_frame((300, 200))], tiny_model, replace(CAGE, nest_box=(0.3, 0.2, 0.6, 0.6)))
    assert (seen.outcome, seen.age_days) == (Outcome.IN_NEST, None)


@pytest.mark.parametrize(("px_per_mm", "reason"), [(None, Reason.UNCALIBRATED_SCALE), (0.9, Reason.SCALE_TOO_COARSE)])
def test_a_scale_that_is_unknown_or_too_coarse_gives_no_age(tiny_model, blob_frame, px_per_mm, reason) -> None:
    seen = observe([blob_frame((300, 200), px_per_mm=px_per_mm)], tiny_model, CAGE)
    assert reason in reasons(seen)
    assert (seen.accepted, seen.age_days) == (False, None)


def test_a_curled_animal_gives_no_age(tiny_model, blob_frame) -> None:
    seen = observe([blob_frame((300, 200), length_px=80)], tiny_model, CAGE)
    assert Reason.CURLED in reasons(seen)
    assert seen.age_days is None


def test_another_strain_gives_no_age_but_keeps_the_estimate(tiny_model, blob_frame) -> None:
    seen = observe([blob_frame((300, 200))], tiny_model, replace(CAGE, strain="DBA/2J"))
    assert reasons(seen) == {Reason.STRAIN_NOT_COVERED}
    assert seen.animals[0].age_days is None
    assert sum(seen.animals[0].estimate.distribution) == pytest.approx(1, abs=1e-3)
    assert len(seen.animals[0].estimate.embedding) == 8


def test_a_light_that_the_bundle_was_not_made_for_gives_no_age(tiny_model, blob_frame) -> None:
    validity = msgspec.structs.replace(tiny_model.manifest.validity, lights=("white",))
    model = replace(tiny_model, manifest=msgspec.structs.replace(tiny_model.manifest, validity=validity))
    frame = blob_frame((300, 200))
    assert reasons(observe([frame], model, CAGE, light=Light.DARK)) == {Reason.LIGHT_NOT_COVERED}
    assert observe([frame], model, CAGE, light=Light.LIGHT).accepted
    assert observe([frame], model, CAGE, light=Light.UNKNOWN).accepted


@pytest.mark.parametrize(("field", "reason"), [("domain", Reason.OUT_OF_DOMAIN), ("validity", Reason.TOO_UNCERTAIN)])
def test_out_of_domain_or_too_uncertain_gives_no_age(tiny_model, blob_frame, field, reason) -> None:
    stricter = {"domain": {"threshold": 1e-3}, "validity": {"max_sd_days": 1.0}}[field]
    part = msgspec.structs.replace(getattr(tiny_model.manifest, field), **stricter)
    model = replace(tiny_model, manifest=msgspec.structs.replace(tiny_model.manifest, **{field: part}))
    assert reasons(observe([blob_frame((300, 200))], model, CAGE)) == {reason}


@pytest.mark.parametrize("small_width", [64, 160, 500])
def test_the_locator_sees_the_width_that_it_was_trained_at_whatever_the_devices_own(
    tiny_model, blob_frame, small_width
) -> None:
    """`camera.small_width` is free for the quality gate: it must not give a locator pixels that it never learnt."""
    frame = blob_frame((300, 200), (450, 380))
    other = replace(frame, small_width=small_width)
    assert find_animals(other, tiny_model, 5) == find_animals(frame, tiny_model, 5)
    assert other.small().shape[1] == small_width
    assert other.small() is other.views().small(small_width), "nothing is made twice where the widths are the same"


def test_a_bundle_from_before_the_field_was_trained_at_the_default(tiny_bundle: Bundle) -> None:
    spec = tiny_bundle.manifest.centres
    written = jsontext.encode(spec)
    assert b"small_width" not in written, "or its manifest would be another one when it is signed again"
    assert jsontext.decode(written, Centres) == spec
    assert spec.small_width == SMALL_WIDTH == Camera(backend="simulated").small_width


def test_a_burst_is_one_measurement(tiny_model, blob_frame) -> None:
    one = blob_frame((300, 200))
    seen = observe([blob_frame((300, 200), px_per_mm=None), one, one], tiny_model, CAGE)
    assert (seen.frames, seen.accepted) == (3, True)
    assert seen.best in (1, 2)
    assert [len(crops) for crops in seen.crops] == [2]


@pytest.mark.parametrize(
    ("small", "outcome"),
    [
        (np.full((240, 320), 3, np.uint8), Outcome.DARK),
        (np.full((240, 320), 255, np.uint8), Outcome.OVEREXPOSED),
        (np.full((240, 320), 120, np.uint8), Outcome.OBSTRUCTED),
        (np.tile(np.linspace(60, 200, 320).astype(np.uint8), (240, 1)), Outcome.BLURRED),
    ],
)
def test_a_picture_that_is_no_measurement_is_named(small, outcome) -> None:
    limits = Quality()
    assert judge_quality(measure_quality(small, limits), limits)[0] is outcome


def test_a_moved_camera_is_measured_and_flagged() -> None:
    scene = np.random.default_rng(4).normal(120, 40, (300, 400)).clip(0, 255)
    scene = (scene[::2, ::2].repeat(2, 0).repeat(2, 1)).astype(np.uint8)
    before, after = scene[20:260, 20:340], scene[32:272, 36:356]
    reference = reference_view(before)
    assert shift_against(after, reference) == pytest.approx(20, abs=2)
    assert measure_quality(after, Quality(), reference).flags == ("camera_moved",)
    assert measure_quality(before, Quality(), reference).flags == ()


def test_the_models_time_is_that_of_the_bare_invocations(tiny_model, blob_frame) -> None:
    before_ms = tiny_model.invoked_ms
    seen = observe([blob_frame((300, 200))] * 2, tiny_model, CAGE)
    assert seen.model_ms == tiny_model.invoked_ms - before_ms > 0
    dark = replace(CAGE, limits=Quality(min_mean_grey=255.0))
    assert observe([blob_frame((300, 200))], tiny_model, dark).model_ms == 0


@pytest.mark.parametrize("light", ["white", "infrared"])
@pytest.mark.parametrize("seed", range(6))
def test_a_cage_is_not_taken_for_a_covered_lens(light, seed) -> None:
    """Clean, empty and fogged cages of any bedding, light and shelter."""
    for faults in (SceneFaults(), SceneFaults(empty=True), SceneFaults(condensation=0.5), SceneFaults(hand=True)):
        assert measure_quality(cage_view(seed, light, faults), Quality()).covered_fraction < 0.1


@pytest.mark.parametrize(("share", "grey"), [(0.3, 8), (0.3, 50), (0.5, 30), (0.8, 8), (0.8, 50)])
def test_a_partly_covered_lens_is_obstructed(share, grey) -> None:
    small, limits = cage_view(2, "infrared", SceneFaults()).copy(), Quality()
    assert judge_quality(measure_quality(small, limits), limits)[0] is Outcome.OK
    cover = small[:, : int(small.shape[1] * share)]
    cover[:] = np.random.default_rng(1).normal(grey, 1.5, cover.shape).clip(0, 255)
    outcome, detail = judge_quality(measure_quality(small, limits), limits)
    assert outcome is Outcome.OBSTRUCTED
    assert "covered" in detail


def test_the_smooth_bright_floor_of_a_real_open_field_is_not_refused() -> None:
    pictures = sorted((SHARED / "openfield/labeled-data/m4s1").glob("*.png"))[::8]
    if not pictures:
        pytest.skip("the shared footage is not here")
    limits = Quality()
    for path in pictures:
        quality = measure_quality(small_view(read_image(path), 320), limits)
        assert quality.covered_fraction == 0, path.name
        assert judge_quality(quality, limits)[0] is Outcome.OK, path.name


def cage_view(seed: int, light: str, faults: SceneFaults) -> np.ndarray:
    """Return the small stream of a simulated cage with two mice."""
    animals = create_population(7, 2, born_from=date(2025, 1, 1), born_until=date(2025, 2, 1))
    setup = CageSetup.from_seed(seed, width_px=640, height_px=480, px_per_mm=2.667)
    at = datetime(2025, 9, 1, 20, tzinfo=UTC)
    seen = SimulatedCage("c", animals, setup).photograph(at=at, light=light, zeitgeber_h=13.0, seed=seed, faults=faults)
    return small_view(seen.image, 320)


def test_an_animal_at_the_border_is_partial(tiny_model, blob_frame) -> None:
    """Its aligned crop reaches out of the picture."""
    assert Reason.PARTIAL in reasons(observe([blob_frame((20, 200))], tiny_model, CAGE))


def test_one_of_two_animals_in_the_nest_is_refused_and_the_other_is_not(tiny_model, blob_frame) -> None:
    settings = replace(CAGE, expected_animals=2, subject=None, nest_box=(0.0, 0.0, 0.5, 0.5))
    seen = observe([blob_frame((180, 120), (450, 360))], tiny_model, settings)
    assert seen.outcome is Outcome.OK
    assert sorted(Reason.IN_NEST in animal.reject_reasons for animal in seen.animals) == [False, True]
