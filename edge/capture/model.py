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
PREVIOUS = "bundles/previous.bundle"


def bundle_path(config: Config) -> Path:
    """Return the bundle file: the configured one, else the active slot, else the demo bundle that comes along."""
    if config.bundle.path is not None:
        return Path(config.bundle.path)
    active = Path(config.state_dir) / ACTIVE
    # A link that leads nowhere is an error to be told, not a reason to run the demo's model.
    return active if active.is_symlink() or active.exists() else DEMO_BUNDLE


def trusted_keys(config: Config) -> list[bytes]:
    """Return the public keys (PEM) that may sign a bundle.

    Raises:
        OperatorError: a key file cannot be read.
    """
    from edge.model.keys import read_trusted_keys

    named = config.bundle.trusted_keys
    return read_trusted_keys(None if named is None else [Path(name) for name in named])


def load(config: Config, path: Path | None = None) -> LoadedModel:
    """Return the model of `path`, by default of the bundle that should run, its signature and digests checked.

    Raises:
        OperatorError: there is no bundle or key file where the settings say.
        BundleError: the bundle must not be used.
    """
    from edge.model.bundle import read_bundle
    from edge.model.loaded import load_model

    path = path or bundle_path(config)
    if not path.is_file():
        raise OperatorError(f"bundle.path: there is no model bundle at {path}; copy one there or correct the path")
    try:
        return load_model(read_bundle(path, trusted_keys(config)), config.bundle.threads)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error


class ModelSource:
    """Loads the model when it is first needed, and anew when another file stands where the settings or the link point.

    There is always a working one, as long as there ever was: where the new file cannot be loaded, the model in memory
    goes on, and after a start the bundle before it. `problem` says why; None when the wanted model runs.
    """

    def __init__(self, config: Config) -> None:
        """Nothing is loaded yet."""
        self._config = config
        self._model: LoadedModel | None = None
        self._tried: tuple[str, int, int] | None = None
        self._ever_tried = False
        self.problem: OperatorError | BundleError | None = None

    def get(self) -> LoadedModel | None:
        """Return the model, or None with `problem` set."""
        seen = self._fingerprint()
        if not self._ever_tried or seen != self._tried:
            self._ever_tried, self._tried = True, seen
            try:
                self._model, self.problem = load(self._config), None
                self._tell(self._model)
            except (OperatorError, BundleError) as error:
                self.problem = error
                if self._model is None:
                    self._model = self._load_previous()
        return self._model

    def _load_previous(self) -> LoadedModel | None:
        previous = Path(self._config.state_dir) / PREVIOUS
        if self._config.bundle.path is not None or not previous.is_file():
            return None
        try:
            model = load(self._config, previous)
        except (OperatorError, BundleError):
            return None
        self._tell(model)
        return model

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
        return str(path.resolve()), state.st_mtime_ns, state.st_size
