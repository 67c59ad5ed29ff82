"""The steps from pictures to what is signed; each reads and writes the run's folder, so that each can be
repeated.

    data.npz -> centres, parts (.tflite, .json) -> age.keras -> age.tflite, age.json, calibration.json -> report.*
    -> bundle (training.steps.bundle)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge.contract.manifest import AGE, PARTS, Age, Parts, Validity
from edge.errors import OperatorError
from training.bundle.pack import NOTICE, Calibration, load_struct, save_struct
from training.crops.split import Split, split_by_group
from training.locator.fit import Kept
from training.networks.int8 import import_backend
from training.networks.shapes import age_spec, centres_spec, parts_spec
from training.networks.training_loop import Recipe
from training.simulated.render import STRAIN, Dataset

if TYPE_CHECKING:
    from training.age.data import AgeData
    from training.age.finetune import Finetune


EVALUATED = "evaluated.json"
"""The digest of the network that report.json speaks of."""
OWN_TITLE = "The age model on held-out animals"
OWN_NOTICE = "figures of the animals in this dataset; another colony, strain or camera needs its own"


@dataclass(frozen=True, slots=True)
class Effort:
    """Training steps of each network."""

    centres: int = 700
    parts: int = 1500
    age: int = 4000


def open_data(run: Path) -> Dataset:
    """Return the run's rendered data.

    Raises:
        OperatorError: `simulate` has not run.
    """
    if not (run / "data.npz").exists():
        raise OperatorError(f"{run / 'data.npz'}: there is no data; run `cageclock-train simulate --out {run}` first")
    return Dataset.load(run / "data.npz")


def train_locator(
    run: Path, effort: Effort, seed: int = 1, *, again: bool = False, kept: Kept | None = None
) -> dict[str, float]:
    """Train and quantise both stages on the run's simulated data; return their figures on held-out cages.

    kept: where their checkpoints lie, if they are to have any.
    """
    from training.locator.fit import centre_scores, fit_centres, fit_parts, part_errors, save_stage, with_likelihood
    from training.locator.golden_inputs import FILE as LOCATOR_SAMPLES

    data = open_data(run)
    import_backend()
    views = split_by_group(data.view_cage, seed)
    parts = split_by_group(data.part_cage, seed)
    figures: dict[str, float] = {}
    if again or not ((run / "centres.json").exists() and (run / "parts.json").exists()):
        (run / LOCATOR_SAMPLES).unlink(missing_ok=True)
    if again or not (run / "centres.json").exists():
        stage = fit_centres(
            data.views[views.train], data.centres[views.train], centres_spec(), Recipe(effort.centres, 16), seed, kept
        )
        save_stage(run, "centres", stage.content, stage.spec)
        figures |= centre_scores(stage.content, stage.spec, data.views[views.test], data.centres[views.test])
    if again or not (run / "parts.json").exists():
        second = fit_parts(
            data.parts[parts.train], data.keypoints[parts.train], parts_spec(), Recipe(effort.parts, 16), seed, kept
        )
        save_stage(run, "parts", second.content, second.spec)
        errors, _ = part_errors(second.content, second.spec, data.parts[parts.test], data.keypoints[parts.test])
        figures |= {
            "part_error_mm": float(np.nanmean(errors)) / second.spec.px_per_mm,
            "part_error_mm_median": float(np.nanmedian(errors)) / second.spec.px_per_mm,
        }
    content, held = (run / PARTS).read_bytes(), parts.calibration
    spec = with_likelihood(content, load_struct(run / "parts.json", Parts), data.parts[held], data.keypoints[held])
    save_struct(run / "parts.json", spec)
    return figures | {"likelihood_a": spec.likelihood_a, "likelihood_b": spec.likelihood_b}


def train_age(
    run: Path, effort: Effort, seed: int = 1, *, again: bool = False, settings: Finetune | None = None
) -> None:
    """Train the age model on the run's training cages and keep it as age.keras, with age-fit.json beside it."""
    from training.age.data import age_data
    from training.age.finetune import Finetune, finetune
    from training.age.outliers import outliers_for

    if (run / "age.keras").exists() and not again:
        return
    data = age_data(run, seed)
    train = data.where(split_by_group(data.group, seed).train)
    train = replace(train, outliers=outliers_for(run, train, seed))
    import_backend()
    finetune(run, train, age_spec(), settings or Finetune(steps=effort.age), seed)


def quantise_and_calibrate(run: Path, seed: int = 1, also: Path | None = None) -> None:
    """Make age.tflite, age.json and calibration.json of age.keras.

    also: another run, on whose animals the intervals are calibrated too, beside the held-out ones of this run.
    """
    from training.age.aggregates import count_real
    from training.age.calibrate import fit_domain, fit_intervals, fit_temperature
    from training.age.data import age_data
    from training.age.finetune import load_fit
    from training.age.fit import distributions, int8_embeddings
    from training.age.outliers import outliers_for
    from training.age.quantise_aware import quantise_carefully
    from training.age.repeated_readings import Readings, further_animals

    data = age_data(run, seed)
    fitted = load_fit(run)
    _check_seed(fitted.get("seed"), "fit", seed)
    split = split_by_group(data.group, seed)
    outliers = outliers_for(run, data.where(split.train), seed) if fitted.get("outliers") else None
    import_backend()
    spec = msgspec.structs.replace(age_spec(), head=fitted["head"])
    result, rounding = quantise_carefully(
        _load_age(run), data.crops[split.train], data.age_days[split.train], spec, seed=seed, outliers=outliers
    )
    held = split.calibration
    embeddings = int8_embeddings(result.content, data.crops[held])
    spec = fit_temperature(embeddings, data.age_days[held], result.spec)
    bins = np.array(spec.bin_centres_days)
    predicted, read = distributions(embeddings, spec) @ bins, Readings.of(data.where(held))
    if also is not None:
        further = further_animals(run, also, seed)
        told = distributions(int8_embeddings(result.content, further.crops), spec) @ bins
        predicted, read = np.concatenate([predicted, told]), read.beside(Readings.of(further))
    counted = {**count_real(read.age_days.astype(np.float64), read.animal), **read.counts()}
    some = np.flatnonzero(split.train)[:: max(1, int(split.train.sum()) // 1500)]
    calibration = Calibration(
        intervals=fit_intervals(predicted, read.age_days, read.animal, read.group, seed),
        domain=fit_domain(
            int8_embeddings(result.content, data.crops[some]),
            embeddings,
            outliers=None if outliers is None else int8_embeddings(result.content, outliers),
        ),
        validity=Validity(
            strains=data.strains or ((STRAIN,) if data.simulated else ()),
            min_age_days=float(max(0, np.floor(data.age_days[split.train].min() / 10) * 10)),
            max_age_days=float(np.ceil(data.age_days[split.train].max() / 10) * 10),
            view="top",
            lights=data.lights,
            max_sd_days=220.0,
            min_px_per_mm=3.9,
        ),
        training={**_provenance(data, split, seed), **counted, **fitted, **rounding},
    )
    (run / AGE).write_bytes(result.content)
    save_struct(run / "age.json", spec)
    save_struct(run / "calibration.json", calibration)


def evaluate(run: Path, seed: int = 1, also: Path | None = None) -> dict[str, float]:
    """Return the figures of the whole on the test animals, float32 and int8 alike.

    Writes report.html, report.json, report.md, contact-sheet.png, and predictions.csv with the calibration animals
    beside them. also: another run, whose animals were read repeatedly, for test-retest.
    """
    import json

    from training.age import predictions
    from training.age.data import age_data, known_ages
    from training.age.fit import float_embeddings, int8_embeddings
    from training.age.metrics import contact_sheet, finite, metrics_of, score
    from training.age.repeated_readings import read_again
    from training.report.material import gather
    from training.report.write import SHEET, write_report

    data = age_data(run, seed)
    table = known_ages(run)
    spec, calibration = load_struct(run / "age.json", Age), load_struct(run / "calibration.json", Calibration)
    _check_seed(calibration.training.get("seed"), "quantise", seed)
    import_backend()
    split = split_by_group(data.group, seed)
    held = split.calibration | split.test
    content = (run / AGE).read_bytes()
    int8 = int8_embeddings(content, data.crops[held])
    float32 = float_embeddings(_embedding_network(run), data.crops[held])
    told = predictions.predict(
        table[held], int8, float32, spec, calibration.domain, calibration.intervals, calibration.validity
    )
    told.insert(0, "split", np.where(split.test[held], "test", "calibration"))
    told = predictions.with_corrected_gap(told)
    predictions.write(run, told)
    test = split.test[held]
    white = (table["light"] == "white").to_numpy()[held]
    scored = score(
        int8[test],
        float32[test],
        data.age_days[split.test],
        data.animal[split.test],
        white[test],
        spec,
        calibration.domain,
    )
    median = float(np.median(data.age_days[split.train]))
    metrics = metrics_of(scored, median, calibration.intervals, np.array(spec.bin_centres_days))
    if (run / "data.npz").exists():
        metrics |= finite(_locator_metrics(run, open_data(run), seed))
    contact_sheet(run / SHEET, data.crops[split.test], scored)
    title, notice = ("The demo model on held-out simulated mice", NOTICE) if data.simulated else (OWN_TITLE, OWN_NOTICE)
    material = gather(data, table, split, int8, told, (content, spec, calibration), seed)
    if also is not None:
        material = replace(material, again=read_again(run, also, content, spec, calibration, seed))
    write_report(run, metrics, title, notice, material, (run / SHEET).read_bytes())
    (run / EVALUATED).write_text(json.dumps({AGE: _sha256(run / AGE)}) + "\n")
    return metrics


def _check_seed(was: object, step: str, seed: int) -> None:
    """Raise OperatorError where an earlier step divided the animals otherwise: what taught the model would judge it."""
    if isinstance(was, int) and was != seed:
        raise OperatorError(
            f"--seed: expected {was}, by which `{step}` divided the animals, got {seed}; with another one, animals "
            "that the model was trained on would count as unseen"
        )


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _locator_metrics(run: Path, data: Dataset, seed: int) -> dict[str, float]:
    from edge.contract.manifest import CENTRES, Centres
    from training.locator.fit import centre_scores, part_errors

    if not (run / PARTS).exists() or not (run / CENTRES).exists():
        return {}
    views, parts = split_by_group(data.view_cage, seed).test, split_by_group(data.part_cage, seed).test
    spec = load_struct(run / "parts.json", Parts)
    centres = load_struct(run / "centres.json", Centres)
    errors, _ = part_errors((run / PARTS).read_bytes(), spec, data.parts[parts], data.keypoints[parts])
    return {
        "part_error_mm": float(np.nanmean(errors)) / spec.px_per_mm,
        "part_error_mm_median": float(np.nanmedian(errors)) / spec.px_per_mm,
        **centre_scores((run / CENTRES).read_bytes(), centres, data.views[views], data.centres[views]),
    }


def _load_age(run: Path):  # type: ignore[no-untyped-def]
    import keras

    if not (run / "age.keras").exists():
        raise OperatorError(f"{run / 'age.keras'}: there is no trained age model; run `cageclock-train fit` first")
    return keras.models.load_model(run / "age.keras", compile=False)


def _embedding_network(run: Path):  # type: ignore[no-untyped-def]
    import keras

    whole = _load_age(run)
    return keras.Model(whole.input, whole.get_layer("embedding").output)


def _provenance(data: AgeData, split: Split, seed: int) -> dict[str, str | int | float | bool | None]:
    import hashlib

    fingerprint = hashlib.sha256(data.age_days.tobytes() + data.animal.tobytes()).hexdigest()
    counts = {
        f"{name}_animals": len(np.unique(data.animal[mask]))
        for name, mask in (("train", split.train), ("calibration", split.calibration), ("test", split.test))
    }
    cages = {
        f"{name}_cages": len(np.unique(data.group[mask]))
        for name, mask in (("train", split.train), ("calibration", split.calibration), ("test", split.test))
    }
    source = "simulated cages" if data.simulated else "own animals"
    return {"source": source, "seed": seed, "split": "by cage", "data_sha256": fingerprint, **counts, **cages}
