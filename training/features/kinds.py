"""What a column is that knows more than looks: a score by a person, weight, a batch, a tester; by its name.

Such a column may be used, but what it adds is no sign of age in a picture: scores are given by people who may know the
age, weight is a short cut, batches and testers stand for when and by whom an animal was measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SCORE, WEIGHT, BATCH, TESTER = "a score by people", "a weight", "a batch", "a tester"
_WORDS = {
    TESTER: "tester rater observer experimenter technician scorer operator examiner investigator handler assessor "
    "person untersucher",
    BATCH: "batch cohort plate session block wave shipment room rack arena camera site lab run experiment charge",
    WEIGHT: "weight bodyweight bw mass bodymass weightg gewicht wt",
    SCORE: "score scores scored rating rated graded frailty fi cfi bcs alopecia kyphosis dermatitis whiskers cataract "
    "cataracts piloerection prolapse tumour tumours tumor tumors malocclusion microphthalmia grimace",
}  # fmt: skip
_KIND_OF = {word: kind for kind, words in _WORDS.items() for word in words.split()}


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a column's name in small letters: of "BodyWeight_g" body, weight and g."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return tuple(word.lower() for word in re.split(r"[^A-Za-z0-9]+", spaced) if word)


def kind_of(name: str) -> str | None:
    """Return what a column of this name is, None where it is nothing that is known."""
    found = (_KIND_OF.get(word) or _KIND_OF.get(word.rstrip("0123456789")) for word in words_of(name))
    return next((kind for kind in found if kind is not None), None)


def kinds_of(names: Iterable[str]) -> dict[str, str]:
    """Return the kind of every column that has one."""
    return {name: kind for name in names if (kind := kind_of(name)) is not None}
