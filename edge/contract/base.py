"""What every message and settings struct has in common: frozen, strict, by keyword."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen struct that refuses unknown fields. Subclasses repeat `frozen` for mypy, add `kw_only` for msgspec."""


Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, msgspec.Meta(gt=0.0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Sequence = Annotated[int, msgspec.Meta(ge=1)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Epoch = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
Scalar = str | int | float | bool | None
