"""A training on disk: what an interrupted one needs to go on with the same numbers as if nothing had happened.

Held: every variable of the network and of the optimiser (moments, average of the weights, step), the losses, and the
batches' position. Batches are drawn from (seed, position) alone, so that the position is the whole data order.
"""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import OperatorError
from training.whole_file import replacing


@dataclass(slots=True)
class Checkpoint:
    """One file, written whole every `every_s` seconds and when the training is interrupted; removed when it is done.

    fingerprint: what the training depends on; a checkpoint of another one is refused.
    resume: go on from the file where there is one; otherwise it is overwritten.
    """

    path: Path
    fingerprint: str
    resume: bool
    every_s: float = 60.0
    _saved_at: float = 0.0

    def restore(self, network: Any, optimizer: Any) -> list[float]:
        """Put the saved variables in place and return the losses so far, one a step; none for a fresh start.

        Raises:
            OperatorError: the file is damaged, or belongs to a training with other data or another recipe.
        """
        self._saved_at = time.monotonic()
        optimizer.build(network.trainable_variables)
        if not (self.resume and self.path.exists()):
            return []
        variables = _variables(network, optimizer)
        try:
            with np.load(self.path, allow_pickle=False) as saved:
                if str(saved["fingerprint"]) != self.fingerprint:
                    raise OperatorError(
                        f"{self.path}: expected a checkpoint of this training, got one with other data, seed or steps; "
                        "train without --resume, or with the options it was begun with"
                    )
                values = [saved[f"v{index}"] for index in range(len(variables))]
                losses = [float(value) for value in saved["losses"]]
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise OperatorError(f"{self.path}: expected a whole checkpoint, got {error}; remove it") from error
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return losses

    def save(self, network: Any, optimizer: Any, losses: list[float], *, now: bool = False) -> None:
        """Write the file if `every_s` have passed, or at once."""
        if not now and time.monotonic() - self._saved_at < self.every_s:
            return
        values = {f"v{i}": np.asarray(value) for i, value in enumerate(_variables(network, optimizer))}
        with replacing(self.path) as half, half.open("wb") as file:
            np.savez(file, fingerprint=np.array(self.fingerprint), losses=np.array(losses), **values)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        self._saved_at = time.monotonic()

    def remove(self) -> None:
        """Remove the file of a training that is done."""
        self.path.unlink(missing_ok=True)


def fingerprint(*parts: object) -> str:
    """Return a digest of arrays (by their bytes) and of anything else (by its repr)."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return digest.hexdigest()


def _variables(network: Any, optimizer: Any) -> list[Any]:
    return [*network.variables, *optimizer.variables]
