"""What a person decides about a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NOTICE: Final = "trained on simulated mice; no biological claim"
OWN_NOTICE: Final = "figures of the animals in this dataset; another colony, strain or camera needs its own"


@dataclass(frozen=True, slots=True)
class Label:
    """Name, version, release, notice and channel of a bundle, as its manifest will hold them.

    release: None where it is counted when the bundle is signed.
    """

    name: str
    model_version: str
    release: int | None
    notice: str = NOTICE
    channel: str = "demo"
