"""Rows of the one table that `make bench` prints."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure: what, how much with its unit, as a ratio to what (or empty), and a remark."""

    what: str
    value: str
    ratio: str = ""
    remark: str = ""


def machine() -> str:
    """Return one line on the machine that the figures belong to."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or "unknown processor",
    )
    cores = sum(line.startswith("processor") for line in _lines("/proc/cpuinfo"))
    return f"{model}, {cores} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def markdown(title: str, rows: Iterable[Row]) -> str:
    """Return a section of the table as Markdown."""
    lines = [f"### {title}", "", "| what | value | ratio | remark |", "| --- | ---: | ---: | --- |"]
    lines += [f"| {row.what} | {row.value} | {row.ratio} | {row.remark} |" for row in rows]
    return "\n".join(lines) + "\n"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
