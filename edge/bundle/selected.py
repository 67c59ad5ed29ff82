"""Which bundle the device is to run, by its settings and its slots; and the keys that may sign one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.config.tree import Config
from edge.contract.bundle.demo import DEMO_BUNDLE
from edge.errors import BundleError, OperatorError

if TYPE_CHECKING:
    from edge.contract.bundle.bundle import Bundle
    from edge.vision.model.loaded import LoadedModel

ACTIVE = "bundles/active.bundle"
PREVIOUS = "bundles/previous.bundle"


def bundle_path(config: Config) -> Path:
    """Return the bundle file: the configured one, else the active slot, else the demo bundle of this package."""
    if config.bundle.path is not None:
        return Path(config.bundle.path)
    active = Path(config.state_dir) / ACTIVE
    # A link that leads nowhere is an error to be reported, not a reason to run the demo's model.
    return active if active.is_symlink() or active.exists() else DEMO_BUNDLE


def trusted_keys(config: Config) -> list[bytes]:
    """Return the public keys (PEM) that may sign a bundle.

    Raises:
        OperatorError: a key file cannot be read.
    """
    from edge.contract.bundle.keys import read_trusted_keys

    named = config.bundle.trusted_keys
    return read_trusted_keys(None if named is None else [Path(name) for name in named])


def load(config: Config, path: Path | None = None) -> LoadedModel:
    """Return the model of `path`, by default of the bundle that should run, its signature and digests checked.

    Raises:
        OperatorError: there is no bundle or key file at the path in the settings.
        BundleError: the bundle must not be used.
    """
    from edge.vision.model.loaded import load_model

    return load_model(read(config, path or bundle_path(config)), config.bundle.threads)


def read(config: Config, path: Path) -> Bundle:
    """Return the bundle of a file, its signature and digests checked with the keys that the settings trust.

    Raises:
        OperatorError: there is no such file, or no key file at the path in the settings.
        BundleError: it must not be used, or cannot be read.
    """
    from edge.contract.bundle.bundle import read_bundle

    if not path.is_file():
        raise OperatorError(f"bundle.path: there is no model bundle at {path}; copy one there or correct the path")
    try:
        return read_bundle(path, trusted_keys(config))
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
