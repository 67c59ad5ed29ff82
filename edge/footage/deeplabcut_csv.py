"""Body parts as DeepLabCut's CSV: a file that is whole or not there, written row by row."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from edge.contract.reading import Keypoint
from edge.errors import OperatorError

_COORDS = ("x", "y", "likelihood")


class KeypointCsv:
    """Header rows scorer, bodyparts and coords, with several animals `individuals` too; then a row a picture.

    As of an analysed video in DeepLabCut (Mathis et al., 2018; several animals: Lauer et al., 2022). Rows go to
    `.<name>.part` beside the file, which takes the file's name when the block ends well and is removed otherwise.
    A pipe or a device file is written to directly.
    """

    def __init__(self, out: Path, parts: Sequence[str], scorer: str, animals: int = 1) -> None:
        """Nothing is opened yet; `animals` above 1 makes columns `animal1`, `animal2`, ..."""
        self.out, self._parts, self._scorer, self._animals = out, parts, scorer, animals
        direct = os.path.exists(out) and not os.path.isfile(out)
        self._target = out if direct else Path(os.path.realpath(out))
        self._part = out if direct else self._target.with_name(f".{self._target.name}.part")
        self._rows = 0

    def __enter__(self) -> Self:
        """Open the file and write the header rows.

        Raises:
            OperatorError: it cannot be written.
        """
        made = False
        try:
            with self._translated():
                # Names of pictures may be any bytes: they come out as they went in.
                self._file = self._part.open("w", newline="", encoding="utf-8", errors="surrogateescape")
                self._writer = csv.writer(self._file, lineterminator="\n")
                self._writer.writerows(self._header())
            made = True
        finally:
            if not made and self._part != self._target:  # Ctrl-C here ends no block that would clear up
                with suppress(OSError):
                    self._part.unlink()
        return self

    def add(self, name: str, found: Sequence[Sequence[Keypoint]]) -> None:
        """Write a row: the picture's path or frame number, and per animal its body parts, none where not found.

        x and y in pixels, likelihood 0-1; cells of what was not found are empty.

        Raises:
            OperatorError: it cannot be written.
        """
        cells = [cell for keypoints in found for cell in self._cells(keypoints)]
        if not self._rows and not any(cells):
            # pandas takes a first row of empty cells for the name of the index, and loses it.
            cells[0] = "NaN"
        self._rows += 1
        with self._translated():
            self._writer.writerow([name, *cells])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the file its name, or remove it where the block did not end well."""
        done = False
        try:
            with self._translated():
                self._file.close()
                if kind is None and self._part != self._target:
                    os.replace(self._part, self._target)
                done = kind is None
        finally:
            if not done and self._part != self._target:
                self._part.unlink(missing_ok=True)

    def _header(self) -> Iterator[list[str]]:
        parts, several = self._parts, self._animals > 1
        yield ["scorer"] + [self._scorer] * 3 * len(parts) * self._animals
        if several:
            yield ["individuals", *(f"animal{n + 1}" for n in range(self._animals) for _ in range(3 * len(parts)))]
        yield ["bodyparts"] + [part for part in parts for _ in _COORDS] * self._animals
        yield ["coords", *_COORDS * (len(parts) * self._animals)]

    def _cells(self, keypoints: Sequence[Keypoint]) -> Iterator[str]:
        by_part = {point.part: point for point in keypoints}
        for part in self._parts:
            point = by_part.get(part)
            yield from ("", "", "") if point is None else (f"{one:g}" for one in (point.x, point.y, point.likelihood))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OperatorError(f"{self.out}: cannot write the CSV: {error.strerror}") from error
