"""Which bundle the device is to run, by its settings and its slots; and the keys that may sign one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.config.tree import Config
from edge.contract.bundle.demo import DEMO_BUNDLE
from edge.errors import BundleError, BundleRevoked, OperatorError

if TYPE_CHECKING:
    from edge.contract.bundle.bundle import Bundle, Trusted
    from edge.vision.model.loaded import LoadedModel

ACTIVE = "bundles/active.bundle"
PREVIOUS = "bundles/previous.bundle"
TRUST = "bundles/trust.json"


def bundle_path(config: Config) -> Path:
    """Return the bundle file: the configured one, else the active slot, else the demo bundle of this package."""
    if config.bundle.path is not None:
        return Path(config.bundle.path)
    active = Path(config.state_dir) / ACTIVE
    # A link that leads nowhere is an error to be reported, not a reason to run the demo's model.
    return active if active.is_symlink() or active.exists() else DEMO_BUNDLE


def trusted_keys(config: Config) -> Trusted:
    """Return whose signatures vouch for the bundle that runs: public keys (PEM), or the rule of trust statements.

    Raises:
        OperatorError: a key file cannot be read.
    """
    from edge.bundle.trust_store import trusted_to_run

    return trusted_to_run(config)


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
        BundleError: it must not be used, or cannot be read; of these BundleRevoked: its digest is revoked.
    """
    from edge.bundle.trust_store import revoked_bundles
    from edge.contract.bundle.bundle import read_bundle

    if not path.is_file():
        raise OperatorError(f"bundle.path: there is no model bundle at {path}; copy one there or correct the path")
    try:
        bundle = read_bundle(path, trusted_keys(config))
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
    if bundle.sha256 in revoked_bundles(config):
        raise BundleRevoked(f"{path}: revoked bundle: the lab's trust statement revokes {bundle.sha256[:12]}")
    return bundle
