"""Which bundle the device runs, loaded; a model that cannot be had is a state, not the end of capturing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bundle.selected import ACTIVE, PREVIOUS, TRUST, bundle_path, read
from edge.bundle.trial import Trial
from edge.config.tree import Config
from edge.errors import BundleError, BundleRevoked, OperatorError, describe_error

if TYPE_CHECKING:
    from edge.contract.bundle.bundle import Bundle
    from edge.vision.model.loaded import LoadedModel


def golden_of(bundle: Bundle) -> Bundle:
    """Return the bundle with its golden parts alone: what stays in memory while it is on trial."""
    from edge.contract.manifest import GOLDEN_INPUTS, GOLDEN_OUTPUTS

    return replace(bundle, files={name: bundle.files[name] for name in (GOLDEN_INPUTS, GOLDEN_OUTPUTS)})


class ModelSource:
    """Loads the model when it is first needed, and anew when another file stands where the settings or the link point,
    or new trust statements came.

    There is always a working one, as long as there ever was: where the new file cannot be loaded, the model in memory
    goes on, and after a start the bundle before it. An installed bundle is on trial first (`edge.bundle.trial`); a
    condemned one gives way to the one before it. `problem` names the reason; None when the wanted model runs.
    """

    def __init__(self, config: Config, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Nothing is loaded yet; what the last process left at work is counted."""
        self._config = config
        self._state_dir = Path(config.state_dir)
        self._model: LoadedModel | None = None
        self._golden: Bundle | None = None
        self._installed = False
        self._tried: tuple[str, int, int, int] | None = None
        self._ever_tried = False
        self.problem: OperatorError | BundleError | None = None
        self.file_sha256 = ""
        """The digest of the running model's file, by which earlier versions named it."""
        self.trial = Trial(self._state_dir, config.bundle, monotonic_s)

    def get(self) -> LoadedModel | None:
        """Return the model, or None with `problem` set."""
        seen = self._fingerprint()
        if not self._ever_tried or seen != self._tried:
            self._ever_tried, self._tried = True, seen
            path = bundle_path(self._config)
            try:
                self._load(path, installed=path == self._state_dir / ACTIVE)
                self.problem = None
            except Exception as error:  # noqa: BLE001 - whatever a bundle makes the loader raise
                if isinstance(error, BundleRevoked):
                    self._model = None
                if isinstance(error, OperatorError | BundleError):
                    self.problem = error
                else:  # memory that was short, for example: tried again with the next capture
                    self.problem = BundleError(f"{path}: cannot be loaded: {describe_error(error)}")
                    self._ever_tried = False
                if self._model is None:
                    self._load_previous()
                if self._model is None and self._fingerprint() != seen:
                    return self.get()  # the links were moved meanwhile
        return self._model

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Run the model within: on trial, how that ends is counted. A condemned one is unloaded.

        Every piece of work that counts towards GOOD has had the age model in it, on an animal or on the golden inputs.

        Raises:
            BundleError: no animal was seen, and the golden inputs, tried in its place, were answered wrongly.
            Exception: whatever was raised within.
        """
        model = self._model
        if model is None or not self._installed or not self.trial.on_trial(model.sha256):
            yield
            return
        before_ms, before_age_ms = model.invoked_ms, model.age.invoked_ms
        self.trial.begin(model.sha256)
        try:
            yield
            invoked = model.invoked_ms > before_ms
            wrong = self._check_again(model) if invoked and model.age.invoked_ms == before_age_ms else []
        except Exception as error:
            self.trial.ended_badly(model.sha256, describe_error(error))
            self._unload_condemned(model)
            raise
        if wrong:
            self.trial.condemn(model.sha256, wrong[0])
            self._unload_condemned(model)
            raise BundleError(f"sha256 {model.sha256[:12]} failed its trial on this device: {wrong[0]}")
        self.trial.ended_well(model.sha256, invoked=invoked)
        if not self.trial.on_trial(model.sha256):
            self._golden = None

    def _check_again(self, model: LoadedModel) -> list[str]:
        """Return what is wrong with the golden outputs by now; nothing where they belong to another bundle."""
        from edge.vision.model.golden import check_golden

        if self._golden is None or self._golden.sha256 != model.sha256:
            return []
        return check_golden(model, self._golden)

    def _unload_condemned(self, model: LoadedModel) -> None:
        """Forget the model if it was condemned; the next capture loads another."""
        if not self.trial.on_trial(model.sha256):
            self._model, self._ever_tried, self._golden = None, False, None

    def _load_previous(self) -> None:
        previous = self._state_dir / PREVIOUS
        if self._config.bundle.path is None and previous.is_file():
            with contextlib.suppress(Exception):  # `problem` names why the wanted one does not run
                self._load(previous, installed=True)

    def _load(self, path: Path, *, installed: bool) -> None:
        """Load a bundle; from now on it is the one that runs."""
        from edge.vision.model.loaded import load_model

        bundle = read(self._config, path)
        self._model = self._try(path, bundle) if installed else load_model(bundle, self._config.bundle.threads)
        self._installed, self.file_sha256 = installed, bundle.file_sha256
        # What runs, and on which runtime: it decides speed and, between kernels, the last bit.
        model = self._model.describe()
        text = f"cageclock: model {model.name} {model.model_version}, release {model.release}, on {model.runtime}"
        print(text, flush=True)

    def _try(self, path: Path, bundle: Bundle) -> LoadedModel:
        """Return the model of an installed bundle; on trial it must pass its rehearsal here, too.

        Raises:
            BundleError: it is condemned, or cannot be loaded.
        """
        from edge.vision.model.loaded import load_model
        from edge.vision.rehearsal import rehearse

        self.trial.adopt(bundle)
        reason = self.trial.state.reason(bundle.sha256)
        if reason is not None:
            raise BundleError(f"sha256 {bundle.sha256[:12]} failed its trial on this device: {reason}")
        if not self.trial.on_trial(bundle.sha256):
            return load_model(bundle, self._config.bundle.threads)
        self.trial.begin(bundle.sha256)
        try:
            model = load_model(bundle, self._config.bundle.threads)
            wrong = rehearse(model, bundle)
        except OperatorError:
            self.trial.ended_well(bundle.sha256, invoked=False)
            raise
        except Exception as error:
            self.trial.ended_badly(bundle.sha256, describe_error(error))
            raise BundleError(f"{path}: {describe_error(error)}") from error
        if wrong:
            self.trial.condemn(bundle.sha256, wrong[0])
            raise BundleError(f"sha256 {bundle.sha256[:12]} failed its trial on this device: {wrong[0]}")
        self.trial.ended_well(bundle.sha256, invoked=False)
        self._golden = golden_of(bundle)
        return model

    def _fingerprint(self) -> tuple[str, int, int, int] | None:
        path, trust = bundle_path(self._config), self._state_dir / TRUST
        try:
            learned_ns = trust.stat().st_mtime_ns
        except OSError:
            learned_ns = 0
        try:
            state = path.stat()
        except OSError:
            return None
        return str(path.resolve()), state.st_mtime_ns, state.st_size, learned_ns
