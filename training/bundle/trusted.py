"""Bundles that are read as a source: of a locator, or of an age model; only with the key that signed them."""

from __future__ import annotations

from pathlib import Path

from edge.contract.bundle.bundle import Bundle, read_bundle
from edge.contract.bundle.demo import DEMO_BUNDLE, DEMO_KEY
from edge.errors import OperatorError


def open_trusted(bundle: Path, key: Path) -> Bundle:
    """Return a bundle that this public key signed.

    Raises:
        OperatorError: there is no such bundle, or no such key.
        BundleError: the bundle must not be used.
    """
    if not bundle.is_file():
        raise OperatorError(f"{bundle}: expected a bundle, there is none")
    if not key.is_file():
        raise OperatorError(f"{key}: expected the bundle's public key (PEM), there is none")
    return read_bundle(bundle, [key.read_bytes()])


def age_source(path: Path | None) -> Bundle:
    """Return the bundle whose age model is packed in: this one, its public key beside it as .pub, or the demo's.

    Raises:
        OperatorError: it or its key is missing.
        BundleError: it must not be used.
    """
    return open_trusted(path, path.with_suffix(".pub")) if path is not None else open_trusted(DEMO_BUNDLE, DEMO_KEY)
