"""The settings file into the frozen tree, or one clear error. It never writes, never clamps, never guesses."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import get_args

from edge.config.crosschecks import check_together
from edge.config.tree import ClockTime, Config, Name
from edge.contract import jsontext
from edge.contract.service.settings.convert import Wording, convert
from edge.contract.service.settings.document import Document, parse_document, read_document
from edge.errors import ConfigError

_PATTERNS = {
    get_args(ClockTime)[1].pattern: "a clock time HH:MM from 00:00 to 23:59, such as 07:00",
    get_args(Name)[1].pattern: "a name of 1-32 characters a-z, 0-9 and '-', such as cage07",
}
_OTHER_WORDS = {
    "lights_off": "light_hours (how many hours the light stays on after lights_on)",
    "light_off": "light_hours (how many hours the light stays on after lights_on)",
    "timezone": "zone (a fixed offset such as '+01:00', or an IANA zone)",
    "tz": "zone (a fixed offset such as '+01:00', or an IANA zone)",
    "broker": "host (the broker's name or address)",
    "server": "host (the broker's name or address)",
    "address": "host (the broker's name or address)",
    "user": "username",
    "ca_file": "ca (the broker's authority, PEM)",
    "cert_file": "certificate (PEM)",
    "key_file": "key (PEM, or credential:NAME)",
    "scale": "px_per_mm (pixels of the main stream per millimetre on the cage floor)",
    "mm_per_px": "px_per_mm (pixels per millimetre, the reciprocal)",
    "interval_s": "interval_light_s and interval_dark_s",
    "name": "id",
}
"""What people write -> the key that means it, with what it wants, where the two look unlike."""
WORDING = Wording(other_words=_OTHER_WORDS, patterns=_PATTERNS)


def load_config(path: Path | str) -> Config:
    """Return the settings of one device.

    Raises:
        OperatorError: the file cannot be read.
        ConfigError: a key is unknown, missing, of the wrong type or out of range.
    """
    return _checked(read_config(Path(path)))


def read_config(path: Path) -> Document:
    """Return what a settings file says, unchecked.

    Raises:
        OperatorError: the file cannot be read.
        ConfigError: it is no YAML, or says a key twice.
    """
    return read_document(path, hint=f"`cageclock init {path}` writes an example")


def parse_config(text: str) -> Config:
    """Return the settings that the YAML text holds.

    Raises:
        ConfigError: a key is unknown, missing, of the wrong type or out of range.
    """
    return _checked(parse_document(text))


def config_sha256(config: Config) -> str:
    """Return the SHA-256 of the whole tree, defaults included: two files that mean the same have the same digest."""
    return hashlib.sha256(jsontext.encode(config)).hexdigest()


def _checked(document: Document) -> Config:
    config = convert(document, Config, WORDING)
    try:
        check_together(config)
    except ConfigError as error:
        raise document.place(error) from error
    return config
