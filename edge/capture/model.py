"""Which bundle the device runs, loaded; a model that cannot be had is a state, not the end of capturing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.config.tree import Config
from edge.demo.bundle_path import DEMO_BUNDLE
from edge.errors import BundleError, OperatorError

if TYPE_CHECKING:
    from edge.model.loaded import LoadedModel

ACTIVE = "bundles/active.bundle"


def bundle_path(config: Config) -> Path:
    """Return the bundle file: the configured one, else the active slot, else the demo bundle that comes along."""
    if config.bundle.path is not None:
        return Path(config.bundle.path)
    active = Path(config.state_dir) / ACTIVE
    return active if active.exists() else DEMO_BUNDLE


def trusted_keys(config: Config) -> list[bytes]:
    """Return the public keys (PEM) that may sign a bundle.

    Raises:
        OperatorError: a key file cannot be read.
    """
    from edge.model.keys import read_trusted_keys

    named = config.bundle.trusted_keys
    return read_trusted_keys(None if named is None else [Path(name) for name in named])


def load(config: Config) -> LoadedModel:
    """Return the model, its signature and digests checked.

    Raises:
        OperatorError: there is no bundle or key file where the settings say.
        BundleError: the bundle must not be used.
    """
    from edge.model.bundle import read_bundle
    from edge.model.loaded import load_model

    path = bundle_path(config)
    if not path.is_file():
        raise OperatorError(f"bundle.path: there is no model bundle at {path}; copy one there or correct the path")
    try:
        return load_model(read_bundle(path, trusted_keys(config)), config.bundle.threads)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error


class ModelSource:
    """Loads the model when it is first needed, and again after a failure once the bundle file has changed."""

    def __init__(self, config: Config) -> None:
        """Nothing is loaded yet."""
        self._config = config
        self._model: LoadedModel | None = None
        self._tried: tuple[str, int, int] | None = None
        self.problem: OperatorError | BundleError | None = None

    def get(self) -> LoadedModel | None:
        """Return the model, or None with `problem` set."""
        if self._model is not None:
            return self._model
        seen = self._fingerprint()
        if self.problem is None or seen != self._tried:
            self._tried = seen
            try:
                self._model, self.problem = load(self._config), None
                self._tell(self._model)
            except (OperatorError, BundleError) as error:
                self.problem = error
        return self._model

    @staticmethod
    def _tell(model: LoadedModel) -> None:
        """Log what runs, and on which runtime: it decides speed and, between kernels, the last bit."""
        said = model.describe()
        text = f"cageclock: model {said.name} {said.model_version}, release {said.release}, on {said.runtime}"
        print(text, flush=True)

    def _fingerprint(self) -> tuple[str, int, int] | None:
        path = bundle_path(self._config)
        try:
            state = path.stat()
        except OSError:
            return None
        return str(path), state.st_mtime_ns, state.st_size
