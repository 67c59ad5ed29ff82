"""The tiny hand-made bundle, loaded once, and a photograph of a dark blob that its locator finds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.contract.bundle.bundle import Bundle, read_bundle
from edge.contract.reading import CameraState
from edge.vision.frame import Frame
from edge.vision.model.loaded import LoadedModel, load_model

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def tiny_bundle() -> Bundle:
    return read_bundle(DATA / "tiny.bundle", [(DATA / "tiny.pub").read_bytes()])


@pytest.fixture(scope="session")
def tiny_model(tiny_bundle: Bundle) -> LoadedModel:
    return load_model(tiny_bundle)


@pytest.fixture(scope="session")
def blob_frame() -> Callable[..., Frame]:
    def make(*centres: tuple[int, int], length_px: int = 180, px_per_mm: float | None = 2.0) -> Frame:
        y, x = np.mgrid[:480, :640]
        grey = 180 + np.random.default_rng(0).normal(0, 6, (480, 640))
        for cx, cy in centres:
            grey[((x - cx) / (length_px / 2)) ** 2 + ((y - cy) / 30) ** 2 < 1] = 25
        main = np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        state = CameraState(backend="drawn", model="drawn", width=640, height=480)
        return Frame(main, 0.0, 0.0, state, px_per_mm)

    return make
