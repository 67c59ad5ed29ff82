"""`quantise`: the age model in int8, its temperature, intervals and domain calibrated on held-out animals."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge.contract.base import Scalar
from edge.contract.manifest import AGE, Validity
from training.crops.split import Split, split_by_group
from training.few_units import LEAST, can_give, chance_of_poor_coverage, in_words
from training.networks.int8 import import_backend
from training.networks.shapes import age_spec
from training.run import AGE_SPEC, CALIBRATION, Calibration, Run, check_seed
from training.simulated.table import STRAIN

if TYPE_CHECKING:
    from training.age.data import AgeData


def quantise_and_calibrate(run: Run, seed: int = 1, also: Run | None = None) -> None:
    """Make age.tflite, age.json and calibration.json of age.keras.

    also: another run, on whose animals the intervals are calibrated too, beside the held-out ones of this run.
    """
    from training.age.aggregates import count_real
    from training.age.calibrate import fit_domain, fit_intervals, fit_temperature
    from training.age.data import age_data
    from training.age.finetune import load_fit, load_network
    from training.age.fit import distributions, int8_embeddings
    from training.age.outliers import outliers_for
    from training.age.quantise_aware import quantise_carefully
    from training.age.repeated_readings import Readings, further_animals

    data = age_data(run, seed)
    fitted = load_fit(run)
    check_seed(fitted.get("seed"), "fit", seed)
    split = split_by_group(data.group, seed)
    outliers = outliers_for(run, data.where(split.train), seed) if fitted.get("outliers") else None
    import_backend()
    spec = msgspec.structs.replace(age_spec(), head=fitted["head"])
    result, rounding = quantise_carefully(
        load_network(run), data.crops[split.train], data.age_days[split.train], spec, seed=seed, outliers=outliers
    )
    held = split.calibration
    embeddings = int8_embeddings(result.content, data.crops[held])
    spec = fit_temperature(embeddings, data.age_days[held], result.spec)
    bins = np.array(spec.bin_centres_days)
    predicted, read = distributions(embeddings, spec) @ bins, Readings.of(data.where(held))
    if also is not None:
        further = further_animals(run, also, seed)
        further_predicted = distributions(int8_embeddings(result.content, further.crops), spec) @ bins
        predicted, read = np.concatenate([predicted, further_predicted]), read.beside(Readings.of(further))
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
        training={**_provenance(data, split, seed), **counted, **fitted, **rounding, **_reliance(counted)},
    )
    print(in_words(calibration.intervals), file=sys.stderr)
    run.write_bytes(AGE, result.content)
    run.write_struct(AGE_SPEC, spec)
    run.write_struct(CALIBRATION, calibration)


def _reliance(counted: Mapping[str, int]) -> dict[str, Scalar]:
    """Return how far the intervals can be relied on, for the manifest; a sentence where there are none."""
    cages = counted["interval_cages"]
    if not can_give(cages):
        return {"intervals": f"none: {cages} cages cannot give 90%, {LEAST} are the least"}
    return {"interval_chance_below_80": round(chance_of_poor_coverage(cages), 4)}


def _provenance(data: AgeData, split: Split, seed: int) -> dict[str, Scalar]:
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
