"""The folder of a run: what its files are called, how they are read and written, and which command makes each.

data.npz (simulate) -> crops.npz, crops.csv -> centres, parts (.tflite, .json) -> age.keras, age-fit.json (fit)
-> age.tflite, age.json, calibration.json (quantise) -> report.*, predictions.csv (evaluate) -> NAME.bundle
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from edge.contract import jsontext
from edge.contract.base import Scalar, Struct
from edge.contract.manifest import AGE, CENTRES, PARTS, PREPROCESS_VERSIONS, Centres, Domain, Intervals, Parts, Validity
from edge.errors import MessageError, OperatorError
from training import whole_file

DATA: Final = "data.npz"
CROPS, CROP_TABLE = "crops.npz", "crops.csv"
CENTRES_SPEC, PARTS_SPEC, AGE_SPEC = "centres.json", "parts.json", "age.json"
LOCATOR_SAMPLES: Final = "locator-samples.npz"
AGE_NETWORK, AGE_FIT = "age.keras", "age-fit.json"
"""The trained model, and what `quantise` must know of it."""
CALIBRATION: Final = "calibration.json"
BACKBONE: Final = "backbone.keras"
REPORT, EVALUATED = "report.json", "evaluated.json"
"""The figures, and the digest of the network that they speak of."""
PREDICTIONS: Final = "predictions.csv"
CUT_BY: Final = "cut-by.json"
"""By which versions of the preprocessing the pictures were cut that crops and networks were made of."""

_MADE_BY: Final[dict[str, tuple[str, ...]]] = {
    DATA: ("data", "simulate"),
    CROPS: ("file of crops", "simulate", "crops DATASET"),
    CROP_TABLE: ("table of crops", "simulate", "crops DATASET"),
    CENTRES: ("first stage of a locator", "locator"),
    CENTRES_SPEC: ("first stage of a locator", "locator"),
    PARTS: ("second stage of a locator", "locator"),
    PARTS_SPEC: ("second stage of a locator", "locator"),
    AGE_NETWORK: ("trained age model", "fit"),
    AGE_FIT: ("trained age model", "fit"),
    AGE: ("int8 age model", "quantise"),
    AGE_SPEC: ("int8 age model", "quantise"),
    CALIBRATION: ("calibration", "quantise"),
    BACKBONE: ("pretrained backbone", "pretrain"),
    REPORT: ("report", "evaluate"),
    PREDICTIONS: ("table of predictions", "evaluate"),
}
T = TypeVar("T")


class Calibration(Struct, frozen=True, kw_only=True):
    """What `quantise` leaves beside the age network: `calibration.json`."""

    intervals: tuple[Intervals, ...]
    domain: Domain
    validity: Validity
    training: dict[str, Scalar]


class Run:
    """A run's folder, which need not exist before something is written. Every file is written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is read or made."""
        self.folder = folder

    def __str__(self) -> str:
        """Return the folder's path, for messages."""
        return str(self.folder)

    def path(self, name: str) -> Path:
        """Return where a file of the run lies, whether it is there or not."""
        return self.folder / name

    def has(self, *names: str) -> bool:
        """Return whether all these files are there."""
        return all(self.path(name).exists() for name in names)

    def require(self, name: str) -> Path:
        """Return the path of a file that must be there.

        Raises:
            OperatorError: it is not; the sentence names the command that makes it.
        """
        path = self.path(name)
        if not path.exists():
            what, *commands = _MADE_BY.get(name, ("such file",))
            ways = " or ".join(f"`cageclock-train {command} --out {self}`" for command in commands)
            advice = f"run {ways} first" if ways else "run the steps before this"
            raise OperatorError(f"{path}: there is no {what}; {advice}")
        return path

    def read_bytes(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            OperatorError: it is not there.
        """
        return self.require(name).read_bytes()

    def read_struct(self, name: str, kind: type[T]) -> T:
        """Return the struct that a JSON file of the run holds.

        Raises:
            OperatorError: it is missing or malformed.
        """
        try:
            return jsontext.decode(self.read_bytes(name), kind)
        except MessageError as error:
            raise OperatorError(f"{self.path(name)}: {error}") from error

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the object that a JSON file of the run holds.

        Raises:
            OperatorError: it is missing or no JSON object.
        """
        try:
            found = json.loads(self.read_bytes(name))
        except ValueError as error:
            raise OperatorError(f"{self.path(name)}: expected JSON, got {error}; make it again") from error
        if not isinstance(found, dict):
            raise OperatorError(f"{self.path(name)}: expected a JSON object, got {type(found).__name__}")
        return found

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a path to write to, which takes the place of the run's file when the block ends."""
        with whole_file.replacing(self.path(name)) as half:
            yield half

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file of the run."""
        whole_file.write_bytes(self.path(name), content)

    def write_struct(self, name: str, value: msgspec.Struct) -> None:
        """Write a struct as indented JSON."""
        self.write_bytes(name, msgspec.json.format(jsontext.encode(value), indent=1) + b"\n")

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Write an object as indented JSON."""
        whole_file.write_text(self.path(name), json.dumps(values, indent=1) + "\n")

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of a file, as 64 hex digits.

        Raises:
            OperatorError: it is not there.
        """
        return hashlib.sha256(self.read_bytes(name)).hexdigest()

    def centres(self) -> tuple[bytes, Centres]:
        """Return the locator's first stage: its network and its entry of the manifest.

        Raises:
            OperatorError: it is missing or malformed.
        """
        return self.read_bytes(CENTRES), self.read_struct(CENTRES_SPEC, Centres)

    def parts(self) -> tuple[bytes, Parts]:
        """Return the locator's second stage: its network and its entry of the manifest.

        Raises:
            OperatorError: it is missing or malformed.
        """
        return self.read_bytes(PARTS), self.read_struct(PARTS_SPEC, Parts)

    def save_stage(self, content: bytes, spec: Centres | Parts, cut_by: tuple[str, ...] | None = None) -> None:
        """Write one stage of the locator, from which `bundle` packs.

        cut_by: the versions of the preprocessing that make the pictures it learnt from; None leaves what is noted.
        """
        names = (CENTRES, CENTRES_SPEC) if isinstance(spec, Centres) else (PARTS, PARTS_SPEC)
        if cut_by is not None:
            self.note_cut_by(names[0], cut_by)
        self.write_bytes(names[0], content)
        self.write_struct(names[1], spec)

    def note_cut_by(self, name: str, versions: tuple[str, ...]) -> None:
        """Note the versions of the preprocessing that make the very pictures that a file holds or was trained on."""
        noted = self.read_json(CUT_BY) if self.has(CUT_BY) else {}
        self.write_json(CUT_BY, noted | {name: list(versions)})

    def cut_by(self, name: str) -> tuple[str, ...]:
        """Return those versions; version 2 where nothing is noted, as it was before there was another."""
        noted = self.read_json(CUT_BY) if self.has(CUT_BY) else {}
        return tuple(str(version) for version in noted.get(name, ("2",)))

    def preprocess_version(self) -> str:
        """Return the newest version of the preprocessing by which crops and both stages of the locator were cut.

        Raises:
            OperatorError: there is none: one bundle cannot show each network what it learnt from.
        """
        by_file = {name: self.cut_by(name) for name in (CROPS, CENTRES, PARTS)}
        for version in reversed(PREPROCESS_VERSIONS):
            if all(version in versions for versions in by_file.values()):
                return version
        stated = ", ".join(f"{name} by version {' or '.join(versions)}" for name, versions in by_file.items())
        raise OperatorError(
            f"{self}: expected crops and locator cut from their pictures by one version of the preprocessing, got "
            f"{stated}; run `cageclock-train crops` with --bundle of that locator, or train the locator again"
        )


def check_seed(recorded: object, step: str, seed: int) -> None:
    """Check that an earlier step divided the animals by the same seed: what taught the model would judge it.

    Raises:
        OperatorError: it divided them by another one.
    """
    if isinstance(recorded, int) and recorded != seed:
        raise OperatorError(
            f"--seed: expected {recorded}, by which `{step}` divided the animals, got {seed}; with another one, "
            "animals that the model was trained on would count as unseen"
        )
