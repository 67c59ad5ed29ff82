"""Small pictures of made-up animals that grow brighter with age: enough to train on in a second."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd

from edge.contract.manifest import Age, Tensor
from training.age.data import AgeData
from training.crops.table import Crops, complete
from training.networks.shapes import age_spec

SPEC: Age = msgspec.structs.replace(
    age_spec(),
    width=96,
    height=64,
    embedding_size=8,
    input=Tensor(name="input", shape=(1, 64, 96, 1), dtype="int8", scale=1 / 255, zero_point=-128),
    output=Tensor(name="embedding", shape=(1, 8), dtype="int8", scale=0.1, zero_point=0),
)


def small_animals(animals: int = 12, each: int = 6, seed: int = 1) -> AgeData:
    """Return crops uint8 (animals * each, 64, 96, 1) of animals in as many cages, at random ages."""
    rng = np.random.default_rng(seed)
    count = animals * each
    age = rng.uniform(60, 900, count).astype(np.float32)
    noise = rng.integers(0, 40, (count, 64, 96, 1))
    crops = (noise + (age / 900 * 200)[:, None, None, None]).astype(np.uint8)
    animal = np.repeat(np.arange(animals, dtype=np.int32), each)
    return AgeData(crops, age, animal, animal)


def small_crops(data: AgeData, **columns: object) -> Crops:
    """Return the same as crops with a table, one animal a cage; columns: more of them."""
    subject = [f"m{animal}" for animal in data.animal]
    table = pd.DataFrame({"subject": subject, "cage": subject, "age_days": data.age_days, **columns})
    return Crops(data.crops, complete(table))
