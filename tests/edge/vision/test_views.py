"""One reduction of a large frame: its bits are known, and each bundle sees by the version that it names."""

import hashlib
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.manifest import PREPROCESS_VERSION, PREPROCESS_VERSIONS
from edge.contract.reading import CameraState
from edge.errors import BundleError
from edge.vision.frame import Frame
from edge.vision.locate import find_animals
from edge.vision.observe import observe
from edge.vision.pixels import Image
from edge.vision.preprocess import age_input, centres_input, parts_input, small_view
from edge.vision.reduce import reduce_by
from edge.vision.views import alike, views_of
from tests.edge.vision.test_observe import CAGE

GOLDEN = {
    "small": "b38f5a393c37292c",
    "parts": "5f10d16c91aade19",
    "age": "0798b3e0f9127e8f",
    "age of the frame's own pixels": "5ca160e6e19212ce",
}
"""SHA-256, its first 16 digits, of version 3. Other bits need another version: a bundle must not meet them unnamed."""


def mean_of_four(pixels: Image, factor: int) -> Image:
    """Return what `reduce_by` promises, one index at a time."""
    height, width = pixels.shape[:2]
    near, far = factor // 4, factor - 1 - factor // 4
    rows, columns = np.arange(-(-height // factor)) * factor, np.arange(-(-width // factor)) * factor
    wide = pixels.astype(int)
    upper = wide[np.minimum(rows + near, height - 1)]
    lower = wide[np.minimum(rows + far, height - 1)]
    across = (upper + lower) // 2
    left, right = (across[:, np.minimum(columns + at, width - 1)] for at in (near, far))
    return ((left + right + 1) // 2).astype(np.uint8)


def large_picture(width: int = 2028, height: int = 1520) -> Image:
    """Return smooth hills with edges and noise, uint8 (height, width, 3)."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (height // 40 + 1, width // 40 + 1, 3), dtype=np.uint8)
    blocks = np.repeat(np.repeat(coarse, 40, axis=0), 40, axis=1)[:height, :width]
    return np.ascontiguousarray(blocks // 2 + rng.integers(0, 128, (height, width, 3), dtype=np.uint8))


@given(height=st.integers(1, 300), width=st.integers(1, 60), factor=st.integers(2, 9), seed=st.integers(0, 99))
def test_each_pixel_is_the_mean_of_four_of_its_block(height: int, width: int, factor: int, seed: int) -> None:
    """Whole blocks, blocks over the border, and parts of a larger picture, whose rows do not lie beside each other."""
    larger = np.random.default_rng(seed).integers(0, 256, (height + 2, width + 3, 3), dtype=np.uint8)
    part = larger[1 : 1 + height, 2 : 2 + width]
    np.testing.assert_array_equal(reduce_by(part, factor)[..., :3], mean_of_four(part, factor))


def test_the_cuts_of_a_known_large_picture_are_known(tiny_bundle) -> None:
    """Small view and crops of a fixed picture have fixed digests, whether the reduction or the frame itself is cut."""
    main = large_picture()
    age = msgspec.structs.replace(tiny_bundle.manifest.age, px_per_mm=4.0)
    cuts = {
        "small": small_view(main, 320),
        "parts": parts_input(main, (931.5, 700.25), 8.45, tiny_bundle.manifest.parts).pixels,
        "age": age_input(main, (1100.0, 610.5), (830.25, 702.0), 12.5, age).pixels,
        "age of the frame's own pixels": age_input(main, (1100.0, 610.5), (830.25, 702.0), 8.45, age).pixels,
    }
    assert {name: hashlib.sha256(cut.tobytes()).hexdigest()[:16] for name, cut in cuts.items()} == GOLDEN


@pytest.mark.parametrize("width", [320, 640, 960, 1279])
def test_below_twice_the_reduced_width_both_versions_are_the_same_bits(tiny_bundle, width: int) -> None:
    main = large_picture(width, width * 3 // 4)
    seen = [
        (
            small_view(views, 320),
            parts_input(views, (width / 2, width / 3), 5.0, tiny_bundle.manifest.parts).pixels,
            age_input(views, (width / 2, 90.0), (width / 3, 120.0), 9.0, tiny_bundle.manifest.age).pixels,
        )
        for views in (views_of(main, version) for version in PREPROCESS_VERSIONS)
    ]
    for one, other in zip(*seen, strict=True):
        np.testing.assert_array_equal(one, other)
    assert alike("2", width) == PREPROCESS_VERSIONS
    assert alike("2", 1280) == ("2",)


@pytest.mark.parametrize(("width", "height"), [(1280, 961), (2028, 1520), (4607, 2592)])
def test_a_reduced_view_shows_the_same_at_the_same_place(tiny_bundle, width: int, height: int) -> None:
    """A smooth slope looks the same by both versions within a grey level: nothing is shifted or stretched."""
    down, across = np.mgrid[0:height, 0:width]
    grey = (20 + 200 * across / width + 30 * down / height).astype(np.uint8)
    main = np.repeat(grey[..., None], 3, axis=2)
    old, new = (views_of(main, version) for version in ("2", "3"))
    assert np.abs(small_view(old, 320).astype(int) - small_view(new, 320)).max() <= 2
    for scale in (1.5, 2.5, width / 640 * 1.5):
        spec = msgspec.structs.replace(tiny_bundle.manifest.parts, px_per_mm=1.0)
        cuts = [parts_input(views, (width / 2, height / 2), scale, spec).pixels.astype(int) for views in (old, new)]
        assert np.abs(cuts[0] - cuts[1]).max() <= 2


def test_an_older_bundle_is_shown_what_it_was_trained_on(tiny_model, blob_frame) -> None:
    """The version of the manifest decides: networks of version 2 see a large frame as before, those of 3 reduced."""
    main = np.repeat(np.repeat(blob_frame((300, 200)).main, 3, axis=0), 3, axis=1)
    noise = np.random.default_rng(2).integers(0, 60, main.shape, dtype=np.uint8)
    main = np.minimum(main, 195) + noise
    seen: dict[str, list[Image]] = {}
    for version in PREPROCESS_VERSIONS:

        class Watched:
            """Keeps what a network is shown."""

            def __init__(self, network: object) -> None:
                self._network = network
                self.invoked_ms = 0.0

            def run(self, pixels: Image) -> np.ndarray:
                seen.setdefault(version, []).append(pixels)  # noqa: B023
                return self._network.run(pixels)  # type: ignore[attr-defined, no-any-return]

        manifest = msgspec.structs.replace(tiny_model.manifest, preprocess_version=version)
        networks = {name: Watched(getattr(tiny_model, name)) for name in ("centres", "parts", "age")}
        state = CameraState(backend="drawn", model="", width=1920, height=1440)
        frame = Frame(main, 0.0, 0.0, state, 3 * manifest.parts.px_per_mm)
        observe([frame], replace(tiny_model, manifest=manifest, **networks), CAGE)
        view = small_view(views_of(main, version), manifest.centres.small_width)
        np.testing.assert_array_equal(seen[version][0], centres_input(view, manifest.centres))
    assert len(seen["2"]) == len(seen["3"]) >= 3, "centres, parts and age have been asked"
    for one, other in zip(seen["2"], seen["3"], strict=True):
        assert not np.array_equal(one, other), "the two versions differ in a noisy frame of 1920 pixels"


def test_both_versions_find_the_same_animal(tiny_model, blob_frame) -> None:
    main = np.repeat(np.repeat(blob_frame((300, 200)).main, 3, axis=0), 3, axis=1)
    state = CameraState(backend="drawn", model="", width=1920, height=1440)
    frame = Frame(main, 0.0, 0.0, state, 3 * tiny_model.manifest.parts.px_per_mm)
    found = [
        find_animals(
            frame,
            replace(tiny_model, manifest=msgspec.structs.replace(tiny_model.manifest, preprocess_version=version)),
            2,
        )
        for version in PREPROCESS_VERSIONS
    ]
    assert len(found[0]) == len(found[1]) == 1
    assert found[0][0].middle == pytest.approx(found[1][0].middle, abs=6)


def test_a_version_that_is_not_here_is_refused() -> None:
    with pytest.raises(BundleError, match=r"expected preprocessing version 2 or 3, got 4; update the program"):
        views_of(large_picture(64, 48), "4")


def test_the_newest_version_is_one_of_those_that_run() -> None:
    assert PREPROCESS_VERSIONS[-1] == PREPROCESS_VERSION
