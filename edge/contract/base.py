"""What every message and settings struct has in common: frozen, strict, by keyword, and bounded."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

MAX_SEQ: Final = 2**53 - 1
"""The highest sequence number, and the highest count: every JSON reader holds it exactly, and no database overflows."""
MAX_RECORD_BYTES: Final = 256 * 1024
"""Of one record, head and body, and of one message in which a device describes itself."""


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen struct that refuses unknown fields. Subclasses repeat `frozen` for mypy, add `kw_only` for msgspec."""


Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Number = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
"""A measurement of any unit: sums and squares of many of them stay finite."""
Positive = Annotated[float, msgspec.Meta(gt=0.0, le=1e15)]
NotNegative = Annotated[float, msgspec.Meta(ge=0.0, le=1e15)]
Days = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
Seconds = Annotated[float, msgspec.Meta(ge=-1e10, le=1e10)]
"""A time span of at most 317 years, or a Unix time within that span."""
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]
Sequence = Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)]
# `$` also matches before a newline at the end; the length does not.
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
Epoch = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
Name = Annotated[str, msgspec.Meta(max_length=256)]
Text = Annotated[str, msgspec.Meta(max_length=32_768)]
Scalar = Text | int | float | bool | None
Detail = Annotated[dict[Name, Scalar], msgspec.Meta(max_length=128)]
Counters = Annotated[dict[Name, Count], msgspec.Meta(max_length=128)]
