"""A model's dress rehearsal: golden outputs, head, and whole observations, before its estimates are recorded."""

from __future__ import annotations

import numpy as np

from edge.config.tree import Quality as Limits
from edge.contract.bundle.bundle import Bundle
from edge.contract.reading import CameraState, Outcome
from edge.errors import BundleError
from edge.vision.frame import Frame, Image
from edge.vision.model.golden import check_golden, network_of, read_golden
from edge.vision.model.head_check import dequantised, golden_estimate
from edge.vision.model.loaded import LoadedModel
from edge.vision.observe import ObserveSettings, check_recordable, observe

_ANY = Limits(
    min_mean_grey=0.0, max_saturated_fraction=1.0, min_sharpness=0.0, min_contrast=0.0, max_covered_fraction=1.0
)
_SETTINGS = ObserveSettings(_ANY, expected_animals=2, subject=None, strain=None)
_VIEWS = 3


def rehearse(model: LoadedModel, bundle: Bundle) -> list[str]:
    """Return one sentence for each thing that the model of a bundle gets wrong; empty means that it may be used.

    Beside the golden inputs: pictures that have nothing in common must not get one age, and observations of the first
    stage's golden views, at a known and an unknown scale, must be something that a reading can hold.

    Raises:
        BundleError: the golden parts cannot be read, or do not fit the manifest.
    """
    failures = check_golden(model, bundle) or _check_constant(model, bundle)
    if failures:
        return failures
    for number, view in enumerate(read_golden(bundle).inputs["centres"][:_VIEWS]):
        for scale in (model.manifest.parts.px_per_mm, None):
            wrong = _rehearse_one(model, view, scale)
            if wrong is not None:
                return [f"observation of golden view {number}: {wrong}"]
    return []


def _check_constant(model: LoadedModel, bundle: Bundle) -> list[str]:
    """Return the sentence on a model whose age does not depend on the picture; golden outputs of its own would hold."""
    golden = read_golden(bundle).inputs["age"][0]
    pictures = (golden, 255 - golden, np.zeros_like(golden), np.full_like(golden, 255))
    answers = [network_of(model, "age").run_raw(picture).ravel() for picture in pictures]
    ages = {round(golden_estimate(dequantised(answer, model), model).age_days, 6) for answer in answers}
    if len(ages) > 1:
        return []
    return [f"age: it is constant: {ages.pop():g} days for a golden input, its negative, a black and a white picture"]


def _rehearse_one(model: LoadedModel, view: Image, px_per_mm: float | None) -> str | None:
    """Return what goes wrong with one view, uint8 (h, w, c) of any number of channels; None where nothing does."""
    grey = np.ascontiguousarray(view[..., 0])
    main = np.repeat(grey[..., None], 3, axis=2)
    state = CameraState(backend="golden", model="golden", width=grey.shape[1], height=grey.shape[0])
    frame = Frame(main, 0.0, 0.0, state, px_per_mm, small_width=grey.shape[1])
    try:
        seen = observe([frame], model, _SETTINGS)
        check_recordable(seen)
    except BundleError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever a bundle makes the program raise is the bundle's fault here
        return f"expected an answer, got {type(error).__name__}: {error}"
    return None if seen.outcome in (Outcome.OK, Outcome.NO_MOUSE) else f"expected an answer, got {seen.detail}"
