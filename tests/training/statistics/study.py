"""Made-up studies with known effects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd


def write_study(folder: Path, seed: int, animals: int = 90, site: str = "A", per_cage: int = 1) -> tuple[Path, Path]:
    """Write predictions and phenotypes of a study.

    The gap makes frailer and shortens life, weight has nothing to do with it, each allele adds 40 days to the gap,
    animals on rapamycin age 0.7 times as fast.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    readings, table = [], []
    for number in range(animals):
        name, drug = f"{site}{number:03d}", number // per_cage % 2 == 1
        alleles, first = int(rng.binomial(2, 0.4)), rng.uniform(150, 420)
        trait, rate = rng.normal(0, 50), rng.normal(1, 0.1) * (0.7 if drug else 1)
        for month in range(7):
            age = first + 30 * month
            looks = 150 + 0.75 * (first + rate * (age - first)) + trait + 40 * alleles + rng.normal(0, 35)
            cage, sex = f"{site}c{number // per_cage}", "MF"[number // 2 % 2]
            accepted = int(rng.random() > 0.1)
            readings.append((name, cage, sex, round(age, 2), round(looks, 2), accepted))
        gap = trait + 40 * alleles
        life = 300 + 0.8 * first + 500 * rng.weibull(4) * np.exp(-0.4 * gap / 60)
        table.append(
            {
                "subject": name,
                "genotype": ("+/+", "+/-", "-/-")[alleles],
                "treatment": "rapamycin" if drug else "vehicle",
                "frailty": 0.1 + 0.0004 * first + 0.05 * gap / 60 + rng.normal(0, 0.05),
                "weight_g": rng.normal(30, 3),
                "cataract": "yes" if rng.random() < 1 / (1 + np.exp(1 - 1.2 * gap / 60)) else "no",
                "end_days": min(life, 850),
                "fate": "alive" if life > 850 else "culled" if number % 5 == 0 else "died",
                "constant": 3.0,
            }
        )
    columns = ["subject", "cage", "sex", "age_days", "predicted_days", "accepted"]
    pd.DataFrame(readings, columns=columns).to_csv(folder / "predictions.csv", index=False)
    pd.DataFrame(table).to_csv(folder / "table.csv", index=False)
    return folder / "predictions.csv", folder / "table.csv"
