"""`evaluate`: the figures of the whole on the test animals, and the report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge.contract.manifest import AGE, Age
from training.bundle.label import NOTICE, OWN_NOTICE
from training.crops.split import split_by_group
from training.networks.int8 import import_backend
from training.run import AGE_SPEC, CALIBRATION, EVALUATED, Calibration, Run, check_seed
from training.steps.locator_from_simulation import locator_metrics

OWN_TITLE = "The age model on held-out animals"


def evaluate(run: Run, seed: int = 1, also: Run | None = None) -> dict[str, float]:
    """Return the figures of the whole on the test animals, float32 and int8 alike.

    Writes report.html, report.json, report.md, contact-sheet.png, and predictions.csv with the calibration animals
    beside them. also: another run, whose animals were read repeatedly, for test-retest.
    """
    from training.age import predictions
    from training.age.data import age_data, known_ages
    from training.age.finetune import embedding_network
    from training.age.fit import float_embeddings, int8_embeddings
    from training.age.metrics import contact_sheet, finite, metrics_of, score
    from training.age.repeated_readings import read_again
    from training.report.material import gather
    from training.report.write import SHEET, write_report

    data = age_data(run, seed)
    table = known_ages(run)
    spec, calibration = run.read_struct(AGE_SPEC, Age), run.read_struct(CALIBRATION, Calibration)
    check_seed(calibration.training.get("seed"), "quantise", seed)
    import_backend()
    split = split_by_group(data.group, seed)
    held = split.calibration | split.test
    content = run.read_bytes(AGE)
    int8 = int8_embeddings(content, data.crops[held])
    float32 = float_embeddings(embedding_network(run), data.crops[held])
    predicted = predictions.predict(
        table[held], int8, float32, spec, calibration.domain, calibration.intervals, calibration.validity
    )
    predicted.insert(0, "split", np.where(split.test[held], "test", "calibration"))
    predicted = predictions.with_corrected_gap(predicted)
    predictions.write(run, predicted)
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
    metrics |= finite(locator_metrics(run, seed))
    contact_sheet(run.path(SHEET), data.crops[split.test], scored)
    title, notice = ("The demo model on held-out simulated mice", NOTICE) if data.simulated else (OWN_TITLE, OWN_NOTICE)
    material = gather(data, table, split, int8, predicted, (content, spec, calibration), seed)
    if also is not None:
        material = replace(material, again=read_again(run, also, content, spec, calibration, seed))
    write_report(run, metrics, title, notice, material, run.read_bytes(SHEET))
    run.write_json(EVALUATED, {AGE: run.sha256(AGE)})
    return metrics
